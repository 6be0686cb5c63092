"""What makes intensities of fields comparable: background, spread, and the reference that a field's own cells give.

A field's mean and standard deviation depend on how crowded it is; the G1 peak of its integrated DNA does not.
"""

import numpy as np
import pandas as pd

from cellcycle_jax import schema
from cellcycle_jax.schema import Working
from data_prep.plane.threshold import median

MIN_CELLS_FOR_PEAK = 10  # fewer nuclei give no trustworthy G1 peak
# Where the mean is a smaller share of the root mean square in three of four cells, nothing is stained.
MIN_MEAN = 0.1
# Lowest reference of a field, share of the plate's median positive one: it is divided by.
FLOOR = 0.01


def field_background(image: np.ndarray, bodies: np.ndarray) -> np.ndarray:
    """Median of each channel [H, W, C] outside all cell bodies i32 [H, W], f32 [C].

    Where less than 1 % of the field is outside, the 5th percentile of the field stands in.
    """
    outside = np.flatnonzero(bodies == 0)
    if len(outside) < 0.01 * bodies.size:
        return np.percentile(image, 5, axis=(0, 1)).astype(np.float32)
    planes = np.moveaxis(image, -1, 0)
    medians = [median(plane.ravel()[outside]) for plane in planes]
    return np.array(medians, np.float32)


def g1_peak(integrated: np.ndarray) -> float:
    """The G1 position of a field: where the model of `g1_likelihood` fits best.

    Using G2 and S cells too, it is several times less noisy in a field of thirty nuclei than the mode of a density.

    Args:
        integrated: background-subtracted integrated DNA of whole, well-shaped nuclei, [N].

    Returns:
        The position in the unit of the input, NaN where no value is positive.
    """
    positive = integrated[integrated > 0]
    if len(positive) == 0:
        return float("nan")
    logs = np.log2(positive)
    positions = 2 ** np.linspace(logs.min() - 0.2, logs.max() + 0.2, 1001)
    return float(positions[g1_likelihood(integrated, positions).argmax()])


def g1_likelihood(integrated: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """How well a cell-cycle model of log2 integrated DNA fits, by where it has G1.

    The model is that of flow cytometry (Dean and Jett, J. Cell Biol. 60, 1974) with fixed shares: G1 at the position,
    G2 at twice it, S between, and a few outliers anywhere.

    Args:
        integrated: as of `g1_peak`; what is not positive is left out.
        positions: f64 [P], positive.

    Returns:
        Log likelihoods f64 [P].
    """
    logs = np.log2(integrated[integrated > 0])
    # G1, ten steps through S, and G2.
    through_s = np.log2(np.linspace(1.05, 1.95, 10))
    content = np.concatenate([[0.0], through_s, [1.0]])
    share = np.concatenate([[0.55], np.full(10, 0.025), [0.18]])
    width = 0.15  # sd of log2: staining and segmentation, about 10 %
    distance = (logs[None, :, None] - np.log2(positions)[:, None, None] - content) / width
    of_cycle = (share * np.exp(-0.5 * distance**2)).sum(axis=-1)
    of_cycle /= width * np.sqrt(2 * np.pi)
    density = of_cycle + 0.02 / 4  # outliers: 2 %, spread over four doublings
    return np.log(density).sum(axis=1)


def references(table, channels, nucleus: str, by: str, peak: bool) -> dict[str, dict[str, float]]:
    """Reference intensity per pixel of every channel in every field.

    Nuclear channel: the field's G1 peak of integrated DNA over the plate's median nuclear area in px, so that a G1
    nucleus of typical size is 1. A field with fewer than MIN_CELLS_FOR_PEAK nuclei takes its median nucleus instead of
    its peak. Other channels: the median over the field's cells of the mean above background over the body, which blur
    does not change, times how far root mean square and mean are apart on the plate, so that a sparse bright stain
    (Golgi) and a diffuse one come out alike. In a channel that is darker than its background as often as brighter
    (bright field) the mean says nothing; there it is the median root mean square of a cell.

    Args:
        table: rows of usable cells with the columns of `data_prep.measurement.measure` and an area in px, `_area_px`.
        channels: names of all channels.
        nucleus: the one in which nuclei were found.
        by: 'field': each field has references of its own cells; 'plate': all fields of a plate share those of its
            cells, which fields that hold one class only need, or the difference would be taken out with them.
        peak: whether the nuclear channel shows DNA and has a G1 peak; else its reference is found as that of any other.

    Returns:
        {field_id: {channel: reference}} of the fields that have usable cells.
    """
    unit = schema.FIELD if by == "field" else schema.PLATE
    result = {}
    for _, plate in table.groupby(schema.PLATE, sort=False):
        brightness = {channel: _brightness(plate, channel, unit) for channel in channels}
        reference = pd.DataFrame(brightness, dtype=np.float64)  # a row per field
        if peak:
            integrated = plate.groupby(unit, sort=False)[schema.integrated(nucleus)]
            area = float(plate[Working.AREA_PX].median())
            reference[nucleus] = integrated.apply(_g1_nucleus) / area
        lowest = FLOOR * reference.where(reference > 0).median()
        lowest = lowest.fillna(1e-3)  # of a channel without a positive reference
        reference = reference.where(reference > lowest, lowest, axis=1)
        if by == "field":
            result |= reference.to_dict("index")
        else:
            result |= dict.fromkeys(plate[schema.FIELD], reference.iloc[0].to_dict())
    return result


def _g1_nucleus(integrated) -> float:
    """Integrated DNA of a G1 nucleus, from that of the nuclei of one field."""
    values = integrated.to_numpy()
    if len(values) >= MIN_CELLS_FOR_PEAK:
        return g1_peak(values)
    return float(np.median(values))


def _brightness(plate, channel, unit):
    """Typical brightness of a channel in the cells of each `unit` of a plate, a column of its table: Series."""
    mean = plate[f"Cells_Intensity_MeanIntensity_{channel}"]
    spread = plate[f"Cells_Intensity_StdIntensity_{channel}"]
    units = plate[unit]
    root_mean_square = np.hypot(mean, spread)
    is_stained = (mean > MIN_MEAN * root_mean_square).mean() >= 0.25
    if not is_stained:  # but bright field
        return root_mean_square.groupby(units, sort=False).median()
    # 1 for a stain spread evenly.
    sparseness = float((root_mean_square / mean.where(mean > 0)).median())
    return mean.groupby(units, sort=False).median() * sparseness
