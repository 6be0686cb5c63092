"""Tables of single measurements and of pairs, those that separate the classes best first.

The order is chosen on training cells; the scores beside it are of validation cells.
"""

import itertools

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from cellcycle_jax import schema
from cellcycle_jax.dataset import cell_table
from cellcycle_jax.errors import InputRefused
from cellcycle_jax.features import families
from cellcycle_jax.features.feature_axes import DecisionLine, FeatureAxis, ProjectedCells, best_cut, negative, one_sided
from cellcycle_jax.scoring import crossvalidation, metrics
from cellcycle_jax.scoring.intervals import Resampling
from cellcycle_jax.scoring.jackknife import SHARE

DUPLICATE = 0.9  # |Spearman| from which two measurements count as the same one measured twice


def rank(
    train: ProjectedCells,
    validation: ProjectedCells,
    axes: list[FeatureAxis],
    classes,
    candidates: int,
    resampling: Resampling,
) -> tuple:
    """Both tables: measurements, and the pairs of the best of them.

    Args:
        train: cells on which the order, the cuts and the lines are chosen.
        validation: cells that are scored.
        axes: of the measurements, learnt on training cells.
        classes: names of the classes; the last is the positive one.
        candidates: number of single measurements that form pairs.
        resampling: how intervals are made.

    Raises:
        InputRefused: fewer than two measurements vary.
    """
    features = rank_features(train, validation, axes, classes, resampling)
    best = list(features["feature"])
    alike = rank_correlations(train.linear[best])
    features = _with_families(features, alike, cell_table.measured_channels(train.rows.columns))
    paired = pick_candidates(best, alike, candidates)
    with threadpool_limits(1):  # hundreds of tiny fits: threads would only wait on each other
        pairs = rank_pairs(train, validation, paired, alike, resampling)
    return features, pairs


def score(decision, positive, groups, resampling) -> dict:
    """AUROC and balanced accuracy of calling the cells above 0 positive, with intervals.

    Args:
        decision: f64 [N].
        positive: bool [N].
        groups: [N], group of each cell.
        resampling: how intervals are made.
    """
    called = _one_hot(decision)

    def scores(weights):
        return {
            "auroc": metrics.binary_auroc(positive, decision, weights),
            "balanced_accuracy": metrics.balanced_accuracy(positive.astype(int), called, weights),
        }

    least = {
        "auroc": metrics.auroc_variance(positive, decision),
        "balanced_accuracy": metrics.balanced_accuracy_variance(positive.astype(int), called),
    }
    return resampling.intervals(scores, groups, SHARE, positive, least)


def _one_hot(decision):
    """Probabilities f64 [N, 2], 0 or 1, of calling the cells above 0 positive."""
    return np.eye(2)[(decision > 0).astype(int)]


def rank_features(
    train: ProjectedCells, validation: ProjectedCells, axes: list[FeatureAxis], classes, resampling: Resampling
) -> pd.DataFrame:
    """Table of single measurements, best training AUROC first; validation scores use the training direction and cut."""
    rows = []
    for axis in tqdm(axes, desc="measurements", unit="", disable=None):
        values = train.shown[axis.feature].to_numpy()
        is_known = np.isfinite(values)
        values = values[is_known]
        positive = train.positive[is_known]
        held_out = validation.shown[axis.feature].to_numpy()
        is_held_out = np.isfinite(held_out)
        held_out = held_out[is_held_out]
        held_out_positive = validation.positive[is_held_out]
        if one_sided(positive) or one_sided(held_out_positive):
            continue
        if np.ptp(values) <= 1e-12 * np.abs(values).max():
            continue  # within each cell line it may be constant although it varies over all
        auroc = float(metrics.binary_auroc(positive, values)[0])
        sign = 1.0 if auroc >= 0.5 else -1.0
        cut = sign * best_cut(sign * values, positive)
        scores = score(sign * (held_out - cut), held_out_positive, validation.groups[is_held_out], resampling)
        rows.append({
            "feature": axis.feature,
            "name": schema.readable(axis.feature),
            "train_auroc": max(auroc, 1 - auroc),
            **_score_columns(scores, ""),
            "higher_in": classes[-1] if sign > 0 else negative(classes),
            "cut": cut,
            "unit": axis.unit,
            "n_train": len(values),
            "n_validation": len(held_out),
        })
    if not rows:
        raise InputRefused("cells.parquet: no measurement of the shown channels varies; there is nothing to rank")
    return _ranked(rows, "train_auroc", ascending=False)


def _score_columns(scores: dict, auroc_prefix: str) -> dict[str, float]:
    auroc = scores["auroc"]
    accuracy = scores["balanced_accuracy"]
    return {
        "validation_auroc": auroc.value,
        f"{auroc_prefix}low": auroc.low,
        f"{auroc_prefix}high": auroc.high,
        "validation_balanced_accuracy": accuracy.value,
        "balanced_accuracy_low": accuracy.low,
        "balanced_accuracy_high": accuracy.high,
    }


def _ranked(rows: list[dict], by, ascending) -> pd.DataFrame:
    """A table of these rows, sorted, with the column rank in front."""
    table = pd.DataFrame(rows).sort_values(by, ascending=ascending, kind="stable", ignore_index=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def rank_correlations(values: pd.DataFrame) -> pd.DataFrame:
    """|Spearman| between all columns, NaN for one that does not vary; a missing value takes the middle rank.

    Args:
        values: f64 [N, F].

    Returns:
        f64 [F, F].
    """
    ranks = np.column_stack([rankdata(values[column], nan_policy="omit") for column in values.columns])
    ranks = np.where(np.isfinite(ranks), ranks - np.nanmean(ranks, axis=0), 0.0)
    with np.errstate(invalid="ignore"):
        alike = np.atleast_2d(np.abs(np.corrcoef(ranks, rowvar=False)))
    return pd.DataFrame(alike, values.columns, values.columns)


def assign_families(features, alike: pd.DataFrame, names: dict[str, str]) -> dict[str, str]:
    """The family of each measurement, with what cannot be told apart in these data taken together.

    Args:
        features: measurements, best first.
        alike: |Spearman| between them, as `rank_correlations` gives it.
        names: measurement -> name of its family by meaning; see `families.family`.

    Returns:
        measurement -> name of a family, in the order of `features`: that of the best measurement which it repeats, or
        its own where it repeats none. Only measurements that repeat none are compared with, or a chain of likenesses
        could join what has little in common.
    """
    family_of = {}
    leaders = []
    positions = alike.columns.get_indexer(features)
    is_repeat = alike.to_numpy() >= DUPLICATE
    for feature, position in zip(features, positions, strict=True):
        repeated = np.flatnonzero(is_repeat[position, leaders])
        if len(repeated):
            family_of[feature] = family_of[alike.columns[leaders[repeated[0]]]]
        else:
            leaders.append(position)
            family_of[feature] = names[feature]
    return family_of


def one_each(features, alike: pd.DataFrame, names: dict[str, str], most: int) -> list[str]:
    """The best measurement of each of the `most` best families; arguments as `assign_families`."""
    best: dict[str, str] = {}
    for feature, name in assign_families(features, alike, names).items():
        best.setdefault(name, feature)
    return list(best.values())[:most]


def _with_families(ranking: pd.DataFrame, alike: pd.DataFrame, channels) -> pd.DataFrame:
    """Add to a table, best first, the columns family and family_rank: 1 for that of the best measurement."""
    names = {feature: families.family(feature, channels).name for feature in ranking["feature"]}
    family_of = assign_families(list(names), alike, names)
    ranking.insert(3, "family", list(family_of.values()))
    order_of_appearance, _ = pd.factorize(ranking["family"])
    ranking.insert(4, "family_rank", order_of_appearance + 1)
    return ranking


def pick_candidates(features: list[str], alike: pd.DataFrame, number: int) -> list[str]:
    """The first `number` of `features` (best first) that do not repeat a better one; repeats only fill what is left."""
    chosen: list[str] = []
    for feature in features:
        is_new = (alike.loc[feature, chosen] < DUPLICATE).all()
        if is_new and len(chosen) < number:
            chosen.append(feature)
    repeats = [feature for feature in features if feature not in chosen]
    return chosen + repeats[: max(0, number - len(chosen))]


def held_out_accuracy(points, positive, divisions) -> float:
    """Balanced accuracy of lines fitted without the group they are scored on; NaN where no fold has both classes.

    Args:
        points: f64 [N, 2], finite.
        positive: bool [N].
        divisions: as `crossvalidation.folds` divides the groups of the N cells.
    """
    def predict(fit, held_out):
        line = DecisionLine.fit(points[fit], positive[fit])
        return _one_hot(line.decision(points[held_out]))

    return crossvalidation.balanced_accuracy(predict, positive.astype(int), divisions, 2)


def rank_pairs(
    train: ProjectedCells, validation: ProjectedCells, features: list[str], alike, resampling: Resampling
) -> pd.DataFrame:
    """Table of pairs: those that are not near-duplicates first, then by accuracy on held-out training groups."""
    rows = []
    for x, y in tqdm(list(itertools.combinations(features, 2)), desc="pairs", unit="", disable=None):
        points, has_both = train.points((x, y))
        positive = train.positive[has_both]
        held_out, is_held_out = validation.points((x, y))
        held_out_positive = validation.positive[is_held_out]
        if one_sided(positive) or one_sided(held_out_positive):
            continue
        line = DecisionLine.fit(points, positive)
        divisions = crossvalidation.folds(train.groups[has_both])
        scores = score(line.decision(held_out), held_out_positive, validation.groups[is_held_out], resampling)
        spearman = alike.loc[x, y]
        rows.append({
            "feature_x": x,
            "feature_y": y,
            "name_x": schema.readable(x),
            "name_y": schema.readable(y),
            "abs_spearman": spearman,
            "near_duplicate": bool(spearman >= DUPLICATE),
            "train_held_out_balanced_accuracy": held_out_accuracy(points, positive, divisions),
            **_score_columns(scores, "auroc_"),
            "coefficient_x": line.coefficients[0],
            "coefficient_y": line.coefficients[1],
            "intercept": line.intercept,
            "n_train": len(points),
            "n_validation": len(held_out),
        })
    if not rows:
        raise InputRefused("cells.parquet: fewer than two measurements vary; there is no pair to show")
    return _ranked(rows, ["near_duplicate", "train_held_out_balanced_accuracy"], ascending=[True, False])
