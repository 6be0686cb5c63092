"""Figures of what has no name: how much, where, in which real cells, and the measurement that names it."""

import textwrap

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cellcycle_jax.figures.style import BLUE, GREEN, GREY, INK, ORANGE, PINK, RED, SKY, STYLE, titled
from cellcycle_jax.scoring.intervals import Interval

PARTS = {
    "named": ("explained by your measurements", BLUE),
    "nuisance": ("explained by focus, place and crowding", GREY),
    "unnamed": ("has no name", ORANGE),
}
CHANNEL_COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, RED)
DIFFERENCES = "RdBu_r"


@matplotlib.rc_context(STYLE)
def parts(shares: dict[str, Interval], title: str) -> Figure:
    """Share of each part in the difference between the classes, with intervals."""
    figure = titled(7.5, 2.7, textwrap.fill(title, 80))
    ax = figure.subplots()
    for y, (name, (_, colour)) in enumerate(PARTS.items()):
        share = shares[name]
        ax.barh(y, 100 * share.value, color=colour, height=0.6)
        if share.is_known:
            ax.plot([100 * share.low, 100 * share.high], [y, y], color=INK, lw=1.6)
        ax.text(max(100 * share.value, 0) + 4, y, share.percent(), va="center", fontsize=9.5)
    ax.set_yticks(range(len(PARTS)), [words for words, _ in PARTS.values()])
    ax.set_ylim(len(PARTS) - 0.5, -0.5)
    values = [100 * shares[name].value for name in PARTS if np.isfinite(shares[name].value)]
    ax.set_xlim(min([0, *values]) * 1.1, max([100, *values]) * 1.3)
    ax.set_xlabel("Share of the difference between the classes, %")
    return figure


@matplotlib.rc_context(STYLE)
def places(rows: list[dict], channels, title: str, most: int = 10) -> Figure:
    """Share of channels and regions in what has no name, the largest first."""
    colours = dict(zip(channels, CHANNEL_COLOURS, strict=False))
    rows = rows[:most]
    figure = titled(7.0, 1.2 + 0.32 * len(rows), title)
    ax = figure.subplots()
    for y, row in enumerate(rows):
        ax.barh(y, 100 * row["share"], color=colours[row["channel"]], height=0.7)
        ax.plot([100 * row["low"], 100 * row["high"]], [y, y], color=INK, lw=1.4)
    ax.set_yticks(range(len(rows)), [f"{row['region']}, {row['channel']}" for row in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.axvline(0, color=GREY, lw=1)
    ax.set_xlabel("Share of what has no name, %")
    ax.grid(axis="x")
    return figure


@matplotlib.rc_context(STYLE)
def aligned(differences: dict, channels, reach: float, title: str) -> Figure:
    """Mean difference between cells with most and with least of what has no name, one row a frame.

    Args:
        differences: words of a frame -> (difference f64 [S, S, C], where it is certain bool [S, S, C]).
        channels: C names.
        reach: nuclear radii from the middle of a frame to its edge.
        title: of the figure.
    """
    figure = titled(1.0 + 2.5 * len(channels), 0.8 + 2.6 * len(differences), title)
    axes = figure.subplots(len(differences), len(channels), squeeze=False)
    most = max(np.nanmax(np.abs(np.where(certain, mean, 0))) for mean, certain in differences.values())
    most = most if most > 0 else 1.0
    angle = np.linspace(0, 2 * np.pi, 100)
    for row, (words, (mean, certain)) in zip(axes, differences.items(), strict=True):
        for number, (ax, channel) in enumerate(zip(row, channels, strict=True)):
            shown = np.where(certain[..., number], mean[..., number], 0)
            drawn = ax.imshow(shown, cmap=DIFFERENCES, vmin=-most, vmax=most, extent=(-reach, reach, reach, -reach))
            ax.plot(np.cos(angle), np.sin(angle), color=INK, lw=0.8, ls=(0, (3, 2)))
            ax.set_title(channel, fontsize=10)
            ax.set_xticks([])
            ax.set_yticks([])
        row[0].set_ylabel(words, fontsize=9)
    bar = figure.colorbar(drawn, ax=axes, shrink=0.7)
    bar.set_label("More of it, minus less of it\n(sd of the mean image)", fontsize=9)
    return figure


@matplotlib.rc_context(STYLE)
def proposal(values, amount, of_class, class_names, label: str, follows: Interval, title: str) -> Figure:
    """What has no name against the measurement that is proposed for it, and the measurement by class.

    Args:
        values: f64 [N], the measurement.
        amount: f64 [N], of what has no name.
        of_class: bool [N].
        class_names: of the rest and of the class.
        label: of the measurement with its unit.
        follows: correlation of the two.
        title: of the figure.
    """
    figure = titled(9.0, 4.3, textwrap.fill(title, 95))
    label = textwrap.fill(label, 45)
    scatter, histogram = figure.subplots(1, 2)
    low, high = np.nanquantile(values, (0.005, 0.995))
    bins = np.linspace(low, high, 40)
    for inside, name, colour in ((~of_class, class_names[0], BLUE), (of_class, class_names[1], ORANGE)):
        scatter.plot(values[inside], amount[inside], ".", ms=4, color=colour, alpha=0.5, label=name)
        histogram.hist(values[inside], bins=bins, color=colour, alpha=0.55, label=name)
    scatter.set_xlim(low, high)
    scatter.set_xlabel(label)
    scatter.set_ylabel("What has no name, sd of the output")
    scatter.set_title(f"Correlation {follows.text()}", fontsize=10)
    histogram.set_xlabel(label)
    histogram.set_ylabel("Cells")
    for ax in (scatter, histogram):
        ax.xaxis.set_major_locator(MaxNLocator(5))
    histogram.legend()
    return figure
