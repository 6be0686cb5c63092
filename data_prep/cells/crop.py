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
    label_crops = masks(labels, centres, size_px, scale)
    body_crops = masks(bodies, centres, size_px, scale)
    stain_crops = None
    if stain is not None:
        stain_crops = masks(stain, centres, size_px, scale)
    debris_crops = masks(debris, centres, size_px, scale)
    own = np.reshape(numbers, (-1, 1, 1))
    images = pictures(image, centres, size_px, scale, fill)
    return images, compartments(label_crops, body_crops, own, stain_crops, debris_crops)


def compartments(labels, bodies, number, stain, debris) -> np.ndarray:
    """Bits of `Compartment` around nucleus `number`, u8 of the shape of `labels`.

    Args:
        labels, bodies: i32 windows around one nucleus [S, S] or several [N, S, S].
        number: the nucleus' label; of several [N, 1, 1].
        stain: mask of the organelle or None; only its pixels in this cell's body count.
        debris: mask of objects that are no nuclei.
    """
    own = labels == number
    body = bodies == number
    compartment_masks = {
        Compartment.NUCLEUS: own,
        Compartment.OTHER_NUCLEI: (labels > 0) & ~own,
        Compartment.BODY: body,
        Compartment.DEBRIS: debris,
    }
    if stain is not None:
        compartment_masks[Compartment.ORGANELLE] = stain & body
    bits = np.zeros(labels.shape, np.uint8)
    for bit, mask in compartment_masks.items():
        bits |= mask.astype(np.uint8) * np.uint8(bit)
    return bits


def pictures(image, centres, size_px, scale, fill) -> np.ndarray:
    """Crops of all channels around some places.

    Args:
        image: [H, W, C], f32 unless `scale` is 1.
        centres: (y, x), px of the field, [N, 2].
        size_px: height and width of a crop, in crop pixels.
        scale: crop pixels per field pixel.
        fill: [C], what stands outside the field.

    Returns:
        [N, S, S, C] in the type of `image`.
    """
    channels = image.shape[2]
    crops = np.empty((len(centres), size_px, size_px, channels), image.dtype)
    centres = np.round(centres).astype(int)
    if _is_same(scale):
        for crop, centre in zip(crops, centres, strict=True):
            _fill_window(crop, image, centre - size_px // 2, fill)
        return crops
    weights = _weights(size_px, scale)
    side = weights.shape[1]
    window = np.empty((side, side, channels), image.dtype)
    for crop, centre in zip(crops, centres, strict=True):
        _fill_window(window, image, centre - side // 2, fill)
        rows = weights @ window.reshape(side, -1)
        crop[...] = np.matmul(weights, rows.reshape(size_px, side, -1))
    return crops


def masks(array, centres, size_px, scale) -> np.ndarray:
    """Windows of labels or of a mask around some places, resampled to the nearest pixel.

    Args:
        array: [H, W]; 0 is taken to stand outside it.
        centres: (y, x), px of the field, [N, 2].
        size_px: height and width of a window, in crop pixels.
        scale: crop pixels per field pixel.

    Returns:
        [N, S, S] in the type of `array`.
    """
    crops = np.empty((len(centres), size_px, size_px), array.dtype)
    centres = np.round(centres).astype(int)
    if _is_same(scale):
        for crop, centre in zip(crops, centres, strict=True):
            _fill_window(crop, array, centre - size_px // 2, 0)
        return crops
    steps = np.floor(_steps(size_px, scale) + 0.5).astype(int)
    first = steps[0]
    side = steps[-1] - first + 1
    window = np.empty((side, side), array.dtype)
    for crop, centre in zip(crops, centres, strict=True):
        _fill_window(window, array, centre + first, 0)
        crop[...] = window[np.ix_(steps - first, steps - first)]
    return crops


def _is_same(scale):
    return abs(scale - 1) < SAME_SCALE


def _steps(size_px, scale):
    """Places of a crop's pixels along an axis, px of the field from the centre, f64 [S]."""
    return (np.arange(size_px) - size_px // 2) / scale


def _fill_window(out, array, corner, fill):
    """Write the window of `array` whose first pixel is `corner` into `out`; `fill` outside the array."""
    height, width = out.shape[:2]
    y, x = corner
    top = max(y, 0)
    left = max(x, 0)
    bottom = min(y + height, array.shape[0])
    right = min(x + width, array.shape[1])
    if bottom - top != height or right - left != width:
        out[...] = fill
    if bottom > top and right > left:
        out[top - y : bottom - y, left - x : right - x] = array[top:bottom, left:right]


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
