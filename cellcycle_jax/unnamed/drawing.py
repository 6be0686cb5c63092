"""The figures of what has no name, drawn from cells of a run."""

import dataclasses
import pathlib

import numpy as np
import pandas as pd

from cellcycle_jax.bank.cells import cells_of
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.figures import side_by_side, style, unnamed_figures
from cellcycle_jax.runs import trained_run
from cellcycle_jax.unnamed import aligned, concepts, hint, pairs, where
from cellcycle_jax.unnamed.found_concepts import Concept

LONG_AXIS = "long axis"
ALIGNED = 600  # most cells of the mean difference


class Figures:
    """Files RUN/figures/unnamed_NAME_WHAT.png of a class."""

    WHAT = ("parts", "places", "pairs", "aligned", "proposal", *(f"concept_{k + 1}" for k in range(2 * concepts.SHOWN)))

    def __init__(self, folder: pathlib.Path, name: str):
        """Nothing is written yet; `name` is that of the class in file names."""
        self._folder = folder
        self.name = name

    def _path(self, what: str) -> pathlib.Path:
        return self._folder / f"unnamed_{self.name}_{what}.png"

    def clear(self) -> None:
        """Remove what an earlier call drew."""
        for what in self.WHAT:
            self._path(what).unlink(missing_ok=True)

    def save(self, figure, what: str) -> None:
        """Write a figure; `what` is one of WHAT."""
        style.save(figure, self._path(what))


@dataclasses.dataclass(frozen=True)
class Drawing:
    """Figures of what has no name in a class.

    Attributes:
        run: the run.
        cells: labelled validation cells.
        class_name: the class.
    """

    run: trained_run.Run
    cells: hint.ValidationCells
    class_name: str

    def places(self, places: pd.DataFrame):
        """Where what has no name lies."""
        title = f"Where what has no name lies ({self.class_name} from the rest)"
        return unnamed_figures.places(places.to_dict("records"), self.run.channels, title)

    def proposal(self, proposal: hint.Proposal, values: pd.Series):
        """What has no name against a measurement, values f64 by the name of the cell."""
        cells = self.cells
        measurement = proposal.measurement
        label = f"{measurement.words} ({measurement.unit})" if measurement.unit else measurement.words
        names = ("the rest", self.class_name)
        if len(self.run.classes) == 2:
            names = self.run.classes
        title = (
            f"{measurement.words}: as a column of the table it explains a further {proposal.gain.percent()} of the "
            "difference between the classes"
        )
        return unnamed_figures.proposal(
            values.loc[cells.crops.cell_id].to_numpy(float),
            cells.left,
            cells.of_class,
            names,
            label,
            proposal.follows,
            title,
        )

    def pairs(self, tables):
        """Pairs of cells that agree in the measurements and differ in what has no name."""
        return self._pairs(tables, self.cells.left, "one with more and one with less of what has no name")

    def concept(self, tables, concept: Concept, number: int):
        """Pairs of cells that agree in the measurements and differ in a concept."""
        place = concept.places.iloc[0]
        name = f"concept {number} ({place['channel']}, {place['region']})"
        return self._pairs(tables, concept.amounts, f"one with more and one with less of {name}")

    def _pairs(self, tables, amount, differ: str):
        cells = self.cells
        crops = cells.crops
        named = tables.named.loc[crops.cell_id].to_numpy(float)
        more, less, apart = pairs.matched(named, cells.outputs.explained.mean(0), amount, crops.cell_line)
        both = crop_arrays.in_memory(crop_arrays.take(crops, np.append(more, less)))
        images = cells_of(both, self.run.channels).images
        captions = [f"{amount[a]:+.1f} and {amount[b]:+.1f}" for a, b in zip(more, less, strict=True)]
        title = (
            f"Pairs of cells that are alike in the measurements (as far apart as {100 * apart:.0f} % of the usual "
            f"distance), {differ}"
        )
        sides = {"more": images[: len(more)], "less": images[len(more) :]}
        return side_by_side.draw(sides, self.run.channels, captions, crops.known_um_per_px, title)

    def aligned(self, directions):
        """Mean difference of cells with most and least of it, in frames turned into directions."""
        cells = self.cells
        rows = np.random.default_rng(0).permutation(len(cells.crops))[:ALIGNED]
        crops = crop_arrays.in_memory(crop_arrays.take(cells.crops, rows))
        measured = cells_of(crops, self.run.channels)
        differences = {}
        for name in directions:
            vector = measured.axis if name == LONG_AXIS else measured.directions[name]
            images = aligned.frames(measured, vector)
            differences[f"{name} →"] = aligned.mean_difference(images, cells.left[rows], crops.group_id)
        title = "Mean difference of cells with more and with less of it, each cell turned and scaled to its nucleus"
        return unnamed_figures.aligned(differences, self.run.channels, aligned.REACH, title)


def frames(places: pd.DataFrame, stains) -> list[str]:
    """The directions into which cells are turned: to the stain in which most of it lies, and the long axis."""
    of_stains = [channel for channel in where.top(places, "channel") if channel in stains]
    return [*of_stains[:1], LONG_AXIS]
