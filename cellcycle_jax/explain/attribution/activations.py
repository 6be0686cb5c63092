"""A model's activations, the score that is explained, and gradients of the one at the other.

Gradients at an activation come from the 'perturbations' collection, zeros that every tap adds to its value, so any tap
of any registered model can be explained without splitting the model. Only what lies behind the tap is gone through
backwards.
"""

import functools

import jax
import jax.numpy as jnp

from cellcycle_jax.errors import UsageError
from cellcycle_jax.models.network import Network


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


def tap_shapes(network: Network, image) -> dict:
    """Shape and dtype of the model's taps by name, in order, the last convolution last; nothing is computed.

    Args:
        network: of P classes.
        image: f32 [B, S, S, K], or its shape and dtype.
    """
    variables = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), network.variables)
    leaves, tree = jax.tree.flatten(variables)
    return dict(_tap_shapes(network.model, tree, tuple(leaves), tuple(image.shape), image.dtype))


@functools.lru_cache(maxsize=64)  # of a model as deep as a residual network it takes as long as drawing a figure
def _tap_shapes(model, tree, leaves, image_shape, image_dtype) -> tuple:
    """`tap_shapes` of what a network is made of, as (name, shape) pairs."""
    names = []

    def record(network, image):
        taps = network(image)[1]
        names.extend(taps)  # a returned dict comes back sorted
        return taps

    network = Network(model, jax.tree.unflatten(tree, leaves))
    shapes = jax.eval_shape(record, network, jax.ShapeDtypeStruct(image_shape, image_dtype))
    return tuple((name, shapes[name]) for name in names)


def tap_names(network: Network, image_shape) -> tuple[str, ...]:
    """Names of the model's taps in order, the last convolution last; nothing is computed.

    Args:
        network: of P classes.
        image_shape: (S, S, K).
    """
    image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    return tuple(tap_shapes(network, image))


def no_change(network: Network, image) -> dict:
    """The collection 'perturbations' that changes nothing: zeros by name, in the order of the taps."""
    shapes = tap_shapes(network, image)
    return {name: jnp.zeros(shape.shape, shape.dtype) for name, shape in shapes.items()}


def score_of(logits, class_index, against_others: bool = False):
    """The number that is explained: the logit of a class, as the methods are published.

    A softmax only knows differences: what is added to all logits changes no probability. Against the others, the score
    is the logit less the mean of the others, and evidence for all classes alike cancels.

    Args:
        logits: f32 [B, P].
        class_index: i32 [B] or int.
        against_others: whether the mean of the other logits is taken off.

    Returns:
        f32 [B].
    """
    scores = scores_of(logits, against_others)
    index = jnp.broadcast_to(jnp.asarray(class_index), logits.shape[:1])
    return jnp.take_along_axis(scores, index[:, None], axis=1)[:, 0]


def scores_of(logits, against_others: bool = False):
    """`score_of` for every class: f [..., P] -> f [..., P], of JAX or NumPy as it is given."""
    if not against_others:
        return logits
    others = logits.sum(-1, keepdims=True) - logits
    return logits - others / (logits.shape[-1] - 1)


def activation_and_gradient(network, image, class_index, tap: str = "last", against_others: bool = False):
    """An activation and the gradient of a class's score at it.

    Args:
        network: of P classes.
        image: f32 [B, S, S, K].
        class_index: i32 [B] or int, whose score.
        tap: name of the activation, or 'last'.
        against_others: as of `score_of`.

    Returns:
        activation and gradient, both f32 [B, h, w, D].

    Raises:
        UsageError: no such tap.
    """
    forward, zeros = _from_tap(network, image, tap)

    def chosen(change):
        logits, activation = forward(change)
        # Cells do not meet inside the model, so the gradient of the sum is each cell's own gradient.
        return score_of(logits, class_index, against_others).sum(), activation

    gradient, activation = jax.grad(chosen, has_aux=True)(zeros)
    return activation, gradient


def activation_and_gradients(network, image, tap: str = "last", against_others: bool = False):
    """An activation and the gradients of all classes' scores at it; all share one way through the model.

    Args:
        network: of P classes.
        image: f32 [B, S, S, K].
        tap: name of the activation, or 'last'.
        against_others: as of `score_of`.

    Returns:
        activation f32 [B, h, w, D], gradients f32 [P, B, h, w, D] and logits f32 [B, P].

    Raises:
        UsageError: no such tap.
    """
    forward, zeros = _from_tap(network, image, tap)

    def scores(change):
        logits, activation = forward(change)
        return scores_of(logits, against_others), (activation, logits)

    of_classes, backward, (activation, logits) = jax.vjp(scores, zeros, has_aux=True)

    def gradient(one_hot):
        return backward(jnp.broadcast_to(one_hot, of_classes.shape))[0]

    one_hots = jnp.eye(of_classes.shape[1], dtype=of_classes.dtype)
    return activation, jax.vmap(gradient)(one_hots), logits


def _from_tap(network, image, tap):
    """`change of the tap -> (logits, the tap)`, and the change that is none."""
    shapes = tap_shapes(network, image)
    tap = resolve_tap(shapes, tap)
    # Flax wants something for every tap. By the number 0 in the place of an array of zeros a model sees that nobody
    # asks for the gradient there, and may go the way that it is trained on: NagaoCNN then takes 0.7 of the time.
    others = dict.fromkeys(shapes, 0)

    def forward(change):
        logits, taps = network(image, perturbations={**others, tap: change})
        return logits, taps[tap]

    return forward, jnp.zeros(shapes[tap].shape, shapes[tap].dtype)
