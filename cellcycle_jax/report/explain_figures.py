"""Figures of the explanations of a trained model."""

import math

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cellcycle_jax.report.figures import BLUE, GREY, RED, STYLE

COLUMNS = 4  # panels beside one another


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
        colour = RED if row["monotone"] else BLUE
        low, value, high = ([step["margin"][key] for step in steps] for key in ("low", "value", "high"))
        ax.fill_between(dose, low, high, color=colour, alpha=0.2, lw=0)
        ax.plot(dose, value, color=colour, marker="o" if row["monotone"] else "s", ms=5, lw=1.6)
        told = "" if row["monotone"] else ",\nnot told from none"
        words += f"\n{row['slope']['value']:+.3f} logits per +10 %{told}"
    ax.set_title(f"{row['words']}\n{words}", fontsize=9.5)
