"""Figures of cells that were moved across to another class: what changed, and the cells themselves."""

import itertools
import textwrap

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from cellcycle_jax.figures.gallery import scale_bar
from cellcycle_jax.figures.style import BLUE, GREY, INK, ORANGE, STYLE, titled

WHAT = ("changes", "cells")
BARS = (
    ("class_difference", "difference between the classes", GREY),
    ("edited", "shortest edit", ORANGE),
    ("nearest", "nearest real cell of the other class", BLUE),
)
MOST_FAMILIES = 10


@matplotlib.rc_context(STYLE)
def changes(changed, title: str) -> Figure:
    """Change of each family of measurements, beside the difference between the classes.

    Args:
        changed: `counterfactual.changes.Changed` of each family, the largest first.
        title: of the figure.
    """
    changed = changed[:MOST_FAMILIES]
    figure = titled(8.5, 1.8 + 0.55 * len(changed), textwrap.fill(title, 95))
    ax = figure.subplots()
    for number, one in enumerate(changed):
        for bar, (name, words, colour) in enumerate(BARS):
            value = getattr(one, name)
            y = number + 0.26 * (bar - 1)
            label = words if number == 0 else None
            ax.barh(y, value.value, height=0.24, color=colour, label=label)
            if value.is_known:
                ax.plot([value.low, value.high], [y, y], color=INK, lw=1.2)
    ax.set_yticks(range(len(changed)), [one.scale.family for one in changed])
    ax.set_ylim(len(changed) - 0.4, -0.6)
    ax.axvline(0, color=INK, lw=0.8)
    ax.set_xlabel("Change in the direction in which the classes differ, standard deviations")
    ax.legend(loc="lower right", fontsize=8.5)
    ax.grid(axis="x")
    return figure


@matplotlib.rc_context(STYLE)
def cells(before, edited, nearest, channels, captions, um_per_px: float) -> Figure:
    """Cells, the same after the shortest edit, and the nearest real cell of the other class; a row a cell.

    Args:
        before, edited, nearest: f32 [M, S, S, C].
        channels: C names.
        captions: M texts, what the edit changes most.
        um_per_px: NaN where unknown.
    """
    n_channels = len(channels)
    title = "Each cell as it is, after the shortest edit that has it called otherwise, and the most similar real cell "
    title += "of the other class in its field"
    width = max(1.6 + 1.1 * 3 * n_channels, 6.5)
    figure = titled(width, 0.9 + 1.15 * len(before), textwrap.fill(title, round(13 * width)))
    axes = figure.subplots(len(before), 3 * n_channels, squeeze=False)
    words_of_sides = ("as it is", "edited", "real")
    for ax, (channel, words) in zip(axes[0], itertools.product(channels, words_of_sides), strict=True):
        ax.set_title(f"{channel}\n{words}", fontsize=8.5)
    for row, caption, *images in zip(axes, captions, before, edited, nearest, strict=True):
        for number in range(n_channels):
            planes = [image[..., number] for image in images]
            white = max(np.quantile(np.stack(planes), 0.998), 1e-9)
            for side, plane in enumerate(planes):
                ax = row[3 * number + side]
                ax.imshow(np.clip(plane / white, 0, 1), cmap="gray", vmin=0, vmax=1)
                ax.set_xticks([])
                ax.set_yticks([])
        row[0].set_ylabel(caption, fontsize=7.5)
    length, words = scale_bar(um_per_px)
    side = before.shape[1]
    ax = axes[-1][-1]
    ax.plot([side - 4 - length, side - 4], [side - 5, side - 5], color="white", lw=2)
    ax.text(side - 4 - length / 2, side - 8, words, color="white", fontsize=7, ha="center")
    return figure
