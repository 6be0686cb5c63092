"""The cells on which two half-trained networks are compared: outputs, activations, measurements and nuisances."""

import dataclasses

import numpy as np
import pandas as pd

from cellcycle_jax import schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.errors import InputRefused, result_or_reason
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.checks import nuisances, picture_quality
from cellcycle_jax.explain.measurements import measured_cells
from cellcycle_jax.features import feature_axes
from cellcycle_jax.runs import trained_run
from cellcycle_jax.runs.open_data import OpenData
from cellcycle_jax.unnamed import named_part
from cellcycle_jax.unnamed.halves import HalfNetwork
from cellcycle_jax.unnamed.parts import Outputs

BODY_WAVES = 4  # Fourier coefficients of the outline of the cell's body


@dataclasses.dataclass(frozen=True)
class Tables:
    """What is known of each cell beside its image, one row a cell, indexed by its name.

    Attributes:
        named: measurements in linear coordinates.
        nuisance: focus, place, crowding and the outline of the body.
        label: class of each cell, "" where it has none.
        groups: group of each cell.
    """

    named: pd.DataFrame
    nuisance: pd.DataFrame
    label: pd.Series
    groups: pd.Series


@dataclasses.dataclass(frozen=True)
class Fitted:
    """One network's outputs for a class, for the cells that it has not seen.

    Attributes:
        cell_id: text [N]; those of validation come first.
        output: f64 [N], its log odds, held to their tails.
        named: f64 [N], what measurements explain of them.
        explained: f64 [N], what measurements and nuisances explain.
        with_half: f64 [N], what measurements explain if half of the groups are used to fit.
    """

    cell_id: np.ndarray
    output: np.ndarray
    named: np.ndarray
    explained: np.ndarray
    with_half: np.ndarray

    @property
    def left(self) -> np.ndarray:
        """What neither measurements nor nuisances explain, f64 [N]."""
        return self.output - self.explained


def tables_of(run: trained_run.Run, data: OpenData | None = None) -> Tables:
    """Measurements and nuisances of the accepted cells of training and validation.

    Args:
        run: whose channels and cell lines are studied.
        data: its data set, where the run itself was trained on a part of that.

    Raises:
        InputRefused: no measurement varies.
        StoredStateRefused: the table of cells is missing or damaged.
    """
    run = dataclasses.replace(run, data=data or run.data)
    measured = measured_cells.load_measured_cells(run)
    axes = feature_axes.learn_axes(measured.of_split("train"), list(measured.families), {})
    if not axes:
        raise InputRefused("no measurement of the table varies, so nothing can be said of what it leaves unexplained")
    named = []
    nuisance = []
    for split in ("train", "validation"):
        rows = measured.of_split(split)
        _, linear = feature_axes.coordinates(rows, axes, split)
        named.append(linear.set_axis(rows[schema.CELL_ID].to_numpy(), axis=0))
        nuisance.append(of_crops(run.crops_of_lines(split), run.channels))
    nuisance = pd.concat(nuisance)
    of_places = _places(run)
    if of_places is not None:
        nuisance = nuisance.join(of_places)
    cells = measured.rows.set_index(schema.CELL_ID)
    return Tables(pd.concat(named), nuisance, cells[schema.LABEL], cells[schema.GROUP])


def _places(run) -> pd.DataFrame | None:
    """Where in its field each cell lies and how near others are; None where that is not known."""
    cells = run.data.cells
    columns = []
    for kind in nuisances.KINDS.values():
        values, _ = result_or_reason(kind.of_cells, cells)
        if values is not None:
            columns.append(values)
    if not columns:
        return None
    return pd.DataFrame(np.hstack(columns), index=cells[schema.CELL_ID].to_numpy())


def of_crops(crops: crop_arrays.Crops, channels) -> pd.DataFrame:
    """Sharpness and noise of each cell's picture and the outline of its body, by the name of the cell."""
    fineness = picture_quality.fineness(crops)[:, list(crop_arrays.channel_indices(crops, channels))]
    columns = {f"fineness_{channel}": fineness[:, k] for k, channel in enumerate(channels)}
    compartments = np.asarray(crops.compartments[np.arange(len(crops))])
    body = compartments & int(schema.Compartment.BODY) > 0
    rows, columns_px = np.indices(body.shape[1:]) - (body.shape[1] - 1) / 2
    angle = np.arctan2(rows, columns_px)
    columns["body_area"] = body.sum((1, 2)).astype(float)
    for wave in range(1, BODY_WAVES + 1):
        coefficient = (body * np.exp(1j * wave * angle)).sum((1, 2))
        columns[f"body_wave_{wave}"] = np.abs(coefficient) / np.maximum(columns["body_area"], 1)
    return pd.DataFrame(columns, index=crops.cell_id)


def fit(network: HalfNetwork, tables: Tables, class_index: int) -> Fitted:
    """What measurements explain of a network's output for a class, for all cells that it has not seen."""
    run = network.run
    validation = run.crops_of_lines("validation")
    training = network.training
    unseen = crop_arrays.take(training, np.isin(training.group_id, network.unseen))
    cell_id = []
    groups = []
    outputs = []
    embeddings = []
    for crops in (validation, unseen):
        crops = crop_arrays.take(crops, np.isin(crops.cell_id, tables.named.index))
        logits, means = run.predict(crops)
        cell_id.append(crops.cell_id)
        groups.append(crops.group_id)
        outputs.append(methods.margins(logits)[:, class_index])
        embeddings.append(np.hstack(list(means.values())))
    return fit_outputs(
        np.concatenate(cell_id),
        np.concatenate(groups),
        np.concatenate(outputs),
        np.concatenate(embeddings),
        tables,
        run.config.seed,
    )


def fit_outputs(cell_id, groups, output, embeddings, tables: Tables, seed: int) -> Fitted:
    """The same for outputs f64 [N] and activations f32 [N, D] that are known; `seed` is that of the fits."""
    named = tables.named.loc[cell_id].to_numpy(float)
    nuisance = tables.nuisance.loc[cell_id].to_numpy(float)
    cells = named_part.UnseenCells(named_part.held(output), embeddings, named, groups)
    with_nuisances = dataclasses.replace(cells, table=np.hstack([named, nuisance]))
    return Fitted(
        cell_id=cell_id,
        output=cells.output,
        named=named_part.predict(cells, seed),
        explained=named_part.predict(with_nuisances, seed),
        with_half=named_part.predict(cells, seed, share=0.5),
    )


def outputs_of(fits: list[Fitted], cell_ids, half: bool = False) -> Outputs:
    """Outputs of several networks for cells that none of them has seen.

    Args:
        fits: of the networks.
        cell_ids: text [N], of validation cells.
        half: whether fewer groups fit what measurements explain, nuisances left out.
    """
    output = []
    named = []
    explained = []
    for of_network in fits:
        row_of_cell = dict(zip(of_network.cell_id.tolist(), range(len(of_network.cell_id)), strict=True))
        rows = [row_of_cell[cell] for cell in cell_ids]
        output.append(of_network.output[rows])
        named.append((of_network.with_half if half else of_network.named)[rows])
        explained.append((of_network.with_half if half else of_network.explained)[rows])
    return Outputs(np.array(output), np.array(named), np.array(explained))
