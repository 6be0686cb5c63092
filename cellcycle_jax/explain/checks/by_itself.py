"""How well a property may tell the classes by itself, before the network may be reading it and nothing else."""

import numpy as np
from scipy import stats

from cellcycle_jax.explain.checks import score
from cellcycle_jax.explain.checks.compared_cells import ComparedCells
from cellcycle_jax.scoring.intervals import Interval, Resampling

MOST = 0.8  # area under the ROC curve that structures do not reach by themselves in such a property
SHARE = 0.7  # of the network's distance between the classes that such a property may not reach


def auroc_of_network(compared: ComparedCells, resampling: Resampling) -> Interval:
    """Area under the ROC curve of the network's own output on N cells, with an interval."""
    classes = compared.all_margins.shape[1]
    logits = compared.all_margins * (classes - 1) / classes  # less the mean over the classes, which cancels
    return score.auroc_with_interval(logits, compared.crops.label, compared.crops.group_id, resampling)


def is_below(score: Interval, allowed: float) -> bool:
    """Whether an area under the ROC curve is below what is allowed for certain."""
    return score.is_known and score.high < allowed


def tells_the_class(score: Interval, about: dict) -> bool:
    """Whether a property with this area under the ROC curve predicts the class for certain."""
    return score.is_known and score.low >= about["limits"]["batch_auroc"]


def most_allowed(network: Interval, most: float = MOST) -> float:
    """Area under the ROC curve below which a property alone does not explain what the network tells.

    Distances between classes are compared as if both were normal with the same spread, where an area A is that of
    two classes sqrt(2) * Phi^-1(A) standard deviations apart (Green and Swets 1966). A network that tells little may
    read a property that tells little.

    Args:
        network: area under the ROC curve of the network; its lower bound counts, and chance where there is none.
        most: what structures do not reach by themselves, however much the network tells.
    """
    if not network.is_known:
        return score.CHANCE
    reached = stats.norm.cdf(SHARE * stats.norm.ppf(np.clip(network.low, score.CHANCE, 1)))
    return float(min(most, reached))
