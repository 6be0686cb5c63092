"""A trained network on new fields: what every object is, where it is better not said, and what to look at first."""

import dataclasses
import pathlib

import numpy as np
import pandas as pd
from scipy import stats
from tqdm import tqdm

from cellcycle_jax import files, schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.prediction import novelty
from cellcycle_jax.prediction.verdict import INSIST, WITHHELD, Verdict
from cellcycle_jax.runs import metric_log
from cellcycle_jax.runs.trained_run import BATCH
from cellcycle_jax.scoring import calibration, intervals

CHUNK = 8 * BATCH  # cells in memory at once, beside one field
MANY_FIELDS = 10  # from here on intervals resample fields; fewer fields would give too narrow ones
SEED = 0  # of the resamples
MOST_LINES = 15  # on the terminal
UNCERTAIN, UNLIKE, REJECTED = "uncertain", "unlike training", "rejected"  # why a cell gets no decision


def predict_cells(predictor, cells: pd.DataFrame, crops_dir, channels, withhold: bool = False) -> pd.DataFrame:
    """A class, or a reason for none, for every object of new fields.

    Args:
        predictor: `predictor.Predictor`.
        cells: one row per object, rejected ones too, with the columns of cells.parquet.
        crops_dir: work folder with the crops of every field that has usable cells; see `crop_file`.
        channels: of those crops, in order.
        withhold: make no prediction a decision, whatever its confidence; see `verdict`.

    Returns:
        The rows of `cells` in their order. Between Metadata_ and measurements stand predicted ("" where rejected),
        prob_<class>, calibrated_<class>, confidence (calibrated probability of predicted), decision ("" where
        abstained), abstained_because, novelty (above 1: unlike training) and novelty_cause. Numbers of rejected objects
        are NaN.

    Raises:
        InputRefused: crops do not fit the model.
        StoredStateRefused: a file of crops is missing or damaged, or lacks a cell.
    """
    predictor.require_channels(channels)
    cells = cells.reset_index(drop=True)
    by_field = [rows for _, rows in cells[cells[schema.REJECT] == ""].groupby(schema.FIELD, sort=False)]
    ordered = pd.concat(by_field) if by_field else cells.iloc[:0]
    vocabulary = predictor.vocabulary(channels)
    shown = tqdm(by_field, desc="predict", unit="field", disable=None)
    parts = (crop_arrays.crops_of_field(crops_dir, rows[schema.FIELD].iloc[0], rows, vocabulary) for rows in shown)
    found, done = [_nothing_judged(predictor, ordered.index[:0])], 0
    for crops in in_chunks(parts, CHUNK):
        logits, embedding = predictor.predict(crops)
        found.append(_judged(predictor, logits, embedding, ordered.iloc[done : done + len(crops)]))
        done += len(crops)
    added = pd.concat(found).reindex(cells.index)
    if withhold:
        added["decision"] = ""
        added["abstained_because"] = WITHHELD
    texts = ["predicted", "decision", "abstained_because", "novelty_cause"]
    added[texts] = added[texts].fillna("").astype(str)
    rejected = cells[schema.REJECT] != ""
    added.loc[rejected, "abstained_because"] = f"{REJECTED}: " + cells.loc[rejected, schema.REJECT]
    known = [c for c in cells if c.startswith("Metadata_")]
    return pd.concat([cells[known], added, cells.drop(columns=known)], axis=1)


def in_chunks(parts, size: int):
    """Crops of fields as crops of a multiple of `size` cells, the last ones fewer.

    So the batches that a network sees, and what it says to the last bit, do not depend on how cells fall into fields.
    """
    waiting = None
    for part in parts:
        waiting = crop_arrays.join([waiting, part]) if waiting else part
        if whole := len(waiting) // size * size:
            yield crop_arrays.take(waiting, slice(whole))
            waiting = crop_arrays.take(waiting, slice(whole, None))
    if waiting:
        yield waiting


def _judged(predictor, logits, embedding, rows) -> pd.DataFrame:
    """The new columns of usable cells, with the index of `rows`."""
    names = np.array(predictor.classes)
    prob = calibration.apply_temperature(logits, 1.0)
    calibrated = calibration.apply_temperature(logits, predictor.temperature)
    judged = novelty.judge_cells(predictor.cells, embedding, rows)
    predicted, confidence = names[logits.argmax(axis=1)], calibrated.max(axis=1)
    unlike, sure = judged["novelty"].to_numpy() > 1, confidence >= predictor.min_confidence
    columns = {"predicted": predicted, **{f"prob_{name}": prob[:, i] for i, name in enumerate(names)},
               **{f"calibrated_{name}": calibrated[:, i] for i, name in enumerate(names)}, "confidence": confidence,
               "decision": np.where(sure & ~unlike, predicted, ""),
               "abstained_because": np.where(unlike, f"{UNLIKE}: " + judged["why"], np.where(sure, "", UNCERTAIN)),
               "novelty": judged["novelty"].to_numpy(), "novelty_cause": judged["cause"].to_numpy()}
    return pd.DataFrame(columns, index=rows.index)


def _nothing_judged(predictor, index) -> pd.DataFrame:
    """The new columns without a row: a plate may hold no usable cell, and then nothing was measured either."""
    numbers = [f"{head}_{name}" for head in ("prob", "calibrated") for name in predictor.classes]
    types = {"predicted": str, **dict.fromkeys(numbers, np.float32), "confidence": np.float32, "decision": str,
             "abstained_because": str, "novelty": np.float64, "novelty_cause": str}  # fmt: skip
    return pd.DataFrame({name: pd.Series([], dtype=kind) for name, kind in types.items()}, index=index)


def summarise(predictor, cells: pd.DataFrame, alarms, fields=()) -> dict:
    """What OUT/predict.json holds: counts, shares of the classes with intervals, alarms, and what to expect.

    Args:
        predictor: `predictor.Predictor`.
        cells: what `predict_cells` returned.
        alarms: what `field_alarms.judge_fields` said of them.
        fields: names of all fields, those without any object too.
    """
    environment = metric_log.environment()
    usable = cells[cells[schema.REJECT] == ""]
    confidence = predictor.training.evaluate.confidence
    resampling = intervals.Resampling(predictor.training.evaluate.bootstraps, confidence, SEED)
    kind = cells["abstained_because"].str.split(":").str[0]
    return {
        "run_id": predictor.run_id, "step": predictor.step, "note": predictor.note, "classes": predictor.classes,
        "channels": predictor.channels, "min_confidence": predictor.min_confidence, "confidence": confidence,
        "validation": predictor.validation, "verdict": dataclasses.asdict(predictor.verdict),
        "n_fields": len(set(cells[schema.FIELD]) | set(fields)),
        "n_objects": len(cells), "n_usable": len(usable), "n_decided": int((usable["decision"] != "").sum()),
        "predicted": _counts(usable["predicted"], predictor.classes),
        "decision": _counts(usable["decision"], predictor.classes),
        "abstained": kind[kind != ""].value_counts().to_dict(),
        "rejected": cells[schema.REJECT][cells[schema.REJECT] != ""].value_counts().to_dict(),
        "unlike": usable["novelty_cause"][usable["novelty"] > 1].value_counts().to_dict(),
        "all": shares(usable, predictor.classes, resampling),
        "cell_lines": {line: shares(rows, predictor.classes, resampling)
                       for line, rows in usable.groupby(schema.CELL_LINE)},
        "fields": {field: shares(rows, predictor.classes, resampling)
                   for field, rows in usable.groupby(schema.FIELD)},
        "alarm_groups": _grouped(alarms), "alarms": [dataclasses.asdict(alarm) for alarm in alarms],
        "versions": {"python": environment["python"], **environment["packages"]},
    }


def _counts(column, classes):
    return {name: int((column == name).sum()) for name in classes}


def shares(rows: pd.DataFrame, classes, resampling: intervals.Resampling) -> dict:
    """Share of each class among the decided cells of `rows`, and `expected`.

    That is its mean probability over all cells that are like training, the uncertain ones too: abstaining more often on
    one class does not bend it.

    The interval resamples fields where there are MANY_FIELDS or more. With fewer it is Wilson's of a proportion (1927,
    doi 10.1080/01621459.1927.10502953), which takes cells for independent and is too narrow for more than one field.
    Neither counts that the network errs, nor that it may abstain more often on one class.
    """
    decided = rows[rows["decision"] != ""]
    like = rows[rows["novelty"] <= 1]
    expected = {name: float(like[f"calibrated_{name}"].mean()) if len(like) else None for name in classes}
    result = {"n_fields": rows[schema.FIELD].nunique(), "n_cells": len(rows), "n_decided": len(decided), "shares": {},
              "expected": expected}
    if decided.empty:
        return result
    place, fields = pd.factorize(decided[schema.FIELD])
    counts = np.zeros((len(fields), len(classes)))
    np.add.at(counts, (place, pd.Index(classes).get_indexer(decided["decision"])), 1)
    if len(fields) < MANY_FIELDS:
        tests = [stats.binomtest(int(k), len(decided)) for k in counts.sum(axis=0)]
        ranges = [test.proportion_ci(resampling.confidence, "wilson") for test in tests]
        found = {name: {"value": test.statistic, "low": r.low, "high": r.high}
                 for name, test, r in zip(classes, tests, ranges, strict=True)}
        return result | {"shares": found, "interval": "wilson"}

    def score(weights):
        return dict(zip(classes, (weights @ counts).T / (weights @ counts.sum(axis=1)), strict=True))

    found = resampling.intervals(score, fields)
    found = {name: {key: one[key] for key in ("value", "low", "high")} for name, one in found.items()}
    return result | {"shares": found, "interval": "fields"}


def _grouped(alarms) -> list[dict]:
    """One entry for each thing that is unlike, with its fields; alarms before notes, most fields first."""
    groups = {}
    for alarm in alarms:
        groups.setdefault((alarm.note, alarm.kind, alarm.subject), []).append(alarm)
    found = [{"note": note, "kind": kind, "subject": subject, "n_fields": len(members),
              "fields": [alarm.field_id for alarm in members], "sentence": members[0].sentence}
             for (note, kind, subject), members in groups.items()]
    return sorted(found, key=lambda group: (group["note"], -group["n_fields"]))


def write_predictions(cells: pd.DataFrame, summary: dict, out_dir) -> None:
    """OUT/cells.parquet with units, OUT/cells.csv, and last OUT/predict.json; each whole or not at all."""
    out = pathlib.Path(out_dir)
    known = schema.PIXEL_SIZE in cells and bool(cells[schema.PIXEL_SIZE].notna().all())
    measured = schema.feature_columns(cells.columns)
    measured = measured[measured.index("novelty_cause") + 1 :]
    files.write_table(cells, out / "cells.parquet", {c: schema.unit(c, known) for c in measured})
    files.write_csv(cells.astype(object).where(cells.notna(), ""), out / "cells.csv")
    files.write_sealed_json(out / "predict.json", summary)


def say(summary: dict) -> None:
    """The summary in at most MOST_LINES lines on the terminal, what is unlike training first."""
    of = summary["n_fields"]
    alarms = [f"look here first: {g['sentence']} ({g['fields'][0]}; {g['n_fields']} of {of} fields)"
              for g in summary["alarm_groups"] if not g["note"]]
    notes = [f"note: {g['sentence']} ({g['fields'][0]}; {g['n_fields']} of {of} fields)"
             for g in summary["alarm_groups"] if g["note"]]
    because = ", ".join(f"{n:,} {reason}" for reason, n in summary["abstained"].items())
    counts = [f"{summary['n_objects']:,} objects in {of} fields, {summary['n_decided']:,} decided"
              + (f"; {because}" if because else "")]
    lines = [_line(line or "unknown line", part) for line, part in summary["cell_lines"].items()]
    told = [f"note: {summary['note']}"] if summary["note"] else []
    worth = [Verdict(**summary["verdict"]).words, *_insist(summary)]
    text = [*worth, *alarms[:4], *counts, *lines[:3], expected(summary), *told, *notes[:2]]
    hidden = len(alarms[4:]) + len(lines[3:]) + len(notes[2:])
    print("\n".join(text + ([f"and {hidden} more in predict.json"] if hidden else [])), flush=True)


def _insist(summary) -> list[str]:
    """How to get decisions all the same, where the verdict withholds them."""
    if WITHHELD not in summary["abstained"]:
        return []
    return [f"so no cell is decided; the table holds what it says of each all the same ({INSIST} decides nevertheless)"]


def expected(summary: dict) -> str:
    """What to expect on fields like those of training: how many cells are sure enough, how many of each class right."""
    known = summary["validation"]
    parts = []
    for name, found in known.get("precision", {}).items():
        right = "unknown" if found["value"] is None else f"{found['value']:.1%} right"
        parts.append(f"{name}: {right} of {found['n']} called")
    precision = "; ".join(parts) or "how many of these are right was not worked out for each class"
    return (f"on fields like those of training {known['coverage']:.0%} of cells are sure enough (confidence "
            f"{summary['min_confidence']:g}); {precision}; on others nobody knows")


def _line(name, part):
    shares = ", ".join(f"{c} {s['value']:.0%} ({s['low']:.0%} to {s['high']:.0%})" for c, s in part["shares"].items())
    expected = ", ".join(f"{c} {e:.0%}" for c, e in part["expected"].items() if e is not None)
    return (f"{name}: {shares or 'nothing decided'}; {part['n_decided']:,} of {part['n_cells']:,} usable cells decided"
            + (f"; by the probabilities of all of them {expected}" if expected else ""))
