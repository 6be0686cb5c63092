"""Three checks for shortcuts: does the network read surroundings, outline of the mask, or brightness of the field?

One question serves them: which cells are tested, where their fields are read, and when a test cannot be made. What is
done to the cells stands in `shortcuts` and `outlines`.
"""

import numpy as np
import pandas as pd

from cellcycle_jax import schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.dataset.model_input import OUTLINED
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.checks import camera_pixels, class_shares, outlines, shortcuts
from cellcycle_jax.explain.checks.check import Answer, Check, Evidence, Judgement, Question
from cellcycle_jax.explain.regions.explained_cells import sample_per_class, shortcut_resampling
from cellcycle_jax.runs import trained_run
from cellcycle_jax.scoring.intervals import Interval

PER_CLASS = 500  # cells of each class, of training and validation, that are tested for shortcuts
PER_FIELD = 48  # cells of a field from which its brightness is known
DOUBT = "so this may be illumination or the cells' own brightness."
NEIGHBOURS_OF_CLASS = (" Nearly every field holds cells of one class, so a cell's neighbours are of its class too: "
                       "what is read of them may be biology.")
NOT_EXCHANGED = {  # by data.mask, why surroundings were not exchanged
    "none": "the body of the cell is not known",
    "cell": "the mask blanks them; what its outline shows of them is a check of its own",
    "nucleus": "the mask shows the network nothing of them",
}


def ask(evidence: Evidence) -> dict:
    """See `ask_for_shortcuts`, which draws cells of its own, of training too."""
    return ask_for_shortcuts(evidence.cells.run)


def ask_for_shortcuts(run: trained_run.Run, per_class: int = PER_CLASS) -> dict:
    """What the network reads in surroundings, in the outline and in the brightness of the field; see `shortcuts`.

    Cells of training and validation are tested, since a donor's class is unknown to the network in both.

    Args:
        run: the run.
        per_class: most cells of each class, half of them of each split.

    Returns:
        surroundings, outline, brightness (None where it cannot be tested) and brightness_why; one_class_fields, see
        `shortcuts`; scale, how the network is shown cells; n_cells, n_groups, interval_level.
    """
    resampling = shortcut_resampling(run)
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
        "interval_level": resampling.level,
        "scale": run.config.data.scale,
        "brightness": brightness,
        "brightness_why": brightness_why,
        "one_class_fields": _one_class_fields(splits, cells.fields),
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
        for crops in camera_pixels.blocks(crop_arrays.take(part, rows)):
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


def judge_surroundings(results: dict, about: dict) -> Judgement:
    """Passed where what goes with the surroundings to another cell is certainly a small share.

    No alarm where each field holds one class: there the neighbours are of the class as well.
    """
    exchanged = results["surroundings"]
    mask = about["mask"]
    if exchanged is None and mask == "ring":
        return Judgement(Answer.FAILED, "The mask shows the network nothing but surroundings.", alarm=True)
    if exchanged is None and mask in OUTLINED:
        return Judgement(Answer.IMPOSSIBLE, f"Surroundings were not exchanged: {NOT_EXCHANGED[mask]}.")
    if exchanged is None:
        return Judgement(
            Answer.UNKNOWN,
            f"Surroundings were not exchanged: {NOT_EXCHANGED[mask]}.",
            remedy="Fields in which nuclei and bodies are found would tell.",
        )
    share = exchanged["transferred_share"]
    sentence = (
        f"{_goes_with('the surroundings', share, about)} Area under the ROC curve of validation cells: "
        f"{exchanged['intact'].text()} as they are, {exchanged['cell'].text()} on others' "
        f"surroundings, {exchanged['around'].text()} against the labels of the cells that gave them; "
        f"{100 * exchanged['changed'].value:.0f} % of their calls change."
    )
    limit = about["limits"]["surroundings"]
    is_read = class_shares.is_certain(Interval.of(share), limit)
    if is_read and results["one_class_fields"]:
        sentence += NEIGHBOURS_OF_CLASS
    alarm = is_read and not results["one_class_fields"]
    return _judgement(share, limit, about, sentence, alarm)


def judge_outline(results: dict, about: dict) -> Judgement:
    """Passed where what goes with the outline to another cell is certainly small, or is the size of the nucleus.

    The size of the cell, which is biology, goes with the outline as its neighbours do. Between cells whose nuclei are
    as large it does not: where certainly little goes with their outlines, the outline is read for the size. An alarm
    where much does, since the neighbours of a cell cut its outline; the outline of the nucleus is cut by none, and what
    goes with it then is its shape, which may be biology.
    """
    exchanged = results["outline"]
    if exchanged is None:
        return Judgement(Answer.IMPOSSIBLE, "No mask shows the outline of the cell.")
    limit = about["limits"]["surroundings"]
    share = exchanged["transferred_share"]
    sentence = (
        f"{_goes_with('the outline of the mask', share, about)} Of the outline alone, without any picture, the network "
        f"tells the classes with an area under the ROC curve of {exchanged['silhouette'].text()}."
    )
    if not class_shares.is_certain(Interval.of(share), limit):
        return _judgement(share, limit, about, sentence, alarm=False)
    of_same_size = exchanged["of_same_size"]
    if of_same_size is None:
        return Judgement(Answer.FAILED, f"{sentence} It may be the size of the nucleus, which may be biology.")
    among_same_size = Interval.of(of_same_size)
    sentence += f" Between cells whose nuclei are as large it is {among_same_size.percent()}"
    if not class_shares.is_certain(among_same_size, limit):
        sentence += ": what it reads is the size of the nucleus, which the mask shows and which may be biology."
        return _judgement(of_same_size, limit, about, sentence, alarm=False)
    if about["mask"] == "nucleus":
        sentence += ": the network reads the shape of the nucleus, which may be biology."
        return Judgement(Answer.FAILED, sentence)
    sentence += ": the network reads how near the neighbours are."
    if results["one_class_fields"]:
        return Judgement(Answer.FAILED, sentence + NEIGHBOURS_OF_CLASS)
    return Judgement(Answer.FAILED, sentence, alarm=True)


def judge_brightness(results: dict, about: dict) -> Judgement:
    """Passed where what goes with the brightness of the field to another cell is certainly a small share."""
    share = results["brightness"]
    if share is None and results["scale"] == "nucleus_max":
        return Judgement(
            Answer.IMPOSSIBLE,
            "Each cell is shown relative to its own brightest pixel, which hides how bright its field is; whether the "
            "noise of the field is read is part of another check, of cells of one field.",
        )
    if share is None:
        return Judgement(
            Answer.UNKNOWN,
            f"Brightness was not exchanged: {results['brightness_why']}.",
            remedy="Several fields, each with more cells of both classes, would tell.",
        )
    limit = about["limits"]["brightness"]
    is_read = class_shares.is_certain(Interval.of(share), limit)
    one_class = results["one_class_fields"]
    sentence = _goes_with("the brightness of the field", share, about)
    if is_read and one_class:
        sentence += f" Nearly every field holds cells of one class, {DOUBT}"
    if is_read and one_class is None:
        sentence += f" No field holds two labelled cells, {DOUBT}"
    alarm = is_read and one_class is False
    return _judgement(share, limit, about, sentence, alarm)


def _goes_with(what, share, about) -> str:
    """How much of the difference goes with `what` to another cell; of more than two classes of the largest share."""
    if _is_unmoved(share):
        return f"No answer of the network changes with {what} of another cell."
    interval = Interval.of(share)
    if interval.is_known and round(100 * interval.value) < 0:
        difference = class_shares.difference_in_words(share, about)
        return (f"Nothing of {difference} moves with {what} to another cell; what moves has the opposite sign (share "
                f"{interval.percent()}).")
    return f"{class_shares.in_words(share, about)} moves with {what} to another cell."


def _is_unmoved(share) -> bool:
    """Whether no answer changed at all, so that the share is 0 without an interval."""
    return not isinstance(share, Interval) and share.get("unmoved", False)


def _judgement(share, limit, about, sentence, alarm) -> Judgement:
    """The judgement of a share, which is certainly small where nothing moves at all."""
    if _is_unmoved(share):
        return Judgement(Answer.PASSED, sentence)
    interval = Interval.of(share)
    answer = class_shares.answer_of(interval, limit, about["n_groups"])
    remedy = class_shares.remedy_of(interval, limit, about) if answer is Answer.UNKNOWN else ""
    return Judgement(answer, sentence, alarm, remedy)


QUESTION = Question("shortcuts", ask)
SURROUNDINGS = Check("uses the cell, not its surroundings", QUESTION, judge_surroundings, needed=True)
OUTLINE = Check("reads no more than size in the outline of the mask", QUESTION, judge_outline, needed=True)
BRIGHTNESS = Check("does not use the brightness of the field", QUESTION, judge_brightness, needed=True)
