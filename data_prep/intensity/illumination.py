"""Uneven illumination: estimated from all fields of a plate, divided out of each.

The model is camera = dark + illumination * stain. Where cells are, the stain is on average equally strong all over the
field, so the mean of the stained parts at each place, every field divided by its own mean, is a noisy image of the
illumination. How many cells lie at a place does not enter. A surface of second order is the most that a few hundred
cells support; it is fitted by least squares, once to each half of the fields too, and used as far as the halves agree:
a stain that few cells carry, such as a marker, is not corrected by noise. The offset is read off the darkest parts of
the plate, so some field must show some empty background.
"""

import dataclasses

import numpy as np
from skimage import filters

MIN_FIELDS = 6  # fewer cannot tell illumination from cells
_STEP = 8  # px; illumination changes slowly, so a coarse grid is enough
_TERMS = 6  # of a surface of second order
_ROUNDS = 3
_LOWEST = 0.2  # of the mean illumination; no place is taken to be darker
_BAND = 64  # rows of a field that are worked on at a time


@dataclasses.dataclass(frozen=True)
class Surface:
    """A surface of second order over a field, as it follows from six numbers.

    factors: f64 [6], of the terms.
    mean: of the surface over the field; it is divided by it.
    even: there were too few stained places to fit a surface; it is 1 everywhere.
    """

    factors: np.ndarray
    mean: float
    even: bool = False

    def at(self, terms: np.ndarray) -> np.ndarray:
        """Values f64 [h, w] of the surface from its terms f64 [h, w, 6]: of mean 1 over the field, never below 0.2."""
        if self.even:
            return np.ones(terms.shape[:2])
        return np.maximum(terms @ self.factors / self.mean, _LOWEST)


_EVEN = Surface(np.zeros(_TERMS), 1.0, even=True)


@dataclasses.dataclass(frozen=True)
class Illumination:
    """The illumination of one plate, from a few numbers per channel, so that every process can have it.

    height, width: px of the fields.
    surfaces: one of mean 1 per channel.
    agreed: how far each surface is trusted, 0..1; 0: the channel is taken to be evenly lit.
    dark: camera offset, f32 [C].
    """

    height: int
    width: int
    surfaces: tuple[Surface, ...]
    agreed: tuple[float, ...]
    dark: np.ndarray

    @property
    def light(self) -> np.ndarray:
        """The illumination at each pixel, f32 [H, W, C], with mean 1."""
        illumination = np.empty((self.height, self.width, len(self.surfaces)), np.float32)
        for rows, terms in self._bands():
            for c in range(len(self.surfaces)):
                illumination[rows, :, c] = self._of_channel(c, terms)
        return illumination

    def correct(self, image: np.ndarray) -> np.ndarray:
        """Divide the illumination out of `image` [H, W, C].

        Returns:
            f32 [H, W, C] in camera units: the camera offset is put back.
        """
        corrected = np.empty(image.shape, np.float32)
        for rows, terms in self._bands():
            for c in range(image.shape[-1]):
                above_dark = image[rows, :, c] - self.dark[c]
                corrected[rows, :, c] = above_dark / self._of_channel(c, terms) + self.dark[c]
        return corrected

    def _bands(self):
        """Rows of the field, `_BAND` at a time, and the terms of a surface at their pixels, f64 [h, W, 6]."""
        y = np.linspace(-1, 1, self.height)
        x = np.linspace(-1, 1, self.width)
        for start in range(0, self.height, _BAND):
            rows = slice(start, start + _BAND)
            yield rows, _terms(y[rows], x)

    def _of_channel(self, c, terms) -> np.ndarray:
        """The illumination of a channel, f32 [h, W], from the terms of a surface, f64 [h, W, 6]."""
        unevenness = self.surfaces[c].at(terms) - 1
        return (1 + self.agreed[c] * unevenness).astype(np.float32)


def block_means(image: np.ndarray) -> np.ndarray:
    """What `estimate` needs of a field [H, W, C]: means of blocks of 8 x 8 px, f64 [h, w, C]."""
    height, width, channels = image.shape
    w = width // _STEP
    means = np.empty((height // _STEP, w, channels))
    for row in range(len(means)):
        band = image[row * _STEP : (row + 1) * _STEP, : w * _STEP].astype(np.float64)
        means[row] = band.reshape(_STEP, w, _STEP, channels).mean(axis=(0, 2))
    return means


def estimate(means, height: int, width: int) -> Illumination:
    """Illumination and camera offset from the fields of one plate.

    Args:
        means: `block_means` of each field, list of f64 [h, w, C]; with fewer than MIN_FIELDS the illumination is taken
            to be even.
        height, width: px of the fields.
    """
    coarse = np.stack(means)
    channels = coarse.shape[-1]
    dark = np.percentile(coarse, 1, axis=(1, 2)).min(axis=0)
    surfaces = [_EVEN] * channels
    agreed = [0.0] * channels
    if len(means) >= MIN_FIELDS:
        for c in range(channels):
            signal = coarse[..., c] - dark[c]
            _, first_half = _fit(signal[::2], height, width)
            _, second_half = _fit(signal[1::2], height, width)
            agreed[c] = _agreement(first_half, second_half)
            surfaces[c], _ = _fit(signal, height, width)
    return Illumination(height, width, tuple(surfaces), tuple(agreed), dark.astype(np.float32))


def _agreement(first, second) -> float:
    """How much of the surface of all fields is signal and not noise, 0..1, from the surfaces of two halves, [h, w].

    The share of variance that the halves have in common, corrected for their being halves (Spearman and Brown 1910).
    """
    first = first - first.mean()
    second = second - second.mean()
    covariance = max(float((first * second).mean()), 0.0)
    variance = float((first**2 + second**2).mean()) / 2
    shared = covariance / max(variance, 1e-12)
    return 2 * shared / (1 + shared)


def _fit(signal, height, width):
    """Surface through the stained parts of `signal` [N, h, w], and its values on the coarse grid f64 [h, w]."""
    illumination = np.ones(signal.shape[1:])
    # What counts as stained is decided on corrected images, or dim corners would seem brighter than they are.
    for _ in range(_ROUNDS):
        corrected = signal / illumination
        stained = _stained(corrected)
        strength = (corrected * stained).sum(axis=(1, 2)) / np.maximum(stained.sum(axis=(1, 2)), 1)
        relative = (signal * stained / np.maximum(strength, 1e-9)[:, None, None]).sum(axis=0)
        surface, illumination = _surface(relative, stained.sum(axis=0), height, width)
    return surface, illumination


def _stained(signal):
    """Mask [N, h, w] of the parts of each field above Otsu's threshold; nothing in a field without contrast."""
    stained = np.zeros(signal.shape, bool)
    for i, field in enumerate(signal):
        if np.ptp(field) > 0:
            stained[i] = field > filters.threshold_otsu(field)
    return stained


def _surface(total, count, height, width):
    """Second-order surface through total / count [h, w], each place weighing as much as it has stained fields.

    Returns:
        The surface, and its values on h x w.
    """
    stained = count > 0
    if stained.sum() < _TERMS:
        return _EVEN, np.ones(total.shape)
    h, w = total.shape
    grid = _terms(_block_centres(h, height), _block_centres(w, width))
    weight = np.sqrt(count[stained])
    mean = total[stained] / count[stained]
    factors, *_ = np.linalg.lstsq(grid[stained] * weight[:, None], mean * weight, rcond=None)
    surface = Surface(factors, max(_mean(factors, height, width), 1e-9))
    return surface, surface.at(grid)


def _block_centres(blocks, size):
    """Where the centres of blocks lie along an axis of `size` px that runs from -1 to 1, f64 [blocks]."""
    return (2 * (np.arange(blocks) + 0.5) * _STEP - 1) / (size - 1) - 1


def _mean(factors, height, width) -> float:
    """Mean of a surface over the pixels of a field: the mean of each term is that of its powers of y and x."""
    y = np.linspace(-1, 1, height)
    x = np.linspace(-1, 1, width)
    means = [1.0, x.mean(), y.mean(), (x * x).mean(), x.mean() * y.mean(), (y * y).mean()]
    return float(np.dot(means, factors))


def _terms(y, x):
    """1, x, y, x^2, xy, y^2 at each place of a grid, f64 [h, w, 6], from y [h] and x [w]."""
    y, x = np.meshgrid(y, x, indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
