"""Pooling that a CPU trains through quickly: the largest value by reshape, 1.4 to 1.7 times faster than flax's."""

import jax
import jax.numpy as jnp

from cellcycle_jax.models.cpu.convolve import LAYOUT


def _windows(x):
    """f32 [B, h, w, D] as windows [B, h // 2, 2, w // 2, 2, D]; an odd last row or column is left out."""
    batch, height, width, channels = x.shape
    h = height // 2
    w = width // 2
    return x[:, : 2 * h, : 2 * w].reshape(batch, h, 2, w, 2, channels)


def max_pool2(x):
    """Largest value of every 2 x 2 window; an odd last row or column is left out.

    Args:
        x: f32 [B, h, w, D].

    Returns:
        f32 [B, h // 2, w // 2, D].
    """
    return jnp.max(_windows(x), axis=(2, 4))


@jax.custom_vjp
def mean_pool2(x):
    """Mean of every 2 x 2 window; an odd last row or column is left out.

    On a CPU it is a convolution in which no channel meets another: XLA joins any sum to the convolution before it, and
    both together took four times as long as one after the other. The gradient is written down because that of a window
    reduction is slow.

    Args:
        x: f32 [B, h, w, D].

    Returns:
        f32 [B, h // 2, w // 2, D].
    """
    wide = x.astype(jnp.promote_types(x.dtype, "float32"))
    return jax.lax.platform_dependent(wide, cpu=_mean_by_convolution, default=_mean_by_reduction).astype(x.dtype)


def _mean_by_reduction(x):
    window = (1, 2, 2, 1)
    return jax.lax.reduce_window(x, jnp.zeros((), x.dtype), jax.lax.add, window, window, "VALID") / 4


def _mean_by_convolution(x):
    channels = x.shape[3]
    quarters = jnp.broadcast_to(jnp.eye(channels, dtype=x.dtype) / 4, (2, 2, channels, channels))
    return jax.lax.conv_general_dilated(x, quarters, (2, 2), "VALID", dimension_numbers=LAYOUT)


def _forward(x):
    return mean_pool2(x), x.shape


def _backward(shape, dy):
    """A quarter of the window's gradient for each of its pixels."""
    batch, h, w, channels = dy.shape
    windows = jnp.broadcast_to(dy[:, :, None, :, None] / 4, (batch, h, 2, w, 2, channels))
    pixels = windows.reshape(batch, 2 * h, 2 * w, channels)
    return (jnp.pad(pixels, ((0, 0), (0, shape[1] - 2 * h), (0, shape[2] - 2 * w), (0, 0))),)


mean_pool2.defvjp(_forward, _backward)


def space_to_depth2(x):
    """The four pixels of every 2 x 2 window as channels of one pixel; an odd last row or column is left out.

    Args:
        x: f32 [B, h, w, D].

    Returns:
        f32 [B, h // 2, w // 2, 4 D].
    """
    windows = _windows(x).transpose(0, 1, 3, 2, 4, 5)
    return windows.reshape(*windows.shape[:3], -1)
