"""Nuclei in a field: Field -> labels. A segmenter is one function and one line in SEGMENTERS.

All lengths are fractions of the typical diameter, all brightnesses relative to the field's own, and none is tuned to a
data set: one setting serves all microscopes. Nuclei are found on a grid on which they are still some 15 px across, as
more pixels say no more about where they are; only their outlines are drawn at full resolution.
"""

import functools

import numpy as np
from scipy import ndimage
from skimage import filters, measure, morphology, segmentation

from data_prep.segmentation.joining import joined, moments, stretch
from data_prep.segmentation.working_grid import block_means, outlined

TYPICAL_DIAMETER_UM = 16.0
TYPICAL_DIAMETER_PX = 24.0
WORKING_DIAMETER_PX = 15.0  # no smaller than this is a nucleus on the grid on which it is found
DARK = 0.3  # what is dimmer than this share of the typical bright pixel counts as equally dark
OUTWEIGHED = 1.8  # a typical bright pixel so many times the nuclei's upper quartile is that of a few extreme objects
GLARE = 1.5  # times that quartile: all that is brighter is equally bright in such a field
RARE = 0.07  # more than this share of the bright pixels are no few objects but the nuclei themselves
LEAST_SIGNAL = 8  # a field in which nothing rises so many times the noise holds no nuclei
MARGIN = 0.1  # ln; so much brighter than the edges around it is a nuclear pixel
LOWEST = 0.6  # no threshold is below this share of the field's global one
LEAST_CONTRAST = 1.35  # an object is so many times brighter than the ground around it
EDGE = 0.45  # where an outline lies between the brightness of the ground, 0, and of the object, 1
REACH = 0.1  # of the diameter; an outline is moved by so much at most
LEAST_AREA = 0.06  # of a typical nucleus


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
        diameter_px = measure_diameter(image, TYPICAL_DIAMETER_UM / pixel_um if pixel_um else TYPICAL_DIAMETER_PX)
    else:
        diameter_px = diameter / pixel_um if pixel_um else diameter
    return SEGMENTERS[method](image, diameter_px)


def watershed(image: np.ndarray, diameter_px: float) -> np.ndarray:
    """Threshold against the edges nearby, cut at waists and dim lines, join what is one nucleus after all.

    Args:
        image: f32 [H, W].
        diameter_px: typical nuclear diameter.
    """
    step = max(1, int(diameter_px / WORKING_DIAMETER_PX))
    coarse, size = block_means(image, step), diameter_px / step
    signal, height = foreground(coarse, size)
    labels = joined(cut(signal, height > 0, size), signal, size)
    labels, height = fitted(numbered(labels, LEAST_AREA * np.pi / 4 * size**2), signal, size)
    return numbered(outlined(numbered(labels), height, step, image.shape))


def otsu(image: np.ndarray, diameter_px: float) -> np.ndarray:
    """Blur, threshold by Otsu, connected pieces; nuclei that touch stay one object.

    This is how Nagao et al. (Mol. Biol. Cell 2020) found nuclei: a Gaussian of sigma 11 px where a nucleus is 50 to
    60 px across, so sigma is 0.2 of the diameter here. So strong a blur leaves nothing that a coarse grid cannot hold.
    """
    step = max(1, int(diameter_px / WORKING_DIAMETER_PX))
    blurred = functools.partial(ndimage.gaussian_filter1d, sigma=0.2 * diameter_px / step, truncate=3)
    smooth = blurred(blurred(block_means(image, step).T.copy()).T.copy())  # fast along lines as they lie in memory
    low, span = smooth.min(), np.ptp(smooth)
    if span <= 1e-6 * max(abs(low), 1):
        return np.zeros(image.shape, np.int32)
    counts = np.bincount(((smooth - low) * (255.9 / span)).astype(np.uint8).ravel(), minlength=256)
    height = smooth - filters.threshold_otsu(hist=(counts, low + span / 255.9 * (np.arange(256) + 0.5)))
    labels = numbered(measure.label(height > 0), LEAST_AREA * np.pi / 4 * (diameter_px / step) ** 2)
    return outlined(labels, height, step, image.shape)


def measure_diameter(image: np.ndarray, first_guess_px: float) -> float:
    """Median diameter, px, of the elliptical objects in the foreground, large ones weighing more; else the guess."""
    diameter, measured = first_guess_px, None
    for _ in range(3):  # what is foreground depends on the diameter
        step = max(1, int(diameter / 12))
        _, height = foreground(block_means(np.asarray(image, np.float32), step), diameter / step)
        area, *rest = moments(measure.label(height > 0, connectivity=1))[:, 1:]
        whole = (area > 12) & (stretch(np.stack([area, *rest])) < 1.08)
        if not whole.any():
            diameter /= 2  # the grid may have been too coarse
            continue
        found, before = np.sort(np.sqrt(area[whole] * 4 / np.pi)), diameter
        diameter = measured = step * float(found[np.searchsorted(np.cumsum(found), found.sum() / 2)])
        if abs(diameter / before - 1) < 0.15:
            break
    return measured or float(first_guess_px)


def foreground(image: np.ndarray, diameter_px: float) -> tuple[np.ndarray, np.ndarray]:
    """What is nuclear material: brighter than the edges nearby, as Yanowitz and Bruckstein (1989) threshold.

    The threshold at a place is the mean of the log signal around it, weighted by its squared gradient: where edges are
    strong it is their middle, be the nuclei dim or bright and the ground between them dark or not. Where there are
    none it is Otsu's threshold of the whole field.

    Returns:
        signal f32 [H, W] above the field's darkest parts; height f32 [H, W], ln above the threshold, positive inside.
    """
    blur = max(0.05 * diameter_px, 0.5)
    smooth = ndimage.gaussian_filter(image, blur)
    signal = np.maximum(smooth - np.percentile(smooth, 1), 0)
    noise = 0.35 / blur * np.median(np.abs(np.diff(image, axis=1))) + 1e-6  # what the blur leaves of it
    clear = signal[signal > LEAST_SIGNAL * noise]
    if len(clear) < 0.4 * diameter_px**2:
        return signal, np.full(image.shape, -1, np.float32)
    most = without_glare(clear)
    signal, clear = np.minimum(signal, most), np.minimum(clear, most)
    level = np.log(signal + DARK * (clear @ clear) / clear.sum())
    of_field = filters.threshold_otsu(level)
    down, right = np.gradient(level)
    weight = down * down + right * right
    nearby = functools.partial(ndimage.gaussian_filter, sigma=0.4 * diameter_px, truncate=3)
    amount = nearby(weight)
    prior = 0.1 * amount[level > of_field].mean()
    threshold = (nearby(weight * level) + prior * of_field) / (amount + prior) + MARGIN
    height = level - np.maximum(threshold, of_field + np.log(LOWEST))
    mask = ndimage.binary_opening(height > 0, morphology.disk(max(1, round(0.05 * diameter_px))))
    mask = numbered(measure.label(~mask, connectivity=1), 0.1 * diameter_px**2) == 0  # smaller holes are filled
    return signal, np.where(mask, np.maximum(height, 0.02), np.minimum(height, -0.02))


def without_glare(clear: np.ndarray) -> float:
    """Brightest signal to tell apart, from the clear pixels f32 [N]: infinite, unless few outweigh all the others.

    The typical bright pixel is a mean weighted by brightness: one object that is 20 times as bright as the nuclei can
    raise it above them all, and none but that object would be found. The brighter class of the log signal stays what it
    was, as the pixels of such objects are few; mitotic and polyploid cells do not raise the mean so far.
    """
    level = np.log(clear)
    upper = float(np.percentile(clear[level >= filters.threshold_otsu(level)], 75))
    outweighed = (clear @ clear) / clear.sum() > OUTWEIGHED * upper and (clear > GLARE * upper).mean() < RARE
    return GLARE * upper if outweighed else np.inf


def cut(signal: np.ndarray, mask: np.ndarray, diameter_px: float) -> np.ndarray:
    """Parts of the mask, more than there are nuclei: watershed of distance to the background plus local brightness."""
    inside = mask.astype(np.float32)
    nearby = functools.partial(ndimage.gaussian_filter, sigma=0.5 * diameter_px, truncate=3)
    brightness = signal * nearby(inside) / np.maximum(nearby(signal * inside), 1e-6)
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask).astype(np.float32), 0.04 * diameter_px)
    relief = 2 / diameter_px * distance + 2 * ndimage.gaussian_filter(brightness, 0.08 * diameter_px)
    apart = 2 * max(1, round(0.1 * diameter_px)) + 1
    peaks = mask & (relief == ndimage.maximum_filter(relief, apart))
    return segmentation.watershed(-relief, measure.label(peaks), mask=mask)


def fitted(labels: np.ndarray, signal: np.ndarray, diameter_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Each object as far as its signal is nearer to its own brightness than to the ground around it; faint ones go.

    Returns:
        labels i32 [H, W] with the new outlines; height f32 [H, W], signal above the level of the outline.
    """
    near = segmentation.expand_labels(labels, max(1, REACH * diameter_px))
    owner = segmentation.expand_labels(labels, 1 + 2.5 * REACH * diameter_px)
    n = labels.max() + 1
    inside, ground = _means(labels, signal, n), _means(np.where(near > 0, 0, owner), signal, n)
    dark = 0.05 * signal.max()
    faint = inside + dark < LEAST_CONTRAST * (ground + dark)
    level = ground + EDGE * (inside - ground)
    level[faint] = signal.max()
    core = ndimage.minimum_filter(labels, 2 * max(1, round(REACH * diameter_px)) + 1) > 0
    height = signal - level[owner]
    mask = (near > 0) & ((height > 0) | core) & ~faint[owner]
    least = 0.01 * signal.max()
    return np.where(mask, near, 0), np.where(mask, np.maximum(height, least), np.minimum(height, -least))


def numbered(labels: np.ndarray, least_area: float = 1) -> np.ndarray:
    """The objects of at least so many px, numbered 1..n without a gap; i32 [H, W]."""
    kept = np.bincount(labels.ravel()) >= least_area
    kept[0] = False
    return (np.cumsum(kept) * kept).astype(np.int32)[labels]


def _means(labels, signal, n):
    """Mean signal of the labels 0..n-1, f64 [n]; 0 for one without pixels."""
    return np.bincount(labels.ravel(), signal.ravel(), n) / np.maximum(np.bincount(labels.ravel(), minlength=n), 1)


SEGMENTERS = {"watershed": watershed, "otsu": otsu}
