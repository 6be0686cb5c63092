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
_LOWEST = 0.2  # of the mean light; no place is taken to be darker
_BAND = 64  # rows of a field that are worked on at a time


@dataclasses.dataclass(frozen=True)
class Surface:
    """A surface of second order over a field, as it follows from six numbers.

    factors: f64 [6]; mean: of the surface over the field, by which it is divided; even: nothing was seen, so it is 1.
    """

    factors: np.ndarray
    mean: float
    even: bool = False

    def at(self, terms: np.ndarray) -> np.ndarray:
        """Its values f64 [h, w] where its terms are f64 [h, w, 6]: of mean 1 over the field, and never below 0.2."""
        if self.even:
            return np.ones(terms.shape[:2])
        return np.maximum(terms @ self.factors / self.mean, _LOWEST)


@dataclasses.dataclass(frozen=True)
class Illumination:
    """The light of one plate: per channel a surface of mean 1 and how far it is trusted; camera offset f32 [C].

    It is as small for a large field as for a small one, so that it can be handed to every process.
    """

    height: int
    width: int
    surfaces: tuple[Surface, ...]
    agreed: tuple[float, ...]  # 0..1 per channel; 0: even light
    dark: np.ndarray

    @property
    def light(self) -> np.ndarray:
        """The light at each pixel, f32 [H, W, C], with mean 1."""
        light = np.empty((self.height, self.width, len(self.surfaces)), np.float32)
        for rows, terms in self._bands():
            for c in range(light.shape[-1]):
                light[rows, :, c] = self._of_channel(c, terms)
        return light

    def correct(self, image: np.ndarray) -> np.ndarray:
        """Even out `image` [H, W, C]; the camera offset is put back, so values stay in camera units. Returns f32."""
        even = np.empty(image.shape, np.float32)
        for rows, terms in self._bands():
            for c in range(image.shape[-1]):
                even[rows, :, c] = (image[rows, :, c] - self.dark[c]) / self._of_channel(c, terms) + self.dark[c]
        return even

    def _bands(self):
        """Rows of the field, some at a time, and the terms of a surface at their pixels."""
        y, x = np.linspace(-1, 1, self.height), np.linspace(-1, 1, self.width)
        for start in range(0, self.height, _BAND):
            rows = slice(start, start + _BAND)
            yield rows, _terms(y[rows], x)

    def _of_channel(self, c, terms) -> np.ndarray:
        """The light of a channel, f32 [h, W], where the terms of a surface are these."""
        return (1 + self.agreed[c] * (self.surfaces[c].at(terms) - 1)).astype(np.float32)


def block_means(image: np.ndarray) -> np.ndarray:
    """What `estimate` needs of a field [H, W, C]: means of blocks of 8 x 8 px, f64 [h, w, C]."""
    height, width, channels = image.shape
    h, w = height // _STEP, width // _STEP
    means = np.empty((h, w, channels))
    for row in range(h):
        band = image[row * _STEP : (row + 1) * _STEP, : w * _STEP].astype(np.float64)
        means[row] = band.reshape(_STEP, w, _STEP, channels).mean(axis=(0, 2))
    return means


def estimate(means, height: int, width: int) -> Illumination:
    """Light and offset from the fields of one plate.

    Args:
        means: `block_means` of each field, list of f64 [h, w, C]; of fewer than MIN_FIELDS the light is taken to be
            even.
        height, width: px of the fields.
    """
    coarse = np.stack(means)
    channels = coarse.shape[-1]
    dark = np.percentile(coarse, 1, axis=(1, 2)).min(axis=0)
    surfaces, agreed = [Surface(np.zeros(_TERMS), 1.0, even=True)] * channels, [0.0] * channels
    if len(means) >= MIN_FIELDS:
        for c in range(channels):
            signal = coarse[..., c] - dark[c]
            halves = [_fit(half, height, width)[1] for half in (signal[::2], signal[1::2])]
            agreed[c] = _agreement(*halves)
            surfaces[c] = _fit(signal, height, width)[0]
    return Illumination(height, width, tuple(surfaces), tuple(agreed), dark.astype(np.float32))


def _agreement(one, two) -> float:
    """How much of the surface of all fields is no noise, 0..1, from the surfaces of its halves.

    The share of variance that the halves have in common, corrected for their being halves (Spearman and Brown 1910).
    """
    one, two = one - one.mean(), two - two.mean()
    shared = max(float((one * two).mean()), 0.0) / max(float((one**2 + two**2).mean()) / 2, 1e-12)
    return 2 * shared / (1 + shared)


def _fit(signal, height, width):
    """Surface through the stained parts of `signal` [N, h, w], and its values on the coarse grid f64 [h, w]."""
    even = np.ones(signal.shape[1:])
    # What counts as stained is decided on evened images, or dim corners would seem brighter than they are.
    for _ in range(_ROUNDS):
        stained = _stained(signal / even)
        strength = (signal / even * stained).sum(axis=(1, 2)) / np.maximum(stained.sum(axis=(1, 2)), 1)
        relative = (signal * stained / np.maximum(strength, 1e-9)[:, None, None]).sum(axis=0)
        surface, even = _surface(relative, stained.sum(axis=0), height, width)
    return surface, even


def _stained(signal):
    """Mask [N, h, w] of the parts of each field above Otsu's threshold; nothing in a field without contrast."""
    return np.stack([s > filters.threshold_otsu(s) if np.ptp(s) > 0 else np.zeros(s.shape, bool) for s in signal])


def _surface(total, count, height, width):
    """Second-order surface through total / count [h, w], each place weighing as much as it was seen.

    Returns:
        The surface, and its values on h x w.
    """
    seen = count > 0
    if seen.sum() < _TERMS:
        return Surface(np.zeros(_TERMS), 1.0, even=True), np.ones(total.shape)
    centres = [(2 * (np.arange(n) + 0.5) * _STEP - 1) / (size - 1) - 1
               for n, size in zip(total.shape, (height, width), strict=True)]
    grid, weight = _terms(*centres), np.sqrt(count[seen])
    factors, *_ = np.linalg.lstsq(grid[seen] * weight[:, None], total[seen] / count[seen] * weight, rcond=None)
    surface = Surface(factors, max(_mean(factors, height, width), 1e-9))
    return surface, surface.at(grid)


def _mean(factors, height, width) -> float:
    """Mean of a surface over the pixels of a field: the mean of each term is that of its powers of y and x."""
    y, x = np.linspace(-1, 1, height), np.linspace(-1, 1, width)
    means = [1.0, x.mean(), y.mean(), (x * x).mean(), x.mean() * y.mean(), (y * y).mean()]
    return float(np.dot(means, factors))


def _terms(y, x):
    y, x = np.meshgrid(y, x, indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
