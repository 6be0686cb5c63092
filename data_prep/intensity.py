"""What makes intensities of fields comparable: background, spread, and the reference that a field's own cells give.

A field's mean and standard deviation depend on how crowded it is; the G1 peak of its integrated DNA does not.
"""

import numpy as np
from scipy import ndimage, stats

from cellcycle_jax import schema

MIN_CELLS_FOR_PEAK = 20  # fewer nuclei give no trustworthy G1 peak


def field_background(image: np.ndarray, labels: np.ndarray, margin_px: float) -> np.ndarray:
    """Median of each channel farther than `margin_px` from any nucleus, f32 [C].

    Where less than 1 % of the field is that far away, the 5th percentile of the field stands in.
    """
    far = ndimage.distance_transform_edt(labels == 0) > margin_px if labels.any() else np.ones(labels.shape, bool)
    if far.mean() < 0.01:
        return np.percentile(image, 5, axis=(0, 1)).astype(np.float32)
    return np.median(image[far], axis=0).astype(np.float32)


def g1_peak(integrated: np.ndarray) -> float:
    """The G1 position of a field: first large peak of a kernel density of log2 integrated DNA.

    "Large" is at least 40 % of the highest peak, so that debris below G1 and a big G2 population above it do not count.

    Args:
        integrated: background-subtracted integrated DNA of whole, well-shaped nuclei, positive, [N].

    Returns:
        The position in the unit of the input, NaN for fewer than 3 values.
    """
    logs = np.log2(integrated[integrated > 0])
    if len(logs) < 3 or np.ptp(logs) < 1e-6:
        return float(2 ** np.median(logs)) if len(logs) else float("nan")
    grid = np.linspace(logs.min() - 0.5, logs.max() + 0.5, 512)
    density = stats.gaussian_kde(logs, bw_method=0.13 / logs.std())(grid)
    inner = (density[1:-1] >= density[:-2]) & (density[1:-1] > density[2:])
    peaks = np.flatnonzero(inner) + 1
    large = peaks[density[peaks] >= 0.4 * density.max()]
    return float(2 ** grid[large[0]])


def references(table, channels, nucleus: str) -> dict[str, dict[str, float]]:
    """Reference intensity per pixel of every channel in every field.

    Nuclear channel: the field's G1 peak of integrated DNA over the plate's median nuclear area in px, so that a G1
    nucleus of typical size is 1. A field with fewer than MIN_CELLS_FOR_PEAK nuclei takes its median nucleus instead of
    its peak. Other channels: the median over cells of the mean above background over the cell's body.

    Args:
        table: rows of usable cells with the columns of `data_prep.measure` and an area in px, `_area_px`.

    Returns:
        {field_id: {channel: reference}}; a field without usable cells takes the median over its plate.
    """
    result = {}
    for _, plate in table.groupby(schema.PLATE, sort=False):
        area = float(plate["_area_px"].median())
        for field, cells in plate.groupby(schema.FIELD, sort=False):
            integrated = cells[schema.integrated(nucleus)].to_numpy()
            centre = g1_peak(integrated) if len(cells) >= MIN_CELLS_FOR_PEAK else float(np.median(integrated))
            result[field] = {c: float(cells[f"Cells_Intensity_MeanIntensity_{c}"].median()) for c in channels}
            result[field][nucleus] = centre / area
    return {f: {c: max(v, 1e-3) for c, v in r.items()} for f, r in result.items()}
