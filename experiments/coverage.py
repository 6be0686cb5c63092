"""How often do intervals hold the truth? By kind of quantity and number of groups, on cells whose truth is known.

    python -m experiments.coverage

Fields of 25 to 55 cells are drawn, one cell in seven of the second class. All that is measured of a cell is the sum of
an effect of its class, a shift that all cells of its field share, and noise of its own. The intra-class correlation is
the share of the variance within a class that the shift makes up. The truth is the quantity over very many fields, and
the intervals are those of `cellcycle_jax.scoring.intervals`, as evaluate, explain and discover make them.
"""

import argparse
import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import special, stats
from tqdm import tqdm

from cellcycle_jax import machine, processes
from cellcycle_jax.explain.measurements import surrogate
from cellcycle_jax.scoring import intervals, metrics
from cellcycle_jax.scoring.jackknife import BELOW_ONE
from experiments.explanation_tables import markdown

GROUPS = (2, 4, 5, 6, 8, 10, 15, 27, 40)
CORRELATIONS = (0.02, 0.10, 0.25)  # between two cells of one class and field
CLASS_EFFECT = 2.6  # standard deviations of the noise within a class
PREVALENCE = 0.14  # of the second class, as in the demo
CELLS = (25, 55)  # of a field
DOMINANT = 10  # times as many cells are in one field, where one field dominates
LEVEL = 0.95
TRUTH_GROUPS = 20_000
TRUTH_SEED = 1


@dataclasses.dataclass(frozen=True)
class Cells:
    """Some cells: label i64 [N], group i64 [N], and standard normal noise of fields and cells to build numbers from.

    Attributes:
        label: 0 or 1.
        group: 0..G-1.
        noise: f64 [N, M], of which two cells of one field have the intra-class correlation; unit variance.
    """

    label: np.ndarray
    group: np.ndarray
    noise: np.ndarray


@dataclasses.dataclass(frozen=True)
class Quantity:
    """A kind of quantity that has intervals.

    Attributes:
        name: for the table.
        found: (cells, Resampling) -> Interval.
        draw: (groups, intra-class correlation, generator) -> Cells.
    """

    name: str
    found: Callable
    draw: Callable


def draw_mixed(n_groups: int, correlation: float, rng) -> Cells:
    """Fields that hold both classes."""
    return _cells(rng.integers(CELLS[0], CELLS[1] + 1, n_groups), None, correlation, rng)


def draw_dominated(n_groups: int, correlation: float, rng) -> Cells:
    """Fields that hold both classes; the first has DOMINANT times as many cells as it would have."""
    size = rng.integers(CELLS[0], CELLS[1] + 1, n_groups)
    size[0] *= DOMINANT
    return _cells(size, None, correlation, rng)


def draw_pure(n_groups: int, correlation: float, rng) -> Cells:
    """Fields that hold cells of one class only, by turns."""
    return _cells(rng.integers(CELLS[0], CELLS[1] + 1, n_groups), np.arange(n_groups) % 2, correlation, rng)


def draw_rare(n_groups: int, correlation: float, rng) -> Cells:
    """Fields of which one in four, and at least two, hold the second class; the others none."""
    holds = np.arange(n_groups) < max(2, n_groups // 4)
    cells = _cells(rng.integers(CELLS[0], CELLS[1] + 1, n_groups), None, correlation, rng)
    return dataclasses.replace(cells, label=((rng.random(len(cells.label)) < 0.5) & holds[cells.group]).astype(int))


def _cells(size, label_of_group, correlation, rng) -> Cells:
    group = np.repeat(np.arange(len(size)), size)
    label = (rng.random(len(group)) < PREVALENCE).astype(int)
    if label_of_group is not None:
        label = label_of_group[group]
    of_field = rng.normal(size=(len(size), 3))
    of_cell = rng.normal(size=(len(group), 3))
    noise = np.sqrt(correlation) * of_field[group] + np.sqrt(1 - correlation) * of_cell
    return Cells(label, group, noise)


def log_odds(cells: Cells, effect: float = CLASS_EFFECT, column: int = 0) -> np.ndarray:
    """What a network says of cells, f64 [N]; 0 is the cut."""
    return effect * (cells.label - 0.5) + cells.noise[:, column]


def _prob(log_odds) -> np.ndarray:
    second = special.expit(log_odds)
    return np.stack([1 - second, second], axis=1)


def _score(metric: str, effect: float, cells: Cells, resampling) -> intervals.Interval:
    return resampling.scores(cells.label, _prob(log_odds(cells, effect)), cells.group, (metric,))[metric]


def _lead(metric: str, cells: Cells, resampling) -> intervals.Interval:
    """Of a network over a rival that sees the same cell less well."""
    own = log_odds(cells)
    rival = 0.8 * own + 0.6 * cells.noise[:, 1]
    return resampling.differences(cells.label, _prob(own), _prob(rival), cells.group, (metric,))[metric]


def _mean(cells: Cells, resampling) -> intervals.Interval:
    """Mean of a skewed number that all cells have."""
    return resampling.mean(np.exp(0.8 * cells.noise[:, 0]), cells.group)


def _share(cells: Cells, resampling) -> intervals.Interval:
    """Share that one region has of the difference between the classes."""
    whole = log_odds(cells, 1.5)
    region = 0.3 * whole + 0.5 * cells.noise[:, 1]
    both = np.stack([region, whole], axis=1)

    def mean(weights):
        return metrics.divide(weights @ both, weights.sum(1, keepdims=True))

    def parts(weights):
        gap = mean(weights * (cells.label == 1)) - mean(weights * (cells.label == 0))
        return {"share": (gap[:, 0], gap[:, 1])}

    return resampling.ratios(parts, cells.group, cells.label)["share"]


def _explained(cells: Cells, resampling) -> intervals.Interval:
    """Share of the variance of a network's output that a measurement explains."""
    own = log_odds(cells)
    predicted = 0.8 * own + 0.6 * cells.noise[:, 1]
    return resampling.intervals(lambda w: {"r2": surrogate.r2(own, predicted, w)}, cells.group, BELOW_ONE)["r2"]


def _gain(cells: Cells, resampling) -> intervals.Interval:
    """By how much more a second measurement explains."""
    own = log_odds(cells)
    first = 0.8 * own + 0.6 * cells.noise[:, 1]
    both = 0.9 * own + 0.3 * cells.noise[:, 1]

    def gain(weights):
        return {"gain": surrogate.r2(own, both, weights) - surrogate.r2(own, first, weights)}

    return resampling.intervals(gain, cells.group)["gain"]


def _rank_correlation(cells: Cells, resampling) -> intervals.Interval:
    own = cells.noise[:, 0]
    return resampling.spearman(own, 0.6 * own + 0.8 * cells.noise[:, 1], cells.group)


def effect_for(auroc: float) -> float:
    """Effect of the class at which the area under the ROC curve of very many fields is this."""
    return float(np.sqrt(2) * stats.norm.ppf(auroc))


def _auroc(value: float, draw=draw_mixed, name: str = "") -> Quantity:
    return Quantity(f"AUROC {value:g}{name}", functools.partial(_score, "auroc", effect_for(value)), draw)


QUANTITIES = (
    _auroc(0.5),
    _auroc(0.6),
    _auroc(0.8),
    _auroc(0.95),
    _auroc(0.998),
    _auroc(0.9, draw_pure, ", one class in each group"),
    _auroc(0.9, draw_rare, ", a class in a quarter of the groups"),
    _auroc(0.9, draw_dominated, ", one group ten times as large"),
    Quantity("balanced accuracy 0.9", functools.partial(_score, "balanced_accuracy", 2.6), draw_mixed),
    Quantity("balanced accuracy 0.99", functools.partial(_score, "balanced_accuracy", 4.65), draw_mixed),
    Quantity("average precision", functools.partial(_score, "average_precision", CLASS_EFFECT), draw_mixed),
    Quantity("MCC", functools.partial(_score, "mcc", CLASS_EFFECT), draw_mixed),
    Quantity("Brier score", functools.partial(_score, "brier", CLASS_EFFECT), draw_mixed),
    Quantity("lead in AUROC", functools.partial(_lead, "auroc"), draw_mixed),
    Quantity("lead in balanced accuracy", functools.partial(_lead, "balanced_accuracy"), draw_mixed),
    Quantity("mean of a skewed number", _mean, draw_mixed),
    Quantity("share of a difference", _share, draw_mixed),
    Quantity("explained variance", _explained, draw_mixed),
    Quantity("gain in explained variance", _gain, draw_mixed),
    Quantity("rank correlation", _rank_correlation, draw_mixed),
)


@functools.cache
def truth(number: int, correlation: float) -> float:
    """The quantity QUANTITIES[number] over TRUTH_GROUPS fields."""
    quantity = QUANTITIES[number]
    draw = draw_mixed if quantity.draw is draw_dominated else quantity.draw
    cells = draw(TRUTH_GROUPS, correlation, np.random.default_rng(TRUTH_SEED))
    without_interval = dataclasses.replace(cells, group=np.zeros_like(cells.group))
    return quantity.found(without_interval, intervals.Resampling(LEVEL)).value


def covered(number: int, n_groups: int, correlation: float, repeats: int, seed: int) -> dict[str, float]:
    """How intervals of QUANTITIES[number] do.

    Returns:
        "given": share of data sets that have an interval; "holds": share of these intervals that hold the truth;
        "above" and "below": share that lie wholly above and below it; "width": median; "narrowest".
    """
    quantity = QUANTITIES[number]
    true_value = truth(number, correlation)
    bounds = []
    for repeat in range(repeats):
        cells = quantity.draw(n_groups, correlation, np.random.default_rng((seed, n_groups, repeat)))
        found = quantity.found(cells, intervals.Resampling(LEVEL))
        bounds.append((found.low, found.high))
    low, high = np.array(bounds).T
    given = np.isfinite(low)
    low = low[given]
    high = high[given]
    if not len(low):
        return {"given": 0.0}
    return {
        "given": float(given.mean()),
        "holds": float(((low <= true_value) & (true_value <= high)).mean()),
        "above": float((low > true_value).mean()),
        "below": float((high < true_value).mean()),
        "width": float(np.median(high - low)),
        "narrowest": float((high - low).min()),
    }


def _case(case, options) -> dict:
    number, n_groups, correlation = case
    return covered(number, n_groups, correlation, *options)


def table(found: pd.DataFrame, quantities=QUANTITIES, groups=GROUPS) -> str:
    """In Markdown: a row for each quantity, a column for each number of groups, by correlation; - for no interval."""
    rows = []
    for quantity in quantities:
        own = found[found["quantity"] == quantity.name]
        cells = []
        for n_groups in groups:
            of_groups = own[own["groups"] == n_groups].sort_values("correlation")
            held = ["-" if np.isnan(share) else f"{100 * share:.0f}" for share in of_groups["holds"]]
            cells.append(" / ".join(held) if set(held) - {"-"} else "-")
        rows.append([quantity.name, *cells])
    return markdown(["", *(f"{n} groups" for n in groups)], rows)


def main(arguments=None) -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=400, help="data sets of each kind (default 400)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--csv", help="file for all numbers")
    chosen = parser.parse_args(arguments)
    cases = []
    for number in range(len(QUANTITIES)):
        for n_groups in GROUPS:
            for correlation in CORRELATIONS:
                cases.append((number, n_groups, correlation))
    rows = []
    options = (chosen.repeats, chosen.seed)
    team = processes.Team(machine.cores())
    for case, result in tqdm(processes.each(_case, cases, options, team), total=len(cases), unit="kind"):
        number, n_groups, correlation = case
        rows.append({"quantity": QUANTITIES[number].name, "groups": n_groups, "correlation": correlation, **result})
    found = pd.DataFrame(rows)
    if chosen.csv:
        found.to_csv(chosen.csv, index=False)
    print(table(found))
    worst = found[found["groups"] >= intervals.LEAST_GROUPS].nsmallest(5, "holds")
    print("\nFarthest below:\n" + worst.to_string(index=False))


if __name__ == "__main__":
    main()
