"""Class activation maps: the channels of an activation, weighted by what they do for a class's score.

Of `(network, image f32 [B, S, S, K], class_index i32 [B] or int, tap)` each makes maps f32 [B, h, w, 1] at the
size of the tap, signed and not normalised: the published cut at zero is left to whoever draws or measures them. Pure;
model, tap and `against_others` (see `activations.score_of`) are fixed inside jit.

Where neighbours that are max-pooled together are equal, as zeros after a relu are, jax.numpy divides the gradient
between them and other libraries give it to one of them. Only Grad-CAM++ notices. So it is at the tap; behind it a model
may pool as it does in training, where the first gets it.
"""

import jax
import jax.numpy as jnp

from cellcycle_jax.explain.attribution.activations import (
    activation_and_gradient,
    activation_and_gradients,
    resolve_tap,
    score_of,
    tap_shapes,
)


def grad_cam(network, image, class_index, tap: str = "last", against_others: bool = False):
    """Channels weighted by the spatial mean of the gradient: Selvaraju et al. 2017, doi 10.1109/ICCV.2017.74, eq. 1, 2.

    Returns:
        f32 [B, h, w, 1], score per unit of weight; the relu of eq. 2 is left out.

    Raises:
        UsageError: no such tap.
    """
    activation, gradient = activation_and_gradient(network, image, class_index, tap, against_others)
    return _weighted(activation, gradient.mean(axis=(1, 2)))


def grad_cam_of_classes(network, image, tap: str = "last", against_others: bool = False):
    """`grad_cam` of every class from one way through the model, and the logits.

    Returns:
        maps f32 [B, P, h, w] and logits f32 [B, P].

    Raises:
        UsageError: no such tap.
    """
    activation, gradients, logits = activation_and_gradients(network, image, tap, against_others)
    weights = gradients.mean(axis=(2, 3))
    return jnp.einsum("bhwd,pbd->bphw", activation, weights, precision="highest"), logits


def grad_cam_plus_plus(network, image, class_index, tap: str = "last", against_others: bool = False):
    """Channels weighted by positive gradients: Chattopadhay et al. 2018, doi 10.1109/WACV.2018.00097.

    The closed form for the exponential of the score: where the network is linear nearby, its second and third
    derivative are powers of the gradient g times the exponential, a factor of all pixels alike, which is left out:

        alpha = g^2 / (2 g^2 + sum over the pixels of A * g^3)      weight of a channel = sum of alpha * relu(g)

    alpha is 0 where its denominator is. Weights are positive, so a map is negative only where the activation is.

    Returns:
        f32 [B, h, w, 1].

    Raises:
        UsageError: no such tap.
    """
    activation, g = activation_and_gradient(network, image, class_index, tap, against_others)
    # Numerator and denominator by g^2: squares and cubes of small gradients would be lost in float32.
    below = 2 + activation.sum(axis=(1, 2), keepdims=True) * g
    defined = below != 0
    alpha = jnp.where((g != 0) & defined, 1 / jnp.where(defined, below, 1), 0)
    weights = (alpha * jax.nn.relu(g)).sum(axis=(1, 2))
    return _weighted(activation, weights)


def hires_cam(network, image, class_index, tap: str = "last", against_others: bool = False):
    """Activation times gradient, summed over channels: Draelos and Carin 2020, arXiv:2011.08891.

    The gradient is not averaged over pixels first, so the map shows what the model computes with.

    Returns:
        f32 [B, h, w, 1].

    Raises:
        UsageError: no such tap.
    """
    activation, gradient = activation_and_gradient(network, image, class_index, tap, against_others)
    return (gradient * activation).sum(-1, keepdims=True)


def layer_cam(network, image, class_index, tap: str = "last", against_others: bool = False):
    """Activation times positive gradient, summed over channels: Jiang et al. 2021, doi 10.1109/TIP.2021.3089943.

    Returns:
        f32 [B, h, w, 1]; negative only where the activation is.

    Raises:
        UsageError: no such tap.
    """
    activation, gradient = activation_and_gradient(network, image, class_index, tap, against_others)
    return (jax.nn.relu(gradient) * activation).sum(-1, keepdims=True)


def score_cam(network, image, class_index, tap: str = "last", against_others: bool = False):
    """Channels weighted by the score of the image seen through them.

    Wang et al. 2020, doi 10.1109/CVPRW50498.2020.00020. Each channel, resized to the image bilinearly and scaled to
    0..1 by its own extremes, is multiplied with the image. The weight is the softmax over the channels of how far the
    score rises above that of an image of zeros. A channel that is the same everywhere masks nothing and has the weight
    0. No gradient is needed, but one way through the model for every channel.

    Returns:
        f32 [B, h, w, 1]; negative only where the activation is.

    Raises:
        UsageError: no such tap.
    """
    tap = resolve_tap(tap_shapes(network, image), tap)

    def scores(image):
        return score_of(network.logits(image), class_index, against_others)

    def through(channel):
        """The score of the image behind one channel of the activation [B, h, w], and whether it masks anything."""
        mask = jax.image.resize(channel, image.shape[:3], "bilinear")
        low = mask.min((1, 2), keepdims=True)
        high = mask.max((1, 2), keepdims=True)
        mask = (mask - low) / jnp.where(high > low, high - low, 1)
        return scores(image * mask[..., None]), jnp.ptp(channel, (1, 2)) > 0

    _, taps = network(image)
    activation = taps[tap]
    # One at a time: memory for one forward pass.
    behind_mask, varied = jax.lax.map(through, jnp.moveaxis(activation, -1, 0))
    rise = jnp.where(varied, behind_mask - scores(jnp.zeros_like(image)), -jnp.inf)
    top = jnp.where(varied.any(0), rise.max(0), 0)
    power = jnp.exp(rise - top)
    weights = power / jnp.maximum(power.sum(0), 1)
    return _weighted(activation, weights.T)


def _weighted(activation, weights):
    """Sum over the channels of f32 [B, h, w, D], each by its weight f32 [B, D]: f32 [B, h, w, 1]."""
    return jnp.einsum("bhwd,bd->bhw", activation, weights, precision="highest")[..., None]
