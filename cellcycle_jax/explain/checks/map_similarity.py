"""How alike two maps of the same cells are, and maps that need no network, with which a map is compared."""

import itertools
from collections.abc import Sequence

import numpy as np
from scipy import ndimage, stats

from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.checks.faithfulness import TIE, without_rounding
from cellcycle_jax.scoring import metrics
from cellcycle_jax.scoring.intervals import Resampling
from cellcycle_jax.scoring.jackknife import CORRELATION, SHARE

SCALES = {"spearman": CORRELATION, "strength": SHARE, "ssim": CORRELATION}  # on which intervals are made
SSIM_WINDOW = 7  # px, or the largest odd number that fits
SSIM_CONSTANTS = (0.01**2, 0.03**2)  # Wang et al., for values from 0 to 1: against division by nothing


def map_similarity(maps_a, maps_b) -> dict[str, np.ndarray]:
    """Similarity of two maps, cell by cell.

    Args:
        maps_a, maps_b: f32 [N, h, w, C]. The smaller is resized to the size of the larger; if the channels differ in
            number, each map is summed over its own.

    Returns:
        f64 [N] each, NaN where a map is flat: "spearman", the rank correlation over pixels and channels; "strength",
        its absolute value, since a map of the opposite sign shows the same structure; "ssim", structural similarity
        (Wang et al. 2004, doi 10.1109/TIP.2003.819861) of the maps, each from 0 to 1 with its zero in the middle.
    """
    side = max(maps_a.shape[1], maps_b.shape[1])
    a = _at_size(maps_a, side)
    b = _at_size(maps_b, side)
    if a.shape[-1] != b.shape[-1]:
        a = a.sum(-1, keepdims=True)
        b = b.sum(-1, keepdims=True)
    a = without_rounding(a)
    b = without_rounding(b)
    spearman = _rank_correlation(a, b)
    ssim = np.where(np.isfinite(spearman), _structural_similarity(a, b), np.nan)
    return {"spearman": spearman, "strength": np.abs(spearman), "ssim": ssim}


def _at_size(maps, side) -> np.ndarray:
    if maps.shape[1] != side:
        maps = methods.resized(maps, side)
    return np.asarray(maps, np.float64)


def _rank_correlation(a, b) -> np.ndarray:
    """Rank correlation over pixels and channels, f64 [N]; NaN where a map is flat."""
    x = _centred_ranks(a)
    y = _centred_ranks(b)
    spread = np.sqrt((x**2).sum(1) * (y**2).sum(1))
    return metrics.divide((x * y).sum(1), spread)


def _centred_ranks(maps) -> np.ndarray:
    ranks = stats.rankdata(maps.reshape(len(maps), -1), axis=1)
    return ranks - ranks.mean(1, keepdims=True)


def _structural_similarity(a, b) -> np.ndarray:
    """Mean over windows and channels, f64 [N]: of all cells at once what scikit-image gives for each map of 0..1."""
    side = a.shape[1]
    window = min(SSIM_WINDOW, side - 1 + side % 2)
    # From 0 to 1: local means of opposite signs would make their product positive.
    a = a * TIE / 2 + 0.5
    b = b * TIE / 2 + 0.5

    def local_mean(maps):
        return ndimage.uniform_filter(maps, (1, window, window, 1))

    of_sample = window**2 / (window**2 - 1)
    mean_a = local_mean(a)
    mean_b = local_mean(b)
    variance_a = of_sample * (local_mean(a * a) - mean_a**2)
    variance_b = of_sample * (local_mean(b * b) - mean_b**2)
    covariance = of_sample * (local_mean(a * b) - mean_a * mean_b)
    luminance, contrast = SSIM_CONSTANTS
    alike = (2 * mean_a * mean_b + luminance) * (2 * covariance + contrast)
    possible = (mean_a**2 + mean_b**2 + luminance) * (variance_a + variance_b + contrast)
    edge = window // 2  # of windows that reach beyond the map
    whole = (alike / possible)[:, edge : side - edge, edge : side - edge]
    return whole.mean((1, 2, 3))


def similarity(maps_a, maps_b, groups, resampling: Resampling) -> list[dict]:
    """How alike two maps of the same cells are, mean over cells; maps may differ in size and channels.

    Args:
        maps_a, maps_b: f32 [N, h, w, C]; see `map_similarity`.
        groups: [N], the unit of the intervals.
        resampling: how intervals are made.

    Returns:
        One dict for each measure of `map_similarity`: measure, value, low, high, n_cells. Cells of which a map is flat
        are left out.
    """
    return rows_of(map_similarity(maps_a, maps_b), groups, resampling)


def repeatability(maps: Sequence, groups, resampling: Resampling) -> list[dict]:
    """How alike the maps of the same cells are between networks, such as the seeds of one training: mean over pairs.

    Args:
        maps: f32 [N, h, w, C] of each of two or more networks.
        groups, resampling: as of `similarity`.

    Returns:
        As of `similarity`.
    """
    return rows_of(mean_over(pairwise(maps)), groups, resampling)


def pairwise(maps: Sequence) -> list[dict]:
    """`map_similarity` of every pair of these maps, each f32 [N, h, w, C]."""
    return [map_similarity(a, b) for a, b in itertools.combinations(maps, 2)]


def mean_over(similarities: Sequence[dict]) -> dict[str, np.ndarray]:
    """Mean of what `map_similarity` returned several times, cell by cell, over those that are known."""
    means = {}
    for measure in similarities[0]:
        values = np.ma.masked_invalid([comparison[measure] for comparison in similarities])
        means[measure] = values.mean(0).filled(np.nan)
    return means


def rows_of(similarities: dict, groups, resampling: Resampling) -> list[dict]:
    """What `map_similarity` returned as the rows of `similarity`."""
    rows = []
    for measure, values in similarities.items():
        mean = resampling.mean(values, groups, SCALES[measure])
        rows.append({"measure": measure, **mean.as_json()})
    return rows


def row_of(rows: list[dict], measure: str) -> dict:
    """The row of a measure among those of `similarity`."""
    return next(row for row in rows if row["measure"] == measure)


def edges(images) -> np.ndarray:
    """Sobel magnitude of the channels' sum, f32 [N, S, S, 1], of images f32 [N, S, S, K]: needs no network."""
    magnitudes = []
    for image in images.sum(-1):
        along_y = ndimage.sobel(image, 0, mode="nearest")
        along_x = ndimage.sobel(image, 1, mode="nearest")
        magnitudes.append(np.hypot(along_y, along_x))
    return np.stack(magnitudes)[..., None].astype(np.float32)


def intensity(images) -> np.ndarray:
    """The channels' sum, f32 [N, S, S, 1], of images f32 [N, S, S, K]: needs no network."""
    return images.sum(-1, keepdims=True).astype(np.float32)


def centre(images) -> np.ndarray:
    """A Gaussian (sigma S / 8) in the middle of the crop, f32 [N, S, S, 1]: needs neither network nor image."""
    side = images.shape[1]
    from_middle = np.arange(side) - (side - 1) / 2
    profile = np.exp(-0.5 * (from_middle / (side / 8)) ** 2)
    gaussian = np.outer(profile, profile)[None, :, :, None]
    return np.broadcast_to(gaussian, (len(images), side, side, 1)).astype(np.float32)


TRIVIAL = {"edges": edges, "intensity": intensity, "centre": centre}
