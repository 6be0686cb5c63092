"""Predictions and scores of a run on one split, beside the baselines that a network has to beat.

The test split is opened by `evaluate --final` alone, which logs that it did. What was found on a split is kept under
the split's name, and evaluation.json and predictions.parquet repeat the split that was asked for last.
"""

import datetime
import pathlib

import numpy as np
import pandas as pd

from cellcycle_jax import files, openings, schema
from cellcycle_jax.dataset import cell_table, crop_arrays
from cellcycle_jax.dataset.model_input import OUTLINED
from cellcycle_jax.evaluation import baselines
from cellcycle_jax.prediction import predict, predictor
from cellcycle_jax.runs import metric_log
from cellcycle_jax.runs.open_data import OpenData
from cellcycle_jax.runs.trained_run import load_run
from cellcycle_jax.scoring import calibration, holm, intervals, metrics

RESAMPLING_SEED = 0


def evaluate(workdir, final: bool = False, data: OpenData | None = None) -> None:
    """Score the run on its validation split, or with `final` on the locked test split.

    Writes RUN/predictions.parquet and RUN/evaluation.json, and the same under the split's name
    (predictions_<split>.parquet, evaluation_<split>.json). docs/data.md lists what is in them. On validation it also
    writes RUN/predictor, which judges new fields.

    Args:
        workdir: the run folder.
        final: whether to open the test split.
        data: as of `trained_run.load_run`.

    Raises:
        StoredStateRefused: the run or its data set is missing, damaged, or they do not belong together.
    """
    workdir = pathlib.Path(workdir)
    run = load_run(workdir, finished=final, data=data)
    resampling = intervals.Resampling.of_config(run.config.evaluate, RESAMPLING_SEED)
    cells = run.data.cells
    opened_before = []
    if final:
        cells = cell_table.unlocked(run.data.all_cells, final)
        opened_before = log_opening(run)
    split = "test" if final else "validation"
    crops = predictor.crops_of(run, "validation")
    predicted = run.predict(crops)
    logits = predicted[0]
    fitted = calibration.fit(logits, crops.label)
    if final:
        crops = predictor.crops_of(run, split, final)
        logits = run.predict_logits(crops)
    rows = cell_table.rows_by_id(cells, crops.cell_id)
    predictions = prediction_table(rows, logits, run.classes, fitted)
    unlabelled = without_label(predictions, run.classes)
    scores = score(rows, crops.label, logits, fitted, fitted_baselines(run), run, resampling)
    result = {
        "split": split,
        "group_by": crops.group_by,
        "temperature": fitted.temperature,
        "class_biases": fitted.biases,
        "step": run.step,
        **scores,
        "circular": _circular(scores["baseline_features"], cell_table.label_intensity(run.data_dir)),
        "label_doubts": crop_arrays.provenance(run.data_dir)["label_doubts"],
        "notes": list(dict.fromkeys([*notes(run, crops, split), *unlabelled, *opened_before])),
    }
    for suffix in (f"_{split}", ""):
        path = workdir / f"predictions{suffix}.parquet"
        files.write_table(predictions, path)
        sealed = result | {"predictions_sha256": files.sha256(path)}
        files.write_sealed_json(workdir / f"evaluation{suffix}.json", sealed)
    if not final:
        predictor.export_predictor(run, crops, predicted, result)
    _say(result)


def _circular(baseline_features, channel) -> list[str]:
    """Names of the baselines that are given an intensity of `channel`, of which the labels were made."""
    circular = []
    for name, columns in baseline_features.items():
        if any(cell_table.is_intensity_of(column, channel) for column in columns):
            circular.append(name)
    return circular


def log_opening(run) -> list[str]:
    """Write down in the log of a run, and beside its data set, that the test split is opened for its weights.

    Returns:
        What is to be said of earlier openings of this test split, sentences.
    """
    pictures = crop_arrays.provenance(run.data_dir).get("splits_of_pictures", {})
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    metric_log.append(run.workdir, {"event": "final_opened", "split": "test", "time": now, "step": run.step})
    return openings.in_words(openings.add(run.data_dir, run.run_id, run.step, pictures))


def prediction_table(rows, logits, classes, calibrated_by) -> pd.DataFrame:
    """One row per cell: its Metadata_ columns, label, predicted, prob_<class>, and the confidence after calibration.

    `predicted` is the class of the highest logit. `confidence` is its calibrated probability, `calibrated_<class>` that
    of each class.
    """
    metadata = rows.columns[rows.columns.str.startswith("Metadata_")]
    table = rows[metadata].copy()
    said = predict.class_probabilities(logits, classes, calibrated_by, rows.index)
    table["label"] = rows[schema.LABEL].to_numpy()
    table["predicted"] = said.predicted
    return pd.concat([table, said.prob, said.confidence, said.calibrated], axis=1)


def without_label(predictions: pd.DataFrame, classes) -> list[str]:
    """A sentence on cells without a label, of which no score is; none where each has one.

    Args:
        predictions: as of `prediction_table`.
        classes: names.
    """
    is_labelled = predictions["label"] != ""
    if is_labelled.all() or not is_labelled.any():
        return []
    unlabelled = predictions[~is_labelled]
    labelled = predictions[is_labelled]
    last_class = classes[-1]
    called = (unlabelled["predicted"] == last_class).mean()
    called_of_labelled = (labelled["predicted"] == last_class).mean()
    return [
        f"{len(unlabelled):,} of {len(predictions):,} cells have no label, so no score is of them. The network calls "
        f"{called:.0%} of them {last_class}, with a median confidence of {unlabelled['confidence'].median():.2f}; of "
        f"those with a label {called_of_labelled:.0%}, with {labelled['confidence'].median():.2f}."
    ]


def fitted_baselines(run):
    """The baselines, and on simulated fields the oracle, fitted on the training split's cells of the run's lines."""
    def fit_oracle():
        return baselines.fit_oracle(_train_rows(run), run.classes)

    return fit_simple(run), run.data.made_once(("oracle", tuple(run.config.data.cell_lines)), fit_oracle)


def fit_simple(run):
    """The baselines alone; networks that see the same channels of the same lines share them."""
    shape_shown = run.config.data.mask in OUTLINED

    def fit():
        train = _train_rows(run)
        labelled = train[train[schema.LABEL] != ""]
        nucleus = run.data.crops("train").nucleus
        return baselines.fit_baselines(labelled, run.channels, nucleus, run.classes, run.markers, shape_shown)

    return run.data.made_once(("baselines", run.channels, tuple(run.config.data.cell_lines), shape_shown), fit)


def _train_rows(run):
    cells = run.data.cells
    train = cells[cells[schema.SPLIT] == "train"]
    lines = list(run.config.data.cell_lines)
    if lines:
        train = train[train[schema.CELL_LINE].isin(lines)]
    return train


def score(rows, label, logits, calibrated_by, fitted, run, resampling) -> dict:
    """Scores on the labelled cells, and against the true phase on every interphase cell where it is known.

    Args:
        rows: of the N cells in the table.
        label: i [N], `schema.NO_LABEL` for an unlabelled one.
        logits: f [N, P].
        calibrated_by: `calibration.Calibration`.
        fitted: what `fitted_baselines` returns.
        run: whose logits they are.
        resampling: how intervals are made.
    """
    simple, oracle = fitted
    prob = calibration.Calibration.none(len(run.classes)).probabilities(logits)
    calibrated = calibrated_by.probabilities(logits)
    rivals = simple.predict(rows)
    groups = rows[schema.GROUP].to_numpy()
    labelled = np.flatnonzero(label != schema.NO_LABEL)
    result = compare(rows, labelled, label, prob, rivals, resampling)
    result["model_calibrated"] = resampling.scores(
        label[labelled], calibrated[labelled], groups[labelled], ("ece", "brier")
    )
    by_chance = calibration.calibration_error_by_chance(calibrated[labelled], resampling.level, resampling.seed)
    result["calibration_error_by_chance"] = by_chance
    result["calibration_by_class"] = calibration.by_class(label[labelled], calibrated[labelled], run.classes)
    result["reliability"] = {
        "raw": calibration.reliability_curve(label[labelled], prob[labelled]),
        "calibrated": calibration.reliability_curve(label[labelled], calibrated[labelled]),
    }
    result["classes"] = run.classes
    result["interval_level"] = resampling.level
    result["baseline_features"] = simple.features
    if oracle is None:
        return result
    phase = pd.Index(run.classes).get_indexer(rows[schema.TRUE_PHASE])
    interphase = np.flatnonzero(phase >= 0)
    truth = compare(rows, interphase, phase, prob, rivals, resampling)
    of_oracle = oracle.predict(rows)[interphase]
    truth["oracle"] = resampling.scores(phase[interphase], of_oracle, groups[interphase])
    truth["oracle_features"] = list(oracle.inputs.features)
    both = interphase[label[interphase] != schema.NO_LABEL]
    truth["label_agreement"] = float(np.mean(label[both] == phase[both])) if len(both) else None
    truth["label_abstained"] = float(np.mean(label[interphase] == schema.NO_LABEL))
    return result | {"truth": truth}


def compare(rows, known, label, prob, rivals, resampling) -> dict:
    """Scores of the model and its rivals, and the model's lead over each, all with intervals.

    Args:
        rows: of the N cells in the table.
        known: i [n], positions of the cells that are scored.
        label: i [N], index of the true class, of the known ones.
        prob: f64 [N, P], of the model.
        rivals: {name: f64 [N, P]}.
        resampling: how intervals are made.
    """
    rows = rows.iloc[known]
    label = label[known]
    prob = prob[known]
    groups = rows[schema.GROUP].to_numpy()
    of_rivals = {}
    lead = {}
    for name, rival in rivals.items():
        of_rivals[name] = resampling.scores(label, rival[known], groups)
        lead[name] = resampling.differences(label, prob, rival[known], groups, ("balanced_accuracy", "auroc"))
    return {
        "n_cells": len(known),
        "n_fields": int(rows[schema.FIELD].nunique()),
        "n_groups": int(rows[schema.GROUP].nunique()),
        "model": resampling.scores(label, prob, groups),
        "baselines": of_rivals,
        "differences": holm.corrected(lead),
        "confusion": metrics.confusion(label, prob)[0].astype(int),
    }


def notes(run, crops, split) -> list[str]:
    """What these scores cannot show, in plain sentences for the report."""
    between = f"Intervals are from how groups of cells differ ({crops.group_by}); one trained network, one seed."
    return [between, *caveats(run, crops, split)]


def caveats(run, crops, split) -> list[str]:
    """What no score of such a run on such cells can show."""
    made = crop_arrays.provenance(run.data_dir)
    limits = []
    if made["config"]["labels"]["method"] == "dna_content":
        limits.append(f"Labels are pseudo-labels: integrated {crops.nucleus} over the field's G1 peak, computed from "
                      "the channel the network sees. The baseline integrated_dna is the label itself, and area "
                      "follows it.")
        if run.config.data.scale == "nucleus_max":
            limits.append("Scaled to its own maximum a nucleus still shows its brightness by how fine noise and grey "
                          "steps are, so the lead over nuclear area is an upper bound on what shape and texture add.")
    if run.config.data.mask in OUTLINED and crops.nucleus not in run.channels:
        limits.append(f"The network does not see {crops.nucleus}, but the mask follows the nucleus, so its size and "
                      "shape show in every channel; all_features is given them too.")
    if not run.config.train.balance_classes:
        limits.append("The baselines weigh the classes alike and the network was trained without, so their balanced "
                      "accuracies do not compare; AUROC does.")
    labelled = crops.group_id[crops.label != schema.NO_LABEL]
    few_groups = intervals.caveat(len(set(labelled.tolist())))
    if few_groups:
        limits.append(few_groups)
    few_plates = _few_plates(crops)
    if few_plates:
        limits.append(few_plates)
    if run.config.data.mask == "ring":
        limits.append("A control: the network sees the outer ring of the crops and no cell, so any score above chance "
                      "is read from background, light or neighbours.")
    limits += [f"Labels are in doubt: {doubt}" for doubt in made["label_doubts"] or ()]
    limits += made["notes"]
    if made["config"]["source"] == "simulated":
        limits.append("The cells are simulated: scores show that the tools work, nothing about biology.")
    if split == "validation":
        limits.append(_chosen_by_validation(run.config.train.kept_weights))
    return limits


def _few_plates(crops) -> str:
    """That plates differ in what intervals cannot hold, where cells are of several that are not left out one by one."""
    if crops.group_by in ("plate", "cell_line"):
        return ""
    plates_of_line = pd.Series(crops.plate).groupby(crops.cell_line).nunique()
    several = plates_of_line[plates_of_line > 1]
    if several.empty:
        return ""
    return (f"The cells of {several.index[0]} are of {several.iloc[0]} plates: how far scores differ from plate to "
            f"plate is not in the intervals; that takes {intervals.LEAST_GROUPS} plates in each split.")


def _chosen_by_validation(kept_weights: str) -> str:
    """What was chosen by the cells that are scored, in a sentence."""
    if kept_weights == "best":
        return ("Validation chose the weights and the calibration, so its scores are too good; those of "
                "train.kept_weights=last are chosen by no cell.")
    return ("Validation chose the calibration, so its calibrated scores are a little too good; the weights are those "
            "after the last step, which no cell of validation chose.")


def _say(result):
    """On the terminal: the scores beside those of the rivals, with the model's lead over each, and the notes."""
    _say_scores(result, result, "labels")
    if "truth" in result:
        _say_scores(result["truth"], result, "the true phase")
    print()
    for name, leads in result["differences"].items():
        lead = leads["balanced_accuracy"]
        if lead.is_known and not lead.certain_sign(result["interval_level"]):
            print(f"- The lead over {name} in balanced accuracy cannot be told from none (p = {lead.p:.3f}, corrected "
                  f"for all leads of the table); one of {lead.smallest_detectable:.3f} would be seen in four of five "
                  "such experiments.")
    for note in result["notes"]:
        print(f"- {note}")
    print(flush=True)


def _say_scores(part, result, against):
    """One table of what `compare` returned; `result` is of the whole evaluation."""
    print(f"\n{result['split']} split against {against}: {part['n_cells']} cells, {part['n_fields']} fields, "
          f"{part['n_groups']} groups; {result['interval_level']:.0%} intervals")
    print(f"{'':16}{'balanced accuracy':26}{'AUROC':26}{'lead, balanced accuracy':26}lead, AUROC")
    scores = {"model": part["model"], **part["baselines"]}
    if "oracle" in part:
        scores["oracle"] = part["oracle"]
    for name, own in scores.items():
        line = f"{name:16}"
        for column in (own, part["differences"].get(name, {})):
            for metric in ("balanced_accuracy", "auroc"):
                if metric in column:
                    line += f"{column[metric].text(3):26}"
        print(line.rstrip())
