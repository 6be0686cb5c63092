"""Does the network read what cells near each other share, such as the light or the focus of a part of the field?

Such a part may lie elsewhere in each field, so that the position does not tell it. But where it gives the class away,
cells of a class lie together. So the class of a cell is predicted from the classes of the labelled cells near it, less
those of all other labelled cells of its field. What is missing of the difference between the classes among cells with
like neighbours is not read in the single cell. Clones and cells that touch may be alike as well: it is never an alarm.
"""

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from cellcycle_jax import schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.errors import result_or_reason
from cellcycle_jax.explain.checks import nuisances
from cellcycle_jax.explain.checks.check import Answer, Check, Evidence, Judgement, Question
from cellcycle_jax.explain.regions.explained_cells import shortcut_resampling

NEAREST = (3, 10)  # numbers of nearest labelled cells whose classes are counted
WORDS = "of which class the cells near a cell are"


def ask(evidence: Evidence) -> dict:
    """What the classes of nearby cells tell.

    Returns:
        class_auroc: with which they predict the class; share and within_class: see `nuisances.told`; why: there are no
        results, "" where there are; can_arise: False where no field holds labelled cells of several classes.
    """
    results, why = result_or_reason(_ask, evidence)
    return {**(results or {"can_arise": True}), "why": why}


def _ask(evidence: Evidence) -> dict:
    """See `ask`.

    Raises:
        InputRefused: where cells lie in their fields is not known, or labelled cells of training are of one class.
    """
    run = evidence.cells.run
    crops = evidence.compared.crops
    classes = len(crops.classes)
    label_of_training, of_training = _of_split(run, "train", classes)
    label, of_labelled = _of_split(run, "validation", classes)
    if not of_labelled.to_numpy().any():
        return {"can_arise": False}
    of_cells = of_labelled.loc[crops.cell_id].to_numpy()
    resampling = shortcut_resampling(run)
    prob = nuisances.class_probabilities(of_training.to_numpy(), label_of_training, of_cells, classes)
    score = resampling.scores(crops.label, prob, crops.group_id, ("auroc",))["auroc"]
    told = nuisances.told(prob, of_cells, evidence.compared, resampling)
    return {"can_arise": True, "class_auroc": score, **told}


def _of_split(run, split: str, classes: int) -> tuple[np.ndarray, pd.DataFrame]:
    """Classes i32 [N] of the labelled cells of a split, and what `classes_nearby` says of each, by its name."""
    crops = run.crops_of_lines(split)
    crops = crop_arrays.take(crops, crops.label != schema.NO_LABEL)
    places = nuisances.known_places(run.data).loc[crops.cell_id].to_numpy(float)
    return crops.label, pd.DataFrame(classes_nearby(places, crops.label, crops.field_id, classes), crops.cell_id)


def classes_nearby(places, label, fields, classes: int) -> np.ndarray:
    """Share of each class among the nearest labelled cells less that among all others of the field, f64 [N, K * P].

    Args:
        places: f64 [N, 2], centres in the field, px.
        label: i32 [N], all known.
        fields: text [N].
        classes: P.

    Returns:
        Of each of the K numbers of `NEAREST`, the difference for each class; 0 of cells that are alone in their field,
        and of cells in fields of one class.
    """
    shares = np.zeros((len(label), len(NEAREST), classes))
    is_class = np.eye(classes)[label]
    for field in np.unique(fields):
        rows = np.flatnonzero(fields == field)
        if len(rows) < 2:
            continue
        others = (is_class[rows].sum(0) - is_class[rows]) / (len(rows) - 1)
        most = min(max(NEAREST), len(rows) - 1)
        _, nearest = cKDTree(places[rows]).query(places[rows], most + 1)
        of_nearest = is_class[rows][nearest[:, 1:]]
        for column, number in enumerate(NEAREST):
            shares[rows, column] = of_nearest[:, :number].mean(1) - others
    return shares.reshape(len(label), -1)


def judge(results: dict, about: dict) -> Judgement:
    """See `nuisances.judge_told`; clones and cells that touch may be alike, so that it is no alarm by itself."""
    if not results["can_arise"]:
        return Judgement(
            Answer.IMPOSSIBLE,
            "Nothing can be read from what nearby cells share alone: each field holds labelled cells of one class.",
        )
    if results["why"]:
        return Judgement(
            Answer.UNKNOWN,
            f"Whether it reads what nearby cells share was not asked: {results['why']}.",
            remedy="A table of cells with their positions, and labelled cells of both classes, would tell.",
        )
    return nuisances.judge_told(WORDS, False, results, about)


QUESTION = Question("neighbours", ask)
CHECK = Check("tells cells near each other apart", QUESTION, judge, needed=True)
