"""Measurements of spacing: correlation at a distance, spots and holes and their distances, two stains together."""

import itertools

import numpy as np
from scipy import fft, ndimage
from scipy.spatial import cKDTree

from cellcycle_jax.bank.cells import REGIONS, Cells, region_mean, smooth
from cellcycle_jax.bank.measurement import Measurement, column

LAGS_PX = (2, 3, 4, 5, 6, 7, 8, 10, 12)
BANDS_PX = ((0.6, 2.5), (1.2, 4.0))  # between which Gaussians two stains are compared
SPOT_PX = (0.7, 2.2)  # the same of spots
LEAST_CONTRAST = 2.5  # of a spot, in robust standard deviations


def correlation_at_distance(cells: Cells) -> list[Measurement]:
    """How alike the detail of a stain is at places some pixels apart, over all directions."""
    measured = []
    for region in REGIONS:
        mask = cells.region(region)
        pairs = _sums_by_distance(mask.astype(np.float32))
        for channel in cells.channels:
            band = _band(cells, channel, (0.6, 4.0))
            mean = region_mean(band, mask).astype(np.float32)
            products = _sums_by_distance(np.where(mask, band - mean[:, None, None], 0))
            covariance = products / np.maximum(pairs, 1)
            variance = covariance[:, :1]
            by_lag = covariance / np.where(variance > 0, variance, np.nan)
            for lag in LAGS_PX:
                distance = f"{lag * cells.um_per_px:.2g} {cells.length_unit}"
                measured.append(Measurement(
                    name=column(region, "Spacing", f"{lag}px", channel),
                    words=f"{channel} in the {region}: correlation at {distance}",
                    family="spacing",
                    channels=(channel,),
                    region=region,
                    unit="",
                    formula=f"correlation of the detail of {channel} at pixels {distance} apart",
                    values=by_lag[:, lag],
                ))
    return measured


def _band(cells: Cells, channel: str, sizes_px):
    plane = cells.plane(channel)
    return smooth(plane, sizes_px[0]) - smooth(plane, sizes_px[1])


def _sums_by_distance(planes) -> np.ndarray:
    """Sum of the products of pixels of planes f32 [N, S, S] that lie 0, 1, ... px apart, f32 [N, L]."""
    longest = max(LAGS_PX)
    side = fft.next_fast_len(planes.shape[1] + longest + 1, real=True)
    power = np.abs(fft.rfft2(planes, (side, side))) ** 2
    products = fft.irfft2(power, (side, side))
    steps = np.fft.fftfreq(side, 1 / side)
    distance = np.rint(np.hypot(steps[:, None], steps)).astype(int)
    rings = [products[:, distance == lag].sum(1) for lag in range(longest + 1)]
    return np.stack(rings, axis=1)


def together(cells: Cells) -> list[Measurement]:
    """Whether two stains are bright at the same places of a region: correlation of their detail."""
    measured = []
    for first, second in itertools.combinations(cells.channels, 2):
        for number, sizes in enumerate((None, *BANDS_PX)):
            if sizes is None:
                planes = cells.plane(first), cells.plane(second)
                what, words = "Whole", "brightness"
            else:
                planes = _band(cells, first, sizes), _band(cells, second, sizes)
                size = f"{sizes[0] * cells.um_per_px:.2g} {cells.length_unit}"
                what, words = f"Detail{number}", f"detail of {size}"
            for region in REGIONS:
                measured.append(Measurement(
                    name=column(region, "Together", f"{what}With{second}", first),
                    words=f"{first} and {second} in the {region}: correlation of their {words}",
                    family="two stains together",
                    channels=(first, second),
                    region=region,
                    unit="",
                    formula=f"correlation over the pixels of the {region} of the {words} of {first} and {second}",
                    values=_correlation(*planes, cells.region(region)),
                ))
    return measured


def _correlation(first, second, mask):
    first = first - region_mean(first, mask)[:, None, None]
    second = second - region_mean(second, mask)[:, None, None]
    product = region_mean(first * second, mask)
    scale = np.sqrt(region_mean(first**2, mask) * region_mean(second**2, mask))
    return product / np.where(scale > 0, scale, np.nan)


def spots(cells: Cells) -> list[Measurement]:
    """Bright spots, and dark holes of the nucleus: their number, contrast, and distances from each other and things."""
    measured = []
    for channel in cells.channels:
        band = _band(cells, channel, SPOT_PX)
        kinds = [("cytoplasm", "Spots", "spots", band), ("nucleus", "Spots", "spots", band)]
        kinds.append(("nucleus", "Holes", "holes", -band))
        for region, kind, words, contrast in kinds:
            values = _spot_values(cells, contrast, region)
            for what, (unit, meaning, of_cells) in values.items():
                measured.append(Measurement(
                    name=column(region, kind, what, channel),
                    words=f"{channel} {words} in the {region}: {meaning}",
                    family=f"{words} by number and distance",
                    channels=(channel,),
                    region=region,
                    unit=unit,
                    formula=f"{meaning} of local maxima of {'-' if kind == 'Holes' else ''}{channel} between Gaussians "
                    f"of {SPOT_PX[0]:g} and {SPOT_PX[1]:g} px that exceed {LEAST_CONTRAST:g} robust sd",
                    values=of_cells,
                ))
    return measured


def _spot_values(cells: Cells, contrast, region: str) -> dict:
    mask = cells.region(region)
    deviation = region_mean(np.abs(np.where(mask, contrast, 0)), mask) * 1.25
    peaks = contrast == ndimage.maximum_filter(contrast, (1, 3, 3))
    peaks &= mask & (contrast > LEAST_CONTRAST * np.nan_to_num(deviation)[:, None, None])
    area = mask.sum((1, 2)) * cells.um_per_px**2
    number = peaks.sum((1, 2)).astype(float)
    nearest = np.full((len(cells), 2), np.nan)  # mean and variation of the distance to the nearest spot
    cell, rows, columns = np.nonzero(peaks)
    ends = np.cumsum(np.bincount(cell, minlength=len(cells)))
    for n, (start, end) in enumerate(zip(np.append(0, ends[:-1]), ends, strict=True)):
        if end - start < 2:
            continue
        points = np.stack([rows[start:end], columns[start:end]], axis=1) * cells.um_per_px
        distance = cKDTree(points).query(points, 2)[0][:, 1]
        nearest[n] = distance.mean(), distance.std() / max(distance.mean(), 1e-9)
    density = number / np.where(area > 0, area, np.nan)
    expected = 0.5 / np.sqrt(np.where(density > 0, density, np.nan))
    count = np.where(number > 0, number, np.nan)
    height = (contrast * peaks).sum((1, 2)) / count
    away = (cells.outer_distance * peaks).sum((1, 2)) / count
    depth = (cells.inner_depth * peaks).sum((1, 2)) / count
    from_rim = away if region == "cytoplasm" else depth
    unit = cells.length_unit
    return {
        "Number": ("", "number", number),
        "Nearest": (unit, "mean distance to the nearest other", nearest[:, 0]),
        "Regularity": ("", "that distance over what random places would have", nearest[:, 0] / expected),
        "Unevenness": ("", "sd of that distance over its mean", nearest[:, 1]),
        "Contrast": ("", "mean contrast", height),
        "FromRim": (unit, "mean distance from the rim of the nucleus", from_rim * cells.um_per_px),
    }
