"""Figures of a run: plain arrays and numbers in, a matplotlib Figure out; nothing is read or shown here.

Figures are made without pyplot, so that they carry no global state and need no display.
"""

import io
import operator

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cellcycle_jax import files

# Okabe M., Ito K., "Color Universal Design", 2008: colour-blind readers can tell them apart, too.
BLUE = "#0072B2"
ORANGE = "#E69F00"
GREEN = "#009E73"
SKY = "#56B4E9"
PINK = "#CC79A7"
RED = "#D55E00"
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
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def save(figure: Figure, path) -> None:
    """Write the figure to `path` as PNG, whole or not at all."""
    with files.atomic_path(path) as temporary:
        temporary.write_bytes(png(figure))


def best_step(validation: list[dict]) -> int | None:
    """The step with the lowest validation loss, or None where no loss was logged."""
    scored = [row for row in validation if row.get("loss") is not None]
    if not scored:
        return None
    return min(scored, key=operator.itemgetter("loss"))["step"]


@matplotlib.rc_context(STYLE)
def learning_curves(rows: list[dict], title: str) -> Figure:
    """Loss and accuracy over the steps of training, with the best step marked.

    Args:
        rows: of metrics.jsonl; used are those with "event" train or validation.
        title: what was trained on how many cells.
    """
    figure = Figure(figsize=(9.6, 3.7), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    axes = figure.subplots(1, 2)
    train = [row for row in rows if row.get("event") == "train"]
    validation = [row for row in rows if row.get("event") == "validation"]
    best = best_step(validation)
    for ax, field in zip(axes, ("loss", "accuracy"), strict=True):
        _learning_curve(ax, train, field, color=SKY, label="Train")
        _learning_curve(ax, validation, field, color=RED, label="Validation", marker="o")
        if best is not None:
            ax.axvline(best, color=GREY, lw=1, ls=(0, (4, 3)), label=f"Lowest validation loss, step {best}")
        ax.set_xlabel("Training step")
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.grid(axis="y")
    axes[0].set_ylabel("Loss (nats per cell)")
    axes[1].set_ylabel("Accuracy")
    axes[0].set_ylim(bottom=0)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _learning_curve(ax, rows, field, **look):
    """One field of the rows over the steps; nothing where no row has it."""
    points = [(row["step"], row[field]) for row in rows if row.get(field) is not None]
    if points:
        steps, values = np.transpose(points)
        ax.plot(steps, values, ms=3.5, lw=1.6, **look)


@matplotlib.rc_context(STYLE)
def scores(entries: dict[str, dict], n_classes: int, title: str, interval_level: float) -> Figure:
    """Dots with intervals: the network beside what a few measurements can do.

    Args:
        entries: name ("model", a baseline, "oracle") -> {"balanced_accuracy": {"value", "low", "high"}, "auroc": ...}.
        n_classes: chance of the balanced accuracy is one over this.
        title: split, cells and groups.
        interval_level: of the intervals, e.g. 0.95.
    """
    figure = Figure(figsize=(9.6, 1.75 + 0.42 * len(entries)), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    axes = figure.subplots(1, 2, sharey=True)
    chances = {"balanced_accuracy": 1 / n_classes, "auroc": 0.5}
    for ax, (metric, chance) in zip(axes, chances.items(), strict=True):
        left = chance
        for row, (name, entry) in enumerate(entries.items()):
            score = entry.get(metric) or {}
            _interval_row(ax, row, score, name)
            if score.get("low") is not None:
                left = min(left, score["low"])
        left -= 0.04
        ax.axvline(chance, color=GREY, lw=1, ls=(0, (2, 3)))
        ax.set_xlim(left, 1.0 + 0.52 * (1.0 - left))
        ticks = np.arange(0, 1.01, 0.1 if left > 0.25 else 0.2)
        ax.set_xticks(ticks[ticks > left])
        ax.spines["bottom"].set_bounds(left, 1.0)
        ax.set_xlabel(f"{METRICS[metric]}, {_percent(interval_level)} interval; dotted: chance", loc="left")
        ax.grid(axis="x")
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
    axes[0].set_yticks(range(len(entries)), [NAMES.get(name, name) for name in entries])
    axes[0].set_ylim(len(entries) - 0.5, -0.5)
    return figure


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _interval_row(ax, row: int, score: dict, name: str) -> None:
    """A dot with its interval, and both in figures at the right; the oracle's dot is hollow."""
    value = score.get("value")
    low = score.get("low")
    high = score.get("high")
    if value is None:
        ax.text(1.02, row, "not known", va="center", fontsize=9.5, color=GREY)
        return
    colour = {"model": RED, "oracle": GREEN}.get(name, BLUE)
    text = f"{value:.3f}"
    if low is not None and high is not None:
        ax.plot([low, high], [row, row], color=colour, lw=2.2, solid_capstyle="butt")
        text += f"  ({low:.3f}–{high:.3f})"
    fill = "white" if name == "oracle" else colour
    ax.plot(value, row, "o", ms=7.5, color=colour, mfc=fill, mew=1.6)
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
    figure = Figure(figsize=(size + 0.6, size), layout="constrained")
    figure.suptitle(title, x=0.02, ha="left", fontsize=10.5)
    ax = figure.subplots()
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), n in np.ndenumerate(counts):
        ax.text(
            column,
            row,
            f"{n}\n{_percent(share[row, column])}",
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
    """How often the network is right when it is so sure, before and after temperature scaling.

    Args:
        curves: "raw" and "calibrated" -> {"confidence", "accuracy", "count"}, one value a bin; empty bins are skipped.
        temperature: what the logits were divided by.
        n_classes: no confidence can be below one over this.
        title: split, cells and groups.
    """
    figure = Figure(figsize=(6.0, 5.2), layout="constrained")
    ax, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    ax.plot([0, 1], [0, 1], color=GREY, lw=1, ls=(0, (2, 3)), label="Confidence equals accuracy")
    after = "After temperature scaling"
    if temperature is not None:
        after += f" (T = {temperature:.2f})"
    looks = {
        "raw": {"color": ORANGE, "marker": "s", "label": "Before temperature scaling"},
        "calibrated": {"color": BLUE, "marker": "o", "label": after},
    }
    chance = 1 / n_classes
    lowest = chance
    width = 0.011  # of a bar; those of both curves stand side by side
    for shift, (name, look) in zip((-width / 2, width / 2), looks.items(), strict=True):
        bins = _filled_bins(curves.get(name) or {})
        if not len(bins):
            continue
        confidence, accuracy, count = bins.T
        lowest = min(lowest, accuracy.min())
        ax.plot(confidence, accuracy, ms=5.5, lw=1.6, **look)
        counts.bar(confidence + shift, count, width=width, color=look["color"])
    ax.set(xlim=(chance - 0.02, 1.02), ylim=(lowest - 0.04, 1.03), ylabel="Share of cells that are right")
    counts.set(xlabel="Confidence: probability of the predicted class", ylabel="Cells")
    counts.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    ax.grid()
    ax.legend(loc="upper left")
    figure.suptitle(title, x=0.02, ha="left", fontsize=10.5)
    return figure


def _filled_bins(curve: dict) -> np.ndarray:
    """Confidence, accuracy and count of the bins that hold cells: f64 [bins, 3]."""
    columns = (curve.get("confidence") or [], curve.get("accuracy") or [], curve.get("count") or [])
    rows = [row for row in zip(*columns, strict=True) if row[2] and None not in row]
    return np.array(rows, float)


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
    compartments = list(dict.fromkeys(row["compartment"] for row in rows))
    figure = Figure(figsize=(9.6, 1.5 + 0.36 * len(compartments)), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    axes = figure.subplots(1, len(classes), sharey=True, sharex=True, squeeze=False)[0]
    colours = (BLUE, RED, GREEN, PINK, ORANGE, SKY, GREY)
    for ax, name, colour in zip(axes, classes, colours, strict=False):
        ax.axvline(1, color=GREY, lw=1, ls=(0, (2, 3)))
        for row in rows:
            if row["class"] != name:
                continue
            y = compartments.index(row["compartment"])
            if row["low"] is not None:
                ax.plot([row["low"], row["high"]], [y, y], color=colour, lw=2.2, solid_capstyle="butt")
            ax.plot(row["ratio"], y, "o", ms=7, color=colour)
        ax.set_title(f"Cells given {name}", fontsize=10.5)
        ax.set_xlabel(f"Relevance, times chance ({100 * interval_level:g} % interval)")
        ax.grid(axis="x")
        ax.tick_params(axis="y", length=0)
    axes[0].set_xlim(left=0)
    names = compartments
    if stain:
        names = [name.replace("organelle", stain) for name in compartments]
    axes[0].set_yticks(range(len(compartments)), names)
    axes[0].set_ylim(len(compartments) - 0.5, -0.5)
    return figure
