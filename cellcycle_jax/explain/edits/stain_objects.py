"""The pieces of a stain (Golgi, comets) of one cell: taken off the cytoplasm, moved or zoomed, put back, measured.

A picture of a stain is divided into its ground, which is the cytoplasm continued below the pieces, and what each piece
adds to it. The two add up to the picture, so pieces that stay where they are leave it as it is.
"""

import dataclasses
import functools

import numpy as np
from scipy import ndimage

HALO_PX = 2  # how far the light of a piece reaches beyond its outline
GROUND_PX = 3.0  # sigma of the smoothing that continues the cytoplasm below a piece
FINE = 4  # a pixel is divided so often along each axis to measure the area of small pieces
FAINT = 0.1  # share of the brightest piece below which nothing counts as a piece
WAYS = (1.0, 0.8, 0.6, 0.4, 0.2)  # shares of its way that are tried until a piece stays in the cell


@dataclasses.dataclass(frozen=True)
class Pieces:
    """The n pieces of a stain.

    Attributes:
        number: i32 [S, S], piece 1..n that a pixel belongs to with its halo, 0 none.
        mask: bool [S, S], the pieces without their halo.
        body: bool [S, S], where pieces may be.
        ground: f64 [S, S], the stain without its pieces.
        excess: f64 [S, S], what the pieces add.
        light: f64 [n], summed brightness of each, above 0.
        centre: f64 [n, 2], of each, weighted by brightness, px.
    """

    number: np.ndarray
    mask: np.ndarray
    body: np.ndarray
    ground: np.ndarray
    excess: np.ndarray
    light: np.ndarray
    centre: np.ndarray

    def __len__(self) -> int:
        return len(self.light)

    @functools.cached_property
    def threshold(self) -> float:
        """The excess above which the pieces have the area of their mask; at least FAINT of the highest."""
        ordered = np.sort(_fine(self.excess), axis=None)[::-1]
        return max(float(ordered[min(int(self.mask.sum()) * FINE**2, ordered.size - 1)]), FAINT * float(ordered[0]))


def find(channel: np.ndarray, mask: np.ndarray, body: np.ndarray, nucleus: np.ndarray) -> Pieces:
    """The connected pieces that lie at least half outside the nucleus, each of them whole.

    A piece that reaches over the nucleus is not cut at its outline; one that lies mostly there is part of the ground.

    Args:
        channel: f32 [S, S], the stain, background at 0.
        mask: bool [S, S], where it forms pieces.
        body: bool [S, S], the cell's body, nucleus included.
        nucleus: bool [S, S].
    """
    channel, mask = channel.astype(np.float64), mask & body
    part, n = ndimage.label(mask, np.ones((3, 3)))
    outside = np.zeros(n + 1, bool)
    outside[1:] = ndimage.mean(nucleus, part, np.arange(1, n + 1)) <= 0.5
    own = outside[part]
    if not own.any():
        nothing = np.zeros_like(part)
        return Pieces(nothing, own, body, channel, np.zeros_like(channel), np.zeros(0), np.zeros((0, 2)))
    away, nearest = ndimage.distance_transform_edt(~own, return_indices=True)
    near = (away <= HALO_PX) & body & (own | ~mask)
    ground = _ground(channel, near, [place & body & ~mask & ~near for place in (~nucleus, nucleus)], nucleus)
    number, excess = np.where(near, part[tuple(nearest)], 0), channel - ground
    light = np.bincount(number.ravel(), np.maximum(excess, 0).ravel(), n + 1)[1:]
    kept = np.flatnonzero(light > 0)
    renumbered = np.zeros(n + 1, np.int32)
    renumbered[kept + 1] = np.arange(1, len(kept) + 1)
    number = renumbered[number]
    centre = ndimage.center_of_mass(np.maximum(excess, 0), number, np.arange(1, len(kept) + 1))
    excess = np.where(number > 0, excess, 0)
    return Pieces(number, own & (number > 0), body, channel - excess, excess, light[kept], np.reshape(centre, (-1, 2)))


def _ground(channel, near, known, nucleus):
    """The stain with `near` replaced by a smooth continuation of what is known outside and inside the nucleus."""
    ground = channel.copy()
    for place, there in zip((~nucleus, nucleus), known, strict=True):
        there = there if there.any() else known[0] | known[1]
        level = np.median(channel[there]) if there.any() else 0.0
        weight = ndimage.gaussian_filter(there.astype(np.float64), GROUND_PX)
        smooth = ndimage.gaussian_filter(np.where(there, channel, 0), GROUND_PX) / np.maximum(weight, 1e-12)
        ground[near & place] = np.where(weight > 1e-3, smooth, level)[near & place]
    return ground


def placed(pieces: Pieces, zoom: float = 1.0, way: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The stain with its pieces zoomed about their centres, or moved.

    Args:
        pieces: of the stain.
        zoom: of lengths; brightness per pixel is kept.
        way: f64 [n, 2], how far each is moved, px; None: not at all.

    Returns:
        The stain f64 [S, S], and where it now forms pieces, bool [S, S]. What leaves the body is cut off.
    """
    grid = np.indices(pieces.mask.shape).astype(np.float64)
    channel = pieces.ground.copy()
    way = np.zeros_like(pieces.centre) if way is None else way
    for i, (centre, step) in enumerate(zip(pieces.centre[:, :, None, None], way[:, :, None, None], strict=True), 1):
        own, at = pieces.number == i, centre + (grid - centre - step) / zoom
        reached = ndimage.map_coordinates(own.astype(np.float64), at, order=1) > 0  # a spline never quite ends
        channel += np.where(reached, ndimage.map_coordinates(np.where(own, pieces.excess, 0), at, order=3), 0)
    channel = np.where(pieces.body, channel, pieces.ground + pieces.excess)
    return channel, (channel - pieces.ground > pieces.threshold) & pieces.body


def scatter(pieces: Pieces, dose: float) -> np.ndarray:
    """How far each piece has to move so that its way from their common centre changes by `dose`, f64 [n, 2], px."""
    return held(pieces, dose * (pieces.centre - pieces.light @ pieces.centre / pieces.light.sum()))


def held(pieces: Pieces, way: np.ndarray) -> np.ndarray:
    """`way` f64 [n, 2], px, shortened by steps of a fifth for each piece that would leave the body."""
    size, kept = np.array(pieces.body.shape), np.zeros_like(way)
    for i, step in enumerate(way, 1):
        pixels = np.argwhere((pieces.number == i) & pieces.mask)
        for share in WAYS:
            there = np.concatenate([f(pixels + share * step) for f in (np.floor, np.ceil)]).astype(int)
            if ((there >= 0) & (there < size)).all() and pieces.body[tuple(there.T)].all():
                kept[i - 1] = share * step
                break
    return kept


def area(pieces: Pieces, channel: np.ndarray) -> float:
    """Area of the pieces in an edited picture of the stain, px^2, finer than a pixel.

    Counted is what stands out of the ground by more than the pieces' own threshold, at which their unedited area is
    that of their mask.

    Args:
        pieces: of the unedited stain.
        channel: f [S, S], the edited stain.
    """
    return area_above(np.where(pieces.body, channel - pieces.ground, 0), pieces.threshold)


def area_above(channel: np.ndarray, threshold: float) -> float:
    """Area where f [S, S] is above a threshold, px^2, finer than a pixel."""
    return float((_fine(channel) > threshold).sum()) / FINE**2


def _fine(channel):
    return ndimage.zoom(channel, FINE, np.float64, order=1, grid_mode=True, mode="nearest")


def spread(pieces: Pieces, channel: np.ndarray) -> float:
    """How far the places of the pieces lie from their common centre in an edited picture, px.

    Root of the second moment of brightness about its centre, less what the pieces' own size contributed to it before;
    so it is right only for pieces that keep their size.

    Args:
        pieces: of the unedited stain.
        channel: f [S, S], the edited stain.
    """
    whole = _moment(np.maximum(pieces.excess, 0))
    between = _moment(pieces.light, pieces.centre)
    edited = _moment(np.maximum(np.where(pieces.body, channel - pieces.ground, 0), 0))
    return float(np.sqrt(max(edited - (whole - between), 0.0)))


def _moment(weight, at=None):
    """Weighted mean square distance from the weighted centre; of the pixels of a picture, or of the points `at`."""
    at = np.argwhere(np.ones(weight.shape, bool)) if at is None else at
    share = weight.ravel() / weight.sum()
    return float(share @ ((at - share @ at) ** 2).sum(1))
