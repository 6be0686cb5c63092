"""The coarser grid on which nuclei are found: the field in blocks, and its objects back at full resolution."""

import functools

import numpy as np
from scipy import ndimage


def block_means(image: np.ndarray, step: int) -> np.ndarray:
    """Means of step x step px, f32; the image is continued at its lower and right end."""
    if step == 1:
        return image
    missing = [(0, -length % step) for length in image.shape]
    image = np.pad(image, missing, mode="edge") if np.any(missing) else image
    rows = sum(image[i::step] for i in range(step))
    return sum(rows[:, i::step] for i in range(step)) * np.float32(1 / step**2)


def outlined(labels: np.ndarray, height: np.ndarray, step: int) -> np.ndarray:
    """Labels at `step` times the resolution: outlines where the interpolated height is 0, borders half way.

    Args:
        labels: i32 [h, w].
        height: f32 [h, w], positive inside the objects.
        step: full px per px.

    Returns:
        i32 [h * step, w * step].
    """
    if step == 1:
        return labels
    full = np.zeros((labels.shape[0] * step, labels.shape[1] * step), np.int32)
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        wide = tuple(slice(max(s.start - 1, 0), min(s.stop + 1, n)) for s, n in zip(box, labels.shape, strict=True))
        here, (finer_y, finer_x) = labels[wide], (_bilinear(s.stop - s.start, step) for s in wide)
        own = np.where(here == label, 1, np.where(here > 0, -1, 0)).astype(np.float32)
        inside = (finer_y @ height[wide] @ finer_x.T > 0) & (finer_y @ own @ finer_x.T > 0)
        full[tuple(slice(s.start * step, s.stop * step) for s in wide)][inside] = label
    return full


@functools.cache
def _bilinear(length, step):
    """Matrix f32 [length * step, length] that interpolates between the middles of pixels."""
    at = np.clip((np.arange(length * step) + 0.5) / step - 0.5, 0, length - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(length))).astype(np.float32)
