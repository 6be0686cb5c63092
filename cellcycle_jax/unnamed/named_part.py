"""The part of a network's output that measurements explain, for cells of groups that the fit has not seen.

A regression on measurements alone leaves too much: a measurement has errors of its own (a mask off by a pixel, crops
that were resampled while the table was not), and a network that reads the same property from the pixels follows the
property, not the error. What follows the property would come back as "not explained", in every network alike. So the
prediction by measurements is itself predicted from the network's activations, which do not hold the errors of the
table (two-stage least squares: the activations are the instruments; Wooldridge, Econometric Analysis of Cross Section
and Panel Data, chapter 5), and the output may follow that instead. How far it may is bounded: a measurement of which
less than LEAST_RELIABILITY of the variance is the property itself is no name for it.
"""

import dataclasses

import numpy as np
from scipy import optimize
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

FOLDS = 5
PENALTIES = np.logspace(-1, 4, 11)
TAILS = (1, 99)  # percentiles that an output is held to: a network that is very sure must not decide a sum of squares
LEAST_RELIABILITY = 0.5  # share of a measurement's variance that must be the property itself


@dataclasses.dataclass(frozen=True)
class UnseenCells:
    """Cells that a network was not trained on.

    Attributes:
        output: f64 [N], log odds of a class, held to `TAILS`.
        embeddings: f32 [N, D], means of the network's activations.
        table: f64 [N, F], measurements; NaN where missing.
        groups: text [N].
    """

    output: np.ndarray
    embeddings: np.ndarray
    table: np.ndarray
    groups: np.ndarray


def held(output) -> np.ndarray:
    """Outputs f64 [N] held to `TAILS`."""
    return np.clip(output, *np.percentile(output, TAILS))


def predict(cells: UnseenCells, seed: int, share: float = 1.0) -> np.ndarray:
    """What measurements say of the output of each cell, f64 [N], fitted on other groups.

    Args:
        cells: of at least two groups.
        seed: of the boosting, and of which groups are left out of the fit.
        share: of the groups to fit that are used; less than 1 shows whether more cells would explain more.
    """
    folds = _folds(cells.groups, seed, share)
    from_table = np.zeros(len(cells.output))
    from_activations = np.zeros(len(cells.output))
    with threadpool_limits(1):
        for fit, others in folds:
            from_table[others] = _fit_table(cells.table[fit], cells.output[fit], seed)(cells.table[others])
        for fit, others in folds:
            of_property = _ridge().fit(cells.embeddings[fit], from_table[fit])
            from_activations[others] = of_property.predict(cells.embeddings[others])
    return _bounded_sum(cells.output, from_table, from_activations)


def _folds(groups, seed: int, share: float) -> list:
    """Rows to fit and rows held out, whole groups each."""
    folds = []
    rng = np.random.default_rng(seed)
    for fit, others in group_folds(groups):
        if share < 1:
            names = np.unique(groups[fit])
            used = rng.permutation(names)[: max(1, round(share * len(names)))]
            fit = fit[np.isin(groups[fit], used)]
        folds.append((fit, others))
    return folds


def group_folds(groups) -> list:
    """Rows to fit and rows held out, whole groups each, at most FOLDS pairs."""
    number = min(FOLDS, len(np.unique(groups)))
    return list(GroupKFold(number).split(groups, groups=groups))


def _ridge():
    return make_pipeline(StandardScaler(), RidgeCV(PENALTIES))


def _fit_table(table, output, seed: int):
    """A linear rule of the measurements, and trees for what it leaves: interactions and curves."""
    centre = np.nanmedian(table, axis=0)
    linear = _ridge().fit(_filled(table, centre), output)
    trees = HistGradientBoostingRegressor(
        max_iter=100,
        learning_rate=0.08,
        max_leaf_nodes=12,
        min_samples_leaf=20,
        l2_regularization=5.0,
        early_stopping=False,
        random_state=seed,
    )
    trees.fit(table, output - linear.predict(_filled(table, centre)))
    return lambda others: linear.predict(_filled(others, centre)) + trees.predict(others)


def _filled(table, centre):
    return np.where(np.isfinite(table), table, centre)


def _bounded_sum(output, from_table, from_activations):
    """The sum of both predictions that is nearest to the output, with bounded weights."""
    both = np.column_stack([from_table, from_activations])
    mean = both.mean(0)
    bounds = ([0.0, 0.0], [1.0, 1.0 / LEAST_RELIABILITY])
    weights = optimize.lsq_linear(both - mean, output - output.mean(), bounds).x
    return output.mean() + (both - mean) @ weights
