"""Euclidean distances from the pixels of objects, and from those near them; all others cost next to nothing."""

from typing import NamedTuple

import numpy as np


class Near(NamedTuple):
    """The pixels of objects and those near them; each [P].

    pixels: i64, flat indices in rising order; squared_px: squared distance to the object, 0 inside; label: the
    object's.
    """

    pixels: np.ndarray
    squared_px: np.ndarray
    label: np.ndarray


def depth(mask: np.ndarray) -> np.ndarray:
    """Distance, px, from each pixel of the mask to the nearest one outside, f32 [H, W]; 0 outside.

    The values are those of `scipy.ndimage.distance_transform_edt`; beyond the border lies nothing. In a mask without
    any pixel outside all distances are infinite.

    Distances are found along columns; along each row the nearest is then the least of column distance squared plus
    step squared (Felzenszwalb and Huttenlocher, Theory of Computing 2012). A pixel steps no further than the least that
    it has found.
    """
    along_column = _squared_depth_in_columns(mask).ravel()
    inside = np.flatnonzero(mask)
    width = mask.shape[1]
    column = inside % width
    row_start = inside - column
    squared = along_column[inside]
    unsettled = np.arange(len(inside))
    least = squared.copy()
    for step in range(1, width):
        can_improve = least > step * step
        if not can_improve.all():
            squared[unsettled] = least
            unsettled = unsettled[can_improve]
            column = column[can_improve]
            row_start = row_start[can_improve]
            least = least[can_improve]
        if len(unsettled) == 0:
            break
        # A step beyond the border ends at it, where a shorter step was before: that changes nothing.
        left = along_column[row_start + np.maximum(column - step, 0)]
        right = along_column[row_start + np.minimum(column + step, width - 1)]
        np.minimum(least, np.minimum(left, right) + np.float32(step * step), out=least)
    squared[unsettled] = least
    depths = np.zeros(mask.shape, np.float32)
    depths.ravel()[inside] = np.sqrt(squared)
    return depths


def nearest_objects(labels: np.ndarray, reach_px: float) -> Near:
    """The pixels of each object and those within `reach_px` of it that are nearer to no other.

    Which of two objects that are equally near has a pixel is not random: the one above, else the one to the left.

    Each pixel holds a number: the least squared distance found so far, then the steps down and right that lead there.
    So the smaller number of two is the nearer object, with its place.

    Args:
        labels: i32 [H, W], 0 is background.
        reach_px: at least 0.
    """
    reach = int(reach_px)
    steps = 2 * reach + 1
    unit = steps * steps  # of the squared distance in the number
    beyond = (int(reach_px**2) + 1) * unit
    number_type = np.min_scalar_type(beyond + (reach**2 + 1) * unit)
    numbers = np.where(labels > 0, 0, beyond).astype(number_type)
    numbers = _least_along_rows(numbers, reach, unit, steps)
    numbers = np.minimum(numbers, number_type.type(beyond))
    numbers = _least_along_rows(numbers.T, reach, unit, 1).T
    pixels = np.flatnonzero(numbers < beyond)
    squared, where = np.divmod(numbers.ravel()[pixels], number_type.type(unit))
    down, right = np.divmod(where, number_type.type(steps))
    row_step = down.astype(np.int64) - reach
    column_step = right.astype(np.int64) - reach
    nearest = pixels + row_step * labels.shape[1] + column_step
    return Near(pixels, squared, labels.ravel()[nearest])


def _least_along_rows(numbers, reach, unit, step_unit):
    """The least of each number and those up to `reach` rows above and below, each with the way there added.

    Args:
        numbers: unsigned [H, W].
        reach: px.
        unit: what a squared distance of 1 adds.
        step_unit: what a step of 1 adds; -reach adds 0.
    """
    number_type = numbers.dtype.type
    least = numbers + number_type(reach * step_unit)
    for step in range(1, min(reach, len(numbers) - 1) + 1):
        way = step * step * unit
        above = numbers[:-step] + number_type(way + (reach - step) * step_unit)
        below = numbers[step:] + number_type(way + (reach + step) * step_unit)
        np.minimum(least[step:], above, out=least[step:])
        np.minimum(least[:-step], below, out=least[:-step])
    return least


def _squared_depth_in_columns(mask):
    """Squared distance from each pixel of the mask to the nearest one outside in its column; f32 [H, W], 0 outside.

    Infinite in a column without any pixel outside.
    """
    height = len(mask)
    by_column = np.flatnonzero(mask.T)
    row = by_column % height
    starts_run = np.ones(len(by_column), bool)
    starts_run[1:] = (np.diff(by_column) > 1) | (row[1:] == 0)
    starts = np.flatnonzero(starts_run)
    length = np.diff(starts, append=len(by_column))
    first_row = row[starts]
    last_row = first_row + length - 1
    outside_above = np.where(first_row > 0, first_row - 1.0, -np.inf)
    outside_below = np.where(last_row < height - 1, last_row + 1.0, np.inf)
    from_above = row - np.repeat(outside_above, length)
    from_below = np.repeat(outside_below, length) - row
    squared = np.zeros(mask.T.shape, np.float32)
    squared.ravel()[by_column] = np.minimum(from_above, from_below) ** 2
    return np.ascontiguousarray(squared.T)
