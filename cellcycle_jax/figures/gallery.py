"""Images of cells beside what the network read in them: arrays in, a matplotlib Figure out."""

import dataclasses
import math
import textwrap

import matplotlib
import numpy as np
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure

from cellcycle_jax.figures.style import GREEN, INK, ORANGE, PINK, RED, SKY, STYLE, titled

CHANNEL_COLOURS = to_rgba_array((SKY, ORANGE, GREEN, PINK, RED))[:, :3]  # on black; the first two add up to white
HEAT = matplotlib.colormaps["inferno"]
BAR_UM = 10.0
BAR_PX = 20.0
GAP = 0.04  # between the images of a gallery, share of their side


@dataclasses.dataclass(frozen=True)
class Cell:
    """One row of a gallery.

    Attributes:
        image: f32 [S, S, K], as the network sees it.
        nucleus: bool [S, S], drawn as an outline.
        maps: f32 [P, S, S], relevance for each class at the size of the crop; only what is above zero is shown.
        caption: what stands beside the row.
        wrong: whether the prediction differs from the label.
        um_per_px: NaN where unknown.
    """

    image: np.ndarray
    nucleus: np.ndarray
    maps: np.ndarray
    caption: str
    wrong: bool
    um_per_px: float


def composite(image: np.ndarray, white: np.ndarray) -> np.ndarray:
    """Channels f32 [S, S, K] as one colour image f32 [S, S, 3] in 0..1; black is zero, `white` f32 [K] is full."""
    level = np.clip(image / white, 0, 1)
    colours = np.take(CHANNEL_COLOURS, range(image.shape[-1]), axis=0, mode="wrap")
    return np.clip(level @ colours, 0, 1)


def overlay(image: np.ndarray, white: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    """Relevance f32 [S, S] in 0..1 as heat over the grey image of f32 [S, S, K]; where it is zero, grey is left."""
    grey = 0.75 * np.clip(image / white, 0, 1).mean(-1, keepdims=True)
    relevance = np.clip(relevance, 0, 1)
    heat = HEAT(relevance)[..., :3]
    weight = 0.75 * relevance[..., None] ** 0.6
    return grey * (1 - weight) + heat * weight


def scale_bar(um_per_px: float) -> tuple[float, str]:
    """Length in px and label of a scale bar: 10 um, or 20 px where the size of a pixel is unknown."""
    if math.isfinite(um_per_px) and um_per_px > 0:
        return BAR_UM / um_per_px, f"{BAR_UM:.0f} µm"
    return BAR_PX, f"{BAR_PX:.0f} px"


@matplotlib.rc_context(STYLE)
def gallery(cells: list[Cell], channels: list[str], classes: list[str], title: str) -> Figure:
    """Rows of cells; columns: composite, every channel, heat for every class.

    All images are one picture in one pair of axes: dozens of axes take matplotlib seconds.

    Heat is relative to the highest value of any class in the cell, so that a class for which nothing speaks stays dark.

    Args:
        cells: at least one.
        channels: names of the K channels.
        classes: names of the P classes.
        title: of the figure.
    """
    images = np.stack([cell.image for cell in cells])
    white = np.maximum(np.quantile(images, 0.998, axis=(0, 1, 2)), 1e-6)  # one for all, so that they compare by eye
    heads = list(channels)
    if len(channels) > 1:
        heads.insert(0, "Composite")
    for name in classes:
        heads.append(f"Evidence for\n{name}")
    width = 1.75 + 1.36 * len(heads)
    height = 1.15 + 1.38 * len(cells)
    figure = Figure(figsize=(width, height))
    figure.text(0.1 / width, 1 - 0.12 / height, title, ha="left", va="top", fontsize=11)
    ax = figure.add_axes((1.7 / width, 0.3 / height, 1 - 1.75 / width, 1 - 1.1 / height))
    side = images.shape[1]
    step = side + max(1, round(GAP * side))  # from one image to the next
    rows = [_panels(cell, white) for cell in cells]
    mosaic = _mosaic(rows, step)
    ax.imshow(mosaic)
    ax.set_axis_off()
    for r, cell in enumerate(cells):
        top = r * step
        for column in range(len(heads)):
            _scale_bar(ax, cell.um_per_px, side, column * step, top, labelled=column == 0)
        for column in range(len(heads) - len(classes), len(heads)):
            _outline(ax, cell.nucleus, column * step, top)
        _caption(ax, cell, -0.07 * side, top + side / 2)
    for column, head in enumerate(heads):
        ax.text(column * step + side / 2, -0.06 * side, head, fontsize=10, ha="center", va="bottom")
    ax.set(xlim=(-0.5, mosaic.shape[1] - 0.5), ylim=(mosaic.shape[0] - 0.5, -0.5))
    note = (
        "Heat: dark none, yellow the highest of the cell. White line: outline of the nucleus. "
        "Brightness is the same in all rows."
    )
    figure.text(
        0.5,
        0.08 / height,
        textwrap.fill(note, round(12 * width)),
        ha="center",
        va="bottom",
        fontsize=9,
        color="#555555",
    )
    return figure


def _panels(cell: Cell, white: np.ndarray) -> list[np.ndarray]:
    """The images of a row, f32 [S, S, 3] each."""
    panels = []
    channels = cell.image.shape[-1]
    if channels > 1:
        panels.append(composite(cell.image, white))
    for k in range(channels):
        grey = np.clip(cell.image[..., k : k + 1] / white[k], 0, 1)
        panels.append(np.repeat(grey, 3, -1))
    highest = max(float(cell.maps.max()), 1e-12)
    for relevance in cell.maps:
        panels.append(overlay(cell.image, white, relevance / highest))
    return panels


def _mosaic(rows: list[list[np.ndarray]], step: int) -> np.ndarray:
    """Images f32 [S, S, 3] of some rows as one picture u8 [H, W, 4], on white, `step` px from one to the next.

    It is opaque. Given no opacity matplotlib adds one in float64, and takes twice as long to draw.
    """
    side = rows[0][0].shape[0]
    height = step * (len(rows) - 1) + side
    width = step * (len(rows[0]) - 1) + side
    mosaic = np.full((height, width, 4), 255, np.uint8)
    for r, images in enumerate(rows):
        for c, image in enumerate(images):
            mosaic[r * step :, c * step :][:side, :side, :3] = np.round(255 * image)
    return mosaic


def _show(ax, image: np.ndarray, um_per_px: float) -> None:
    """An image without axes, its scale bar in the lower left corner."""
    ax.imshow(image, vmin=0, vmax=1)
    ax.set_axis_off()
    side = image.shape[0]
    _scale_bar(ax, um_per_px, side, 0, 0, labelled=True)
    ax.set(xlim=(-0.5, side - 0.5), ylim=(side - 0.5, -0.5))


def _scale_bar(ax, um_per_px: float, side: int, left: float, top: float, labelled: bool) -> None:
    """A scale bar in the lower left corner of an image of `side` px whose upper left corner lies at (left, top)."""
    length, label = scale_bar(um_per_px)
    x = left + 0.05 * side
    y = top + 0.94 * side
    ax.plot([x, x + length], [y, y], color="white", lw=2, solid_capstyle="butt")
    if labelled:
        ax.text(x, y - 0.035 * side, label, color="white", fontsize=9, va="bottom")


def _caption(ax, cell: Cell, x: float, y: float) -> None:
    """The caption of a row, which ends at (x, y), red where the prediction is wrong."""
    ax.text(
        x,
        y,
        cell.caption,
        ha="right",
        va="center",
        fontsize=9.5,
        linespacing=1.35,
        color=RED if cell.wrong else INK,
    )


def _outline(ax, nucleus: np.ndarray, left: float, top: float) -> None:
    if nucleus.any() and not nucleus.all():
        x = left + np.arange(nucleus.shape[1])
        y = top + np.arange(nucleus.shape[0])
        ax.contour(x, y, nucleus.astype(float), [0.5], colors="white", linewidths=0.7, alpha=0.85)


@matplotlib.rc_context(STYLE)
def mean_maps(images: np.ndarray, maps: np.ndarray, counts: list[int], classes: list[str], um_per_px: float) -> Figure:
    """The mean cell of each predicted class beside the mean map of that class.

    Args:
        images: f32 [P, S, S, K], mean image of the cells given each class.
        maps: f32 [P, S, S], mean of their maps, each divided by its own mean: 1 is what chance would give.
        counts: number of cells in each mean.
        classes: names of the P classes.
        um_per_px: NaN where unknown.
    """
    figure = titled(2.15 * 2 * len(classes) + 0.9, 2.85, "Mean over the cells that the network gives each class")
    axes = figure.subplots(1, 2 * len(classes), squeeze=False)[0]
    white = np.maximum(images.max(axis=(0, 1, 2)), 1e-6)
    highest = max(float(maps.max()), 1.0)
    for p, name in enumerate(classes):
        left = axes[2 * p]
        right = axes[2 * p + 1]
        _show(left, composite(images[p], white), um_per_px)
        left.set_title(f"{name}: mean cell, n = {counts[p]}", fontsize=10)
        heat = right.imshow(maps[p], cmap=HEAT, vmin=0, vmax=highest)
        right.set_axis_off()
        right.set_title(f"{name}: mean map", fontsize=10)
    bar = figure.colorbar(heat, ax=list(axes), shrink=0.85, pad=0.01, label="Relevance,\ntimes chance")
    bar.outline.set_visible(False)
    return figure
