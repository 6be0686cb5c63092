"""Images of a cell in which one property is changed: what a network does with them shows what it depends on.

Every edit takes a cell and a dose, the relative change wanted (+0.10: ten per cent more), and leaves all other
properties as they are as far as it can. A dose can be missed (objects are at the edge of the cell, a neighbour touches
the nucleus), so each edit comes with a measurement of what it changed.

Limits. The body of the cell is never moved, so a larger nucleus leaves less cytoplasm, and less brightness in other
channels. Images are resampled where something moves, which takes some of their grain, more so where they are
magnified. A zoomed object of stain has its blur zoomed too. What lay below a object that moved away is smooth. Where an
image is scaled to its own brightest pixel (`data.scale = "nucleus_max"`) a brighter nucleus cannot occur.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from cellcycle_jax.explain.edits import local_zoom, stain_objects
from cellcycle_jax.schema import Compartment

NUCLEUS = "nucleus"
STAIN = "stain"


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell as the model sees it.

    Attributes:
        image: f32 [S, S, K], background at 0.
        compartments: u8 [S, S], bits of `schema.Compartment`.
        present: which of the bits are known.
        nucleus: position of the nuclear channel among the K, None where the model does not see it.
        stain: as `nucleus`, of the organelle.
    """

    image: np.ndarray
    compartments: np.ndarray
    present: int
    nucleus: int | None
    stain: int | None

    def knows(self, bits: Compartment) -> bool:
        """Whether all of `bits` are known."""
        return int(self.present) & int(bits) == bits

    def mask(self, bit: Compartment) -> np.ndarray:
        """Where a bit is set, bool [S, S]."""
        return (self.compartments & int(bit)) > 0

    @property
    def body(self) -> np.ndarray:
        """Where the cell may be changed: its body without other nuclei; everything else if the body is not known."""
        elsewhere = ~self.mask(Compartment.OTHER_NUCLEI)
        if not self.knows(Compartment.BODY):
            return elsewhere
        return elsewhere & self.mask(Compartment.BODY)

    @functools.cached_property
    def objects(self) -> stain_objects.StainObjects:
        """The objects of the organelle."""
        channel = self.image[..., self.stain]
        visible = self.mask(Compartment.ORGANELLE) & (channel != 0)  # `data.mask` may blank where objects are
        return stain_objects.find(channel, visible, self.body, self.mask(Compartment.NUCLEUS))

    @functools.cached_property
    def pieces(self) -> stain_objects.StainObjects:
        """The objects of the organelle, divided at their dim places."""
        return stain_objects.divided(self.objects)

    def copies(self) -> tuple[np.ndarray, np.ndarray]:
        """Image and compartments, for an edit to write to."""
        return self.image.copy(), self.compartments.copy()


@dataclasses.dataclass(frozen=True)
class Edit:
    """One property that can be changed.

    Attributes:
        words: the property, for a reader; "{nucleus}" and "{stain}" stand for the names of the channels.
        channel: NUCLEUS or STAIN, the channel that the property belongs to.
        lacking: cell -> why it cannot be edited, "" where it can.
        apply: (cell, dose) -> (image f32 [S, S, K], compartments u8 [S, S]), or None where nothing can be moved.
        measure: (cell, image, compartments) -> the property in an edited image of the cell, by the standards
            (threshold, background) of the unedited one; its relative change is the dose that was reached.
    """

    words: str
    channel: str
    lacking: Callable
    apply: Callable
    measure: Callable


def nuclear_area(cell: Cell, dose: float, channels=None):
    """Zoom the nucleus about its centre; the nuclear channel keeps its sum, so that it gets dimmer.

    A cell that grows gains no DNA. In other channels the nucleus is a hole, which is zoomed too. Objects of the second
    stain beside the nucleus are pushed aside and keep their size. Next to another nucleus it cannot grow, and the dose
    is missed.

    Args:
        cell: with a known nucleus.
        dose: relative change of the area, above -1.
        channels: positions of the channels to change, all if None.

    Returns:
        image f32 [S, S, K] and compartments u8 [S, S].
    """
    image, compartments = cell.copies()
    if dose == 0:
        return image, compartments
    if channels is None:
        channels = range(image.shape[-1])
    nucleus = cell.mask(Compartment.NUCLEUS)
    weight, at = local_zoom.zoom(nucleus, ~cell.body, np.sqrt(1 + dose))
    moved = weight > 0
    moved_from = at[:, moved]
    for k in channels:
        image[..., k][moved] = local_zoom.read(cell.image[..., k], moved_from)
    if cell.nucleus in channels:
        _keep_sum(image[..., cell.nucleus], cell.image[..., cell.nucleus], weight)
    zoomed = ndimage.map_coordinates(local_zoom.soft(nucleus), at, order=1, mode="nearest") > 0.5
    _set(compartments, Compartment.NUCLEUS, zoomed & cell.body)
    if cell.stain in channels and not _too_few_objects(cell):
        objects = cell.objects
        ground = objects.ground.copy()
        ground[moved] = local_zoom.read(objects.ground, moved_from)
        way = stain_objects.held(objects, local_zoom.carried(objects.centre, at))
        pushed = stain_objects.placed(dataclasses.replace(objects, ground=ground), way=way)
        image[..., cell.stain], mask = pushed
        _set_stain(compartments, cell, mask)
    return image, compartments


def _keep_sum(channel, before, weight):
    """Scale `channel`, in place and by `weight`, so that it sums to what `before` does."""
    scaled = float((weight * channel).sum(dtype=np.float64))
    if scaled > 0:
        lost = float(before.sum(dtype=np.float64) - channel.sum(dtype=np.float64))
        channel *= 1 + weight * lost / scaled


def dna_brightness(cell: Cell, dose: float):
    """The nuclear channel in the own nucleus times 1 + dose, half of it in the pixel around, so no outline is drawn.

    Args:
        cell: whose nuclear channel the model sees.
        dose: relative change of the summed brightness of the nuclear channel in the nucleus.

    Returns:
        image f32 [S, S, K] and compartments u8 [S, S], which are as they were.
    """
    image = cell.image.copy()
    from_nucleus = ndimage.distance_transform_edt(~cell.mask(Compartment.NUCLEUS))
    weight = np.clip(1 - from_nucleus / 2, 0, 1)
    weight[cell.mask(Compartment.OTHER_NUCLEI)] = 0
    image[..., cell.nucleus] *= (1 + dose * weight).astype(image.dtype)
    return image, cell.compartments.copy()


def stain_area(cell: Cell, dose: float):
    """Zoom each object of the organelle about its own centre, at the same brightness per pixel.

    Their common centre and the distances between their centres stay; summed brightness grows with the area. Objects
    that grow into one another add up, and what leaves the body is cut off, so that the dose can be missed.

    Args:
        cell: with a known organelle.
        dose: relative change of the area of the objects, above -1.

    Returns:
        image f32 [S, S, K] and compartments u8 [S, S].
    """
    if dose == 0:
        return cell.copies()
    return _with_stain(cell, *stain_objects.placed(cell.objects, zoom=np.sqrt(1 + dose)))


def stain_spread(cell: Cell, dose: float):
    """Move the objects of the organelle away from their common centre, weighted by brightness; each stays as it is.

    Args:
        cell: with at least two objects.
        dose: relative change of the objects' distances from their common centre.

    Returns:
        image f32 [S, S, K] and compartments u8 [S, S]; None where all objects are held by the edge of the body.
    """
    return _scattered(cell, cell.objects, dose)


def stain_pieces(cell: Cell, dose: float):
    """As `stain_spread`, of pieces: an object that is several bright places in a row is divided between them.

    Args:
        cell: with at least two pieces.
        dose: relative change of the pieces' distances from their common centre.

    Returns:
        image f32 [S, S, K] and compartments u8 [S, S]; None where all pieces are held by the edge of the body.
    """
    return _scattered(cell, cell.pieces, dose)


def _scattered(cell, objects, dose):
    if dose == 0:
        return cell.copies()
    way = stain_objects.scatter(objects, dose)
    if not way.any():
        return None
    return _with_stain(cell, *stain_objects.placed(objects, way=way))


def _with_stain(cell, channel, mask):
    image, compartments = cell.copies()
    image[..., cell.stain] = channel
    _set_stain(compartments, cell, mask)
    return image, compartments


def _set_stain(compartments, cell, mask):
    """Put the objects to `mask`; what else the stain's mask holds stays."""
    other = cell.mask(Compartment.ORGANELLE) & ~cell.objects.mask
    _set(compartments, Compartment.ORGANELLE, mask | other)


def _set(compartments, bit, mask):
    compartments &= ~np.uint8(bit)
    compartments[mask] |= np.uint8(bit)


def _no_nucleus(cell):
    has_nucleus = cell.knows(Compartment.NUCLEUS) and cell.mask(Compartment.NUCLEUS).any()
    return "" if has_nucleus else "the nucleus is not known"


def _no_dna(cell):
    if cell.nucleus is None:
        return "the model does not see the nuclear channel"
    if _no_nucleus(cell):
        return _no_nucleus(cell)
    bright = _dna(cell, cell.image, cell.compartments) > 0
    return "" if bright else "the nucleus is not bright"


def _too_few_objects(cell, least=1):
    if cell.stain is None:
        return "the model does not see the organelle"
    if not cell.knows(Compartment.NUCLEUS | Compartment.ORGANELLE | Compartment.BODY):
        return "the objects of the organelle are not known"
    return "" if len(cell.objects) >= least else f"fewer than {least} objects of the organelle"


def _no_two_objects(cell):
    return _too_few_objects(cell, 2)


def _no_two_pieces(cell):
    lacking = _too_few_objects(cell)
    if lacking:
        return lacking
    return "" if len(cell.pieces) >= 2 else "the objects of the organelle are one piece"


def _dna(cell, image, compartments):
    return float(image[..., cell.nucleus][cell.mask(Compartment.NUCLEUS)].sum(dtype=np.float64))


def _area(cell, image, compartments):
    """Area of the nucleus: where its channel is above half its median there, else that of the mask, in whole pixels."""
    nucleus = (compartments & int(Compartment.NUCLEUS)) > 0
    if _no_dna(cell) or not nucleus.any():
        return float(nucleus.sum())
    channel = image[..., cell.nucleus]
    near = ndimage.binary_dilation(nucleus, iterations=2) & cell.body
    return stain_objects.area_above(np.where(near, channel, 0), np.median(channel[nucleus]) / 2)


def _stain_area(cell, image, compartments):
    return stain_objects.area(cell.objects, image[..., cell.stain])


def _stain_spread(cell, image, compartments):
    return stain_objects.spread(cell.objects, image[..., cell.stain])


def _pieces_spread(cell, image, compartments):
    return stain_objects.spread(cell.pieces, image[..., cell.stain])


EDITS: dict[str, Edit] = {
    "nuclear_area": Edit("Nuclear area", NUCLEUS, _no_nucleus, nuclear_area, _area),
    "dna_brightness": Edit("Nuclear {nucleus} brightness", NUCLEUS, _no_dna, dna_brightness, _dna),
    "stain_area": Edit("{stain} area", STAIN, _too_few_objects, stain_area, _stain_area),
    "stain_spread": Edit("{stain} scattering", STAIN, _no_two_objects, stain_spread, _stain_spread),
}
# Of pieces rather than whole objects; the checks of `explain` know the edits above alone.
PIECES_APART = Edit("{stain} scattering", STAIN, _no_two_pieces, stain_pieces, _pieces_spread)
