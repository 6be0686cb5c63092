"""Where cells are and what outline they have: nuclei without overlap, some touching, and the bodies around them."""

import dataclasses

import numpy as np
from scipy import ndimage

ANGLES = np.linspace(-np.pi, np.pi, 180, endpoint=False)
GAP_PX = 3  # nuclei that do not touch keep at least this distance
ATTEMPTS = 200  # places tried for one nucleus before the field counts as full


@dataclasses.dataclass(frozen=True)
class Nucleus:
    """One nuclear outline, star-shaped around the middle of its patch."""

    mask: np.ndarray  # bool [P, P], P odd; its pixels make up the nuclear area, to half a pixel
    rho: np.ndarray  # f32 [P, P]: distance from the centre over the outline's radius in that direction
    radius_px: np.ndarray  # f64 [180]: the outline at `ANGLES`
    axis: float  # direction of the long axis, radians
    clear: np.ndarray  # bool [P, P]: the mask and `GAP_PX` around it

    @property
    def half_px(self) -> int:
        """Distance from the middle of the patch to its edge."""
        return self.mask.shape[0] // 2

    def radius_at(self, angle) -> np.ndarray:
        """The outline's radius in px in some directions (radians)."""
        return np.interp(angle, ANGLES, self.radius_px, period=2 * np.pi)


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
    radius = np.sqrt(area_px / np.pi) / np.sqrt(np.cos(turned) ** 2 / aspect + np.sin(turned) ** 2 * aspect)
    order = np.arange(2, 7)[:, None]
    bend = rng.normal(0, irregularity, (5, 1)) * np.cos(order * ANGLES + rng.uniform(0, 2 * np.pi, (5, 1)))
    radius = radius * np.clip(1 + bend.sum(0), 0.6, 1.4)
    half = int(np.ceil(radius.max() * 1.2)) + GAP_PX + 1
    y, x = np.mgrid[-half : half + 1, -half : half + 1] + rng.uniform(-0.5, 0.5, (2, 1, 1))
    rho = np.hypot(y, x) / np.interp(np.arctan2(y, x), ANGLES, radius, period=2 * np.pi)
    # The area is a cue, so it is met by counting pixels, not by the outline's formula.
    n = max(int(round(area_px)), 1)
    edge = np.partition(rho.ravel(), n - 1)[n - 1]
    mask = rho <= edge
    near = ndimage.distance_transform_edt(~mask) <= GAP_PX
    return Nucleus(mask, (rho / edge).astype(np.float32), radius * edge, axis, near)


def place_nuclei(rng, nuclei: list[Nucleus], size_px: int, margin_px: int, touching: float):
    """Find a place for each nucleus, without overlap.

    Args:
        rng: NumPy generator.
        nuclei: outlines to place.
        size_px: height and width of the field.
        margin_px: width of the frame around the field into which cells at its border reach.
        touching: share of the nuclei to place against another one.

    Returns:
        (labels i32 [size + 2 margin, size + 2 margin], centres int [n, 2] (y, x) in that array). Value k + 1 belongs to
        nuclei[k]; a nucleus for which there was no room has the centre -1 and no pixels.
    """
    labels = np.zeros((size_px + 2 * margin_px,) * 2, np.int32)
    centres = np.full((len(nuclei), 2), -1)
    single = []  # placed, and without a partner yet
    for k, nucleus in enumerate(nuclei):
        joins = bool(single) and rng.random() < touching / 2
        for _ in range(ATTEMPTS):
            if joins:
                partner = single[rng.integers(len(single))]
                centre = _against(rng, labels, nucleus, nuclei[partner], centres[partner])
            else:
                centre = rng.integers(margin_px, margin_px + size_px, 2)
                centre = centre if _free(labels, nucleus.clear, centre) else None
            if centre is None or np.any(centre < margin_px) or np.any(centre >= margin_px + size_px):
                continue
            centres[k] = centre
            labels[window(centre, nucleus.half_px)][nucleus.mask] = k + 1
            if joins:
                single.remove(partner)
            else:
                single.append(k)
            break
    return labels, centres


def window(centre, half_px: int) -> tuple[slice, slice]:
    """Slices of the square around a pixel, 2 half + 1 wide."""
    return tuple(slice(int(c) - half_px, int(c) + half_px + 1) for c in centre)


def cell_bodies(rng, labels: np.ndarray, centres, axes: np.ndarray, reach_px: float, stretch: float):
    """The body of each cell: the pixels nearest to its nucleus, up to an uneven reach.

    Args:
        rng: NumPy generator.
        labels: i32 [H, W] nuclei.
        centres: int [n, 2] (y, x) of the nuclei.
        axes: f64 [n], direction of each cell's long axis, radians.
        reach_px: distance from the nucleus to the body's edge.
        stretch: how much farther the body reaches along that axis, fraction.

    Returns:
        (bodies i32 [H, W] with the nuclei's values, distance f32 [H, W] in px to the nearest nucleus).
    """
    distance, (near_y, near_x) = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    owner = labels[near_y, near_x] - 1
    distance = distance.astype(np.float32)
    y, x = np.indices(labels.shape, dtype=np.float32)
    angle = np.arctan2(y - centres[:, 0].astype(np.float32)[owner], x - centres[:, 1].astype(np.float32)[owner])
    wave = smooth_noise(rng, labels.shape, 0.45 * reach_px)
    reach = reach_px * (1 + stretch * np.cos(2 * (angle - axes.astype(np.float32)[owner])) + 0.15 * wave)
    reach = np.maximum(reach, 0.2 * reach_px)  # the nucleus itself is always part of the body
    return np.where(distance < reach, owner + 1, 0).astype(np.int32), distance


def round_bodies(bodies: np.ndarray, labels: np.ndarray, centres, numbers, radius_px: float) -> None:
    """Make some bodies discs that lie above their neighbours' bodies, but not above their nuclei.

    Args:
        bodies: i32 [H, W], changed in place.
        labels: i32 [H, W] nuclei with the same values.
        centres: int [n, 2] (y, x) of all nuclei, that of value 1 first.
        numbers: the values in `bodies` to change.
        radius_px: radius of the discs.
    """
    kept = np.arange(len(centres) + 1, dtype=np.int32)
    kept[numbers] = 0
    bodies[...] = np.where(labels > 0, labels, kept[bodies])
    half = int(radius_px)
    y, x = np.ogrid[-half : half + 1, -half : half + 1]
    for number in numbers:
        at = window(centres[number - 1], half)
        bodies[at][(y**2 + x**2 <= radius_px**2) & (labels[at] == 0)] = number


def touching_labels(labels: np.ndarray) -> set[int]:
    """The values in `labels` i32 [H, W] of which a pixel has a neighbour (of eight) with another value."""
    found = set()
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        one = labels[: labels.shape[0] - dy, max(-dx, 0) : labels.shape[1] - max(dx, 0)]
        other = labels[dy:, max(dx, 0) : labels.shape[1] + min(dx, 0)]
        meet = (one > 0) & (other > 0) & (one != other)
        found.update(one[meet].tolist(), other[meet].tolist())
    return found


def smooth_noise(rng, shape, sigma_px: float) -> np.ndarray:
    """Gaussian noise, f32 of `shape`, mean 0, sd 1, correlated over about `sigma_px`."""
    coarse = max(int(sigma_px / 2), 1)  # wide noise is drawn on a coarse grid: the same look, far less work
    small = rng.standard_normal([-(-n // coarse) + 2 for n in shape], dtype=np.float32)
    small = ndimage.gaussian_filter(small, sigma_px / coarse, mode="wrap")
    wide = ndimage.zoom(small, coarse, order=1) if coarse > 1 else small
    wide = wide[: shape[0], : shape[1]]
    return (wide - wide.mean()) / wide.std()


def _free(labels, mask, centre):
    return not labels[window(centre, mask.shape[0] // 2)][mask].any()


def _against(rng, labels, nucleus, partner, centre):
    """The place next to `partner`, in a random direction, where the two just do not overlap; None where it is taken."""
    angle = rng.uniform(-np.pi, np.pi)
    far = int(partner.radius_px.max() + nucleus.radius_px.max()) + 2
    last = None
    for distance in range(far, 2, -1):
        tried = centre + np.rint(distance * np.array([np.sin(angle), np.cos(angle)])).astype(int)
        if np.any(tried < nucleus.half_px) or np.any(tried + nucleus.half_px >= labels.shape[0]):
            return None
        if not _free(labels, nucleus.mask, tried):
            return last
        last = tried
    return last
