"""Grad-CAM: where a class is supported (Selvaraju et al. 2017, doi 10.1109/ICCV.2017.74).

Gradients at an activation come from the 'perturbations' collection, zeros that every tap adds to its value, so any tap
of any registered model can be explained without splitting the model.
"""

import jax
import jax.numpy as jnp

from cellcycle_jax.errors import UsageError


def resolve_tap(taps, name: str = "last") -> str:
    """The tap called `name`; 'last' for the last one, the last convolution.

    Args:
        taps: names in the model's order.
        name: one of them or 'last'.

    Raises:
        UsageError: no such tap.
    """
    taps = list(taps)
    if name != "last" and name not in taps:
        raise UsageError(f"explain.tap={name!r} is no activation of this model; allowed: last, {', '.join(taps)}")
    return taps[-1] if name == "last" else name


def tap_names(model, variables, image_shape) -> tuple[str, ...]:
    """Names of the model's taps in order, the last convolution last; nothing is computed.

    Args:
        model: Flax module.
        variables: of the model.
        image_shape: (S, S, K).
    """
    names = []

    def record(variables, image):
        logits, taps = model.apply(variables, image, train=False)
        names.extend(taps)  # a returned dict would come back sorted
        return logits

    jax.eval_shape(record, variables, jax.ShapeDtypeStruct((1, *image_shape), jnp.float32))
    return tuple(names)


def activation_and_gradient(model, variables, image, class_index, tap: str):
    """An activation and the gradient of a class's logit at it.

    Args:
        model: Flax module, `(image, train) -> (logits, taps)`.
        variables: of the model.
        image: f32 [B, S, S, K].
        class_index: i32 [B] or int, whose logit.
        tap: name of the activation.

    Returns:
        activation and gradient, both f32 [B, h, w, D].
    """
    class_index = jnp.broadcast_to(jnp.asarray(class_index), image.shape[:1])
    shapes = jax.eval_shape(lambda x: model.apply(variables, x, train=False)[1], image)
    zeros = {name: jnp.zeros(shape.shape, shape.dtype) for name, shape in shapes.items()}

    def chosen(change):
        perturbed = {**variables, "perturbations": {**zeros, tap: change}}
        logits, taps = model.apply(perturbed, image, train=False)
        # Cells do not meet inside the model, so the gradient of the sum is each cell's own gradient.
        return jnp.take_along_axis(logits, class_index[:, None], axis=1).sum(), taps[tap]

    gradient, activation = jax.grad(chosen, has_aux=True)(zeros[tap])
    return activation, gradient


def grad_cam(model, variables, image, class_index, tap: str, relu: bool = True):
    """Grad-CAM maps at the size of the activation; pure, may be jitted with model, tap and relu fixed.

    Each channel is weighted by the spatial mean of the gradient of the class's logit (eq. 1), and the weighted sum of
    the channels is cut at zero (eq. 2).

    Args:
        model: Flax module, `(image, train) -> (logits, taps)`.
        variables: of the model.
        image: f32 [B, S, S, K].
        class_index: i32 [B] or int, the class to explain.
        tap: name of an activation; see `resolve_tap`.
        relu: cut at zero; False keeps evidence against the class as negative values.

    Returns:
        f32 [B, h, w], logits per unit of weight, not normalised.
    """
    activation, gradient = activation_and_gradient(model, variables, image, class_index, tap)
    weights = gradient.mean(axis=(1, 2))
    cam = jnp.einsum("bhwd,bd->bhw", activation, weights, precision="highest")
    return jax.nn.relu(cam) if relu else cam


def resize_map(cam, size: int):
    """Maps at the size of the crop, bilinear.

    Args:
        cam: f32 [B, h, w].
        size: height and width wanted, px.

    Returns:
        f32 [B, size, size].
    """
    return jax.image.resize(jnp.asarray(cam), (cam.shape[0], size, size), method="bilinear")
