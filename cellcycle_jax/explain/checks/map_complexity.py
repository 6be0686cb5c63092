"""How complex a map is: one that points at something has few values, and one of random weights many.

The efficient randomisation test of Hedström et al. (2024, arXiv:2401.06465): it compares how complex maps are, not how
alike, so that noise in both does not make them differ.
"""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from cellcycle_jax.explain.checks.faithfulness import without_rounding
from cellcycle_jax.scoring import metrics
from cellcycle_jax.scoring.intervals import Interval, Resampling

BINS = 100  # of the histogram of a map, from its lowest to its highest value


def complexity(maps) -> np.ndarray:
    """Entropy of the histogram of each map f32 [N, h, w, C], f64 [N], nats; 0 of a flat one."""
    entropies = []
    for values in without_rounding(maps).reshape(len(maps), -1):
        counts, _ = np.histogram(values, BINS)
        entropies.append(stats.entropy(counts))
    return np.array(entropies)


def rise(maps, maps_of_random: Sequence, groups, resampling: Resampling) -> Interval:
    """How much more complex maps of random networks are, relative to those of the trained one; mean over cells.

    Args:
        maps: f32 [N, h, w, C] of the trained network.
        maps_of_random: the same of each random network.
        groups: [N], the unit of the intervals.
        resampling: how intervals are made.
    """
    of_trained = complexity(maps)
    of_random = np.mean([complexity(random_maps) for random_maps in maps_of_random], axis=0)
    return resampling.mean(metrics.divide(of_random - of_trained, of_trained), groups)
