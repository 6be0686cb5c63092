"""A run folder: the record of what it was made with, and the trained model read back."""

import dataclasses
import functools
import hashlib
import json
import pathlib
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from cellcycle_jax import checkpoint, data, files, manifest, mesh, model_input, models, state
from cellcycle_jax.errors import StoredStateRefused, UsageError

CONFIG, COHORT = "config.json", "cohort.json"  # the record of a run, and of several that are trained as one program
RECORDS = {CONFIG: ("training", "channels", "classes", "markers", "crop_px", "data_sha256", "run_id", "data_dir"),
           COHORT: ("members", "run_id")}
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

    def inputs(self, crops: data.Crops):
        """`model_input.model_inputs` with this run's choices made, for crops of any data set that has its channels."""
        model_input.require_compartments(crops.compartments_present, self.config.data.mask, self.config.data.scale)
        return inputs_of(self.config, data.channel_indices(crops, self.channels))

    def images(self, crops: data.Crops) -> np.ndarray:
        """What the model sees of `crops`, f32 [N, S, S, K]."""
        return np.asarray(model_input.seen(self.inputs(crops), data.arrays_of(crops)))

    def predict_logits(self, crops: data.Crops, batch: int = BATCH) -> np.ndarray:
        """Logits of `crops`, f32 [N, P], `batch` cells on the device at a time."""
        return predict(self.model, self.variables, self.inputs(crops), crops, batch, embeddings=False)[0]

    def predict(self, crops: data.Crops, batch: int = BATCH) -> tuple[np.ndarray, dict[str, np.ndarray]]:
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
    record = read_record(workdir)
    step = checkpoint.verified_step(workdir / "checkpoints")
    if step is None:
        raise StoredStateRefused(f"{workdir}/checkpoints: no finished checkpoint; run `launch.py train` to its end")
    if data.identity(record["data_dir"]) != record["data_sha256"]:
        raise StoredStateRefused(f"{record['data_dir']}: is not the data set that {workdir} was trained on, so "
                                 "its splits may differ; train again, or bring the data set back")
    config = ConfigDict(record["training"])
    choose_precision(config)
    model = model_of(config, record["classes"])
    image_shape = (record["crop_px"], record["crop_px"], len(record["channels"]))
    wanted = jax.eval_shape(lambda: state.stack_one(state.init_variables(model, 0, image_shape)))
    _, best, reached = checkpoint.restore(workdir / "checkpoints", step, None, wanted, facts(record))
    best, own = state.member(best, 0), reached["members"][0]  # a run is a cohort of one
    if finished and not own["stopped"] and step < config.train.steps:
        raise StoredStateRefused(f"{workdir}: training stands at step {step} of {config.train.steps}; run `launch.py "
                                 "train` to its end first")
    return Run(workdir, config, model, best, own["best_step"], record["run_id"], pathlib.Path(record["data_dir"]),
               tuple(record["channels"]), tuple(record["classes"]), tuple(record["markers"]), record["crop_px"])


def how_far(workdir) -> tuple[int, str]:
    """Steps that a run has saved, 0 where none, and why it stopped before its last one, '' where it did not.

    Raises:
        StoredStateRefused: all checkpoints are damaged.
    """
    folder = pathlib.Path(workdir).absolute() / "checkpoints"
    step = checkpoint.newest_step(folder)
    return (0, "") if step is None else (step, manifest.read(folder, step)["progress"]["members"][0]["stopped"])


def predict(model, variables, inputs, crops: data.Crops, batch: int = BATCH, embeddings: bool = True):
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
        return mesh.batchwise(functools.partial(step, variables), lambda rows: data.arrays_of(data.take(crops, rows)),
                              len(crops), batch)
    one = {name: jax.ShapeDtypeStruct((1, *a.shape[1:]), a.dtype) for name, a in data.arrays_of(crops).items()}
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


def describe(config, data_dir, crops: data.Crops) -> dict:
    """What goes to RUN/config.json: everything that a run depends on, and `run_id`, its hash.

    Args:
        config: the training config.
        data_dir: folder that `prepare` wrote.
        crops: of its training split.

    Raises:
        UsageError, InputRefused: the channels asked for do not fit, or the model is too deep for the crops.
    """
    size = crops.image.shape[1]
    if 2 ** (config.model.depth + 1) > size:
        raise UsageError(f"config.model.depth={config.model.depth} halves crops of {size} px "
                         f"{config.model.depth + 1} times; at most {size.bit_length() - 2} is allowed")
    record = {
        "training": json.loads(json.dumps(config.to_dict())),
        "channels": [crops.channels[i] for i in data.channel_indices(crops, config.data.channels)],
        "classes": list(crops.classes),
        "markers": list(crops.markers),
        "crop_px": size,
        "data_sha256": data.identity(data_dir),
    }
    run_id = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:12]
    return {**record, "run_id": run_id, "data_dir": str(pathlib.Path(data_dir).absolute())}


def describe_cohort(records: dict) -> dict:
    """What goes to cohort.json: the record of every member by name, and `run_id`, a hash of theirs."""
    ids = {name: record["run_id"] for name, record in records.items()}
    run_id = hashlib.sha256(json.dumps(ids, sort_keys=True).encode()).hexdigest()[:12]
    return {"members": records, "run_id": run_id}


def facts(record: dict) -> dict:
    """What is written into every checkpoint, so that its numbers can be read: what goes in and what comes out."""
    if "members" in record:
        return {"run_id": record["run_id"], "members": {name: facts(one) for name, one in record["members"].items()}}
    chosen = record["training"]["data"]
    return {"run_id": record["run_id"], "classes": record["classes"], "channels": record["channels"],
            "mask": chosen["mask"], "scale": chosen["scale"], "crop_px": record["crop_px"]}


def read_record(workdir, name: str = CONFIG) -> dict:
    """What `describe` put into RUN/config.json, or `describe_cohort` into cohort.json.

    Raises:
        StoredStateRefused: there is no such file, or it is damaged.
    """
    path = pathlib.Path(workdir) / name
    if not path.is_file():
        raise StoredStateRefused(f"{workdir}: no {name}, so this is no run folder; use `launch.py train`")
    try:
        record = files.read_json(path)
        missing = [key for key in RECORDS[name] if key not in record]
    except (ValueError, TypeError) as error:
        raise StoredStateRefused(f"{path}: damaged ({error}); train in a new --workdir") from None
    if missing:
        raise StoredStateRefused(f"{path}: damaged ({missing[0]} is missing); train in a new --workdir")
    return record


def claim(workdir, record: dict) -> None:
    """Write RUN/config.json (of a cohort cohort.json), or find the same one there.

    Raises:
        StoredStateRefused: the folder holds a run of another config or data set, or a damaged one.
    """
    path = pathlib.Path(workdir) / (COHORT if "members" in record else CONFIG)
    if path.is_file():
        stored, asked = manifest.flat(read_record(workdir, path.name)), manifest.flat(record)
        ignored = ("run_id", "data_dir")  # the same data set may have moved
        differing = [name for name in sorted(stored.keys() | asked.keys())
                     if not name.endswith(ignored) and stored.get(name) != asked.get(name)]
        if differing:
            found = ", ".join(f"{name} is {stored.get(name)!r} there and {asked.get(name)!r} now" for name in differing)
            raise StoredStateRefused(f"{path}: holds another run ({found}); use a new --workdir")
    files.write_json(path, record)
