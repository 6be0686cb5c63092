"""Which part of what a network tells the classes by is explained by measurements, by nuisances, and by neither.

Of a network's output for cells that it was not trained on, measurements explain a part, nuisances explain another, and
the rest is left. Each part differs between the classes by so much, and the three differences add up to that of the
output. What a network learnt by heart, or does by chance, has nothing to do with the class of cells that it has not
seen, so it is in none of them: the difference of what is left is what the network uses and no measurement holds.
Classes are compared within fields, so that what all cells of a field share does not count; across fields where each
holds one class.
"""

import dataclasses

import numpy as np

from cellcycle_jax.scoring import metrics
from cellcycle_jax.scoring.intervals import Interval, Resampling

NAMED = "named"
NUISANCE = "nuisance"
UNNAMED = "unnamed"
PARTS = (NAMED, NUISANCE, UNNAMED)


@dataclasses.dataclass(frozen=True)
class Outputs:
    """Outputs of M networks for N cells that none of them was trained on; all f64 [M, N].

    Attributes:
        output: log odds of a class.
        named: what measurements explain of it.
        explained: what measurements and nuisances explain together.
    """

    output: np.ndarray
    named: np.ndarray
    explained: np.ndarray

    def of(self, rows) -> "Outputs":
        """The outputs for some of the cells."""
        return Outputs(self.output[:, rows], self.named[:, rows], self.explained[:, rows])

    @property
    def left(self) -> np.ndarray:
        """What neither explains."""
        return self.output - self.explained


def shares(outputs: Outputs, of_class, fields, groups, resampling: Resampling) -> dict[str, Interval]:
    """Share of each of PARTS in the difference between the classes, mean over the networks.

    Args:
        outputs: of N labelled cells.
        of_class: bool [N], whether a cell is of the class.
        fields: text [N].
        groups: text [N], the unit of intervals.
        resampling: how intervals are made.

    Returns:
        {part: share}, which add up to 1; not known where the difference is not above 0, without bounds where that is
        not certain.
    """
    contrast = class_contrast(of_class, fields)
    whole = (standardised(outputs, outputs.output) * contrast).mean(0)
    named = (standardised(outputs, outputs.named) * contrast).mean(0)
    left = (standardised(outputs, outputs.left) * contrast).mean(0)
    nuisance = whole - named - left

    def parts(weights):
        total = _mean(whole, weights)
        return {
            NAMED: (_mean(named, weights), total),
            NUISANCE: (_mean(nuisance, weights), total),
            UNNAMED: (_mean(left, weights), total),
        }

    return resampling.ratios(parts, groups, of_class)


def repeated(outputs: Outputs, fields, groups, resampling: Resampling) -> Interval:
    """Covariance within fields of what is left of the outputs of two networks, in their standard deviations."""
    first, second = [within_fields(of_network, fields) for of_network in standardised(outputs, outputs.left)]
    return resampling.mean(first * second, groups)


def class_contrast(of_class, fields) -> np.ndarray:
    """Whether a cell is of the class, less the share of the class in its field, f64 [N]; in all where fields hold one.

    The mean of a value times this is its covariance with the class within fields.
    """
    contrast = within_fields(np.asarray(of_class, np.float64), fields)
    if contrast.any():
        return contrast
    return of_class - np.mean(of_class)


def within_fields(values, fields) -> np.ndarray:
    """Values f64 [N] less the mean of their field."""
    _, member, count = np.unique(fields, return_inverse=True, return_counts=True)
    mean = np.bincount(member, values) / count
    return values - mean[member]


def standardised(outputs, values):
    """Values f64 [M, N] in standard deviations of each network's output, so that all networks weigh the same."""
    spread = outputs.output.std(1, keepdims=True)
    return (values - values.mean(1, keepdims=True)) / np.where(spread > 0, spread, 1.0)


def _mean(values, weights):
    return metrics.divide(weights @ values, weights.sum(1))
