"""Select measurements by the regions that an attribution map highlights, and by controls of that choice.

Region weights are computed without labels. The correlation of a measurement with the logit is computed on training
cells, whose labels the network was fitted to, so it carries label information. `shortlist_comparison` scores what is
selected.
"""

import dataclasses

import numpy as np
import pandas as pd
from scipy import stats

from cellcycle_jax.features import ranking
from cellcycle_jax.features.families import Family

MOST = 5  # measurements of a shortlist
LEAST_CORRELATION = 0.1  # semipartial rank correlation with the logit from which a measurement is listed
DEALS = 200  # shortlists of the map's weights dealt out to other regions


@dataclasses.dataclass(frozen=True)
class Shortlists:
    """What is compared: each a list of measurements, best first, as `shortlist` returns it.

    Attributes:
        by_map: of the map's weights and the network's logit.
        without_map: with the same weight for every region.
        without_network: the same, with the label in place of the logit.
        dealt: with the map's weights dealt out to other regions, `DEALS` times.
    """

    by_map: list[str]
    without_map: list[str]
    without_network: list[str]
    dealt: list[list[str]]

    @classmethod
    def choose(cls, weights: dict, families: dict[str, Family], values: pd.DataFrame, logit, positive, seed: int):
        """All of them, of the weights of a map.

        Args:
            weights, families, values, logit: as of `shortlist`.
            positive: bool [N], label of the same cells.
            seed: of the draw of other regions.
        """
        ranks = Ranks.of(values, families)
        logit = np.asarray(logit, np.float64)
        equal = dict.fromkeys(weights, 1.0)
        rng = np.random.default_rng(seed)
        dealt = []
        for _ in range(DEALS):
            of_others = dict(zip(weights, rng.permutation(list(weights.values())), strict=True))
            dealt.append(_shortlist(of_others, families, ranks, logit))
        return cls(
            by_map=_shortlist(weights, families, ranks, logit),
            without_map=_shortlist(equal, families, ranks, logit),
            without_network=_shortlist(equal, families, ranks, np.asarray(positive, np.float64)),
            dealt=dealt,
        )


@dataclasses.dataclass(frozen=True)
class Ranks:
    """Ranks of measurements over N cells: columns F, and f64 [N, F] of mean 0 and length 1."""

    columns: list[str]
    values: np.ndarray

    @classmethod
    def of(cls, values: pd.DataFrame, families: dict[str, Family]) -> "Ranks":
        """Of the measurements that have a family; missing ones count as the median."""
        columns = [column for column in values.columns if column in families]
        known = values[columns]
        return cls(columns, _ranks(known.fillna(known.median()).to_numpy(np.float64)))

    def take(self, columns: list[str]) -> "Ranks":
        """Some of the columns."""
        return Ranks(columns, self.values[:, [self.columns.index(column) for column in columns]])


def shortlist(weights: dict, families: dict[str, Family], values: pd.DataFrame, logit, most: int = MOST) -> list[str]:
    """The measurements that could be what the network uses, best first, one of each family, by greedy selection.

    The score of a measurement is the largest region weight of its family times the absolute semipartial rank
    correlation with the network's logit, given the measurements that are selected already; of the first it is
    |Spearman|. So what only correlates with the size of the nucleus is not listed beside it. The largest weight, not
    the sum, gives families that are visible in many regions no advantage. A measurement whose multiple rank correlation
    with the selected ones is `ranking.DUPLICATE` or more is skipped.

    Args:
        weights: (channel, region) -> weight of the map there, 0 or more; channel None or "" where the map does
            not tell channels apart. A region that is not named, or whose weight is not finite, has none.
        families: measurement -> its family.
        values: f64 [N, F], measurements of training cells (`feature_axes.coordinates`), NaN where missing, which counts
            as the median; columns that `families` does not hold are left out.
        logit: f64 [N], of the network for the same cells.
        most: how many.

    Returns:
        Up to `most` columns: only those that have a weight and follow the logit by at least `LEAST_CORRELATION`.
    """
    return _shortlist(weights, families, Ranks.of(values, families), np.asarray(logit, np.float64), most)


def _shortlist(weights, families, ranks: Ranks, logit, most: int = MOST) -> list[str]:
    """See `shortlist`; the ranks are of all measurements that have a family."""
    weight = {}
    for column in ranks.columns:
        largest = _weight(families[column], weights)
        if largest > 0:
            weight[column] = largest
    if not weight:
        return []
    columns = list(weight)
    beyond = ranks.take(columns).values
    logit = _ranks(logit[:, None])[:, 0]
    taken = []
    taken_families = set()
    while len(taken) < most:
        length = np.sqrt((beyond**2).sum(0))
        new = length > np.sqrt(1 - ranking.DUPLICATE**2)  # else it repeats what was taken
        correlation = np.where(new, np.abs(logit @ beyond) / np.where(new, length, 1), 0).round(9)  # ties stay ties
        scores = {}
        for i, column in enumerate(columns):
            if correlation[i] >= LEAST_CORRELATION and families[column].name not in taken_families:
                scores[i] = weight[column] * correlation[i]
        if not scores:
            break
        best = max(scores, key=scores.get)  # of equals the first column
        taken.append(columns[best])
        taken_families.add(families[columns[best]].name)
        direction = beyond[:, best] / length[best]
        beyond = beyond - np.outer(direction, direction @ beyond)
    return taken


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks of each column of f64 [N, F], of mean 0 and length 1; 0 where all are alike."""
    ranks = stats.rankdata(values, axis=0)
    ranks -= ranks.mean(0)
    return ranks / np.maximum(np.sqrt((ranks**2).sum(0)), 1e-300)


def _weight(family: Family, weights: dict) -> float:
    """The largest weight among the regions where a family is read, 0 or more."""
    largest = 0.0
    for (channel, region), weight in weights.items():
        if family.is_read_at(channel, region) and np.isfinite(weight):
            largest = max(largest, weight)
    return largest
