"""Measurements of place and grain: rings, distances, brightness values, and detail by size."""

import numpy as np

from cellcycle_jax.bank.cells import REGIONS, Cells, region_mean, smooth
from cellcycle_jax.bank.measurement import Measurement, column

RINGS = 4  # of the nucleus, from its middle to its rim
REACHES_UM = (1.5, 3.0, 4.5, 6.0)  # ends of the rings around the nucleus
SIZES_PX = (0.6, 0.9, 1.3, 1.9, 2.8, 4.0, 5.6)  # sd of the Gaussians between whose neighbours detail is measured


def rings(cells: Cells) -> list[Measurement]:
    """Mean of a stain in rings inside and around the nucleus, over its mean in the region."""
    deepest = cells.inner_depth.max((1, 2))
    share = cells.inner_depth / np.where(deepest > 0, deepest, 1)[:, None, None]
    masks = []
    for number in range(RINGS):
        inner = cells.region("nucleus") & (share > number / RINGS) & (share <= (number + 1) / RINGS)
        masks.append(("nucleus", f"Ring{number + 1}of{RINGS}", f"ring {number + 1} of {RINGS} from the rim", inner))
    distance_um = cells.outer_distance * cells.um_per_px
    start = 0.0
    for end in REACHES_UM:
        outer = cells.region("cytoplasm") & (distance_um > start) & (distance_um <= end)
        words = f"{start:g} to {end:g} {cells.length_unit} from the nucleus"
        masks.append(("cytoplasm", f"To{end:g}um", words, outer))
        start = end
    measured = []
    for channel in cells.channels:
        for region, what, words, mask in masks:
            whole = region_mean(cells.plane(channel), cells.region(region))
            measured.append(Measurement(
                name=column(region, "Radial", what, channel),
                words=f"{channel}: {words}, over the {region}",
                family="radial profile",
                channels=(channel,),
                region=region,
                unit="",
                formula=f"mean of {channel} in {words} / mean in the {region}",
                values=region_mean(cells.plane(channel), mask) / np.where(whole > 0, whole, np.nan),
            ))
    return measured


def distances(cells: Cells) -> list[Measurement]:
    """How far from things a stain lies, weighted by its brightness."""
    rows, columns = cells.offsets
    measured = []
    unit = cells.length_unit
    for channel in cells.channels:
        bright = cells.bright(channel)
        total = bright.sum((1, 2))
        total = np.where(total > 0, total, np.nan)
        centre = cells.centres_beside[channel]
        spread = np.hypot(rows - centre[:, 0, None, None], columns - centre[:, 1, None, None])
        values = {
            "FromNucleus": (cells.outer_distance, (channel,), "from the nucleus"),
            "FromItsMiddle": (spread, (channel,), f"from the middle of {channel}"),
        }
        for other in cells.channels:
            if other != channel:
                place = cells.centres_beside[other]
                away = np.hypot(rows - place[:, 0, None, None], columns - place[:, 1, None, None])
                values[f"From{other}"] = (away, (channel, other), f"from the middle of {other}")
        for what, (distance, seen_in, words) in values.items():
            measured.append(Measurement(
                name=column("cytoplasm", "Distance", what, channel),
                words=f"bright {channel}: distance {words}",
                family="distance of a stain",
                channels=seen_in,
                region="cytoplasm",
                unit=unit,
                formula=f"mean distance {words}, weighted by what of {channel} exceeds its 80 % quantile in the "
                "cytoplasm",
                values=(bright * distance).sum((1, 2)) / total * cells.um_per_px,
            ))
    return measured


def brightness(cells: Cells) -> list[Measurement]:
    """How the brightness values of a stain in a region are distributed."""
    measured = []
    for channel in cells.channels:
        for region in REGIONS:
            mask = cells.region(region)
            plane = cells.plane(channel)
            mean = region_mean(plane, mask)
            beyond = plane - mean[:, None, None]
            square = beyond * beyond
            variance = region_mean(square, mask)
            spread = np.sqrt(np.where(variance > 0, variance, np.nan))
            values = {
                "Variation": (spread / np.where(mean > 0, mean, np.nan), "sd / mean"),
                "Skewness": (region_mean(square * beyond, mask) / spread**3, "mean of (value - mean)^3 / sd^3"),
                "Kurtosis": (region_mean(square * square, mask) / spread**4, "mean of (value - mean)^4 / sd^4"),
            }
            for what, (value, formula) in values.items():
                measured.append(Measurement(
                    name=column(region, "Values", what, channel),
                    words=f"{channel} in the {region}: {what.lower()}",
                    family="distribution of brightness",
                    channels=(channel,),
                    region=region,
                    unit="",
                    formula=f"{formula} of {channel} in the {region}",
                    values=value,
                ))
    return measured


def detail(cells: Cells) -> list[Measurement]:
    """How much detail of each size a stain has: the energy between two Gaussians, over that of all sizes."""
    measured = []
    for channel in cells.channels:
        planes = [smooth(cells.plane(channel), size) for size in SIZES_PX]
        bands = [fine - coarse for fine, coarse in zip(planes, planes[1:], strict=False)]
        for region in REGIONS:
            mask = cells.region(region)
            energies = np.stack([region_mean(band * band, mask) for band in bands])
            total = energies.sum(0)
            for size, energy in zip(SIZES_PX, energies, strict=False):
                size_text = f"{size * cells.um_per_px:.2g} {cells.length_unit}"
                measured.append(Measurement(
                    name=column(region, "Detail", f"{size:g}px", channel),
                    words=f"{channel} in the {region}: detail of {size_text}",
                    family="grain",
                    channels=(channel,),
                    region=region,
                    unit="",
                    formula=f"log of the energy of {channel} between Gaussians of {size_text} and 1.4 times that, over "
                    "that of all sizes",
                    values=np.log(np.maximum(energy, 1e-12) / np.maximum(total, 1e-12)),
                ))
    return measured
