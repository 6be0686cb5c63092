"""Summary of predictions: counts, class proportions, alarms and expected accuracy; written to disk and printed."""

import dataclasses
import math
import pathlib

import numpy as np
import pandas as pd
from scipy import stats

from cellcycle_jax import files, schema
from cellcycle_jax.prediction.verdict import INSIST, WITHHELD, Verdict
from cellcycle_jax.runs import metric_log
from cellcycle_jax.scoring import intervals
from cellcycle_jax.scoring.intervals import Interval
from cellcycle_jax.scoring.jackknife import SHARE

SEED = 0  # of which fields are left out together, where they are many
# Of each on the terminal.
MOST_ALARMS = 4
MOST_LINES = 3
MOST_NOTES = 2
KNOWN = {  # what is said of fields that the data set of the network holds, by split
    "train": "the network was trained on these fields: it may know their cells by heart",
    "validation": "these fields are of the validation split, on which the network was calibrated: they are not new",
    "test": "these fields are of the locked test split: a score on them is its one final evaluation "
            "(evaluate --final), and no field may be chosen or changed by it",
}


def summarise(predictor, cells: pd.DataFrame, alarms, fields=(), pictures=None) -> dict:
    """What OUT/predict.json holds, but for the fields that were excluded.

    Counts, class proportions with intervals, alarms, the verdict on the network, and its scores on validation.

    Args:
        predictor: `predictor.Predictor`.
        cells: what `predict_cells` returned.
        alarms: what `field_alarms.judge_fields` said of them.
        fields: names of all fields, those without any object too.
        pictures: name of each field with objects -> SHA-256 of its pixels; None: not known.
    """
    environment = metric_log.environment()
    classes = predictor.classes
    usable = cells[cells[schema.REJECT_REASON] == ""]
    resampling = intervals.Resampling.of_config(predictor.training.evaluate, SEED)
    reasons = cells["abstained_because"].str.split(":").str[0]
    unlike = usable[usable["novelty"] > 1]
    return {
        "run_id": predictor.run_id,
        "step": predictor.step,
        "note": predictor.note,
        "classes": classes,
        "channels": predictor.channels,
        "min_confidence": predictor.min_confidence,
        "interval_level": resampling.level,
        "validation": predictor.validation,
        "verdict": dataclasses.asdict(predictor.verdict),
        "known_fields": known_fields(pictures or {}, predictor.splits_of_pictures),
        "n_fields": len(set(cells[schema.FIELD]) | set(fields)),
        "n_objects": len(cells),
        "n_usable": len(usable),
        "n_decided": int((usable["decision"] != "").sum()),
        "predicted": _counts(usable["predicted"], classes),
        "decision": _counts(usable["decision"], classes),
        "abstained": _tally(reasons),
        "rejected": _tally(cells[schema.REJECT_REASON]),
        "unlike": _tally(unlike["novelty_cause"]),
        "all": shares(usable, classes, resampling),
        "cell_lines": _shares_by(schema.CELL_LINE, usable, classes, resampling),
        "fields": _shares_by(schema.FIELD, usable, classes, resampling),
        "alarm_groups": _group_alarms(alarms),
        "alarms": [dataclasses.asdict(alarm) for alarm in alarms],
        "versions": {"python": environment["python"], **environment["packages"]},
    }


def known_fields(pictures: dict[str, str], splits_of_pictures: dict) -> dict[str, list[str]]:
    """The fields that the data set of the network holds, by split.

    Args:
        pictures: name of each field -> SHA-256 of its pixels.
        splits_of_pictures: of the predictor.
    """
    known = {split: [] for split in schema.SPLITS}
    for name, picture in sorted(pictures.items()):
        for split in splits_of_pictures.get(picture, ()):
            known[split].append(name)
    return known


def _known_lines(known: dict[str, list[str]], n_fields: int) -> list[str]:
    """What is said of fields that are not new."""
    lines = []
    for split, words in KNOWN.items():
        names = known[split]
        if names:
            lines.append(f"look here first: {words} ({names[0]}; {len(names)} of {n_fields} fields)")
    return lines


def _counts(column, classes) -> dict[str, int]:
    """How many values are each class."""
    return column.value_counts().reindex(classes, fill_value=0).to_dict()


def _tally(column) -> dict[str, int]:
    """How often each text occurs, the most frequent first; "" is not counted."""
    return column[column != ""].value_counts().to_dict()


def _shares_by(column, usable, classes, resampling) -> dict:
    return {name: shares(rows, classes, resampling) for name, rows in usable.groupby(column)}


def shares(rows: pd.DataFrame, classes, resampling: intervals.Resampling) -> dict:
    """Proportion of each class among the decided cells of `rows`, and `expected`.

    `expected` is the mean calibrated probability over all cells that are like training (novelty of 1 or less), the
    uncertain ones included, so abstaining more often on one class does not bias it.

    The interval leaves out one field at a time. With fewer than `intervals.LEAST_GROUPS` it is Wilson's of a proportion
    (1927, doi 10.1080/01621459.1927.10502953), which assumes independent cells and is too narrow for more than one
    field. Neither accounts for wrong predictions, nor for abstaining more often on one class.
    """
    decided = rows[rows["decision"] != ""]
    like_training = rows[rows["novelty"] <= 1]
    expected = dict.fromkeys(classes)
    if len(like_training):
        expected = {name: float(like_training[f"calibrated_{name}"].mean()) for name in classes}
    result = {
        "n_fields": rows[schema.FIELD].nunique(),
        "n_cells": len(rows),
        "n_decided": len(decided),
        "shares": {},
        "expected": expected,
    }
    if decided.empty:
        return result
    field_index, fields = pd.factorize(decided[schema.FIELD])
    counts = np.zeros((len(fields), len(classes)))
    np.add.at(counts, (field_index, pd.Index(classes).get_indexer(decided["decision"])), 1)
    if len(fields) < intervals.LEAST_GROUPS:
        return result | {"shares": _wilson(counts, classes, resampling.level), "interval": "wilson"}
    return result | {"shares": _over_fields(counts, fields, classes, resampling), "interval": "fields"}


def _wilson(counts, classes, level) -> dict:
    """Shares with Wilson's interval; counts f64 [F, P]."""
    total = int(counts.sum())
    of_class = {}
    for name, count in zip(classes, counts.sum(axis=0), strict=True):
        test = stats.binomtest(int(count), total)
        bounds = test.proportion_ci(level, "wilson")
        of_class[name] = Interval(test.statistic, bounds.low, bounds.high)
    return of_class


def _over_fields(counts, fields, classes, resampling) -> dict:
    """Shares with intervals over fields; counts f64 [F, P]."""
    def score(weights):
        shares = (weights @ counts).T / (weights @ counts.sum(axis=1))
        return dict(zip(classes, shares, strict=True))

    of_class = resampling.intervals(score, fields, SHARE)
    return {name: share.without_counts() for name, share in of_class.items()}


def _group_alarms(alarms) -> list[dict]:
    """Alarms merged by kind and subject, each with its fields; alarms before notes, most fields first."""
    groups = {}
    for alarm in alarms:
        empty = {
            "note": alarm.note,
            "kind": alarm.kind,
            "subject": alarm.subject,
            "n_fields": 0,
            "fields": [],
            "sentence": alarm.sentence,
        }
        group = groups.setdefault((alarm.note, alarm.kind, alarm.subject), empty)
        group["n_fields"] += 1
        group["fields"].append(alarm.field_id)
    return sorted(groups.values(), key=lambda group: (group["note"], -group["n_fields"]))


def write_predictions(cells: pd.DataFrame, summary: dict, out_dir) -> None:
    """OUT/cells.parquet with units, OUT/cells.csv, and last OUT/predict.json; each is atomic."""
    out = pathlib.Path(out_dir)
    pixel_size_known = schema.PIXEL_SIZE in cells and bool(cells[schema.PIXEL_SIZE].notna().all())
    measured = schema.feature_columns(cells.columns)
    measured = measured[measured.index("novelty_cause") + 1 :]  # `predict_cells` puts predictions before measurements
    units = {column: schema.unit(column, pixel_size_known) for column in measured}
    files.write_table(cells, out / "cells.parquet", units)
    files.write_csv(cells.astype(object).where(cells.notna(), ""), out / "cells.csv")
    files.write_sealed_json(out / "predict.json", summary)


def print_summary(summary: dict) -> None:
    """Print the summary: the verdict on the network, alarms, counts, proportions, expected accuracy and notes."""
    alarms = []
    notes = []
    for group in summary["alarm_groups"]:
        if group["note"]:
            notes.append(_alarm_line("note", group, summary))
        else:
            alarms.append(_alarm_line("look here first", group, summary))
    cell_lines = []
    for name, part in summary["cell_lines"].items():
        cell_lines.append(_shares_line(name or "unknown line", part))
    lines = [Verdict(**summary["verdict"]).words]
    if WITHHELD in summary["abstained"]:
        lines.append(f"so no cell is decided; the table holds the prediction for each all the same ({INSIST} decides "
                     "nevertheless)")
    lines += _known_lines(summary["known_fields"], summary["n_fields"])
    lines += alarms[:MOST_ALARMS]
    lines.append(_counts_line(summary))
    lines += cell_lines[:MOST_LINES]
    lines.append(expected_accuracy(summary))
    if summary["note"]:
        lines.append(f"note: {summary['note']}")
    lines += notes[:MOST_NOTES]
    hidden = len(alarms[MOST_ALARMS:]) + len(cell_lines[MOST_LINES:]) + len(notes[MOST_NOTES:])
    if hidden:
        lines.append(f"and {hidden} more in predict.json")
    print("\n".join(lines), flush=True)


def _alarm_line(start, group, summary) -> str:
    first = group["fields"][0]
    return f"{start}: {group['sentence']} ({first}; {group['n_fields']} of {summary['n_fields']} fields)"


def _counts_line(summary) -> str:
    line = f"{summary['n_objects']:,} objects in {summary['n_fields']} fields, {summary['n_decided']:,} decided"
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in summary["abstained"].items())
    return f"{line}; {reasons}" if reasons else line


def expected_accuracy(summary: dict) -> str:
    """How many cells of validation fields are sure enough, and what share of each predicted class is right."""
    validation = summary["validation"]
    parts = []
    for name, called in validation.get("precision", {}).items():
        share = Interval.of(called)
        right = f"{share.percent(1)} right" if math.isfinite(share.value) else "unknown"
        parts.append(f"{name}: {right} of {called['n']} so called")
    precision = "; ".join(parts) or "the share that is right was not worked out by class"
    return (f"on fields like those of training {validation['coverage']:.0%} of cells are sure enough (confidence "
            f"{summary['min_confidence']:g}); {precision}; accuracy on other fields is unknown")


def _shares_line(name, part) -> str:
    shares = []
    for label, share in part["shares"].items():
        shares.append(f"{label} {share.value:.0%} ({share.low:.0%} to {share.high:.0%})")
    probabilities = []
    for label, value in part["expected"].items():
        if value is not None:
            probabilities.append(f"{label} {value:.0%}")
    line = f"{name}: {', '.join(shares) or 'nothing decided'}"
    line += f"; {part['n_decided']:,} of {part['n_cells']:,} usable cells decided"
    if probabilities:
        line += f"; mean probability of cells that are like training {', '.join(probabilities)}"
    return line
