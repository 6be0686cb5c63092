"""In which channel and region the part without a name lies.

Integrated gradients divide a network's output for a cell among channels and regions: the sums over all of them add up
to the output. Of each sum the part that follows what is explained of the output is taken off. What is left adds up to
what is left of the output, and its difference between the classes is divided in the same way.
"""

import numpy as np
import pandas as pd

from cellcycle_jax.explain.regions import localisation
from cellcycle_jax.scoring.intervals import Interval, Resampling
from cellcycle_jax.unnamed.parts import class_contrast

COLUMNS = ("channel", "region", "share", "low", "high")


def shares(sums, explained, of_class, fields, groups, channels, resampling: Resampling) -> pd.DataFrame:
    """Share of each channel and region in the difference between the classes of what has no name.

    Args:
        sums: list of f64 [N, K, Q], one a network: sums of its maps over regions, `class_difference.contributions`.
        explained: f64 [M, N], what is explained of each network's output.
        of_class: bool [N].
        fields, groups: text [N].
        channels: names of the K channels.
        resampling: how intervals are made.

    Returns:
        One row a channel and region, parts of a thing taken together, the largest share first: COLUMNS.
    """
    contrast = class_contrast(of_class, fields)
    regions = [localisation.coarse(name) for name in localisation.COMPARTMENTS]
    names = list(dict.fromkeys(regions))
    cells = np.zeros((len(of_class), len(channels), len(names)))
    for of_network, fitted in zip(sums, explained, strict=True):
        known = np.nan_to_num(of_network)
        merged = np.stack([known[:, :, [r == name for r in regions]].sum(2) for name in names], axis=2)
        left = _without(merged.reshape(len(merged), -1), fitted).reshape(merged.shape)
        spread = left.sum((1, 2)).std()
        cells += left / (spread if spread > 0 else 1.0)
    products = (cells * contrast[:, None, None]).reshape(len(cells), -1)

    def parts(weights):
        each = weights @ products / weights.sum(1, keepdims=True)
        total = each.sum(1)
        return {number: (of_place, total) for number, of_place in enumerate(each.T)}

    rows = []
    for number, share in resampling.ratios(parts, groups, of_class).items():
        channel, region = divmod(number, len(names))
        if products[:, number].any():
            rows.append((channels[channel], names[region], share.value, share.low, share.high))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values("share", ascending=False, ignore_index=True)


def _without(values, fitted):
    """Values f64 [N, M] less their regression on one number f64 [N], and less their mean."""
    values = values - values.mean(0)
    fitted = fitted - fitted.mean()
    square = (fitted**2).sum()
    if square <= 0:
        return values
    return values - fitted[:, None] * (fitted @ values) / square


def weight_of(table: pd.DataFrame, measurement) -> float:
    """Share, 0 or more, of where a measurement of the bank is seen: its own place, and its other channels anywhere."""
    regions = ("nucleus",) if measurement.region == "nucleus" else ("cell body", "organelle")
    weight = 0.0
    for number, channel in enumerate(measurement.channels):
        rows = table[table["channel"] == channel]
        if number == 0:
            rows = rows[rows["region"].isin(regions)]
        weight += rows["share"].clip(lower=0).sum()
    return float(weight)


def top(table: pd.DataFrame, column: str) -> list[str]:
    """Channels or regions by their summed share, the largest first."""
    return table.groupby(column)["share"].sum().sort_values(ascending=False).index.tolist()


def interval(row) -> Interval:
    """The share of a row of `shares`."""
    return Interval(row["share"], row["low"], row["high"])


