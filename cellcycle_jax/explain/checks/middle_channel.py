"""A property that each channel of a cell has, such as how sharp or how bright it is, where most channels have it.

What happens to a whole cell shows in all of its channels, and what happens to a structure in its own stain. So what
counts is the channel in the middle: it follows the class only where most channels do.
"""

import dataclasses

import numpy as np

from cellcycle_jax.errors import result_or_reason
from cellcycle_jax.explain.checks import by_itself, nuisances
from cellcycle_jax.explain.checks.check import Answer, Evidence, Judgement
from cellcycle_jax.explain.checks.compared_cells import labelled_cells
from cellcycle_jax.explain.regions.explained_cells import resampling_of

SPREAD = 1.4826  # times the median absolute deviation: the standard deviation of normal values


def shown(crops) -> list[int]:
    """Positions of the channels that are no markers."""
    return [index for index, name in enumerate(crops.channels) if name not in crops.markers]


def ask(evidence: Evidence, measure) -> dict:
    """What a property that each channel of a cell has tells, where most of its channels have it.

    Args:
        evidence: the explained cells.
        measure: (crops, pixels on disk) -> f64 [N, C].

    Returns:
        The results of `_ask`, and why there are none, "" where there are.
    """
    results, why = result_or_reason(_ask, evidence, measure)
    return {**(results or {}), "why": why}


def _ask(evidence: Evidence, measure) -> dict:
    """See `ask`.

    Returns:
        channels: [{channel, class_auroc}], best first, with which the property in each channel predicts the class of
        validation cells, learnt from those of training; class_auroc: that of the channel in the middle; network_auroc:
        that of the network; share and within_class: of the middle of a cell's channels, see `nuisances.told`.
        Intervals are of the run's own level, since there is no alarm.

    Raises:
        InputRefused: labelled cells of training are of one class.
    """
    run = evidence.cells.run
    resampling = resampling_of(run)
    crops = evidence.compared.crops
    trained_on = labelled_cells(run, "train")
    channels = shown(crops)
    of_training = relative_to_field(measure(trained_on)[:, channels], trained_on.field_id)
    of_cells = relative_to_field(measure(crops)[:, channels], crops.field_id)

    def predicted(training_values, values):
        return nuisances.class_probabilities(training_values, trained_on.label, values, len(crops.classes))

    rows = []
    for column, index in enumerate(channels):
        prob = predicted(of_training[:, [column]], of_cells[:, [column]])
        score = resampling.scores(crops.label, prob, crops.group_id, ("auroc",))["auroc"]
        rows.append({"channel": crops.channels[index], "class_auroc": score})
    rows.sort(key=lambda row: row["class_auroc"].value, reverse=True)
    middle_of_training = np.median(of_training, axis=1, keepdims=True)
    middle_of_cells = np.median(of_cells, axis=1, keepdims=True)
    prob = predicted(middle_of_training, middle_of_cells)
    return {
        "channels": rows,
        "class_auroc": rows[len(rows) // 2]["class_auroc"],
        "network_auroc": by_itself.auroc_of_network(evidence.compared, resampling),
        **nuisances.told(prob, middle_of_cells, evidence.compared, resampling),
    }


def relative_to_field(values, fields) -> np.ndarray:
    """Values f64 [N, C] less the median of their field, in standard deviations of these differences, f64 [N, C].

    What a whole field shares is a check of its own.
    """
    differences = np.empty_like(values)
    for field in np.unique(fields):
        inside = fields == field
        differences[inside] = values[inside] - np.median(values[inside], axis=0)
    spread = SPREAD * np.median(np.abs(differences), axis=0)
    return differences / np.where(spread > 0, spread, 1)


def not_asked(words: str, results: dict) -> Judgement:
    """Where there are no results of `ask`; `words` name the property."""
    return Judgement(
        Answer.UNKNOWN,
        f"Whether it reads {words} was not asked: {results['why']}.",
        remedy="Labelled cells of both classes would tell.",
    )


def in_channels(results: dict) -> str:
    """How well a property predicts the class in each channel, in words."""
    return ", ".join(f"{row['channel']} {row['class_auroc'].text()}" for row in results["channels"])


def judge_told(words: str, results: dict, about: dict) -> Judgement:
    """As `nuisances.judge_told`, with what each channel tells; it is never an alarm."""
    judgement = nuisances.judge_told(words, False, results, about)
    sentence = f"{judgement.sentence} (By channel, of which the middle one counts: {in_channels(results)}.)"
    return dataclasses.replace(judgement, sentence=sentence)
