"""Texture of every nucleus: how grey levels neighbour each other, and how sharp the outline is."""

import numpy as np
from scipy import ndimage
from skimage import feature

from data_prep.measurement.regions import Regions
from data_prep.measurement.shape import outline

_GREY_LEVELS = 16
_TEXTURES = ("contrast", "homogeneity", "energy", "correlation")


def texture(channel: np.ndarray, regions: Regions, name: str) -> dict[str, np.ndarray]:
    """Grey-level co-occurrence (Haralick 1973) at 1 px in four directions, each pair counted both ways.

    Grey levels span the range between the nucleus' 1 % and 99 %.

    Args:
        channel: f32 [H, W].
        regions: of the nuclei.
        name: the channel's, in the columns.

    Returns:
        {column: f64 [n]}
    """
    n = len(regions.count)
    levels = _GREY_LEVELS
    values = channel.reshape(-1)[regions.pixels]
    low, high = percentiles(values, regions, (1, 99))
    span = np.maximum(high - low, 1e-6)
    grey = (values - regions.spread(low)) / regions.spread(span) * levels
    grey = np.clip(grey, 0, levels - 1).astype(np.int64)
    row = (regions.owner * levels + grey) * (levels + 1)
    # One level more stands last, where -1 finds it: that of a neighbour outside the nucleus.
    grey = np.append(grey, levels)
    counts = np.zeros(n * levels * (levels + 1), np.int64)
    for neighbour in regions.forward:
        counts += np.bincount(row + grey[neighbour], minlength=len(counts))
    counts = counts.reshape(n, levels, levels + 1)[..., :levels]
    both_ways = counts + counts.transpose(0, 2, 1)
    # The nuclei stand where the library expects distances, so that one call serves all.
    both_ways = np.ascontiguousarray(both_ways.transpose(1, 2, 0), np.uint32)
    columns = {}
    for measure in _TEXTURES:
        of_nuclei = feature.graycoprops(both_ways[..., np.newaxis], measure)
        columns[f"Nuclei_Texture_{measure.capitalize()}_{name}"] = of_nuclei[:, 0]
    return columns


def percentiles(values: np.ndarray, regions: Regions, shares) -> list[np.ndarray]:
    """Percentiles in each label, linear between neighbours as NumPy's.

    Args:
        values: f [P], one for each pixel of the labels.
        regions: of the labels.
        shares: percent.

    Returns:
        [n] for each of `shares`.
    """
    ordered = values.copy()
    for start, count in zip(regions.starts, regions.count, strict=True):
        ordered[start:start + count].sort()
    last = regions.count - 1
    values_at = []
    for share in shares:
        rank = last * (share / 100)
        below = np.floor(rank).astype(np.int64)
        above = np.minimum(below + 1, last)
        lower = ordered[regions.starts + below]
        upper = ordered[regions.starts + above]
        step = upper - lower
        part = rank - below
        from_lower = lower + step * part
        from_upper = upper - step * (1 - part)
        as_numpy_rounds = np.where(part < 0.5, from_lower, from_upper)
        values_at.append(as_numpy_rounds)
    return values_at


def edge(channel: np.ndarray, regions: Regions, name: str) -> dict[str, np.ndarray]:
    """Sharpness of the outline: mean gradient there over the nucleus' own mean; falls when out of focus.

    Args:
        channel: f32 [H, W].
        regions: of the nuclei. The side at the field's edge is no outline.
        name: the channel's, in the column.

    Returns:
        {column: f64 [n]}
    """
    gradient = ndimage.gaussian_gradient_magnitude(channel, 1.0)
    border = outline(regions, field_edge=False)
    gradient = gradient.ravel()[regions.pixels]
    total = regions.sum(np.where(border, gradient, 0))
    length = regions.sum(border)
    steepness = np.full(len(length), np.nan)  # of a nucleus that fills the field
    np.divide(total, length, out=steepness, where=length > 0)
    mean = regions.sum(channel.reshape(-1)[regions.pixels]) / regions.count
    sharpness = steepness / np.maximum(mean, 1e-6)
    return {f"Nuclei_Texture_EdgeSharpness_{name}": sharpness}
