"""What makes intensities of fields comparable: background, spread, and the reference that a field's own cells give.

A field's mean and standard deviation depend on how crowded it is; the G1 peak of its integrated DNA does not.
"""

import numpy as np

from cellcycle_jax import schema
from cellcycle_jax.schema import Working

MIN_CELLS_FOR_PEAK = 10  # fewer nuclei give no trustworthy G1 peak
MIN_MEAN = 0.1  # where the mean is a smaller share of the root mean square in three of four cells, nothing is stained
FLOOR = 0.01  # lowest reference of a field, share of the plate's median positive one: it is divided by


def field_background(image: np.ndarray, bodies: np.ndarray) -> np.ndarray:
    """Median of each channel [H, W, C] outside all cell bodies i32 [H, W], f32 [C].

    Where less than 1 % of the field is outside, the 5th percentile of the field stands in.
    """
    far = np.flatnonzero(bodies == 0)
    if len(far) < 0.01 * bodies.size:
        return np.percentile(image, 5, axis=(0, 1)).astype(np.float32)
    return np.array([np.median(plane.ravel()[far]) for plane in np.moveaxis(image, -1, 0)], np.float32)


def g1_peak(integrated: np.ndarray) -> float:
    """The G1 position of a field: where a cell-cycle model of log2 integrated DNA fits best.

    The model is that of flow cytometry (Dean and Jett, J. Cell Biol. 60, 1974) with fixed shares: G1 at the position,
    G2 at twice it, S between, and a few outliers anywhere. Using G2 and S cells too, it is several times less noisy in
    a field of thirty nuclei than the mode of a density.

    Args:
        integrated: background-subtracted integrated DNA of whole, well-shaped nuclei, [N].

    Returns:
        The position in the unit of the input, NaN where no value is positive.
    """
    logs = np.log2(integrated[integrated > 0])
    if len(logs) == 0:
        return float("nan")
    places = np.linspace(logs.min() - 0.2, logs.max() + 0.2, 1001)
    content = np.concatenate([[0.0], np.log2(np.linspace(1.05, 1.95, 10)), [1.0]])  # of G1, ten steps through S, G2
    share = np.concatenate([[0.55], np.full(10, 0.025), [0.18]])
    width = 0.15  # sd of log2: staining and segmentation, about 10 %
    distance = (logs[None, :, None] - places[:, None, None] - content) / width
    density = (share * np.exp(-0.5 * distance**2)).sum(axis=-1) / (width * np.sqrt(2 * np.pi)) + 0.02 / 4
    return float(2 ** places[np.log(density).sum(axis=1).argmax()])


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
    result = {}
    for _, plate in table.groupby(schema.PLATE, sort=False):
        area = float(plate[Working.AREA_PX].median())
        sparse = {c: _sparseness(plate, c) for c in channels}
        found = {}
        for field, cells in plate.groupby(schema.FIELD if by == "field" else schema.PLATE, sort=False):
            found[field] = {c: _brightness(cells, c, sparse[c]) for c in channels}
            if peak:
                integrated = cells[schema.integrated(nucleus)].to_numpy()
                centre = g1_peak(integrated) if len(cells) >= MIN_CELLS_FOR_PEAK else float(np.median(integrated))
                found[field][nucleus] = centre / area
        lowest = {c: _lowest([r[c] for r in found.values()]) for c in channels}
        found = {f: {c: v if v > lowest[c] else lowest[c] for c, v in r.items()} for f, r in found.items()}
        result |= found if by == "field" else dict.fromkeys(plate[schema.FIELD], next(iter(found.values())))
    return result


def _lowest(references):
    """The least reference that a field of a plate may have, given those of all its fields."""
    positive = [r for r in references if r > 0]
    return FLOOR * float(np.median(positive)) if positive else 1e-3


def _brightness(cells, channel, sparse):
    """Typical brightness of a channel in `cells`, for a plate of that sparseness (NaN: no stain but bright field)."""
    mean, spread = (cells[f"Cells_Intensity_{kind}Intensity_{channel}"] for kind in ("Mean", "Std"))
    return float(np.hypot(mean, spread).median() if np.isnan(sparse) else mean.median() * sparse)


def _sparseness(cells, channel):
    """Root mean square over mean of a channel, median over the cells: 1 for a stain spread evenly, NaN for no stain."""
    mean, spread = (cells[f"Cells_Intensity_{kind}Intensity_{channel}"] for kind in ("Mean", "Std"))
    size = np.hypot(mean, spread)
    if (mean > MIN_MEAN * size).mean() < 0.25:
        return float("nan")
    return float((size / mean.where(mean > 0)).median())
