"""Pictures to judge segmentation, labels and light by eye. All figures are drawn without a display."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from skimage import segmentation  # noqa: E402

from cellcycle_jax import schema  # noqa: E402
from cellcycle_jax.schema import Working

# Okabe and Ito (2008), safe for colour-blind readers.
USED, REJECTED, ABSTAINED, UNLABELLED = "#56B4E9", "#E69F00", "#999999", "#CC79A7"  # the last for outlines on grey
CLASS_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
# DNA blue, Golgi gold, plus ends magenta.
BRIGHTNESS = (30, 99.8)  # percentiles of a stain on a sheet that are black and of full colour
_TINTS = ((0.35, 0.55, 1.0), (1.0, 0.75, 0.1), (0.9, 0.3, 0.75), (0.2, 0.9, 0.5))


def outlined(image, labels, kind, colours, thickness: int = 1) -> np.ndarray:
    """A channel [H, W] in grey with the inner outline, `thickness` px wide, of each object; f64 [H, W, 3] in 0..1.

    Args:
        image: [H, W]; labels: i32 [H, W], highest n.
        kind: [n + 1], 1.. for an object outlined in that of `colours`, 0 for none.
    """
    picture, edge = grey(image), segmentation.find_boundaries(labels, mode="inner")
    for _ in range(thickness - 1):
        edge |= segmentation.find_boundaries(np.where(edge, 0, labels), mode="inner")
    edge = np.where(edge, kind[labels], 0)
    for value, colour in enumerate(colours, start=1):
        picture[edge == value] = matplotlib.colors.to_rgb(colour)
    return picture


def grey(image: np.ndarray) -> np.ndarray:
    """A channel [H, W] as a picture f64 [H, W, 3] in 0..1, from its 1 % to its 99.7 %, dim parts lifted."""
    low, high = np.percentile(image, (1, 99.7))
    return np.repeat(np.clip((image - low) / max(high - low, 1e-6), 0, 1)[..., None] ** 0.6, 3, axis=-1)


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
        axes: shows the picture in pixel coordinates.
        size_px: width of what the bar belongs to: the picture, or one tile of a sheet.
        um_per_px: None or NaN where unknown.
        corner: bottom right corner (y, x) of what the bar belongs to, px; None: of a square picture.
    """
    known = um_per_px is not None and np.isfinite(um_per_px)
    scale = um_per_px if known else 1.0
    length = max(n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500) if n <= max(size_px * scale / 3, 1))
    y, x = corner or (axes.get_ylim()[0], axes.get_xlim()[1])
    y, x, width = y - 0.05 * size_px, x - 0.05 * size_px, length / scale
    axes.plot([x - width, x], [y, y], color="white", lw=3, solid_capstyle="butt")
    unit = "µm" if known else "px"
    axes.text(x, y - 0.03 * size_px, f"{length} {unit}", color="white", ha="right", va="bottom", fontsize=9)


def outlines(image, labels, rows, title, um_per_px, path) -> None:
    """The nuclear channel of a field with the outline of each object: used, rejected (with the reason), abstained.

    Args:
        image: f32 [H, W]; labels: i32 [H, W]; rows: table of the field's objects with _label, reject and label columns.
        title: of the picture; um_per_px: of the field or None; path: PNG to write.
    """
    kind = np.zeros(labels.max() + 1, int)
    kind[rows[Working.LABEL_NUMBER]] = np.where(rows[schema.REJECT] != "", 2, np.where(rows[schema.LABEL] == "", 3, 1))
    picture = outlined(image, labels, kind, (USED, REJECTED, UNLABELLED))
    figure, axes = plt.subplots(figsize=(8, 8 * labels.shape[0] / labels.shape[1] + 0.6), layout="constrained")
    axes.imshow(picture, interpolation="nearest")
    for _, row in rows[rows[schema.REJECT] != ""].iterrows():
        axes.text(row[schema.CENTRE_X], row[schema.CENTRE_Y], row[schema.REJECT].replace("_", " "), color=REJECTED,
                  fontsize=9, ha="center", va="center")
    counts = np.bincount(kind[1:], minlength=4) if len(kind) > 1 else np.zeros(4, int)
    entries = [(USED, f"used ({counts[1]})"), (UNLABELLED, f"used, no label ({counts[3]})"),
               (REJECTED, f"set aside ({counts[2]})")]
    axes.legend([plt.Line2D([], [], color=c, lw=3) for c, _ in entries], [t for _, t in entries], ncols=3, fontsize=10,
                loc="upper center", bbox_to_anchor=(0.5, -0.005), frameon=False)
    axes.set_title(title, fontsize=11)
    scale_bar(axes, labels.shape[1], um_per_px)
    axes.axis("off")
    figure.savefig(path, dpi=110)
    plt.close(figure)


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
    size, gap = crops.shape[1], max(1, crops.shape[1] // 24)
    rows = -(-len(crops) // columns)
    corners = [(gap + (size + gap) * (i // columns), gap + (size + gap) * (i % columns)) for i in range(len(crops))]
    sheet = np.ones((gap + rows * (size + gap), gap + columns * (size + gap), 3))
    for tile, (top, left) in zip(crops, corners, strict=True):
        sheet[top:top + size, left:left + size] = composite(tile, low, high)
    width = 10.0
    figure, axes = plt.subplots(figsize=(width, width * sheet.shape[0] / sheet.shape[1] + 0.8), layout="constrained")
    axes.imshow(sheet, interpolation="nearest")
    axes.axis("off")
    for name, (top, left) in zip(names, corners, strict=True):
        axes.text(left + 0.05 * size, top + 0.05 * size, str(name), color="white", fontsize=8, va="top")
    scale_bar(axes, size, um_per_px, (corners[0][0] + size, corners[0][1] + size))
    figure.legend([plt.Line2D([], [], color=tint, lw=6) for tint in _TINTS[: len(channels)]], channels, fontsize=11,
                  ncols=len(channels), loc="outside lower center", facecolor="#202020", labelcolor="white",
                  title="black: the lowest {:g} % of a stain on this sheet; full colour: {:g} %".format(*BRIGHTNESS),
                  title_fontproperties={"size": 10}).get_title().set_color("white")
    figure.suptitle(title, fontsize=12)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def labelling(table, labelled, classes, path) -> None:
    """What labelling looked at, per plate, and where it cut: a histogram, a plane of two markers, or counted values.

    Args:
        table: usable cells with Metadata_Plate, Metadata_Marker, Metadata_Label, and what was read (_word; _first,
            _second).
        labelled: `data_prep.labelling.methods.Labelled`; classes: names; path: PNG to write.
    """
    plates = sorted(labelled.cuts or set(table[schema.PLATE]))[:6]
    shared = labelled.words is None
    figure, grid = plt.subplots(1, len(plates), figsize=(max(4.2 * len(plates), 6), 3.6), squeeze=False,
                                layout="constrained", sharex=shared, sharey=labelled.pair is not None)
    for axes, plate in zip(grid.flat, plates, strict=True):
        cells = table[table[schema.PLATE] == plate]
        cuts = labelled.cuts.get(plate, {})
        if labelled.words is not None:
            _bars(axes, cells, classes)
        elif labelled.pair is not None:
            _plane(axes, cells, cuts, classes)
        else:
            _histogram(axes, table, cells, cuts, classes)
        separation = f", {cuts['separation']:.1f} sd apart" if "separation" in cuts else ""
        axes.set_title(f"{plate or 'all fields'}: {len(cells)} cells{separation}", fontsize=11)
    across, up = _axis_names(labelled)
    grid.flat[0].set_ylabel(up)
    figure.supxlabel(across, fontsize=11)
    grid.flat[0].legend(fontsize=9, frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _axis_names(labelled):
    if labelled.words is not None:
        return "cells", labelled.axis
    if labelled.pair is not None:
        return labelled.axis.split(" and ")[0], labelled.axis.split(" and ")[1].split(":")[0]
    return labelled.axis, "cells"


def _by_class(cells, classes):
    """(name, colour, mask of the cells) of each class and of the cells without a label."""
    colours = [*(CLASS_COLOURS[i % len(CLASS_COLOURS)] for i in range(len(classes))), ABSTAINED]
    return [(name or "no label", colour, (cells[schema.LABEL] == name).to_numpy())
            for name, colour in zip((*classes, ""), colours, strict=True)]


def _histogram(axes, table, cells, cuts, classes):
    names, colours, masks = zip(*_by_class(cells, classes), strict=True)
    limits = np.percentile(table[schema.MARKER].dropna(), (0.2, 99.8))
    axes.hist([cells[schema.MARKER][mask] for mask in masks], bins=np.linspace(*limits, 45), stacked=True,
              color=colours, label=names)
    for name in ("low_from", "low", "high", "high_to"):
        if np.isfinite(cuts.get(name, np.nan)):
            axes.axvline(cuts[name], color="black", lw=1, ls=":")
    if "cut" in cuts:
        axes.axvline(cuts["cut"], color="black", lw=1.5)


def _plane(axes, cells, cuts, classes):
    pair = cells[[Working.FIRST_MARKER, Working.SECOND_MARKER]].to_numpy()
    for name, colour, mask in _by_class(cells, classes):
        axes.scatter(*pair[mask].T, s=8, color=colour, label=name, lw=0)
    marks = [key.removesuffix("_cut") for key in cuts if key.endswith("_cut")]
    for mark, line in zip(marks, (axes.axvline, axes.axhline), strict=True):
        line(cuts[f"{mark}_cut"], color="black", lw=1.5)
        for edge in (cuts[f"{mark}_low"], cuts[f"{mark}_high"]):
            if np.isfinite(edge):
                line(edge, color="black", lw=1, ls=":")


def _bars(axes, cells, classes):
    values, so_far = sorted(set(cells[Working.LABEL_TEXT]))[:20], 0
    for name, colour, mask in _by_class(cells, classes):
        counts = cells[Working.LABEL_TEXT][mask].value_counts().reindex(values, fill_value=0).to_numpy()
        axes.barh([v or "(nothing)" for v in values], counts, left=so_far, color=colour, label=name)
        so_far = so_far + counts


def light_fields(light, channels, title, path) -> None:
    """The estimated light of a plate, one panel per channel, 1 = the mean of the field."""
    figure, grid = plt.subplots(1, len(channels), figsize=(3.1 * len(channels) + 0.8, 3.2), squeeze=False,
                                layout="constrained")
    for axes, name, plane in zip(grid.flat, channels, np.moveaxis(light, -1, 0), strict=True):
        shown = axes.imshow(plane, cmap="cividis", vmin=min(light.min(), 0.95), vmax=max(light.max(), 1.05))
        axes.set_title(name, fontsize=11)
        axes.axis("off")
    figure.colorbar(shown, ax=list(grid.flat), label="light, relative to its mean")
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=100)
    plt.close(figure)
