"""The table of a study in Markdown, and what it cannot show."""

import math

from cellcycle_jax.dataset.model_input import OUTLINED
from cellcycle_jax.evaluation import evaluate
from cellcycle_jax.figures.style import METRICS, NAMES
from cellcycle_jax.scoring import intervals
from cellcycle_jax.scoring.intervals import Interval

ALL_LINES = "all lines"  # tested on the cells of all lines
UNKNOWN = "-"  # instead of a score that needs a class without cells
CHANCE = {"auroc": lambda classes: 0.5, "balanced_accuracy": lambda classes: 1 / len(classes),
          "mcc": lambda classes: 0.0}  # of a guess that knows nothing of the cell


def markdown(name: str, result: dict) -> str:
    """The table with its heading, what diverged, and the notes.

    Args:
        name: of the study.
        result: what `sweep_scores.score_sweep` puts into sweep.json.
    """
    overall = result["results"][ALL_LINES]
    head = (f"{result['split']} split: {overall['n_cells']} labelled cells, {overall['n_groups']} groups "
            f"({result['group_by']}); {result['confidence']:.0%} intervals in brackets")
    parts = [f"# {name}", head]
    parts += [_matrix(result, metric) for metric in result["scores"]] if result["columns"] == "cell lines" else [
        _scores(result)]
    parts += _absent(result)
    if result["diverged"]:
        said = ", ".join(f"{run} (step {step})" for run, step in result["diverged"].items())
        parts.append(f"Diverged and left out: {said}.")
    parts.append("\n".join(f"- {note}" for note in result["notes"]))
    parts.append(f"Training took {result['seconds']:.0f} s.")
    return "\n\n".join(parts) + "\n"


def row_name(row: str) -> str:
    """A row as words: baselines say that they are."""
    return f"baseline: {NAMES[row].lower().replace('dna', 'DNA')}" if row in NAMES else row.replace("+", " + ")


def _scores(result):
    """A line for each row, two columns for each score, and what it has over the last row."""
    found, scores = result["results"][ALL_LINES], result["scores"]
    columns = [result["rows"], "runs"]
    columns += [word for metric in scores for word in (METRICS[metric], "lowest to highest")]
    if result["reference"]:
        columns += [f"{METRICS[metric]} minus that of {row_name(result['reference'])}" for metric in scores]
    lines = []
    for row, values in found["rows"].items():
        trained = row in result["trained_on"]
        line = [row_name(row), str(values[scores[0]]["runs"]) if trained else ""]
        for metric in scores:
            one = values[metric]
            line += [_words(one), _range(one) if trained else ""]
        if result["reference"]:
            lead = found["differences"].get(row, {})
            line += [_words(lead[metric], "+.3f") if metric in lead else "" for metric in scores]
        lines.append(line)
    return _table(columns, lines)


def _range(value):
    """Lowest and highest of the runs of a row."""
    return UNKNOWN if value["lowest"] != value["lowest"] else f"{value['lowest']:.3f} to {value['highest']:.3f}"


def _matrix(result, metric):
    """Trained on by tested on; an asterisk where the line was not trained on."""
    places = {place: one for place, one in result["results"].items() if place != ALL_LINES}
    columns = [f"{METRICS[metric]}; {result['rows']}"]
    columns += [f"tested on {line} ({one['n_cells']} cells, {one['n_groups']} groups)" for line, one in places.items()]
    lines = []
    for row, lines_of in result["trained_on"].items():
        line = [row_name(row)]
        for place, one in places.items():
            value = one["rows"][row][metric]
            new = "" if place in lines_of else " *"
            known = value["value"] == value["value"]
            line.append(f"{_words(value)}, {_range(value)}{new}" if known else f"{UNKNOWN}{new}")
        lines.append(line)
    return _table(columns, lines)


def _absent(result):
    """Which classes have no cell in a place that is shown, a paragraph; [] where all have."""
    shown = [place for place in result["results"] if (place == ALL_LINES) == (result["columns"] == "scores")]
    absent = {place: found for place in shown if (found := result["results"][place]["absent"])}
    if not absent:
        return []
    said = "; ".join(f"{place} without {' and '.join(found)}" for place, found in absent.items())
    return [f"A class is absent among the labelled cells: {said}. A score that needs it is a dash; balanced accuracy "
            "is of the other classes."]


def _table(columns, lines):
    return "\n".join("| " + " | ".join(line) + " |" for line in [columns, ["---"] * len(columns), *lines])


def _words(score, form=".3f"):
    interval = Interval.of(score)
    if math.isnan(interval.value):
        return UNKNOWN
    if not interval.is_known:
        return f"{interval.value:{form}}"
    return f"{interval.value:{form}} ({interval.low:{form}} to {interval.high:{form}})"


def notes(plan, tested, one) -> list[str]:
    """What the table rests on and cannot show, in plain sentences.

    Args:
        plan: `sweep_plan.Plan`.
        tested: `sweep_scores.Tested`.
        one: a run of the last row.
    """
    table, crops = plan.study.table, tested.crops
    chance = ", ".join(f"{CHANCE[m](crops.classes):g} for {METRICS[m]}" for m in table.scores if m in CHANCE)
    said = ["A score is the mean over the runs of a row, which differ in their seed. Its interval resamples whole "
            f"groups ({crops.group_by}), jointly for all runs: what other such groups would change, not other training "
            "cells.", "Lowest to highest is over the seeds: other starting weights, another order of the same cells. "
            "Seeds are no biological replicates.", *([f"Chance is {chance}."] if chance else [])]
    if tested.reference:
        said.append(f"Differences are paired, on the same resamples; {len(tested.rows) - 1} rows are compared and no "
                    "interval is corrected for that.")
    if table.columns == "scores":
        said.append(f"Baselines know the measurements of {', '.join(one.channels)}; they have no seed.")
    else:
        smallest = min(len(set(crops.group_id[rows].tolist())) for rows in tested.places().values())
        said.append("An asterisk: the line was not trained on, and chose no weights.")
        if few := intervals.caveat(smallest, " in a column"):
            said.append(few)
    hidden = any(m.config.data.channels and crops.nucleus not in m.config.data.channels for m in plan.members)
    if hidden and one.config.data.mask in OUTLINED:
        said.append(f"Rows without {crops.nucleus}: the mask follows the nucleus, so its size and shape still show.")
    return [*said, "One data set: nothing here shows how it is with other stainings, microscopes or days.",
            *evaluate.caveats(one, crops, tested.split)]
