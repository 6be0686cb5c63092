"""Our side of the networks that are compared: model, made-up crops, and the training of the project."""

import functools

import flax
import jax
import numpy as np

from bench.protocol import CLASSES, DROPOUT, LEARNING_RATE, NETWORKS
from cellcycle_jax import augment, data, feed, mesh, model_input, models, optim, schema, state, steps

AUGMENTED = {"flip": True, "rotate_deg": 20.0, "shift": 0.1, "scale": 0.0, "intensity": 0.0}
UNCHANGED = {"flip": False, "rotate_deg": 0.0, "shift": 0.0, "scale": 0.0, "intensity": 0.0}
BRIGHTEST = 65535


def build(name: str):
    """The network called `name`, without parameters."""
    network = NETWORKS[name]
    return models.build(network.architecture, CLASSES, network.filters, network.depth, DROPOUT)


def made_crops(network, n: int) -> data.Crops:
    """`n` crops of noise; what a model sees of them is 0 to 1."""
    rng, size, channels = np.random.default_rng(0), network.size, network.channels
    names = tuple(f"channel{i}" for i in range(channels))
    texts = {name: np.full(n, name) for name in schema.EXAMPLE_TEXTS}
    return data.Crops(
        image=rng.integers(0, BRIGHTEST + 1, (n, size, size, channels), np.uint16),
        image_scale=np.ones((n, channels), np.float32),
        compartments=np.full((n, size, size), 255, np.uint8), compartments_present=np.full(n, 255, np.uint8),
        label=rng.integers(0, CLASSES, n, np.int32),
        norm=np.tile(np.float32([0, 0, 1, BRIGHTEST]), (n, channels, 1)), um_per_px=np.ones(n, np.float32),
        **texts, channels=names, classes=("G1/S", "G2"), markers=(), nucleus=names[0], stains=names[1:],
        group_by="field")


def seen(network):
    """`model_input.model_inputs` of all channels of a made crop."""
    return functools.partial(model_input.model_inputs, channels=tuple(range(network.channels)), mask="none",
                             scale="reference")


def our_train_step(name: str, batch: int, augmented: bool, learning_rate=LEARNING_RATE, members=1, mapped=None,
                   cells=512):
    """Training of the network called `name` as `launch.py train` does it, on crops that lie on the device.

    Args:
        name: a key of `NETWORKS`.
        batch: crops in a step.
        augmented: whether crops are changed at random.
        learning_rate: 0: the weights stay as they were drawn.
        members: models that are trained side by side, each with its own seed.
        mapped: as in `steps.make_train_program`.
        cells: in the split that batches are drawn from, or `data.Crops`.

    Returns:
        `(steps) -> state` of all members: does so many steps, 0 included, and waits for the device.
    """
    network, devices, model = NETWORKS[name], mesh.make_mesh(), build(name)
    own = mesh.whole(devices) if members == 1 else mesh.divided(devices)
    optimizer = functools.partial(optim.make_optimizer, "rmsprop", "constant", 1)
    changes = functools.partial(augment.augment, channels=tuple(range(network.channels)), stored=network.channels,
                                **(AUGMENTED if augmented else UNCHANGED))
    program = steps.make_train_program(steps.make_train_step(model, optimizer, seen(network), changes), devices,
                                       members, mapped=mapped)
    create = state.make_create(model, optimizer(learning_rate, 0.0), (network.size, network.size, network.channels))
    now = mesh.put(state.stack([create(seed) for seed in range(members)]), own)
    traits = mesh.put(state.stack([
        state.make_traits(seed, np.ones(network.channels), learning_rate, 0.0, DROPOUT, np.ones(CLASSES))
        for seed in range(members)]), own)
    crops = made_crops(network, cells) if isinstance(cells, int) else cells
    rows = np.arange(len(crops), dtype=np.int32)
    cells_fed = feed.Resident(crops, [feed.Order(seed, rows) for seed in range(members)], batch, devices)
    valid = (np.arange(steps.batch_size(batch, members, devices)) < batch).astype(np.float32)
    done = 0

    def run(number):
        nonlocal now, done
        while number:
            count = min(number, cells_fed.most)
            index, arrays = cells_fed.take(done, count)
            now, _ = program(traits, now, index, np.full(members, count, np.int32), arrays, valid)
            done, number = done + count, number - count
        return jax.block_until_ready(now)

    return run


def densities(name: str, variables) -> dict[str, float]:
    """Share of each tap that is not zero. Steps that skip dead activations are the faster the fewer are alive."""
    crops = data.arrays_of(made_crops(NETWORKS[name], 16))
    image = seen(NETWORKS[name])(*(crops[key] for key in ("image", "image_scale", "compartments", "norm")))
    _, taps = jax.jit(functools.partial(build(name).apply, train=False))(variables, image)
    return {tap: float((np.asarray(activation) != 0).mean()) for tap, activation in taps.items()}


def about() -> dict:
    """Device and versions, for `protocol.serve`."""
    kind = jax.devices()[0].device_kind
    return {"device": kind if jax.device_count() == 1 else f"{jax.device_count()} x {kind}",
            "versions": {"JAX": jax.__version__, "Flax": flax.__version__}}
