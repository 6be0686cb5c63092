"""Figures of a study: scores with intervals and seeds, or a matrix of training line by tested line."""

import math

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from cellcycle_jax.figures.style import BLUE, GREY, INK, METRICS, RED, STYLE
from cellcycle_jax.scoring.intervals import Interval
from cellcycle_jax.studies.sweep_table import ALL_LINES, CHANCE, row_name


def draw(result: dict) -> dict[str, Figure]:
    """The figures of a study by name; `result` is what `sweep_scores.score_sweep` puts into sweep.json."""
    if result["columns"] == "cell lines":
        return {metric: matrix(result, metric) for metric in result["scores"]}
    return {"scores": dots(result)}


def _title(result):
    overall = result["results"][ALL_LINES]
    return (f"{result['split'].capitalize()} split, {overall['n_cells']} labelled cells, {overall['n_groups']} groups "
            f"({result['group_by']})")


@matplotlib.rc_context(STYLE)
def dots(result: dict) -> Figure:
    """Mean over seeds with its interval, every seed as a small ring, a panel for each score and for the difference."""
    found, scores = result["results"][ALL_LINES], result["scores"]
    panels = [(metric, found["rows"], METRICS[metric], CHANCE.get(metric)) for metric in scores]
    panels = [(m, rows, label, chance(result["classes"]) if chance else None) for m, rows, label, chance in panels]
    if result["reference"]:
        label = f"{METRICS[scores[0]]} minus that of {row_name(result['reference'])}"
        panels.append((scores[0], found["differences"], label, 0.0))
    rows = list(found["rows"])
    figure = Figure(figsize=(3.1 + 3.3 * len(panels), 1.6 + 0.36 * len(rows)), layout="constrained")
    figure.suptitle(f"{_title(result)}; rings: single runs", x=0.01, ha="left", fontsize=11)
    for ax, panel in zip(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True):
        _panel(ax, result, rows, *panel)
    figure.axes[0].set_yticks(range(len(rows)), [row_name(row) for row in rows])
    figure.axes[0].set_ylim(len(rows) - 0.5, -0.5)
    return figure


def _panel(ax, result, rows, metric, values, label, chance):
    runs = result["results"][ALL_LINES]["runs"]
    rows_of_table = result["results"][ALL_LINES]["rows"]
    for place, row in enumerate(rows):
        trained = row in result["trained_on"]
        score = Interval.of(values.get(row, {}).get(metric))
        if math.isnan(score.value):
            continue
        colour, form = (RED if trained else BLUE), "+.3f" if chance == 0 else ".3f"
        if trained and values is rows_of_table:
            seeds = [runs[name][metric].value for name in result["members"][row]]
            ax.plot(seeds, np.full(len(seeds), place + 0.24), "o", ms=3.5, mfc="none", mec=colour, mew=0.9)
        if score.is_known:
            ax.plot([score.low, score.high], [place, place], color=colour, lw=2.2, solid_capstyle="butt")
        ax.plot(score.value, place, "o", ms=6.5, color=colour)
        ax.annotate(f"{score.value:{form}}", (1, place), xycoords=("axes fraction", "data"), xytext=(3, 0),
                    textcoords="offset points", va="center", fontsize=9)
    if chance is not None:
        ax.axvline(chance, color=GREY, lw=1, ls=(0, (2, 3)))
    dotted = "" if chance is None else "; dotted: no difference" if chance == 0 else "; dotted: chance"
    ax.set_xlabel(f"{label},\nmean and {100 * result['confidence']:g} % interval{dotted}", loc="left", fontsize=9)
    ax.grid(axis="x")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)


@matplotlib.rc_context(STYLE)
def matrix(result: dict, metric: str) -> Figure:
    """One square for each training set and tested line; a thick frame where the line was not trained on."""
    places = [place for place in result["results"] if place != ALL_LINES]
    rows = list(result["trained_on"])
    values = np.array([[result["results"][place]["rows"][row][metric]["value"] for place in places] for row in rows])
    figure = Figure(figsize=(2.6 + 1.9 * len(places), 1.9 + 0.72 * len(rows)), layout="constrained")
    what = f"{METRICS[metric]}, mean over seeds and {100 * result['confidence']:g} % interval"
    figure.suptitle(f"{what}\n{_title(result)}", x=0.01, ha="left", fontsize=10.5)
    ax = figure.subplots()
    chance = CHANCE[metric](result["classes"]) if metric in CHANCE else 0.0
    shown = ax.imshow(values, cmap="Blues", vmin=chance, vmax=1, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        score = Interval.of(result["results"][places[j]]["rows"][rows[i]][metric])
        bounds = f"\n{score.low:.3f}–{score.high:.3f}" if score.is_known else ""
        words = f"{value:.3f}{bounds}" if value == value else "a class\nis absent"
        dark = value > chance + 0.55 * (1 - chance)
        ax.text(j, i, words, ha="center", va="center", fontsize=9.5, color="white" if dark else INK)
        if places[j] not in result["trained_on"][rows[i]]:
            ax.add_patch(matplotlib.patches.Rectangle((j - 0.46, i - 0.44), 0.92, 0.88, fill=False, lw=2.4, ec=RED))
    ax.set_xticks(range(len(places)), [f"{place}\n{result['results'][place]['n_groups']} groups" for place in places])
    ax.set_yticks(range(len(rows)), [row_name(row) for row in rows])
    ax.set(xlabel="Tested on (frame: not trained on)", ylabel=result["rows"].capitalize())
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    figure.colorbar(shown, ax=ax, shrink=0.7, label="white: chance" if metric in CHANCE else "")
    return figure
