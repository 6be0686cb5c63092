"""One region of a picture zoomed about its centre, smoothly joined to surroundings that stay."""

import numpy as np
from scipy import ndimage

MARGIN = 0.35  # width over which a zoom fades, share of the region's radius
MARGIN_PX = 3.0  # at least


def zoom(region: np.ndarray, fixed: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Where to read a picture so that a region appears zoomed about its centre.

    The zoom is the same all over the region and fades out around it, before anything that is fixed; where the region
    touches that, it fades within the region.

    Args:
        region: bool [S, S], any True.
        fixed: bool [S, S], where nothing may move.
        factor: of lengths.

    Returns:
        weight f64 [S, S], 1 in the zoomed region and 0 where nothing moves, and the places to read from
        f64 [2, S, S], px.
    """
    grid = np.indices(region.shape).astype(np.float64)
    away = grid - np.argwhere(region).mean(0)[:, None, None]
    wanted = ndimage.map_coordinates(soft(region), grid + (1 / factor - 1) * away, order=1) > 0.5
    outside = np.maximum(ndimage.distance_transform_edt(~wanted) - 1, 0)  # one pixel more, or the outline would lag
    room = ndimage.distance_transform_edt(~fixed) if fixed.any() else np.full(region.shape, np.inf)
    margin = max(MARGIN_PX, MARGIN * np.sqrt(region.sum() / np.pi))
    fade = np.clip(1 - outside / np.maximum(np.minimum(margin, outside + room), 1e-9), 0, 1)
    weight = fade**2 * (3 - 2 * fade) * np.clip(room / MARGIN_PX, 0, 1)
    return weight, grid + weight * (1 / factor - 1) * away


def soft(mask: np.ndarray) -> np.ndarray:
    """A mask whose outline, at 0.5, runs between pixels; a staircase would move by whole pixels."""
    return ndimage.gaussian_filter(mask.astype(np.float64), 1.0, mode="nearest")


def read(channel: np.ndarray, at: np.ndarray) -> np.ndarray:
    """A channel f [S, S] read at places f64 [2, S, S]; by splines of order 5, or the grain of the picture would go.

    What is read stays within the values around, so that hard edges get no rims.
    """
    value = ndimage.map_coordinates(channel, at, np.float64, order=5, mode="nearest")
    low, high = (ndimage.map_coordinates(extreme(channel, size=3), at, np.float64, order=0, mode="nearest")
                 for extreme in (ndimage.minimum_filter, ndimage.maximum_filter))
    return np.clip(value, low, high)


def carried(points: np.ndarray, at: np.ndarray) -> np.ndarray:
    """How far points of the picture f64 [n, 2] are carried along where it is read at `at`, f64 [n, 2], px."""
    moves = np.indices(at.shape[1:]) - at
    way = np.zeros_like(points)
    for _ in range(5):  # a point comes to lie where the picture is read at its old place
        place = (points + way).T
        way = np.stack([ndimage.map_coordinates(move, place, order=1, mode="nearest") for move in moves], axis=1)
    return way
