"""Random changes of training crops that leave the class as it is; pure, keyed, inside the jitted step.

Quarter turns, mirror images, rotation, shift and zoom are one affine map per cell and one bilinear look-up, so pixels
are interpolated once. All channels of a pixel are fetched together, which is several times faster on a CPU than
`map_coordinates` channel by channel.
"""

import jax
import jax.numpy as jnp


def augment(key, image, flip: bool, rotate_deg: float, shift: float, scale: float, intensity: float):
    """Randomly changed copies of `image`, each cell drawn independently; with all off, `image` itself.

    Args:
        key: JAX random key.
        image: f32 [B, S, S, K], background at 0.
        flip: random quarter turns and mirror images.
        rotate_deg: rotation drawn from -this..this, degrees.
        shift: shift drawn from -this..this along each axis, fraction of the crop.
        scale: zoom drawn from 1 - this..1 + this.
        intensity: standard deviation of the log gain, drawn per cell and channel.

    Returns:
        f32 [B, S, S, K]; what comes from outside a crop is 0.
    """
    key_affine, key_gain = jax.random.split(key)
    batch, size, _, channels = image.shape
    if flip or rotate_deg or shift or scale:
        image = warp(image, *random_affine(key_affine, batch, size, flip, rotate_deg, shift, scale))
    if intensity:
        image = image * jnp.exp(intensity * jax.random.normal(key_gain, (batch, 1, 1, channels)))
    return image


def random_affine(key, batch: int, size: int, flip: bool, rotate_deg: float, shift: float, scale: float):
    """Affine maps from pixels of the result to pixels of the source, about the centre of the crop.

    Returns:
        matrix f32 [B, 2, 2] and offset f32 [B, 2] in px, such that source = matrix @ result + offset, both measured
        from the centre as (y, x). Quarter turns and mirror images alone have entries of exactly -1, 0 and 1.
    """
    keys = jax.random.split(key, 5)
    angle = jnp.deg2rad(jax.random.uniform(keys[0], (batch,), minval=-rotate_deg, maxval=rotate_deg))
    zoom = jax.random.uniform(keys[1], (batch,), minval=1 - scale, maxval=1 + scale)
    offset = size * jax.random.uniform(keys[2], (batch, 2), minval=-shift, maxval=shift)
    cos, sin = jnp.cos(angle) / zoom, jnp.sin(angle) / zoom
    matrix = jnp.stack([jnp.stack([cos, -sin], -1), jnp.stack([sin, cos], -1)], -2)
    if flip:
        turn = jnp.array([[[1, 0], [0, 1]], [[0, 1], [-1, 0]], [[-1, 0], [0, -1]], [[0, -1], [1, 0]]], jnp.float32)
        mirror = jnp.array([[1, 1], [1, -1]], jnp.float32)
        turns = turn[jax.random.randint(keys[3], (batch,), 0, 4)]
        mirrors = mirror[jax.random.randint(keys[4], (batch,), 0, 2)]
        # Sums written out: a matmul may round on an accelerator, and a quarter turn has to be exact.
        matrix = jnp.sum(matrix[:, :, :, None] * (turns * mirrors[:, None, :])[:, None], axis=2)
    return matrix, offset


def warp(image, matrix, offset):
    """Bilinear look-up of every cell under its own affine map, zero outside (as `scipy.ndimage` mode 'grid-constant').

    Args:
        image: f32 [B, S, S, K].
        matrix: f32 [B, 2, 2], result to source, about the centre of the crop.
        offset: f32 [B, 2], px.

    Returns:
        f32 [B, S, S, K].
    """
    batch, size, _, channels = image.shape
    centre = (size - 1) / 2
    across = jnp.arange(size, dtype=jnp.float32) - centre

    def source(axis):
        rows = matrix[:, axis, 0, None, None] * across[:, None] + matrix[:, axis, 1, None, None] * across
        at = rows + offset[:, axis, None, None] + centre
        at = jnp.clip(at, -1.0, size) + 1.0  # one row of zeros stands around the padded crop
        low = jnp.minimum(jnp.floor(at), size)
        return low.astype(jnp.int32).reshape(batch, -1), (at - low).reshape(batch, -1, 1)

    (y, fy), (x, fx) = source(0), source(1)
    wide = size + 2
    pixels = jnp.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0))).reshape(batch, wide * wide, channels)
    look_up = jax.vmap(lambda crop, index: crop.at[index].get(mode="promise_in_bounds"))
    corner = y * wide + x
    top = look_up(pixels, corner) * (1 - fx) + look_up(pixels, corner + 1) * fx
    bottom = look_up(pixels, corner + wide) * (1 - fx) + look_up(pixels, corner + wide + 1) * fx
    return (top * (1 - fy) + bottom * fy).reshape(image.shape)
