"""Labels -> centred crops of all channels, with the compartments of each crop as bit flags."""

import numpy as np
from scipy import ndimage

from cellcycle_jax.schema import Compartment

SAME_SCALE = 0.01  # pixel sizes closer than this fraction need no resampling


def cut_all(image, labels, bodies, numbers, centres, size_px, scale, fill, stain, debris):
    """The crops of nuclei of one field.

    Args:
        image: f32 [H, W, C]; labels, bodies i32 [H, W]; stain, debris bool [H, W], stain None where there is none.
        numbers: labels of the N nuclei; centres: their (y, x), px of the field, [N, 2].
        size_px: height and width of a crop, in crop pixels.
        scale: crop pixels per field pixel: field um per px / crop um per px.
        fill: f32 [C], what stands outside the field (the background, so that an edge does not shine).

    Returns:
        (images f32 [N, S, S, C], compartments u8 [N, S, S]).
    """
    parts = [None if mask is None else masks(mask, centres, size_px, scale) for mask in (labels, bodies, stain, debris)]
    own = np.reshape(numbers, (-1, 1, 1))
    return pictures(image, centres, size_px, scale, fill), compartments(parts[0], parts[1], own, parts[2], parts[3])


def compartments(labels, bodies, number, stain, debris) -> np.ndarray:
    """Bits of `Compartment` around nucleus `number`, u8 of the shape of `labels`.

    Args:
        labels, bodies: i32 windows around one nucleus [S, S] or several [N, S, S].
        number: the nucleus' label; of several [N, 1, 1].
        stain: mask of the second stain or None; only its pixels in this cell's body count.
        debris: mask of objects that are no nuclei.
    """
    own, body = labels == number, bodies == number
    there = {Compartment.NUCLEUS: own, Compartment.OTHER_NUCLEI: (labels > 0) & ~own, Compartment.BODY: body,
             Compartment.DEBRIS: debris}
    if stain is not None:
        there[Compartment.SECOND_STAIN] = stain & body
    bits = np.zeros(labels.shape, np.uint8)
    for bit, mask in there.items():
        bits |= mask.astype(np.uint8) * np.uint8(bit)
    return bits


def pictures(image, centres, size_px, scale, fill) -> np.ndarray:
    """Crops [N, S, S, C] around `centres` [N, 2] in the type of `image` [H, W, C], which is f32 unless `scale` is 1."""
    out = np.empty((len(centres), size_px, size_px, image.shape[2]), image.dtype)
    centres = np.round(centres).astype(int)
    if _same(scale):
        for crop, centre in zip(out, centres, strict=True):
            _fill_window(crop, image, centre - size_px // 2, fill)
        return out
    weights = _weights(size_px, scale)
    reach = weights.shape[1] // 2
    window = np.empty((2 * reach, 2 * reach, image.shape[2]), image.dtype)
    for crop, centre in zip(out, centres, strict=True):
        _fill_window(window, image, centre - reach, fill)
        rows = (weights @ window.reshape(2 * reach, -1)).reshape(size_px, 2 * reach, -1)
        crop[...] = np.matmul(weights, rows)
    return out


def masks(array, centres, size_px, scale) -> np.ndarray:
    """Windows [N, S, S] of labels or of a mask [H, W] around `centres`, 0 outside; resampled to the nearest pixel."""
    out = np.empty((len(centres), size_px, size_px), array.dtype)
    centres = np.round(centres).astype(int)
    if _same(scale):
        for crop, centre in zip(out, centres, strict=True):
            _fill_window(crop, array, centre - size_px // 2, 0)
        return out
    steps = np.floor(_steps(size_px, scale) + 0.5).astype(int)
    window = np.empty((steps[-1] - steps[0] + 1,) * 2, array.dtype)
    for crop, centre in zip(out, centres, strict=True):
        _fill_window(window, array, centre + steps[0], 0)
        crop[...] = window[np.ix_(steps - steps[0], steps - steps[0])]
    return out


def _same(scale):
    return abs(scale - 1) < SAME_SCALE


def _steps(size_px, scale):
    """Places of a crop's pixels along an axis, px of the field from the centre, f64 [S]."""
    return (np.arange(size_px) - size_px // 2) / scale


def _fill_window(out, array, corner, fill):
    """Write the window of `array` whose first pixel is `corner` into `out`; `fill` outside the array."""
    size = np.array(out.shape[:2])
    top, left = np.maximum(corner, 0)
    bottom, right = np.minimum(corner + size, array.shape[:2])
    if (bottom - top, right - left) != out.shape[:2]:
        out[...] = fill
    if bottom > top and right > left:
        out[top - corner[0]:bottom - corner[0], left - corner[1]:right - corner[1]] = array[top:bottom, left:right]


def _weights(size_px, scale):
    """What each pixel of a window along an axis adds to each pixel of the crop, f32 [S, R].

    Bilinear around the window's middle; smoothed first when shrinking, so that fine structure does not alias.
    """
    reach = int(np.ceil(size_px / scale / 2)) + 2
    pixels = np.eye(2 * reach)
    if scale < 1:
        pixels = ndimage.gaussian_filter1d(pixels, 0.5 * (1 / scale - 1), axis=0)
    steps = _steps(size_px, scale) + reach
    low = np.floor(steps).astype(int)
    part = (steps - low)[:, None]
    return (pixels[low] * (1 - part) + pixels[low + 1] * part).astype(np.float32)
