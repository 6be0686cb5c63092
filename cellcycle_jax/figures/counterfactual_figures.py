"""Figures of cells that were moved across to another class: what changed, and the cells themselves."""

import textwrap

import matplotlib
from matplotlib.figure import Figure

from cellcycle_jax.figures import side_by_side
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


def cells(before, edited, nearest, channels, captions, um_per_px: float) -> Figure:
    """Cells, the same after the shortest edit, and the nearest real cell of the other class; a row a cell.

    Args:
        before, edited, nearest: f32 [M, S, S, C].
        channels: C names.
        captions: M texts, what the edit changes most.
        um_per_px: NaN where unknown.
    """
    sides = {"as it is": before, "edited": edited, "real": nearest}
    title = (
        "Each cell as it is, after the shortest edit that has it called otherwise, and the most similar real cell of "
        "the other class in its field"
    )
    return side_by_side.draw(sides, channels, captions, um_per_px, title)
