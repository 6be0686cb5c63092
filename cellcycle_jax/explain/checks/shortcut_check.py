"""What a network is asked about shortcuts: which cells, where their fields are read, and when it cannot be asked."""

import numpy as np
import pandas as pd

from cellcycle_jax import schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.checks import all_checks, shortcuts
from cellcycle_jax.runs import trained_run

PER_CLASS = 500  # cells of each class, of training and validation, that are asked for shortcuts
PER_FIELD = 48  # cells of a field from which its brightness is known
BLOCK = 256  # cells in memory at a time where few numbers of many are wanted


def asked_for_shortcuts(network: trained_run.Run, per_class: int = PER_CLASS) -> dict:
    """What the network reads in surroundings, in the brightness of the field and in the batch; see `shortcuts`.

    Cells of training and validation are asked, since a donor's class is unknown to the network in both.

    Args:
        network: the run.
        per_class: most cells of each class, half of them of each split.

    Returns:
        surroundings, brightness (each None where it cannot be asked) and brightness_why; batch, by plate, well and cell
        line; one_class_fields, see `shortcuts`; scale, how the network is shown cells; n_cells, n_groups, confidence.
    """
    chosen, rng = network.config.data, np.random.default_rng(network.config.seed)
    parts = [crop_arrays.take_lines(crop_arrays.load_crops(network.data_dir, split, pixels=False), chosen.cell_lines)
             for split in ("train", "validation")]
    crops = [
        crop_arrays.in_memory(
            crop_arrays.take(part, all_checks.pick(part.label, len(part.classes), per_class // 2, rng))
        )
        for part in parts
    ]
    validation, crops = np.repeat([False, True], [len(part) for part in crops]), crop_arrays.join(crops)
    resampling = all_checks.resampling_of(network) | {"confidence": shortcuts.CONFIDENCE}
    cells = _seen(network, crops, validation)
    intact = methods.logits_of(network.model, network.variables, cells.images)
    asked = {"surroundings": None, "n_cells": len(crops), "n_groups": len(set(crops.group_id.tolist())),
             "confidence": shortcuts.CONFIDENCE, "scale": chosen.scale}  # fmt: skip
    if _know_bodies(crops).all() and chosen.mask == "none":
        asked["surroundings"] = shortcuts.surroundings(network.model, network.variables, cells, intact, resampling)
    asked["brightness"], asked["brightness_why"] = _brightness(network, parts, crops, cells, intact, resampling)
    label, fields = (np.concatenate([getattr(part, name) for part in parts]) for name in ("label", "field_id"))
    labelled = (label != schema.NO_LABEL) & np.isin(fields, cells.fields)
    asked["one_class_fields"] = shortcuts.one_class_fields(label[labelled], fields[labelled])
    well = np.array([f"{plate}/{well}" for plate, well in zip(crops.plate, crops.well, strict=True)])
    batches = {"plate": crops.plate, "well": well, "cell line": crops.cell_line}
    asked["batch"] = {name: shortcuts.batch(crops.label, batch, crops.group_id, resampling)
                      if _hold_groups(batch, crops.group_id) else None for name, batch in batches.items()}
    return asked


def _seen(network, crops, validation=False):
    """Crops as the network sees them."""
    return shortcuts.Cells(network.images(crops), crops.label, crops.compartments, crops.group_id, crops.field_id,
                           np.broadcast_to(validation, len(crops)))


def _know_bodies(crops):
    return crops.compartments_present & int(schema.Compartment.BODY) > 0


def _brightness(network, parts, crops, cells, intact, resampling):
    """What the network reads in the brightness of the field; else None, and why it cannot be asked."""
    if network.config.data.scale == "own_max":
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
    own = _crop_levels(network, parts, np.unique(asked.fields))
    levels = shortcuts.field_levels(*own, crops.cell_id[rows], asked.fields)
    return shortcuts.brightness(network.model, network.variables, asked, levels, intact[rows], resampling), ""


def _crop_levels(network, parts, fields):
    """`shortcuts.crop_levels` of up to PER_FIELD cells of each of some fields, labelled or not; their ids, fields."""
    rng, found = np.random.default_rng(network.config.seed), []
    for part in parts:
        rows = rng.permutation(np.flatnonzero(np.isin(part.field_id, fields)))
        rows = np.sort(rows[pd.Series(rows).groupby(part.field_id[rows]).cumcount().to_numpy() < PER_FIELD])
        for start in range(0, len(rows), BLOCK):
            crops = crop_arrays.in_memory(crop_arrays.take(part, rows[start : start + BLOCK]))
            found.append((shortcuts.crop_levels(_seen(network, crops)), crops.cell_id, crops.field_id))
    return [np.concatenate(column) for column in zip(*found, strict=True)]


def _hold_groups(batches, groups) -> bool:
    """Whether any batch holds two groups: a batch is told by its other groups, and one that is a group has none."""
    return len(set(zip(batches.tolist(), groups.tolist(), strict=True))) > len(set(batches.tolist()))
