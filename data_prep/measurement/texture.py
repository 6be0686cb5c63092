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
    """
    n, levels = len(regions.count), _GREY_LEVELS
    values = channel.reshape(-1)[regions.pixels]
    low, high = percentiles(values, regions, (1, 99))
    steps = (values - regions.spread(low)) / regions.spread(np.maximum(high - low, 1e-6)) * levels
    # One level more stands last, where -1 finds it: that of a neighbour outside the nucleus.
    grey = np.append(np.clip(steps, 0, levels - 1).astype(np.int64), levels)
    row = (regions.owner * levels + grey[:-1]) * (levels + 1)
    counts = sum(np.bincount(row + grey[there], minlength=n * levels * (levels + 1)) for there in regions.forward)
    counts = counts.reshape(n, levels, levels + 1)[..., :levels]
    counts = (counts + counts.transpose(0, 2, 1)).transpose(1, 2, 0)
    # The nuclei stand where the library expects distances, so that one call serves all.
    stacked = np.ascontiguousarray(counts, np.uint32)[..., np.newaxis]
    return {f"Nuclei_Texture_{p.capitalize()}_{name}": feature.graycoprops(stacked, p)[:, 0] for p in _TEXTURES}


def percentiles(values: np.ndarray, regions: Regions, shares) -> list[np.ndarray]:
    """Percentiles of `values` [P] in each label, linear between neighbours as NumPy's; [n] for each of `shares`."""
    ordered = values.copy()
    for start, count in zip(regions.starts, regions.count, strict=True):
        ordered[start:start + count].sort()
    found = []
    for share in shares:
        place = (regions.count - 1) * (share / 100)
        below = np.floor(place).astype(np.int64)
        lower = ordered[regions.starts + below]
        upper = ordered[regions.starts + np.minimum(below + 1, regions.count - 1)]
        part = place - below
        step = upper - lower
        found.append(np.where(part < 0.5, lower + step * part, upper - step * (1 - part)))  # as NumPy rounds
    return found


def edge(channel: np.ndarray, regions: Regions, name: str) -> dict[str, np.ndarray]:
    """Sharpness of the outline: mean gradient there over the nucleus' own mean; falls when out of focus.

    Args:
        channel: f32 [H, W].
        regions: of the nuclei. The side at the field's edge is no outline.
        name: the channel's, in the column.
    """
    gradient = ndimage.gaussian_gradient_magnitude(channel, 1.0)
    border = outline(regions, field_edge=False)
    total = regions.sum(np.where(border, gradient.ravel()[regions.pixels], 0))
    length = regions.sum(border)
    steep = np.divide(total, length, out=np.full(len(length), np.nan), where=length > 0)  # none: it fills the field
    level = regions.sum(channel.reshape(-1)[regions.pixels]) / regions.count
    return {f"Nuclei_Texture_EdgeSharpness_{name}": steep / np.maximum(level, 1e-6)}
