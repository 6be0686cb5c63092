"""Intervals of scores, from leaving out one group of cells at a time; `jackknife` says how.

Groups (`Metadata_Group`) are the unit that splits never divide. With fewer than `LEAST_GROUPS` there is no interval.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from cellcycle_jax.scoring import jackknife, metrics
from cellcycle_jax.scoring.jackknife import CORRELATION, LINEAR, SHARE, Scale

LEAST_GROUPS = 4  # fewer groups say too little about how groups differ; there is no interval then
MOST_LEFT_OUT = 200  # more groups than this are left out several at a time
# Scale of each score of `metrics.METRICS`; there is no interval of one that is not here. The calibration error is an
# absolute value: chance moves it up and never down, so no interval from groups holds its truth.
SCALES = {
    "balanced_accuracy": SHARE,
    "accuracy": SHARE,
    "mcc": CORRELATION,
    "auroc": SHARE,
    "average_precision": SHARE,
    "brier": Scale(low=0.0),
}
# Times half the width of a 95 % interval: a difference of this size is told from nothing in four of five experiments,
# since (1.96 + 0.84) / 1.96 are the quantiles of the normal distribution for both.
DETECTABLE = 1.43
_CHUNK = 4_000_000  # weights held at once: 32 MB


def caveat(n_groups: int, where: str = "") -> str:
    """What has to be said of intervals from so many groups, "" for nothing; `where` says of which, if not of all."""
    if n_groups < LEAST_GROUPS:
        return (f"With {n_groups} groups{where} there is no interval (it takes {LEAST_GROUPS}), so nothing can be said "
                "about how far these scores hold for other groups.")
    return ""


@dataclasses.dataclass(frozen=True)
class Interval:
    """A score and the interval in which it lies.

    Attributes:
        value: of all cells; NaN where it is not known.
        low, high: the bounds; NaN where there is no interval.
        dropped: groups without which there is no score, as a class is absent then; None where this was not counted.
        n_cells: cells in which the value was known; None where this was not counted.
        p: of a difference: how probable one as large is if there is none, two-sided; corrected where it is one of a
            table (`holm.corrected`). None where this was not asked, NaN where it is not known.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    dropped: int | None = None
    n_cells: int | None = None
    p: float | None = None

    @classmethod
    def of(cls, row: "dict | Interval | None") -> "Interval":
        """The interval whose `as_json` is part of a row of a table or file; of None one of which nothing is known."""
        if isinstance(row, cls):
            return row
        given = {"value": math.nan}
        for field in dataclasses.fields(cls):
            number = (row or {}).get(field.name)
            if number is not None:
                given[field.name] = number
        return cls(**given)

    def as_json(self) -> dict:
        """value, low and high, and what was counted beside them, for a file or a row of a table."""
        return {name: number for name, number in vars(self).items() if number is not None}

    @property
    def is_known(self) -> bool:
        """Whether there is a value and an interval; cells of one group, or of one class, have none."""
        return math.isfinite(self.value) and math.isfinite(self.low)

    @property
    def smallest_detectable(self) -> float:
        """Of a difference: how large it must be to be told from nothing in four of five such experiments."""
        return DETECTABLE * (self.high - self.low) / 2

    def certain_sign(self, level: float) -> int:
        """Of a difference: 1 or -1 where 0 is outside of the interval and `p` is below 1 - level, 0 elsewhere."""
        if self.p is not None and not self.p < 1 - level:
            return 0
        if self.low > 0:
            return 1
        return -1 if self.high < 0 else 0

    def without_counts(self) -> "Interval":
        """The value and its bounds alone."""
        return Interval(self.value, self.low, self.high)

    def text(self, digits: int = 2, sign: str = "z") -> str:
        """The score with its interval: 0.93 (0.90 to 0.95).

        Args:
            digits: after the decimal point.
            sign: "z" writes -0.00 as 0.00, "-" leaves it, "+" gives positive numbers a sign too.
        """
        if not math.isfinite(self.value):
            return "not known"
        form = f"{sign}.{digits}f"
        if not self.is_known:
            return f"{self.value:{form}} (no interval)"
        return f"{self.value:{form}} ({self.low:{form}} to {self.high:{form}})"

    def percent(self, digits: int = 0) -> str:
        """A share with its interval: 72 % (64 to 81)."""
        if not math.isfinite(self.value):
            return "an unknown share"
        value, low, high = [f"{100 * number:z.{digits}f}" for number in (self.value, self.low, self.high)]
        if not self.is_known:
            return f"{value} % (no interval)"
        return f"{value} % ({low} to {high})"


@dataclasses.dataclass(frozen=True)
class Resampling:
    """Makes intervals, all in the same way: from the scores without each group.

    Attributes:
        level: of the intervals, 0..1.
        seed: of other draws that a check makes, and of which groups are left out together where they are many.
    """

    level: float
    seed: int = 0

    @classmethod
    def of_config(cls, evaluate, seed: int) -> "Resampling":
        """As the section `evaluate` of a training config says."""
        return cls(evaluate.interval_level, seed)

    def intervals(
        self,
        score,
        groups,
        scale: Scale | dict = LINEAR,
        label=None,
        least_variances: dict | None = None,
        tested: Callable | None = None,
    ) -> dict[str, Interval]:
        """Value and interval of everything that `score` returns.

        Args:
            score: takes weights f [B, N], 0 for a cell that is left out, and returns {name: f [B]}, NaN where that
                cannot be scored.
            groups: [N], group of each cell.
            scale: on which all scores are nearly normal, or {name: scale}; a name without one has no interval.
            label: i [N], class of each cell, of a score that sets classes against each other: a class that is in few
                groups only widens the interval; None: classes do not matter.
            least_variances: {name: variance of the score, were all cells independent}.
            tested: name -> whether it is a difference, whose `p` is wanted; None: of none.

        Returns:
            {name: Interval}: the score of all cells, the bounds (NaN where there are fewer than LEAST_GROUPS groups,
            or a score is not known without some group), and the number of groups without which it is not known.
        """
        member = self._left_out_together(groups)
        strata = _strata(member, label)
        least_variances = least_variances or {}
        result = {}
        for name, scores in _scored(score, member).items():
            own_scale = scale.get(name) if isinstance(scale, dict) else scale
            without = scores[1:]
            bounds = (math.nan, math.nan)
            if strata is not None and own_scale is not None:
                least = least_variances.get(name, 0.0)
                bounds = jackknife.interval(scores[0], without, strata, self.level, own_scale, least)
            dropped = np.count_nonzero(~np.isfinite(without))
            p = None
            if tested is not None and tested(name):
                p = jackknife.p_of_none(scores[0], without, strata) if strata is not None else math.nan
            result[name] = Interval(float(scores[0]), *bounds, dropped=dropped, p=p)
        return result

    def ratios(self, parts, groups, label=None) -> dict[str, Interval]:
        """Quotients whose denominator is known no better than their numerator, such as shares of a difference.

        Args:
            parts: takes weights f [B, N] and returns {name: (numerator f [B], denominator f [B])}, both means over the
                cells, or differences of means: a sum is less with fewer cells.
            groups, label: as of `intervals`.

        Returns:
            As `intervals`. The value is NaN where the denominator is not above 0, and so are the bounds where that is
            not certain at the level of the interval.
        """
        def separate(weights):
            scores = {}
            for name, (numerator, denominator) in parts(weights).items():
                scores["numerator", name] = numerator
                scores["denominator", name] = denominator
            return scores

        member = self._left_out_together(groups)
        strata = _strata(member, label)
        scored = _scored(separate, member)
        result = {}
        for part, name in scored:
            if part == "denominator":
                continue
            both = np.stack([scored["numerator", name], scored["denominator", name]], axis=1)
            without = both[1:]
            bounds = (math.nan, math.nan)
            if strata is not None:
                bounds = jackknife.ratio_interval(both[0], without, strata, self.level)
            is_known = np.isfinite(without).all(1) & (without[:, 1] > 0)
            result[name] = Interval(float(metrics.divide(*both[0])), *bounds, dropped=np.count_nonzero(~is_known))
        return result

    def _left_out_together(self, groups) -> np.ndarray:
        """Which cells are left out together, i64 [N], 0..G-1: those of a group, or of several if groups are many."""
        names, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
        if len(names) <= MOST_LEFT_OUT:
            return member
        block = np.random.default_rng(self.seed).permutation(len(names)) % MOST_LEFT_OUT
        return block[member]

    def mean(self, values, groups, scale: Scale = LINEAR) -> Interval:
        """Mean of values f [N] over the cells where it is finite, which are counted; NaN of none."""
        known = np.isfinite(values)
        values = np.nan_to_num(values)

        def score(weights):
            return {"mean": metrics.divide(weights @ values, weights @ known)}

        mean = self.intervals(score, groups, scale)["mean"]
        return dataclasses.replace(mean, dropped=None, n_cells=int(known.sum()))

    def scores(self, label, prob, groups, names=tuple(metrics.METRICS)) -> dict[str, Interval]:
        """Scores of one predictor.

        Args:
            label: i [N], index of the true class.
            prob: f [N, P].
            groups: [N], group of each cell.
            names: which scores of `metrics.METRICS`.

        Returns:
            {metric: Interval}. Where all cells of a class are of one group there is none: without it the class is
            absent.
        """
        prob = np.asarray(prob)
        complete = _complete(label, prob.shape[1])

        def score(weights):
            usable = complete(weights)
            return {name: value * usable for name, value in metrics.scores(label, prob, weights, names).items()}

        least = metrics.least_variances(label, prob)
        return self.intervals(score, groups, SCALES, label, least)

    def differences(self, label, prob_a, prob_b, groups, names=tuple(metrics.METRICS)) -> dict[str, Interval]:
        """Score of a minus score of b, paired: both are scored without the same groups. As `scores`.

        Predictors that differ nowhere, or by the same without any group, have no interval.
        """
        prob_a = np.asarray(prob_a)
        prob_b = np.asarray(prob_b)
        complete = _complete(label, prob_a.shape[1])

        def score(weights):
            usable = complete(weights)
            a = metrics.scores(label, prob_a, weights, names)
            b = metrics.scores(label, prob_b, weights, names)
            return {name: (a[name] - b[name]) * usable for name in names}

        return self.intervals(score, groups, dict.fromkeys(SCALES, LINEAR), label, tested=lambda name: name in SCALES)

    def mean_scores(self, label, probs: dict, rows: dict, groups, names=tuple(metrics.METRICS), reference=None) -> dict:
        """Mean score of some predictors each, such as the seeds of one training.

        Args:
            label: i [N], index of the true class.
            probs: predictor -> f [N, P].
            rows: row -> names of the predictors over which the mean is taken.
            groups: [N], group of each cell.
            names: which scores of `metrics.METRICS`.
            reference: the row that is taken off each other one; None: no differences.

        Returns:
            {("mean", row, metric) and ("difference", row, metric): as of `intervals`}.
        """
        complete = _complete(label, next(iter(probs.values())).shape[1])

        def score(weights):
            usable = complete(weights)
            each = {name: metrics.scores(label, prob, weights, names) for name, prob in probs.items()}
            means = {}
            for row, predictors in rows.items():
                for metric in names:
                    means["mean", row, metric] = np.mean([each[name][metric] for name in predictors], axis=0) * usable
            differences = {}
            if reference is not None:
                for (_, row, metric), value in means.items():
                    if row != reference:
                        differences["difference", row, metric] = value - means["mean", reference, metric]
            return means | differences

        scale = {}
        for metric in SCALES:
            for row in rows:
                scale["mean", row, metric] = SCALES[metric]
                scale["difference", row, metric] = LINEAR
        return self.intervals(score, groups, scale, label, tested=lambda name: name[0] == "difference")

    def spearman(self, x, y, groups) -> Interval:
        """Rank correlation of x and y f [N], of cells where both are finite."""
        x = np.asarray(x, np.float64)
        y = np.asarray(y, np.float64)
        both = np.isfinite(x) & np.isfinite(y)
        if both.sum() < 2:
            return Interval(math.nan)
        x = x[both]
        y = y[both]
        groups = np.asarray(groups)[both]
        return self.intervals(lambda weights: {"rho": spearman(x, y, weights)}, groups, CORRELATION)["rho"]


def _strata(member, label) -> jackknife.Strata | None:
    """Of the groups, i64 [N] for each cell; None of fewer than LEAST_GROUPS."""
    return jackknife.Strata.of(member, label) if len(np.unique(member)) >= LEAST_GROUPS else None


def _scored(score, member) -> dict:
    """{name: f64 [1 + G]}: the score of all cells, then without each group; [1] of fewer than LEAST_GROUPS groups."""
    parts = [score(np.ones((1, len(member))))]
    n_groups = len(np.unique(member))
    if n_groups >= LEAST_GROUPS:
        step = max(1, _CHUNK // len(member))
        for start in range(0, n_groups, step):
            group = np.arange(start, min(start + step, n_groups))[:, None]
            parts.append(score((group != member).astype(np.float64)))
    scores = {}
    for name in parts[0]:
        scores[name] = np.concatenate([part[name] for part in parts])
    return scores


def _complete(label, classes: int):
    """A function of weights [B, N]: 1 where every class of `label` has weight, else NaN."""
    indicator = np.eye(classes)[np.asarray(label)][:, np.unique(label)]
    return lambda weights: np.where((weights @ indicator > 0).all(1), 1.0, np.nan)


def _ranks(values, weights) -> np.ndarray:
    """Weighted mid-ranks [B, N]: weight of the cells below, and half of that of the cells equal."""
    unique, position = np.unique(values, return_inverse=True)
    if len(unique) == len(values):
        tied = np.empty_like(weights)
        tied[:, position] = weights
    else:
        order = np.argsort(position, kind="stable")
        first = np.searchsorted(position[order], np.arange(len(unique)))
        tied = np.add.reduceat(weights[:, order], first, axis=1)
    ranks = np.cumsum(tied, axis=1) - tied / 2
    return ranks[:, position]


def spearman(x, y, weights=None) -> np.ndarray:
    """Weighted rank correlation, f64 [B]; NaN where x or y does not vary.

    Args:
        x: f [N], finite.
        y: f [N], finite.
        weights: f [B, N]; None: every cell once.
    """
    weights = np.ones((1, len(x))) if weights is None else np.asarray(weights, np.float64)
    total = np.maximum(weights.sum(1, keepdims=True), 1e-300)
    rank_x = _ranks(np.asarray(x, np.float64), weights)
    rank_y = _ranks(np.asarray(y, np.float64), weights)
    rank_x -= (weights * rank_x).sum(1, keepdims=True) / total
    rank_y -= (weights * rank_y).sum(1, keepdims=True) / total
    xy = np.einsum("bn,bn,bn->b", weights, rank_x, rank_y)
    xx = np.einsum("bn,bn,bn->b", weights, rank_x, rank_x)
    yy = np.einsum("bn,bn,bn->b", weights, rank_y, rank_y)
    varies = (xx > 1e-9) & (yy > 1e-9)
    return np.where(varies, xy / np.sqrt(np.where(varies, xx * yy, 1.0)), np.nan)
