"""Figures to judge segmentation, labels and illumination by eye.

They are made without pyplot, so they carry no global state and need no display.
"""

import bisect
import dataclasses
import itertools

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cellcycle_jax import schema
from cellcycle_jax.palette import BLUE, GREEN, ORANGE, PINK, RED, SKY
from cellcycle_jax.schema import Working
from data_prep.labelling import marker_cut
from data_prep.plane.neighbourhood import inner_edge

USED = SKY
REJECTED = ORANGE
ABSTAINED = "#999999"
UNLABELLED = PINK  # for outlines on grey
CLASS_COLOURS = (BLUE, RED, GREEN, PINK)
# Percentiles of a stain on a sheet that are black and of full colour.
BRIGHTNESS = (30, 99.8)
# DNA blue, Golgi gold, plus ends magenta.
_TINTS = ((0.35, 0.55, 1.0), (1.0, 0.75, 0.1), (0.9, 0.3, 0.75), (0.2, 0.9, 0.5))
_BAR_LENGTHS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


@dataclasses.dataclass(frozen=True)
class SegmentedField:
    """One channel of a field and the objects found in it.

    image: f32 [H, W]; labels: integers [H, W], 0 is background; um_per_px: None where unknown.
    """

    image: np.ndarray
    labels: np.ndarray
    um_per_px: float | None


def class_colours(count: int) -> list[str]:
    """A colour for each of `count` classes; after the last of CLASS_COLOURS comes the first again."""
    return list(itertools.islice(itertools.cycle(CLASS_COLOURS), count))


def colour_key(colours, width: float) -> list:
    """Lines of these colours, `width` points wide, as handles of a legend."""
    return [Line2D([], [], color=colour, lw=width) for colour in colours]


def outlined(image, labels, kind, colours, thickness: int = 1) -> np.ndarray:
    """A channel in grey with the inner outline, `thickness` px wide, of each object.

    Args:
        image: [H, W]; labels: i32 [H, W], highest n.
        kind: i [n + 1], 1.. for an object outlined in that of `colours`, 0 for none.

    Returns:
        rgb f64 [H, W, 3] in 0..1.
    """
    rgb = grey(image)
    edge = inner_edge(labels)
    for _ in range(thickness - 1):
        inside = np.where(edge, 0, labels)
        edge |= inner_edge(inside)
    kind_at_edge = np.where(edge, kind[labels], 0)
    for value, colour in enumerate(colours, start=1):
        rgb[kind_at_edge == value] = matplotlib.colors.to_rgb(colour)
    return rgb


def grey(image: np.ndarray) -> np.ndarray:
    """A channel [H, W] as rgb f64 [H, W, 3] in 0..1, from its 1 % to its 99.7 %, dim parts lifted."""
    low, high = np.percentile(image, (1, 99.7))
    scaled = np.clip((image - low) / max(high - low, 1e-6), 0, 1)
    return np.repeat(scaled[..., None] ** 0.6, 3, axis=-1)


def composite(image: np.ndarray, low, high) -> np.ndarray:
    """Channels [H, W, C] as tints laid over one another like projected slides; rgb f64 [H, W, 3] in 0..1.

    Each is stretched from `low` to `high` ([C]). Where several are bright the colours mix and never burn out to white,
    as they would if they were added.
    """
    scaled = np.clip((image - low) / np.maximum(np.asarray(high) - low, 1e-6), 0, 1)
    tints = np.array(_TINTS[: image.shape[-1]])
    return 1 - np.prod(1 - scaled[..., None] * tints, axis=-2)


def scale_bar(axes, size_px, um_per_px, corner=None) -> None:
    """A bar of at most a third of `size_px`, in um, or in px where the pixel size is unknown.

    Args:
        axes: shows the image in pixel coordinates.
        size_px: width of what the bar belongs to: the image, or one tile of a sheet.
        um_per_px: None or NaN where unknown.
        corner: bottom right corner (y, x) of what the bar belongs to, px; None: of a square image.
    """
    known = um_per_px is not None and np.isfinite(um_per_px)
    scale = um_per_px if known else 1.0
    unit = "µm" if known else "px"
    longest = max(size_px * scale / 3, 1)
    length = _BAR_LENGTHS[bisect.bisect(_BAR_LENGTHS, longest) - 1]
    if corner is None:
        corner = (axes.get_ylim()[0], axes.get_xlim()[1])
    y = corner[0] - 0.05 * size_px
    x = corner[1] - 0.05 * size_px
    axes.plot([x - length / scale, x], [y, y], color="white", lw=3, solid_capstyle="butt")
    y -= 0.03 * size_px
    axes.text(x, y, f"{length} {unit}", color="white", ha="right", va="bottom", fontsize=9)


def outlines(field: SegmentedField, rows, title, path) -> None:
    """A field with the outline of each object: used, rejected (with the reason), without a label.

    Args:
        field: its nuclear channel and labels i32.
        rows: table of the field's objects with _label, reject and label columns.
        title: of the figure; path: PNG to write.
    """
    height, width = field.labels.shape
    rejected = rows[schema.REJECT_REASON] != ""
    unlabelled = rows[schema.LABEL] == ""
    kind = np.zeros(field.labels.max() + 1, int)
    kind[rows[Working.LABEL_NUMBER]] = np.select([rejected, unlabelled], [2, 3], default=1)
    rgb = outlined(field.image, field.labels, kind, (USED, REJECTED, UNLABELLED))
    figure = Figure(figsize=(8, 8 * height / width + 0.6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(rgb, interpolation="nearest")
    for _, row in rows[rejected].iterrows():
        x, y = row[[schema.CENTRE_X, schema.CENTRE_Y]]
        reason = row[schema.REJECT_REASON].replace("_", " ")
        axes.text(x, y, reason, color=REJECTED, fontsize=9, ha="center", va="center")
    counts = np.bincount(kind[1:], minlength=4)
    axes.legend(
        colour_key((USED, UNLABELLED, REJECTED), 3),
        [f"used ({counts[1]})", f"used, no label ({counts[3]})", f"excluded ({counts[2]})"],
        ncols=3,
        fontsize=10,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.005),
        frameon=False,
    )
    axes.set_title(title, fontsize=11)
    scale_bar(axes, width, field.um_per_px)
    axes.axis("off")
    figure.savefig(path, dpi=110)


def contact_sheet(crops, names, channels, title, um_per_px, path, columns=10) -> None:
    """Numbered tiles of single cells as composites, with a key to the colours.

    Args:
        crops: f32 [N, S, S, C], background 0, reference 1, at most four channels.
        names: number shown on each tile, as in the labels table.
        channels: name of each channel.
        title: of the sheet; um_per_px: of the crops or NaN; path: PNG to write; columns: tiles per row.
    """
    low, high = np.percentile(crops, BRIGHTNESS, axis=(0, 1, 2))
    low = np.clip(low, 0, None)
    size = crops.shape[1]
    gap = max(1, size // 24)
    step = size + gap
    row, column = np.divmod(np.arange(len(crops)), columns)
    tops = gap + step * row
    lefts = gap + step * column
    sheet = np.ones((gap + step * (row[-1] + 1), gap + step * columns, 3))
    for tile, top, left in zip(crops, tops, lefts, strict=True):
        sheet[top : top + size, left : left + size] = composite(tile, low, high)
    width = 10.0
    height = width * sheet.shape[0] / sheet.shape[1] + 0.8
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.imshow(sheet, interpolation="nearest")
    axes.axis("off")
    margin = 0.05 * size
    for name, top, left in zip(names, tops, lefts, strict=True):
        axes.text(left + margin, top + margin, str(name), color="white", fontsize=8, va="top")
    scale_bar(axes, size, um_per_px, (tops[0] + size, lefts[0] + size))
    black, full = BRIGHTNESS
    legend = figure.legend(
        colour_key(_TINTS[: len(channels)], 6),
        channels,
        fontsize=11,
        ncols=len(channels),
        loc="outside lower center",
        facecolor="#202020",
        labelcolor="white",
        title=f"black: the lowest {black:g} % of a stain on this sheet; full colour: {full:g} %",
        title_fontproperties={"size": 10},
    )
    legend.get_title().set_color("white")
    figure.suptitle(title, fontsize=12)
    figure.savefig(path, dpi=130)


def labelling(table, labelled, classes, path) -> None:
    """What labels were made from, per plate, with the cuts: a histogram, a plane of two markers, or counted values.

    Args:
        table: usable cells with Metadata_Plate, Metadata_LabelScore, Metadata_Label, and what was read (_word; _first,
            _second).
        labelled: `data_prep.labelling.methods.Labelled`; classes: names; path: PNG to write.
    """
    plates = sorted(labelled.cuts or set(table[schema.PLATE]))[:6]
    figure = Figure(figsize=(max(4.2 * len(plates), 6), 3.6), layout="constrained")
    grid = figure.subplots(
        1,
        len(plates),
        squeeze=False,
        sharex=labelled.words is None,
        sharey=labelled.pair is not None,
    )
    for axes, plate in zip(grid.flat, plates, strict=True):
        cells = table[table[schema.PLATE] == plate]
        cuts = labelled.cuts.get(plate, {})
        if labelled.words is not None:
            _bars(axes, cells, classes)
        elif labelled.pair is not None:
            _plane(axes, cells, cuts, classes)
        else:
            _histogram(axes, table, cells, cuts, classes)
        title = f"{plate or 'all fields'}: {len(cells)} cells"
        if "separation" in cuts:
            title += f", {cuts['separation']:.1f} sd apart"
        if "valley" in cuts:
            title += f"\n{marker_cut.humps(cuts)}"
        axes.set_title(title, fontsize=11)
    x_name, y_name = _axis_names(labelled)
    grid.flat[0].set_ylabel(y_name)
    figure.supxlabel(x_name, fontsize=11)
    grid.flat[0].legend(fontsize=9, frameon=False)
    figure.savefig(path, dpi=110)


def _axis_names(labelled):
    """Names of the x and the y axis."""
    if labelled.words is not None:
        return "cells", labelled.axis
    if labelled.pair is not None:
        markers = labelled.axis.split(" and ")
        return markers[0], markers[1].split(":")[0]
    return labelled.axis, "cells"


def _by_class(cells, classes):
    """Name, colour and mask bool [N] of the cells of each class, then of the cells without a label."""
    colours = [*class_colours(len(classes)), ABSTAINED]
    for name, colour in zip((*classes, ""), colours, strict=True):
        is_of_class = (cells[schema.LABEL] == name).to_numpy()
        yield name or "no label", colour, is_of_class


def _histogram(axes, table, cells, cuts, classes):
    """The marker of the cells of a plate, on the axis of all plates, and the cuts between classes."""
    names, colours, masks = zip(*_by_class(cells, classes), strict=True)
    marker = cells[schema.LABEL_SCORE]
    limits = np.percentile(table[schema.LABEL_SCORE].dropna(), (0.2, 99.8))
    markers = [marker[mask] for mask in masks]
    bins = np.linspace(*limits, 45)
    axes.hist(markers, bins=bins, stacked=True, color=colours, label=names)
    for name in ("low_from", "low", "high", "high_to"):
        value = cuts.get(name, np.nan)
        if np.isfinite(value):
            axes.axvline(value, color="black", lw=1, ls=":")
    if "cut" in cuts:
        axes.axvline(cuts["cut"], color="black", lw=1.5)


def _plane(axes, cells, cuts, classes):
    """Two markers of each cell, and the cuts along each."""
    first = cells[Working.FIRST_MARKER].to_numpy()
    second = cells[Working.SECOND_MARKER].to_numpy()
    for name, colour, mask in _by_class(cells, classes):
        axes.scatter(first[mask], second[mask], s=8, color=colour, label=name, lw=0)
    markers = [key.removesuffix("_cut") for key in cuts if key.endswith("_cut")]
    for marker, line in zip(markers, (axes.axvline, axes.axhline), strict=True):
        line(cuts[f"{marker}_cut"], color="black", lw=1.5)
        for edge in (cuts[f"{marker}_low"], cuts[f"{marker}_high"]):
            if np.isfinite(edge):
                line(edge, color="black", lw=1, ls=":")


def _bars(axes, cells, classes):
    """How many cells have each value of the column that labels were read from, by class."""
    words = cells[Working.LABEL_TEXT]
    values = sorted(set(words))[:20]
    left = 0
    for name, colour, mask in _by_class(cells, classes):
        counts = words[mask].value_counts().reindex(values, fill_value=0).rename({"": "(nothing)"})
        axes.barh(counts.index, counts, left=left, color=colour, label=name)
        left = left + counts.to_numpy()


def light_fields(light, channels, title, path) -> None:
    """The estimated illumination of a plate, one panel per channel.

    Args:
        light: f32 [H, W, C], 1 is the mean of the field.
        channels: name of each channel; title: of the figure; path: PNG to write.
    """
    size = (3.1 * len(channels) + 0.8, 3.2)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(1, len(channels), squeeze=False)
    darkest = min(light.min(), 0.95)
    brightest = max(light.max(), 1.05)
    for axes, name, plane in zip(grid.flat, channels, np.moveaxis(light, -1, 0), strict=True):
        drawn = axes.imshow(plane, cmap="cividis", vmin=darkest, vmax=brightest)
        axes.set_title(name, fontsize=11)
        axes.axis("off")
    figure.colorbar(drawn, ax=list(grid.flat), label="illumination, relative to its mean")
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=100)
