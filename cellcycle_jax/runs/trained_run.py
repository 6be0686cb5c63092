"""A run folder read back: the trained model, and what it says of crops."""

import dataclasses
import functools
import pathlib

import jax
import numpy as np

from cellcycle_jax import models
from cellcycle_jax.dataset import crop_arrays, model_input
from cellcycle_jax.devices import mesh
from cellcycle_jax.errors import StoredStateRefused
from cellcycle_jax.models.network import Network
from cellcycle_jax.runs import checkpoint, checkpoint_manifest, run_record, state
from cellcycle_jax.runs.open_data import OpenData
from cellcycle_jax.runs.stored_run import StoredRun, of_record

BATCH = 64  # cells on the device at a time


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run(StoredRun):
    """A trained model and what it was trained on."""

    network: Network  # with the weights that training kept
    step: int  # steps after which training kept them

    def inputs(self, crops: crop_arrays.Crops):
        """`model_input.model_inputs` with this run's choices made, for crops of any data set that has its channels."""
        model_input.require_compartments(crops.compartments_present, self.config.data.mask, self.config.data.scale)
        return inputs_of(self.config, crop_arrays.channel_indices(crops, self.channels))

    def images(self, crops: crop_arrays.Crops) -> np.ndarray:
        """What the model sees of `crops`, f32 [N, S, S, K]."""
        return images_of(self.inputs(crops), crops)

    def predict_logits(self, crops: crop_arrays.Crops, batch: int = BATCH) -> np.ndarray:
        """Logits of `crops`, f32 [N, P], `batch` cells on the device at a time."""
        return predict(self.network, self.inputs(crops), crops, batch, embeddings=False)[0]

    def predict(self, crops: crop_arrays.Crops, batch: int = BATCH) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Logits f32 [N, P] and embeddings {tap: f32 [N, D]} of `crops`; see `predict` below."""
        return predict(self.network, self.inputs(crops), crops, batch)


def load_run(workdir, finished: bool = False, data: OpenData | None = None) -> Run:
    """The run in `workdir`, with the weights that training kept.

    Args:
        workdir: the run folder.
        finished: whether training must be at its end: all steps done, or stopped early.
        data: the data set of the run, if it is open; None: opened where the run says that it is.

    Raises:
        StoredStateRefused: no run, no finished checkpoint, one that is damaged or of another model, a data set that is
            gone or has been prepared anew, or training that is not at its end though it must be.
    """
    record = run_record.read(workdir)
    stored = of_record(workdir, record, data)
    config = stored.config
    folder = stored.workdir / "checkpoints"
    step = checkpoint.verified_step(folder)
    if step is None:
        raise StoredStateRefused(f"{folder}: no finished checkpoint; run `launch.py train` to its end")
    choose_precision(config)
    model = model_of(config, stored.classes)
    image_shape = (stored.crop_px, stored.crop_px, len(stored.channels))
    wanted = jax.eval_shape(lambda: state.stack_one(state.init_variables(model, 0, image_shape)))
    _, best, reached = checkpoint.restore(folder, step, None, wanted, run_record.checkpoint_metadata(record))
    own = reached["members"][0]  # a run is a cohort of one
    if finished and not own["stopped"] and step < config.train.steps:
        raise StoredStateRefused(f"{workdir}: training stands at step {step} of {config.train.steps}; run `launch.py "
                                 "train` to its end first")
    fields = {field.name: getattr(stored, field.name) for field in dataclasses.fields(stored)}
    # On the devices once, and not with each batch that is predicted.
    variables = mesh.put_global(state.member(best, 0), mesh.replicated(mesh.make_mesh()))
    return Run(**fields, network=Network(model, variables), step=own["best_step"])


def last_step(workdir) -> tuple[int, str]:
    """Steps that a run has saved, 0 where none, and why it stopped before its last one, '' where it did not.

    Raises:
        StoredStateRefused: all checkpoints are damaged.
    """
    folder = pathlib.Path(workdir).absolute() / "checkpoints"
    step = checkpoint.newest_step(folder)
    if step is None:
        return 0, ""
    progress = checkpoint_manifest.read(folder, step)["progress"]
    return step, progress["members"][0]["stopped"]


def predict(network: Network, inputs, crops: crop_arrays.Crops, batch: int = BATCH, embeddings: bool = True):
    """Logits of `crops`, and the means of the activations on the way to them.

    Args:
        network: of P classes.
        inputs: `inputs_of` of the crops' channels.
        crops: N cells.
        batch: cells at a time, divided over the devices.
        embeddings: whether the taps are wanted too, which can cost as much as the logits.

    Returns:
        logits f32 [N, P] and embeddings {tap: f32 [N, D]}: each tap, mean over its positions; {} if not wanted.
    """
    step = functools.partial(_prediction, network, options=_options(inputs), embeddings=embeddings)
    return _batchwise(step, crops, batch)


def images_of(inputs, crops: crop_arrays.Crops) -> np.ndarray:
    """What a model sees of crops, f32 [N, S, S, K]; `inputs` as of `inputs_of`."""
    return _batchwise(functools.partial(_seen, options=_options(inputs)), crops, BATCH)


def _options(inputs) -> tuple:
    """The choices of `inputs_of` as (name, value) pairs, which JAX can tell programs by."""
    return tuple(sorted(inputs.keywords.items()))


def _batchwise(step, crops, batch: int):
    """What `step` gives for the arrays of all crops, `batch` at a time; arrays without rows where there is no crop."""
    if len(crops):
        def batch_of(rows):
            return crop_arrays.arrays_of(crop_arrays.take(crops, rows))

        return mesh.batchwise(step, batch_of, len(crops), batch)
    one_cell = {}
    for name, array in crop_arrays.arrays_of(crops).items():
        one_cell[name] = jax.ShapeDtypeStruct((1, *array.shape[1:]), array.dtype)
    shapes = jax.eval_shape(step, one_cell)
    return jax.tree.map(lambda part: np.zeros((0, *part.shape[1:]), part.dtype), shapes)


@functools.partial(jax.jit, static_argnames=("options", "embeddings"))
def _prediction(network, arrays, options, embeddings: bool):
    """What `predict` does for a batch; `options` are those of `model_input.model_inputs`, as (name, value) pairs."""
    image = _seen(arrays, options)
    if embeddings:
        return network.embeddings(image)
    return network.logits(image), {}


@functools.partial(jax.jit, static_argnames="options")
def _seen(arrays, options):
    """What a model sees of a batch, f32 [B, S, S, K]; `options` as of `_prediction`."""
    inputs = functools.partial(model_input.model_inputs, **dict(options))
    return model_input.model_images(inputs, arrays)


def choose_precision(training) -> None:
    """Have JAX know numbers of 64 bits where the model computes in them, and only there; before it is made."""
    jax.config.update("jax_enable_x64", training.model.dtype == "float64")


def model_of(training, classes):
    """The model that a training config describes, for `classes`."""
    chosen = training.model
    return models.build(chosen.name, len(classes), chosen.filters, chosen.depth, chosen.dropout, chosen.dtype,
                        tuple(chosen.options))


def inputs_of(training, channels: tuple[int, ...]):
    """`model_input.model_inputs` with the choices of a training config made; `channels` as positions."""
    chosen = training.data
    return functools.partial(model_input.model_inputs, channels=channels, mask=chosen.mask, scale=chosen.scale)
