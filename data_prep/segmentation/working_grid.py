"""The coarser grid on which nuclei are found: the field in blocks, and its objects back at full resolution."""

import functools

import numpy as np
from scipy import ndimage

# Rows of blocks that are summed at a time, so that what lies between the two sums stays in the cache.
_BAND_BLOCKS = 64


def block_means(image: np.ndarray, step: int) -> np.ndarray:
    """Means of step x step px of an image [H, W], f32 [h, w]; it is continued at its lower and right end.

    An image of step 1 is given back as it is.
    """
    if step == 1:
        return image
    band_height = _BAND_BLOCKS * step
    sums = []
    for start in range(0, len(image), band_height):
        band = image[start : start + band_height]
        columns = _sums_of_rows(band, step).T
        sums.append(_sums_of_rows(columns, step).T)
    means = np.concatenate(sums)
    means *= np.float32(1 / step**2)
    return means


def outlined(labels: np.ndarray, height: np.ndarray, step: int, shape: tuple[int, int]) -> np.ndarray:
    """Labels of the field, `step` times as fine: outlines where the interpolated height is 0, borders half way.

    Args:
        labels: i32 [h, w].
        height: f32 [h, w], positive inside the objects.
        step: full px per px.
        shape: (H, W) of the field, of which `labels` may have up to a block more.

    Returns:
        i32 [H, W], numbered 1..n without a gap in the order of `labels`: an object may be too small to cover a pixel.
    """
    if step == 1:
        return labels
    full = np.zeros(shape, np.int32)
    drawn = 0
    for label, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        top = max(rows.start - 1, 0)
        left = max(columns.start - 1, 0)
        window = np.s_[top : rows.stop + 1, left : columns.stop + 1]
        nearby = labels[window]
        finer_y = _bilinear(nearby.shape[0], step)
        finer_x = _bilinear(nearby.shape[1], step)
        nearby_height = height[window].astype(np.float32)
        inside = finer_y @ nearby_height @ finer_x.T > 0
        is_own = nearby == label
        if np.any(is_own != (nearby_height > 0)):  # something else is near, or rises unlabelled
            own = np.select([is_own, nearby > 0], [1, -1], 0).astype(np.float32)
            inside &= finer_y @ own @ finer_x.T > 0
        finer = full[top * step :, left * step :]
        finer = finer[: inside.shape[0], : inside.shape[1]]
        inside = inside[: finer.shape[0], : finer.shape[1]]
        if inside.any():
            drawn += 1
            finer[inside] = drawn
    return full


def _sums_of_rows(image, step):
    """Sums of `step` rows, f32; the last row goes on where rows are missing."""
    total = np.array(image[::step], np.float32)
    for i in range(1, step):
        rows = image[i::step]
        total[: len(rows)] += rows
        total[len(rows) :] += image[-1:]
    return total


@functools.cache
def _bilinear(length, step):
    """Matrix f32 [length * step, length] that interpolates between the middles of pixels."""
    position = (np.arange(length * step) + 0.5) / step - 0.5
    position = np.clip(position, 0, length - 1)
    distance = np.abs(position[:, None] - np.arange(length))
    return np.maximum(0, 1 - distance).astype(np.float32)
