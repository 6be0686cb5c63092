"""Three checks for shortcuts: does the network read the surroundings, the brightness of the field, or the batch?

One question serves them: which cells are asked, where their fields are read, and when it cannot be asked. What is done
to the cells stands in `shortcuts`.
"""

import dataclasses

import numpy as np
import pandas as pd

from cellcycle_jax import schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.checks import shortcuts
from cellcycle_jax.explain.checks.check import Check, Evidence, Judgement, Question
from cellcycle_jax.explain.checks.limits import limits_of
from cellcycle_jax.explain.checks.score import CHANCE
from cellcycle_jax.explain.regions.explained_cells import resampling_of, sample_per_class
from cellcycle_jax.runs import trained_run
from cellcycle_jax.scoring import intervals
from cellcycle_jax.scoring.intervals import Interval

PER_CLASS = 500  # cells of each class, of training and validation, that are asked for shortcuts
PER_FIELD = 48  # cells of a field from which its brightness is known
BLOCK = 256  # cells in memory at a time where few numbers of many are wanted
NOT_EXCHANGED = {  # by data.mask, why surroundings were not exchanged
    "none": "the body of the cell is not known",
    "cell": "the mask blanks them, but its outline ends where a neighbour is nearer, which tells of them and was not "
            "asked about",
    "nucleus": "the mask shows the network nothing of them",
}  # fmt: skip


def ask(evidence: Evidence) -> dict:
    """See `ask_for_shortcuts`; it takes its own cells, of training too."""
    return ask_for_shortcuts(evidence.cells.run)


def ask_for_shortcuts(run: trained_run.Run, per_class: int = PER_CLASS) -> dict:
    """What the network reads in surroundings, in the brightness of the field and in the batch; see `shortcuts`.

    Cells of training and validation are asked, since a donor's class is unknown to the network in both.

    Args:
        run: the run.
        per_class: most cells of each class, half of them of each split.

    Returns:
        surroundings, brightness (each None where it cannot be asked) and brightness_why; batch, by plate, well and cell
        line; one_class_fields, see `shortcuts`; scale, how the network is shown cells; n_cells, n_groups, confidence.
    """
    confidence = limits_of(run).shortcut_confidence
    chosen, rng = run.config.data, np.random.default_rng(run.config.seed)
    parts = [run.data.crops_of_lines(split) for split in ("train", "validation")]
    crops = [
        crop_arrays.in_memory(
            crop_arrays.take(part, sample_per_class(part.label, len(part.classes), per_class // 2, rng))
        )
        for part in parts
    ]
    validation, crops = np.repeat([False, True], [len(part) for part in crops]), crop_arrays.join(crops)
    resampling = dataclasses.replace(resampling_of(run), confidence=confidence)
    cells = _seen(run, crops, validation)
    intact = methods.logits_of(run.network, cells.images)
    asked = {"surroundings": None, "n_cells": len(crops), "n_groups": len(set(crops.group_id.tolist())),
             "confidence": confidence, "scale": chosen.scale}  # fmt: skip
    if _know_bodies(crops).all() and chosen.mask == "none":
        asked["surroundings"] = shortcuts.surroundings(run.network, cells, intact, resampling)
    asked["brightness"], asked["brightness_why"] = _brightness(run, parts, crops, cells, intact, resampling)
    label, fields = (np.concatenate([getattr(part, name) for part in parts]) for name in ("label", "field_id"))
    labelled = (label != schema.NO_LABEL) & np.isin(fields, cells.fields)
    asked["one_class_fields"] = shortcuts.one_class_fields(label[labelled], fields[labelled])
    well = np.array([f"{plate}/{well}" for plate, well in zip(crops.plate, crops.well, strict=True)])
    batches = {"plate": crops.plate, "well": well, "cell line": crops.cell_line}
    asked["batch"] = {name: shortcuts.batch(crops.label, batch, crops.group_id, resampling)
                      if _hold_groups(batch, crops.group_id) else None for name, batch in batches.items()}
    return asked


def _seen(run, crops, validation=False):
    """Crops as the network sees them."""
    return shortcuts.Cells(run.images(crops), crops.label, crops.compartments, crops.group_id, crops.field_id,
                           np.broadcast_to(validation, len(crops)))


def _know_bodies(crops):
    return crops.compartments_present & int(schema.Compartment.BODY) > 0


def _brightness(run, parts, crops, cells, intact, resampling):
    """What the network reads in the brightness of the field; else None, and why it cannot be asked."""
    if run.config.data.scale == "own_max":
        return None, "each cell is shown relative to its own brightest pixel"
    if not _know_bodies(crops).all():
        return None, "the body of the cell is not known"
    if len(np.unique(cells.fields)) < 2:
        return None, "all cells are of one field"
    parts = [crop_arrays.take(part, _know_bodies(part)) for part in parts]
    ids, fields = (np.concatenate([getattr(part, name) for part in parts]) for name in ("cell_id", "field_id"))
    sizes = pd.Series(ids).groupby(fields).nunique()
    rows = np.isin(cells.fields, sizes.index[sizes > shortcuts.LEAST_CELLS].to_numpy(str))
    asked = cells.take(rows)
    if len(np.unique(asked.fields)) < 2 or len(np.unique(asked.label)) < 2:
        return None, ("fields of enough cells to know how bright the field is without the cell itself (more than "
                      f"{shortcuts.LEAST_CELLS}) are fewer than two, or hold labelled cells of one class only")
    own = _crop_levels(run, parts, np.unique(asked.fields))
    levels = shortcuts.field_levels(*own, crops.cell_id[rows], asked.fields)
    return shortcuts.brightness(run.network, asked, levels, intact[rows], resampling), ""


def _crop_levels(run, parts, fields):
    """`shortcuts.crop_levels` of up to PER_FIELD cells of each of some fields, labelled or not; their ids, fields."""
    rng, found = np.random.default_rng(run.config.seed), []
    for part in parts:
        rows = rng.permutation(np.flatnonzero(np.isin(part.field_id, fields)))
        rows = np.sort(rows[pd.Series(rows).groupby(part.field_id[rows]).cumcount().to_numpy() < PER_FIELD])
        for start in range(0, len(rows), BLOCK):
            crops = crop_arrays.in_memory(crop_arrays.take(part, rows[start : start + BLOCK]))
            found.append((shortcuts.crop_levels(_seen(run, crops)), crops.cell_id, crops.field_id))
    return [np.concatenate(column) for column in zip(*found, strict=True)]


def _hold_groups(batches, groups) -> bool:
    """Whether any batch holds two groups: a batch is told by its other groups, and one that is a group has none."""
    return len(set(zip(batches.tolist(), groups.tolist(), strict=True))) > len(set(batches.tolist()))


def judge_surroundings(asked: dict, about: dict) -> Judgement:
    """Passed where what goes with the surroundings to another cell is certainly a small share, or nothing is shown."""
    answer = asked["surroundings"]
    if answer is None and about["mask"] == "ring":
        return Judgement(False, "The mask shows the network nothing but surroundings.", alarm=True, asked=False)
    if answer is None:
        passed = True if about["mask"] == "nucleus" else None
        return Judgement(passed, f"Surroundings were not exchanged: {NOT_EXCHANGED[about['mask']]}.", asked=False)
    carried = answer["carried"]
    sentence = (
        f"{_goes_with('the surroundings', carried, about)} Area under the ROC curve of validation cells: "
        f"{answer['intact'].text()} as they are, {answer['cell'].text()} on others' "
        f"surroundings, {answer['around'].text()} against the labels of the cells that gave them; "
        f"{100 * answer['changed'].value:.0f} % of their calls change."
    )
    limit = about["limits"]["surroundings"]
    alarm = shortcuts.is_shortcut(Interval.of(carried), limit)
    return Judgement(_is_not_read(carried, limit, about), sentence, alarm)


def judge_brightness(asked: dict, about: dict) -> Judgement:
    """Passed where what goes with the brightness of the field to another cell is certainly a small share."""
    carried = asked["brightness"]
    if carried is None and asked["scale"] == "own_max":
        return Judgement(None, "Each cell is shown relative to its own brightest pixel, which hides how bright its "
                         "field is; the grain of the picture, which tells it too, was not asked about.", asked=False)
    if carried is None:
        return Judgement(None, f"Brightness was not exchanged: {asked['brightness_why']}.", asked=False)
    limit = about["limits"]["brightness"]
    is_shortcut = shortcuts.is_shortcut(Interval.of(carried), limit)
    one_class = asked["one_class_fields"]
    sentence = _goes_with("the brightness of the field", carried, about)
    if is_shortcut and one_class:
        sentence += " Nearly every field holds cells of one class, so this may be light or the cells' own brightness."
    if is_shortcut and one_class is None:
        sentence += " No field holds two labelled cells, so this may be light or the cells' own brightness."
    alarm = is_shortcut and one_class is False
    return Judgement(_is_not_read(carried, limit, about), sentence, alarm)


def judge_batch(asked: dict, about: dict) -> Judgement:
    """Passed where neither plate, well nor cell line tells the class without any picture."""
    scores = {name: score for name, score in asked["batch"].items() if score is not None}
    if not scores:
        return Judgement(None, "All cells are of one plate, well and cell line, or each of these is one group only: "
                         "whether it holds for another cannot be said.", asked=False)
    limit = about["limits"]["batch_auroc"]
    tells = {name: score.value >= limit and score.low > CHANCE for name, score in scores.items()}
    worst = max(scores, key=lambda name: (tells[name], scores[name].value))
    tail = "."
    if tells[worst]:
        tail = ": what the network learnt may be the batch."
    elif scores[worst].value <= CHANCE:
        tail = ", no better than chance."
    passed = not tells[worst] if scores[worst].is_known else None
    sentence = (f"The {worst} alone, without any picture, tells the class with an area under the ROC curve of "
                f"{scores[worst].text()}{tail}")
    return Judgement(passed, sentence, alarm=tells[worst])


def _goes_with(what, share, about) -> str:
    """How much of the difference goes with `what` to another cell; of more than two classes of the largest share."""
    difference = "the difference between the classes"
    if len(about["classes"]) > 2:
        difference = f"what tells {about['classes'][share['class']]} from the rest"
    share = Interval.of(share)
    words = share.percent()
    if share.is_known and round(100 * share.value) < 0:
        return f"Nothing of {difference} goes with {what} to another cell; it counts against (share {words})."
    return f"{words[0].upper()}{words[1:]} of {difference} goes with {what} to another cell."


def _is_not_read(share, limit, about) -> bool | None:
    """Whether a property is not read: True only where the whole interval lies on the good side of the limit.

    None where that cannot be told: of too few groups, or from an interval that reaches beyond the limit.
    """
    share = Interval.of(share)
    if shortcuts.is_shortcut(share, limit):
        return False
    if not share.is_known or about["n_groups"] < intervals.LEAST_GROUPS:
        return None
    if share.value <= -limit and share.high < 0:
        return False
    return True if -limit < share.low and share.high < limit else None


QUESTION = Question("shortcuts", ask)
SURROUNDINGS = Check("reads the cell, not its surroundings", QUESTION, judge_surroundings, needed=True)
BRIGHTNESS = Check("does not read the brightness of the field", QUESTION, judge_brightness, needed=True)
BATCHES = Check("class and batch are not the same", QUESTION, judge_batch)
