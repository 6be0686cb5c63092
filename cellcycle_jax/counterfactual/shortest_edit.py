"""The shortest change of named properties that moves a cell across to another class.

The properties are those of `EDITS`: area of the nucleus, brightness of its stain, area and scattering of the
organelle's objects. A step in one of them is measured in standard deviations of its logarithm over real cells, so that
a step is as far in each as cells differ in it. Each cell is first edited a little in each property, which gives the
direction in which its margin moves fastest per step; then it is edited further and further, in that direction and in
the property alone that moves it fastest, until it is called otherwise; if it is not, each property alone is tried.
"""

import dataclasses

import numpy as np

from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.edits import edits
from cellcycle_jax.explain.edits.dose_response import EditedCells
from cellcycle_jax.explain.edits.edits import Cell
from cellcycle_jax.schema import Compartment

# Scattered are pieces, not whole objects: an organelle that is one object could not be moved apart.
EDITS = edits.EDITS | {"stain_spread": edits.PIECES_APART}
PROBE = 0.5  # of the first small edits
LENGTHS = tuple(np.arange(0.5, 4.01, 0.5))  # that are tried, in standard deviations


@dataclasses.dataclass(frozen=True)
class Shortest:
    """The shortest edits of N cells, with E properties.

    Attributes:
        names: of the properties, keys of `EDITS`.
        crosses: bool [N], whether an edit was found after which the cell is called otherwise.
        steps: f64 [N, E], by how much each property was asked to change, in standard deviations; 0 where none crosses.
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


@dataclasses.dataclass(frozen=True)
class Steps:
    """How steps become edits.

    Attributes:
        spread: property -> standard deviation of its logarithm, as of `spreads`.
        relative: whether a network sees each cell relative to the brightest pixel of its nucleus, edited ones too.
    """

    spread: dict[str, float]
    relative: bool = False


def find(network, cells: EditedCells, class_index: int, wanted, way: Steps) -> Shortest:
    """The shortest edit of each cell after which its margin is on the other side, and far enough there.

    Args:
        network: of P classes.
        cells: N cells.
        class_index: the class whose margin is moved.
        wanted: f64 [N], margin that is to be reached: above 0 of a cell that is to be called of the class, else below.
        way: how steps become edits; its properties are those that are edited.
    """
    names = tuple(way.spread)
    n_cells = len(cells.single)
    found = Shortest(
        names=names,
        crosses=np.zeros(n_cells, bool),
        steps=np.zeros((n_cells, len(names))),
        images=cells.images.copy(),
        compartments=cells.compartments.copy(),
    )
    if not names:  # nothing of these cells can be edited
        return found
    slopes = _slopes(network, cells, class_index, way) * np.sign(wanted)[:, None]
    directions = [_unit(slopes), _unit(_largest_only(slopes))]
    for length in LENGTHS:
        for direction in directions:
            _try(network, cells, class_index, wanted, length * direction, way, found)
    # Where the margin is flat at first, a step may still help that the first small ones do not point to.
    for length in LENGTHS:
        for alone in np.vstack([np.eye(len(names)), -np.eye(len(names))]):
            steps = np.tile(length * alone, (n_cells, 1))
            _try(network, cells, class_index, wanted, steps, way, found)
    return found


def _try(network, cells: EditedCells, class_index: int, wanted, steps, way, found: Shortest) -> None:
    """Edit the cells that do not cross yet, and keep in `found` the edits after which they do.

    Args:
        network, cells, class_index, wanted, way: as of `find`.
        steps: f64 [N, E], of each cell.
        found: changed in place.
    """
    rows = np.flatnonzero(~found.crosses & (steps != 0).any(1))
    if not len(rows):
        return
    images = np.empty((len(rows), *found.images.shape[1:]), np.float32)
    compartments = np.empty((len(rows), *found.compartments.shape[1:]), np.uint8)
    for number, row in enumerate(rows):
        edited = edit_together(cells.single[row], dict(zip(found.names, steps[row], strict=True)), way)
        images[number] = edited.image
        compartments[number] = edited.compartments
    margin = methods.margins(methods.logits_of(network, images))[:, class_index]
    crosses = np.where(wanted[rows] > 0, margin > wanted[rows], margin < wanted[rows])
    crossed = rows[crosses]
    found.crosses[crossed] = True
    found.steps[crossed] = steps[crossed]
    found.images[crossed] = images[crosses]
    found.compartments[crossed] = compartments[crosses]


def edit_together(cell: Cell, steps: dict[str, float], way: Steps) -> Cell:
    """A cell edited in several properties, one after the other; those that it lacks stay.

    Args:
        cell: to edit.
        steps: property -> change in standard deviations.
        way: how steps become edits.
    """
    for name, step in steps.items():
        if step == 0 or EDITS[name].lacking(cell):
            continue
        edited = EDITS[name].apply(cell, float(np.expm1(step * way.spread[name])))
        if edited is not None:
            image, compartments = edited
            cell = dataclasses.replace(cell, image=image, compartments=compartments)
    return _relative_to_brightest(cell) if way.relative else cell


def _relative_to_brightest(cell: Cell) -> Cell:
    """A cell whose channels are 1 at the brightest pixel of its nucleus; one without signal there stays."""
    nucleus = cell.mask(Compartment.NUCLEUS)
    brightest = np.where(nucleus[..., None], cell.image, 0).max((0, 1))
    return dataclasses.replace(cell, image=cell.image / np.where(brightest > 0, brightest, 1.0))


def _slopes(network, cells: EditedCells, class_index: int, way: Steps) -> np.ndarray:
    """Change of the margin per step in each property, f64 [N, E]; 0 where the cell lacks it."""
    names = tuple(way.spread)
    slopes = np.zeros((len(cells.single), len(names)))
    for number, name in enumerate(names):
        has = np.array([not EDITS[name].lacking(cell) for cell in cells.single], bool)
        if not has.any():
            continue
        margins = []
        for step in (PROBE, -PROBE):
            images = []
            for row in np.flatnonzero(has):
                images.append(edit_together(cells.single[row], {name: step}, way).image)
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
