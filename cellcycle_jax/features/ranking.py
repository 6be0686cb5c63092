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
from cellcycle_jax.features.feature_axes import Axis, Cells, Line, best_cut, negative, one_sided
from cellcycle_jax.scoring import crossvalidation, metrics
from cellcycle_jax.scoring.intervals import Resampling

DUPLICATE = 0.9  # |Spearman| from which two measurements count as the same one measured twice


def rank(train: Cells, validation: Cells, axes: list[Axis], classes, candidates: int, resampling: Resampling) -> tuple:
    """Both tables: measurements, and the pairs among the best of them.

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
    with threadpool_limits(1):  # hundreds of tiny fits: threads would only wait on each other
        pairs = rank_pairs(train, validation, pick_candidates(best, alike, candidates), alike, resampling)
    return features, pairs


def score(decision, positive, groups, resampling) -> dict:
    """AUROC of `decision` f64 [N] and balanced accuracy of calling the cells above 0 positive, with intervals."""
    called = np.eye(2)[(decision > 0).astype(int)]

    def scores(weights):
        return {"auroc": metrics.binary_auroc(positive, decision, weights),
                "balanced_accuracy": metrics.balanced_accuracy(positive.astype(int), called, weights)}  # fmt: skip

    return resampling.intervals(scores, groups)


def rank_features(train: Cells, validation: Cells, axes: list[Axis], classes, resampling: Resampling) -> pd.DataFrame:
    """Table of single measurements, best training AUROC first; validation scores use the training direction and cut."""
    rows = []
    for axis in tqdm(axes, desc="measurements", unit="", disable=None):
        here, there = (cells.shown[axis.feature].to_numpy() for cells in (train, validation))
        known, seen = np.isfinite(here), np.isfinite(there)
        positive, held_out = train.positive[known], validation.positive[seen]
        if one_sided(positive) or one_sided(held_out) or np.ptp(here[known]) <= 1e-12 * np.abs(here[known]).max():
            continue  # within each cell line it may be constant although it varies over all
        auroc = float(metrics.binary_auroc(positive, here[known])[0])
        sign = 1.0 if auroc >= 0.5 else -1.0
        cut = sign * best_cut(sign * here[known], positive)
        found = score(sign * (there[seen] - cut), held_out, validation.groups[seen], resampling)
        rows.append({
            "feature": axis.feature, "name": schema.readable(axis.feature), "train_auroc": max(auroc, 1 - auroc),
            **_columns(found, ("", "balanced_accuracy_")),
            "higher_in": classes[-1] if sign > 0 else negative(classes), "cut": cut, "unit": axis.unit,
            "n_train": int(known.sum()), "n_validation": int(seen.sum()),
        })  # fmt: skip
    if not rows:
        raise InputRefused("cells.parquet: no measurement of the shown channels varies; there is nothing to rank")
    ranking = pd.DataFrame(rows).sort_values("train_auroc", ascending=False, kind="stable", ignore_index=True)
    ranking.insert(0, "rank", np.arange(1, len(ranking) + 1))
    return ranking


def _columns(found: dict, prefixes) -> dict:
    row = {}
    for metric, prefix in zip(("auroc", "balanced_accuracy"), prefixes, strict=True):
        row[f"validation_{metric}"] = found[metric].value
        row[f"{prefix}low"] = found[metric].low
        row[f"{prefix}high"] = found[metric].high
    return row


def rank_correlations(values: pd.DataFrame) -> pd.DataFrame:
    """|Spearman| between all columns, NaN for one that does not vary; a missing value takes the middle rank."""
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
    found, leaders = {}, []
    for feature in features:
        repeated = next((better for better in leaders if alike.loc[feature, better] >= DUPLICATE), None)
        found[feature] = found[repeated] if repeated else names[feature]
        leaders += [] if repeated else [feature]
    return found


def one_each(features, alike: pd.DataFrame, names: dict[str, str], most: int) -> list[str]:
    """The best measurement of each of the `most` best families; arguments as `assign_families`."""
    best: dict[str, str] = {}
    for feature, name in assign_families(features, alike, names).items():
        best.setdefault(name, feature)
    return list(best.values())[:most]


def _with_families(ranking: pd.DataFrame, alike: pd.DataFrame, channels) -> pd.DataFrame:
    """Add to a table, best first, the columns family and family_rank: 1 for that of the best measurement."""
    features = list(ranking["feature"])
    found = assign_families(features, alike, {f: families.family(f, channels).name for f in features})
    order = {name: number for number, name in enumerate(dict.fromkeys(found.values()), 1)}
    ranking.insert(3, "family", list(found.values()))
    ranking.insert(4, "family_rank", [order[name] for name in found.values()])
    return ranking


def pick_candidates(features: list[str], alike: pd.DataFrame, number: int) -> list[str]:
    """The first `number` of `features` (best first) that do not repeat a better one; repeats only fill what is left."""
    chosen: list[str] = []
    for feature in features:
        if len(chosen) < number and all(alike.loc[feature, better] < DUPLICATE for better in chosen):
            chosen.append(feature)
    repeats = [feature for feature in features if feature not in chosen]
    return chosen + repeats[: max(0, number - len(chosen))]


def held_out_accuracy(points, positive, groups) -> float:
    """Balanced accuracy of lines fitted without the group they are scored on; NaN where no fold has both classes.

    Args:
        points: f64 [N, 2], finite.
        positive: bool [N].
        groups: [N].
    """
    def predict(fit, held_out):
        line = Line.fit(points[fit], positive[fit])
        return np.eye(2)[(line.decision(points[held_out]) > 0).astype(int)]

    return crossvalidation.balanced_accuracy(predict, positive.astype(int), groups, 2)


def rank_pairs(train: Cells, validation: Cells, features: list[str], alike, resampling: Resampling) -> pd.DataFrame:
    """Table of pairs: those that are not near-duplicates first, then by accuracy on held-out training groups."""
    rows = []
    for pair in tqdm(list(itertools.combinations(features, 2)), desc="pairs", unit="", disable=None):
        (here, known), (there, seen) = train.points(pair), validation.points(pair)
        positive, held_out = train.positive[known], validation.positive[seen]
        if one_sided(positive) or one_sided(held_out):
            continue
        line = Line.fit(here, positive)
        found = score(line.decision(there), held_out, validation.groups[seen], resampling)
        rows.append({
            "feature_x": pair[0], "feature_y": pair[1], "name_x": schema.readable(pair[0]),
            "name_y": schema.readable(pair[1]), "abs_spearman": alike.loc[pair[0], pair[1]],
            "near_duplicate": bool(alike.loc[pair[0], pair[1]] >= DUPLICATE),
            "train_held_out_balanced_accuracy": held_out_accuracy(here, positive, train.groups[known]),
            **_columns(found, ("auroc_", "balanced_accuracy_")),
            "coefficient_x": line.coefficients[0], "coefficient_y": line.coefficients[1], "intercept": line.intercept,
            "n_train": int(known.sum()), "n_validation": int(seen.sum()),
        })  # fmt: skip
    if not rows:
        raise InputRefused("cells.parquet: fewer than two measurements vary; there is no pair to show")
    order = ["near_duplicate", "train_held_out_balanced_accuracy"]
    pairs = pd.DataFrame(rows).sort_values(order, ascending=[True, False], kind="stable", ignore_index=True)
    pairs.insert(0, "rank", np.arange(1, len(pairs) + 1))
    return pairs
