"""Our side of the networks that are compared: model, made-up crops, and what a model sees of them."""

import functools

import flax
import jax
import numpy as np

from bench.protocol import CLASSES, DROPOUT, network_of
from cellcycle_jax import models, schema
from cellcycle_jax.dataset import crop_arrays, model_input

BRIGHTEST = 65535


def build(name: str, dtype="float32"):
    """The network called `name`, computing in `dtype`, without parameters."""
    network = network_of(name)
    return models.build(network.architecture, CLASSES, network.filters, network.depth, DROPOUT, dtype)


def made_crops(network, n: int) -> crop_arrays.Crops:
    """`n` crops of noise; what a model sees of them is 0 to 1."""
    rng, size, channels = np.random.default_rng(0), network.size, network.channels
    names = tuple(f"channel{i}" for i in range(channels))
    texts = {name: np.full(n, name) for name in schema.EXAMPLE_TEXTS}
    return crop_arrays.Crops(
        image=rng.integers(0, BRIGHTEST + 1, (n, size, size, channels), np.uint16),
        image_scale=np.ones((n, channels), np.float32),
        compartments=np.full((n, size, size), 255, np.uint8), compartments_present=np.full(n, 255, np.uint8),
        label=rng.integers(0, CLASSES, n, np.int32),
        intensity_stats=np.tile(np.float32([0, 0, 1, BRIGHTEST]), (n, channels, 1)), um_per_px=np.ones(n, np.float32),
        **texts, channels=names, classes=("G1/S", "G2"), markers=(), nucleus=names[0], stains=names[1:],
        group_by="field")


def inputs_of(network):
    """`model_input.model_inputs` of all channels of a made crop."""
    return functools.partial(model_input.model_inputs, channels=tuple(range(network.channels)), mask="none",
                             scale="reference")


def densities(name: str, dtype: str, variables) -> dict[str, float]:
    """Share of each tap that is not zero. Steps that skip dead activations are the faster the fewer are alive."""
    network = network_of(name)
    crops = crop_arrays.arrays_of(made_crops(network, 16))
    image = model_input.model_images(inputs_of(network), crops)
    _, taps = jax.jit(functools.partial(build(name, dtype).apply, train=False))(variables, image)
    return {tap: float((np.asarray(activation, np.float32) != 0).mean()) for tap, activation in taps.items()}


def about() -> dict:
    """Device and versions, for `protocol.serve`."""
    kind = jax.devices()[0].device_kind
    return {"device": kind if jax.device_count() == 1 else f"{jax.device_count()} x {kind}",
            "versions": {"JAX": jax.__version__, "Flax": flax.__version__}}
