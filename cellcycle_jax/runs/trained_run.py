"""A run folder read back: the trained model, and what it says of crops."""

import dataclasses
import functools
import pathlib
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from cellcycle_jax import models
from cellcycle_jax.dataset import crop_arrays, model_input
from cellcycle_jax.devices import mesh
from cellcycle_jax.errors import StoredStateRefused
from cellcycle_jax.runs import checkpoint, checkpoint_manifest, run_record, state

BATCH = 64  # cells on the device at a time


@dataclasses.dataclass(frozen=True)
class Run:
    """A trained model and what it was trained on."""

    workdir: pathlib.Path
    config: ConfigDict  # the training config
    model: Any  # Flax module
    variables: dict  # best weights by validation loss
    step: int  # steps after which they were best
    run_id: str
    data_dir: pathlib.Path
    channels: tuple[str, ...]  # what the model sees, in order
    classes: tuple[str, ...]
    markers: tuple[str, ...]
    crop_px: int  # side of the crops that the model was trained on

    def inputs(self, crops: crop_arrays.Crops):
        """`model_input.model_inputs` with this run's choices made, for crops of any data set that has its channels."""
        model_input.require_compartments(crops.compartments_present, self.config.data.mask, self.config.data.scale)
        return inputs_of(self.config, crop_arrays.channel_indices(crops, self.channels))

    def images(self, crops: crop_arrays.Crops) -> np.ndarray:
        """What the model sees of `crops`, f32 [N, S, S, K]."""
        return np.asarray(model_input.seen(self.inputs(crops), crop_arrays.arrays_of(crops)))

    def predict_logits(self, crops: crop_arrays.Crops, batch: int = BATCH) -> np.ndarray:
        """Logits of `crops`, f32 [N, P], `batch` cells on the device at a time."""
        return predict(self.model, self.variables, self.inputs(crops), crops, batch, embeddings=False)[0]

    def predict(self, crops: crop_arrays.Crops, batch: int = BATCH) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Logits f32 [N, P] and embeddings {tap: f32 [N, D]} of `crops`; see `predict` below."""
        return predict(self.model, self.variables, self.inputs(crops), crops, batch)


def load_run(workdir, finished: bool = False) -> Run:
    """The run in `workdir`, with the weights that were best on the validation split.

    Args:
        workdir: the run folder.
        finished: whether training must be at its end: all steps done, or stopped early.

    Raises:
        StoredStateRefused: no run, no finished checkpoint, one that is damaged or of another model, a data set that is
            gone or has been prepared anew, or training that is not at its end though it must be.
    """
    workdir = pathlib.Path(workdir)
    record = run_record.read(workdir)
    step = checkpoint.verified_step(workdir / "checkpoints")
    if step is None:
        raise StoredStateRefused(f"{workdir}/checkpoints: no finished checkpoint; run `launch.py train` to its end")
    _require_data(record, workdir)
    config = ConfigDict(record["training"])
    choose_precision(config)
    model = model_of(config, record["classes"])
    image_shape = (record["crop_px"], record["crop_px"], len(record["channels"]))
    wanted = jax.eval_shape(lambda: state.stack_one(state.init_variables(model, 0, image_shape)))
    _, best, reached = checkpoint.restore(workdir / "checkpoints", step, None, wanted, run_record.facts(record))
    best, own = state.member(best, 0), reached["members"][0]  # a run is a cohort of one
    if finished and not own["stopped"] and step < config.train.steps:
        raise StoredStateRefused(f"{workdir}: training stands at step {step} of {config.train.steps}; run `launch.py "
                                 "train` to its end first")
    return Run(workdir, config, model, best, own["best_step"], record["run_id"], pathlib.Path(record["data_dir"]),
               tuple(record["channels"]), tuple(record["classes"]), tuple(record["markers"]), record["crop_px"])


def _require_data(record, workdir) -> None:
    """Refuse to go on without the data set of a run, and say how to name the place to which it was moved."""
    place = record["data_dir"]
    if not crop_arrays.is_data_set(place):
        raise StoredStateRefused(f"{place}: the data set of {workdir} is not there; if it was moved, say where: "
                                 f"`launch.py evaluate --workdir={workdir} --data=DIR`")
    if crop_arrays.identity(place) != record["data_sha256"]:
        raise StoredStateRefused(f"{place}: is not the data set that {workdir} was trained on, so its splits may "
                                 "differ; say where that one is with --data=DIR, or train again")


def how_far(workdir) -> tuple[int, str]:
    """Steps that a run has saved, 0 where none, and why it stopped before its last one, '' where it did not.

    Raises:
        StoredStateRefused: all checkpoints are damaged.
    """
    folder = pathlib.Path(workdir).absolute() / "checkpoints"
    step = checkpoint.newest_step(folder)
    return (
        (0, "") if step is None else (step, checkpoint_manifest.read(folder, step)["progress"]["members"][0]["stopped"])
    )


def predict(model, variables, inputs, crops: crop_arrays.Crops, batch: int = BATCH, embeddings: bool = True):
    """What a model says of `crops`, and what it makes of them on the way.

    Args:
        model: Flax module, `(image, train) -> (logits, taps)`.
        variables: of the model.
        inputs: `inputs_of` of the crops' channels.
        crops: N cells.
        batch: cells at a time, divided over the devices.
        embeddings: whether the taps are wanted too, which can cost as much as the logits.

    Returns:
        logits f32 [N, P] and embeddings {tap: f32 [N, D]}: each tap, mean over its positions; {} if not wanted.
    """
    step = compiled_prediction(model, inputs.func, tuple(sorted(inputs.keywords.items())), embeddings)
    if len(crops):
        return mesh.batchwise(
            functools.partial(step, variables),
            lambda rows: crop_arrays.arrays_of(crop_arrays.take(crops, rows)),
            len(crops),
            batch,
        )
    one = {name: jax.ShapeDtypeStruct((1, *a.shape[1:]), a.dtype) for name, a in crop_arrays.arrays_of(crops).items()}
    shapes = jax.eval_shape(step, variables, one)
    return jax.tree.map(lambda part: np.zeros((0, *part.shape[1:]), part.dtype), shapes)


@functools.lru_cache(maxsize=8)
def compiled_prediction(model, inputs, options, embeddings: bool):
    """What `predict` does for a batch, `(variables, arrays) -> (logits, embeddings)`, kept from call to call.

    Args:
        model: Flax module.
        inputs: `model_input.model_inputs`.
        options: its choices, as (name, value) pairs.
        embeddings: as of `predict`.
    """
    inputs = functools.partial(inputs, **dict(options))

    def step(variables, arrays):
        logits, taps = model.apply(variables, model_input.seen(inputs, arrays), train=False)
        return logits, {name: tap.mean(axis=(1, 2)) for name, tap in taps.items()} if embeddings else {}

    return jax.jit(step)


def choose_precision(training) -> None:
    """Have JAX know numbers of 64 bits where the model computes in them, and only there; before it is made."""
    jax.config.update("jax_enable_x64", training.model.dtype == "float64")


def model_of(training, classes):
    """The model that a training config describes, for `classes`."""
    chosen = training.model
    return models.build(chosen.name, len(classes), chosen.filters, chosen.depth, chosen.dropout, chosen.dtype)


def inputs_of(training, channels: tuple[int, ...]):
    """`model_input.model_inputs` with the choices of a training config made; `channels` as positions."""
    chosen = training.data
    return functools.partial(model_input.model_inputs, channels=channels, mask=chosen.mask, scale=chosen.scale)
