"""Figures of the explanations of a trained model."""

import math

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cellcycle_jax.figures.style import BLUE, GREEN, GREY, INK, ORANGE, PINK, RED, SKY, STYLE, titled

COLUMNS = 4  # panels beside one another
MOST = 14  # bars
ORDERS = {"map": ("-", ""), "control": ((0, (2, 2)), ", moved")}


@matplotlib.rc_context(STYLE)
def dose_response(rows: list[dict], class_name: str, head: str, interval_level: float) -> Figure:
    """How the margin of a class follows the dose of each edit, one panel an edit, all on one scale.

    Args:
        rows: as `explain.doses.dose_response` gives them; an edit without any cell says so.
        class_name: the class whose margin it is.
        head: cells and groups.
        interval_level: of the intervals, 0..1.
    """
    across = min(COLUMNS, len(rows))
    down = math.ceil(len(rows) / across)
    figure = titled(max(1.2 + 2.5 * across, 6.5), 0.9 + 2.9 * down, head)
    axes = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    for ax in axes.flat[len(rows) :]:
        ax.set_visible(False)
    for ax, row in zip(axes.flat, rows, strict=False):
        _panel(ax, row)
    figure.supxlabel(f"Change of the property, % as reached; band: {100 * interval_level:g} % interval", fontsize=10)
    figure.supylabel(f"Change of the margin of {class_name}, logits", fontsize=10)
    return figure


def _panel(ax, row):
    ax.axhline(0, color=GREY, lw=1, ls=(0, (2, 3)))
    ax.axvline(0, color=GREY, lw=1, ls=(0, (2, 3)))
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.grid()
    title = f"{row['words']}\n{row['n_cells']:,} cells"
    if row["slope"] is not None:
        steps = pd.DataFrame(row["doses"]).sort_values("realised", kind="stable")
        dose = 100 * steps["realised"]
        margins = pd.DataFrame([margin.as_json() for margin in steps["margin"]])
        colour = RED if row["certain"] else BLUE
        marker = "o" if row["certain"] else "s"
        ax.fill_between(dose, margins["low"], margins["high"], color=colour, alpha=0.2, lw=0)
        ax.plot(dose, margins["value"], color=colour, marker=marker, ms=5, lw=1.6)
        title += f"\n{row['slope'].value:+.3f} logits per +10 %"
        if not row["certain"]:
            title += ",\ninterval includes 0"
    ax.set_title(title, fontsize=9.5)


@matplotlib.rc_context(STYLE)
def region_shares(rows: list[dict], about: dict, head: str) -> Figure:
    """Share of the difference between classes by channel and region, the largest first.

    Args:
        rows: of `class_difference`; of several classes each has its panel.
        about: channels, stain, interval_level and classes.
        head: cells and groups.
    """
    of_class = pd.DataFrame(rows).groupby("class", sort=False)
    colours = dict(zip(about["channels"], (BLUE, ORANGE, GREEN, PINK, SKY, RED), strict=False))
    most = min(MOST, int(of_class.size().max()))
    stain = about["stain"] or "organelle"
    figure = titled(1.0 + 5.6 * len(of_class), 1.5 + 0.3 * most, head)
    axes = figure.subplots(1, len(of_class), squeeze=False)[0]
    for ax, (name, regions) in zip(axes, of_class, strict=True):
        largest = regions.sort_values("share", key=np.abs, ascending=False, kind="stable")[:MOST]
        _bars(ax, largest, colours)
        names = largest["compartment"].str.replace("organelle", stain, regex=False) + ", " + largest["channel"]
        ax.set_yticks(range(len(largest)), names)
        ax.set_ylim(len(largest) - 0.4, -0.6)
        ax.set_title(f"Difference between {name} and the rest", fontsize=10.5)
        ax.set_xlabel(
            f"Share of the difference between the classes, % ({100 * about['interval_level']:g} % interval)\n"
            "Tick: share of the image's area and channels\n"
            "Circle: share of what moves the output within classes"
        )
        ax.grid(axis="x")
        ax.tick_params(axis="y", length=0)
    return figure


def _bars(ax, regions, colours):
    """A bar for each region, with its interval, a tick at the share of the area and a circle at what is read of it."""
    for y, region in enumerate(regions.to_dict("records")):
        ax.barh(y, 100 * region["share"], color=colours.get(region["channel"], GREY), height=0.7)
        ax.plot(100 * region["area_share"], y, "|", ms=12, mew=1.6, color=INK)
        ax.plot(100 * region["read"], y, "o", ms=5, mew=1.2, mfc="white", mec=INK)
        if math.isfinite(region["low"]):  # not of too few groups
            ax.plot([100 * region["low"], 100 * region["high"]], [y, y], color=INK, lw=1.4)
    ax.axvline(0, color=GREY, lw=1)


@matplotlib.rc_context(STYLE)
def curves(found: dict, head: str) -> Figure:
    """Probability of the class as the map's pixels are deleted and inserted, beside the same map moved elsewhere.

    Args:
        found: method -> "points", as `explain.faithfulness.faithfulness` gives them.
        head: number of cells.
    """
    tables = [pd.DataFrame(result["points"]).assign(method=method) for method, result in found.items()]
    points = pd.concat(tables)
    fills = points["fill"].unique()
    figure = titled(1.0 + 2.5 * len(fills), 5.6, head)
    axes = figure.subplots(2, len(fills), sharex=True, sharey=True, squeeze=False)
    for row, measure in zip(axes, ("deletion", "insertion"), strict=True):
        for ax, fill in zip(row, fills, strict=True):
            _curves(ax, points[(points["fill"] == fill) & (points["measure"] == measure)], found)
            ax.set_title(f"{measure.capitalize()}, fill: {fill}", fontsize=10)
            ax.grid()
    axes[0, 0].legend(fontsize=8)
    figure.supxlabel("Pixels deleted or inserted, %", fontsize=10)
    figure.supylabel("Probability of the predicted class", fontsize=10)
    return figure


def _curves(ax, points, methods):
    """A line for each method and order of the pixels."""
    for method, colour in zip(methods, (BLUE, RED, GREEN), strict=False):
        for order, (dashes, words) in ORDERS.items():
            curve = points[(points["method"] == method) & (points["order"] == order)]
            label = method.replace("_", " ") + words
            ax.plot(100 * curve["fraction"], curve["probability"], ls=dashes, color=colour, lw=1.6, label=label)
