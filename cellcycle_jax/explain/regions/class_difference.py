"""Which part of the difference between two classes' margins is read where: channel and region.

Most of an attribution map is common to all cells and does not distinguish the classes. Here a map explains one class's
margin for every cell, whatever it is, and its sum over a region is compared between cells of the class and the others.
Of a complete method (integrated gradients) the sums over all regions add up to the margin, so their differences add up
to the difference between the classes, and each is a share of it.

A network may read a region that does not distinguish the classes by itself, as where the background says how bright a
field is and the nucleus is judged by that (a suppressor variable). So beside it stands how much of what moves the
margin from cell to cell within classes comes from the region.
"""

import numpy as np
import pandas as pd

from cellcycle_jax.explain.regions import localisation
from cellcycle_jax.scoring import metrics
from cellcycle_jax.scoring.intervals import Interval, Resampling

_SHARES = ("channel", "compartment", "share", "low", "high", "area_share", "ratio", "ratio_low", "ratio_high")
_READ = ("read", "read_low", "read_high")
COLUMNS = ("class", "method", *_SHARES, *_READ, "n_cells", "n_groups")


def contributions(maps: np.ndarray, compartments: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of signed maps over regions.

    Args:
        maps: f32 [N, S, S, C], at the size of the crop.
        compartments: u8 [N, S, S], bits of `schema.Compartment`.
        present: u8 [N], which bits are known.

    Returns:
        f64 [N, C, Q] with the regions in the order of `localisation.COMPARTMENTS`, zero where one is not known, and the
        share of the crop's area that each region has, f64 [N, Q]. A cell of which no region is known is NaN.
    """
    regions = len(localisation.COMPARTMENTS)
    sums = np.full((len(maps), maps.shape[-1], regions), np.nan)
    areas = np.full((len(maps), regions), np.nan)
    cells = zip(maps, compartments, present, strict=True)
    for n, (saliency, bits, present_bits) in enumerate(cells):
        masks = localisation.compartment_masks(bits, int(present_bits))
        if not masks:
            continue
        sums[n] = 0
        areas[n] = 0
        for name, mask in masks.items():
            region = localisation.COMPARTMENTS.index(name)
            sums[n, :, region] = saliency[mask].sum(0, dtype=np.float64)
            areas[n, region] = mask.mean()
    return sums, areas


def difference(sums, areas, of_class, groups, resampling: Resampling) -> pd.DataFrame:
    """Shares of the difference between cells of a class and the others, with intervals clustered by group.

    Args:
        sums, areas: as `contributions` returns them.
        of_class: bool [N], whether a cell is of the explained class.
        groups: text [N].
        resampling: how intervals are made.

    Returns:
        One row per channel and region that any cell has: channel (0..C-1), compartment, share of the difference (it can
        be negative), area_share (over C), ratio of the two, read (share of what moves the margin within classes, see
        `_read`), each with its interval, n_cells and n_groups. Empty where
        one class has no cell, or the whole difference is not above zero: a network whose margin is no higher for
        cells of the class than for the others does not tell them apart, and shares of its difference would change sign.
        There is no interval where it is not certain to be above zero.
    """
    has_regions = np.isfinite(areas).all(1)
    sums = sums[has_regions]
    areas = areas[has_regions]
    inside = np.asarray(of_class)[has_regions]
    groups = np.asarray(groups)[has_regions]
    if not inside.any() or inside.all():
        return pd.DataFrame(columns=list(COLUMNS[2:]))
    _, channels, regions = sums.shape
    flat = sums.reshape(len(sums), -1)
    area_shares = np.tile(areas.mean(0) / channels, channels)

    def shares(weights):
        gap = _weighted_mean(flat, weights * inside) - _weighted_mean(flat, weights * ~inside)
        total = gap.sum(1)
        return {i: (of_region, total) for i, of_region in enumerate(gap.T)}

    read = _read(flat, inside, groups, resampling)
    rows = []
    for i, share in resampling.ratios(shares, groups, inside).items():
        channel, region = divmod(i, regions)
        area = area_shares[i]
        if area > 0 and np.isfinite(share.value):
            rows.append({
                "channel": channel,
                "compartment": localisation.COMPARTMENTS[region],
                "share": share.value,
                "low": share.low,
                "high": share.high,
                "area_share": area,
                "ratio": share.value / area,
                "ratio_low": share.low / area,
                "ratio_high": share.high / area,
                "read": read[i].value,
                "read_low": read[i].low,
                "read_high": read[i].high,
                "n_cells": len(sums),
                "n_groups": len(np.unique(groups)),
            })
    return pd.DataFrame(rows, columns=list(COLUMNS[2:]))


def _read(sums, inside, groups, resampling: Resampling) -> dict[int, Interval]:
    """Share of what moves the margin from cell to cell within classes that comes from each region.

    The mean distance of a region's sum from its mean in cells of the same class, over that of all regions together.

    Args:
        sums: f64 [N, M], over each of M regions.
        inside: bool [N], whether a cell is of the explained class.
        groups: text [N].
        resampling: how intervals are made.
    """
    distances = np.empty_like(sums)
    for of_class in (inside, ~inside):
        distances[of_class] = np.abs(sums[of_class] - sums[of_class].mean(0))

    def parts(weights):
        means = _weighted_mean(distances, weights)
        return {i: (of_region, means.sum(1)) for i, of_region in enumerate(means.T)}

    return resampling.ratios(parts, groups)


def _weighted_mean(values, weights):
    """Mean f64 [B, M] of values f64 [N, M] by weights f64 [B, N]; NaN where all weights are 0."""
    return metrics.divide(weights @ values, weights.sum(1, keepdims=True))


def by_channel(table: pd.DataFrame) -> pd.Series:
    """Share of each channel, over all regions."""
    return table.groupby("channel", sort=False)["share"].sum()


def by_place(table: pd.DataFrame) -> pd.Series:
    """Share of each region, over all channels; parts of a thing are taken together, see `localisation.coarse`."""
    regions = table["compartment"].map(localisation.coarse)
    return table.groupby(regions, sort=False)["share"].sum()
