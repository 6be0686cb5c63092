"""Cells turned into one frame, and how those with most of what has no name differ there from those with least."""

import numpy as np
from scipy import ndimage, stats

from cellcycle_jax.bank.cells import Cells

SIDE = 48  # px of the frame
REACH = 2.6  # nuclear radii from the middle of the frame to its edge
QUARTER = 0.25  # of the cells that are compared with as many others
LEVEL = 0.999  # of the pixels that are shown
SMOOTH_PX = 1.5  # sd of the Gaussian before images are compared


def frames(cells: Cells, direction) -> np.ndarray:
    """Images f32 [N, SIDE, SIDE, C] of cells turned so that a direction points right, each nucleus of the same size.

    Args:
        cells: N of them.
        direction: unit vectors (row, column) f64 [N, 2]; NaN of a cell that has none, whose frame is NaN.
    """
    centre_row, centre_column = (np.arange(cells.images.shape[1]).mean(),) * 2
    grid = (np.arange(SIDE) - (SIDE - 1) / 2) / ((SIDE - 1) / 2) * REACH
    down, right = np.meshgrid(grid, grid, indexing="ij")
    result = np.full((len(cells), SIDE, SIDE, len(cells.channels)), np.nan, np.float32)
    for n, (row, column) in enumerate(direction):
        if not np.isfinite(row):
            continue
        radius = cells.radius_px[n]
        rows = centre_row + radius * (right * row + down * column)
        columns = centre_column + radius * (right * column - down * row)
        for channel in range(len(cells.channels)):
            turned = ndimage.map_coordinates(cells.images[n, ..., channel], [rows, columns], order=1, mode="nearest")
            result[n, ..., channel] = ndimage.gaussian_filter(turned, SMOOTH_PX)
    return result


def mean_difference(images, amount, groups) -> tuple[np.ndarray, np.ndarray]:
    """Mean image of the quarter of cells with most, less that of the quarter with least, and where it is certain.

    Args:
        images: f32 [N, S, S, C]; NaN of cells that do not count.
        amount: f64 [N], of what has no name.
        groups: text [N]; the difference is that of each group, and what varies between groups makes it uncertain.

    Returns:
        f64 [S, S, C], over the mean image's standard deviation of each channel, and bool [S, S, C].
    """
    known = np.isfinite(images).all((1, 2, 3))
    images, amount, groups = images[known], amount[known], groups[known]
    low, high = np.quantile(amount, (QUARTER, 1 - QUARTER))
    differences = []
    for group in np.unique(groups):
        of_group = groups == group
        most = of_group & (amount >= high)
        least = of_group & (amount <= low)
        if most.any() and least.any():
            differences.append(images[most].mean(0) - images[least].mean(0))
    differences = np.array(differences, np.float64)
    mean = differences.mean(0)
    error = differences.std(0, ddof=1) / np.sqrt(len(differences))
    t = mean / np.where(error > 0, error, np.inf)
    certain = np.abs(t) > stats.t.ppf((1 + LEVEL) / 2, len(differences) - 1)
    # The corners of a frame lie outside of the crops of many cells.
    offset = np.linspace(-1, 1, mean.shape[0])
    certain &= (np.hypot(*np.meshgrid(offset, offset, indexing="ij")) <= 1)[..., None]
    return mean / images.mean(0).std((0, 1)), certain
