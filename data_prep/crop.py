"""Labels -> centred crops of all channels, with the compartments of each crop as bit flags."""

import numpy as np
from scipy import ndimage

from cellcycle_jax.schema import Compartment

SAME_SCALE = 0.01  # pixel sizes closer than this fraction need no resampling


def compartments(labels, bodies, number, stain, debris) -> np.ndarray:
    """Bits of `Compartment` around nucleus `number`, u8 of the shape of `labels`.

    Args:
        labels, bodies: i32 windows around the nucleus.
        stain: mask of the second stain or None; only its pixels in this cell's body count.
        debris: mask of objects that are no nuclei.
    """
    own = labels == number
    body = bodies == number
    bits = Compartment.NUCLEUS * own + Compartment.OTHER_NUCLEI * ((labels > 0) & ~own) + Compartment.BODY * body
    bits = bits + Compartment.DEBRIS * debris
    if stain is not None:
        bits = bits + Compartment.SECOND_STAIN * (stain & body)
    return bits.astype(np.uint8)


def cut(image, labels, bodies, number, centre, size_px, scale, fill, stain, debris):
    """The crop of one nucleus.

    Args:
        image: f32 [H, W, C]; labels, bodies i32 [H, W]; stain, debris bool [H, W].
        number: label of the nucleus; centre: its (y, x), px of the field.
        size_px: height and width of the crop, in crop pixels.
        scale: crop pixels per field pixel: field um per px / crop um per px.
        fill: f32 [C], what stands outside the field (the background, so that an edge does not shine).

    Returns:
        (image f32 [S, S, C], compartments u8 [S, S]).
    """
    reach = int(np.ceil(size_px / scale / 2)) + 2
    corner = np.round(centre).astype(int) - reach
    picture = _window(image, corner, 2 * reach, fill)
    parts = [None if m is None else _window(m, corner, 2 * reach, 0) for m in (labels, bodies, stain, debris)]
    bits = compartments(parts[0], parts[1], number, parts[2], parts[3])
    if abs(scale - 1) < SAME_SCALE:
        start = reach - size_px // 2
        inner = slice(start, start + size_px)
        return picture[inner, inner], bits[inner, inner]
    return _resample(picture, scale, size_px, 1), _resample(bits, scale, size_px, 0)


def _window(array, corner, size, fill):
    """A size x size window whose first pixel is `corner`; `fill` outside the array."""
    out = np.empty((size, size, *array.shape[2:]), array.dtype)
    out[...] = fill
    top, left = np.maximum(corner, 0)
    bottom, right = np.minimum(corner + size, array.shape[:2])
    if bottom > top and right > left:
        out[top - corner[0]:bottom - corner[0], left - corner[1]:right - corner[1]] = array[top:bottom, left:right]
    return out


def _resample(window, scale, size_px, order):
    """Resample around the window's centre; smoothed first when shrinking, so that fine structure does not alias."""
    if order and scale < 1:
        window = ndimage.gaussian_filter(window, (0.5 * (1 / scale - 1),) * 2 + (0,) * (window.ndim - 2))
    middle = window.shape[0] // 2
    steps = (np.arange(size_px) - size_px // 2) / scale + middle
    y, x = np.meshgrid(steps, steps, indexing="ij")
    planes = window.reshape(*window.shape[:2], -1)
    out = [ndimage.map_coordinates(plane, (y, x), order=order, mode="nearest") for plane in np.moveaxis(planes, -1, 0)]
    return np.stack(out, axis=-1).reshape(size_px, size_px, *window.shape[2:])
