"""Does the network read how bright a single cell is in all of its stains at once?

Cells that let more stain in, or that lie in more light, are brighter in every channel, and so are those that are
thicker by themselves. A structure that grows is brighter in its own stain. Over the nucleus the other stains show
little of their structures, so how bright a channel is is measured by its lower quartile there. As in
`middle_channel` the channel in the middle counts, and what makes cells of a class brighter no picture tells: it is
never an alarm.
"""

import numpy as np

from cellcycle_jax import schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.checks import by_itself, camera_pixels, middle_channel
from cellcycle_jax.explain.checks.check import Answer, Check, Evidence, Judgement, Question

QUARTILE = 0.25  # of the pixels of the nucleus
LEAST_CHANNELS = 2  # of one alone nothing tells light from the amount of what is stained
WORDS = "how bright a cell is in most channels at once"


def ask(evidence: Evidence) -> dict:
    """What the brightness of the own nucleus tells, see `middle_channel.ask`; nothing of one channel."""
    if len(middle_channel.shown(evidence.compared.crops)) < LEAST_CHANNELS:
        return {"can_arise": False, "why": ""}
    return {"can_arise": True, **middle_channel.ask(evidence, brightness)}


def brightness(crops: crop_arrays.Crops) -> np.ndarray:
    """Lower quartile of each channel over the nucleus, f64 [N, C], camera units above the background.

    Over the own cell where no nucleus is known.
    """
    rows = []
    for block in camera_pixels.blocks(crops):
        nuclei = block.compartments & int(schema.Compartment.NUCLEUS) > 0
        own = np.where(nuclei.any(axis=(1, 2), keepdims=True), nuclei, camera_pixels.own_pixels(block))
        for image, inside in zip(camera_pixels.camera_units(block), own, strict=True):
            rows.append(np.quantile(image[inside].astype(np.float64), QUARTILE, axis=0))
    return np.array(rows)


def judge(results: dict, about: dict) -> Judgement:
    """Passed where the channel in the middle does not tell the class as a light of single cells does.

    Not passed where it may, and predicts the class for certain; else as `middle_channel.judge_told`.
    """
    if not results["can_arise"]:
        return Judgement(
            Answer.IMPOSSIBLE,
            "With one channel nothing tells light from the amount of what is stained, so it is not asked whether cells "
            "of a class are brighter in all stains.",
        )
    if results["why"]:
        return middle_channel.not_asked(WORDS, results)
    of_channels = middle_channel.in_channels(results)
    score = results["class_auroc"]
    allowed = by_itself.most_allowed(results["network_auroc"])
    if by_itself.is_below(score, allowed):
        return Judgement(
            Answer.PASSED,
            "Over the nucleus most channels predict the class by their brightness no better than structures do "
            f"(areas under the ROC curve: {of_channels}; allowed for the middle one: below {allowed:.2f}).",
        )
    if by_itself.tells_the_class(score, about):
        return Judgement(
            Answer.UNKNOWN,
            f"Over the nucleus most channels are brighter in one class (areas under the ROC curve: {of_channels}). "
            "Whether its cells are thicker by themselves, or let more stain in, and whether the network reads that, no "
            "data of this kind can tell.",
            remedy="Cells of both classes that are as bright in all stains would tell.",
        )
    return middle_channel.judge_told(WORDS, results, about)


QUESTION = Question("cell_light", ask)
CHECK = Check("does not read how bright the cell is in all its stains", QUESTION, judge, needed=True)
