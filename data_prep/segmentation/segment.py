"""Nuclei in a field: Field -> labels. A segmenter is one function and one line in SEGMENTERS.

All lengths are fractions of the typical diameter, all brightnesses relative to the field's own, and none is tuned to a
data set: one setting serves all microscopes. Nuclei are found on a grid on which they are still some 15 px across, as
more pixels say no more about where they are; only their outlines are drawn at full resolution.
"""

import math

import numpy as np
from skimage import measure, segmentation

from cellcycle_jax import extensions
from cellcycle_jax.errors import UsageError
from data_prep.plane.distance import depth, nearest_objects
from data_prep.plane.neighbourhood import highest_nearby, opened, surrounded
from data_prep.plane.smoothing import gaussian_mean
from data_prep.plane.threshold import otsu_threshold, quantile
from data_prep.segmentation.joining import joined, moments, stretch
from data_prep.segmentation.working_grid import block_means, outlined

FIELD = "segmentation.method"  # of the config

TYPICAL_DIAMETER_UM = 16.0
TYPICAL_DIAMETER_PX = 24.0

# On the grid on which nuclei are found, a typical one is at least this large.
WORKING_DIAMETER_PX = 15.0

# What is dimmer than this share of the typical bright pixel counts as equally dark.
DARK = 0.3

# A few extreme objects decide the typical bright pixel where it is so many times the nuclei's upper quartile; then all
# that is brighter than GLARE times that quartile counts as equally bright. If more than a share of RARE of the bright
# pixels are, they are the nuclei themselves.
OUTWEIGHED = 1.8
GLARE = 1.5
RARE = 0.07

# A field in which nothing rises so many times the noise holds no nuclei.
LEAST_SIGNAL = 8

# A blur in single precision is off by less than this share of the brightest pixel.
ROUNDING = 32 * np.finfo(np.float32).eps

# A nuclear pixel is by this much (natural log) brighter than the edges around it.
MARGIN = 0.1

# No threshold is below this share of the field's global one.
LOWEST = 0.6

# An object is so many times brighter than the ground around it.
LEAST_CONTRAST = 1.35

# Where an outline lies between the brightness of the ground, 0, and of the object, 1.
EDGE = 0.45

# An outline is moved by this share of the diameter at most.
REACH = 0.1

# The smallest nucleus, as a share of the area of a typical one.
LEAST_AREA = 0.06


def segment_nuclei(
    image: np.ndarray,
    pixel_um: float | None = None,
    diameter: float = 0.0,
    method: str = "watershed",
) -> np.ndarray:
    """Label the nuclei of one field.

    Args:
        image: nuclear channel [H, W], any number type.
        pixel_um: um per px, None if unknown.
        diameter: typical nuclear diameter in um (px where `pixel_um` is None); 0: measured from the image.
        method: a name in SEGMENTERS, or `package.module:function`.

    Returns:
        labels i32 [H, W], 0 is background, 1..n the nuclei. An image without contrast has none.

    Raises:
        UsageError: there is no such method, or it does not return labels.
    """
    image = np.asarray(image, np.float32)
    if pixel_um:
        diameter_px = diameter / pixel_um
        first_guess_px = TYPICAL_DIAMETER_UM / pixel_um
    else:
        diameter_px = diameter
        first_guess_px = TYPICAL_DIAMETER_PX
    if not diameter:
        diameter_px = measure_diameter(image, first_guess_px)
    labels = np.asarray(extensions.call(method, SEGMENTERS, FIELD, image, diameter_px))
    if labels.shape != image.shape or not np.issubdtype(labels.dtype, np.integer):
        raise UsageError(
            f"config.{FIELD}={method!r} returned {labels.dtype} of shape {labels.shape} for an image of shape "
            f"{image.shape}; it must return whole numbers of the image's shape"
        )
    return labels.astype(np.int32, copy=False)


def watershed(image: np.ndarray, diameter_px: float) -> np.ndarray:
    """Threshold against the edges nearby, cut at waists and dim lines, join what is one nucleus after all.

    Args:
        image: f32 [H, W].
        diameter_px: typical nuclear diameter.

    Returns:
        labels i32 [H, W].
    """
    step = max(1, int(diameter_px / WORKING_DIAMETER_PX))
    coarse_diameter = diameter_px / step
    signal, height = foreground(block_means(image, step), coarse_diameter)
    parts = cut(signal, height > 0, coarse_diameter)
    labels = joined(parts, signal, coarse_diameter)
    labels = numbered(labels, _least_area(coarse_diameter))
    labels, height = fitted(labels, signal, coarse_diameter)
    return outlined(labels, height, step, image.shape)


def otsu(image: np.ndarray, diameter_px: float) -> np.ndarray:
    """Blur, threshold by Otsu, connected components; nuclei that touch stay one object.

    This is how Nagao et al. (Mol. Biol. Cell 2020) found nuclei: a Gaussian of sigma 11 px where a nucleus is 50 to
    60 px across, so sigma is 0.2 of the diameter here. So strong a blur leaves nothing that a coarse grid cannot hold.

    Args:
        image: f32 [H, W].
        diameter_px: typical nuclear diameter.

    Returns:
        labels i32 [H, W].
    """
    step = max(1, int(diameter_px / WORKING_DIAMETER_PX))
    smooth = gaussian_mean(block_means(image, step), 0.2 * diameter_px / step, truncate=3)
    if np.ptp(smooth) <= 1e-6 * max(abs(smooth.min()), 1):
        return np.zeros(image.shape, np.int32)
    height = smooth - otsu_threshold(smooth)
    objects = measure.label(height > 0)
    labels = numbered(objects, _least_area(diameter_px / step))
    return outlined(labels, height, step, image.shape)


def measure_diameter(image: np.ndarray, first_guess_px: float) -> float:
    """Median diameter, px, of the elliptical objects in the foreground, large ones weighing more; else the guess."""
    image = np.asarray(image, np.float32)
    diameter = first_guess_px
    measured = None
    for _ in range(3):  # what is foreground depends on the diameter
        step = max(1, int(diameter / 12))
        _, height = foreground(block_means(image, step), diameter / step)
        objects = measure.label(height > 0, connectivity=1)
        sums = moments(objects)[:, 1:]
        area = sums[0]
        is_elliptical = (area > 12) & (stretch(sums) < 1.08)
        if not is_elliptical.any():
            diameter /= 2  # the grid may have been too coarse
            continue
        diameters = np.sort(np.sqrt(area[is_elliptical] * 4 / np.pi))
        middle = np.searchsorted(np.cumsum(diameters), diameters.sum() / 2)
        measured = step * float(diameters[middle])
        is_settled = abs(measured / diameter - 1) < 0.15
        diameter = measured
        if is_settled:
            break
    return measured or float(first_guess_px)


def foreground(image: np.ndarray, diameter_px: float) -> tuple[np.ndarray, np.ndarray]:
    """What is nuclear material: brighter than the edges nearby, as Yanowitz and Bruckstein (1989) threshold.

    The threshold at a place is the mean of the log signal around it, weighted by its squared gradient: where edges are
    strong it is their middle, be the nuclei dim or bright and the ground between them dark or not. Where there are
    none it is Otsu's threshold of the whole field.

    Args:
        image: f32 [H, W].
        diameter_px: typical nuclear diameter.

    Returns:
        signal f32 [H, W] above the field's darkest parts; height f32 [H, W], ln above the threshold, positive inside.
    """
    blur = max(0.05 * diameter_px, 0.5)
    smooth = gaussian_mean(image, blur)
    signal = np.maximum(smooth - quantile(smooth, 0.01), 0)
    typical_step = quantile(np.abs(np.diff(image, axis=1)), 0.5)
    noise = 0.35 / blur * typical_step + 1e-6  # what the blur leaves of it
    rounding = ROUNDING * np.abs(image).max()  # in a flat image that is all there is
    clear = signal[signal > max(LEAST_SIGNAL * noise, rounding)]
    if len(clear) < 0.4 * diameter_px**2:
        return signal, np.full(image.shape, -1, np.float32)
    brightest = without_glare(clear)
    signal = np.minimum(signal, brightest)
    clear = np.minimum(clear, brightest)
    level = np.log(signal + DARK * (clear @ clear) / clear.sum())
    of_field = otsu_threshold(level)
    down, right = np.gradient(level)
    weight = down * down + right * right
    sigma = 0.4 * diameter_px
    weight_nearby = gaussian_mean(weight, sigma, truncate=3)
    level_nearby = gaussian_mean(weight * level, sigma, truncate=3)
    prior = 0.1 * weight_nearby[level > of_field].mean()
    threshold = (level_nearby + prior * of_field) / (weight_nearby + prior)
    lowest = of_field + math.log(LOWEST)
    height = level - np.maximum(threshold + MARGIN, lowest)
    mask = opened(height > 0, max(1, round(0.05 * diameter_px)))
    mask = _without_holes(mask, 0.1 * diameter_px**2)
    return signal, _signed(height, mask, 0.02)


def without_glare(clear: np.ndarray) -> float:
    """Brightest signal to tell apart, from the clear pixels f32 [N]: infinite, unless few outweigh all the others.

    The typical bright pixel is a mean weighted by brightness: one object that is 20 times as bright as the nuclei can
    raise it above them all, and none but that object would be found. The brighter class of the log signal stays what it
    was, as the pixels of such objects are few; mitotic and polyploid cells do not raise the mean so far.
    """
    level = np.log(clear)
    brighter_class = clear[level >= otsu_threshold(level)]
    upper = quantile(brighter_class, 0.75)
    typical_bright = (clear @ clear) / clear.sum()
    share_of_glare = (clear > GLARE * upper).mean()
    if typical_bright > OUTWEIGHED * upper and share_of_glare < RARE:
        return GLARE * upper
    return np.inf


def cut(signal: np.ndarray, mask: np.ndarray, diameter_px: float) -> np.ndarray:
    """Parts of the mask, more than there are nuclei: watershed of distance to the background plus local brightness.

    Args:
        signal: f32 [H, W], as `foreground` gives it.
        mask: bool [H, W], the nuclear material.
        diameter_px: typical nuclear diameter.

    Returns:
        int [H, W], 0 is background.
    """
    inside = mask.astype(np.float32)
    sigma = 0.5 * diameter_px
    mask_nearby = gaussian_mean(inside, sigma, truncate=3)
    signal_nearby = gaussian_mean(signal * inside, sigma, truncate=3)
    brightness = signal * mask_nearby / np.maximum(signal_nearby, 1e-6)
    brightness = gaussian_mean(brightness, 0.08 * diameter_px)
    distance = gaussian_mean(depth(mask), 0.04 * diameter_px)
    relief = 2 / diameter_px * distance + 2 * brightness
    peaks = mask & (relief == highest_nearby(relief, max(1, round(0.1 * diameter_px))))
    return segmentation.watershed(-relief, measure.label(peaks), mask=mask)


def fitted(
    labels: np.ndarray,
    signal: np.ndarray,
    diameter_px: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Each object as far as its signal is nearer to its own brightness than to the ground around it; faint ones go.

    Args:
        labels: i32 [H, W].
        signal: f32 [H, W], as `foreground` gives it.
        diameter_px: typical nuclear diameter.

    Returns:
        labels i32 [H, W] with the new outlines, numbered 1..n without a gap; height f32 [H, W], signal above the level
        of the outline, or far below it where no object is near.
    """
    near = nearest_objects(labels, 1 + 2.5 * REACH * diameter_px)
    was_inside = near.squared_px == 0
    may_belong = near.squared_px <= max(1, REACH * diameter_px) ** 2
    brightness = signal.ravel()[near.pixels]
    n = labels.max() + 1
    inside = _means(near.label[was_inside], brightness[was_inside], n)
    ground = _means(near.label[~may_belong], brightness[~may_belong], n)
    highest = signal.max()
    dark = 0.05 * highest
    is_faint = inside + dark < LEAST_CONTRAST * (ground + dark)
    level = ground + EDGE * (inside - ground)
    above = brightness - level[near.label]
    core = surrounded(labels > 0, max(1, round(REACH * diameter_px)))
    belongs = may_belong & ((above > 0) | core.ravel()[near.pixels]) & ~is_faint[near.label]
    new_labels = np.zeros(labels.shape, np.int32)
    new_labels.ravel()[near.pixels[belongs]] = numbered(near.label[belongs])
    height = np.full(labels.shape, -highest, np.float32)
    height.ravel()[near.pixels] = _signed(above, belongs, 0.01 * highest)
    return new_labels, height


def numbered(labels: np.ndarray, least_area: float = 1) -> np.ndarray:
    """The objects of at least so many px, numbered 1..n without a gap; i32 of the shape of `labels`."""
    is_large = np.bincount(labels.ravel(), minlength=1) >= least_area
    is_large[0] = False
    numbers = np.cumsum(is_large) * is_large
    return numbers.astype(np.int32)[labels]


def _without_holes(mask, least_area):
    """The mask with its holes of fewer px filled, bool [H, W]."""
    holes = measure.label(~mask, connectivity=1)
    is_filled = np.bincount(holes.ravel()) < least_area
    is_filled[0] = True  # the mask itself
    return is_filled[holes]


def _signed(height, mask, least):
    """The height, raised to `least` where it is lower inside the mask, and lowered to -`least` outside."""
    inside = np.maximum(height, least)
    outside = np.minimum(height, -least)
    return np.where(mask, inside, outside)


def _least_area(diameter_px) -> float:
    """Area of the smallest nucleus, px, where a typical one is a disc of this diameter."""
    return LEAST_AREA * np.pi / 4 * diameter_px**2


def _means(labels, signal, n):
    """Mean of `signal` [P] over the pixels of each of the labels 0..n-1, f64 [n]; 0 for one without pixels."""
    total = np.bincount(labels, signal, n)
    area = np.bincount(labels, minlength=n)
    return total / np.maximum(area, 1)


SEGMENTERS = {"watershed": watershed, "otsu": otsu}
