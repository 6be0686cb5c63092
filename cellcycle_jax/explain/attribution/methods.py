"""The methods of attribution by name, run over many images, and their maps at one resolution."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from cellcycle_jax import extensions
from cellcycle_jax.devices import mesh
from cellcycle_jax.explain.attribution import cam, pixels
from cellcycle_jax.explain.attribution.activations import scores_of
from cellcycle_jax.models.network import Network

BATCH = 64  # images on the devices at a time
GROUP = 8  # fewer images than a batch are filled up to a multiple of this


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to say where the evidence for a class lies.

    Attributes:
        function: `(network, image f32 [B, S, S, K], class_index i32 [B], tap, against_others=False, **options)
            -> f32 [B, h, w, C]`, signed, not normalised, at its own size; pure, every image for itself.
        by_channel: whether it tells the channels of the image apart; C is K then, else 1.
        source: where it is published.
    """

    function: Callable
    by_channel: bool
    source: str


# To add a method, write a function and add its line here.
METHODS = {
    "grad_cam": Method(cam.grad_cam, False, "Selvaraju 2017, doi 10.1109/ICCV.2017.74"),
    "grad_cam_plus_plus": Method(cam.grad_cam_plus_plus, False, "Chattopadhay 2018, doi 10.1109/WACV.2018.00097"),
    "hires_cam": Method(cam.hires_cam, False, "Draelos 2020, arXiv:2011.08891"),
    "layer_cam": Method(cam.layer_cam, False, "Jiang 2021, doi 10.1109/TIP.2021.3089943"),
    "score_cam": Method(cam.score_cam, False, "Wang 2020, doi 10.1109/CVPRW50498.2020.00020"),
    "integrated_gradients": Method(pixels.integrated_gradients, True, "Sundararajan 2017, arXiv:1703.01365"),
    "expected_gradients": Method(pixels.expected_gradients, True, "Erion 2021, doi 10.1038/s42256-021-00343-w"),
    "smooth_grad": Method(pixels.smooth_grad, True, "Smilkov 2017, arXiv:1706.03825"),
    "gradient_x_input": Method(pixels.gradient_x_input, True, "Shrikumar 2016, arXiv:1605.01713"),
    "occlusion": Method(pixels.occlusion, True, "Zeiler 2014, doi 10.1007/978-3-319-10590-1_53"),
}


def method_of(name: str) -> Method:
    """The method called `name`: a key of METHODS, or `package.module:name` of a `Method` outside the repository.

    Raises:
        UsageError: there is no such method.
    """
    return extensions.find(name, METHODS, "method")


def attribute(
    name: str,
    network: Network,
    images: np.ndarray,
    class_index,
    tap: str = "last",
    batch: int = BATCH,
    baseline=None,
    **options,
) -> np.ndarray:
    """Maps of one method for many images; compiled once for each method, model, tap, options and shape.

    Args:
        name: as of `method_of`.
        network: of P classes.
        images: f32 [N, S, S, K], as `Run.images` gives them.
        class_index: i32 [N] or int, the class to explain.
        tap: activation that class activation maps read; 'last' for the last convolution.
        batch: images at a time, divided over the devices.
        baseline: f32 [S, S, K], the image that a method with a baseline starts from, or the images f32 [R, S, S, K] of
            one with several; None: the method's own.
        **options: of the method's function, e.g. against_others or steps; hashable.

    Returns:
        f32 [N, h, w, C], signed, not normalised, at the method's own size.

    Raises:
        UsageError: no such method or tap.
    """
    index = np.broadcast_to(np.asarray(class_index, np.int32), len(images))
    function = method_of(name).function
    step = functools.partial(_maps, function=function, tap=tap, options=tuple(sorted(options.items())))
    given = {} if baseline is None else {"baseline": baseline}

    def maps_of(batch):
        return step(network, given, *batch)

    def batch_of(rows):
        return images[rows], index[rows]

    return mesh.batchwise(maps_of, batch_of, len(images), batch_size(len(images), batch))


def class_maps(network: Network, images: np.ndarray, tap: str = "last", batch: int = BATCH, **options):
    """Grad-CAM of every class for many images, from one way through the model; compiled as by `attribute`.

    Args:
        network, images, tap, batch: as of `attribute`.
        **options: of `cam.grad_cam_of_classes`.

    Returns:
        maps f32 [N, P, h, w], signed, and logits f32 [N, P].

    Raises:
        UsageError: no such tap.
    """
    step = functools.partial(_class_maps, network, tap=tap, options=tuple(sorted(options.items())))
    return mesh.batchwise(step, images.__getitem__, len(images), batch_size(len(images), batch))


def logits_of(network: Network, images: np.ndarray, batch: int = BATCH) -> np.ndarray:
    """Logits f32 [N, P] of images f32 [N, S, S, K]; compiled once for each model and shape."""
    return logits_of_made(network, images.__getitem__, len(images), batch)


def logits_of_made(network: Network, make: Callable, n: int, batch: int = BATCH) -> np.ndarray:
    """`logits_of` images that are made only now, the next batch while the devices work on the last.

    Args:
        network: of P classes.
        make: slice of 0..n, no longer than a batch -> the images f32 [B, S, S, K] there; asked for in order, each once.
        n: images, at least 1.
        batch: images at a time.

    Returns:
        f32 [n, P].
    """
    def take(rows):
        if isinstance(rows, slice):
            return make(rows)
        first = rows[0]  # the last batch, filled up with its last image
        return make(slice(first, n))[rows - first]

    return mesh.batchwise(functools.partial(_logits, network), take, n, batch_size(n, batch))


def margins(logits) -> np.ndarray:
    """Each class's logit less the mean of the others', f64 [..., P], of logits f32 [..., P]."""
    return scores_of(np.asarray(logits, np.float64), against_others=True)


def resized(maps, side: int):
    """Maps f32 [N, h, w, C] at the size of the crop, bilinear: f32 [N, side, side, C]."""
    maps = jnp.asarray(maps)
    return jax.image.resize(maps, (maps.shape[0], side, side, maps.shape[3]), method="bilinear")


def at_resolution(maps, side: int):
    """Maps on a grid that all can be compared on: means of blocks of finer ones, coarser ones bilinear.

    A map of few pixels cannot point at an outline, and one of many is ragged; compare methods on the grid of the
    coarsest of them.

    Args:
        maps: f32 [N, h, w, C], square.
        side: pixels of the grid on a side.

    Returns:
        f32 [N, side, side, C]. The mean of a map stays where `side` divides its size.
    """
    maps = jnp.asarray(maps)
    n, h, _, channels = maps.shape
    if h % side == 0:
        return maps.reshape(n, side, h // side, side, h // side, channels).mean((2, 4))
    return resized(maps, side)  # averages over what a pixel of the grid covers where it is the coarser one


def batch_size(n: int, most: int = BATCH) -> int:
    """Images at a time: `most`, or a few more than there are; a size for every number would be a program for each."""
    return min(most, -(-n // GROUP) * GROUP)


# JAX compiles these once for each model, whose weights are arguments, and each choice of the static arguments.
@functools.partial(jax.jit, static_argnames=("function", "tap", "options"))
def _maps(network, given, images, index, function, tap, options):
    return _widened(function(network, images, index, tap, **given, **dict(options)))


@functools.partial(jax.jit, static_argnames=("tap", "options"))
def _class_maps(network, images, tap, options):
    return _widened(cam.grad_cam_of_classes(network, images, tap, **dict(options)))


@jax.jit
def _logits(network, images):
    return _widened(network.logits(images))


def _widened(arrays):
    """Arrays in float32 of a model that computes in bfloat16, which NumPy's files cannot hold; float64 stays."""
    return jax.tree.map(lambda array: array.astype(jnp.promote_types(array.dtype, jnp.float32)), arrays)
