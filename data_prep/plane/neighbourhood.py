"""What lies around each pixel, found by shifting the whole plane: quick where a neighbourhood is a few pixels wide."""

import numpy as np
from skimage import morphology


def highest_nearby(image: np.ndarray, reach: int) -> np.ndarray:
    """Highest value in the square of 2 * reach + 1 px around each pixel of [H, W]; nothing lies beyond the border."""
    by_row = _highest_along_rows(image, reach)
    return _highest_along_rows(by_row.T, reach).T


def surrounded(mask: np.ndarray, reach: int) -> np.ndarray:
    """Whether the whole square of 2 * reach + 1 px around each pixel is in the mask, bool [H, W].

    What lies beyond the border does not count.
    """
    return ~highest_nearby(~mask, reach)


def inner_edge(labels: np.ndarray) -> np.ndarray:
    """The outermost pixels of each object: beside, above or below them lies another value; bool [H, W].

    Args:
        labels: integers [H, W], 0 is background. What lies beyond the border is no other value.
    """
    differs = np.zeros(labels.shape, bool)
    rows_differ = labels[1:] != labels[:-1]
    differs[1:] = rows_differ
    differs[:-1] |= rows_differ
    columns_differ = labels[:, 1:] != labels[:, :-1]
    differs[:, 1:] |= columns_differ
    differs[:, :-1] |= columns_differ
    return differs & (labels != 0)


def opened(mask: np.ndarray, radius: int) -> np.ndarray:
    """The mask without what is narrower than a disc of this radius, px; bool [H, W]. Nothing lies beyond the border."""
    steps = np.argwhere(morphology.disk(radius))
    height, width = mask.shape
    eroded = np.ones(mask.shape, bool)
    padded = np.pad(mask, radius)
    for down, right in steps:
        eroded &= padded[down : down + height, right : right + width]
    dilated = np.zeros(mask.shape, bool)
    padded = np.pad(eroded, radius)
    for down, right in steps:
        dilated |= padded[down : down + height, right : right + width]
    return dilated


def _highest_along_rows(image, reach):
    """Highest of each pixel and those up to `reach` rows above and below."""
    highest = image.copy(order="K")  # a transposed image is treated along its memory too
    for step in range(1, min(reach, len(image) - 1) + 1):
        np.maximum(highest[step:], image[:-step], out=highest[step:])
        np.maximum(highest[:-step], image[step:], out=highest[:-step])
    return highest
