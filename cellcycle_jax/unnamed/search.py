"""The search for a measurement that names what has no name: chosen on training groups, tested on validation groups."""

import dataclasses

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge

from cellcycle_jax.scoring.holm import corrected
from cellcycle_jax.scoring.intervals import Interval, Resampling
from cellcycle_jax.unnamed.parts import within_fields

PROPOSALS = 3  # of different families
PRESENT = 0.5  # share of cells that must have a measurement
PENALTY = 1.0  # of the regression of a measurement on the table, in cells


@dataclasses.dataclass(frozen=True)
class Bank:
    """Measurements of the bank, less what the table says of each.

    Attributes:
        names: of the F measurements.
        values: f64 [N, F], in standard deviations of the training cells; 0 where missing.
        training: bool [N], which cells the search may look at.
    """

    names: list[str]
    values: np.ndarray
    training: np.ndarray


def beyond_table(bank: pd.DataFrame, table: np.ndarray, training) -> Bank:
    """What measurements of the bank say that is not in the table.

    Args:
        bank: f64 [N, F].
        table: f64 [N, D], measurements that have a name; NaN where missing.
        training: bool [N].
    """
    bank = bank.loc[:, np.isfinite(bank).mean() >= PRESENT]
    values = _standardised(bank.to_numpy(float), training)
    varies = values[training].std(0) > 0
    values = values[:, varies]
    known = _standardised(table, training)
    regression = Ridge(PENALTY).fit(known[training], values[training])
    left = _standardised(values - regression.predict(known), training)
    return Bank(bank.columns[varies].tolist(), left, training)


def _standardised(values, training):
    mean = np.nanmean(values[training], axis=0)
    spread = np.nanstd(values[training], axis=0)
    scaled = (values - mean) / np.where(spread > 0, spread, 1.0)
    # Few cells far out must not decide a correlation.
    return np.nan_to_num(np.clip(scaled, -5, 5), nan=0.0)


def strengths(bank: Bank, target, weights=None) -> np.ndarray:
    """How closely each measurement follows a target on training cells, f64 [F], times its weight.

    Args:
        bank: of N cells.
        target: f64 [N]; NaN of cells that do not count.
        weights: f64 [F], 0 or more; None: all alike.
    """
    rows = bank.training & np.isfinite(target)
    of_cells = target[rows] - target[rows].mean()
    values = bank.values[rows]
    values = values - values.mean(0)
    length = np.sqrt((values**2).sum(0) * (of_cells**2).sum())
    correlation = of_cells @ values / np.where(length > 0, length, np.inf)
    strength = np.abs(correlation)
    return strength if weights is None else strength * weights


def propose(bank: Bank, strength, family_of) -> list[str]:
    """The PROPOSALS measurements of most strength, each of another family, the strongest first."""
    chosen = []
    for number in np.argsort(-strength, kind="stable"):
        name = bank.names[number]
        if family_of(name) not in [family_of(other) for other in chosen]:
            chosen.append(name)
        if len(chosen) == PROPOSALS:
            break
    return chosen


def tested(bank: Bank, names, left, fields, groups, resampling: Resampling) -> dict[str, Interval]:
    """Whether proposals follow what has no name on validation cells.

    Args:
        bank: of N cells.
        names: of the proposals.
        left: f64 [N], mean over the networks of what is left of their outputs; NaN of cells that do not count.
        fields, groups: text [N].
        resampling: how intervals are made.

    Returns:
        name -> correlation within fields of the proposal with what is left, with p corrected for their number.
    """
    rows = ~bank.training & np.isfinite(left)
    target = within_fields(left[rows], fields[rows])
    intervals = {}
    for name in names:
        values = within_fields(bank.values[rows, bank.names.index(name)], fields[rows])
        products = values * target
        squares = values**2
        of_target = target**2

        def correlation(weights, products=products, squares=squares, of_target=of_target):
            scale = np.sqrt((weights @ squares) * (weights @ of_target))
            return {"r": weights @ products / np.where(scale > 0, scale, np.nan)}

        intervals[name] = resampling.intervals(correlation, groups[rows], tested=lambda name: True)["r"]
    return corrected({"r": intervals})["r"]


