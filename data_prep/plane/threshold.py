"""Thresholds and quantiles of many pixels, as quick as they need to be exact."""

import numpy as np
from skimage import filters


def otsu_threshold(values: np.ndarray) -> float:
    """Otsu's threshold of f32 values of any shape, from a histogram of 256 bins; their value where all are equal."""
    low = values.min()
    span = values.max() - low
    if span == 0:
        return float(low)
    scaled = (values - low) * np.float32(256 / span)
    bins = np.minimum(scaled, 255).astype(np.uint8)
    counts = np.bincount(bins.ravel(), minlength=256)
    middles = low + span / 256 * (np.arange(256) + 0.5)
    return float(filters.threshold_otsu(hist=(counts, middles)))


def quantile(values: np.ndarray, share: float) -> float:
    """The value that this share, 0..1, of the values of any shape are not above; one of them, nothing interpolated."""
    place = round(share * (values.size - 1))
    return float(np.partition(values, place, axis=None)[place])


def median(values: np.ndarray) -> np.floating:
    """Median of floating-point values [N], N at least 1, none of them NaN; exactly NumPy's, in a third of the time.

    NumPy looks for both middle values and for NaN at once, which its quick way to part values cannot do.
    """
    middle = len(values) // 2
    parted = np.partition(values, middle)
    upper = parted[middle]
    if len(values) % 2:
        return upper
    lower = parted[:middle].max()
    return (lower + upper) / 2
