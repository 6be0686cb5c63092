"""How much of a network's logit named measurements explain, which of them, and the cells that they leave unexplained.

The question is what the network does to cells it has not seen, so everything is fitted and scored on validation cells,
by cross-validation over whole groups. Its logits of training cells would not do: they hold what it has learnt by heart,
which follows no measurement, or follows the label. The price is fewer cells to fit, so an R2 here is a lower bound. No
label enters.

R2 is that of the variation within cell lines, since measurements are relative to the line where there are several. The
logit is used as it is, log odds, in which a linear rule is linear, but held to its own 1 % and 99 %: a handful of cells
far out must not decide a sum of squares. Ranks were not taken, because they would count the order among cells of which
the network is sure as much as that between the classes; a tanh would collapse confident predictions to two values.
"""

import functools

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused
from cellcycle_jax.explain.measurements import measured_cells
from cellcycle_jax.explain.regions.explained_cells import resampling_of
from cellcycle_jax.features import feature_axes, ranking
from cellcycle_jax.runs import trained_run
from cellcycle_jax.scoring import crossvalidation
from cellcycle_jax.scoring.intervals import Resampling
from cellcycle_jax.scoring.jackknife import BELOW_ONE, LINEAR

MOST_CELLS = 3000  # validation cells whose logits are explained
GROWTH = 0.02  # least R2 that a family must add
SAME = 1e-20  # share of a column's sum of squares that is rounding beside the columns that it follows from
_TAILS = (1, 99)  # percentiles that the logit is held to
_PENALTIES = np.logspace(-1, 4, 11)  # of the ridge, chosen by grouped cross-validation within the cells to fit


def explained(train_rows: pd.DataFrame, rows: pd.DataFrame, logit, families, resampling: Resampling) -> tuple:
    """R2 of the network's logit by named measurements, the families that matter, and what is left of each cell.

    Args:
        train_rows: accepted cells of the training split, from which only the axes are learnt
            (`feature_axes.learn_axes`) and which measurements repeat each other.
        rows: accepted cells of the validation split, labelled or not.
        logit: f64 [N], one number for each of `rows`: the log odds of the class, its logit less the other's.
        families: {measurement: Family} of all measurements that may explain.
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
    n_groups = len(np.unique(groups))
    target, level = _target(np.asarray(logit, np.float64), rows[schema.CELL_LINE].to_numpy())
    axes = feature_axes.learn_axes(train_rows, list(families), {})
    if n_groups < 2 or not axes or np.ptp(target) == 0:
        raise InputRefused("validation cells: to predict the network's output takes two groups, an output that varies "
                           "and a measurement that varies; add fields or look at the run")
    _, train = feature_axes.coordinates(train_rows, axes, "train")
    _, validation = feature_axes.coordinates(rows, axes, "validation")
    scaled = _standardise(validation, train)
    named = pd.DataFrame(scaled, columns=validation.columns)
    score = _scorer(target, groups, resampling)
    with threadpool_limits(1):
        linear = held_out(_ridge, scaled, target, groups)
        boosting = functools.partial(_boosting, resampling.seed)
        boosted = held_out(boosting, validation.to_numpy(), target, groups)
        alike = ranking.rank_correlations(train)
        steps = _forward(named, target, groups, families, alike, score)
    scores = {"linear": score(linear), "boosted": score(boosted)}
    by = "linear"
    predicted = linear
    if scores["boosted"].value > scores["linear"].value:
        by = "boosted"
        predicted = boosted
    summary = {
        "r2": scores[by],
        "by": by,
        **scores,
        "steps": steps,
        "n_cells": len(rows),
        "n_groups": n_groups,
    }
    return summary, residuals(rows[schema.CELL_ID], target + level, predicted + level)


def explain_run(run: trained_run.Run) -> tuple[dict, pd.DataFrame]:
    """How much of the logit of a run's network measurements explain, on its validation cells; see `explained`.

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
    residual = np.asarray(logit) - np.asarray(predicted)
    table = pd.DataFrame({
        schema.CELL_ID: list(cell_ids),
        "logit": logit,
        "predicted": predicted,
        "residual": residual,
    })
    return table.iloc[np.argsort(-np.abs(residual), kind="stable")].reset_index(drop=True)


def _target(logit, lines) -> tuple[np.ndarray, np.ndarray]:
    """The logit f64 [N] held to its tails, less the mean of its cell line, and that mean for each cell."""
    held = np.clip(logit, *np.percentile(logit, _TAILS))
    level = pd.Series(held).groupby(np.asarray(lines)).transform("mean").to_numpy()
    return held - level, level


def _standardise(values: pd.DataFrame, train: pd.DataFrame) -> np.ndarray:
    """In training standard deviations from the training mean, f64 [N, F]; 0 where missing or without spread."""
    mean = train.mean().to_numpy()
    spread = train.std().to_numpy()
    varies = spread > 0
    scaled = (values.to_numpy() - mean) / np.where(varies, spread, 1.0)
    return np.nan_to_num(np.where(varies, scaled, 0.0), nan=0.0)


def folds(groups) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows to fit and rows held out, whole groups each; all rows twice where there is one group alone."""
    rows = np.arange(len(groups))
    return crossvalidation.folds(groups) or [(rows, rows)]


def held_out(fit, values: np.ndarray, target: np.ndarray, groups) -> np.ndarray:
    """What a model says of cells of groups that it was not fitted to, f64 [N], or [N, ...] of one that says more.

    Args:
        fit: (values [M, F], target [M], groups [M]) -> a function of values [K, F] that predicts [K, ...].
        values: f64 [N, F].
        target: f64 [N].
        groups: [N].
    """
    predicted = None
    for rows, others in folds(groups):
        predict = fit(values[rows], target[rows], groups[rows])
        of_others = predict(values[others])
        if predicted is None:
            predicted = np.zeros((len(target), *of_others.shape[1:]))
        predicted[others] = of_others
    return predicted


def _ridge(values, target, groups):
    """Ridge regression; of the penalties the one of the highest R2, mean over held-out groups within these cells."""
    scores = []
    for rows, others in folds(groups):
        predicted = _ridge_of_each(values[rows], target[rows], _PENALTIES)(values[others])
        residual = ((target[others, None] - predicted) ** 2).sum(0)
        spread = ((target[others] - target[others].mean()) ** 2).sum()
        scores.append(1 - residual / spread if spread > 0 else np.where(residual > 0, 0.0, 1.0))
    best = int(np.mean(scores, axis=0).argmax())
    predict = _ridge_of_each(values, target, _PENALTIES[[best]])
    return lambda others: predict(others)[:, 0]


def _ridge_of_each(values, target, penalties):
    """Ridge regressions that differ in their penalty, from one decomposition: predictions [K, number of penalties]."""
    mean = values.mean(0)
    level = target.mean()
    left, size, right = np.linalg.svd(values - mean, full_matrices=False)
    along = left.T @ (target - level)
    coefficients = right.T @ ((size * along)[:, None] / (size[:, None] ** 2 + penalties))
    return lambda others: (others - mean) @ coefficients + level


def _boosting(seed: int, values, target, groups):
    # As the baseline of all measurements: early stopping would hold out siblings of the same field.
    model = HistGradientBoostingRegressor(
        max_iter=200,
        learning_rate=0.05,
        max_leaf_nodes=15,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    )
    return model.fit(values, target).predict


def _least_squares(values, target, groups):
    coefficients = np.linalg.lstsq(_with_constant(values), target, rcond=None)[0]

    def predict(values):
        return _with_constant(values) @ coefficients

    return predict


def _least_squares_of_each(n_shared: int, values, target, groups):
    """The rules of `_least_squares` of the first `n_shared` columns and one of the others each: predictions [K, C].

    What the shared columns say is taken off the target and off each other column; one number is left to fit of each.
    """
    shared = _with_constant(values[:, :n_shared])
    each = values[:, n_shared:]
    of_target = np.linalg.lstsq(shared, target, rcond=None)[0]
    of_each = np.linalg.lstsq(shared, each, rcond=None)[0]
    beyond = each - shared @ of_each
    length = (beyond**2).sum(0)
    adds = length > SAME * (each**2).sum(0)
    slope = np.where(adds, beyond.T @ (target - shared @ of_target) / np.where(adds, length, 1.0), 0.0)

    def predict(values):
        shared = _with_constant(values[:, :n_shared])
        return (shared @ of_target)[:, None] + (values[:, n_shared:] - shared @ of_each) * slope

    return predict


def _with_constant(values):
    return np.column_stack([np.ones(len(values)), values])


def r2(target, predicted, weights) -> np.ndarray:
    """1 - residual over total sum of squares about the weighted mean, f64 [B], for weights f [B, N]."""
    total = weights.sum(1)
    mean = weights @ target / np.maximum(total, 1e-300)
    spread = weights @ target**2 - total * mean**2
    varies = spread > 1e-12 * np.maximum(weights @ target**2, 1e-300)
    residual = weights @ (target - predicted) ** 2
    return np.where(varies, 1 - residual / np.where(varies, spread, 1.0), np.nan)


def _scorer(target, groups, resampling):
    """A function of predictions f64 [N]: their R2 with its interval, or by how much it exceeds that of others."""

    def score(predicted, others=None):
        def difference(weights):
            value = r2(target, predicted, weights)
            if others is not None:
                value = value - r2(target, others, weights)
            return {"r2": value}

        scale = BELOW_ONE if others is None else LINEAR
        return resampling.intervals(difference, groups, scale)["r2"].without_counts()

    return score


def _forward(values: pd.DataFrame, target, groups, families, alike: pd.DataFrame, score) -> list[dict]:
    """Families in the order in which a linear rule gains most from them, while it gains enough.

    The best of many measurements gains a little by chance. So the gain is that of the choice itself: in each fold the
    measurement is chosen without the held-out groups (which may choose another one), and scored on them. A family is
    added where that gain is at least GROWTH and its interval lies above 0. (Of 120 draws of 45 to 75 cells
    with 70 measurements of noise, this added a family in 2, the gain of the final choice alone in 8.) A measurement
    that repeats a chosen one, or is of its family, is no candidate. Measurements that tell something only together are
    not found.
    """
    table = values.to_numpy()
    names = pd.Index([families[column].name for column in values.columns])
    repeats = (alike >= ranking.DUPLICATE).to_numpy() | np.eye(len(names), dtype=bool)
    chosen = []
    steps = []
    before = np.zeros(len(target))
    while True:
        excluded = names.isin(names[chosen]) | repeats[:, chosen].any(1)
        free = np.flatnonzero(~excluded).tolist()
        if not free:
            return steps
        fit = functools.partial(_fit_with_one_more, tuple(chosen), free, repeats)
        gain = score(held_out(fit, table, target, groups), before)
        if not (gain.value >= GROWTH and gain.low > 0):
            return steps
        best = _choose(table, target, groups, chosen, free, repeats)
        chosen.append(best)
        before = held_out(_least_squares, table[:, chosen], target, groups)
        so_far = score(before)
        alternatives = [c for c in free if repeats[c, best]]
        steps.append({
            "family": names[best],
            "measurement": values.columns[best],
            "name": schema.readable(values.columns[best]),
            "r2": so_far.value,
            "low": so_far.low,
            "high": so_far.high,
            "gain": gain.value,
            "gain_low": gain.low,
            "gain_high": gain.high,
            "or": sorted({*names[alternatives]} - {names[best]}),
        })


def _fit_with_one_more(chosen, free, repeats, values, target, groups):
    """A linear rule of the columns `chosen` and the best of those that are `free`."""
    columns = [*chosen, _choose(values, target, groups, chosen, free, repeats)]
    predict = _least_squares(values[:, columns], target, groups)
    return lambda others: predict(others[:, columns])


def _choose(values, target, groups, chosen, free, repeats) -> int:
    """That of the columns `free` which, beside `chosen`, leaves least of the target on held-out groups.

    Where others repeat it and do as well but for half of GROWTH, the first of the table stands for them: which of them
    is best is chance, and a table begins with the plainest, the size of the nucleus.
    """
    predicted = held_out(functools.partial(_least_squares_of_each, len(chosen)), values[:, [*chosen, *free]], target,
                         groups)
    left = ((target[:, None] - predicted) ** 2).sum(0)
    best = int(left.argmin())
    enough = left[best] + GROWTH / 2 * (target**2).sum()
    return next(c for c, of_c in zip(free, left, strict=True) if repeats[c, free[best]] and of_c <= enough)
