"""Uneven light: estimated from all fields of a plate, divided out of each.

The model is camera = dark + light * stain. A plate's mean field, with every field divided by its own mean so that a
crowded one counts no more than a sparse one, is a picture of the light blurred by where cells happened to lie. A
surface of second order is the most that a few hundred cells support; it is fitted by least squares.
"""

import dataclasses

import numpy as np

_STEP = 8  # px; the light changes slowly, so a coarse grid says the same


@dataclasses.dataclass(frozen=True)
class Illumination:
    """Light f32 [H, W, C] with mean 1 and camera offset f32 [C] of one plate."""

    light: np.ndarray
    dark: np.ndarray

    def correct(self, image: np.ndarray) -> np.ndarray:
        """Even out `image` [H, W, C]; the camera offset is put back, so values stay in camera units. Returns f32."""
        return (image - self.dark) / self.light + self.dark


def estimate(images) -> Illumination:
    """Light and offset from the fields of one plate (any iterable of [H, W, C] arrays of one shape)."""
    total, darks = 0.0, []
    for image in images:
        coarse = _block_means(image)
        dark = np.percentile(coarse, 1, axis=(0, 1))
        darks.append(dark)
        total = total + (coarse - dark) / np.maximum((coarse - dark).mean(axis=(0, 1)), 1e-9)
    height, width, channels = image.shape
    light = np.stack([_surface(total[..., c], height, width) for c in range(channels)], axis=-1)
    return Illumination(light.astype(np.float32), np.min(darks, axis=0).astype(np.float32))


def even(shape, dark=0.0) -> Illumination:
    """No correction for fields of `shape` [H, W, C]."""
    return Illumination(np.ones(shape, np.float32), np.full(shape[-1], dark, np.float32))


def _block_means(image):
    height, width, channels = image.shape
    h, w = height // _STEP * _STEP, width // _STEP * _STEP
    blocks = image[:h, :w].astype(np.float64).reshape(h // _STEP, _STEP, w // _STEP, _STEP, channels)
    return blocks.mean(axis=(1, 3))


def _surface(mean, height, width):
    """Second-order surface through `mean`, evaluated on height x width, scaled to mean 1, never below 0.2."""
    if mean.max() <= 0:
        return np.ones((height, width))
    sizes = zip(mean.shape, (height, width), strict=True)
    centres = [(2 * (np.arange(n) + 0.5) * _STEP - 1) / (size - 1) - 1 for n, size in sizes]
    grid = _terms(*centres)
    weights, *_ = np.linalg.lstsq(grid.reshape(-1, grid.shape[-1]), mean.ravel(), rcond=None)
    surface = _terms(np.linspace(-1, 1, height), np.linspace(-1, 1, width)) @ weights
    surface = np.maximum(surface / surface.mean(), 0.2)
    return surface / surface.mean()


def _terms(y, x):
    y, x = np.meshgrid(y, x, indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
