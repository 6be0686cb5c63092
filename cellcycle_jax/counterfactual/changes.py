"""What changed in cells that are called otherwise now, beside the difference between the classes.

Families of measurements are compared by one measurement each: the one in which the classes differ most on training
cells. Changes are in standard deviations of training cells, above 0 in the direction in which the classes differ.
"""

import dataclasses

import numpy as np
import pandas as pd

from cellcycle_jax import schema
from cellcycle_jax.features import families
from cellcycle_jax.features.feature_axes import logarithm
from cellcycle_jax.scoring.intervals import Interval, Resampling

LEAST_PRESENT = 0.5  # share of cells that must have a measurement


@dataclasses.dataclass(frozen=True)
class Scale:
    """How a measurement is made comparable with others; learnt on training cells.

    Attributes:
        family: its name.
        column: of the measurement.
        log: whether its logarithm is taken.
        mean, spread: of training cells, after the logarithm.
        sign: 1 where it is higher in the class, -1 where it is lower.
    """

    family: str
    column: str
    log: bool
    mean: float
    spread: float
    sign: float

    def towards_class(self, table: pd.DataFrame) -> np.ndarray:
        """The measurement f64 [N] in standard deviations, higher in the class; NaN where it is missing."""
        values = table[self.column].to_numpy(float)
        linear = logarithm(values) if self.log else values
        return self.sign * (linear - self.mean) / self.spread


def scales(training: pd.DataFrame, of_class, channels, stains) -> list[Scale]:
    """The measurement that stands for each family.

    Args:
        training: f64 [N, F], measurements of labelled training cells.
        of_class: bool [N].
        channels, stains: as of `families.family`.
    """
    best = {}
    for column in training:
        values = training[column].to_numpy(float)
        if np.isfinite(values).mean() < LEAST_PRESENT:
            continue
        log = bool(np.nanmin(values) > 0)
        linear = logarithm(values) if log else values
        spread = float(np.nanstd(linear))
        if not spread > 0:
            continue
        difference = float(np.nanmean(linear[of_class]) - np.nanmean(linear[~of_class])) / spread
        family = families.family(column, channels, stains).name
        if family not in best or abs(difference) > best[family][0]:
            sign = 1.0 if difference >= 0 else -1.0
            scale = Scale(family, column, log, float(np.nanmean(linear)), spread, sign)
            best[family] = (abs(difference), scale)
    return [scale for _, scale in best.values()]


@dataclasses.dataclass(frozen=True)
class Changed:
    """What changed in a family.

    Attributes:
        scale: its measurement.
        class_difference: between the classes, in standard deviations, on validation cells.
        edited: mean change by the shortest edits, in standard deviations along the class difference.
        nearest: the same from each cell to the nearest real cell of the other class.
    """

    scale: Scale
    class_difference: Interval
    edited: Interval
    nearest: Interval

    def is_certain(self, level: float) -> bool:
        """Whether the classes differ in it, and the edited cells changed the same way, both for certain."""
        return self.class_difference.certain_sign(level) == 1 and self.edited.certain_sign(level) == 1

    @property
    def bridged(self) -> float:
        """How much of the difference between the classes the edits bridge, in standard deviations; no more than all."""
        return min(self.edited.value, self.class_difference.value)

    @property
    def side_effect(self) -> float:
        """By how many standard deviations the edits change it beyond what the classes differ by."""
        if self.edited.value < 0:
            return -self.edited.value
        return self.edited.value - max(self.class_difference.value, 0.0)


@dataclasses.dataclass(frozen=True)
class Moved:
    """M cells that were moved across, before and after.

    Attributes:
        before: f64 [M, F], measurements.
        edited: f64 [M, F], of the edited cells.
        nearest: f64 [M, F], of the nearest real cell of the other class; NaN where there is none.
        into: bool [M], whether they were moved into the class, or out of it.
        groups: text [M].
    """

    before: pd.DataFrame
    edited: pd.DataFrame
    nearest: pd.DataFrame
    into: np.ndarray
    groups: np.ndarray


def compare(scales_of, validation: pd.DataFrame, of_class, groups, moved: Moved, resampling: Resampling):
    """What changed in each family, the one first in which most of the difference between the classes is bridged.

    Args:
        scales_of: `Scale` of each family.
        validation: f64 [N, F], measurements of labelled validation cells.
        of_class: bool [N].
        groups: text [N].
        moved: the cells that were moved across.
        resampling: how intervals are made.

    Returns:
        A list of `Changed`.
    """
    sign = np.where(moved.into, 1.0, -1.0)
    changed = []
    for scale in scales_of:
        before = scale.towards_class(moved.before)
        edited = sign * (scale.towards_class(moved.edited) - before)
        nearest = sign * (scale.towards_class(moved.nearest) - before)
        difference = _difference(scale.towards_class(validation), of_class, groups, resampling)
        of_edited = _mean(edited, moved.groups, resampling)
        of_nearest = _mean(nearest, moved.groups, resampling)
        changed.append(Changed(scale, difference, of_edited, of_nearest))
    return sorted(changed, key=lambda one: np.nan_to_num(one.bridged), reverse=True)


def _mean(values, groups, resampling: Resampling) -> Interval:
    known = np.isfinite(values)
    if not known.any():
        return Interval(float("nan"))
    return resampling.mean(values[known], groups[known])


def _difference(values, of_class, groups, resampling: Resampling) -> Interval:
    """Mean of a class less that of the others."""
    known = np.isfinite(values)
    if not known.any():
        return Interval(float("nan"))
    values = values[known]
    of_class = of_class[known]

    def difference(weights):
        of = weights * of_class
        others = weights * ~of_class
        return {"difference": of @ values / of.sum(1) - others @ values / others.sum(1)}

    with np.errstate(all="ignore"):
        return resampling.intervals(difference, groups[known], label=of_class.astype(int))["difference"]


def in_words(scale: Scale) -> str:
    """The measurement of a family, for a reader."""
    return schema.readable(scale.column)


def nearest_rows(cells: pd.DataFrame, others: pd.DataFrame, scales_of, fields, other_fields) -> np.ndarray:
    """For each cell the row of the other that is most like it among those of its field, i64 [M]; -1: there is none.

    Args:
        cells: f64 [M, F], measurements.
        others: f64 [L, F], of the cells among which is looked.
        scales_of: of the measurements that count.
        fields, other_fields: text [M] and [L].
    """
    own = np.column_stack([np.nan_to_num(scale.towards_class(cells)) for scale in scales_of])
    of_others = np.column_stack([np.nan_to_num(scale.towards_class(others)) for scale in scales_of])
    rows = np.full(len(own), -1)
    for number, (point, field) in enumerate(zip(own, fields, strict=True)):
        candidates = np.flatnonzero(other_fields == field)
        if len(candidates):
            distance = ((of_others[candidates] - point) ** 2).sum(1)
            rows[number] = candidates[distance.argmin()]
    return rows
