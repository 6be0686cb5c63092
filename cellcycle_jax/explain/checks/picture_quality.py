"""Does the network read how sharp or how noisy the picture of a single cell is?

A cell out of the focal plane loses its finest detail in every channel, and in a noisier picture it gains some in every
channel. A structure that becomes finer or coarser does so in its own stain. So how fine a cell's pattern is is measured
in each channel, and what counts is the channel in the middle: it follows the class only where most channels do. Whether
cells of a class lie out of focus by themselves, as round ones do, or were taken so, no picture tells: it is never an
alarm.
"""

import numpy as np
from scipy import ndimage

from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.checks import by_itself, camera_pixels, middle_channel
from cellcycle_jax.explain.checks.check import Answer, Check, Evidence, Judgement, Question

FINEST_PX = 0.7  # sd of the Gaussian that takes off the finest detail, px of the crop
COARSE_PX = 2.0  # sd of the Gaussian whose result is neither fine nor finest
LEAST_ENERGY = 1e-6  # of the mean energy of a channel's finest detail: what is below is taken for that
WORDS = "how sharp or noisy the picture of the single cell is"


def ask(evidence: Evidence) -> dict:
    """What the fineness of the own picture tells, see `middle_channel.ask`."""
    return middle_channel.ask(evidence, fineness)


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


def judge(results: dict, about: dict) -> Judgement:
    """As `nuisances.judge_told`, but passed where no channel tells the class as focus and noise do.

    And not passed where one may, and the middle channel follows the class for certain. How fine a pattern is measures
    noise and focus badly. Where it follows the class closely, the network may read them better than it does, and then
    as much is left between cells that it makes alike.
    """
    if results.get("why"):
        return middle_channel.not_asked(WORDS, results)
    of_channels = middle_channel.in_channels(results)
    scores = [row["class_auroc"] for row in results["channels"]]
    if all(by_itself.is_below(score, by_itself.MOST) for score in scores):
        return Judgement(
            Answer.PASSED,
            f"{WORDS[0].upper()}{WORDS[1:]} predicts the class no better than structures that become finer do (areas "
            f"under the ROC curve: {of_channels}; allowed: below {by_itself.MOST:g}).",
        )
    score = results["class_auroc"]
    if by_itself.tells_the_class(score, about):
        return Judgement(
            Answer.UNKNOWN,
            f"{WORDS[0].upper()}{WORDS[1:]} predicts the class in most channels (areas under the ROC curve: "
            f"{of_channels}). Whether cells of a class lie out of focus by themselves or were taken so, and whether "
            "the network reads that, no data of this kind can tell.",
            remedy="Cells of both classes whose pictures are equally sharp and noisy would tell.",
        )
    return middle_channel.judge_told(WORDS, results, about)


QUESTION = Question("picture_quality", ask)
CHECK = Check("does not read how sharp or noisy the cell's own picture is", QUESTION, judge, needed=True)
