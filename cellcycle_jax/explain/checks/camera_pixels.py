"""Pixels of crops as the camera counted them, and which of them are of the own cell."""

from collections.abc import Iterator

import numpy as np

from cellcycle_jax import schema
from cellcycle_jax.dataset import crop_arrays

BLOCK = 256  # cells in memory at a time
BACKGROUND = schema.INTENSITY_STATS.index("background")
OWN = schema.Compartment.BODY | schema.Compartment.NUCLEUS


def blocks(crops: crop_arrays.Crops) -> Iterator[crop_arrays.Crops]:
    """The crops some at a time, with pixels in memory."""
    for start in range(0, len(crops), BLOCK):
        yield crop_arrays.in_memory(crop_arrays.take(crops, slice(start, start + BLOCK)))


def camera_units(crops: crop_arrays.Crops) -> np.ndarray:
    """Signal above the background of the field, f32 [N, S, S, C], camera units."""
    background = crops.intensity_stats[:, None, None, :, BACKGROUND]
    return (crops.image * crops.image_scale[:, None, None] - background).astype(np.float32)


def own_pixels(crops: crop_arrays.Crops) -> np.ndarray:
    """Where the own cell is, bool [N, S, S]: its body and nucleus; everywhere in crops that know neither."""
    own = crops.compartments & int(OWN) > 0
    return own | ~own.any(axis=(1, 2), keepdims=True)
