"""The shortest change of named properties that moves a cell across to another class.

The properties are those of `edits.EDITS`: area of the nucleus, brightness of its stain, area and scattering of the
organelle's objects. A step in one of them is measured in standard deviations of its logarithm over real cells, so that
a step is as far in each as cells differ in it. Each cell is first edited a little in each property, which gives the
direction in which its margin moves fastest per step; then it is edited further and further, in that direction and in
the property alone that moves it fastest, until it is called otherwise.
"""

import dataclasses

import numpy as np

from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.edits.dose_response import EditedCells
from cellcycle_jax.explain.edits.edits import EDITS, Cell

PROBE = 0.5  # of the first small edits
LENGTHS = tuple(np.arange(0.5, 4.01, 0.5))  # that are tried, in standard deviations


@dataclasses.dataclass(frozen=True)
class Shortest:
    """The shortest edits of N cells, with E properties.

    Attributes:
        names: of the properties, keys of `edits.EDITS`.
        crosses: bool [N], whether an edit was found after which the cell is called otherwise.
        steps: f64 [N, E], by how much each property was asked to change, in standard deviations; the furthest edit that
            was tried where none crosses.
        images: f32 [N, S, S, K], after the edit.
        compartments: u8 [N, S, S], the same.
    """

    names: tuple[str, ...]
    crosses: np.ndarray
    steps: np.ndarray
    images: np.ndarray
    compartments: np.ndarray

    @property
    def length(self) -> np.ndarray:
        """Length f64 [N] of each edit, in standard deviations."""
        return np.sqrt((self.steps**2).sum(1))


def spreads(cells: EditedCells, names) -> dict[str, float]:
    """Standard deviation over cells of the logarithm of each property; properties that no cell has are left out."""
    found = {}
    for name in names:
        edit = EDITS[name]
        values = []
        for cell in cells.single:
            if not edit.lacking(cell):
                values.append(edit.measure(cell, cell.image, cell.compartments))
        values = np.array([value for value in values if value > 0])
        if len(values) > 1 and np.log(values).std() > 0:
            found[name] = float(np.log(values).std())
    return found


def find(network, cells: EditedCells, class_index: int, into, spread: dict[str, float]) -> Shortest:
    """The shortest edit of each cell after which its margin has another sign.

    Args:
        network: of P classes.
        cells: N cells.
        class_index: the class whose margin is moved.
        into: bool [N], whether the cell is to be called of the class, or no more.
        spread: as of `spreads`.
    """
    names = tuple(spread)
    sign = np.where(into, 1.0, -1.0)
    slopes = _slopes(network, cells, class_index, names, spread) * sign[:, None]
    directions = [_unit(slopes), _unit(_largest_only(slopes))]
    n_cells, size = len(cells.single), cells.images.shape[1:]
    found = Shortest(
        names=names,
        crosses=np.zeros(n_cells, bool),
        steps=np.zeros((n_cells, len(names))),
        images=cells.images.copy(),
        compartments=cells.compartments.copy(),
    )
    for length in LENGTHS:
        for direction in directions:
            rows = np.flatnonzero(~found.crosses & (direction != 0).any(1))
            if not len(rows):
                continue
            images = np.empty((len(rows), *size), np.float32)
            compartments = np.empty((len(rows), *size[:2]), np.uint8)
            for number, row in enumerate(rows):
                steps = dict(zip(names, length * direction[row], strict=True))
                edited = edit_together(cells.single[row], steps, spread)
                images[number] = edited.image
                compartments[number] = edited.compartments
            margin = methods.margins(methods.logits_of(network, images))[:, class_index]
            found.steps[rows] = length * direction[rows]
            found.images[rows] = images
            found.compartments[rows] = compartments
            found.crosses[rows] = sign[rows] * margin > 0
    return found


def edit_together(cell: Cell, steps: dict[str, float], spread: dict[str, float]) -> Cell:
    """A cell edited in several properties, one after the other; those that it lacks stay.

    Args:
        cell: to edit.
        steps: property -> change in standard deviations.
        spread: as of `spreads`.
    """
    for name, step in steps.items():
        if step == 0 or EDITS[name].lacking(cell):
            continue
        edited = EDITS[name].apply(cell, float(np.expm1(step * spread[name])))
        if edited is not None:
            image, compartments = edited
            cell = dataclasses.replace(cell, image=image, compartments=compartments)
    return cell


def _slopes(network, cells: EditedCells, class_index: int, names, spread) -> np.ndarray:
    """Change of the margin per step in each property, f64 [N, E]; 0 where the cell lacks it."""
    slopes = np.zeros((len(cells.single), len(names)))
    for number, name in enumerate(names):
        has = np.array([not EDITS[name].lacking(cell) for cell in cells.single], bool)
        if not has.any():
            continue
        margins = []
        for step in (PROBE, -PROBE):
            images = []
            for row in np.flatnonzero(has):
                images.append(edit_together(cells.single[row], {name: step}, spread).image)
            margins.append(methods.margins(methods.logits_of(network, np.stack(images)))[:, class_index])
        slopes[has, number] = (margins[0] - margins[1]) / (2 * PROBE)
    return slopes


def _largest_only(slopes) -> np.ndarray:
    """Slopes f64 [N, E] of which all but the largest of each cell are 0."""
    largest = np.abs(slopes).argmax(1)
    return np.where(np.arange(slopes.shape[1]) == largest[:, None], slopes, 0.0)


def _unit(vectors) -> np.ndarray:
    length = np.sqrt((vectors**2).sum(1, keepdims=True))
    return vectors / np.where(length > 0, length, 1.0)
