"""Figures of a study: scores with intervals and seeds, or a matrix of training line by tested line."""

import math

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cellcycle_jax.figures.style import BLUE, GREY, INK, METRICS, RED, STYLE, dot, name_rows, titled
from cellcycle_jax.scoring.intervals import Interval
from cellcycle_jax.studies.sweep_table import ALL_LINES, chance_of, row_name, tested_lines


def draw(result: dict) -> dict[str, Figure]:
    """The figures of a study by name; `result` is what `sweep_scores.score_sweep` puts into sweep.json."""
    if result["columns"] == "cell lines":
        return {metric: matrix(result, metric) for metric in result["scores"]}
    return {"scores": dots(result)}


def _title(result):
    overall = result["results"][ALL_LINES]
    return (
        f"{result['split'].capitalize()} split, {overall['n_cells']} labelled cells, "
        f"{overall['n_groups']} groups ({result['group_by']})"
    )


@matplotlib.rc_context(STYLE)
def dots(result: dict) -> Figure:
    """Mean over seeds with its interval, every seed as a small ring, a panel for each score and for the difference."""
    overall = result["results"][ALL_LINES]
    metrics = result["scores"]
    rows = list(overall["rows"])
    panels = len(metrics) + (1 if result["reference"] else 0)
    figure = titled(3.1 + 3.3 * panels, 1.6 + 0.36 * len(rows), f"{_title(result)}; rings: single runs")
    axes = figure.subplots(1, panels, sharey=True, squeeze=False)[0]
    for ax, metric in zip(axes, metrics, strict=False):
        _panel(ax, result, "rows", metric, METRICS[metric], chance_of(metric, result["classes"]))
    if result["reference"]:
        label = f"{METRICS[metrics[0]]} minus that of {row_name(result['reference'])}"
        _panel(axes[-1], result, "differences", metrics[0], label, 0.0)
    name_rows(axes, [row_name(row) for row in rows])
    return figure


def _panel(ax, result, part, metric, label, chance):
    """A metric of each row, or its difference from the last row; `part` is "rows" or "differences"."""
    overall = result["results"][ALL_LINES]
    is_difference = part == "differences"
    form = "+.3f" if is_difference else ".3f"
    for y, row in enumerate(overall["rows"]):
        score = Interval.of(overall[part].get(row, {}).get(metric))
        if math.isnan(score.value):
            continue
        trained = row in result["trained_on"]
        colour = RED if trained else BLUE
        if trained and part == "rows":
            seeds = [overall["runs"][name][metric].value for name in result["members"][row]]
            heights = np.full(len(seeds), y + 0.24)
            ax.plot(seeds, heights, "o", ms=3.5, mfc="none", mec=colour, mew=0.9)
        dot(ax, y, score, colour, ms=6.5)
        ax.annotate(
            f"{score.value:{form}}",
            (1, y),
            xycoords=("axes fraction", "data"),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    label += f",\nmean and {100 * result['interval_level']:g} % interval"
    if chance is not None:
        ax.axvline(chance, color=GREY, lw=1, ls=(0, (2, 3)))
        label += "; dotted: no difference" if is_difference else "; dotted: chance"
    ax.set_xlabel(label, loc="left", fontsize=9)
    ax.spines["left"].set_visible(False)


@matplotlib.rc_context(STYLE)
def matrix(result: dict, metric: str) -> Figure:
    """One square for each training set and tested line; a thick frame where the line was not trained on."""
    places = tested_lines(result)
    rows = list(result["trained_on"])
    scores = {}
    values = np.zeros((len(rows), len(places)))
    for y, x in np.ndindex(values.shape):
        scores[y, x] = Interval.of(result["results"][places[x]]["rows"][rows[y]][metric])
        values[y, x] = scores[y, x].value
    what = f"{METRICS[metric]}, mean over seeds"
    if any(score.is_known for score in scores.values()):
        what += f" and {100 * result['interval_level']:g} % interval"
    figure = titled(2.6 + 1.9 * len(places), 1.9 + 0.72 * len(rows), f"{what}\n{_title(result)}", 10.5)
    ax = figure.subplots()
    chance = chance_of(metric, result["classes"])
    lowest = chance or 0.0
    squares = ax.imshow(values, cmap="Blues", vmin=lowest, vmax=1, aspect="auto")
    for (y, x), value in np.ndenumerate(values):
        dark = value > lowest + 0.55 * (1 - lowest)
        colour = "white" if dark else INK
        ax.text(x, y, _square_words(scores[y, x]), ha="center", va="center", fontsize=9.5, color=colour)
        if places[x] not in result["trained_on"][rows[y]]:
            ax.add_patch(Rectangle((x - 0.46, y - 0.44), 0.92, 0.88, fill=False, lw=2.4, ec=RED))
    columns = [f"{place}\n{result['results'][place]['n_groups']} groups" for place in places]
    ax.set_xticks(range(len(places)), columns)
    ax.set_yticks(range(len(rows)), [row_name(row) for row in rows])
    ax.set(xlabel="Tested on (frame: not trained on)", ylabel=result["rows"].capitalize())
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    figure.colorbar(squares, ax=ax, shrink=0.7, label="" if chance is None else "white: chance")
    return figure


def _square_words(score):
    if math.isnan(score.value):
        return "a class\nis absent"
    if not score.is_known:
        return f"{score.value:.3f}"
    return f"{score.value:.3f}\n{score.low:.3f}–{score.high:.3f}"
