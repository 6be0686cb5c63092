"""Four checks for shortcuts: does the network read surroundings, outline, brightness of the field, or batch?

One question serves them: which cells are tested, where their fields are read, and when a test cannot be made. What is
done to the cells stands in `shortcuts` and `outlines`.
"""

import dataclasses

import numpy as np
import pandas as pd

from cellcycle_jax import schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.dataset.model_input import OUTLINED
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.checks import outlines, shortcuts
from cellcycle_jax.explain.checks.check import Check, Evidence, Judgement, Question
from cellcycle_jax.explain.checks.score import CHANCE
from cellcycle_jax.explain.regions.explained_cells import resampling_of, sample_per_class
from cellcycle_jax.runs import trained_run
from cellcycle_jax.scoring import intervals
from cellcycle_jax.scoring.intervals import Interval

PER_CLASS = 500  # cells of each class, of training and validation, that are tested for shortcuts
PER_FIELD = 48  # cells of a field from which its brightness is known
BLOCK = 256  # cells in memory at a time where few numbers of many are wanted
DOUBT = "so this may be illumination or the cells' own brightness."
NOT_EXCHANGED = {  # by data.mask, why surroundings were not exchanged
    "none": "the body of the cell is not known",
    "cell": "the mask blanks them; what its outline shows of them is a check of its own",
    "nucleus": "the mask shows the network nothing of them",
}


def ask(evidence: Evidence) -> dict:
    """See `ask_for_shortcuts`, which draws cells of its own, of training too."""
    return ask_for_shortcuts(evidence.cells.run)


def ask_for_shortcuts(run: trained_run.Run, per_class: int = PER_CLASS) -> dict:
    """What the network reads in surroundings, in the brightness of the field and in the batch; see `shortcuts`.

    Cells of training and validation are tested, since a donor's class is unknown to the network in both.

    Args:
        run: the run.
        per_class: most cells of each class, half of them of each split.

    Returns:
        surroundings, outline, brightness (None where it cannot be tested) and brightness_why; batch, by plate, well
        and cell line; one_class_fields, see `shortcuts`; scale, how the network is shown cells; n_cells, n_groups,
        interval_level.
    """
    interval_level = run.config.explain.limits.shortcut_interval_level
    resampling = dataclasses.replace(resampling_of(run), level=interval_level)
    splits = [run.crops_of_lines("train"), run.crops_of_lines("validation")]
    crops, validation = _sample(splits, per_class // 2, np.random.default_rng(run.config.seed))
    cells = _as_seen(run, crops, validation)
    intact = methods.logits_of(run.network, cells.images)
    surroundings = None
    if _know_bodies(crops).all() and run.config.data.mask == "none":
        surroundings = shortcuts.surroundings(run.network, cells, intact, resampling)
    outline = None
    mask = run.config.data.mask
    if mask in OUTLINED:
        outline = outlines.outline(run.network, cells, mask, intact, resampling)
    brightness, brightness_why = _brightness(run, splits, crops, cells, intact, resampling)
    return {
        "surroundings": surroundings,
        "outline": outline,
        "n_cells": len(crops),
        "n_groups": len(np.unique(crops.group_id)),
        "interval_level": interval_level,
        "scale": run.config.data.scale,
        "brightness": brightness,
        "brightness_why": brightness_why,
        "one_class_fields": _one_class_fields(splits, cells.fields),
        "batch": _batches(crops, resampling),
    }


def _sample(splits, per_class, rng):
    """Labelled crops in memory, up to `per_class` of each class and split, and which are of validation, bool [N]."""
    samples = []
    for crops in splits:
        rows = sample_per_class(crops.label, len(crops.classes), per_class, rng)
        samples.append(crop_arrays.in_memory(crop_arrays.take(crops, rows)))
    of_validation = np.repeat([False, True], [len(crops) for crops in samples])
    return crop_arrays.join(samples), of_validation


def _as_seen(run, crops, validation=False):
    """Crops as the network sees them."""
    return shortcuts.Cells(
        images=run.images(crops),
        label=crops.label,
        compartments=crops.compartments,
        groups=crops.group_id,
        fields=crops.field_id,
        validation=np.broadcast_to(validation, len(crops)),
    )


def _know_bodies(crops):
    return crops.compartments_present & int(schema.Compartment.BODY) > 0


def _joined(splits, name):
    """One array of the crops of all splits."""
    return np.concatenate([getattr(crops, name) for crops in splits])


def _brightness(run, splits, crops, cells, intact, resampling):
    """What the network reads in the brightness of the field; else None, and why it cannot be tested."""
    if run.config.data.scale == "nucleus_max":
        return None, "each cell is shown relative to its own brightest pixel"
    if not _know_bodies(crops).all():
        return None, "the body of the cell is not known"
    if len(np.unique(cells.fields)) < 2:
        return None, "all cells are of one field"
    splits = [crop_arrays.take(part, _know_bodies(part)) for part in splits]
    cells_of_field = pd.Series(_joined(splits, "cell_id")).groupby(_joined(splits, "field_id")).nunique()
    large_fields = cells_of_field.index[cells_of_field > shortcuts.LEAST_CELLS].to_numpy(str)
    rows = np.isin(cells.fields, large_fields)
    tested = cells.take(rows)
    if len(np.unique(tested.fields)) < 2 or len(np.unique(tested.label)) < 2:
        return None, ("fields of enough cells to know how bright the field is without the cell itself (more than "
                      f"{shortcuts.LEAST_CELLS}) are fewer than two, or hold labelled cells of one class only")
    own, cell_ids, fields = _crop_levels(run, splits, np.unique(tested.fields))
    levels = shortcuts.field_levels(own, cell_ids, fields, crops.cell_id[rows], tested.fields)
    return shortcuts.brightness(run.network, tested, levels, intact[rows], resampling), ""


def _crop_levels(run, splits, fields):
    """Brightness of crops of some fields, labelled or not, as `shortcuts.crop_levels` measures it.

    Returns:
        f64 [N, 2, K] of up to PER_FIELD cells of each field and split, and their ids and fields, text [N].
    """
    rng = np.random.default_rng(run.config.seed)
    levels = []
    cell_ids = []
    field_ids = []
    for part in splits:
        rows = rng.permutation(np.flatnonzero(np.isin(part.field_id, fields)))
        number_in_field = pd.Series(rows).groupby(part.field_id[rows]).cumcount().to_numpy()
        rows = np.sort(rows[number_in_field < PER_FIELD])
        for start in range(0, len(rows), BLOCK):
            crops = crop_arrays.in_memory(crop_arrays.take(part, rows[start : start + BLOCK]))
            levels.append(shortcuts.crop_levels(_as_seen(run, crops)))
            cell_ids.append(crops.cell_id)
            field_ids.append(crops.field_id)
    return np.concatenate(levels), np.concatenate(cell_ids), np.concatenate(field_ids)


def _one_class_fields(splits, fields):
    """Whether each of some fields holds labelled cells of one class; see `shortcuts.one_class_fields`."""
    label = _joined(splits, "label")
    field_of_cell = _joined(splits, "field_id")
    labelled = (label != schema.NO_LABEL) & np.isin(field_of_cell, fields)
    return shortcuts.one_class_fields(label[labelled], field_of_cell[labelled])


def _batches(crops, resampling) -> dict:
    """How well each kind of batch predicts the class; None where no batch holds two groups, so that none can.

    The class of a cell is predicted from the other groups of its batch, and a batch of one group has none.
    """
    well_of_plate = np.char.add(np.char.add(crops.plate, "/"), crops.well)
    scores = {}
    for name, batches in {"plate": crops.plate, "well": well_of_plate, "cell line": crops.cell_line}.items():
        groups_of_batch = pd.Series(crops.group_id).groupby(batches).nunique()
        scores[name] = None
        if groups_of_batch.max() > 1:
            scores[name] = shortcuts.batch(crops.label, batches, crops.group_id, resampling)
    return scores


def judge_surroundings(results: dict, about: dict) -> Judgement:
    """Passed where what goes with the surroundings to another cell is certainly a small share, or nothing is shown."""
    exchanged = results["surroundings"]
    mask = about["mask"]
    if exchanged is None and mask == "ring":
        return Judgement(False, "The mask shows the network nothing but surroundings.", alarm=True, asked=False)
    if exchanged is None:
        passed = True if mask in OUTLINED else None
        return Judgement(passed, f"Surroundings were not exchanged: {NOT_EXCHANGED[mask]}.", asked=False)
    share = exchanged["transferred_share"]
    sentence = (
        f"{_goes_with('the surroundings', share, about)} Area under the ROC curve of validation cells: "
        f"{exchanged['intact'].text()} as they are, {exchanged['cell'].text()} on others' "
        f"surroundings, {exchanged['around'].text()} against the labels of the cells that gave them; "
        f"{100 * exchanged['changed'].value:.0f} % of their calls change."
    )
    limit = about["limits"]["surroundings"]
    alarm = shortcuts.is_shortcut(Interval.of(share), limit)
    return _judgement(share, limit, about, sentence, alarm)


def judge_outline(results: dict, about: dict) -> Judgement:
    """Passed where what goes with the outline to another cell is certainly a small share, or no outline is shown.

    A share above the limit is no alarm: the size of the cell, which is biology, goes with the outline as its neighbours
    do.
    """
    exchanged = results["outline"]
    if exchanged is None:
        return Judgement(True, "No mask shows the outline of the cell.", asked=False)
    share = exchanged["transferred_share"]
    sentence = (
        f"{_goes_with('the outline of the mask', share, about)} Of the outline alone, without any picture, the network "
        f"tells the classes with an area under the ROC curve of {exchanged['silhouette'].text()}."
    )
    judgement = _judgement(share, about["limits"]["surroundings"], about, sentence, alarm=False)
    if judgement.passed is False:
        words = "The outline shows the cell's size and how near its neighbours are: which of them counts is not known."
        judgement = dataclasses.replace(judgement, sentence=f"{judgement.sentence} {words}")
    return judgement


def judge_brightness(results: dict, about: dict) -> Judgement:
    """Passed where what goes with the brightness of the field to another cell is certainly a small share."""
    share = results["brightness"]
    if share is None:
        sentence = f"Brightness was not exchanged: {results['brightness_why']}."
        if results["scale"] == "nucleus_max":
            sentence = (
                "Each cell is shown relative to its own brightest pixel, which hides how bright its "
                "field is; the noise of the image, which shows it too, was not tested."
            )
        return Judgement(None, sentence, asked=False)
    limit = about["limits"]["brightness"]
    is_shortcut = shortcuts.is_shortcut(Interval.of(share), limit)
    one_class = results["one_class_fields"]
    sentence = _goes_with("the brightness of the field", share, about)
    if is_shortcut and one_class:
        sentence += f" Nearly every field holds cells of one class, {DOUBT}"
    if is_shortcut and one_class is None:
        sentence += f" No field holds two labelled cells, {DOUBT}"
    alarm = is_shortcut and one_class is False
    return _judgement(share, limit, about, sentence, alarm)


def judge_batch(results: dict, about: dict) -> Judgement:
    """Passed where neither plate, well nor cell line predicts the class without any image."""
    limit = about["limits"]["batch_auroc"]
    scores = {name: score for name, score in results["batch"].items() if score is not None}
    if not scores:
        return Judgement(None, "All cells are of one plate, well and cell line, or each of these is one group only: "
                         "whether it holds for another cannot be said.", asked=False)

    def predicts_class(name):
        return scores[name].value >= limit and scores[name].low > CHANCE

    worst = max(scores, key=lambda name: (predicts_class(name), scores[name].value))
    score = scores[worst]
    alarm = predicts_class(worst)
    tail = "."
    if alarm:
        tail = ": what the network learnt may be the batch."
    elif score.value <= CHANCE:
        tail = ", no better than chance."
    passed = not alarm if score.is_known else None
    sentence = (f"The {worst} alone, without any image, predicts the class with an area under the ROC curve of "
                f"{score.text()}{tail}")
    return Judgement(passed, sentence, alarm)


def _goes_with(what, share, about) -> str:
    """How much of the difference goes with `what` to another cell; of more than two classes of the largest share."""
    difference = "the difference between the classes"
    if len(about["classes"]) > 2:
        difference = f"the difference between {about['classes'][share['class']]} and the rest"
    if _is_unmoved(share):
        return f"No answer of the network changes with {what} of another cell."
    share = Interval.of(share)
    words = share.percent()
    if share.is_known and round(100 * share.value) < 0:
        return f"Nothing of {difference} moves with {what} to another cell; it counts against (share {words})."
    return f"{words[0].upper()}{words[1:]} of {difference} moves with {what} to another cell."


def _is_unmoved(share) -> bool:
    """Whether no answer changed at all, so that the share is 0 without an interval."""
    return not isinstance(share, Interval) and share.get("unmoved", False)


def _judgement(share, limit, about, sentence, alarm) -> Judgement:
    """The judgement of a share; where its groups are too few for one, the sentence says so."""
    passed = _is_not_read(share, limit, about)
    if passed is None and Interval.of(share).is_known and about["n_groups"] < intervals.LEAST_GROUPS:
        sentence += f" {about['n_groups']} groups are too few to be certain (it takes {intervals.LEAST_GROUPS})."
    return Judgement(passed, sentence, alarm)


def _is_not_read(share, limit, about) -> bool | None:
    """Whether a property is not read: True only where the whole interval lies on the good side of the limit.

    None where that is not certain: with too few groups, or where the interval reaches beyond the limit.
    """
    if _is_unmoved(share):
        return True
    share = Interval.of(share)
    if shortcuts.is_shortcut(share, limit):
        return False
    if not share.is_known or about["n_groups"] < intervals.LEAST_GROUPS:
        return None
    if share.value <= -limit and share.high < 0:
        return False
    surely_small = -limit < share.low and share.high < limit
    return True if surely_small else None


QUESTION = Question("shortcuts", ask)
SURROUNDINGS = Check("uses the cell, not its surroundings", QUESTION, judge_surroundings, needed=True)
OUTLINE = Check("does not use the outline of the mask", QUESTION, judge_outline, needed=True)
BRIGHTNESS = Check("does not use the brightness of the field", QUESTION, judge_brightness, needed=True)
BATCHES = Check("the class does not follow the batch", QUESTION, judge_batch)
