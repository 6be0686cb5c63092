"""Cells beside their like, channel by channel: a row a cell."""

import itertools
import textwrap

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from cellcycle_jax.figures.gallery import scale_bar
from cellcycle_jax.figures.style import STYLE, titled

PANEL = 1.2  # inches on a side
LEAST_WIDTH = 6.5  # inches, so that a title has room above one channel


@matplotlib.rc_context(STYLE)
def draw(sides: dict[str, np.ndarray], channels, captions, um_per_px: float, title: str) -> Figure:
    """Images of a row share their brightness in each channel, so that they compare by eye.

    Args:
        sides: words of a side -> f32 [M, S, S, C], the images of each row there.
        channels: C names.
        captions: M texts.
        um_per_px: NaN where unknown.
        title: of the figure.
    """
    n_sides = len(sides)
    n_rows = len(captions)
    width = max(1.4 + PANEL * n_sides * len(channels), LEAST_WIDTH)
    figure = titled(width, 0.9 + (PANEL + 0.05) * n_rows, textwrap.fill(title, round(13 * width)))
    axes = figure.subplots(n_rows, n_sides * len(channels), squeeze=False)
    for ax, (channel, words) in zip(axes[0], itertools.product(channels, sides), strict=True):
        ax.set_title(f"{channel}\n{words}", fontsize=9)
    for row, caption, *images in zip(axes, captions, *sides.values(), strict=True):
        for number in range(len(channels)):
            planes = [image[..., number] for image in images]
            white = max(np.quantile(np.stack(planes), 0.998), 1e-9)
            for ax, plane in zip(row[n_sides * number :], planes, strict=False):
                ax.imshow(np.clip(plane / white, 0, 1), cmap="gray", vmin=0, vmax=1)
                ax.set_xticks([])
                ax.set_yticks([])
        row[0].set_ylabel(caption, fontsize=8)
    _scale_bar(axes[-1][-1], plane.shape[0], um_per_px)
    return figure


def _scale_bar(ax, side: int, um_per_px: float) -> None:
    """A scale bar in the lower right corner of an image of `side` px."""
    length, words = scale_bar(um_per_px)
    ax.plot([side - 4 - length, side - 4], [side - 5, side - 5], color="white", lw=2)
    ax.text(side - 4 - length / 2, side - 8, words, color="white", fontsize=7, ha="center")
