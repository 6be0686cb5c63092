"""Figures of the explanations of a trained model."""

import math

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cellcycle_jax.figures.style import BLUE, GREEN, GREY, ORANGE, PINK, RED, SKY, STYLE

COLUMNS = 4  # panels beside one another
MOST = 14  # bars
ORDERS = {"map": ("-", ""), "control": ((0, (2, 2)), ", moved")}


@matplotlib.rc_context(STYLE)
def dose_response(rows: list[dict], class_name: str, head: str, confidence: float) -> Figure:
    """How the margin of a class follows the dose of each edit, one panel an edit, all on one scale.

    Args:
        rows: as `explain.doses.dose_response` gives them; an edit without any cell says so.
        class_name: the class whose margin it is.
        head: cells and groups.
        confidence: of the intervals, 0..1.
    """
    across = min(COLUMNS, len(rows))
    down = math.ceil(len(rows) / across)
    figure = Figure(figsize=(max(1.2 + 2.5 * across, 6.5), 0.9 + 2.9 * down), layout="constrained")
    figure.suptitle(head, x=0.01, ha="left", fontsize=11)
    axes = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    for ax in axes.flat[len(rows) :]:
        ax.set_visible(False)
    for ax, row in zip(axes.flat, rows, strict=False):
        _panel(ax, row)
    figure.supxlabel(f"Change of the property, % as reached; band: {100 * confidence:g} % interval", fontsize=10)
    figure.supylabel(f"Change of the margin of {class_name}, logits", fontsize=10)
    return figure


def _panel(ax, row):
    ax.axhline(0, color=GREY, lw=1, ls=(0, (2, 3)))
    ax.axvline(0, color=GREY, lw=1, ls=(0, (2, 3)))
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.grid()
    words = f"{row['n_cells']:,} cells"
    if row["slope"] is not None:
        steps = sorted(row["doses"], key=lambda step: step["realised"])
        dose = [100 * step["realised"] for step in steps]
        colour = RED if row["certain"] else BLUE
        low, value, high = ([getattr(step["margin"], key) for step in steps] for key in ("low", "value", "high"))
        ax.fill_between(dose, low, high, color=colour, alpha=0.2, lw=0)
        ax.plot(dose, value, color=colour, marker="o" if row["certain"] else "s", ms=5, lw=1.6)
        told = "" if row["certain"] else ",\ninterval includes 0"
        words += f"\n{row['slope'].value:+.3f} logits per +10 %{told}"
    ax.set_title(f"{row['words']}\n{words}", fontsize=9.5)


@matplotlib.rc_context(STYLE)
def where(rows: list[dict], about: dict, head: str) -> Figure:
    """Share of the difference between classes by channel and place, the largest first.

    Args:
        rows: as `explain.checks.where` gives them; of several classes each has its panel.
        about: channels, stain, confidence and classes.
        head: cells and groups.
    """
    classes = list(dict.fromkeys(row["class"] for row in rows))
    colours = dict(zip(about["channels"], (BLUE, ORANGE, GREEN, PINK, SKY, RED), strict=False))
    most = min(MOST, max(sum(row["class"] == name for row in rows) for name in classes))
    figure = Figure(figsize=(1.0 + 5.6 * len(classes), 1.5 + 0.3 * most), layout="constrained")
    figure.suptitle(head, x=0.01, ha="left", fontsize=11)
    for ax, name in zip(figure.subplots(1, len(classes), squeeze=False)[0], classes, strict=True):
        shown = sorted((row for row in rows if row["class"] == name), key=lambda row: -abs(row["share"]))[:MOST]
        for y, row in enumerate(shown):
            ax.barh(y, 100 * row["share"], color=colours.get(row["channel"], GREY), height=0.7)
            ax.plot(100 * row["area_share"], y, "|", ms=12, mew=1.6, color="#222222")
            if math.isfinite(row["low"]):  # not of too few groups
                ax.plot([100 * row["low"], 100 * row["high"]], [y, y], color="#222222", lw=1.4)
        names = [f"{row['compartment'].replace('second stain', about['stain'] or 'second stain')}, {row['channel']}"
                 for row in shown]  # fmt: skip
        ax.axvline(0, color=GREY, lw=1)
        ax.set_yticks(range(len(shown)), names)
        ax.set_ylim(len(shown) - 0.4, -0.6)
        ax.set_title(f"What tells {name} from the rest", fontsize=10.5)
        ax.set_xlabel(f"Share of the difference between the classes, % ({100 * about['confidence']:g} % interval)\n"
                      "Tick: share of the picture's area and channels")
        ax.grid(axis="x")
        ax.tick_params(axis="y", length=0)
    return figure


@matplotlib.rc_context(STYLE)
def curves(found: dict, head: str) -> Figure:
    """Probability of the class as the map's pixels are deleted and inserted, beside the same map moved elsewhere.

    Args:
        found: method -> "points", as `explain.faithfulness.faithfulness` gives them.
        head: number of cells.
    """
    fills = list(dict.fromkeys(point["fill"] for one in found.values() for point in one["points"]))
    measures = ("deletion", "insertion")
    figure = Figure(figsize=(1.0 + 2.5 * len(fills), 5.6), layout="constrained")
    figure.suptitle(head, x=0.01, ha="left", fontsize=11)
    axes = figure.subplots(2, len(fills), sharex=True, sharey=True, squeeze=False)
    for row, measure in zip(axes, measures, strict=True):
        for ax, fill in zip(row, fills, strict=True):
            for (name, one), colour in zip(found.items(), (BLUE, RED, GREEN), strict=False):
                for order, (dashes, words) in ORDERS.items():
                    points = [p for p in one["points"]
                              if (p["fill"], p["measure"], p["order"]) == (fill, measure, order)]
                    ax.plot([100 * p["fraction"] for p in points], [p["probability"] for p in points], ls=dashes,
                            color=colour, lw=1.6, label=name.replace("_", " ") + words)
            ax.set_title(f"{measure.capitalize()}, fill: {fill}", fontsize=10)
            ax.grid()
    axes[0, 0].legend(fontsize=8)
    figure.supxlabel("Pixels deleted or inserted, %", fontsize=10)
    figure.supylabel("Probability of the called class", fontsize=10)
    return figure
