"""Does the network read how sharp or how noisy the picture of a single cell is?

A cell out of the focal plane loses its finest detail in every channel, and in a noisier picture it gains some in every
channel. A structure that becomes finer or coarser does so in its own stain. So how fine a cell's pattern is is measured
in each channel, and what counts is the channel in the middle: it follows the class only where most channels do. Whether
cells of a class lie out of focus by themselves, as round ones do, or were taken so, no picture tells: it is never an
alarm.
"""

import dataclasses

import numpy as np
from scipy import ndimage

from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.errors import result_or_reason
from cellcycle_jax.explain.checks import camera_pixels, nuisances
from cellcycle_jax.explain.checks.check import Answer, Check, Evidence, Judgement, Question
from cellcycle_jax.explain.checks.compared_cells import labelled_cells
from cellcycle_jax.explain.regions.explained_cells import resampling_of

FINEST_PX = 0.7  # sd of the Gaussian that takes off the finest detail, px of the crop
COARSE_PX = 2.0  # sd of the Gaussian whose result is neither fine nor finest
TELLING = 0.8  # area under the ROC curve that structures which become finer do not reach by themselves
LEAST_ENERGY = 1e-6  # of the mean energy of a channel's finest detail: what is below is taken for that
WORDS = "how sharp or noisy the picture of the single cell is"
SPREAD = 1.4826  # times the median absolute deviation: the standard deviation of normal values


def ask(evidence: Evidence) -> dict:
    """What the fineness of the own picture tells, see `ask_of_channels`."""
    return ask_of_channels(evidence, fineness)


def ask_of_channels(evidence: Evidence, measure) -> dict:
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
    """See `ask_of_channels`.

    Returns:
        channels: [{channel, class_auroc}], best first, with which the property in each channel predicts the class of
        validation cells, learnt from those of training; class_auroc: that of the channel in the middle; share and
        within_class: of the middle of a cell's channels, see `nuisances.told`. Intervals are of the run's own level,
        since there is no alarm.

    Raises:
        InputRefused: labelled cells of training are of one class.
    """
    run = evidence.cells.run
    resampling = resampling_of(run)
    crops = evidence.compared.crops
    trained_on = labelled_cells(run, "train")
    channels = [index for index, name in enumerate(crops.channels) if name not in crops.markers]
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
        **nuisances.told(prob, middle_of_cells, evidence.compared, resampling),
    }


def fineness(crops: crop_arrays.Crops) -> np.ndarray:
    """How fine the pattern of each cell is, f64 [N, C]: log of the energy of its finest detail over that of its fine.

    Noise raises it and blur lowers it. How bright the cell is cancels.
    """
    energies = np.concatenate([_energies(block) for block in camera_pixels.blocks(crops)])
    least = LEAST_ENERGY * energies[:, 0].mean(0) + np.finfo(float).tiny
    finest, fine = np.maximum(energies, least).transpose(1, 0, 2)
    return np.log(finest / fine)


def _energies(crops: crop_arrays.Crops) -> np.ndarray:
    """Mean squares of the finest and of the fine detail within the own cell, f64 [N, 2, C]."""
    images = camera_pixels.camera_units(crops)
    own = camera_pixels.own_pixels(crops)
    sharp = ndimage.gaussian_filter(images, (0, FINEST_PX, FINEST_PX, 0))
    coarse = ndimage.gaussian_filter(images, (0, COARSE_PX, COARSE_PX, 0))
    energies = []
    for detail in (images - sharp, sharp - coarse):
        energy = np.einsum("nijc,nijc,nij->nc", detail, detail, own, dtype=np.float64)
        energies.append(energy / own.sum((1, 2))[:, None])
    return np.stack(energies, axis=1)


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
    """Where there are no results of `ask_of_channels`; `words` name the property."""
    return Judgement(
        Answer.UNKNOWN,
        f"Whether it reads {words} was not asked: {results['why']}.",
        remedy="Labelled cells of both classes would tell.",
    )


def in_channels(results: dict) -> str:
    """How well a property predicts the class in each channel, in words."""
    return ", ".join(f"{row['channel']} {row['class_auroc'].text()}" for row in results["channels"])


def judge(results: dict, about: dict) -> Judgement:
    """As `nuisances.judge_told`, but passed where no channel tells the class as focus and noise do.

    And not passed where one may, and the middle channel follows the class for certain. How fine a pattern is measures
    noise and focus badly. Where it follows the class closely, the network may read them better than it does, and then
    as much is left between cells that it makes alike.
    """
    if results.get("why"):
        return not_asked(WORDS, results)
    of_channels = in_channels(results)
    scores = [row["class_auroc"] for row in results["channels"]]
    if all(score.is_known and score.high < TELLING for score in scores):
        return Judgement(
            Answer.PASSED,
            f"{WORDS[0].upper()}{WORDS[1:]} predicts the class no better than structures that become finer do (areas "
            f"under the ROC curve: {of_channels}; allowed: below {TELLING:g}).",
        )
    score = results["class_auroc"]
    if score.is_known and score.low >= about["limits"]["batch_auroc"]:
        return Judgement(
            Answer.UNKNOWN,
            f"{WORDS[0].upper()}{WORDS[1:]} predicts the class in most channels (areas under the ROC curve: "
            f"{of_channels}). Whether cells of a class lie out of focus by themselves or were taken so, and whether "
            "the network reads that, no data of this kind can tell.",
            remedy="Cells of both classes whose pictures are equally sharp and noisy would tell.",
        )
    judgement = nuisances.judge_told(WORDS, False, results, about)
    sentence = f"{judgement.sentence} (By channel, of which the middle one counts: {of_channels}.)"
    return dataclasses.replace(judgement, sentence=sentence)


QUESTION = Question("picture_quality", ask)
CHECK = Check("does not read how sharp or noisy the cell's own picture is", QUESTION, judge, needed=True)
