"""Where cells are and what outline they have: nuclei without overlap, some touching, and the bodies around them."""

import dataclasses
import math

import numpy as np
from scipy import ndimage

ANGLES = np.linspace(-np.pi, np.pi, 180, endpoint=False)
GAP_PX = 3  # nuclei that do not touch keep at least this distance
ATTEMPTS = 200  # places tried for one nucleus before the field counts as full


@dataclasses.dataclass(frozen=True)
class Nucleus:
    """One nuclear outline, star-shaped around the middle of its patch.

    Attributes:
        mask: bool [P, P], P odd; its pixels make up the nuclear area, to half a pixel.
        rho: f32 [P, P], distance from the centre over the outline's radius in that direction.
        radius_px: f64 [180], the outline at `ANGLES`.
        axis: direction of the long axis, radians.
        clear: bool [P, P], the mask and `GAP_PX` around it.
    """

    mask: np.ndarray
    rho: np.ndarray
    radius_px: np.ndarray
    axis: float
    clear: np.ndarray

    @property
    def half_px(self) -> int:
        """Distance from the middle of the patch to its edge."""
        return self.mask.shape[0] // 2

    def radius_at(self, angle) -> np.ndarray:
        """The outline's radius in px in some directions (radians)."""
        return np.interp(angle, ANGLES, self.radius_px, period=2 * np.pi)


@dataclasses.dataclass(frozen=True)
class Placement:
    """Nuclei in a field and the frame around it.

    Attributes:
        nuclei: those n that have a place.
        drawn: which of the drawn nuclei they are, rising.
        centres: int [n, 2], (y, x) in `labels`.
        labels: i32 [H, W], 0 is background, k + 1 the pixels of nuclei[k].
    """

    nuclei: list[Nucleus]
    drawn: list[int]
    centres: np.ndarray
    labels: np.ndarray


def draw_nucleus(rng, area_px: float, aspect: float, irregularity: float) -> Nucleus:
    """An ellipse with `area_px` pixels and length over width `aspect`, its outline bent by random harmonics.

    Args:
        rng: NumPy generator.
        area_px: number of pixels.
        aspect: length over width, at least 1.
        irregularity: sd of each of the harmonics 2 to 6, fraction of the radius.
    """
    axis = rng.uniform(-np.pi, np.pi)
    turned = ANGLES - axis
    mean_radius = np.sqrt(area_px / np.pi)
    radius = mean_radius / np.sqrt(np.cos(turned) ** 2 / aspect + np.sin(turned) ** 2 * aspect)
    order = np.arange(2, 7)[:, None]
    strength = rng.normal(0, irregularity, (5, 1))
    phase = rng.uniform(0, 2 * np.pi, (5, 1))
    harmonics = strength * np.cos(order * ANGLES + phase)
    radius = radius * np.clip(1 + harmonics.sum(0), 0.6, 1.4)
    half = int(np.ceil(radius.max() * 1.2)) + GAP_PX + 1
    y, x = np.mgrid[-half : half + 1, -half : half + 1] + rng.uniform(-0.5, 0.5, (2, 1, 1))
    outline = np.interp(np.arctan2(y, x), ANGLES, radius, period=2 * np.pi)
    rho = np.hypot(y, x) / outline
    # The area is a cue, so it is met by counting pixels, not by the outline's formula.
    n = max(int(round(area_px)), 1)
    edge = np.partition(rho.ravel(), n - 1)[n - 1]
    mask = rho <= edge
    clear = ndimage.distance_transform_edt(~mask) <= GAP_PX
    return Nucleus(mask, (rho / edge).astype(np.float32), radius * edge, axis, clear)


def place_nuclei(rng, nuclei: list[Nucleus], size_px: int, margin_px: int, touching: float) -> Placement:
    """Find a place for each nucleus, without overlap; one for which there is no room is left out.

    Args:
        rng: NumPy generator.
        nuclei: outlines to place.
        size_px: height and width of the field.
        margin_px: width of the frame around the field into which cells at its border reach.
        touching: share of the nuclei to place against another one.

    Returns:
        The placed nuclei, in an array of size_px + 2 margin_px pixels a side.
    """
    side = size_px + 2 * margin_px
    labels = np.zeros((side, side), np.int32)
    drawn = []
    centres = []
    single = []  # positions in `drawn` of nuclei without a partner yet
    for k, nucleus in enumerate(nuclei):
        joins = bool(single) and rng.random() < touching / 2
        for _ in range(ATTEMPTS):
            if joins:
                partner = single[rng.integers(len(single))]
                partner_nucleus = nuclei[drawn[partner]]
                centre = _against(rng, labels, nucleus, partner_nucleus, centres[partner])
            else:
                centre = rng.integers(margin_px, margin_px + size_px, 2)
                if not _is_free(labels, nucleus.clear, centre):
                    continue
            if centre is None or np.any((centre < margin_px) | (centre >= margin_px + size_px)):
                continue
            if joins:
                single.remove(partner)
            else:
                single.append(len(drawn))
            drawn.append(k)
            centres.append(centre)
            labels[window(centre, nucleus.half_px)][nucleus.mask] = len(drawn)
            break
    return Placement([nuclei[k] for k in drawn], drawn, np.array(centres), labels)


def window(centre, half_px: int) -> tuple[slice, slice]:
    """Slices of the square around a pixel, 2 half + 1 wide."""
    side = 2 * half_px + 1
    top = int(centre[0]) - half_px
    left = int(centre[1]) - half_px
    return slice(top, top + side), slice(left, left + side)


def cell_bodies(rng, placement: Placement, reach_px: float, stretch: float):
    """The body of each cell: the pixels nearest to its nucleus, up to an uneven reach.

    Args:
        rng: NumPy generator.
        placement: the n nuclei in an array [H, W].
        reach_px: distance from the nucleus to the body's edge.
        stretch: how much farther the body reaches along the nucleus' long axis, fraction.

    Returns:
        (bodies i32 [H, W] with the nuclei's values, distance f32 [H, W] in px to the nearest nucleus).
    """
    labels = placement.labels
    distance, nearest = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    distance = distance.astype(np.float32)
    owner = labels[tuple(nearest)] - 1
    centre_y, centre_x = placement.centres.T.astype(np.float32)
    axis = np.array([nucleus.axis for nucleus in placement.nuclei]).astype(np.float32)
    y, x = np.indices(labels.shape, dtype=np.float32)
    angle = np.arctan2(y - centre_y[owner], x - centre_x[owner])
    stretched = stretch * np.cos(2 * (angle - axis[owner]))
    wave = smooth_noise(rng, labels.shape, 0.45 * reach_px)
    reach = reach_px * (1 + stretched + 0.15 * wave)
    reach = np.maximum(reach, 0.2 * reach_px)  # the nucleus itself is always part of the body
    return np.where(distance < reach, owner + 1, 0).astype(np.int32), distance


def round_bodies(bodies: np.ndarray, placement: Placement, numbers, radius_px: float) -> None:
    """Make some bodies discs that lie above their neighbours' bodies, but not above their nuclei.

    Args:
        bodies: i32 [H, W], changed in place.
        placement: the nuclei with the same values.
        numbers: the values in `bodies` to change.
        radius_px: radius of the discs.
    """
    labels = placement.labels
    number_left = np.arange(len(placement.nuclei) + 1, dtype=np.int32)
    number_left[numbers] = 0
    bodies[...] = np.where(labels > 0, labels, number_left[bodies])
    half = int(radius_px)
    y, x = np.ogrid[-half : half + 1, -half : half + 1]
    disc = y**2 + x**2 <= radius_px**2
    for number in numbers:
        patch = window(placement.centres[number - 1], half)
        bodies[patch][disc & (labels[patch] == 0)] = number


def touching_labels(labels: np.ndarray) -> set[int]:
    """The values in `labels` i32 [H, W] of which a pixel has a neighbour (of eight) with another value."""
    neighbours = [
        (labels[:, :-1], labels[:, 1:]),
        (labels[:-1], labels[1:]),
        (labels[:-1, :-1], labels[1:, 1:]),
        (labels[:-1, 1:], labels[1:, :-1]),
    ]
    touching = set()
    for pixel, other in neighbours:
        meet = (pixel > 0) & (other > 0) & (pixel != other)
        touching.update(pixel[meet].tolist(), other[meet].tolist())
    return touching


def smooth_noise(rng, shape, sigma_px: float) -> np.ndarray:
    """Gaussian noise, f32 of `shape`, mean 0, sd 1, correlated over about `sigma_px`."""
    step = max(int(sigma_px / 2), 1)  # wide noise is drawn on a coarse grid: the same look, far less work
    coarse_shape = [math.ceil(n / step) + 2 for n in shape]
    noise = rng.standard_normal(coarse_shape, dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, sigma_px / step, mode="wrap")
    if step > 1:
        noise = ndimage.zoom(noise, step, order=1)
    noise = noise[: shape[0], : shape[1]]
    return (noise - noise.mean()) / noise.std()


def _is_free(labels, mask, centre):
    return not labels[window(centre, mask.shape[0] // 2)][mask].any()


def _against(rng, labels, nucleus, partner, centre):
    """The place next to `partner`, in a random direction, where the two just do not overlap; None where it is taken."""
    angle = rng.uniform(-np.pi, np.pi)
    direction = np.array([np.sin(angle), np.cos(angle)])
    farthest = int(partner.radius_px.max() + nucleus.radius_px.max()) + 2
    nearest_free = None
    for distance in range(farthest, 2, -1):
        candidate = centre + np.rint(distance * direction).astype(int)
        outside = (candidate < nucleus.half_px) | (candidate + nucleus.half_px >= labels.shape[0])
        if np.any(outside):
            return None
        if not _is_free(labels, nucleus.mask, candidate):
            return nearest_free
        nearest_free = candidate
    return nearest_free
