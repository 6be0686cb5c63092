"""How often do the intervals of scores hold the truth? By the number of groups, on scores whose truth is known.

    python -m experiments.coverage

Fields of 25 to 55 cells are drawn, one cell in seven of the second class. What a network says of a cell is its class
times `CLASS_EFFECT`, a shift that all cells of a field share, and noise. The intra-class correlation is the share of
the variance within a class that the shift makes up. Everything is normal, so the score of infinitely many fields has a
closed form, and the intervals of `cellcycle_jax.scoring.intervals` can be held against it.
"""

import argparse

import numpy as np
import pandas as pd
from scipy import special, stats
from tqdm import tqdm

from cellcycle_jax.scoring import intervals

GROUPS = (2, 4, 6, 10, 15, 27)
CORRELATIONS = (0.02, 0.10, 0.25)  # between two cells of one class and field
CLASS_EFFECT = 2.6  # standard deviations of the noise
PREVALENCE = 0.14  # of the second class, as in the demo
CELLS = (25, 55)  # of a field
CONFIDENCE = 0.95
BOOTSTRAPS = 1000
SCORES = ("auroc", "balanced_accuracy")


def truth(correlation: float) -> dict[str, float]:
    """Scores over infinitely many fields. Two cells are then of different fields, and the cut lies half way."""
    spread = np.sqrt(1 + shift_sd(correlation) ** 2)
    return {
        "auroc": float(stats.norm.cdf(CLASS_EFFECT / (np.sqrt(2) * spread))),
        "balanced_accuracy": float(stats.norm.cdf(CLASS_EFFECT / (2 * spread))),
    }


def shift_sd(correlation: float) -> float:
    """Standard deviation of the shift of a field that makes up this share of the variance within a class."""
    return float(np.sqrt(correlation / (1 - correlation)))


def draw_cells(n_groups: int, correlation: float, rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label i64 [N], probability of each class f64 [N, 2] and group i64 [N] of the cells of some fields."""
    size = rng.integers(CELLS[0], CELLS[1] + 1, n_groups)
    group = np.repeat(np.arange(n_groups), size)
    label = (rng.random(len(group)) < PREVALENCE).astype(int)
    shift = rng.normal(0, shift_sd(correlation), n_groups)
    log_odds = CLASS_EFFECT * (label - 0.5) + shift[group] + rng.normal(size=len(group))
    second = special.expit(log_odds)
    return label, np.stack([1 - second, second], axis=1), group


def covered(n_groups: int, correlation: float, repeats: int, seed: int) -> dict[str, float]:
    """Share of intervals that hold the truth, by score.

    Drawn as `Resampling.intervals` draws them, but also for fewer groups than it accepts.
    """
    true_scores = truth(correlation)
    holds = {name: [] for name in SCORES}
    for repeat in range(repeats):
        rng = np.random.default_rng((seed, n_groups, repeat))
        label, prob, group = draw_cells(n_groups, correlation, rng)
        resampling = intervals.Resampling(BOOTSTRAPS, CONFIDENCE, repeat)
        scores = resampling.scores(label, prob, group, SCORES, least_groups=2)
        for name in SCORES:
            low = scores[name].low
            high = scores[name].high
            if np.isfinite(low):  # both classes were drawn
                holds[name].append(low <= true_scores[name] <= high)
    return {name: float(np.mean(values)) for name, values in holds.items()}


def main(arguments=None) -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=400, help="data sets of each kind (default 400)")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    correlations = " / ".join(f"{correlation:.2f}" for correlation in CORRELATIONS)
    lines = [f"| groups | AUROC, at a correlation of {correlations} | balanced accuracy |", "| --- | --- | --- |"]
    for n_groups in tqdm(GROUPS, desc="coverage", unit="number of groups"):
        shares = [covered(n_groups, correlation, chosen.repeats, chosen.seed) for correlation in CORRELATIONS]
        percent = 100 * pd.DataFrame(shares)
        auroc, balanced_accuracy = percent.map("{:.0f}".format).agg(" / ".join)
        lines.append(f"| {n_groups} | {auroc} | {balanced_accuracy} |")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
