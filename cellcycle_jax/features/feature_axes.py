"""What separates two classes of cells: how a measurement is shown and made linear, the cut in one, the line in two.

Everything is learnt on training cells. With several cell lines each measurement is first divided by the line's training
median, so that one decision line in the plane serves all. The positive class is the last one; of more than two, the
others are taken together.
"""

import dataclasses

import numpy as np
import pandas as pd

from cellcycle_jax import schema
from cellcycle_jax.dataset import cell_table
from cellcycle_jax.errors import InputRefused
from cellcycle_jax.features import logistic

_PRESENT = 0.8  # share of training cells that must have a measurement


@dataclasses.dataclass(frozen=True)
class FeatureAxis:
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

    def show(self, values, lines) -> np.ndarray:
        """Values f64 [N] of the measurement as they are shown, for cells of `lines` [N]."""
        if not self.medians:
            return np.asarray(values, np.float64)
        median = np.array([self.medians.get(line, self.other) for line in lines])
        return values / median if self.divide else values - median

    def linear(self, shown) -> np.ndarray:
        """The coordinate in which the decision line is straight; NaN where there is no logarithm."""
        return logarithm(shown) if self.log else shown


@dataclasses.dataclass(frozen=True)
class DecisionLine:
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
    def fit(cls, points, positive) -> "DecisionLine":
        """Logistic regression with balanced classes on standardised `points` f64 [N, 2]."""
        mean = points.mean(0)
        spread = points.std(0)
        spread = np.where(spread > 0, spread, 1.0)
        coefficients, intercept = logistic.fit_balanced((points - mean) / spread, positive)
        coefficients = coefficients / spread
        return cls(coefficients, float(intercept - coefficients @ mean), spread)

    def decision(self, points) -> np.ndarray:
        """Log odds f64 [N] of the positive class."""
        return points @ self.coefficients + self.intercept

    def distance(self, points) -> np.ndarray:
        """Distance f64 [N] from the line, in training standard deviations of the coordinates."""
        steepness = float(np.linalg.norm(self.coefficients * self.spread))
        return np.abs(self.decision(points)) / max(steepness, 1e-300)


@dataclasses.dataclass(frozen=True)
class ProjectedCells:
    """Labelled cells of one split in linear coordinates.

    Attributes:
        rows: of the table of cells, N of them.
        shown: f64 [N, F], each measurement as it is shown.
        linear: f64 [N, F], its linear coordinate.
        positive: bool [N], whether a cell is of the positive class.
    """

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
        columns = list(pair)
        has_both = np.isfinite(self.linear[columns]).all(axis=1).to_numpy()
        return self.linear.loc[has_both, columns].to_numpy(), has_both


def learn_axes(rows: pd.DataFrame, features, units: dict[str, str]) -> list[FeatureAxis]:
    """Axes of the measurements that vary and that most of the training rows have."""
    values = cell_table.relative_features(rows, features)
    lines = rows[schema.CELL_LINE]
    has_several_lines = lines.nunique() > 1
    axes = []
    for feature in features:
        column = values[feature]
        if column.notna().mean() < _PRESENT or column.nunique() < 2:
            continue
        unit = "relative to field" if "_Intensity_" in feature else units.get(feature, "")
        medians = {}
        divide = False
        if has_several_lines:
            medians = column.groupby(lines).median().dropna().to_dict()
            divide = min(medians.values()) > 0 and column.min() >= 0
            unit = "relative to line median" if divide else "difference from line median"
        log = bool(column.min() > 0)
        axes.append(FeatureAxis(feature, log, divide, medians, float(column.median()), unit))
    return axes


def place(rows: pd.DataFrame, axes: list[FeatureAxis], classes, split: str) -> ProjectedCells:
    """The labelled cells among `rows`, accepted cells of `split`, in the coordinates of `axes`.

    Raises:
        InputRefused: a class is absent.
        ValueError: a row is rejected or of another split.
    """
    _require(rows, split)
    rows = rows[rows[schema.LABEL].isin(list(classes))].reset_index(drop=True)
    positive = (rows[schema.LABEL] == classes[-1]).to_numpy()
    if one_sided(positive):
        raise InputRefused(f"{split}: {int(positive.sum())} of {len(positive)} labelled cells are {classes[-1]!r}; "
                           "both classes are needed to look for what separates them")
    shown, linear = coordinates(rows, axes, split)
    return ProjectedCells(rows, shown, linear, positive)


def coordinates(rows: pd.DataFrame, axes: list[FeatureAxis], split: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What is shown of `rows`, accepted cells of `split`, labelled or not, and its linear coordinates; f64 [N, F] both.

    Raises:
        ValueError: a row is rejected or of another split.
    """
    _require(rows, split)
    values = cell_table.relative_features(rows, [axis.feature for axis in axes])
    lines = rows[schema.CELL_LINE].to_numpy()
    shown = {}
    linear = {}
    for axis in axes:
        shown[axis.feature] = axis.show(values[axis.feature].to_numpy(), lines)
        linear[axis.feature] = axis.linear(shown[axis.feature])
    return pd.DataFrame(shown), pd.DataFrame(linear)


def _require(rows: pd.DataFrame, split: str) -> None:
    is_allowed = (rows[schema.SPLIT] == split) & (rows[schema.REJECT_REASON] == "")
    if not is_allowed.all():
        raise ValueError(f"only accepted cells of the {split} split may enter")


def logarithm(values) -> np.ndarray:
    """Natural logarithm f64 [N] of values f64 [N]; NaN where there is none."""
    return np.log(values, out=np.full(len(values), np.nan), where=values > 0)


def one_sided(positive) -> bool:
    """Whether bool [N] holds one class alone, which nothing can separate."""
    return positive.all() or not positive.any()


def negative(classes) -> str:
    """What the cells are called that are not of the last class."""
    return classes[0] if len(classes) == 2 else f"not {classes[-1]}"


def best_cut(values, positive) -> float:
    """The cut above which cells are called positive with the highest balanced accuracy: midway between two values.

    Args:
        values: f [N], at least two different ones.
        positive: bool [N], holding both classes.
    """
    order = np.argsort(values, kind="stable")
    values = values[order]
    positive = positive[order]
    negatives_below = np.cumsum(~positive) / (~positive).sum()
    positives_below = np.cumsum(positive) / positive.sum()
    gain = negatives_below - positives_below
    candidates = np.flatnonzero(np.diff(values) > 0)
    best = candidates[np.argmax(gain[candidates])]
    return float((values[best] + values[best + 1]) / 2)
