"""Measurements of direction: which side is brighter, along which line a stain lies, which way its pattern runs."""

import numpy as np

from cellcycle_jax.bank.cells import REGIONS, Cells, region_mean, smooth, weighted_centre
from cellcycle_jax.bank.measurement import Measurement, column

DETAIL_PX = (0.8, 1.6)  # sd of the Gaussians in whose gradient a pattern's direction is seen
INSIDE_PX = 2.0  # depth in a region from which its own outline does not count as a pattern


def sides(cells: Cells) -> list[Measurement]:
    """How far the middle of a stain lies towards something, from the middle of its region."""
    measured = []
    for region in REGIONS:
        middle = weighted_centre(cells.region(region).astype(float), cells.offsets)
        for channel in cells.channels:
            centre = weighted_centre(cells.signal(channel, region), cells.offsets)
            shift = (centre - middle) / cells.radius_px[:, None]
            for towards, vector in cells.directions.items():
                if towards == channel:
                    continue
                seen_in = (channel, towards) if towards in cells.channels else (channel,)
                measured.append(Measurement(
                    name=column(region, "Side", f"Towards{_compact(towards)}", channel),
                    words=f"{channel} in the {region}: shift towards the {towards}",
                    family="side of a stain",
                    channels=seen_in,
                    region=region,
                    unit="nuclear radii",
                    formula=f"(centre of {channel} - centre of the {region}) . direction to the {towards}",
                    values=(shift * vector).sum(1),
                ))
            measured.append(Measurement(
                name=column(region, "Side", "AlongAxis", channel),
                words=f"{channel} in the {region}: shift along the nucleus' long axis",
                family="side of a stain",
                channels=(channel,),
                region=region,
                unit="nuclear radii",
                formula=f"|(centre of {channel} - centre of the {region}) . long axis of the nucleus|",
                values=np.abs((shift * cells.axis).sum(1)),
            ))
            measured.append(Measurement(
                name=column(region, "Side", "Any", channel),
                words=f"{channel} in the {region}: shift to any side",
                family="side of a stain",
                channels=(channel,),
                region=region,
                unit="nuclear radii",
                formula=f"|centre of {channel} - centre of the {region}|",
                values=np.hypot(*shift.T),
            ))
    return measured


def lines(cells: Cells) -> list[Measurement]:
    """Whether a stain lies along a line through the nucleus or across it: mean of cos 2(angle - angle of the line)."""
    rows, columns = cells.offsets
    square = np.maximum(rows**2 + columns**2, 1e-9)
    cosine = (columns**2 - rows**2) / square
    sine = 2 * rows * columns / square
    measured = []
    for region in REGIONS:
        mask = cells.region(region)
        of_region = np.stack([region_mean(cosine, mask), region_mean(sine, mask)], axis=1)
        for channel in cells.channels:
            signal = cells.signal(channel, region)
            total = signal.sum((1, 2))
            total = np.where(total > 0, total, np.nan)
            of_stain = np.stack([(signal * cosine).sum((1, 2)), (signal * sine).sum((1, 2))], axis=1) / total[:, None]
            excess = of_stain - of_region
            for line, seen_in, double in _lines(cells, channel):
                measured.append(Measurement(
                    name=column(region, "Line", f"Along{_compact(line)}", channel),
                    words=f"{channel} in the {region}: along the line to the {line}",
                    family="line of a stain",
                    channels=seen_in,
                    region=region,
                    unit="",
                    formula=f"mean of cos 2(angle - angle of the {line}), weighted by {channel}, less that of the "
                    f"{region}",
                    values=(excess * double).sum(1),
                ))
    return measured


def patterns(cells: Cells) -> list[Measurement]:
    """Which way a stain's fine pattern runs: mean of cos 2(direction of the gradient - a direction)."""
    rows, columns = cells.offsets
    square = np.maximum(rows**2 + columns**2, 1e-9)
    radial = np.stack([(columns**2 - rows**2) / square, 2 * rows * columns / square], axis=-1)
    measured = []
    for sigma_px in DETAIL_PX:
        for channel in cells.channels:
            plane = smooth(cells.plane(channel), sigma_px)
            down, right = np.gradient(plane, axis=(1, 2))
            double = np.stack([right**2 - down**2, 2 * down * right], axis=-1)
            energy = right**2 + down**2
            for region in REGIONS:
                mask = _inside(cells, region)
                total = (energy * mask).sum((1, 2))
                total = np.where(total > 0, total, np.nan)
                mean = (double * mask[..., None]).sum((1, 2)) / total[:, None]
                size = f"{sigma_px * cells.um_per_px:.1f} {cells.length_unit}"
                what = f"{sigma_px:g}px"
                outward = ((double * radial).sum(-1) * mask).sum((1, 2)) / total
                measured.append(_pattern(cells, region, channel, f"Outward{what}", "outward, not around the nucleus",
                                         size, (channel,), -outward))
                for line, seen_in, twice in _lines(cells, channel):
                    measured.append(_pattern(cells, region, channel, f"Along{_compact(line)}{what}",
                                             f"along the line to the {line}", size, seen_in, -(mean * twice).sum(1)))
                measured.append(_pattern(cells, region, channel, f"AnyWay{what}", "in one direction, any", size,
                                         (channel,), np.hypot(*mean.T)))
    return measured


def _pattern(cells, region, channel, what, words, size, seen_in, values):
    return Measurement(
        name=column(region, "Pattern", what, channel),
        words=f"{channel} in the {region}: pattern of {size} runs {words}",
        family="direction of a pattern",
        channels=seen_in,
        region=region,
        unit="",
        formula=f"-mean of cos 2(angle of the gradient - angle of the line), weighted by the squared gradient of "
        f"{channel} after a Gaussian of {size}",
        values=values,
    )


def _inside(cells: Cells, region: str):
    """Pixels of a region that lie so deep that its outline is not seen, bool [N, S, S]."""
    if region == "nucleus":
        return cells.region(region) & (cells.inner_depth > INSIDE_PX)
    return cells.region(region) & (cells.outer_distance > INSIDE_PX)


def _lines(cells: Cells, channel: str):
    """Lines through the nucleus: name, channels in which they are seen, and (cos, sin) of the doubled angle [N, 2]."""
    yield "long axis", (channel,), _doubled(cells.axis)
    for name, vector in cells.directions.items():
        if name != channel:
            seen_in = (channel, name) if name in cells.channels else (channel,)
            yield name, seen_in, _doubled(vector)


def _doubled(vector):
    rows, columns = vector.T
    return np.stack([columns**2 - rows**2, 2 * rows * columns], axis=1)


def _compact(name: str) -> str:
    return "".join(word[0].upper() + word[1:] for word in name.split())
