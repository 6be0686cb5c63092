"""The table of a study in Markdown, and what it cannot show."""

import math

import pandas as pd

from cellcycle_jax.dataset.model_input import OUTLINED
from cellcycle_jax.evaluation import evaluate
from cellcycle_jax.figures.style import METRICS, NAMES
from cellcycle_jax.scoring import intervals
from cellcycle_jax.scoring.intervals import Interval

ALL_LINES = "all lines"  # tested on the cells of all lines
LEAST_P = 0.001  # smaller ones are not written out
UNKNOWN = "-"  # instead of a score that needs a class without cells


def chance_of(metric: str, classes) -> float | None:
    """The score of a guess that knows nothing of the cell; None where it is not known."""
    if metric == "balanced_accuracy":
        return 1 / len(classes)
    return {"auroc": 0.5, "mcc": 0.0}.get(metric)


def markdown(name: str, result: dict) -> str:
    """The table with its heading, what diverged, and the notes.

    Args:
        name: of the study.
        result: what `sweep_scores.score_sweep` puts into sweep.json.
    """
    overall = result["results"][ALL_LINES]
    head = (f"{result['split']} split: {overall['n_cells']} labelled cells, {overall['n_groups']} groups "
            f"({result['group_by']}); {result['interval_level']:.0%} intervals in brackets")
    if result["columns"] == "cell lines":
        tables = [_matrix(result, metric) for metric in result["scores"]]
    else:
        tables = [_scores(result)]
    parts = [f"# {name}", head, *tables, *_absent(result)]
    if result["diverged"]:
        diverged = ", ".join(f"{run} (step {step})" for run, step in result["diverged"].items())
        parts.append(f"Diverged and left out: {diverged}.")
    parts.append("- " + "\n- ".join(result["notes"]))
    parts.append(f"Training took {result['seconds']:.0f} s.")
    return "\n\n".join(parts) + "\n"


def row_name(row: str) -> str:
    """A row as words: baselines say that they are."""
    if row not in NAMES:
        return row.replace("+", " + ")
    name = NAMES[row].lower().replace("dna", "DNA")
    return f"baseline: {name}"


def tested_lines(result: dict) -> list[str]:
    """The cell lines that were tested on, without ALL_LINES."""
    return [place for place in result["results"] if place != ALL_LINES]


def _scores(result):
    """A line for each row, two columns for each score, and what it has over the last row."""
    overall = result["results"][ALL_LINES]
    metrics = result["scores"]
    head = [result["rows"], "runs"]
    for metric in metrics:
        head += [METRICS[metric], "lowest to highest"]
    if result["reference"]:
        reference = row_name(result["reference"])
        for metric in metrics:
            head.append(f"{METRICS[metric]} minus that of {reference}")
    lines = [head]
    for row, scores in overall["rows"].items():
        trained = row in result["trained_on"]
        line = [row_name(row), str(scores[metrics[0]]["runs"]) if trained else ""]
        for metric in metrics:
            line.append(_words(scores[metric]))
            line.append(_range(scores[metric]) if trained else "")
        if result["reference"]:
            differences = overall["differences"].get(row, {})
            for metric in metrics:
                line.append(_difference(differences[metric]) if metric in differences else "")
        lines.append(line)
    return _table(lines)


def _range(score):
    """Lowest and highest of the runs of a row."""
    if math.isnan(score["lowest"]):
        return UNKNOWN
    return f"{score['lowest']:.3f} to {score['highest']:.3f}"


def _matrix(result, metric):
    """Trained on by tested on; an asterisk where the line was not trained on."""
    places = tested_lines(result)
    head = [f"{METRICS[metric]}; {result['rows']}"]
    for place in places:
        scores = result["results"][place]
        head.append(f"tested on {place} ({scores['n_cells']} cells, {scores['n_groups']} groups)")
    lines = [head]
    for row, lines_of_row in result["trained_on"].items():
        line = [row_name(row)]
        for place in places:
            score = result["results"][place]["rows"][row][metric]
            text = _words(score)
            if text != UNKNOWN:
                text += f", {_range(score)}"
            line.append(text if place in lines_of_row else f"{text} *")
        lines.append(line)
    return _table(lines)


def _absent(result):
    """A paragraph on the places shown in which a class has no cell; [] where each has cells of all classes."""
    without = []
    for place, scores in result["results"].items():
        shown = (place == ALL_LINES) == (result["columns"] == "scores")
        if shown and scores["absent"]:
            without.append(f"{place} without {' and '.join(scores['absent'])}")
    if not without:
        return []
    return [f"A class is absent among the labelled cells: {'; '.join(without)}. A score that needs it is a "
            "dash; balanced accuracy is of the other classes."]


def _table(lines):
    """A Markdown table, of which the first line is the head."""
    ruled = [lines[0], ["---"] * len(lines[0]), *lines[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in ruled)


def _words(score, sign="-"):
    """A score with its interval; `sign` as of `Interval.text`."""
    interval = Interval.of(score)
    if math.isnan(interval.value):
        return UNKNOWN
    if not interval.is_known:
        return f"{interval.value:{sign}.3f}"
    return interval.text(3, sign)


def _difference(score):
    """A difference with its interval, and how probable one as large is by chance."""
    interval = Interval.of(score)
    if not interval.is_known or interval.p is None:
        return _words(score, "+")
    p = f"p = {interval.p:.3f}" if interval.p >= LEAST_P else f"p < {LEAST_P}"
    return f"{_words(score, '+')}, {p}"


def notes(plan, tested, run) -> list[str]:
    """What the table rests on and cannot show, in plain sentences.

    Args:
        plan: `sweep_plan.Plan`.
        tested: `sweep_scores.Tested`.
        run: one of the last row.
    """
    table = plan.study.table
    crops = tested.crops
    sentences = [
        "A score is the mean over the runs of a row, which differ in their seed. Its interval leaves out one "
        f"group at a time ({crops.group_by}), jointly for all runs: what other such groups would change, not other "
        "training cells.",
        "Lowest to highest is over the seeds: other starting weights, another order of the same cells. "
        "Seeds are no biological replicates.",
    ]
    chances = []
    for metric in table.scores:
        chance = chance_of(metric, crops.classes)
        if chance is not None:
            chances.append(f"{chance:g} for {METRICS[metric]}")
    if chances:
        sentences.append(f"Chance is {', '.join(chances)}.")
    if tested.reference:
        sentences.append("Differences are paired: both without the same group. Intervals are of each difference alone; "
                         f"p is corrected for all that are compared, {len(tested.rows) - 1} rows in each score (Holm).")
    if table.columns == "scores":
        sentences.append(f"Baselines know the measurements of {', '.join(run.channels)}; they have no seed.")
    else:
        sentences.append("An asterisk: the line was not trained on, and chose no weights.")
        groups_of_lines = pd.Series(crops.group_id).groupby(crops.cell_line).nunique()
        caveat = intervals.caveat(int(groups_of_lines.min()), " in a column")
        if caveat:
            sentences.append(caveat)
    if run.config.data.mask in OUTLINED and _hides_nucleus(plan, crops.nucleus):
        sentences.append(f"Rows without {crops.nucleus}: the mask follows the nucleus, so its size and shape "
                         "still show.")
    sentences.append("One data set: nothing here shows how it is with other stainings, microscopes or days.")
    return sentences + evaluate.caveats(run, crops, tested.split)


def _hides_nucleus(plan, nucleus):
    """Whether some run of the study does not see the nuclear channel."""
    for member in plan.members:
        channels = member.config.data.channels
        if channels and nucleus not in channels:
            return True
    return False
