"""What a model sees of stored crops: which part of them, at which scale."""

import jax
import jax.numpy as jnp
import numpy as np

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused

# What a mask needs to know of a crop. 'cell' and 'nucleus' keep it; 'ring' keeps what lies outside RING without it.
MASKS = {
    "none": schema.Compartment(0),
    "cell": schema.Compartment.BODY,
    "nucleus": schema.Compartment.NUCLEUS,
    "ring": schema.Compartment.BODY,
}
OUTLINED = ("cell", "nucleus")  # masks that show the outline of the nucleus in every channel
RING = 1.05  # inner radius of the ring, share of half the crop: so far out a cell hardly ever cuts a shape into it
SCALES = ("reference", "nucleus_max", "spread")


def require_compartments(present, mask: str, scale: str) -> None:
    """Refuse inputs that need the own nucleus or cell body where crops do not know it.

    Args:
        present: u8 [N], the bits of `schema.Compartment` that are known of each crop (`Crops.compartments_present`).
        mask, scale: as of `model_inputs`.

    Raises:
        InputRefused: `mask` or `scale` needs a compartment that some crop lacks.
    """
    needed = MASKS[mask]
    if scale == "nucleus_max":
        needed |= schema.Compartment.NUCLEUS
    lacking = int(np.sum(present & needed != needed))
    if lacking:
        raise InputRefused(
            f"data.mask={mask!r}, data.scale={scale!r} need {needed!r}, "
            f"which {lacking} of {len(present)} crops lack; use 'none' and 'reference'"
        )


def model_images(inputs, cells):
    """What a model sees of rows of `crop_arrays.arrays_of`.

    Args:
        inputs: `model_inputs` with the choices of a model made: `(image, image_scale, compartments,
            intensity_stats)` of B crops -> f32 [B, S, S, K].
        cells: arrays by name, these four among them.

    Returns:
        f32 [B, S, S, K], dimensionless.
    """
    return inputs(cells["image"], cells["image_scale"], cells["compartments"], cells["intensity_stats"])


def model_inputs(image, image_scale, compartments, intensity_stats, channels, mask: str, scale: str):
    """What a model sees of stored crops; pure, runs inside jit.

    With mask 'nucleus' and scale 'nucleus_max' only the pattern inside the nucleus is left: a gain of the camera and
    what surrounds the cell do not change the result. Brightness still shows in how grainy the pattern is: photon noise
    and the step between stored grey levels shrink, relative to the maximum, as a nucleus gets brighter.

    Args:
        image: u16 [B, S, S, C], stored values.
        image_scale: f32 [B, C], camera units per stored value.
        compartments: u8 [B, S, S], bits of `schema.Compartment`.
        intensity_stats: f32 [B, C, 4], columns `schema.INTENSITY_STATS`, camera units.
        channels: positions of the K channels to show.
        mask: a key of `MASKS`; all else is zero. 'ring' is a control that shows no cell: what a network reads there is
            background, light and neighbours.
        scale: 'reference': relative to the field's reference above background; 'spread': relative to the spread of the
            field's pixels, which grows with crowding; 'nucleus_max': relative to the brightest pixel of the cell's
            nucleus. A channel with no such value above zero (a blank one) is zero.

    Returns:
        f32 [B, S, S, K], background at 0, dimensionless.
    """
    intensity_stats = _channels(intensity_stats, channels, axis=1)[:, None, None]
    image_scale = _channels(image_scale, channels, axis=1)[:, None, None]
    signal = _channels(image, channels, axis=-1).astype(jnp.result_type(float))
    signal = signal * image_scale - intensity_stats[..., schema.INTENSITY_STATS.index("background")]
    if scale == "nucleus_max":
        nucleus = compartments & int(schema.Compartment.NUCLEUS) > 0
        unit = jnp.max(jnp.where(nucleus[..., None], signal, 0.0), axis=(1, 2), keepdims=True)
    else:
        unit = intensity_stats[..., schema.INTENSITY_STATS.index(scale)]
    signal = jnp.where(unit > 0, signal / jnp.where(unit > 0, unit, 1.0), 0.0)
    if mask == "none":
        return signal
    return jnp.where(visible(compartments, mask)[..., None], signal, 0.0)


def visible(compartments, mask: str):
    """Where a mask, a key of `MASKS`, shows crops with these bits, u8 [B, S, S]: bool [B, S, S]."""
    if mask == "none":
        return compartments >= 0
    inside = compartments & int(MASKS[mask]) > 0
    if mask == "ring":
        return ~inside & _ring(compartments.shape[1])
    return inside


def _channels(array, channels, axis):
    """The array with these channels only, by slices: a gather would be slower."""
    slices = [jax.lax.index_in_dim(array, channel, axis, keepdims=False) for channel in channels]
    return jnp.stack(slices, axis)


def _ring(size):
    """Mask bool [S, S] of what lies farther than RING from the middle of a crop: its corners."""
    from_middle = jnp.arange(size) - (size - 1) / 2
    return jnp.hypot(from_middle[:, None], from_middle) > RING * size / 2
