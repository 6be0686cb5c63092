"""Does the network tell apart cells of one field, or only what all cells of a field share?

Cells of a field share its light, focus and noise, its place on the plate, its treatment and the time it was taken. What
a network reads in these cannot tell two cells of one field apart. So the difference between the classes is taken once
between all cells and once between cells of one field: what is missing there lies between fields.
"""

import numpy as np
import pandas as pd

from cellcycle_jax.explain.checks import class_shares, shortcuts
from cellcycle_jax.explain.checks.check import Answer, Check, Evidence, Judgement, Question
from cellcycle_jax.explain.checks.score import CHANCE
from cellcycle_jax.explain.regions.explained_cells import shortcut_resampling
from cellcycle_jax.scoring import intervals
from cellcycle_jax.scoring.intervals import Interval

MOST = 0.5  # share of the difference from which hardly anything of it is told within a field


def ask(evidence: Evidence) -> dict:
    """The share of the difference between the classes that lies between fields.

    Returns:
        between_fields: the share, see `class_shares.missing_within`; n_fields; n_groups_of_both: groups with a field
        that holds labelled cells of several classes; one_class: of field, well, plate and cell line those of which
        there are several, each with cells of one class; batch: how well plate, well and cell line predict the class
        without any image, see `shortcuts.batch`.
    """
    resampling = shortcut_resampling(evidence.cells.run)
    crops = evidence.compared.crops
    share = class_shares.missing_within(
        evidence.compared.margins, crops.label, crops.field_id, crops.group_id, resampling
    )
    classes_of_field = pd.Series(crops.label).groupby(crops.field_id).transform("nunique").to_numpy()
    return {
        "between_fields": share,
        "n_fields": len(np.unique(crops.field_id)),
        "n_groups_of_both": len(np.unique(crops.group_id[classes_of_field > 1])),
        "one_class": [name for name, places in places_of(crops).items() if _one_class_each(crops.label, places)],
        "batch": batches(crops, resampling),
    }


def places_of(crops) -> dict[str, np.ndarray]:
    """Where each cell is, text [N], by the kind of place, from small to large."""
    well_of_plate = np.char.add(np.char.add(crops.plate, "/"), crops.well)
    return {"field": crops.field_id, "well": well_of_plate, "plate": crops.plate, "cell line": crops.cell_line}


def _one_class_each(label, places) -> bool:
    """Whether there are several places, each with cells of one class."""
    classes = pd.Series(label).groupby(places).nunique()
    return len(classes) > 1 and bool((classes == 1).all())


def batches(crops, resampling) -> dict:
    """How well each kind of batch predicts the class; None where no batch holds two groups, so that none can.

    The class of a cell is predicted from the other groups of its batch, and a batch of one group has none.
    """
    scores = {}
    for name, places in places_of(crops).items():
        if name == "field":
            continue
        groups_of_batch = pd.Series(crops.group_id).groupby(places).nunique()
        scores[name] = None
        if groups_of_batch.max() > 1:
            scores[name] = shortcuts.batch(crops.label, places, crops.group_id, resampling)
    return scores


def judge(results: dict, about: dict) -> Judgement:
    """Passed where the share that lies between fields is certainly small; an alarm where it is most for certain."""
    if results["n_fields"] < 2:
        return Judgement(Answer.IMPOSSIBLE, "All cells are of one field, so that all share what its cells share.")
    if "field" in results["one_class"]:
        places = results["one_class"]
        named = places[0] if len(places) == 1 else f"{', '.join(places[:-1])} and {places[-1]}"
        return Judgement(
            Answer.UNKNOWN,
            f"Each {named} holds labelled cells of one class: whether the network reads the class or what the cells of "
            f"a {places[-1]} share, such as light, focus, noise or a stain of another day, no data of this kind can "
            "tell.",
            remedy="Fields that hold labelled cells of both classes would tell.",
        )
    if results["n_groups_of_both"] < intervals.LEAST_GROUPS:
        return Judgement(
            Answer.UNKNOWN,
            f"Fields that hold labelled cells of several classes are of {results['n_groups_of_both']} groups, and it "
            f"takes {intervals.LEAST_GROUPS} to tell.",
            remedy=f"Such fields of at least {intervals.LEAST_GROUPS} groups ({about['group_by']}) would tell.",
        )
    share = Interval.of(results["between_fields"])
    limit = about["limits"]["surroundings"]
    answer = class_shares.answer_of(share, limit, about["n_groups"])
    sentence = f"{class_shares.in_words(results['between_fields'], about)} lies between fields"
    if answer is Answer.PASSED:
        sentence += ": the network tells cells of one field apart as well as cells of all."
    else:
        sentence += ", and is missing between cells of one field, which share light, focus, noise and treatment."
    remedy = class_shares.remedy_of(share, limit, about) if answer is Answer.UNKNOWN else ""
    alarm = answer is Answer.FAILED and share.low > MOST
    return Judgement(answer, sentence + _batch_in_words(results["batch"], about), alarm, remedy)


def _batch_in_words(batch, about) -> str:
    """A sentence on the batch that predicts the class best, if any does for certain."""
    limit = about["limits"]["batch_auroc"]
    telling = {}
    for name, score in batch.items():
        if score is not None and score.value >= limit and score.low > CHANCE:
            telling[name] = score
    if not telling:
        return ""
    best = max(telling, key=lambda name: telling[name].value)
    return (f" The {best} alone, without any image, predicts the class with an area under the ROC curve of "
            f"{telling[best].text()}.")


QUESTION = Question("within_fields", ask)
CHECK = Check("tells cells of one field apart", QUESTION, judge, needed=True)
