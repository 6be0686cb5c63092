"""Our side of training, as `launch.py train` does it, without scores and checkpoints."""

import dataclasses
import functools

import jax
import numpy as np

from bench.ours.networks import build, inputs_of, made_crops
from bench.protocol import CLASSES, DROPOUT, LEARNING_RATE, network_of
from cellcycle_jax.devices import mesh, model_sharding
from cellcycle_jax.runs import state
from cellcycle_jax.training import augment, batches, compiled_steps, optimizers, train_step

AUGMENTED = {"flip": True, "rotate_deg": 20.0, "shift": 0.1, "scale": 0.0, "intensity": 0.0}
UNCHANGED = {"flip": False, "rotate_deg": 0.0, "shift": 0.0, "scale": 0.0, "intensity": 0.0}
CELLS = 512  # made up, where no others are given


@dataclasses.dataclass(frozen=True)
class Setup:
    """What is trained, and how."""

    name: str  # as of `protocol.network_of`
    batch: int  # crops in a step
    augmented: bool = False  # whether crops are changed at random
    learning_rate: float = LEARNING_RATE  # 0: the weights stay as they were drawn
    dtype: str = "float32"
    members: int = 1  # models trained as one program, each with its own seed
    by_host: bool | None = None  # as in `model_sharding.choose_layout`
    resident: bool = True  # whether the cells lie on the device; else batches are made in the background, and sent


class Training:
    """Models in training.

    Attributes:
        state: of all models, with a first axis.
    """

    def __init__(self, setup: Setup, crops=None):
        """Draw the weights.

        Args:
            setup: what is trained.
            crops: `crop_arrays.Crops` that batches are drawn from; by default made up.
        """
        self._setup = setup
        self._done = 0
        self._layout = layout = model_sharding.choose_layout(setup.members, mesh.make_mesh(), setup.by_host)
        self._crops = made_crops(network_of(setup.name), CELLS) if crops is None else crops
        rows = np.arange(len(self._crops), dtype=np.int32)
        self._orders = [batches.Order(seed, rows) for seed in range(layout.models)]
        self._program, self._traits, self.state = _assembled(setup, layout)
        size = layout.batch_size(setup.batch)
        self._valid = mesh.put_global((np.arange(size) < setup.batch).astype(np.float32), layout.per_cell())
        self._resident = setup.resident and batches.DeviceBatches(self._crops, self._orders, setup.batch, layout)

    def go_on_from(self, stored, done: int) -> None:
        """Continue where another training stood after `done` steps; `stored` is its state, in host memory."""
        self.state = mesh.put_global(stored, self._layout.per_model)
        self._done = done

    def run(self, number: int) -> np.ndarray:
        """Do so many steps and wait for the devices; the mean loss of each step, f32 [setup.members, number]."""
        models = self._layout.models
        found = []
        end = self._done + number
        cells = self._resident or batches.StreamedBatches(
            self._crops, self._orders[0], self._setup.batch, self._layout, self._done, end
        )
        while self._done < end:
            count = min(end - self._done, cells.most)
            index, arrays = cells.take(self._done, count)
            counts = np.full(models, count, np.int32)
            self.state, sums = self._program(self._traits, self.state, index, counts, arrays, self._valid)
            self._done += count
            found.append((sums, count))
        cells.close()
        jax.block_until_ready(self.state)
        return np.concatenate([self._losses(sums, count) for sums, count in found], axis=1)

    def _losses(self, sums, count):
        """Mean losses of the first `count` steps of a dispatch; models that only fill the devices up are left out."""
        asked = self._setup.members
        total = np.asarray(sums["loss"])[:asked, :count]
        return total / np.asarray(sums["count"])[:asked, :count]


def _assembled(setup, layout):
    """The program, the traits of all models, and their state before the first step."""
    network = network_of(setup.name)
    model = build(setup.name, setup.dtype)
    optimizer = functools.partial(optimizers.make_optimizer, "rmsprop", "constant", 1)
    changes = functools.partial(augment.augment, channels=tuple(range(network.channels)), stored=network.channels,
                                **(AUGMENTED if setup.augmented else UNCHANGED))
    step = train_step.make_train_step(model, optimizer, inputs_of(network), changes, layout)
    program = compiled_steps.make_train_program(step, layout, not setup.resident, loops_on_cpu=True)
    create = state.make_create(model, optimizer(setup.learning_rate, 0.0),
                               (network.size, network.size, network.channels))
    traits = state.stack([
        state.make_settings(seed, np.ones(network.channels), setup.learning_rate, 0.0, DROPOUT, np.ones(CLASSES))
        for seed in range(layout.models)])
    start = state.stack([create(seed) for seed in range(layout.models)])
    return program, mesh.put_global(traits, layout.per_model), mesh.put_global(start, layout.per_model)
