"""Gaussian means as products with a banded matrix: the values of `ndimage.gaussian_filter`, several times as fast.

A filter along one axis is a product with a matrix that has the weights along its diagonal. Its band is narrow, so the
lines are treated a few at a time, each time with those around them that the weights reach.
"""

import functools

import numpy as np

# Lines that one product gives: more of them multiply more zeros, fewer make more products.
LINES = 32


def gaussian_mean(image: np.ndarray, sigma: float, truncate: float = 4.0) -> np.ndarray:
    """Mean around each pixel, weighted by a Gaussian; the image is mirrored at its border.

    Args:
        image: [H, W], any number type; sums are made in f32.
        sigma: standard deviation, px.
        truncate: where the Gaussian is cut off, in sigma.

    Returns:
        f32 [H, W]
    """
    band = _band(float(sigma), float(truncate))
    reach = (band.shape[1] - LINES) // 2
    height, width = image.shape
    means = np.empty((height, width), np.float32)
    padded = np.pad(image.astype(np.float32, copy=False), ((reach, reach), (0, 0)), mode="symmetric")
    for start in range(0, height, LINES):
        stop = min(start + LINES, height)
        matrix = band[: stop - start, : stop - start + 2 * reach]
        means[start:stop] = matrix @ padded[start : stop + 2 * reach]
    padded = np.pad(means, ((0, 0), (reach, reach)), mode="symmetric")
    for start in range(0, width, LINES):
        stop = min(start + LINES, width)
        matrix = band[: stop - start, : stop - start + 2 * reach]
        means[:, start:stop] = padded[:, start : stop + 2 * reach] @ matrix.T
    return means


@functools.lru_cache(maxsize=64)
def _band(sigma, truncate):
    """The weights of LINES neighbouring means, one row each, f32 [LINES, LINES + 2 * reach]."""
    reach = int(truncate * sigma + 0.5)
    distance = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (distance / sigma) ** 2)
    weights /= weights.sum()
    band = np.zeros((LINES, LINES + 2 * reach), np.float32)
    for line in range(LINES):
        band[line, line : line + len(weights)] = weights
    return band
