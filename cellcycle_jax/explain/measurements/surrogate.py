"""How much of a network's answer named measurements explain, which of them, and the cells that they leave unexplained.

The question is what the network does to cells it has not seen, so everything is fitted and scored on validation cells,
by cross-validation over whole groups. Its logits of training cells would not do: they hold what it has learnt by heart,
which follows no measurement, or follows the label. The price is fewer cells to fit, so an R2 here is a lower bound. No
label enters.

R2 is that of the variation within cell lines, since measurements are relative to the line where there are several. The
logit is used as it is, log odds, in which a linear rule is linear, but held to its own 1 % and 99 %: a handful of cells
far out must not decide a sum of squares. Ranks were not taken, because they would count the order among cells of which
the network is sure as much as that between the classes; a tanh would collapse confident predictions to two values.
"""

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold
from threadpoolctl import threadpool_limits

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused
from cellcycle_jax.explain.measurements import measured_cells
from cellcycle_jax.explain.regions.explained_cells import resampling_of
from cellcycle_jax.features import feature_axes, ranking
from cellcycle_jax.features.families import Family
from cellcycle_jax.runs import trained_run
from cellcycle_jax.scoring import crossvalidation
from cellcycle_jax.scoring.intervals import Resampling

MOST_CELLS = 3000  # validation cells whose answers are explained
GROWTH = 0.02  # least R2 that a family must add
_TAILS = (1, 99)  # percentiles that the logit is held to
_PENALTIES = np.logspace(-1, 4, 11)  # of the ridge, chosen by grouped cross-validation within the cells to fit


def explained(
    train_rows: pd.DataFrame, rows: pd.DataFrame, logit, families: dict[str, Family], resampling: Resampling,
) -> tuple[dict, pd.DataFrame]:  # fmt: skip
    """R2 of the network's logit by named measurements, the families that matter, and what is left of each cell.

    Args:
        train_rows: accepted cells of the training split, from which only the axes are learnt
            (`feature_axes.learn_axes`) and which measurements repeat each other.
        rows: accepted cells of the validation split, labelled or not.
        logit: f64 [N], one number for each of `rows`: the log odds of the class, its logit less the other's.
        families: measurement -> its family, of all measurements that may explain.
        resampling: how intervals are made; its seed is also that of the boosting.

    Returns:
        A dict and a table. The dict holds `linear` (ridge) and `boosted` (gradient boosting) of all measurements, R2 on
        held-out groups as {value, low, high}; `r2`, the higher of the two, with `by`, which it is; `steps`, one dict a
        family in the order in which they were added: family, measurement, name, r2, low, high (R2 with all so far),
        gain, gain_low, gain_high, or (other families with a measurement that repeats this one, so that the data cannot
        tell which it is); `n_cells`, `n_groups`. The table has one row a cell, the largest |residual| first:
        Metadata_CellID, logit (held to its tails), predicted, residual, by the model of `r2`.

    Raises:
        InputRefused: fewer than two groups, or a logit or every measurement that does not vary.
        ValueError: a row is rejected or of another split.
    """
    groups = rows[schema.GROUP].to_numpy().astype(str)
    target, level = _target(np.asarray(logit, np.float64), rows[schema.CELL_LINE].to_numpy())
    axes = feature_axes.learn_axes(train_rows, list(families), {})
    if len(np.unique(groups)) < 2 or not axes or np.ptp(target) == 0:
        raise InputRefused("validation cells: to explain the network's answer takes two groups, an answer that varies "
                           "and a measurement that varies; add fields or look at the run")  # fmt: skip
    train, here = (feature_axes.coordinates(r, axes, s)[1] for r, s in ((train_rows, "train"), (rows, "validation")))
    scaled = _standardise(here, train)
    score = _scorer(target, groups, resampling)
    with threadpool_limits(1):
        models = {"linear": held_out(_ridge, scaled, target, groups),
                  "boosted": held_out(_boosting(resampling.seed), here.to_numpy(), target, groups)}  # fmt: skip
        names = {column: families[column].name for column in here.columns}
        chosen = _forward(pd.DataFrame(scaled, columns=here.columns), target, groups, names,
                          ranking.rank_correlations(train), score)  # fmt: skip
    found = {name: score(predicted) for name, predicted in models.items()}
    best = max(found, key=lambda name: found[name].value)
    size = {"n_cells": len(rows), "n_groups": len(np.unique(groups))}
    return ({"r2": found[best], "by": best, **found, "steps": chosen, **size},
            residuals(rows[schema.CELL_ID], target + level, models[best] + level))  # fmt: skip


def explain_run(run: trained_run.Run) -> tuple[dict, pd.DataFrame]:
    """How much of the answer of a run's network measurements explain, on its validation cells; see `explained`.

    Raises:
        InputRefused: there are too few groups or measurements.
        StoredStateRefused: the table of cells is missing or damaged.
    """
    measured = measured_cells.load_measured_cells(run)
    rows = measured.of_split("validation")
    rows = rows.sample(min(len(rows), MOST_CELLS), random_state=run.config.seed)
    rows, margin = measured_cells.with_margin(run, rows, "validation")
    return explained(measured.of_split("train"), rows, margin, measured.families, resampling_of(run))


def residuals(cell_ids, logit, predicted) -> pd.DataFrame:
    """What is left of each cell's logit: Metadata_CellID, logit, predicted, residual; the largest |residual| first."""
    left = np.asarray(logit) - np.asarray(predicted)
    table = pd.DataFrame({schema.CELL_ID: list(cell_ids), "logit": logit, "predicted": predicted, "residual": left})
    return table.iloc[np.argsort(-np.abs(left), kind="stable")].reset_index(drop=True)


def _target(logit, lines) -> tuple[np.ndarray, np.ndarray]:
    """The logit f64 [N] held to its tails, less the mean of its cell line, and that mean for each cell."""
    held = np.clip(logit, *np.percentile(logit, _TAILS))
    level = pd.Series(held).groupby(np.asarray(lines)).transform("mean").to_numpy()
    return held - level, level


def _standardise(values: pd.DataFrame, train: pd.DataFrame) -> np.ndarray:
    """In training standard deviations from the training mean, f64 [N, F]; 0 where missing or without spread."""
    spread = train.std().to_numpy()
    scaled = (values.to_numpy() - train.mean().to_numpy()) / np.where(spread > 0, spread, 1.0)
    return np.nan_to_num(np.where(spread > 0, scaled, 0.0), nan=0.0)


def folds(groups) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows to fit and rows held out, whole groups each; all rows twice where there is one group alone."""
    number = min(crossvalidation.FOLDS, len(np.unique(groups)))
    rows = np.arange(len(groups))
    return list(GroupKFold(number).split(rows, groups=groups)) if number > 1 else [(rows, rows)]


def held_out(fit, values: np.ndarray, target: np.ndarray, groups) -> np.ndarray:
    """What a model says of cells of groups that it was not fitted to, f64 [N].

    Args:
        fit: (values [M, F], target [M], groups [M]) -> a function of values [K, F] that predicts [K].
        values: f64 [N, F].
        target: f64 [N].
        groups: [N].
    """
    predicted = np.zeros(len(target))
    for rows, others in folds(groups):
        predicted[others] = fit(values[rows], target[rows], groups[rows])(values[others])
    return predicted


def _ridge(values, target, groups):
    return RidgeCV(_PENALTIES, cv=folds(groups)).fit(values, target).predict


def _boosting(seed: int):
    def fit(values, target, groups):
        # As the baseline of all measurements: early stopping would hold out siblings of the same field.
        model = HistGradientBoostingRegressor(
            max_iter=200, learning_rate=0.05, max_leaf_nodes=15, l2_regularization=1.0, early_stopping=False,
            random_state=seed,
        )  # fmt: skip
        return model.fit(values, target).predict

    return fit


def _least_squares(values, target, groups):
    def design(given):
        return np.column_stack([np.ones(len(given)), given])

    coefficients = np.linalg.lstsq(design(values), target, rcond=None)[0]
    return lambda given: design(given) @ coefficients


def r2(target, predicted, weights) -> np.ndarray:
    """1 - residual over total sum of squares about the weighted mean, f64 [B], for weights f [B, N]."""
    total = weights.sum(1)
    mean = weights @ target / np.maximum(total, 1e-300)
    spread = weights @ target**2 - total * mean**2
    varies = spread > 1e-12 * np.maximum(weights @ target**2, 1e-300)
    return np.where(varies, 1 - weights @ (target - predicted) ** 2 / np.where(varies, spread, 1.0), np.nan)


def _scorer(target, groups, resampling):
    """A function of predictions f64 [N]: their R2 with its interval, or by how much it exceeds that of others."""

    def score(predicted, less=None):
        def difference(weights):
            own = r2(target, predicted, weights)
            return {"r2": own if less is None else own - r2(target, less, weights)}

        return resampling.intervals(difference, groups)["r2"].without_counts()

    return score


def _forward(values: pd.DataFrame, target, groups, names: dict[str, str], alike: pd.DataFrame, score) -> list[dict]:
    """Families in the order in which a linear rule gains most from them, while it gains enough.

    The best of many measurements gains a little by chance. So the gain is that of the choice itself: in each fold the
    measurement is chosen without the held-out groups (which may choose another one), and scored on them. A family is
    added where that gain is at least GROWTH and its interval lies above 0. (Of 120 draws of 45 to 75 cells
    with 70 measurements of noise, this added a family in 2, the gain of the final choice alone in 8.) A measurement
    that repeats a chosen one, or is of its family, is no candidate. Measurements that tell something only together are
    not found.
    """
    table, columns = values.to_numpy(), list(values.columns)
    repeats = (alike >= ranking.DUPLICATE).to_numpy() | np.eye(len(columns), dtype=bool)
    chosen, steps, before = [], [], np.zeros(len(target))
    while True:
        taken = {names[columns[c]] for c in chosen}
        free = [i for i, column in enumerate(columns) if names[column] not in taken and not repeats[i, chosen].any()]
        if not free:
            return steps

        def fit(given, wanted, of, free=free, chosen=tuple(chosen)):
            best = [*chosen, _choose(given, wanted, of, chosen, free, repeats)]
            predict = _least_squares(given[:, best], wanted, of)
            return lambda others: predict(others[:, best])

        gain = score(held_out(fit, table, target, groups), before)
        if not (gain.value >= GROWTH and gain.low > 0):
            return steps
        chosen.append(_choose(table, target, groups, chosen, free, repeats))
        before = held_out(_least_squares, table[:, chosen], target, groups)
        so_far, column = score(before), columns[chosen[-1]]
        same = {names[columns[c]] for c in free if repeats[c, chosen[-1]]} - {names[column]}
        steps.append({"family": names[column], "measurement": column, "name": schema.readable(column),
                      "r2": so_far.value, "low": so_far.low, "high": so_far.high, "gain": gain.value,
                      "gain_low": gain.low, "gain_high": gain.high, "or": sorted(same)})  # fmt: skip


def _choose(values, target, groups, chosen, free, repeats) -> int:
    """That of the columns `free` which, beside `chosen`, leaves least of the target on held-out groups.

    Where others repeat it and do as well but for half of GROWTH, the first of the table stands for them: which of them
    is best is chance, and a table begins with the plainest, the size of the nucleus.
    """
    left = {c: ((target - held_out(_least_squares, values[:, [*chosen, c]], target, groups)) ** 2).sum() for c in free}
    best = min(left, key=left.get)
    enough = left[best] + GROWTH / 2 * (target**2).sum()
    return next(c for c in free if repeats[c, best] and left[c] <= enough)
