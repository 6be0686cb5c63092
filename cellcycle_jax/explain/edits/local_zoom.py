"""One region of an image zoomed about its centre, smoothly joined to surroundings that stay."""

import numpy as np
from scipy import ndimage

MARGIN = 0.35  # width over which a zoom fades, share of the region's radius
MARGIN_PX = 3.0  # at least


def zoom(region: np.ndarray, fixed: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Where to read an image so that a region appears zoomed about its centre.

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
    centre = np.argwhere(region).mean(0)[:, None, None]
    from_centre = grid - centre
    everywhere = grid + (1 / factor - 1) * from_centre
    zoomed = ndimage.map_coordinates(soft(region), everywhere, order=1) > 0.5
    # One pixel more than it covers, or the outline would lag.
    outside = np.maximum(ndimage.distance_transform_edt(~zoomed) - 1, 0)
    room = np.full(region.shape, np.inf)
    if fixed.any():
        room = ndimage.distance_transform_edt(~fixed)
    radius = np.sqrt(region.sum() / np.pi)
    margin = np.minimum(max(MARGIN_PX, MARGIN * radius), outside + room)
    fade = np.clip(1 - outside / np.maximum(margin, 1e-9), 0, 1)
    smooth = fade**2 * (3 - 2 * fade)
    weight = smooth * np.clip(room / MARGIN_PX, 0, 1)
    return weight, grid + weight * (1 / factor - 1) * from_centre


def soft(mask: np.ndarray) -> np.ndarray:
    """A mask whose outline, at 0.5, runs between pixels; a staircase would move by whole pixels."""
    return ndimage.gaussian_filter(mask.astype(np.float64), 1.0, mode="nearest")


def read(channel: np.ndarray, at: np.ndarray) -> np.ndarray:
    """A channel f [S, S] read at places f64 [2, ...], px; by splines of order 5, or the grain of the image would go.

    What is read stays within the values around, so that hard edges get no rims.
    """
    value = ndimage.map_coordinates(channel, at, np.float64, order=5, mode="nearest")
    lowest = ndimage.minimum_filter(channel, size=3)
    highest = ndimage.maximum_filter(channel, size=3)
    low = ndimage.map_coordinates(lowest, at, np.float64, order=0, mode="nearest")
    high = ndimage.map_coordinates(highest, at, np.float64, order=0, mode="nearest")
    return np.clip(value, low, high)


def carried(points: np.ndarray, at: np.ndarray) -> np.ndarray:
    """How far points f64 [n, 2] of an image are carried along where it is read at f64 [2, S, S]: f64 [n, 2], px."""
    moves = np.indices(at.shape[1:]) - at
    way = np.zeros_like(points)
    for _ in range(5):  # a point comes to lie where the image is read at its old position
        position = (points + way).T
        for axis in range(2):
            way[:, axis] = ndimage.map_coordinates(moves[axis], position, order=1, mode="nearest")
    return way
