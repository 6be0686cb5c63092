"""From light to counts: blur, uneven illumination, debris, photon and read noise."""

import numpy as np
from scipy import ndimage

from data_prep.simulation.settings import Nuisance

OFFSET = 100.0  # camera counts without light
COUNTS_PER_PHOTON = 4.0
BACKGROUND = 0.03  # brightness of medium and glass
HAZE = 0.06  # share of the light that comes from out of focus
HAZE_UM = 5.0  # width of that light (sigma)


def light_field(rng, shape, fall: float) -> np.ndarray:
    """Illumination of a field, f32 of `shape`: 1 at a point near the middle, 1 - `fall` at the farthest corner."""
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape)
    peak_y, peak_x = rng.uniform(-0.3, 0.3, 2)
    square = (y[:, None] - peak_y) ** 2 + (x[None] - peak_x) ** 2
    return 1 - fall * square / square.max()


def add_debris(rng, canvas: np.ndarray, mean: float, pixel_um: float) -> None:
    """Add a Poisson number of small bright specks, in one or two channels each, to `canvas` f32 [H, W, C] in place."""
    height, width, channels = canvas.shape
    for _ in range(rng.poisson(mean)):
        size = rng.uniform(0.4, 1.6) / pixel_um
        half = int(np.ceil(3 * size)) + 1
        y, x = rng.integers(0, height), rng.integers(0, width)
        rows = np.arange(max(y - half, 0), min(y + half + 1, height))
        columns = np.arange(max(x - half, 0), min(x + half + 1, width))
        turn, aspect = rng.uniform(0, np.pi), rng.uniform(1, 2)
        dy, dx = rows[:, None] - y, columns[None] - x
        long, short = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
        speck = np.exp(-((long / (size * aspect)) ** 2) - (short / size) ** 2)
        for channel in rng.choice(channels, rng.integers(1, 3), replace=False):
            canvas[rows[:, None], columns[None], channel] += (rng.uniform(0.5, 2.5) * speck).astype(np.float32)


def expose(rng, plate_rng, canvas: np.ndarray, nuisance: Nuisance, pixel_um: float) -> np.ndarray:
    """Picture of a field.

    Args:
        rng: NumPy generator of the field.
        plate_rng: NumPy generator of the plate: its illumination is the same in all fields.
        canvas: f32 [H, W, C], brightness without background; 1 gives `nuisance.photons` photons.
        nuisance: blur, illumination, debris and noise.
        pixel_um: um per px.

    Returns:
        u16 [H, W, C], camera counts.
    """
    canvas = canvas.copy()
    add_debris(rng, canvas, nuisance.debris, pixel_um)
    sigma_px = rng.uniform(*nuisance.blur_um) / pixel_um
    counts = np.empty(canvas.shape, np.uint16)
    for c in range(canvas.shape[-1]):
        light = blur(canvas[..., c], sigma_px, HAZE_UM / pixel_um) + BACKGROUND
        light *= light_field(plate_rng, light.shape, nuisance.illumination)
        photons = rng.poisson(light * nuisance.photons).astype(np.float32)
        photons += nuisance.read_noise * rng.standard_normal(photons.shape, dtype=np.float32)
        counts[..., c] = np.clip(np.rint(OFFSET + COUNTS_PER_PHOTON * photons), 0, 65535)
    return counts


def blur(image: np.ndarray, sigma_px: float, haze_px: float) -> np.ndarray:
    """Gaussian blur of f32 [H, W] with a wide, faint halo of light from out of focus; keeps the mean."""
    sharp = ndimage.gaussian_filter(image, sigma_px, truncate=3) if sigma_px > 0 else image
    step = max(int(haze_px / 2), 1)
    height, width = (n // step * step for n in image.shape)
    small = image[:height, :width].reshape(height // step, step, width // step, step).mean((1, 3))
    halo = ndimage.gaussian_filter(small, haze_px / step, truncate=3)
    y = (np.arange(image.shape[0]) + 0.5) / step - 0.5
    x = (np.arange(image.shape[1]) + 0.5) / step - 0.5
    return (1 - HAZE) * sharp + HAZE * _resample(_resample(halo, y).T, x).T


def _resample(rows, at):
    """Rows of `rows` at fractional places, by linear interpolation."""
    at = np.clip(at, 0, rows.shape[0] - 1).astype(np.float32)
    low = np.minimum(at.astype(int), max(rows.shape[0] - 2, 0))
    share = (at - low)[:, None]
    return rows[low] * (1 - share) + rows[np.minimum(low + 1, rows.shape[0] - 1)] * share
