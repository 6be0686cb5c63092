"""Intervals of scores, from resampling whole groups of cells.

Cells of one field share staining, focus and density, so they are not independent: an interval that resamples cells is
too narrow. Here the groups (`Metadata_Group`, the unit that splits never divide) are drawn with replacement and all
cells of a group go with it (Davison and Hinkley 1997, section 3.8). Intervals are percentiles of the resampled scores.

Such intervals are too narrow where groups are few: `experiments/coverage.py` measures how often they hold the truth.
Below `LEAST_GROUPS` there is none.
"""

import dataclasses
import math

import numpy as np

from cellcycle_jax.scoring import metrics

LEAST_GROUPS = 6  # fewer groups say too little about how groups differ; there is no interval then
MANY_GROUPS = 20  # with fewer an interval called 95 % holds the truth in less than about 92 of 100 cases (coverage.py)
_CHUNK = 4_000_000  # weights held at once: 32 MB


def caveat(n_groups: int, where: str = "") -> str:
    """What has to be said of intervals from so many groups, "" for nothing; `where` says of which, if not of all."""
    if n_groups < LEAST_GROUPS:
        return (f"With {n_groups} groups{where} there is no interval (it takes {LEAST_GROUPS}), so nothing can be said "
                "about how far these scores hold for other groups.")
    if n_groups < MANY_GROUPS:
        return f"With {n_groups} groups{where} the intervals are narrower than they should be."
    return ""


@dataclasses.dataclass(frozen=True)
class Interval:
    """A score and the interval in which it lies.

    Attributes:
        value: of all cells; NaN where it is not known.
        low, high: the bounds; NaN where there is no interval.
        dropped: resamples without a score, because a class was absent; None where this was not counted.
        n_cells: cells in which the value was known; None where this was not counted.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    dropped: int | None = None
    n_cells: int | None = None

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
    def upper_end(self) -> float:
        """The upper bound, the value where there is no interval."""
        return self.high if self.is_known else self.value

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

    def percent(self) -> str:
        """A share with its interval: 72 % (64 to 81)."""
        if not math.isfinite(self.value):
            return "an unknown share"
        if not self.is_known:
            return f"{100 * self.value:z.0f} % (no interval)"
        return f"{100 * self.value:z.0f} % ({100 * self.low:z.0f} to {100 * self.high:z.0f})"


@dataclasses.dataclass(frozen=True)
class Resampling:
    """Makes intervals, all in the same way.

    Attributes:
        resamples: of the groups for each interval; 0: no interval.
        level: of the intervals, 0..1.
        seed: of the resamples; equal seeds and groups give equal resamples.
    """

    resamples: int
    level: float
    seed: int

    @classmethod
    def of_config(cls, evaluate, seed: int) -> "Resampling":
        """As the section `evaluate` of a training config says."""
        return cls(evaluate.bootstraps, evaluate.interval_level, seed)

    def intervals(self, score, groups, least_groups: int = LEAST_GROUPS) -> dict[str, Interval]:
        """Value and interval of everything that `score` returns.

        Args:
            score: takes weights f [B, N] and returns {name: f [B]}, NaN where a resample cannot be scored.
            groups: [N], group of each cell.
            least_groups: with fewer groups there is no interval, and its bounds are NaN.

        Returns:
            {name: Interval}: the score of all cells, the bounds, and the number of resamples without a score (a
            class was absent).
        """
        groups = np.asarray(groups, dtype=str)
        counts, member = cluster_bootstrap_counts(groups, self.resamples, self.seed)
        value = score(np.ones((1, len(groups))))
        step = max(1, _CHUNK // max(1, len(groups)))
        parts = []
        for start in range(0, self.resamples, step):
            weights = counts[start : start + step].astype(np.float64)[:, member]
            parts.append(score(weights))
        result = {}
        for name in value:
            resampled = np.concatenate([part[name] for part in parts]) if parts else np.zeros(0)
            bounds = (math.nan, math.nan)
            if counts.shape[1] >= least_groups:
                bounds = interval(resampled, self.level)
            dropped = int((~np.isfinite(resampled)).sum())
            result[name] = Interval(float(value[name][0]), *bounds, dropped)
        return result

    def mean(self, values, groups) -> Interval:
        """Mean of values f [N] over the cells where it is finite, which are counted; NaN of none."""
        known = np.isfinite(values)
        values = np.nan_to_num(values)

        def score(weights):
            return {"mean": metrics.divide(weights @ values, weights @ known)}

        mean = self.intervals(score, groups)["mean"]
        return dataclasses.replace(mean, dropped=None, n_cells=int(known.sum()))

    def scores(
        self,
        label,
        prob,
        groups,
        names=tuple(metrics.METRICS),
        least_groups: int = LEAST_GROUPS,
    ) -> dict[str, Interval]:
        """Scores of one predictor.

        Args:
            label: i [N], index of the true class.
            prob: f [N, P].
            groups: [N], group of each cell.
            names: which scores of `metrics.METRICS`.
            least_groups: as of `intervals`.

        Returns:
            {metric: Interval}; a resample in which a class is absent is dropped and counted.
        """
        prob = np.asarray(prob)
        complete = _complete(label, prob.shape[1])

        def score(weights):
            usable = complete(weights)
            return {name: value * usable for name, value in metrics.scores(label, prob, weights, names).items()}

        return self.intervals(score, groups, least_groups)

    def differences(self, label, prob_a, prob_b, groups, names=tuple(metrics.METRICS)) -> dict[str, Interval]:
        """Score of a minus score of b, paired: both are scored on the same resamples. As `scores`."""
        prob_a = np.asarray(prob_a)
        prob_b = np.asarray(prob_b)
        complete = _complete(label, prob_a.shape[1])

        def score(weights):
            usable = complete(weights)
            a = metrics.scores(label, prob_a, weights, names)
            b = metrics.scores(label, prob_b, weights, names)
            return {name: (a[name] - b[name]) * usable for name in names}

        return self.intervals(score, groups)

    def mean_scores(self, label, probs: dict, rows: dict, groups, names=tuple(metrics.METRICS), reference=None) -> dict:
        """Mean score of some predictors each, such as the seeds of one training, all on the same resamples.

        Args:
            label: i [N], index of the true class.
            probs: predictor -> f [N, P].
            rows: row -> names of the predictors over which the mean is taken.
            groups: [N], group of each cell.
            names: which scores of `metrics.METRICS`.
            reference: the row that is taken off each other one, on the same resamples; None: no differences.

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

        return self.intervals(score, groups)

    def spearman(self, x, y, groups) -> Interval:
        """Rank correlation of x and y f [N], of cells where both are finite."""
        x = np.asarray(x, np.float64)
        y = np.asarray(y, np.float64)
        both = np.isfinite(x) & np.isfinite(y)
        if both.sum() < 2:
            return Interval(math.nan, dropped=self.resamples)
        x = x[both]
        y = y[both]
        return self.intervals(lambda weights: {"rho": spearman(x, y, weights)}, np.asarray(groups)[both])["rho"]


def cluster_bootstrap_counts(groups, bootstraps: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each group is drawn in each resample.

    Args:
        groups: [N], group of each cell.
        bootstraps: number of resamples B.
        seed: of the draw; equal seeds and groups give equal resamples.

    Returns:
        counts i64 [B, G], each row summing to G, and member i64 [N], the column of each cell's group. The weight of
        cell n in resample b is `counts[b, member[n]]`.
    """
    names, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    groups_n = len(names)
    rng = np.random.default_rng(seed)
    return rng.multinomial(groups_n, np.full(groups_n, 1 / groups_n), size=bootstraps), member


def interval(values, level: float) -> tuple[float, float]:
    """Percentile interval of the finite `values`; (nan, nan) where there are none."""
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


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
