"""Uneven light: estimated from all fields of a plate, divided out of each.

The model is camera = dark + light * stain. Where cells are, the stain is on average equally strong all over the
field, so the mean of the stained parts at each place, every field divided by its own mean, is a noisy picture of the
light. How many cells lie at a place does not enter. A surface of second order is the most that a few hundred cells
support; it is fitted by least squares, once to each half of the fields too, and used as far as the halves agree: a
stain that few cells carry, such as a marker, is not corrected by noise. The offset is read off the darkest parts of the
plate, so some field must show some empty background.
"""

import dataclasses

import numpy as np
from skimage import filters

MIN_FIELDS = 6  # fewer say nothing about what is light and what is cells
_STEP = 8  # px; the light changes slowly, so a coarse grid says the same
_TERMS = 6  # of a surface of second order
_ROUNDS = 3


@dataclasses.dataclass(frozen=True)
class Illumination:
    """Light f32 [H, W, C] with mean 1 and camera offset f32 [C] of one plate."""

    light: np.ndarray
    dark: np.ndarray

    def correct(self, image: np.ndarray) -> np.ndarray:
        """Even out `image` [H, W, C]; the camera offset is put back, so values stay in camera units. Returns f32."""
        return (image - self.dark) / self.light + self.dark


def estimate(images) -> Illumination:
    """Light and offset from the fields of one plate.

    Args:
        images: list of [H, W, C] arrays of one shape; of fewer than MIN_FIELDS the light is taken to be even.
    """
    height, width, channels = images[0].shape
    coarse = np.stack([_block_means(image) for image in images])
    dark = np.percentile(coarse, 1, axis=(1, 2)).min(axis=0)
    light = np.ones((height, width, channels))
    if len(images) >= MIN_FIELDS:
        for c in range(channels):
            signal = coarse[..., c] - dark[c]
            agreed = _agreement(*(_fit(half, height, width)[1] for half in (signal[::2], signal[1::2])))
            light[..., c] += agreed * (_fit(signal, height, width)[0] - 1)
    return Illumination(light.astype(np.float32), dark.astype(np.float32))


def _agreement(one, two) -> float:
    """How much of the surface of all fields is no noise, 0..1, from the surfaces of its halves.

    The share of variance that the halves have in common, corrected for their being halves (Spearman and Brown 1910).
    """
    one, two = one - one.mean(), two - two.mean()
    shared = max(float((one * two).mean()), 0.0) / max(float((one**2 + two**2).mean()) / 2, 1e-12)
    return 2 * shared / (1 + shared)


def _fit(signal, height, width):
    """Surface on height x width and on the coarse grid through the stained parts of `signal` [N, h, w]."""
    even = np.ones(signal.shape[1:])
    # What counts as stained is decided on evened images, or dim corners would seem brighter than they are.
    for _ in range(_ROUNDS):
        stained = _stained(signal / even)
        strength = (signal / even * stained).sum(axis=(1, 2)) / np.maximum(stained.sum(axis=(1, 2)), 1)
        relative = (signal * stained / np.maximum(strength, 1e-9)[:, None, None]).sum(axis=0)
        full, even = _surface(relative, stained.sum(axis=0), height, width)
    return full, even


def _stained(signal):
    """Mask [N, h, w] of the parts of each field above Otsu's threshold; nothing in a field without contrast."""
    return np.stack([s > filters.threshold_otsu(s) if np.ptp(s) > 0 else np.zeros(s.shape, bool) for s in signal])


def _block_means(image):
    height, width, channels = image.shape
    h, w = height // _STEP * _STEP, width // _STEP * _STEP
    blocks = image[:h, :w].astype(np.float64).reshape(h // _STEP, _STEP, w // _STEP, _STEP, channels)
    return blocks.mean(axis=(1, 3))


def _surface(total, count, height, width):
    """Second-order surface through total / count [h, w], each place weighing as much as it was seen.

    Returns:
        The surface on height x width and on h x w, scaled to mean 1 over the field, never below 0.2.
    """
    seen = count > 0
    if seen.sum() < _TERMS:
        return np.ones((height, width)), np.ones(total.shape)
    centres = [(2 * (np.arange(n) + 0.5) * _STEP - 1) / (size - 1) - 1
               for n, size in zip(total.shape, (height, width), strict=True)]
    grid, weight = _terms(*centres), np.sqrt(count[seen])
    factors, *_ = np.linalg.lstsq(grid[seen] * weight[:, None], total[seen] / count[seen] * weight, rcond=None)
    full = _terms(np.linspace(-1, 1, height), np.linspace(-1, 1, width)) @ factors
    mean = max(full.mean(), 1e-9)
    return np.maximum(full / mean, 0.2), np.maximum(grid @ factors / mean, 0.2)


def _terms(y, x):
    y, x = np.meshgrid(y, x, indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
