"""Shape of every nucleus of a field at once, equal to scikit-image's `regionprops_table`.

Every sum runs over stretches of pixels in a row, not over pixels, and over all nuclei in one call.
"""

import itertools

import numpy as np

from data_prep.measurement.regions import Regions, Runs


def shape(regions: Regions, scale: float) -> dict[str, np.ndarray]:
    """Shape of each nucleus; FormFactor is 4 pi area / perimeter^2, 1 for a disc.

    Args:
        regions: of the labels.
        scale: um per px: lengths are multiplied by it, areas by its square.

    Returns:
        {column: f64 [n]}
    """
    area = regions.count.astype(np.float64)
    top, left, bottom, right = boxes(regions.runs, len(area))
    major, minor = principal_variances(regions)
    around = perimeter(regions)
    roundness = np.divide(minor, major, out=np.ones_like(minor), where=major > 0)
    values = {
        "Area": area * scale**2,
        "Perimeter": around * scale,
        "Eccentricity": np.sqrt(1 - roundness),
        "Solidity": area / convex_area(regions.runs, len(area)),
        "Extent": area / ((bottom - top) * (right - left)),
        "MajorAxisLength": 4 * np.sqrt(major) * scale,
        "MinorAxisLength": 4 * np.sqrt(minor) * scale,
        "EquivalentDiameter": np.sqrt(4 * area / np.pi) * scale,
        "FormFactor": 4 * np.pi * area / np.maximum(around, 1) ** 2,
    }
    return {f"Nuclei_AreaShape_{name}": value for name, value in values.items()}


def boxes(runs: Runs, n: int):
    """First row, first column, one past the last row and column of each of `n` labels, four i64 [n]."""
    starts = np.searchsorted(runs.index, np.arange(n))
    if n == 0:
        return (starts,) * 4
    top = np.minimum.reduceat(runs.row, starts)
    left = np.minimum.reduceat(runs.first, starts)
    bottom = np.maximum.reduceat(runs.row, starts) + 1
    right = np.maximum.reduceat(runs.last, starts) + 1
    return top, left, bottom, right


def centres(regions: Regions):
    """Mean row and mean column of each label's pixels, two f64 [n]."""
    runs = regions.runs
    length = runs.last - runs.first + 1
    centre_y = _mean_over_pixels(regions, length * runs.row)
    centre_x = _mean_over_pixels(regions, length * (runs.first + runs.last) / 2)
    return centre_y, centre_x


def _mean_over_pixels(regions, sums) -> np.ndarray:
    """Mean over the pixels of each label, f64 [n], of what sums to `sums` over the pixels of each run."""
    return np.bincount(regions.runs.index, sums, len(regions.count)) / regions.count


def principal_variances(regions: Regions):
    """Variance of the pixels' places along the long and the short axis of each label, px^2, two f64 [n].

    The eigenvalues of the covariance matrix; coordinates count from the label's own box, so nothing is lost far from
    the field's corner.
    """
    runs = regions.runs
    top, left, _, _ = boxes(runs, len(regions.count))
    y = runs.row - top[runs.index]
    a = runs.first - left[runs.index]
    b = runs.last - left[runs.index]
    length = b - a + 1
    sum_x = (a + b) * length / 2
    sum_xx = (b * (b + 1) * (2 * b + 1) - a * (a - 1) * (2 * a - 1)) / 6  # a^2 + (a + 1)^2 + ... + b^2
    mean_y = _mean_over_pixels(regions, length * y)
    mean_x = _mean_over_pixels(regions, sum_x)
    variance_y = _mean_over_pixels(regions, length * y * y) - mean_y**2
    variance_x = _mean_over_pixels(regions, sum_xx) - mean_x**2
    covariance = _mean_over_pixels(regions, y * sum_x) - mean_x * mean_y
    middle = (variance_y + variance_x) / 2
    half = np.hypot((variance_y - variance_x) / 2, covariance)
    return middle + half, np.maximum(middle - half, 0)


def perimeter(regions: Regions) -> np.ndarray:
    """Length of each label's outline, px, f64 [n].

    Each pixel of the border (one of its four neighbours is not of its label) adds 1, sqrt 2 or their mean, depending
    on how many neighbours of it are border themselves (Benkrid and Crookes, Design and FPGA implementation of a
    perimeter estimator, 2000). The weights are scikit-image's for `neighborhood=4`.
    """
    weights = np.zeros(50)
    weights[[5, 7, 15, 17, 25, 27]] = 1
    weights[[21, 33]] = np.sqrt(2)
    weights[[13, 23]] = (1 + np.sqrt(2)) / 2
    border = outline(regions)
    edge = np.flatnonzero(border)
    steps = np.array([step for step in itertools.product((-1, 0, 1), repeat=2) if any(step)])
    neighbour = regions.neighbour(*steps.T[..., None], edge)
    is_border = border[neighbour] & (neighbour >= 0)
    code = 1 + np.where(steps.all(axis=1), 10, 2) @ is_border
    return np.bincount(regions.owner[edge], weights[code], len(regions.count))


def outline(regions: Regions, field_edge: bool = True) -> np.ndarray:
    """Which of `regions.pixels` have one of their four neighbours outside their label, bool [P].

    Args:
        regions: of the labels.
        field_edge: what lies outside the field is outside every label; otherwise it does not count as a neighbour.
    """
    runs = regions.runs
    height, width = regions.shape
    below = regions.neighbour(1, 0)
    lowest = below < 0
    uppermost = np.ones(len(below), bool)
    uppermost[below[~lowest]] = False
    length = runs.last - runs.first + 1
    end = np.cumsum(length)
    begin = end - length
    if not field_edge:
        lowest &= regions.pixels < (height - 1) * width
        uppermost &= regions.pixels >= width
        begin = begin[runs.first > 0]
        end = end[runs.last < width - 1]
    border = lowest | uppermost
    border[begin] = True
    border[end - 1] = True
    return border


def convex_area(runs: Runs, n: int) -> np.ndarray:
    """Pixels whose centre lies in the convex hull of each label, f64 [n], as `convex_hull_image` counts them.

    A pixel enters the hull with the middles of its four sides. All is done in integers (twice the coordinates), so a
    centre on the hull's edge is inside, without tolerance. For each row the hull reaches from the upper hull of
    -column to that of +column; both sides of all labels are found together.
    """
    if n == 0:
        return np.zeros(0)
    is_new_row = np.diff(runs.index, prepend=-1) | np.diff(runs.row, prepend=-1)
    leftmost = np.flatnonzero(is_new_row)
    rightmost = np.append(leftmost[1:], len(runs.row)) - 1
    index = runs.index[leftmost]
    row = runs.row[leftmost]
    first = runs.first[leftmost]
    last = runs.last[rightmost]
    side = np.concatenate([index, index + n])
    outermost = np.concatenate([last, -first])
    corners = _upper_hull(*_side_middles(side, np.tile(row, 2), outermost))
    top, _, bottom, _ = boxes(runs, n)
    height = np.tile(bottom - top, 2)
    earlier_rows = np.cumsum(height) - height
    side_of_row = np.repeat(np.arange(2 * n), height)
    row_of_hull = np.arange(height.sum()) + np.repeat(np.tile(top, 2) - earlier_rows, height)
    reach = _height_of(corners, side_of_row, 2 * row_of_hull) // 2
    area = np.bincount(side_of_row % n, reach, n) + (bottom - top)
    return area.astype(np.float64)


def _side_middles(side, row, column):
    """Twice the places of the upper, outer and lower side of the outermost pixel of each row, the outer one of two."""
    side = np.repeat(side, 3)
    place = (2 * row[:, None] + (-1, 0, 1)).ravel()
    value = (2 * column[:, None] + (0, 1, 0)).ravel()
    is_new = np.diff(side, prepend=-1) | np.diff(place, prepend=place[:1])
    start = np.flatnonzero(is_new)
    return side[start], place[start], np.maximum.reduceat(value, start)


def _upper_hull(side, place, value):
    """The corners of the upper convex hull of each side's points, sorted by place.

    A point on or below the line between its two neighbours is no corner, however many others go with it; what is left
    when none goes is the hull.
    """
    while True:
        step = np.diff(place)
        rise = np.diff(value)
        is_above_line = rise[:-1] * step[1:] > rise[1:] * step[:-1]
        corner = np.ones(len(side), bool)
        corner[1:-1] = (side[:-2] != side[2:]) | is_above_line
        if corner.all():
            return side, place, value
        side = side[corner]
        place = place[corner]
        value = value[corner]


def _height_of(corners, side, place):
    """Height, rounded down, of the line through the `corners` of a side at each place, i64."""
    sides, places, values = corners
    span = places.max() + 3
    key = side * span + place
    left = np.searchsorted(sides * span + places, key, side="right") - 1
    step = places[left + 1] - places[left]
    rise = values[left + 1] - values[left]
    return (values[left] * step + rise * (place - places[left])) // step
