"""Which measurements, and which pairs of them, separate the classes - and whether the network is unsure between them.

Everything is chosen on the training split and scored on validation cells; the test split never enters. With several
cell lines in the data each measurement is first divided by the line's training median, so that one line in the plane
serves all. The positive class is the last one; of more than two, the others are taken together.
"""

import dataclasses
import itertools
import json
import pathlib

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from cellcycle_jax import files, metrics, schema, statistics, table
from cellcycle_jax.errors import InputRefused, StoredStateRefused
from cellcycle_jax.report import figures, scatter

DUPLICATE = 0.9  # |Spearman| from which two measurements count as the same one measured twice
_PRESENT = 0.8  # share of training cells that must have a measurement


@dataclasses.dataclass(frozen=True)
class Axis:
    """How one measurement is shown and made linear; learnt on training cells.

    Attributes:
        feature: column of the table.
        log: whether the linear coordinate is the natural log of what is shown.
        divide: whether the line's median is divided by; subtracted otherwise (a measurement that can be zero or less).
        medians: cell line -> training median; empty where the data hold one line and physical units are shown.
        other: the median for a line that training does not hold.
        unit: of what is shown.
    """

    feature: str
    log: bool
    divide: bool
    medians: dict[str, float]
    other: float
    unit: str

    @property
    def label(self) -> str:
        """Name and unit for an axis."""
        return scatter.axis_label(schema.readable(self.feature), self.unit)

    def show(self, values, lines) -> np.ndarray:
        """Values f64 [N] of the measurement as they are shown, for cells of `lines` [N]."""
        if not self.medians:
            return np.asarray(values, np.float64)
        median = np.array([self.medians.get(line, self.other) for line in lines])
        return values / median if self.divide else values - median

    def linear(self, shown) -> np.ndarray:
        """The coordinate in which the decision line is straight; NaN where there is no logarithm."""
        if not self.log:
            return shown
        return np.log(shown, out=np.full(len(shown), np.nan), where=shown > 0)


@dataclasses.dataclass(frozen=True)
class Line:
    """Decision line a·(u, v) + c = 0 in the linear coordinates of two axes; above 0 is the positive class.

    Attributes:
        coefficients: f64 [2].
        intercept: c.
        spread: f64 [2], training standard deviation of each coordinate.
    """

    coefficients: np.ndarray
    intercept: float
    spread: np.ndarray

    @classmethod
    def fit(cls, points, positive) -> "Line":
        """Logistic regression with balanced classes on standardised `points` f64 [N, 2]."""
        mean, spread = points.mean(0), points.std(0)
        spread = np.where(spread > 0, spread, 1.0)
        model = LogisticRegression(class_weight="balanced", solver="newton-cholesky")
        model.fit((points - mean) / spread, positive)
        coefficients = model.coef_[0] / spread
        return cls(coefficients, float(model.intercept_[0] - coefficients @ mean), spread)

    def decision(self, points) -> np.ndarray:
        """Log odds f64 [N] of the positive class."""
        return points @ self.coefficients + self.intercept

    def distance(self, points) -> np.ndarray:
        """Distance f64 [N] from the line, in training standard deviations of the coordinates."""
        return np.abs(self.decision(points)) / max(float(np.linalg.norm(self.coefficients * self.spread)), 1e-300)


@dataclasses.dataclass(frozen=True)
class Cells:
    """Labelled cells of one split in linear coordinates."""

    rows: pd.DataFrame
    shown: pd.DataFrame
    linear: pd.DataFrame
    positive: np.ndarray

    @property
    def groups(self) -> np.ndarray:
        """The group of each cell."""
        return self.rows[schema.GROUP].to_numpy()

    def points(self, pair) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates f64 [M, 2] of the cells that have both measurements, and which cells those are, bool [N]."""
        both = np.isfinite(self.linear[list(pair)]).all(axis=1).to_numpy()
        return self.linear.loc[both, list(pair)].to_numpy(), both


def learn_axes(rows: pd.DataFrame, features, units: dict[str, str]) -> list[Axis]:
    """Axes of the measurements that vary and that most of the training rows have."""
    values, lines = table.relative_features(rows, features), rows[schema.CELL_LINE]
    axes = []
    for feature in features:
        column = values[feature]
        if column.notna().mean() < _PRESENT or column.nunique() < 2:
            continue
        log, unit = bool(column.min() > 0), "relative to field" if "_Intensity_" in feature else units.get(feature, "")
        medians, divide = {}, False
        if lines.nunique() > 1:
            medians = column.groupby(lines).median().dropna().to_dict()
            divide = min(medians.values()) > 0 and column.min() >= 0
            unit = "relative to line median" if divide else "difference from line median"
        axes.append(Axis(feature, log, divide, medians, float(column.median()), unit))
    return axes


def _one_sided(positive) -> bool:
    return positive.all() or not positive.any()


def _place(rows: pd.DataFrame, axes: list[Axis], classes, split: str) -> Cells:
    if (rows[schema.SPLIT] != split).any() or (rows[schema.REJECT] != "").any():
        raise ValueError(f"only accepted cells of the {split} split may enter")
    rows = rows[rows[schema.LABEL].isin(list(classes))].reset_index(drop=True)
    positive = (rows[schema.LABEL] == classes[-1]).to_numpy()
    if _one_sided(positive):
        raise InputRefused(f"{split}: {int(positive.sum())} of {len(positive)} labelled cells are {classes[-1]!r}; "
                           "both classes are needed to look for what separates them")  # fmt: skip
    values = table.relative_features(rows, [axis.feature for axis in axes])
    lines = rows[schema.CELL_LINE].to_numpy()
    shown = {axis.feature: axis.show(values[axis.feature].to_numpy(), lines) for axis in axes}
    linear = {axis.feature: axis.linear(shown[axis.feature]) for axis in axes}
    return Cells(rows, pd.DataFrame(shown), pd.DataFrame(linear), positive)


def best_cut(values, positive) -> float:
    """The cut above which cells are called positive with the highest balanced accuracy: midway between two values."""
    order = np.argsort(values, kind="stable")
    values, positive = values[order], positive[order]
    gain = np.cumsum(~positive) / (~positive).sum() - np.cumsum(positive) / positive.sum()
    between = np.flatnonzero(np.diff(values) > 0)
    at = between[np.argmax(gain[between])]
    return float((values[at] + values[at + 1]) / 2)


def _scored(score, positive, groups, resampling) -> dict:
    """AUROC of `score` f [N] and balanced accuracy of calling the cells above 0 positive, with intervals."""
    called = np.eye(2)[(score > 0).astype(int)]
    return statistics.bootstrap_intervals(
        lambda w: {"auroc": metrics.binary_auroc(positive, score, w),
                   "balanced_accuracy": metrics.balanced_accuracy(positive.astype(int), called, w)},
        groups, **resampling,
    )  # fmt: skip


def rank_features(train: Cells, validation: Cells, axes: list[Axis], classes, resampling: dict) -> pd.DataFrame:
    """Table of single measurements, best training AUROC first; validation scores use the training direction and cut."""
    rows = []
    for axis in tqdm(axes, desc="measurements", unit="", disable=None):
        here, there = (cells.shown[axis.feature].to_numpy() for cells in (train, validation))
        known, seen = np.isfinite(here), np.isfinite(there)
        positive, held_out = train.positive[known], validation.positive[seen]
        if _one_sided(positive) or _one_sided(held_out) or np.ptp(here[known]) <= 1e-12 * np.abs(here[known]).max():
            continue  # within each cell line it may be constant although it varies over all
        auroc = float(metrics.binary_auroc(positive, here[known])[0])
        sign = 1.0 if auroc >= 0.5 else -1.0
        cut = sign * best_cut(sign * here[known], positive)
        score = _scored(sign * (there[seen] - cut), held_out, validation.groups[seen], resampling)
        rows.append({
            "feature": axis.feature, "name": schema.readable(axis.feature), "train_auroc": max(auroc, 1 - auroc),
            **_columns(score, ("", "balanced_accuracy_")),
            "higher_in": classes[-1] if sign > 0 else _negative(classes), "cut": cut, "unit": axis.unit,
            "n_train": int(known.sum()), "n_validation": int(seen.sum()),
        })  # fmt: skip
    if not rows:
        raise InputRefused("cells.parquet: no measurement of the shown channels varies; there is nothing to rank")
    ranking = pd.DataFrame(rows).sort_values("train_auroc", ascending=False, kind="stable", ignore_index=True)
    ranking.insert(0, "rank", np.arange(1, len(ranking) + 1))
    return ranking


def _columns(score: dict, prefixes) -> dict:
    row = {}
    for metric, prefix in zip(("auroc", "balanced_accuracy"), prefixes, strict=True):
        row[f"validation_{metric}"] = score[metric]["value"]
        row |= {f"{prefix}{bound}": score[metric][bound] for bound in ("low", "high")}
    return row


def _negative(classes) -> str:
    return classes[0] if len(classes) == 2 else f"not {classes[-1]}"


def rank_correlations(values: pd.DataFrame) -> pd.DataFrame:
    """|Spearman| between all columns; a missing value takes the middle rank."""
    ranks = np.column_stack([rankdata(values[column], nan_policy="omit") for column in values.columns])
    ranks = np.where(np.isfinite(ranks), ranks - np.nanmean(ranks, axis=0), 0.0)
    alike = np.atleast_2d(np.abs(np.corrcoef(ranks, rowvar=False)))
    return pd.DataFrame(alike, values.columns, values.columns)


def pick_candidates(features: list[str], alike: pd.DataFrame, number: int) -> list[str]:
    """The first `number` of `features` (best first) that do not repeat a better one; repeats only fill what is left."""
    chosen: list[str] = []
    for feature in features:
        if len(chosen) < number and all(alike.loc[feature, better] < DUPLICATE for better in chosen):
            chosen.append(feature)
    repeats = [feature for feature in features if feature not in chosen]
    return chosen + repeats[: max(0, number - len(chosen))]


def _held_out_accuracy(points, positive, groups) -> float:
    """Balanced accuracy of lines fitted without the group they are scored on, at most five folds."""
    folds = min(5, len(np.unique(groups)))
    decision = np.full(len(points), np.nan)
    for fit, held_out in GroupKFold(folds).split(points, groups=groups) if folds > 1 else ():
        if 0 < positive[fit].sum() < len(fit):
            decision[held_out] = Line.fit(points[fit], positive[fit]).decision(points[held_out])
    known = np.isfinite(decision)
    called = np.eye(2)[(decision[known] > 0).astype(int)]
    return float(metrics.balanced_accuracy(positive[known].astype(int), called)[0]) if known.any() else float("nan")


def rank_pairs(train: Cells, validation: Cells, features: list[str], alike, resampling: dict) -> pd.DataFrame:
    """Table of pairs: those that are not near-duplicates first, then by accuracy on held-out training groups."""
    rows = []
    for pair in tqdm(list(itertools.combinations(features, 2)), desc="pairs", unit="", disable=None):
        (here, known), (there, seen) = train.points(pair), validation.points(pair)
        positive, held_out = train.positive[known], validation.positive[seen]
        if _one_sided(positive) or _one_sided(held_out):
            continue
        line = Line.fit(here, positive)
        score = _scored(line.decision(there), held_out, validation.groups[seen], resampling)
        rows.append({
            "feature_x": pair[0], "feature_y": pair[1], "name_x": schema.readable(pair[0]),
            "name_y": schema.readable(pair[1]), "abs_spearman": alike.loc[pair[0], pair[1]],
            "near_duplicate": bool(alike.loc[pair[0], pair[1]] >= DUPLICATE),
            "train_held_out_balanced_accuracy": _held_out_accuracy(here, positive, train.groups[known]),
            **_columns(score, ("auroc_", "balanced_accuracy_")),
            "coefficient_x": line.coefficients[0], "coefficient_y": line.coefficients[1], "intercept": line.intercept,
            "n_train": int(known.sum()), "n_validation": int(seen.sum()),
        })  # fmt: skip
    if not rows:
        raise InputRefused("cells.parquet: fewer than two measurements vary; there is no pair to show")
    order = ["near_duplicate", "train_held_out_balanced_accuracy"]
    pairs = pd.DataFrame(rows).sort_values(order, ascending=[True, False], kind="stable", ignore_index=True)
    pairs.insert(0, "rank", np.arange(1, len(pairs) + 1))
    return pairs


def _range(score: dict, percent: bool) -> str:
    if percent:
        return f"{100 * score['value']:.0f} % ({100 * score['low']:.0f} to {100 * score['high']:.0f} %)"
    return f"{score['value']:.2f} ({score['low']:.2f} to {score['high']:.2f})"


def describe(summary: dict) -> str:
    """The result in plain words, with what the intervals allow to say."""
    rho = summary["spearman"]
    if rho["low"] > 0:
        trust = "The network is less sure the nearer a cell lies to the line"
    elif rho["high"] < 0:
        trust = "The network is surer the nearer a cell lies to the line"
    else:
        trust = "How sure the network is does not clearly depend on how near a cell lies to the line"
    x, y = summary["x"]["name"], summary["y"]["name"]
    return (
        f"{x} and {y} together sort {summary['n_cells']} validation cells ({summary['n_groups']} groups) into "
        f"{' and '.join(summary['classes'])} with a balanced accuracy of {_range(summary['balanced_accuracy'], True)}. "
        f"{trust}: Spearman {_range(rho, False)}."
    )


def _summarise(best: pd.Series, train: Cells, validation: Cells, axes: dict, confidence, classes, resampling) -> tuple:
    """The best pair as a record, and what `scatter.draw_pair` needs beside it."""
    pair = (best["feature_x"], best["feature_y"])
    points, known = train.points(pair)
    line = Line.fit(points, train.positive[known])
    there, seen = validation.points(pair)
    groups, positive = validation.groups[seen], validation.positive[seen]
    sure = confidence.reindex(validation.rows.loc[seen, schema.CELL_ID]).to_numpy(np.float64)
    if not np.isfinite(sure).any():
        raise StoredStateRefused("predictions_validation.parquet: none of the labelled validation cells has a "
                                 "confidence; run evaluate again on the data set of this run")  # fmt: skip
    summary = {
        **_scored(line.decision(there), positive, groups, resampling),
        "spearman": statistics.spearman_with_interval(sure, line.distance(there), groups, **resampling),
        "classes": [_negative(classes), classes[-1]],
        "n_cells": int(seen.sum()),
        "n_groups": len(np.unique(groups)),
        "confidence": resampling["confidence"],
        "intercept": line.intercept,
        "rule": f"{classes[-1]} where x.coefficient * u + y.coefficient * v + intercept > 0; u and v are the shown "
                "values of x and y, or their natural logarithms where scale is log",
        "near_duplicate": bool(best["near_duplicate"]),
    }  # fmt: skip
    for name, feature, coefficient in zip("xy", pair, line.coefficients, strict=True):
        axis = axes[feature]
        summary[name] = {
            "feature": feature, "name": schema.readable(feature), "label": axis.label, "unit": axis.unit,
            "scale": "log" if axis.log else "linear", "coefficient": float(coefficient),
            "line_medians": axis.medians, "median_of_other_lines": axis.other if axis.medians else None,
        }  # fmt: skip
    shown = [validation.shown.loc[seen, feature].to_numpy() for feature in pair]
    return summary, (shown, positive.astype(int), sure)


def draw(summary: dict, shown, label, sure):
    """The figure of the best pair; see `scatter.draw_pair`."""
    percent, rho = f"{100 * summary['confidence']:.0f} %", _range(summary["spearman"], False)
    x, y = summary["x"], summary["y"]
    return scatter.draw_pair(
        shown, label, summary["classes"], sure,
        line=((x["coefficient"], y["coefficient"]), summary["intercept"]),
        logs=(x["scale"] == "log", y["scale"] == "log"), labels=(x["label"], y["label"]),
        title=f"Confidence of the network against distance from the line: Spearman {rho}\n"
              f"{summary['n_cells']} validation cells, {summary['n_groups']} groups; in brackets {percent} intervals",
        subtitle=f"By phase; balanced accuracy {_range(summary['balanced_accuracy'], True)}",
    )  # fmt: skip


def discover(
    cells_train: pd.DataFrame, cells_validation: pd.DataFrame, channels, marker: str, classes, confidence: pd.Series,
    out_dir, candidates: int, bootstraps: int, seed: int, units: dict[str, str], level: float = 0.95,
) -> dict:  # fmt: skip
    """Rank measurements and pairs, and write ranking.csv, pairs.csv, pair.png and pair.json to `out_dir`.

    Args:
        cells_train: accepted cells of the training split; everything is chosen on the labelled ones.
        cells_validation: accepted cells of the validation split, on the labelled ones of which everything is scored.
        channels: channels whose measurements are ranked, beside the shape of the nucleus.
        marker: channel that labels the cells ("" for none), whose measurements are never ranked.
        classes: names of the classes; the last is the positive one.
        confidence: calibrated probability of the predicted class of validation cells, indexed by cell id.
        out_dir: folder to write to.
        candidates: number of single measurements that form pairs.
        bootstraps: resamples of the groups for each interval.
        seed: of the resamples.
        units: unit of each measurement column.
        level: confidence of the intervals, 0..1.

    Returns:
        What pair.json holds.

    Raises:
        InputRefused: a class is absent, or fewer than two measurements vary.
        StoredStateRefused: no validation cell has a confidence.
    """
    resampling = {"bootstraps": bootstraps, "confidence": level, "seed": seed}
    labelled = cells_train[cells_train[schema.LABEL].isin(list(classes))]
    axes = learn_axes(labelled, table.measurements(cells_train, channels, marker), units)
    train = _place(cells_train, axes, classes, "train")
    validation = _place(cells_validation, axes, classes, "validation")
    ranking = rank_features(train, validation, axes, classes, resampling)
    best = list(ranking["feature"])
    alike = rank_correlations(train.linear[best])
    with threadpool_limits(1):  # hundreds of tiny fits: threads would only wait on each other
        pairs = rank_pairs(train, validation, pick_candidates(best, alike, candidates), alike, resampling)
    summary, cells = _summarise(
        pairs.iloc[0], train, validation, {axis.feature: axis for axis in axes}, confidence, classes, resampling
    )
    summary["sentence"] = describe(summary)
    out_dir = pathlib.Path(out_dir)
    files.write_csv(ranking, out_dir / "ranking.csv")
    files.write_csv(pairs, out_dir / "pairs.csv")
    with files.replacing(out_dir / "pair.png") as temporary:
        temporary.write_bytes(figures.png(draw(summary, *cells)))
    files.write_json(out_dir / "pair.json", summary)
    return summary


def _read_confidence(path: pathlib.Path) -> pd.Series:
    if not path.is_file():
        raise StoredStateRefused(f"{path}: no such file; run evaluate on this run folder first")
    try:
        predictions = pd.read_parquet(path, columns=[schema.CELL_ID, "calibrated"])
    except Exception as error:  # pyarrow raises many kinds for damaged bytes and for a missing column
        reason = (str(error).splitlines() or ["damaged"])[0]
        raise StoredStateRefused(f"{path}: not readable ({reason}); run evaluate on this run folder again") from None
    return predictions.drop_duplicates(schema.CELL_ID).set_index(schema.CELL_ID)["calibrated"]


def run_discover(workdir) -> dict:
    """Discover for the run in `workdir`: reads its config, its data set and its validation predictions.

    Returns:
        What RUN/features/pair.json holds.

    Raises:
        StoredStateRefused: the run folder or the data set lacks a file, or one is damaged.
        InputRefused: see `discover`.
    """
    workdir = pathlib.Path(workdir)
    try:
        config = files.read_json(workdir / "config.json")
        training, marker = config["training"], config["marker"]
        channels = [c for c in training["data"]["channels"] or config["channels"] if c != marker]
        data_dir, classes = pathlib.Path(config["data_dir"]), config["classes"]
        wanted = training["data"]["cell_lines"]
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise StoredStateRefused(f"{workdir / 'config.json'}: no config of a run ({error!r}); train first") from None
    confidence = _read_confidence(workdir / "predictions_validation.parquet")
    cells = table.unlocked(table.load_cells(data_dir))
    cells = cells[cells[schema.CELL_LINE].isin(list(wanted))] if wanted else cells
    return discover(
        *(cells[cells[schema.SPLIT] == split] for split in ("train", "validation")),
        channels=channels, marker=marker, classes=classes, confidence=confidence, out_dir=workdir / "features",
        candidates=training["discover"]["candidates"], bootstraps=training["evaluate"]["bootstraps"],
        seed=training["seed"], units=files.read_units(data_dir / "cells.parquet"),
        level=training["evaluate"]["confidence"],
    )  # fmt: skip
