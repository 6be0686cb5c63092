"""Random changes of training crops that leave the class as it is; pure, keyed, inside the jitted step.

Quarter turns, mirror images, rotation, shift and zoom are one affine map per cell and one bilinear look-up, so pixels
are interpolated once. All channels of a pixel are fetched together, which is several times faster on a CPU than
`map_coordinates` channel by channel.

Coordinates are whole numbers of 1 / 2^19 px. A compiler may compute a float coordinate twice, once with a fused
multiply-add; where the two fall on different sides of a pixel's border, index and weight disagree by a whole pixel.
"""

import jax
import jax.numpy as jnp
import numpy as np

MATRIX_BITS = 18  # a matrix entry of 1 is 2^18
PIXEL_BITS = MATRIX_BITS + 1  # a coordinate of 1 px is 2^19: pixels are counted in halves from the centre
DRAWS = 4096  # steps between the lowest and the highest angle and zoom that can be drawn


def augment(key, image, channels, stored: int, flip: bool, rotate_deg: float, shift: float, scale: float,
            intensity: float):
    """Randomly changed copies of `image`, each cell drawn independently; with all off, `image` itself.

    What is drawn for a channel does not depend on which others a model sees, so that a model that sees fewer channels
    is trained with the same draws.

    Args:
        key: JAX random key.
        image: f32 [B, S, S, K], background at 0.
        channels: positions of the K channels among those of the data set.
        stored: number of channels of the data set.
        flip: random quarter turns and mirror images.
        rotate_deg: rotation drawn from -this..this, degrees.
        shift: shift drawn from -this..this along each axis, fraction of the crop.
        scale: zoom drawn from 1 - this..1 + this.
        intensity: standard deviation of the log gain, drawn per cell and channel.

    Returns:
        f32 [B, S, S, K]; what comes from outside a crop is 0.
    """
    key_affine, key_gain = jax.random.split(key)
    batch, size = image.shape[:2]
    if flip or rotate_deg or shift or scale:
        matrix, offset = random_affine(key_affine, batch, size, flip, rotate_deg, shift, scale)
        image = warp(image, matrix, offset)
    if intensity:
        gain = jnp.exp(intensity * jax.random.normal(key_gain, (batch, 1, 1, stored)))
        image = image * jnp.stack([gain[..., c] for c in channels], axis=-1)
    return image


def random_affine(key, batch: int, size: int, flip: bool, rotate_deg: float, shift: float, scale: float):
    """Affine maps from pixels of the result to pixels of the source, about the centre of the crop.

    Returns:
        matrix i32 [B, 2, 2] in units of 2^-18 and offset i32 [B, 2] in units of 2^-19 px, such that
        source = matrix @ result + offset, both measured from the centre as (y, x).
    """
    angles = np.deg2rad(np.linspace(-rotate_deg, rotate_deg, DRAWS + 1))
    zooms = 1 / np.linspace(1 - scale, 1 + scale, DRAWS + 1)
    farthest = round(shift * size * 2**PIXEL_BITS)
    # One draw for all: on a CPU every draw takes XLA half a second to compile.
    limits = np.array([DRAWS + 1, DRAWS + 1, 2 * farthest + 1, 2 * farthest + 1, 4, 2], np.float32)
    drawn = jnp.floor(jax.random.uniform(key, (batch, 6)) * limits).astype(jnp.int32)
    number = jnp.result_type(float)
    zoom = jnp.asarray(zooms, number)[drawn[:, 1]]
    cos = jnp.asarray(np.cos(angles), number)[drawn[:, 0]] * zoom
    sin = jnp.asarray(np.sin(angles), number)[drawn[:, 0]] * zoom
    first_row = jnp.stack([cos, -sin], -1)
    second_row = jnp.stack([sin, cos], -1)
    matrix = jnp.stack([first_row, second_row], -2)
    matrix = jnp.round(matrix * 2**MATRIX_BITS).astype(jnp.int32)
    offset = drawn[:, 2:4] - farthest
    if flip:
        turns = jnp.array([
            [[1, 0], [0, 1]],
            [[0, 1], [-1, 0]],
            [[-1, 0], [0, -1]],
            [[0, -1], [1, 0]],
        ])
        mirrors = jnp.array([[1, 1], [1, -1]])
        symmetry = turns[drawn[:, 4]] * mirrors[drawn[:, 5]][:, None, :]
        matrix = jnp.sum(matrix[:, :, :, None] * symmetry[:, None], axis=2)
    return matrix, offset


def warp(image, matrix, offset):
    """Bilinear look-up of every cell under its own affine map, zero outside (as `scipy.ndimage` mode 'grid-constant').

    Args:
        image: f32 [B, S, S, K], S up to 1024.
        matrix: i32 [B, 2, 2], result to source, about the centre of the crop, units of 2^-18.
        offset: i32 [B, 2], units of 2^-19 px.

    Returns:
        f32 [B, S, S, K].
    """
    batch, size, _, channels = image.shape
    one_px = 2**PIXEL_BITS
    padded_size = size + 2
    half_px = 2 * jnp.arange(size) - (size - 1)

    def source(axis):
        """The pixel before each source coordinate, i32 [B, S * S], and how far beyond it that lies, [B, S * S, 1]."""
        from_y = matrix[:, axis, 0, None, None] * half_px[:, None]
        from_x = matrix[:, axis, 1, None, None] * half_px
        coordinate = from_y + from_x + offset[:, axis, None, None] + (size - 1) * one_px // 2
        inside = jnp.clip(coordinate, -one_px, size * one_px)  # beyond lie only zeros, which the padding holds
        coordinate = (inside + one_px).reshape(batch, -1)
        pixel = jnp.minimum(coordinate >> PIXEL_BITS, size)
        beyond = coordinate - (pixel << PIXEL_BITS)
        fraction = beyond * jnp.asarray(1 / one_px, jnp.result_type(float))
        return pixel, fraction[..., None]

    y, fraction_y = source(0)
    x, fraction_x = source(1)
    padded = jnp.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)))
    pixels = padded.reshape(batch, padded_size * padded_size, channels)
    look_up = jax.vmap(lambda crop, index: crop.at[index].get(mode="promise_in_bounds"))
    corner = y * padded_size + x
    top = look_up(pixels, corner) * (1 - fraction_x)
    top += look_up(pixels, corner + 1) * fraction_x
    bottom = look_up(pixels, corner + padded_size) * (1 - fraction_x)
    bottom += look_up(pixels, corner + padded_size + 1) * fraction_x
    return (top * (1 - fraction_y) + bottom * fraction_y).reshape(image.shape)
