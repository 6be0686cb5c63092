"""Figures of a run: plain arrays and numbers in, a matplotlib Figure out; nothing is read or shown here.

Figures are made without pyplot, so that they carry no global state and need no display.
"""

import io
import math

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cellcycle_jax import files
from cellcycle_jax.palette import BLUE, GREEN, ORANGE, PINK, RED, SKY
from cellcycle_jax.scoring.intervals import Interval

GREY = "#767676"
INK = "#222222"
STYLE = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titlepad": 9,
    "axes.labelsize": 10,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 10,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": "#555555",
    "ytick.color": INK,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "figure.titlesize": 12,
    "image.interpolation": "nearest",
}
NAMES = {
    "model": "Network",
    "nuclear_area": "Nuclear area",
    "integrated_dna": "Integrated DNA",
    "area_and_dna": "Area and DNA",
    "all_features": "All measurements",
    "oracle": "Oracle",
}
METRICS = {
    "balanced_accuracy": "Balanced accuracy",
    "accuracy": "Accuracy",
    "mcc": "Matthews correlation",
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "ece": "Calibration error",
    "brier": "Brier score",
}


def png(figure: Figure, dpi: int = 170) -> bytes:
    """The figure as a PNG file, without anything in it that changes from one run to the next."""
    buffer = io.BytesIO()
    quickly = {"compress_level": 3}  # a third of the time of the usual 6, for a tenth more bytes
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None}, pil_kwargs=quickly)
    return buffer.getvalue()


def save(figure: Figure, path) -> None:
    """Write the figure to `path` as PNG, whole or not at all."""
    with files.atomic_path(path) as temporary:
        temporary.write_bytes(png(figure))


def titled(width: float, height: float, title: str, size: float = 11, x: float = 0.01) -> Figure:
    """A figure of so many inches with its title at the left; `size` of the letters, `x` where it begins."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, x=x, ha="left", fontsize=size)
    return figure


def name_rows(axes, names: list[str]) -> None:
    """Give axes side by side the same rows, from top to bottom, with a name for each at the left."""
    for ax in axes:
        ax.grid(axis="x")
        ax.tick_params(axis="y", length=0)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.5, -0.5)


def dot(ax, y: float, score: Interval, colour: str, **look) -> None:
    """A dot at a score, with a line over its interval where that is known."""
    if score.is_known:
        ax.plot([score.low, score.high], [y, y], color=colour, lw=2.2, solid_capstyle="butt")
    ax.plot(score.value, y, "o", color=colour, **look)


def logged(log: pd.DataFrame, name: str) -> pd.Series:
    """The values of a field of metrics.jsonl, indexed by step; empty where it was never logged."""
    return log.reindex(columns=["step", name]).dropna().set_index("step")[name]


def kept_step(log: pd.DataFrame, kept_weights: str) -> int | None:
    """The step whose weights training kept, or None where no loss was logged.

    Args:
        log: rows of metrics.jsonl.
        kept_weights: "last", or "best" for those of the lowest validation loss.
    """
    losses = logged(log, "validation_loss")
    if losses.empty:
        return None
    return int(losses.index[-1] if kept_weights == "last" else losses.idxmin())


@matplotlib.rc_context(STYLE)
def learning_curves(log: pd.DataFrame, kept_weights: str, title: str) -> Figure:
    """Loss and accuracy over the steps of training; where the weights are those of the lowest loss, it is marked.

    Args:
        log: rows of metrics.jsonl.
        kept_weights: as of `kept_step`.
        title: what was trained on how many cells.
    """
    figure = titled(9.6, 3.7, title)
    axes = figure.subplots(1, 2)
    looks = {
        "train": {"color": SKY, "label": "Train"},
        "validation": {"color": RED, "label": "Validation", "marker": "o"},
    }
    lowest = kept_step(log, kept_weights) if kept_weights == "best" else None
    for ax, field in zip(axes, ("loss", "accuracy"), strict=True):
        for split, look in looks.items():
            scores = logged(log, f"{split}_{field}")
            if len(scores):
                ax.plot(scores.index, scores, ms=3.5, lw=1.6, **look)
        if lowest is not None:
            ax.axvline(lowest, color=GREY, lw=1, ls=(0, (4, 3)), label=f"Lowest validation loss, step {lowest}")
        ax.set_xlabel("Training step")
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.grid(axis="y")
    axes[0].set_ylabel("Loss (nats per cell)")
    axes[1].set_ylabel("Accuracy")
    axes[0].set_ylim(bottom=0)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


@matplotlib.rc_context(STYLE)
def scores(entries: dict[str, dict], n_classes: int, title: str, interval_level: float) -> Figure:
    """Dots with intervals: the network beside what a few measurements can do.

    Args:
        entries: name ("model", a baseline, "oracle") -> {"balanced_accuracy": {"value", "low", "high"}, "auroc": ...}.
        n_classes: chance of the balanced accuracy is one over this.
        title: split, cells and groups.
        interval_level: of the intervals, e.g. 0.95.
    """
    figure = titled(9.6, 1.75 + 0.42 * len(entries), title)
    axes = figure.subplots(1, 2, sharey=True)
    chances = {"balanced_accuracy": 1 / n_classes, "auroc": 0.5}
    for ax, (metric, chance) in zip(axes, chances.items(), strict=True):
        left = chance
        for row, (name, entry) in enumerate(entries.items()):
            score = Interval.of(entry.get(metric))
            _interval_row(ax, row, score, name)
            if score.is_known:
                left = min(left, score.low)
        left -= 0.04
        ax.axvline(chance, color=GREY, lw=1, ls=(0, (2, 3)))
        ax.set_xlim(left, 1.0 + 0.52 * (1.0 - left))
        ticks = np.arange(0, 1.01, 0.1 if left > 0.25 else 0.2)
        ax.set_xticks(ticks[ticks > left])
        ax.spines["bottom"].set_bounds(left, 1.0)
        ax.set_xlabel(f"{METRICS[metric]}, {100 * interval_level:.0f} % interval; dotted: chance", loc="left")
        ax.spines["left"].set_visible(False)
    name_rows(axes, [NAMES.get(name, name) for name in entries])
    return figure


def _interval_row(ax, row: int, score: Interval, name: str) -> None:
    """A dot with its interval, and both in figures at the right; the oracle's dot is hollow."""
    if math.isnan(score.value):
        ax.text(1.02, row, "not known", va="center", fontsize=9.5, color=GREY)
        return
    colour = {"model": RED, "oracle": GREEN}.get(name, BLUE)
    dot(ax, row, score, colour, ms=7.5, mfc="white" if name == "oracle" else colour, mew=1.6)
    text = f"{score.value:.3f}"
    if score.is_known:
        text += f"  ({score.low:.3f}–{score.high:.3f})"
    ax.text(1.02, row, text, va="center", fontsize=9.5)


@matplotlib.rc_context(STYLE)
def confusion(counts, classes: list[str], title: str) -> Figure:
    """Counts and row percentages: what became of the cells of each label.

    Args:
        counts: int [P, P], rows are labels, columns are predictions.
        classes: their names.
        title: split, cells and groups.
    """
    counts = np.asarray(counts)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    size = 2.4 + 1.15 * len(classes)
    figure = titled(size + 0.6, size, title, 10.5, x=0.02)
    ax = figure.subplots()
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), n in np.ndenumerate(counts):
        ax.text(
            column,
            row,
            f"{n}\n{100 * share[row, column]:.0f} %",
            ha="center",
            va="center",
            fontsize=12,
            linespacing=1.4,
            color="white" if share[row, column] > 0.55 else INK,
        )
    ax.set_xticks(range(len(classes)), classes)
    ax.set_yticks(range(len(classes)), classes)
    ax.set(xlabel="Predicted", ylabel="Label")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return figure


@matplotlib.rc_context(STYLE)
def reliability(curves: dict[str, dict], temperature: float | None, n_classes: int, title: str) -> Figure:
    """How often the network is right when it is so sure, before and after calibration.

    Args:
        curves: "raw" and "calibrated" -> {"confidence", "accuracy", "count"}, one value a bin; empty bins are skipped.
        temperature: what the logits were divided by.
        n_classes: no confidence can be below one over this.
        title: split, cells and groups.
    """
    figure = titled(6.0, 5.2, title, 10.5, x=0.02)
    ax, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    ax.plot([0, 1], [0, 1], color=GREY, lw=1, ls=(0, (2, 3)), label="Confidence equals accuracy")
    after = "After calibration"
    if temperature is not None:
        after += f" (T = {temperature:.2f})"
    looks = {
        "raw": {"color": ORANGE, "marker": "s", "label": "Before calibration"},
        "calibrated": {"color": BLUE, "marker": "o", "label": after},
    }
    chance = 1 / n_classes
    lowest = chance
    width = 0.011  # of a bar; those of both curves stand side by side
    for shift, (name, look) in zip((-width / 2, width / 2), looks.items(), strict=True):
        bins = pd.DataFrame(curves.get(name), columns=["confidence", "accuracy", "count"], dtype=float).dropna()
        bins = bins[bins["count"] > 0]
        if bins.empty:
            continue
        lowest = min(lowest, bins["accuracy"].min())
        ax.plot(bins["confidence"], bins["accuracy"], ms=5.5, lw=1.6, **look)
        counts.bar(bins["confidence"] + shift, bins["count"], width=width, color=look["color"])
    ax.set(xlim=(chance - 0.02, 1.02), ylim=(lowest - 0.04, 1.03), ylabel="Share of cells that are right")
    counts.set(xlabel="Confidence: probability of the likeliest class", ylabel="Cells")
    counts.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    ax.grid()
    ax.legend(loc="lower right")
    return figure


@matplotlib.rc_context(STYLE)
def localisation(rows: list[dict], classes: list[str], interval_level: float, stain: str, title: str) -> Figure:
    """Relevance per compartment over chance, one panel a class.

    Args:
        rows: "class", "compartment", "ratio", "low", "high", as `explain.regions.localisation.summarise` gives them.
        classes: one panel each, in this order.
        interval_level: of the intervals, 0..1.
        stain: name of the organelle, or "".
        title: cells and groups.
    """
    table = pd.DataFrame(rows)
    compartments = table["compartment"].unique().tolist()
    figure = titled(9.6, 1.5 + 0.36 * len(compartments), title)
    axes = figure.subplots(1, len(classes), sharey=True, sharex=True, squeeze=False)[0]
    colours = (BLUE, RED, GREEN, PINK, ORANGE, SKY, GREY)
    for ax, name, colour in zip(axes, classes, colours, strict=False):
        ax.axvline(1, color=GREY, lw=1, ls=(0, (2, 3)))
        for row in table[table["class"] == name].to_dict("records"):
            ratio = Interval.of(row | {"value": row["ratio"]})
            dot(ax, compartments.index(row["compartment"]), ratio, colour, ms=7)
        ax.set_title(f"Cells given {name}", fontsize=10.5)
        ax.set_xlabel(f"Relevance, times chance ({100 * interval_level:g} % interval)")
    axes[0].set_xlim(left=0)
    name_rows(axes, [name.replace("organelle", stain or "organelle") for name in compartments])
    return figure
