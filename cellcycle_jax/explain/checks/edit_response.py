"""Does editing what the map names move the prediction? Cells are edited in one property, see `edits`."""

import math

import pandas as pd

from cellcycle_jax.explain.checks import channel_importance
from cellcycle_jax.explain.checks.check import Answer, Check, Evidence, Judgement, Question
from cellcycle_jax.explain.edits import dose_response, edits
from cellcycle_jax.explain.regions import class_difference
from cellcycle_jax.explain.regions.explained_cells import ExplainedCells


def ask(evidence: Evidence) -> dict:
    """How the margin of the last class follows edits of single properties, and whether the channels' shares agree."""
    cells = evidence.cells.few
    crops = cells.crops
    names = names_of_edits(cells)
    edited = to_edit(cells)
    last_class = crops.classes[-1]
    rows = dose_response.dose_response(
        cells.run.network, edited, len(crops.classes) - 1, names, cells.resampling
    )
    channels = evidence.results(channel_importance.QUESTION)
    shares = channel_shares(evidence.cells.class_differences, channels, last_class)
    return {"class": last_class, "rows": rows, "agreement": dose_response.agreement(rows, shares)}


def to_edit(cells: ExplainedCells) -> dose_response.EditedCells:
    """The cells as they are edited."""
    crops = cells.crops
    return dose_response.EditedCells(
        images=cells.images,
        compartments=crops.compartments,
        present=crops.compartments_present,
        groups=cells.groups,
        channels=cells.run.channels,
        nucleus=crops.nucleus,
        stain=crops.stains[0] if crops.stains else "",
    )


def names_of_edits(cells: ExplainedCells) -> list[str]:
    """The edits of which the network can see something."""
    return [name for name, edit in edits.EDITS.items() if _can_show(cells, edit, name)]


def channel_shares(differences: pd.DataFrame, channels: dict, class_name: str) -> dict[str, float]:
    """Share of each channel: of what separates a class from the rest, or where regions are not known of the score.

    A share that is not known, such as that of a score of one class alone, is left out.

    Args:
        differences: as `ExplainedCells.class_differences`.
        channels: as `channel_importance.ask` returns it.
        class_name: the class.
    """
    shares = {}
    if len(differences):
        of_class = differences[differences["class"] == class_name]
        shares = class_difference.by_channel(of_class).to_dict()
    elif channels["shapley"]:
        shares = dict(zip(channels["channels"], channels["shapley"]["auroc"]["value"], strict=True))
    return {channel: share for channel, share in shares.items() if math.isfinite(share)}


def _can_show(cells, edit, name) -> bool:
    """Whether the network can see what an edit changes: relative to its own brightest pixel no cell is brighter."""
    crops = cells.crops
    channels = cells.run.channels
    if edit.channel != "nucleus":
        return bool(crops.stains) and crops.stains[0] in channels
    if name == "nuclear_area":
        return True
    return crops.nucleus in channels and cells.run.config.data.scale != "nucleus_max"


def judge(results: dict, about: dict) -> Judgement:
    """Passed where an edit of the channel with the largest share certainly moves the prediction enough.

    Failed where each of its edits certainly moves it less than that.
    """
    least = about["limits"]["edit_slope"]
    agreement = results["agreement"]
    leading_channel = agreement["by_attribution"]
    sentence = agreement["sentence"] if leading_channel else "Which channel the map names is not known."
    answers = []
    slopes = []
    for row in results["rows"]:
        slope = row["slope"]
        if slope is None:
            continue
        slopes.append(f"{row['words']} {slope.value:+.2f}")
        if row["channel"] == leading_channel and slope.is_known:
            answers.append(_moves_enough(slope, row["certain"], least))
    if slopes:
        sentence += f" Change of the margin of {results['class']} per +10 %: {'; '.join(slopes)}."
        sentence += f" Required: {least:g} or more, up or down, and an interval without 0."
    return Judgement(_best(answers), sentence)


def _moves_enough(slope, is_certain: bool, least: float) -> Answer:
    """Whether an edit moves the prediction by `least` per +10 % or more, up or down."""
    if is_certain and abs(slope.value) >= least:
        return Answer.PASSED
    if -least < slope.low and slope.high < least:
        return Answer.FAILED
    return Answer.UNKNOWN


def _best(answers) -> Answer:
    """PASSED where one edit passes, FAILED where there are some and all fail."""
    if Answer.PASSED in answers:
        return Answer.PASSED
    if answers and Answer.UNKNOWN not in answers:
        return Answer.FAILED
    return Answer.UNKNOWN


QUESTION = Question("edits", ask)
CHECK = Check("editing the channel that the map names changes the prediction", QUESTION, judge)
