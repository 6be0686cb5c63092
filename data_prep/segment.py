"""Nuclei in a field: Field -> labels. A segmenter is one function and one line in SEGMENTERS."""

import numpy as np
from scipy import ndimage
from skimage import feature, filters, measure, morphology, segmentation

TYPICAL_DIAMETER_UM = 16.0
WAIST = 0.05  # smoothing of the distance map, fraction of the diameter
APART = 0.25  # least distance between the centres of two nuclei, fraction of the diameter
HALO = 0.4  # a pixel dimmer than this share of the brightest nucleus near it is its halo


def segment_nuclei(image: np.ndarray, pixel_um: float | None = None, diameter: float = 0.0,
                   method: str = "watershed") -> np.ndarray:
    """Label the nuclei of one field.

    Args:
        image: nuclear channel [H, W], any number type.
        pixel_um: um per px, None if unknown.
        diameter: typical nuclear diameter in um (px where `pixel_um` is None); 0: measured from the image.
        method: a name in SEGMENTERS.

    Returns:
        labels i32 [H, W], 0 is background, 1..n the nuclei. An image without contrast has none.
    """
    image = np.asarray(image, np.float32)
    if not diameter:
        diameter_px = measure_diameter(image, (TYPICAL_DIAMETER_UM / pixel_um) if pixel_um else 24.0)
    else:
        diameter_px = diameter / pixel_um if pixel_um else diameter
    return SEGMENTERS[method](image, diameter_px)


def watershed(image: np.ndarray, diameter_px: float) -> np.ndarray:
    """Smooth, threshold, and split touching nuclei where their distance to the background has a waist.

    Args:
        image: f32 [H, W].
        diameter_px: typical nuclear diameter; every length below is a fraction of it.
    """
    mask = foreground(image, diameter_px)
    if not mask.any():
        return np.zeros(image.shape, np.int32)
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), WAIST * diameter_px)
    peaks = feature.peak_local_max(distance, min_distance=max(1, round(APART * diameter_px)), exclude_border=False,
                                   labels=ndimage.label(mask)[0])
    markers = np.zeros(image.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels = segmentation.watershed(-distance, markers, mask=mask)
    return _relabel(_drop_small(labels, 0.05 * np.pi / 4 * diameter_px**2))


def foreground(image: np.ndarray, diameter_px: float) -> np.ndarray:
    """Mask of nuclear material: brighter than Otsu's threshold on the smoothed log of the signal, holes filled.

    The log weighs dim and bright nuclei alike; a local half-height test then keeps the halo of a bright nucleus out.
    """
    smooth = ndimage.gaussian_filter(image, 0.05 * diameter_px)
    low, high = np.percentile(smooth, (1, 99.5))
    noise = np.median(np.abs(image - smooth)) + 1e-6
    if high - low < 4 * noise:
        return np.zeros(image.shape, bool)
    signal = np.log(np.maximum(smooth - low, 0) + 0.05 * (high - low))
    mask = signal > filters.threshold_otsu(signal)
    peak = ndimage.grey_dilation(ndimage.gaussian_filter(image, 0.12 * diameter_px), size=(round(diameter_px) | 1,) * 2)
    mask &= smooth - low > HALO * (peak - low)
    mask = ndimage.binary_opening(mask, morphology.disk(max(1, round(0.06 * diameter_px))))
    return ndimage.binary_fill_holes(mask)


def measure_diameter(image: np.ndarray, first_guess_px: float) -> float:
    """Median diameter, px, of the well-shaped objects in the thresholded image; the guess where there are none."""
    mask = foreground(np.asarray(image, np.float32)[::2, ::2], first_guess_px / 2)  # half the pixels say the same
    table = measure.regionprops_table(measure.label(mask), properties=("equivalent_diameter_area", "solidity", "area"))
    solid = (table["solidity"] > 0.9) & (table["area"] > 8)
    return 2 * float(np.median(table["equivalent_diameter_area"][solid])) if solid.sum() >= 5 else float(first_guess_px)


def _drop_small(labels, min_area):
    small = np.bincount(labels.ravel()) < min_area
    small[0] = False
    return np.where(small[labels], 0, labels)


def _relabel(labels):
    return segmentation.relabel_sequential(labels)[0].astype(np.int32)


SEGMENTERS = {"watershed": watershed}
