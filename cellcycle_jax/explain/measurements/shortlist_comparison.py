"""Is the best pair of a map's shortlist worth more than those of other choices?

Two controls differ from it in the map alone: the same selection with equal weights for all regions, and with the map's
weights dealt out to other regions. One has neither map nor network: the same selection, with the labels of training
cells in place of the logit. The measurements with the highest AUROC on training cells and random ones use neither map
nor logit nor this selection.
"""

import functools
import itertools

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from cellcycle_jax.explain.measurements.shortlist import MOST, Shortlists
from cellcycle_jax.features import ranking
from cellcycle_jax.features.families import Family
from cellcycle_jax.features.feature_axes import DecisionLine, ProjectedCells, one_sided
from cellcycle_jax.scoring import crossvalidation, metrics
from cellcycle_jax.scoring.intervals import Interval, Resampling
from cellcycle_jax.scoring.jackknife import LINEAR, SHARE

DRAWS = 50  # random shortlists
CHANCE = 0.5  # balanced accuracy of two classes
CONTROLS = {  # shortlist -> what the map's is compared with, in words
    "without_map": "the same choice without the map",
    "without_network": "the same choice by the labels, without map or network",
    "univariate": "the best single measurements",
    "dealt": "the same choice with the map's weights dealt out to other regions",
    "random": "randomly chosen families",
}
_SAME_PAIR = {
    "without_map": "Choosing without the map, with the same weight for every region, gives the same pair: the map "
    "adds nothing here.",
    "without_network": "Choosing by the labels, without map or network, gives the same pair, too.",
    "univariate": "The best single measurements give the same pair, too.",
}
NAMED = ("map", "without_map", "without_network", "univariate")  # the shortlists before those by chance, in order


def compare(
    lists: Shortlists,
    families: dict[str, Family],
    train: ProjectedCells,
    validation: ProjectedCells,
    resampling: Resampling,
    others: ProjectedCells | None = None,
) -> dict:
    """The best pair of the map's shortlist beside those of others: without the map or network, univariate, by chance.

    All shortlists are cut to the length of the map's; a control is shorter where too few families do not repeat each
    other. The pair of a shortlist is the one whose line has the highest balanced accuracy on held-out
    groups of training cells. The pair, its line and all shortlists are thus chosen without validation labels, by which
    they are scored. A missing measurement is taken as the training median there, so that every pair is scored on the
    same cells.

    Args:
        lists: those of the map, without it, and without a network.
        families: measurement -> its family, of all measurements that may enter.
        train: labelled cells on which shortlists, pairs and lines are chosen.
        validation: labelled cells that are scored.
        resampling: how intervals are made; its seed also draws the shortlists by chance.
        others: labelled cells of cell lines that training did not hold, scored as well; None: none.

    Returns:
        map, without_map, without_network, univariate: {shortlist, pair, value, low, high}, the balanced accuracy of the
        pair. dealt, random: {value, low, high} of the mean over the draws, {lowest, highest, draws, as_good}, the last
        the share of draws that are as good as the map's or better. differences: {"map - " and one of `CONTROLS`}, each
        {value, low, high}, paired. verdict: sentences. other_lines: scores and differences on `others`, or None. Where
        a shortlist has fewer than two families all but the verdict is None.
    """
    by_map = lists.by_map[:MOST]
    length = len(by_map)
    compared = [by_map, lists.without_map[:length], lists.without_network[:length]]
    dealt = [listed[:length] for listed in lists.dealt if len(listed) > 1]
    if length > 1:
        univariate, *by_chance = _controls(families, train, length, resampling.seed)
        compared += [univariate, *dealt, *by_chance]
    if not dealt or min(map(len, compared)) < 2:
        keys = (*NAMED, "dealt", "random", "differences", "other_lines")
        which = "The map points at" if len(by_map) < 2 else "There are"
        words = f"{which} fewer than two families of measurements, so there is no pair to compare."
        return {**dict.fromkeys(keys), "verdict": words}
    with threadpool_limits(1):  # hundreds of tiny fits: threads would only wait on each other
        columns = sorted(set(itertools.chain.from_iterable(compared)))
        values = _filled(train, train, columns)
        pairs = _best_pairs(compared, values, train)
        lines = {}
        for pair in set(pairs):
            lines[pair] = DecisionLine.fit(_points(values, pair), train.positive)
    filled = _filled(validation, train, columns)
    scores = _scores(pairs, len(dealt), lines, filled, validation, resampling)
    for i, name in enumerate(NAMED):
        scores[name] = {**scores[name].as_json(), "shortlist": list(compared[i]), "pair": list(pairs[i])}
    of_others = None
    if others is not None:
        of_others = _scores(pairs, len(dealt), lines, _filled(others, train, columns), others, resampling)
    return {**scores, "other_lines": of_others, "verdict": verdict(scores, resampling.level)}


def _controls(families, train: ProjectedCells, most: int, seed: int) -> list[list[str]]:
    """The shortlist by training AUROC, then `DRAWS` random ones: a random measurement of each random family."""
    names = {}
    auroc = {}
    for column in train.linear.columns:
        values = train.linear[column]
        if column in families and values.nunique() > 1:
            names[column] = families[column].name
            auroc[column] = _auroc(values.to_numpy(), train.positive)
    alike = ranking.rank_correlations(train.linear[list(names)])
    by_auroc = sorted(auroc, key=auroc.get, reverse=True)
    lists = [ranking.one_each(by_auroc, alike, names, most)]
    members = pd.Series(names).groupby(names).groups
    rng = np.random.default_rng(seed)
    for _ in range(DRAWS):
        order = []
        for name in rng.permutation(list(members)):
            order.extend(rng.permutation(list(members[name])))
        lists.append(ranking.one_each(order, alike, names, most))
    return lists


def _auroc(values, positive) -> float:
    """How well a measurement f64 [N] separates the classes, in the direction in which it does; 0.5 where one lacks."""
    measured = np.isfinite(values)
    if one_sided(positive[measured]):
        return 0.5
    auroc = float(metrics.binary_auroc(positive[measured], values[measured])[0])
    return max(auroc, 1 - auroc)


def _best_pairs(lists: list[list[str]], values: dict, train: ProjectedCells) -> list[tuple[str, str]]:
    """The pair of each list whose line is best on held-out groups of training cells; `values` as of `_filled`."""
    divisions = crossvalidation.folds(train.groups)

    @functools.cache  # many lists hold the same pair
    def accuracy(pair):
        value = ranking.held_out_accuracy(_points(values, pair), train.positive, divisions)
        return value if np.isfinite(value) else 0.0

    best = []
    for names in lists:
        pairs = [tuple(sorted(pair)) for pair in itertools.combinations(names, 2)]
        best.append(max(pairs, key=accuracy))
    return best


def _filled(cells: ProjectedCells, train: ProjectedCells, columns) -> dict[str, np.ndarray]:
    """Measurements f64 [N] on their scale (linear or log), by name, missing ones as the training median."""
    filled = cells.linear[columns].fillna(train.linear[columns].median())
    return {column: filled[column].to_numpy() for column in columns}


def _points(values: dict, pair) -> np.ndarray:
    """Two of the measurements that `_filled` returned, f64 [N, 2]."""
    return np.column_stack([values[column] for column in pair])


def _scores(pairs, n_dealt: int, lines: dict, values: dict, cells: ProjectedCells, resampling: Resampling) -> dict:
    """Balanced accuracy of the pairs (those of `NAMED`, of weights dealt out, by chance), all without the same groups.

    The drawn shortlists stay the same: the interval of their mean covers the sampling of cells only.
    """
    drawn = {
        "dealt": slice(len(NAMED), len(NAMED) + n_dealt),
        "random": slice(len(NAMED) + n_dealt, len(pairs)),
    }
    right = np.empty((len(cells.positive), len(pairs)))
    for i, pair in enumerate(pairs):
        called = lines[pair].decision(_points(values, pair)) > 0
        right[:, i] = called == cells.positive

    def score(weights):
        accuracy = (_recall(right, cells.positive, weights) + _recall(right, ~cells.positive, weights)) / 2
        scores = {name: accuracy[:, i] for i, name in enumerate(NAMED)}
        for name, columns in drawn.items():
            scores[name] = accuracy[:, columns].mean(1)
        for name in CONTROLS:
            scores[_difference(name)] = scores["map"] - scores[name]
        return scores

    scale = {_difference(name): LINEAR for name in CONTROLS}
    scale |= dict.fromkeys((*NAMED, *drawn), SHARE)
    scores = resampling.intervals(score, cells.groups, scale, cells.positive)
    accuracy = (right[cells.positive].mean(0) + right[~cells.positive].mean(0)) / 2
    for name, columns in drawn.items():
        of_draws = accuracy[columns]
        scores[name] = {
            **scores[name].as_json(),
            "lowest": float(of_draws.min()),
            "highest": float(of_draws.max()),
            "draws": len(of_draws),
            "as_good": float((of_draws >= accuracy[0]).mean()),
        }
    scores["differences"] = {_difference(name): scores.pop(_difference(name)) for name in CONTROLS}
    return scores


def _difference(name) -> str:
    return f"map - {name}"


def _recall(right, of_class, weights) -> np.ndarray:
    """Share of the cells of a class that each of P pairs calls right, f64 [B, P]; NaN where no such cell has weight.

    Args:
        right: f64 [N, P], 1 where a pair calls a cell right.
        of_class: bool [N].
        weights: f64 [B, N].
    """
    of_class = of_class[:, None]
    return metrics.divide(weights @ (right * of_class), weights @ of_class)


def verdict(scores: dict, interval_level: float) -> str:
    """What the differences allow to say, in plain words; `scores` as `compare` makes it."""
    own = scores["map"]
    gaps = scores["differences"]
    accuracy = Interval.of(own).text(3)
    sentences = [f"On validation cells the best pair of the shortlist has a balanced accuracy of {accuracy}."]
    for name, same_pair in _SAME_PAIR.items():
        if own["pair"] == scores[name]["pair"]:
            sentences.append(same_pair)
        else:
            sentences.append(_words(gaps[_difference(name)], CONTROLS[name], interval_level))
    dealt = scores["dealt"]
    sentences.append(f"With the map's weights dealt out to other regions {100 * dealt['as_good']:.0f} % of "
                     f"{dealt['draws']} choices are as good or better.")
    gap = gaps["map - random"]
    sentences.append(_words(gap, CONTROLS["random"], interval_level))
    if gap.low > 0:
        sentences.append("That lead says nothing about the map: any choice that follows the network's output has it.")
    sentences.append(_what_adds(own, scores, gaps))
    if not Interval.of(own).low > CHANCE:
        sentences.append("That the pair separates the classes at all is not certain.")
    return " ".join(sentences)


def _what_adds(own, scores, gaps) -> str:
    """Whether the map, and the network, add anything over measurements and labels, in one plain sentence."""
    map_adds = own["pair"] != scores["without_map"]["pair"] and gaps["map - without_map"].low > 0
    network_adds = own["pair"] != scores["without_network"]["pair"] and gaps["map - without_network"].low > 0
    if map_adds and network_adds:
        return "In short: the map and the network both add to what labels and measurements alone find."
    if map_adds:
        return "In short: the map adds to this choice, but labels and measurements alone find as much."
    if network_adds:
        return "In short: the network adds to what labels and measurements alone find; its map does not."
    return "In short: neither the map nor the network adds anything here; labels and measurements alone find as much."


def _words(gap: Interval, rival: str, interval_level: float) -> str:
    """A difference in points of balanced accuracy, as a sentence."""
    points = 100 * gap.value
    if not np.isfinite(gap.low):
        return f"Beside {rival} it differs by {points:+.1f} points (no interval, so nothing follows)."
    spread = f"({100 * interval_level:g} % interval {100 * gap.low:.1f} to {100 * gap.high:.1f})"
    if gap.low > 0:
        return f"It is {points:.1f} points better than {rival} {spread}."
    if gap.high < 0:
        return f"It is {-points:.1f} points worse than {rival} {spread}."
    seen = 100 * gap.smallest_detectable
    return (f"It cannot be distinguished from {rival} {spread}; {seen:.1f} points would be seen in four of five such "
            "experiments.")
