"""Random affine maps: quarter turns, mirror images, rotation by up to 20 degrees, shift by up to a tenth."""

import numpy as np

ROTATE_DEG, SHIFT = 20.0, 0.1


def draw_affine(rng, batch: int, size: int) -> np.ndarray:
    """Maps from pixels (x, y) of the result to pixels of the source, f64 [B, 2, 3].

    Args:
        rng: NumPy generator.
        batch: number B of maps.
        size: of the crops, px.
    """
    angle = np.deg2rad(rng.uniform(-ROTATE_DEG, ROTATE_DEG, batch)) + rng.integers(0, 4, batch) * np.pi / 2
    cos, sin, mirror = np.cos(angle), np.sin(angle), rng.choice([-1.0, 1.0], batch)
    matrix = np.stack([np.stack([cos * mirror, -sin], -1), np.stack([sin * mirror, cos], -1)], -2)
    middle = np.full(2, (size - 1) / 2)
    offset = middle - matrix @ middle + rng.uniform(-SHIFT * size, SHIFT * size, (batch, 2))
    return np.concatenate([matrix, offset[..., None]], axis=-1)
