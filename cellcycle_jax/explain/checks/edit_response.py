"""Does editing what the map names move the answer? Cells are edited in one property, see `edits`."""

import math

import pandas as pd

from cellcycle_jax.explain.checks import channel_importance
from cellcycle_jax.explain.checks.check import Check, Evidence, Judgement, Question
from cellcycle_jax.explain.edits import dose_response, edits
from cellcycle_jax.explain.regions import class_difference


def ask(evidence: Evidence) -> dict:
    """How the margin of the last class follows edits of single properties, and whether the channels' shares agree."""
    cells = evidence.cells.few
    run, crops = cells.run, cells.crops
    names = [name for name, edit in edits.EDITS.items() if _can_show(cells, edit, name)]
    rows = dose_response.dose_response(
        run.network, cells.images, crops.compartments, crops.compartments_present, cells.groups,
        len(crops.classes) - 1, names, run.channels, crops.nucleus, crops.stains[0] if crops.stains else "",
        cells.resampling)  # fmt: skip
    shares = channel_shares(evidence.cells.class_differences, evidence.answer(channel_importance.QUESTION),
                            crops.classes[-1])
    return {"class": crops.classes[-1], "rows": rows, "agreement": dose_response.agreement(rows, shares)}


def channel_shares(differences: pd.DataFrame, channels: dict, class_name: str) -> dict[str, float]:
    """Share of each channel: of what tells a class from the rest, or where regions are not known of the score.

    A share that is not known, such as that of a score of one class alone, is left out.

    Args:
        differences: as `ExplainedCells.class_differences`.
        channels: the answer to `channel_importance.QUESTION`.
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
    crops, seen = cells.crops, cells.run.channels
    if edit.channel != "nucleus":
        return bool(crops.stains) and crops.stains[0] in seen
    return name == "nuclear_area" or (crops.nucleus in seen and cells.run.config.data.scale != "own_max")


def judge(answer: dict, about: dict) -> Judgement:
    """Passed where an edit of the channel with the largest share certainly moves the answer enough."""
    least = about["limits"]["edit_slope"]
    agreement = answer["agreement"]
    moved = [row for row in answer["rows"] if row["slope"] is not None]
    leading = []
    for row in moved:
        if row["channel"] == agreement["by_attribution"] and row["slope"].is_known:
            leading.append(row["certain"] and abs(row["slope"].value) >= least)
    sentence = agreement["sentence"] if agreement["by_attribution"] else "Which channel the map names is not known."
    if moved:
        slopes = "; ".join(f"{row['words']} {row['slope'].value:+.2f}" for row in moved)
        sentence += (f" Change of the margin of {answer['class']} per +10 %: {slopes}. Asked for: {least:g} or "
                     "more, up or down, and an interval without 0.")
    return Judgement(any(leading) if leading else None, sentence)


QUESTION = Question("edited", ask)
CHECK = Check("editing what the map names moves the answer", QUESTION, judge)
