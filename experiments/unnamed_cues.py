"""Cues of place and direction that are planted into simulated fields without biology, to study what has no name.

Each edit changes the cells of a field by a coin that was tossed for each: the two classes hold as much of every stain,
in as many spots, and differ in where it lies or which way it points. `CUES` is the truth that explanations are compared
with; it was committed before any network was explained.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy import ndimage
from skimage import measure

from data_prep.simulation.camera import COUNTS_PER_PHOTON

DNA, GOLGI, EB1, MARKER = range(4)
SPOT_PX = 1.0  # sigma of a spot
BLOB_PX = 1.3  # sigma of a blob that stands in two stains
STREAK_PX = 6.0  # length of a streak
STRIPE_PX = 5.0  # period of stripes in the chromatin
N_STREAKS = 14
N_SPOTS = 12  # of a cell, an even number
N_BLOBS = 6
APART_PX = 9.0  # least distance between spots that are spread
PAIRED_PX = 6.0  # distance between the two spots of a pair
MARGIN_PX = 3.0  # from a spot to the edge of the cytoplasm
RIM_PX = 3.0  # depth at which a change of the chromatin is whole
LEAST_NUCLEUS_PX = 50
LEAST_GOLGI_PX = 10


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell of a field, as the simulation drew it.

    Attributes:
        number: of it in the label images.
        nucleus: rows and columns of the pixels of its nucleus, i64 [2, N].
        depth: of these within it, 0 at its rim to 1 from RIM_PX on, f64 [N].
        cytoplasm: of its body, without what lies near its edge or near a nucleus, i64 [2, M].
        centre: of its nucleus, f64 [2], px.
        towards_golgi: unit vector f64 [2] from there to the centre of its Golgi.
        axis: unit vector f64 [2] along its nucleus.
    """

    number: int
    nucleus: np.ndarray
    depth: np.ndarray
    cytoplasm: np.ndarray
    centre: np.ndarray
    towards_golgi: np.ndarray
    axis: np.ndarray


def cells_of(nuclei, golgi, bodies) -> list[Cell]:
    """The cells of label images i32 [H, W] that have a nucleus and a Golgi large enough to point."""
    inner = ndimage.distance_transform_edt(_is_inner(bodies, nuclei)) > MARGIN_PX
    cytoplasm = np.where(inner, bodies, 0)
    golgi_regions = {region.label: region for region in measure.regionprops(golgi)}
    cytoplasm_regions = {region.label: region for region in measure.regionprops(cytoplasm)}
    cells = []
    for region in measure.regionprops(nuclei):
        own_golgi = golgi_regions.get(region.label)
        own_cytoplasm = cytoplasm_regions.get(region.label)
        if own_golgi is None or own_cytoplasm is None:
            continue
        if region.area < LEAST_NUCLEUS_PX or own_golgi.area < LEAST_GOLGI_PX:
            continue
        centre = np.array(region.centroid)
        away = np.array(own_golgi.centroid) - centre
        axis = np.array([np.cos(region.orientation), np.sin(region.orientation)])
        cells.append(Cell(
            number=region.label,
            nucleus=region.coords.T,
            depth=_depth(region),
            cytoplasm=own_cytoplasm.coords.T,
            centre=centre,
            towards_golgi=away / max(np.hypot(*away), 1e-6),
            axis=axis,
        ))
    return cells


def _depth(region):
    """How deep each pixel of a region lies in it, f64 [N], 1 from RIM_PX on."""
    distance = ndimage.distance_transform_edt(np.pad(region.image, 1))[1:-1, 1:-1]
    return np.minimum((distance[region.image] - 1) / RIM_PX, 1.0)


def _is_inner(bodies, nuclei):
    """Pixels of cytoplasm, bool [H, W], whose neighbours to the right and below are of the same cell."""
    inner = (bodies > 0) & (nuclei == 0)
    inner[:-1] &= bodies[:-1] == bodies[1:]
    inner[:, :-1] &= bodies[:, :-1] == bodies[:, 1:]
    return inner


def _span(plane) -> float:
    """From the dark to the bright places of a channel, camera units."""
    low, high = np.percentile(plane, (5, 99))
    return high - low


def _weigh_nucleus(plane, cell: Cell, weight) -> None:
    """Multiply the signal of a nucleus by weights f64 [N], so that its sum stays."""
    dark = np.percentile(plane, 5)
    rows, columns = cell.nucleus
    signal = plane[rows, columns] - dark
    weighed = signal * weight
    plane[rows, columns] = dark + weighed * (signal.sum() / max(weighed.sum(), 1e-6))


def _add_points(plane, points, strength: float, sigma_px: float, rng) -> None:
    """Add round spots with photon noise of their own to a plane f64 [H, W].

    Args:
        plane: changed in place.
        points: list of rows and columns, f64 [2, n].
        strength: brightness of a spot, of the span of the plane.
        sigma_px: of a spot.
        rng: NumPy generator.
    """
    y, x = np.concatenate(points, axis=1)
    brightness = strength * _span(plane)
    canvas = np.zeros(plane.shape)
    rows = np.clip(np.rint(y).astype(int), 0, plane.shape[0] - 1)
    columns = np.clip(np.rint(x).astype(int), 0, plane.shape[1] - 1)
    np.add.at(canvas, (rows, columns), brightness * 2 * np.pi * sigma_px**2)
    spots = ndimage.gaussian_filter(canvas, sigma_px)
    plane += COUNTS_PER_PHOTON * rng.poisson(spots / COUNTS_PER_PHOTON)


def nuclear_side(image, cells, is_second, strength, rng):
    """DNA is brighter on the side of the nucleus that faces the Golgi, or on the other."""
    for cell, second in zip(cells, is_second, strict=True):
        along = cell.towards_golgi @ (cell.nucleus - cell.centre[:, None])
        along = along / np.abs(along).max()
        sign = 1 if second else -1
        _weigh_nucleus(image[DNA], cell, 1 + strength * sign * along * cell.depth)


def chromatin_direction(image, cells, is_second, strength, rng):
    """Chromatin has fine stripes that point to the middle of the nucleus, or run around it."""
    for cell, second in zip(cells, is_second, strict=True):
        rows, columns = cell.nucleus - cell.centre[:, None]
        distance = np.hypot(rows, columns)
        radius = np.sqrt(len(rows) / np.pi)
        phase = rng.uniform(0, 2 * np.pi)
        if second:
            spokes = round(2 * np.pi * 0.6 * radius / STRIPE_PX)
            stripes = np.cos(spokes * np.arctan2(rows, columns) + phase)
        else:
            stripes = np.cos(2 * np.pi * distance / STRIPE_PX + phase)
        _weigh_nucleus(image[DNA], cell, 1 + strength * stripes * cell.depth)


def streak_direction(image, cells, is_second, strength, rng):
    """Streaks in EB1 point away from the nucleus, or run around it."""
    back = np.linspace(-0.5, 0.5, 7) * STREAK_PX
    points = []
    for cell, second in zip(cells, is_second, strict=True):
        y, x = _sites(cell, N_STREAKS, rng)
        angle = np.arctan2(y - cell.centre[0], x - cell.centre[1])
        if not second:
            angle = angle + np.pi / 2
        rows = y[:, None] + back * np.sin(angle)[:, None]
        columns = x[:, None] + back * np.cos(angle)[:, None]
        points.append([rows.ravel(), columns.ravel()])
    _add_points(image[EB1], points, strength / 3, 0.8, rng)


def spot_place(image, cells, is_second, strength, rng):
    """Spots in EB1 lie in line with nucleus and Golgi, on both sides, or across that line."""
    points = []
    for cell, second in zip(cells, is_second, strict=True):
        offset = cell.cytoplasm - cell.centre[:, None]
        cosine = (cell.towards_golgi @ offset) / np.maximum(np.hypot(*offset), 1e-6)
        in_line = np.abs(cosine) > np.sqrt(0.5)
        allowed = cell.cytoplasm[:, in_line == second]
        if allowed.shape[1] < N_SPOTS:
            allowed = cell.cytoplasm
        points.append(allowed[:, rng.choice(allowed.shape[1], N_SPOTS)])
    _add_points(image[EB1], points, strength, SPOT_PX, rng)


def spot_pairs(image, cells, is_second, strength, rng):
    """Spots in EB1 lie in pairs, or spread."""
    points = []
    for cell, second in zip(cells, is_second, strict=True):
        if not second:
            points.append(_sites(cell, N_SPOTS, rng, APART_PX))
            continue
        sites = _sites(cell, N_SPOTS // 2, rng, APART_PX)
        angle = rng.uniform(0, np.pi, N_SPOTS // 2)
        shift = PAIRED_PX / 2 * np.stack([np.sin(angle), np.cos(angle)])
        points += [sites + shift, sites - shift]
    _add_points(image[EB1], points, strength, SPOT_PX, rng)


def same_sites(image, cells, is_second, strength, rng):
    """Blobs of the Golgi's stain and of EB1 lie at the same sites of the cytoplasm, or at different ones."""
    of_golgi = []
    of_eb1 = []
    for cell, second in zip(cells, is_second, strict=True):
        sites = _sites(cell, 2 * N_BLOBS, rng, APART_PX)
        of_golgi.append(sites[:, :N_BLOBS])
        of_eb1.append(sites[:, :N_BLOBS] if second else sites[:, N_BLOBS:])
    _add_points(image[GOLGI], of_golgi, strength, BLOB_PX, rng)
    _add_points(image[EB1], of_eb1, strength, BLOB_PX, rng)


def _sites(cell: Cell, n: int, rng, apart_px: float = 0.0):
    """Rows and columns f64 [n] of random pixels of the cytoplasm, apart from each other where there is room."""
    order = rng.permutation(cell.cytoplasm.shape[1])
    candidates = cell.cytoplasm[:, order].astype(float)
    chosen = []
    for site in candidates.T:
        distances = [np.hypot(*(site - other)) for other in chosen]
        if not distances or min(distances) >= apart_px:
            chosen.append(site)
        if len(chosen) == n:
            break
    while len(chosen) < n:
        chosen.append(candidates[:, rng.integers(candidates.shape[1])])
    return np.array(chosen).T


def nothing(image, cells, is_second, strength, rng):
    """Nothing is changed."""


def dna_brightness(image, cells, is_second, strength, rng):
    """DNA is brighter in cells of the second class: a cue that the table holds."""
    dark = np.percentile(image[DNA], 5)
    for cell, second in zip(cells, is_second, strict=True):
        if second:
            rows, columns = cell.nucleus
            image[DNA][rows, columns] = dark + (1 + strength) * (image[DNA][rows, columns] - dark)


@dataclasses.dataclass(frozen=True)
class Cue:
    """A cue, and which explanation of it is right.

    Attributes:
        edit: (image f64 [C, H, W], changed in place, cells, is_second bool [N], strength, rng).
        strengths: with which it is planted: one that networks learn, and one that is half as strong.
        channels: in any of which it is right to see it.
        regions: the same.
        families: of the bank's measurements that name it.
    """

    edit: Callable
    strengths: tuple[float, float]
    channels: tuple[str, ...]
    regions: tuple[str, ...]
    families: tuple[str, ...]


CYTOPLASM = ("cell body", "organelle")
CUES = {
    "nuclear side": Cue(
        nuclear_side, (0.4, 0.2), ("DNA", "Golgi"), ("nucleus", "organelle"), ("side of a stain",)
    ),
    "chromatin direction": Cue(
        chromatin_direction, (0.25, 0.15), ("DNA",), ("nucleus",), ("direction of a pattern",)
    ),
    "streak direction": Cue(streak_direction, (1.5, 0.75), ("EB1",), CYTOPLASM, ("direction of a pattern",)),
    "spot place": Cue(spot_place, (1.5, 0.75), ("EB1", "Golgi"), CYTOPLASM, ("line of a stain",)),
    "spot pairs": Cue(spot_pairs, (2.0, 1.0), ("EB1",), CYTOPLASM, ("spacing", "spots by number and distance")),
    "same sites": Cue(same_sites, (1.5, 0.75), ("Golgi", "EB1"), CYTOPLASM, ("two stains together",)),
}
