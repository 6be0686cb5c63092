"""The hint that only a network can give: how much of what it uses has no name, where that lies, and what names it."""

import dataclasses

import numpy as np
import pandas as pd

from cellcycle_jax.bank import bank as measurement_bank
from cellcycle_jax.bank.measurement import Measurement
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.regions import class_difference
from cellcycle_jax.explain.regions.explained_cells import DEFAULT_METHOD, sample_per_class
from cellcycle_jax.scoring.intervals import Interval, Resampling
from cellcycle_jax.unnamed import parts, search, studied_cells, where
from cellcycle_jax.unnamed.halves import HalfNetwork

MAPPED = 150  # cells of each class whose maps are made
STEPS = 16  # of integrated gradients
SEARCHED = 1500  # most training cells that the search looks at


@dataclasses.dataclass(frozen=True)
class ValidationCells:
    """Labelled validation cells on which all is scored.

    Attributes:
        crops: N cells.
        of_class: bool [N], whether a cell is of the explained class.
        fits: of each network.
        outputs: of the networks, for these cells.
        outputs_with_half: the same where fewer groups fit what measurements explain.
    """

    crops: crop_arrays.Crops
    of_class: np.ndarray
    fits: list[studied_cells.Fitted]
    outputs: parts.Outputs
    outputs_with_half: parts.Outputs

    @property
    def left(self) -> np.ndarray:
        """Mean over the networks of what is left of their outputs, in standard deviations, f64 [N]."""
        left = self.outputs.left
        spread = self.outputs.output.std(1, keepdims=True)
        return (left / np.where(spread > 0, spread, 1.0)).mean(0)


@dataclasses.dataclass(frozen=True)
class Proposal:
    """A measurement of the bank that may name what has no name.

    Attributes:
        measurement: what it is, without values.
        follows: correlation with what is left, on validation cells, its p corrected for all proposals.
        gain: by how much of the difference between the classes less has no name if it is a column of the table; None
            where that was not asked.
    """

    measurement: Measurement
    follows: Interval
    gain: Interval | None = None


@dataclasses.dataclass(frozen=True)
class Searched:
    """Cells of training and validation with their bank, and what the networks leave of the training cells.

    Attributes:
        described: name -> measurement, without values.
        values: f64 [N, F], measurements of the bank, indexed by the name of the cell.
        beyond: the same less what the table says.
        target: f64 [N], what is left of a network's output for cells of training that it has not seen; NaN of others.
    """

    described: dict[str, Measurement]
    values: pd.DataFrame
    beyond: search.Bank
    target: np.ndarray


def validation_cells(networks: list[HalfNetwork], tables, class_index: int) -> ValidationCells:
    """Labelled validation cells, and what measurements explain of the networks' outputs for a class."""
    run = networks[0].run
    crops = run.crops_of_lines("validation")
    crops = crop_arrays.take(crops, (crops.label >= 0) & np.isin(crops.cell_id, tables.named.index))
    fits = [studied_cells.fit(network, tables, class_index) for network in networks]
    return ValidationCells(
        crops=crops,
        of_class=crops.label == class_index,
        fits=fits,
        outputs=studied_cells.outputs_of(fits, crops.cell_id),
        outputs_with_half=studied_cells.outputs_of(fits, crops.cell_id, half=True),
    )


def how_much(cells: ValidationCells, resampling: Resampling) -> dict[str, Interval]:
    """Shares of the parts, the named one with fewer groups to fit, and whether both networks repeat what is left."""
    crops = cells.crops
    shares = parts.shares(cells.outputs, cells.of_class, crops.field_id, crops.group_id, resampling)
    with_half = parts.shares(cells.outputs_with_half, cells.of_class, crops.field_id, crops.group_id, resampling)
    shares["named_with_half"] = with_half[parts.NAMED]
    shares["repeated"] = parts.repeated(cells.outputs, crops.field_id, crops.group_id, resampling)
    return shares


def repeated_by_other(network: HalfNetwork, cells: ValidationCells, tables, class_index: int, resampling) -> Interval:
    """Whether a network of another architecture, on cells that the first network has not seen, repeats what is left.

    Args:
        network: the other one.
        cells, tables, class_index, resampling: as elsewhere.

    Returns:
        Covariance within fields of what is left of its output and of that of the first network, see `parts.repeated`.
    """
    fits = [cells.fits[0], studied_cells.fit(network, tables, class_index)]
    crops = cells.crops
    outputs = studied_cells.outputs_of(fits, crops.cell_id)
    return parts.repeated(outputs, crops.field_id, crops.group_id, resampling)


def by_line(cells: ValidationCells, resampling: Resampling) -> dict[str, dict[str, Interval]]:
    """Shares of the parts in each cell line; {} where there is one alone."""
    crops = cells.crops
    lines = np.unique(crops.cell_line)
    if len(lines) < 2:
        return {}
    of_lines = {}
    for line in lines:
        rows = crops.cell_line == line
        if cells.of_class[rows].any() and not cells.of_class[rows].all():
            of_lines[str(line)] = parts.shares(
                cells.outputs.of(rows), cells.of_class[rows], crops.field_id[rows], crops.group_id[rows], resampling
            )
    return of_lines


def where_it_lies(networks, cells: ValidationCells, class_index: int, resampling: Resampling) -> pd.DataFrame:
    """In which channels and regions what has no name lies, on some validation cells; `where.COLUMNS`."""
    run = networks[0].run
    rows, crops = mapped(cells, run)
    sums = []
    for network in networks:
        sums.append(sums_of_maps(network.run.network, network.run.images(crops), class_index, crops))
    return where.shares(
        sums,
        cells.outputs.explained[:, rows],
        cells.of_class[rows],
        crops.field_id,
        crops.group_id,
        run.channels,
        resampling,
    )


def mapped(cells: ValidationCells, run) -> tuple[np.ndarray, crop_arrays.Crops]:
    """Rows of the validation cells whose maps are made, and their crops in memory."""
    rng = np.random.default_rng(run.config.seed)
    rows = sample_per_class(cells.of_class.astype(int), 2, MAPPED, rng)
    return rows, crop_arrays.in_memory(crop_arrays.take(cells.crops, rows))


def sums_of_maps(network, images, class_index: int, crops) -> np.ndarray:
    """Sums over channels and regions of the maps of a class's margin, f64 [N, K, Q]."""
    maps = methods.attribute(
        DEFAULT_METHOD, network, images, class_index, against_others=True, baseline=images.mean(0), steps=STEPS
    )
    return class_difference.contributions(maps, crops.compartments, crops.compartments_present)[0]


def measured_by_bank(networks: list[HalfNetwork], cells: ValidationCells, tables) -> Searched:
    """The bank of cells of training and of validation, and what the networks leave of the former."""
    run = networks[0].run
    training = networks[0].training
    rng = np.random.default_rng(run.config.seed)
    known = np.flatnonzero(np.isin(training.cell_id, tables.named.index))
    rows = np.sort(rng.permutation(known)[:SEARCHED])
    training = crop_arrays.take(training, rows)
    described, of_training = measurement_bank.measure_crops(training, run.channels)
    _, of_validation = measurement_bank.measure_crops(cells.crops, run.channels)
    cell_id = np.concatenate([training.cell_id, cells.crops.cell_id])
    values = pd.concat([of_training, of_validation]).set_axis(cell_id, axis=0)
    is_training = np.arange(len(cell_id)) < len(training)
    beyond = search.beyond_table(values, tables.named.loc[cell_id].to_numpy(float), is_training)
    target = np.full(len(cell_id), np.nan)
    row_of_cell = dict(zip(training.cell_id.tolist(), range(len(training)), strict=True))
    for fitted in cells.fits:
        spread = fitted.output.std()
        for cell, left in zip(fitted.cell_id, fitted.left / (spread if spread > 0 else 1.0), strict=True):
            if cell in row_of_cell:
                target[row_of_cell[cell]] = left
    return Searched(described, values, beyond, target)


def place_weights(searched: Searched, places: pd.DataFrame) -> np.ndarray:
    """Weight f64 [F] of each measurement: the share of where it is seen in what has no name."""
    return np.array([where.weight_of(places, searched.described[name]) for name in searched.beyond.names])


def propose(searched: Searched, cells: ValidationCells, places, resampling: Resampling) -> list[Proposal]:
    """The measurements that follow what has no name most, found on training cells and tested on validation cells."""
    strength = search.strengths(searched.beyond, searched.target, place_weights(searched, places))
    names = search.propose(searched.beyond, strength, lambda name: searched.described[name].family)
    left = np.full(len(searched.target), np.nan)
    left[~searched.beyond.training] = cells.left
    tests = tested(searched, cells, names, left, resampling)
    return [Proposal(searched.described[name], tests[name]) for name in names]


def tested(searched: Searched, cells: ValidationCells, names, left, resampling: Resampling) -> dict[str, Interval]:
    """`search.tested` on the validation cells among those that were searched."""
    n_training = searched.beyond.training.sum()
    fields = np.concatenate([np.full(n_training, ""), cells.crops.field_id])
    groups = np.concatenate([np.full(n_training, ""), cells.crops.group_id])
    return search.tested(searched.beyond, names, left, fields, groups, resampling)


def gain(networks, cells: ValidationCells, tables, values: pd.Series, class_index: int, resampling) -> Interval:
    """By how much less of the difference between the classes has no name with one measurement more in the table.

    Args:
        networks, cells, tables, class_index, resampling: as elsewhere.
        values: f64, the measurement by the name of the cell; the fit uses the cells that have it.
    """
    table = tables.named.join(values.rename("proposed"), how="inner")
    richer = dataclasses.replace(tables, named=table)
    fits = [studied_cells.fit(network, richer, class_index) for network in networks]
    with_it = studied_cells.outputs_of(fits, cells.crops.cell_id)
    crops = cells.crops
    contrast = parts.class_contrast(cells.of_class, crops.field_id)
    before = parts.standardised(cells.outputs, cells.outputs.left).mean(0) * contrast
    after = parts.standardised(cells.outputs, with_it.left).mean(0) * contrast
    whole = parts.standardised(cells.outputs, cells.outputs.output).mean(0) * contrast

    def difference(weights):
        return {"gain": ((weights @ (before - after)) / weights.sum(1), (weights @ whole) / weights.sum(1))}

    return resampling.ratios(difference, crops.group_id, cells.of_class)["gain"]
