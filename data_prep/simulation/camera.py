"""From brightness to camera counts: blur, uneven illumination, debris, photon and read noise."""

import numpy as np
from scipy import ndimage

OFFSET = 100.0  # camera counts without light
COUNTS_PER_PHOTON = 4.0
BACKGROUND = 0.03  # brightness of medium and glass
HAZE = 0.06  # share of the light that comes from out of focus
HAZE_UM = 5.0  # width of that light (sigma)


def light_field(rng, shape, fall: float) -> np.ndarray:
    """Illumination of a field, f64 of `shape`: 1 at a point near the middle, 1 - `fall` at the farthest corner."""
    y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, shape[1], dtype=np.float32)
    peak_y, peak_x = rng.uniform(-0.3, 0.3, 2)
    squared_distance = (y - peak_y) ** 2 + (x - peak_x) ** 2
    return 1 - fall * squared_distance / squared_distance.max()


def add_debris(rng, canvas: np.ndarray, mean: float, pixel_um: float) -> None:
    """Add small bright specks to `canvas` f32 [H, W, C] in place, each in one or two channels.

    Args:
        rng: NumPy generator.
        canvas: changed in place.
        mean: expected number of specks, of a Poisson distribution.
        pixel_um: um per px.
    """
    height, width, channels = canvas.shape
    for _ in range(rng.poisson(mean)):
        size_px = rng.uniform(0.4, 1.6) / pixel_um
        reach = int(np.ceil(3 * size_px)) + 1
        y = rng.integers(0, height)
        x = rng.integers(0, width)
        rows = slice(max(y - reach, 0), y + reach + 1)
        columns = slice(max(x - reach, 0), x + reach + 1)
        angle = rng.uniform(0, np.pi)
        aspect = rng.uniform(1, 2)
        dy = np.arange(height)[rows, None] - y
        dx = np.arange(width)[columns] - x
        along = dx * np.cos(angle) + dy * np.sin(angle)
        across = dy * np.cos(angle) - dx * np.sin(angle)
        speck = np.exp(-((along / (size_px * aspect)) ** 2) - (across / size_px) ** 2)
        for channel in rng.choice(channels, rng.integers(1, 3), replace=False):
            brightness = rng.uniform(0.5, 2.5)
            canvas[rows, columns, channel] += (brightness * speck).astype(np.float32)


def expose(rng, plate_rng, canvas: np.ndarray, nuisance, pixel_um: float) -> np.ndarray:
    """Camera image of a field.

    Args:
        rng: NumPy generator of the field.
        plate_rng: NumPy generator of the plate: its illumination is the same in all fields.
        canvas: f32 [H, W, C], brightness without background; 1 gives `nuisance.photons` photons.
        nuisance: section of the config: blur, illumination, debris and noise.
        pixel_um: um per px.

    Returns:
        u16 [H, W, C], camera counts.
    """
    canvas = canvas.copy()
    add_debris(rng, canvas, nuisance.debris, pixel_um)
    sigma_px = rng.uniform(*nuisance.blur_um) / pixel_um
    counts = np.empty(canvas.shape, np.uint16)
    for c in range(canvas.shape[-1]):
        brightness = blur(canvas[..., c], sigma_px, HAZE_UM / pixel_um) + BACKGROUND
        brightness *= light_field(plate_rng, brightness.shape, nuisance.illumination)
        photons = rng.poisson(brightness * nuisance.photons).astype(np.float32)
        photons += nuisance.read_noise * rng.standard_normal(photons.shape, dtype=np.float32)
        counts[..., c] = np.clip(np.rint(OFFSET + COUNTS_PER_PHOTON * photons), 0, 65535)
    return counts


def blur(image: np.ndarray, sigma_px: float, haze_px: float) -> np.ndarray:
    """Gaussian blur of f32 [H, W] with a wide, faint halo of light from out of focus; keeps the mean."""
    sharp = image
    if sigma_px > 0:
        sharp = ndimage.gaussian_filter(image, sigma_px, truncate=3)
    # The halo is so wide that a coarse grid holds it.
    step = max(int(haze_px / 2), 1)
    rows = image.shape[0] // step
    columns = image.shape[1] // step
    blocks = image[: rows * step, : columns * step].reshape(rows, step, columns, step)
    halo = ndimage.gaussian_filter(blocks.mean((1, 3)), haze_px / step, truncate=3)
    halo = _finer_rows(halo, step, image.shape[0])
    halo = _finer_rows(halo.T, step, image.shape[1]).T
    return (1 - HAZE) * sharp + HAZE * halo


def _finer_rows(coarse, step, n):
    """`n` rows, linearly interpolated between the rows of `coarse`, each of which stands for `step` of them."""
    last = coarse.shape[0] - 1
    position = (np.arange(n) + 0.5) / step - 0.5
    position = np.clip(position, 0, last).astype(np.float32)
    above = np.minimum(position.astype(int), max(last - 1, 0))
    below = np.minimum(above + 1, last)
    share = (position - above)[:, None]
    return coarse[above] * (1 - share) + coarse[below] * share
