"""Predictions and scores of a run on one split, beside the baselines that a network has to beat.

The test split is opened by `evaluate --final` alone, which logs that it did. What was found on a split is kept under
the split's name, and evaluation.json and predictions.parquet repeat the split that was asked for last.
"""

import datetime
import pathlib

import numpy as np
import pandas as pd

from cellcycle_jax import files, schema
from cellcycle_jax.dataset import cell_table, crop_arrays
from cellcycle_jax.dataset.model_input import OUTLINED
from cellcycle_jax.evaluation import baselines
from cellcycle_jax.prediction import predict, predictor
from cellcycle_jax.runs import metric_log
from cellcycle_jax.runs.trained_run import load_run
from cellcycle_jax.scoring import calibration, intervals, metrics

RESAMPLING_SEED = 0


def evaluate(workdir, final: bool = False) -> None:
    """Score the run on its validation split, or with `final` on the locked test split.

    Writes RUN/predictions.parquet and RUN/evaluation.json, and the same under the split's name
    (predictions_<split>.parquet, evaluation_<split>.json). docs/data.md lists what is in them. On validation it also
    writes RUN/predictor, which judges new fields.

    Raises:
        StoredStateRefused: the run or its data set is missing, damaged, or they do not belong together.
    """
    workdir = pathlib.Path(workdir)
    run = load_run(workdir, finished=final)
    chosen = run.config.evaluate
    resampling = intervals.Resampling(chosen.bootstraps, chosen.confidence, RESAMPLING_SEED)
    split = "validation"
    cells = run.data.cells
    if final:
        split = "test"
        cells = cell_table.unlocked(cell_table.load_cells(run.data_dir), final)
        log_opening(workdir, run.step)
    crops = predictor.crops_of(run, "validation")
    logits, _ = predicted = run.predict(crops)
    temperature = calibration.fit_temperature(logits, crops.label)
    if final:
        crops = predictor.crops_of(run, split, final)
        logits = run.predict_logits(crops)
    rows = cell_table.rows_by_id(cells, crops.cell_id)
    predictions = prediction_table(rows, logits, run.classes, temperature)
    result = score(rows, crops.label, logits, temperature, fitted_baselines(cells, run, crops), run, resampling)
    source = cell_table.label_intensity(run.data_dir)
    result["circular"] = [name for name, columns in result["baseline_features"].items()
                          if any(cell_table.is_intensity_of(column, source) for column in columns)]
    result = {"split": split, "group_by": crops.group_by, "temperature": temperature, "step": run.step, **result,
              "notes": notes(run, crops, split)}
    for name in (f"_{split}", ""):
        path = workdir / f"predictions{name}.parquet"
        files.write_table(predictions, path)
        files.write_sealed_json(workdir / f"evaluation{name}.json", result | {"predictions_sha256": files.sha256(path)})
    if not final:
        predictor.freeze(run, crops, predicted, result)
    _say(result)


def log_opening(workdir, step: int) -> None:
    """Write down in a run's metrics.jsonl that the locked test split is opened for its weights of `step`."""
    metric_log.append(workdir, {"event": "final_opened", "split": "test", "time": _now(), "step": step})


def prediction_table(rows, logits, classes, temperature) -> pd.DataFrame:
    """One row per cell: its Metadata_ columns, label, predicted, prob_<class>, and the confidence after calibration.

    `calibrated` is the calibrated probability of the predicted class, `calibrated_<class>` that of each class.
    """
    metadata = rows.columns[rows.columns.str.startswith("Metadata_")]
    table = rows[metadata].copy()
    prob, calibrated = predict.class_probabilities(logits, classes, temperature, rows.index)
    table["label"] = rows[schema.LABEL].to_numpy()
    table["predicted"] = np.array(classes)[logits.argmax(axis=1)]
    confidence = calibrated.max(axis=1).rename("calibrated")
    return pd.concat([table, prob, confidence, calibrated], axis=1)


def fitted_baselines(cells, run, crops):
    """The baselines, and on simulated fields the oracle, fitted on the training split's cells of the run's lines."""
    return fit_simple(cells, run, crops), baselines.fit_oracle(_train_rows(cells, run), run.classes)


def fit_simple(cells, run, crops):
    """The baselines alone."""
    train = _train_rows(cells, run)
    masked = run.config.data.mask in OUTLINED
    return baselines.fit_baselines(train[train[schema.LABEL] != ""], run.channels, crops.nucleus, run.classes,
                                   crops.markers, masked)


def _train_rows(cells, run):
    train = cells[cells[schema.SPLIT] == "train"]
    lines = list(run.config.data.cell_lines)
    return train[train[schema.CELL_LINE].isin(lines)] if lines else train


def score(rows, label, logits, temperature, fitted, run, resampling) -> dict:
    """Scores on the labelled cells, and against the true phase on every interphase cell where it is known."""
    simple, oracle = fitted
    prob = calibration.apply_temperature(logits, 1.0)
    rivals = simple.predict(rows)
    known = np.flatnonzero(label != schema.NO_LABEL)
    result = compare(rows, known, label, prob, rivals, resampling)
    calibrated = calibration.apply_temperature(logits, temperature)
    result["model_calibrated"] = _scores(label, calibrated, rows, known, resampling, ("ece", "brier"))
    result["reliability"] = {name: _curve(label[known], p[known]) for name, p in
                             (("raw", prob), ("calibrated", calibrated))}
    result |= {"classes": run.classes, "confidence": resampling.confidence, "baseline_features": simple.features}
    if oracle is None:
        return result
    truth = pd.Index(run.classes).get_indexer(rows[schema.TRUE_PHASE])
    known = np.flatnonzero(truth >= 0)
    result["truth"] = compare(rows, known, truth, prob, rivals, resampling)
    result["truth"]["oracle"] = _scores(truth, oracle.predict(rows), rows, known, resampling)
    result["truth"]["oracle_features"] = list(oracle.inputs.features)
    both = known[label[known] != schema.NO_LABEL]
    result["truth"]["label_agreement"] = float(np.mean(label[both] == truth[both])) if len(both) else None
    result["truth"]["label_abstained"] = float(np.mean(label[known] == schema.NO_LABEL))
    return result


def compare(rows, known, label, prob, rivals, resampling) -> dict:
    """Scores of the model and its rivals on the cells `known`, and the model's lead over each, all with intervals."""
    groups = rows[schema.GROUP].to_numpy()[known]
    lead = {}
    for name, rival in rivals.items():
        lead[name] = resampling.differences(label[known], prob[known], rival[known], groups,
                                            ("balanced_accuracy", "auroc"))
    return {
        "n_cells": len(known), "n_fields": int(rows[schema.FIELD].iloc[known].nunique()),
        "n_groups": int(rows[schema.GROUP].iloc[known].nunique()),
        "model": _scores(label, prob, rows, known, resampling),
        "baselines": {name: _scores(label, p, rows, known, resampling) for name, p in rivals.items()},
        "differences": lead, "confusion": metrics.confusion(label[known], prob[known])[0].astype(int),
    }


def _scores(label, prob, rows, known, resampling, names=tuple(metrics.METRICS)):
    groups = rows[schema.GROUP].to_numpy()[known]
    return resampling.scores(label[known], prob[known], groups, names)


def _curve(label, prob):
    confidence, accuracy, count = calibration.reliability_curve(label, prob)
    return {"confidence": confidence, "accuracy": accuracy, "count": count}


def notes(run, crops, split) -> list[str]:
    """What these scores cannot show, in plain sentences for the report."""
    return [f"Intervals resample whole groups ({crops.group_by}); one trained network, one seed.",
            *caveats(run, crops, split)]


def caveats(run, crops, split) -> list[str]:
    """What no score of such a run on such cells can show."""
    made, said = crop_arrays.provenance(run.data_dir), []
    if made["config"]["phase"]["method"] == "dna_content":
        said.append(f"Labels are pseudo-labels: integrated {crops.nucleus} over the field's G1 peak, computed from the "
                    "channel the network sees. The baseline integrated_dna is the label itself, and area follows it.")
        if run.config.data.scale == "own_max":
            said.append("Scaled to its own maximum a nucleus still tells its brightness by how fine noise and grey "
                        "steps are, so the lead over nuclear area is an upper bound on what shape and texture add.")
    if run.config.data.mask in OUTLINED and crops.nucleus not in run.channels:
        said.append(f"The network does not see {crops.nucleus}, but the mask follows the nucleus, so its size and "
                    "shape show in every channel; all_features is given them too.")
    if not run.config.train.balance:
        said.append("The baselines weigh the classes alike and the network was trained without, so their balanced "
                    "accuracies do not compare; AUROC does.")
    labelled = crops.group_id[crops.label != schema.NO_LABEL]
    if few := intervals.caveat(len(set(labelled.tolist()))):
        said.append(few)
    if run.config.data.mask == "ring":
        said.append("A control: the network sees the outer ring of the crops and no cell, so any score above chance is "
                    "read from background, light or neighbours.")
    said += made["notes"]
    if made["config"]["source"] == "simulated":
        said.append("The cells are simulated: scores show that the tools work, nothing about biology.")
    if split == "validation":
        said.append("Validation chose the weights and the temperature, so its scores are a little too good.")
    return said


def _now():
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _say(result):
    """On the terminal: the scores beside those of the rivals, with the model's lead over each, and the notes."""
    for name, part in (("labels", result), ("the true phase", result.get("truth"))):
        if not part:
            continue
        print(f"\n{result['split']} split against {name}: {part['n_cells']} cells, {part['n_fields']} fields, "
              f"{part['n_groups']} groups; {result['confidence']:.0%} intervals")
        print(f"{'':16}{'balanced accuracy':26}{'AUROC':26}{'lead, balanced accuracy':26}lead, AUROC")
        rows = {"model": part["model"], **part["baselines"], **({"oracle": part["oracle"]} if "oracle" in part else {})}
        for row, scores in rows.items():
            lead = part["differences"].get(row)
            cells = [scores["balanced_accuracy"], scores["auroc"]]
            cells += [lead["balanced_accuracy"], lead["auroc"]] if lead else []
            print(f"{row:16}" + "".join(f"{interval.text(3):26}" for interval in cells).rstrip())
    print()
    for note in result["notes"]:
        print(f"- {note}")
    print(flush=True)
