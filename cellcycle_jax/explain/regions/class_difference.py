"""Which part of the difference between two classes' answers is read where: channel and place.

Most of an attribution map is common to all cells and does not distinguish the classes. Here a map explains one class's
margin for every cell, whatever it is, and its sum over a region is compared between cells of the class and the others.
Of a complete method (integrated gradients) the sums over all regions add up to the margin, so their differences add up
to the difference between the classes, and each is a share of it.
"""

import numpy as np
import pandas as pd

from cellcycle_jax.explain.regions import localisation
from cellcycle_jax.scoring.intervals import Resampling

COLUMNS = ("class", "method", "channel", "compartment", "share", "low", "high", "area_share", "ratio", "ratio_low",
           "ratio_high", "n_cells", "n_groups")  # fmt: skip


def contributions(maps: np.ndarray, compartments: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of signed maps over places.

    Args:
        maps: f32 [N, S, S, C], at the size of the crop.
        compartments: u8 [N, S, S], bits of `schema.Compartment`.
        present: u8 [N], which bits are known.

    Returns:
        f64 [N, C, Q] with the places in the order of `localisation.COMPARTMENTS`, zero where a place is not known, and
        the share of the crop's area that each place has, f64 [N, Q]. A cell of which no place is known is NaN.
    """
    sums = np.full((len(maps), maps.shape[-1], len(localisation.COMPARTMENTS)), np.nan)
    areas = np.full((len(maps), len(localisation.COMPARTMENTS)), np.nan)
    for n, (saliency, bits) in enumerate(zip(maps, compartments, strict=True)):
        if masks := localisation.compartment_masks(bits, int(present[n])):
            sums[n], areas[n] = 0, 0
            for name, mask in masks.items():
                place = localisation.COMPARTMENTS.index(name)
                sums[n, :, place], areas[n, place] = saliency[mask].sum(0, dtype=np.float64), mask.mean()
    return sums, areas


def difference(sums, areas, of_class, groups, resampling: Resampling) -> pd.DataFrame:
    """Shares of the difference between cells of a class and the others, with intervals clustered by group.

    Args:
        sums, areas: as `contributions` returns them.
        of_class: bool [N], whether a cell is of the explained class.
        groups: text [N].
        resampling: how intervals are made.

    Returns:
        One row per channel and place that any cell has: channel (0..C-1), compartment, share of the difference (it can
        be negative), area_share (over C), ratio of the two, each with its interval, n_cells and n_groups. Empty where
        one class has no cell, or the whole difference is not above zero: a network that answers cells of the class no
        higher than the others does not tell them apart, and shares of its difference would change sign. Resamples in
        which it is not are left out.
    """
    known = np.isfinite(areas).all(1)
    sums, areas, inside, groups = sums[known], areas[known], np.asarray(of_class)[known], np.asarray(groups)[known]
    if not inside.any() or inside.all():
        return pd.DataFrame(columns=list(COLUMNS[2:]))
    channels, flat = sums.shape[1], sums.reshape(len(sums), -1)
    area = np.tile(areas.mean(0) / channels, channels)

    def score(weights):
        of = [weights * inside, weights * ~inside]
        mean = [np.divide(w @ flat, w.sum(1)[:, None], out=np.full((len(w), flat.shape[1]), np.nan),
                          where=w.sum(1)[:, None] > 0) for w in of]
        gap = mean[0] - mean[1]
        total = gap.sum(1, keepdims=True)
        share = np.divide(gap, total, out=np.full(gap.shape, np.nan), where=total > 0)
        return {i: share[:, i] for i in range(flat.shape[1])}

    found = resampling.intervals(score, groups)
    rows = []
    for i, one in found.items():
        channel, place = divmod(i, sums.shape[2])
        if area[i] > 0 and np.isfinite(one.value):
            bounds = [one.value, one.low, one.high]
            rows.append((channel, localisation.COMPARTMENTS[place], *bounds, area[i], *(b / area[i] for b in bounds),
                         len(sums), len(set(groups.tolist()))))
    return pd.DataFrame(rows, columns=list(COLUMNS[2:]))


def by_channel(table: pd.DataFrame) -> pd.Series:
    """Share of each channel, over all places."""
    return table.groupby("channel", sort=False)["share"].sum()


def by_place(table: pd.DataFrame, coarse: bool = False) -> pd.Series:
    """Share of each place, over all channels; `coarse` takes parts of a thing together, see `localisation.coarse`."""
    names = table["compartment"].map(localisation.coarse) if coarse else table["compartment"]
    return table.groupby(names, sort=False)["share"].sum()
