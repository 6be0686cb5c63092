"""What would have to change for cells to be called of a class, or no more: one class of a run."""

import dataclasses
import pathlib

import numpy as np
import pandas as pd

from cellcycle_jax import schema
from cellcycle_jax.counterfactual import changes, measured_again, shortest_edit
from cellcycle_jax.counterfactual.verdict import Found, sentence
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.errors import InputRefused
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.checks import edit_response
from cellcycle_jax.explain.regions.explained_cells import ExplainedCells, resampling_of, sample_per_class
from cellcycle_jax.figures import counterfactual_figures, style
from cellcycle_jax.runs import trained_run
from cellcycle_jax.scoring import metrics
from cellcycle_jax.scoring.intervals import Interval, Resampling
from cellcycle_jax.scoring.jackknife import SHARE

MOVED = 60  # most cells of each class that are moved across
SURE = 0.25  # share of the usual margin of real cells that an edited one must reach: hardly across is chance
SHOWN = 6  # cells in the figure


@dataclasses.dataclass(frozen=True)
class Question:
    """What would have to change for cells to be called of a class, or no more.

    Attributes:
        run: the run.
        class_index: the class.
        validation: labelled validation cells.
        measured: f64 [N, F], their measurements.
        training: labelled training cells.
        measured_training: their measurements.
    """

    run: trained_run.Run
    class_index: int
    validation: ExplainedCells
    measured: pd.DataFrame
    training: ExplainedCells
    measured_training: pd.DataFrame

    @property
    def of_class(self) -> np.ndarray:
        """Whether each validation cell is of the class, bool [N]."""
        return self.validation.crops.label == self.class_index

    @property
    def rightly_called(self) -> np.ndarray:
        """Whether the network says of each validation cell what its label says, bool [N]."""
        return (self.margin(self.validation.logits) > 0) == self.of_class

    def margin(self, logits) -> np.ndarray:
        """Margin f64 [N] of the class."""
        return methods.margins(logits)[:, self.class_index]

    def answer(self, others, figures: pathlib.Path, name: str) -> tuple[dict, pd.DataFrame]:
        """What was found, as it is written down, and a row for each cell that was moved; figures are drawn."""
        class_name = self.run.classes[self.class_index]
        resampling = resampling_of(self.run)
        rows = self._rows_to_move()
        cells = _some(self.validation, rows)
        spread = shortest_edit.spreads(edit_response.to_edit(self.training), edit_response.names_of_edits(cells))
        way = shortest_edit.Steps(spread, relative=self.run.config.data.scale == "nucleus_max")
        to_edit = edit_response.to_edit(cells)
        shortest = shortest_edit.find(self.run.network, to_edit, self.class_index, self._wanted(rows), way)
        scales = changes.scales(
            self.measured_training,
            self.training.crops.label == self.class_index,
            self.run.channels,
            self.training.crops.stains,
        )
        nearest = self._nearest(rows, scales)
        changed = self._changed(scales, rows, shortest, nearest, resampling)
        found = Found(
            auroc=self._auroc(resampling),
            crossing=resampling.mean(shortest.crosses.astype(float), cells.groups, SHARE),
            changed=changed,
            n_cells=len(rows),
            n_groups=len(np.unique(cells.groups)),
            level=resampling.level,
        )
        said = sentence(found, class_name)
        of_others = [self._crossing_of(other, shortest, rows, resampling) for other in others]
        self._draw(figures, name, found, said, rows, shortest, nearest)
        result = {
            "class": class_name,
            "verdict": str(found.verdict),
            "sentence": said,
            "auroc": found.auroc,
            "crossing": found.crossing,
            "crossing_of_others": of_others,
            "spread_of_log": spread,
            "families": [_said(one) for one in changed],
            "n_cells": found.n_cells,
            "n_groups": found.n_groups,
            "figures": name,
        }
        return result, self._cells(rows, shortest, nearest, class_name)

    def _rows_to_move(self) -> np.ndarray:
        """Some rightly called validation cells of the class and of the others."""
        label = np.where(self.rightly_called, self.of_class.astype(int), schema.NO_LABEL)
        rows = sample_per_class(label, 2, MOVED, np.random.default_rng(self.run.config.seed))
        if not len(rows):
            raise InputRefused("validation split: the network calls no labelled cell rightly, so none can be moved "
                               "across; train longer, or look at the labels")
        return rows

    def _wanted(self, rows) -> np.ndarray:
        """The margin that each cell is to reach, f64 [M]: a share of what rightly called cells of that side have."""
        margin = self.margin(self.validation.logits)
        usual = {}
        for side in (True, False):
            of_side = margin[self.rightly_called & (self.of_class == side)]
            usual[side] = np.median(of_side) if len(of_side) else np.nan  # nothing is reached then
        return SURE * np.where(self.of_class[rows], usual[False], usual[True])

    def _auroc(self, resampling: Resampling) -> Interval:
        crops = self.validation.crops
        margin = self.margin(self.validation.logits)
        of_class = self.of_class

        def score(weights):
            return {"auroc": metrics.binary_auroc(of_class, margin, weights)}

        return resampling.intervals(score, crops.group_id, label=of_class.astype(int))["auroc"]

    def _nearest(self, rows, scales) -> np.ndarray:
        """Row of the nearest rightly called validation cell of the other side in the same field; -1: none."""
        fields = self.validation.crops.field_id
        nearest = np.full(len(rows), -1)
        for side in (True, False):
            own = np.flatnonzero(self.of_class[rows] == side)
            others = np.flatnonzero(self.rightly_called & (self.of_class != side))
            if not len(own) or not len(others):
                continue
            found = changes.nearest_rows(
                self.measured.iloc[rows[own]], self.measured.iloc[others], scales, fields[rows[own]], fields[others]
            )
            nearest[own] = np.where(found >= 0, others[found], -1)
        return nearest

    def _changed(self, scales, rows, shortest, nearest, resampling) -> list[changes.Changed]:
        """What changed in the cells that were moved across."""
        crops = self.validation.crops
        crossed = shortest.crosses
        edited = measured_again.table(
            shortest.images[crossed], shortest.compartments[crossed], self.run.channels, crops.nucleus
        )
        of_nearest = self.measured.iloc[nearest[crossed]].reset_index(drop=True)
        of_nearest[nearest[crossed] < 0] = np.nan
        before = self.measured.iloc[rows[crossed]].reset_index(drop=True)
        moved = changes.Moved(
            before=before,
            edited=edited.reindex(columns=before.columns),
            nearest=of_nearest,
            into=~self.of_class[rows[crossed]],
            groups=crops.group_id[rows[crossed]],
        )
        return changes.compare(scales, self.measured, self.of_class, crops.group_id, moved, resampling)

    def _crossing_of(self, other: trained_run.Run, shortest, rows, resampling: Resampling) -> Interval:
        """Share of the edits that cross which also do for another network, of cells that it calls rightly."""
        images = self.validation.images[rows]
        of_class = self.of_class[rows]
        before = self.margin(methods.logits_of(other.network, images)) > 0
        after = self.margin(methods.logits_of(other.network, shortest.images)) > 0
        counted = shortest.crosses & (before == of_class)
        if not counted.any():
            return Interval(float("nan"))
        groups = self.validation.crops.group_id[rows]
        return resampling.mean((after != before)[counted].astype(float), groups[counted], SHARE)

    def _draw(self, folder: pathlib.Path, name: str, found: Found, said: str, rows, shortest, nearest) -> None:
        for what in counterfactual_figures.WHAT:
            (folder / f"counterfactual_{name}_{what}.png").unlink(missing_ok=True)
        if not found.has_something:
            return
        style.save(counterfactual_figures.changes(found.changed, said), folder / f"counterfactual_{name}_changes.png")
        images = self.validation.images
        shown = []
        for into in (True, False):
            wanted = np.flatnonzero(shortest.crosses & (nearest >= 0) & (self.of_class[rows] != into))
            usual = np.abs(shortest.length[wanted] - np.median(shortest.length[wanted])) if len(wanted) else wanted
            shown += wanted[np.argsort(usual, kind="stable")][: SHOWN // 2].tolist()
        if not shown:
            return
        captions = [_caption(shortest, number, self.validation.crops) for number in shown]
        figure = counterfactual_figures.cells(
            images[rows[shown]],
            shortest.images[shown],
            images[nearest[shown]],
            self.run.channels,
            captions,
            self.validation.crops.known_um_per_px,
        )
        style.save(figure, folder / f"counterfactual_{name}_cells.png")

    def _cells(self, rows, shortest, nearest, class_name: str) -> pd.DataFrame:
        crops = self.validation.crops
        near = np.where(nearest >= 0, crops.cell_id[nearest], "")
        table = pd.DataFrame({
            schema.CELL_ID: crops.cell_id[rows],
            "class": class_name,
            "label": np.array(crops.classes)[crops.label[rows]],
            "crosses": shortest.crosses,
            "length": shortest.length,
        })
        for number, name in enumerate(shortest.names):
            table[f"step_{name}"] = shortest.steps[:, number]
        table["nearest_real_cell"] = near
        return table


def _some(cells: ExplainedCells, rows) -> ExplainedCells:
    return ExplainedCells(cells.run, crop_arrays.take(cells.crops, rows), cells.images[rows], cells.logits[rows])


def _caption(shortest, number: int, crops) -> str:
    """The largest step of an edit, in words."""
    steps = shortest.steps[number]
    largest = int(np.abs(steps).argmax())
    stain = crops.stains[0] if crops.stains else ""
    words = shortest_edit.EDITS[shortest.names[largest]].words.format(nucleus=crops.nucleus, stain=stain)
    return f"{words}\n{steps[largest]:+.1f} sd"


def _said(one: changes.Changed) -> dict:
    return {
        "family": one.scale.family,
        "measurement": one.scale.column,
        "name": changes.in_words(one.scale),
        "higher_in_class": one.scale.sign > 0,
        "class_difference": one.class_difference,
        "edited": one.edited,
        "nearest": one.nearest,
    }
