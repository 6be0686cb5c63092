"""The coarser grid on which nuclei are found: the field in blocks, and its objects back at full resolution."""

import functools

import numpy as np
from scipy import ndimage


def block_means(image: np.ndarray, step: int) -> np.ndarray:
    """Means of step x step px, f32; the image is continued at its lower and right end."""
    if step == 1:
        return image
    bands = range(0, len(image), 64 * step)  # so that what lies between the two sums stays in the cache
    means = np.concatenate([_sums(_sums(image[i:i + 64 * step], step).T, step).T for i in bands])
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
        i32 [H, W].
    """
    if step == 1:
        return labels
    full = np.zeros(shape, np.int32)
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        wide = tuple(slice(max(s.start - 1, 0), min(s.stop + 1, n)) for s, n in zip(box, labels.shape, strict=True))
        here, (finer_y, finer_x) = labels[wide], (_bilinear(s.stop - s.start, step) for s in wide)
        high = height[wide].astype(np.float32)
        inside = finer_y @ high @ finer_x.T > 0
        if np.any((high > 0) != (here == label)):  # something else is near, or rises unlabelled
            own = np.where(here == label, 1, np.where(here > 0, -1, 0)).astype(np.float32)
            inside &= finer_y @ own @ finer_x.T > 0
        finer = full[tuple(slice(s.start * step, s.stop * step) for s in wide)]
        finer[inside[:finer.shape[0], :finer.shape[1]]] = label
    return full


def _sums(image, step):
    """Sums of `step` rows, f32; the last row goes on where rows are missing."""
    total = np.array(image[::step], np.float32)
    for i in range(1, step):
        rows = image[i::step]
        total[:len(rows)] += rows
        total[len(rows):] += image[-1:]
    return total


@functools.cache
def _bilinear(length, step):
    """Matrix f32 [length * step, length] that interpolates between the middles of pixels."""
    at = np.clip((np.arange(length * step) + 0.5) / step - 0.5, 0, length - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(length))).astype(np.float32)
