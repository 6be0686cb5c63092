"""Which measurements, and which pairs of them, separate the classes - and whether the network is unsure between them.

Everything is chosen on the training split and scored on validation cells; the test split never enters.
"""

import pathlib

import numpy as np
import pandas as pd

from cellcycle_jax import files, schema
from cellcycle_jax.dataset import cell_table
from cellcycle_jax.errors import StoredStateRefused
from cellcycle_jax.features import feature_axes, ranking
from cellcycle_jax.features.feature_axes import Cells
from cellcycle_jax.figures import scatter, style
from cellcycle_jax.runs.stored_run import open_run
from cellcycle_jax.scoring import intervals


def describe(summary: dict) -> str:
    """The result in plain words, with what the intervals allow to say."""
    rho = summary["spearman"]
    if not np.isfinite(rho.low):
        trust = "How sure the network is near the line cannot be said of so few groups"
    elif rho.low > 0:
        trust = "The network is less sure the nearer a cell lies to the line"
    elif rho.high < 0:
        trust = "The network is surer the nearer a cell lies to the line"
    else:
        trust = "How sure the network is does not clearly depend on how near a cell lies to the line"
    x, y = summary["x"]["name"], summary["y"]["name"]
    return (
        f"{x} and {y} together sort {summary['n_cells']} validation cells ({summary['n_groups']} groups) into "
        f"{' and '.join(summary['classes'])} with a balanced accuracy of {summary['balanced_accuracy'].percent()}. "
        f"{trust}: Spearman {rho.text()}."
    )


def _summarise(best: pd.Series, train: Cells, validation: Cells, axes: dict, confidence, classes, resampling) -> tuple:
    """The best pair as a record, and what `scatter.draw_pair` needs beside it."""
    pair = (best["feature_x"], best["feature_y"])
    points, known = train.points(pair)
    line = feature_axes.Line.fit(points, train.positive[known])
    there, seen = validation.points(pair)
    groups, positive = validation.groups[seen], validation.positive[seen]
    sure = confidence.reindex(validation.rows.loc[seen, schema.CELL_ID]).to_numpy(np.float64)
    if not np.isfinite(sure).any():
        raise StoredStateRefused("predictions_validation.parquet: none of the labelled validation cells has a "
                                 "confidence; run evaluate again on the data set of this run")  # fmt: skip
    summary = {
        **ranking.score(line.decision(there), positive, groups, resampling),
        "spearman": resampling.spearman(sure, line.distance(there), groups),
        "classes": [feature_axes.negative(classes), classes[-1]],
        "n_cells": int(seen.sum()),
        "n_groups": len(np.unique(groups)),
        "confidence": resampling.confidence,
        "intercept": line.intercept,
        "rule": f"{classes[-1]} where x.coefficient * u + y.coefficient * v + intercept > 0; u and v are the shown "
                "values of x and y, or their natural logarithms where scale is log",
        "near_duplicate": bool(best["near_duplicate"]),
    }  # fmt: skip
    for name, feature, coefficient in zip("xy", pair, line.coefficients, strict=True):
        axis, readable = axes[feature], schema.readable(feature)
        summary[name] = {
            "feature": feature, "name": readable, "label": scatter.axis_label(readable, axis.unit), "unit": axis.unit,
            "scale": "log" if axis.log else "linear", "coefficient": float(coefficient),
            "line_medians": axis.medians, "median_of_other_lines": axis.other if axis.medians else None,
        }  # fmt: skip
    shown = [validation.shown.loc[seen, feature].to_numpy() for feature in pair]
    return summary, (shown, positive.astype(int), sure)


def draw(summary: dict, shown, label, sure):
    """The figure of the best pair; see `scatter.draw_pair`."""
    percent, rho = f"{100 * summary['confidence']:.0f} %", summary["spearman"].text()
    x, y = summary["x"], summary["y"]
    return scatter.draw_pair(
        shown, label, summary["classes"], sure,
        line=((x["coefficient"], y["coefficient"]), summary["intercept"]),
        logs=(x["scale"] == "log", y["scale"] == "log"), labels=(x["label"], y["label"]),
        title=f"Confidence of the network against distance from the line: Spearman {rho}\n"
              f"{summary['n_cells']} validation cells, {summary['n_groups']} groups; in brackets {percent} intervals",
        subtitle=f"By phase; balanced accuracy {summary['balanced_accuracy'].percent()}",
    )  # fmt: skip


def discover(
    cells_train: pd.DataFrame, cells_validation: pd.DataFrame, channels, markers, classes, confidence: pd.Series,
    out_dir, candidates: int, resampling: intervals.Resampling, units: dict[str, str],
    circular: str = "", about: dict | None = None,
) -> dict:  # fmt: skip
    """Rank measurements and pairs, and write ranking.csv, pairs.csv, pair.png and pair.json to `out_dir`.

    Args:
        cells_train: accepted cells of the training split; everything is chosen on the labelled ones.
        cells_validation: accepted cells of the validation split, on the labelled ones of which everything is scored.
        channels: channels whose measurements are ranked, beside the shape of the nucleus.
        markers: channels that label the cells, whose measurements are never ranked.
        classes: names of the classes; the last is the positive one.
        confidence: calibrated probability of the predicted class of validation cells, indexed by cell id.
        out_dir: folder to write to.
        candidates: number of single measurements that form pairs.
        resampling: how intervals are made.
        units: unit of each measurement column.
        circular: channel of whose intensity the labels were made, "" for none; its intensities are not ranked.
        about: what else pair.json holds: step and run_id of the weights that `confidence` is from.

    Returns:
        What pair.json holds.

    Raises:
        InputRefused: a class is absent, or fewer than two measurements vary.
        StoredStateRefused: no validation cell has a confidence.
    """
    labelled = cells_train[cells_train[schema.LABEL].isin(list(classes))]
    features = [
        c
        for c in cell_table.measurements(cells_train, channels, markers)
        if not cell_table.is_intensity_of(c, circular)
    ]
    axes = feature_axes.learn_axes(labelled, features, units)
    train = feature_axes.place(cells_train, axes, classes, "train")
    validation = feature_axes.place(cells_validation, axes, classes, "validation")
    features, pairs = ranking.rank(train, validation, axes, classes, candidates, resampling)
    summary, cells = _summarise(
        pairs.iloc[0], train, validation, {axis.feature: axis for axis in axes}, confidence, classes, resampling
    )
    summary |= {"sentence": describe(summary), **(about or {})}
    _write(pathlib.Path(out_dir), features, pairs, summary, draw(summary, *cells))
    return summary


def _write(folder: pathlib.Path, features: pd.DataFrame, pairs: pd.DataFrame, summary: dict, picture) -> None:
    files.write_csv(features, folder / "ranking.csv")
    files.write_csv(pairs, folder / "pairs.csv")
    summary = summary | {"sha256": {name: files.sha256(folder / name) for name in ("ranking.csv", "pairs.csv")}}
    style.save(picture, folder / "pair.png")
    files.write_sealed_json(folder / "pair.json", summary)


def _read_confidence(path: pathlib.Path, recorded: str | None) -> pd.Series:
    if not path.is_file():
        raise StoredStateRefused(f"{path}: no such file; run evaluate on this run folder first")
    if recorded and files.sha256(path) != recorded:
        raise StoredStateRefused(f"{path}: not what evaluate wrote; run evaluate on this run folder again")
    try:
        predictions = pd.read_parquet(path, columns=[schema.CELL_ID, "calibrated"])
    except Exception as error:  # pyarrow raises many kinds for damaged bytes and for a missing column
        reason = (str(error).splitlines() or ["damaged"])[0]
        raise StoredStateRefused(f"{path}: not readable ({reason}); run evaluate on this run folder again") from None
    return predictions.drop_duplicates(schema.CELL_ID).set_index(schema.CELL_ID)["calibrated"]


def _read_evaluation(workdir: pathlib.Path) -> tuple[int, str | None]:
    """Step of the weights that the validation predictions are from, and the SHA-256 of these, None where unknown."""
    path = workdir / "evaluation_validation.json"
    try:
        found = files.read_json(path)
        return found["step"], found.get("predictions_sha256")
    except (FileNotFoundError, ValueError, KeyError):
        raise StoredStateRefused(f"{path}: missing or damaged; run evaluate on this run folder again") from None


def run_discover(workdir) -> dict:
    """Discover for the run in `workdir`: reads its config, its data set and its validation predictions.

    Returns:
        What RUN/features/pair.json holds.

    Raises:
        StoredStateRefused: the run folder or the data set lacks a file, or one is damaged.
        InputRefused: see `discover`.
    """
    run = open_run(workdir)
    config = run.config
    step, recorded = _read_evaluation(run.workdir)
    confidence = _read_confidence(run.workdir / "predictions_validation.parquet", recorded)
    cells = run.data.cells
    if config.data.cell_lines:
        cells = cells[cells[schema.CELL_LINE].isin(list(config.data.cell_lines))]
    return discover(
        cells[cells[schema.SPLIT] == "train"],
        cells[cells[schema.SPLIT] == "validation"],
        channels=[channel for channel in run.channels if channel not in run.markers],
        markers=run.markers,
        classes=run.classes,
        confidence=confidence,
        out_dir=run.workdir / "features",
        candidates=config.discover.candidates,
        resampling=intervals.Resampling(config.evaluate.bootstraps, config.evaluate.confidence, config.seed),
        units=files.read_units(run.data_dir / "cells.parquet"),
        circular=cell_table.label_intensity(run.data_dir),
        about={"step": step, "run_id": run.run_id},
    )
