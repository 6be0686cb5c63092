"""A trained model as a folder of two files that needs neither its run nor its data set: RUN/predictor/.

predictor.json says what the model is and what its cells were like; weights.npz holds the numbers. Arrays and JSON only,
so that the folder can be copied anywhere and read years later, and reading it runs no code of whoever wrote it.
"""

import dataclasses
import hashlib
import json
import math
import pathlib
import zipfile

import jax
import numpy as np
from flax import traverse_util
from ml_collections import ConfigDict

from cellcycle_jax import files, old_names, schema, stored_config
from cellcycle_jax.dataset import cell_table, crop_arrays, model_input
from cellcycle_jax.devices import memory
from cellcycle_jax.errors import InputRefused, StoredStateRefused
from cellcycle_jax.models.network import Network
from cellcycle_jax.prediction import field_alarms, novelty, verdict
from cellcycle_jax.runs import run_record, state, trained_run
from cellcycle_jax.runs.passport_file import read_passport
from cellcycle_jax.scoring import calibration, intervals, metrics
from cellcycle_jax.scoring.intervals import Interval
from cellcycle_jax.scoring.jackknife import SHARE

FOLDER = "predictor"
RECORD = "predictor.json"
WEIGHTS = "weights.npz"
NOVELTY = "novelty"  # in weights.npz, beside the variables of the model: what training cells look like to it
FORMAT = 1  # of the folder; another number is refused
SIMULATED = "trained on simulated fields"
SEED = 0  # of which groups are left out together, where they are many
LEAST_CALLED = 30  # cells called a class without which nothing is said of how many of them are right
UNREADABLE = (OSError, ValueError, TypeError, KeyError, RecursionError, zipfile.BadZipFile)


@dataclasses.dataclass(frozen=True)
class Predictor:
    """A trained model, its calibration, and what it was trained on."""

    network: Network
    training: ConfigDict  # the training config
    channels: tuple[str, ...]  # what the model sees, in order
    classes: tuple[str, ...]
    markers: tuple[str, ...]  # channels that made the labels; new fields need not have them
    nucleus: str
    stains: tuple[str, ...]
    crop_px: int
    um_per_px: float | None  # of the crops, None where unknown
    calibration: calibration.Calibration
    min_confidence: float  # calibrated probability below which a prediction is no decision
    step: int
    run_id: str
    preparation: dict  # config and channels with which the fields of training were prepared
    validation: dict  # how good it was on fields that it was not trained on
    explained: dict | None  # what the passport said of these weights, see `verdict.summary_of`; None: nothing
    note: str  # said with every prediction, "" for nothing
    splits_of_pictures: dict[str, list[str]]  # SHA-256 of a field's pixels -> its splits; {} of earlier versions
    cells: novelty.KnownCells
    fields: field_alarms.KnownFields

    def predict(self, crops: crop_arrays.Crops) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Logits f32 [N, P] and embeddings {tap: f32 [N, D]} of crops with any channels, these among them.

        Raises:
            InputRefused: the crops have another size than those of training, lack a channel or what the mask needs.
        """
        return trained_run.predict(self.network, self._inputs(crops), crops)

    def images(self, crops: crop_arrays.Crops) -> np.ndarray:
        """What the model sees of crops, f32 [N, S, S, K]; raises as `predict`."""
        return trained_run.images_of(self._inputs(crops), crops)

    def _inputs(self, crops: crop_arrays.Crops):
        size = crops.image.shape[1]
        if size != self.crop_px:
            raise InputRefused(f"crops of {size} px, but the model was trained on crops of {self.crop_px} px; cut them "
                               f"with the preparation config of {RECORD}")
        self.require_channels(crops.channels)
        chosen = self.training.data
        model_input.require_compartments(crops.compartments_present, chosen.mask, chosen.scale)
        return trained_run.inputs_of(self.training, crop_arrays.channel_indices(crops, self.channels))

    @property
    def verdict(self) -> verdict.Verdict:
        """What is known of its worth."""
        return verdict.verdict_of(self.explained, self.validation, self.classes)

    def require_channels(self, channels) -> None:
        """Refuse crops that lack a channel which the model was trained with.

        Raises:
            InputRefused: names what there is and what is needed.
        """
        missing = [name for name in self.channels if name not in channels]
        if missing:
            raise InputRefused(f"no channel {', '.join(missing)}: the crops have {', '.join(channels)}, the model was "
                               f"trained with {', '.join(self.channels)}; name channels as in training")

    def vocabulary(self, channels) -> dict:
        """What `crop_arrays.crops_of_field` takes beside the cells, for crops with these channels."""
        return {
            "channels": tuple(channels),
            "classes": self.classes,
            "markers": self.markers,
            "nucleus": self.nucleus,
            "stains": self.stains,
            "group_by": "field",
        }


def crops_of(trained: trained_run.Run, split: str, final: bool = False) -> crop_arrays.Crops:
    """The crops of a split that a run judges: of its cell lines. Pixels that would fill the memory stay on disk.

    Args:
        trained: the run.
        split, final: as of `crop_arrays.load_crops`.
    """
    return memory.read_if_they_fit(trained.crops_of_lines(split, final))


def export_predictor(trained: trained_run.Run, crops: crop_arrays.Crops, predicted, scores: dict) -> pathlib.Path:
    """Write RUN/predictor: all that is needed to judge new fields.

    Args:
        trained: the run, at its end.
        crops: of its validation split; predicted: what `trained.predict` says of them.
        scores: what `evaluate` found on them, with temperature and class_biases.

    Returns:
        The folder.
    """
    own = crops_of(trained, "train")
    cells = trained.data.cells
    rows = cell_table.rows_by_id(cells, own.cell_id)
    logits, unseen = predicted
    _, embedding = trained.predict(own)
    known = novelty.fit_cells(embedding, own.label, unseen, rows, trained.channels, own.nucleus)
    judged = novelty.judge_cells(known, unseen, cell_table.rows_by_id(cells, crops.cell_id))
    record = _described(trained, own)
    record["temperature"] = scores["temperature"]
    record["class_biases"] = scores["class_biases"]
    record["validation"] = _expected(trained.config, crops, logits, scores, judged)
    record["fields"] = dataclasses.asdict(field_alarms.fit_fields(rows, trained.channels))
    record["cells"], known_arrays = known.stored()
    arrays = {**jax.device_get(trained.network.variables), NOVELTY: known_arrays}
    folder = trained.workdir / FOLDER
    with files.atomic_path(folder / WEIGHTS) as temporary:
        np.savez(temporary, **traverse_util.flatten_dict(arrays, sep="/"))
    record["weights_sha256"] = files.sha256(folder / WEIGHTS)
    passport = read_passport(trained.workdir)
    if passport and _is_of(passport, record):
        record["explained"] = verdict.summary_of(passport)
    _write_record(folder, record)
    return folder


def add_verdict(workdir, passport: dict) -> None:
    """Let the predictor in a run folder know what the passport says, if it is of the same weights.

    Args:
        workdir: the run folder; without a predictor nothing is done, and `export_predictor` looks for the passport.
        passport: as `passport.make_passport` makes it.

    Raises:
        StoredStateRefused: the predictor is damaged.
    """
    folder = pathlib.Path(workdir) / FOLDER
    if not (folder / RECORD).is_file():
        return
    record = _read_record(folder)
    if _is_of(passport, record):
        _write_record(folder, record | {"explained": verdict.summary_of(passport)})


def _is_of(passport, record) -> bool:
    return (passport["run_id"], passport["step"]) == (record["run_id"], record["step"])


def _write_record(folder, record) -> None:
    record = files.to_json(record)  # as it is read back, which is what the digest is of
    files.write_json(folder / RECORD, record | {"sha256": _digest(record)})


def _described(trained, own) -> dict:
    """The model and its cells `own`, as far as nothing has to be computed for it."""
    made = crop_arrays.provenance(trained.data_dir)
    chosen = trained.config.predict
    notes = [SIMULATED] if made["config"]["source"] == "simulated" else []
    if chosen.note:
        notes.append(chosen.note)
    pixel_sizes = own.um_per_px[np.isfinite(own.um_per_px)]
    return {
        "format": FORMAT,
        "run_id": trained.run_id,
        "step": trained.step,
        "training": trained.config.to_dict(),
        "channels": trained.channels,
        "classes": trained.classes,
        "markers": own.markers,
        "nucleus": own.nucleus,
        "stains": own.stains,
        "crop_px": own.image.shape[1],
        "um_per_px": float(np.median(pixel_sizes)) if len(pixel_sizes) else None,
        "min_confidence": chosen.min_confidence,
        "preparation": {"config": made["config"], "channels": made["channels"]},
        "note": "; ".join(notes),
        "splits_of_pictures": made.get("splits_of_pictures", {}),
    }


def _expected(config, crops, logits, scores, judged) -> dict:
    """What to expect of predictions on fields like those of validation."""
    calibrated_by = calibration.Calibration(scores["temperature"], tuple(scores["class_biases"]))
    sure = calibrated_by.confidence(logits) >= config.predict.min_confidence
    decided = sure & (crops.label != schema.NO_LABEL)
    called = logits[decided].argmax(axis=1)
    groups = crops.group_id[decided]
    resampling = intervals.Resampling.of_config(config.evaluate, SEED)
    return {
        "balanced_accuracy": scores["model"]["balanced_accuracy"],
        "interval_level": scores["interval_level"],
        "n_cells": scores["n_cells"],
        "n_fields": scores["n_fields"],
        "n_groups": scores["n_groups"],
        "coverage": float(sure.mean()),
        "unlike": float((judged["novelty"] > 1).mean()),
        "precision": precision_by_class(called, crops.label[decided], groups, crops.classes, resampling),
    }


def precision_by_class(called, label, groups, classes, resampling: intervals.Resampling) -> dict:
    """Of the cells that are called each class, the share that is right, and of how many.

    Args:
        called: i64 [n], index of the class that each cell is called.
        label: i32 [n], index of its label.
        groups: text [n], what intervals leave out.
        classes: names.
        resampling: how intervals are made.

    Returns:
        {class: {"n": int, "value", "low", "high": float}}, NaN where they are not known, and all of fewer than
        `LEAST_CALLED` cells.
    """
    precision = {}
    for number, name in enumerate(classes):
        of_class = np.flatnonzero(called == number)
        share = Interval(math.nan)
        if len(of_class) >= LEAST_CALLED:
            is_right = (label[of_class] == number).astype(float)
            share = _mean_share(is_right, groups[of_class], resampling)
        precision[name] = {"n": len(of_class), **share.without_counts().as_json()}
    return precision


def _mean_share(is_true, groups, resampling) -> Interval:
    """The share of cells of which something is true, 0 or 1 f64 [n], with its interval over groups."""
    def score(weights):
        return {"share": metrics.divide(weights @ is_true, weights.sum(axis=1))}

    return resampling.intervals(score, groups, SHARE)["share"]


def load_predictor(folder) -> Predictor:
    """The predictor in a run folder, or in a folder that was copied out of one.

    Raises:
        StoredStateRefused: there is none, it is damaged, or of another format.
    """
    folder = pathlib.Path(folder)
    inside = folder / FOLDER
    is_run = inside.is_dir() or (folder / "config.json").is_file()
    if is_run and not (folder / RECORD).is_file():
        if not (inside / RECORD).is_file():
            raise StoredStateRefused(f"{folder}: this run has no finished predictor; run `launch.py evaluate` first")
        folder = inside
    if not (folder / RECORD).is_file():
        raise StoredStateRefused(f"{folder}: no {RECORD}; name a run folder, or the folder {FOLDER} of one")
    record = _read_record(folder)
    try:
        if files.sha256(folder / WEIGHTS) != record["weights_sha256"]:
            raise ValueError(f"SHA-256 of {WEIGHTS} differs")
        record = _of_today(record, folder / RECORD)
        with np.load(folder / WEIGHTS, allow_pickle=False) as stored:
            return _predictor(record, dict(stored))
    except UNREADABLE as error:
        raise _damaged(folder, error) from None


def _read_record(folder) -> dict:
    """predictor.json, if it is as it was written and of this format; it need not have all fields of today."""
    try:
        record = files.read_json(folder / RECORD)
        if record["format"] != FORMAT:
            raise StoredStateRefused(f"{folder / RECORD}: format {record['format']!r} is of another version of this "
                                     f"program, which reads {FORMAT}; run `launch.py evaluate` with this one")
        if record["sha256"] != _digest(record):
            raise ValueError("SHA-256 differs")
    except UNREADABLE as error:
        raise _damaged(folder, error) from None
    no_biases = [0.0] * len(record["classes"])  # of earlier versions
    return {"explained": None, "splits_of_pictures": {}, "class_biases": no_biases, **record}


def _damaged(folder, error):
    return StoredStateRefused(f"{folder}: damaged or incomplete ({type(error).__name__}: {error}); copy it again, or "
                              "run `launch.py evaluate` again")


def _of_today(record, where) -> dict:
    """The record under the names of today, with all fields of today in its two configs."""
    training = run_record.training_of_today(record["training"], f"{where}: training")
    made = record["preparation"]
    config = stored_config.read(made["config"], stored_config.PREPARATION, f"{where}: preparation.config")
    return {
        **record,
        "training": training,
        "preparation": {**made, "config": config},
        "validation": old_names.keys_of_today(record["validation"], old_names.INTERVAL_LEVEL),
    }


def _predictor(record, arrays) -> Predictor:
    training = ConfigDict(record["training"])
    model = trained_run.model_of(training, record["classes"])
    image_shape = (record["crop_px"], record["crop_px"], len(record["channels"]))
    expected = jax.eval_shape(lambda: state.init_variables(model, 0, image_shape))
    variables = {"batch_stats": {}, **traverse_util.unflatten_dict(arrays, sep="/")}
    layers = variables.pop(NOVELTY)
    if jax.tree.map(np.shape, variables) != jax.tree.map(np.shape, expected):
        raise ValueError("the weights do not fit the model of the training config")
    return Predictor(
        network=Network(model, jax.device_put(variables)),
        training=training,
        channels=tuple(record["channels"]),
        classes=tuple(record["classes"]),
        markers=tuple(record["markers"]),
        nucleus=record["nucleus"],
        stains=tuple(record["stains"]),
        crop_px=record["crop_px"],
        um_per_px=record["um_per_px"],
        calibration=calibration.Calibration(record["temperature"], tuple(record["class_biases"])),
        min_confidence=record["min_confidence"],
        step=record["step"],
        run_id=record["run_id"],
        preparation=record["preparation"],
        validation=record["validation"],
        explained=record["explained"],
        note=record["note"],
        splits_of_pictures=record["splits_of_pictures"],
        cells=novelty.KnownCells.of(record["cells"], layers),
        fields=field_alarms.KnownFields(**record["fields"]),
    )


def _digest(record) -> str:
    """SHA-256 of what predictor.json holds, but for the note, which anyone may write."""
    sealed = {name: value for name, value in record.items() if name not in ("sha256", "note")}
    return hashlib.sha256(json.dumps(sealed, sort_keys=True).encode()).hexdigest()
