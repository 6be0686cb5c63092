"""Measurements of crops whose nucleus and objects are found again in the pixels, edited or not.

An edit knows what it changed. Here nothing of that is used: the nucleus is segmented anew in the nuclear channel and
the objects of each other channel by Otsu's threshold, in edited and in real cells alike. Only the body of the cell,
which no edit moves, stays. Columns are named as in the table of cells, and are amounts, not concentrations: a larger
nucleus with the same DNA is not a dimmer one.
"""

import numpy as np
import pandas as pd
from scipy import ndimage
from skimage import filters, measure

from cellcycle_jax import schema
from cellcycle_jax.schema import Compartment

SMOOTH_PX = 1.0  # before a threshold
LEAST_OBJECT_PX = 3


def table(images, compartments, channels, nucleus: str) -> pd.DataFrame:
    """Measurements f64 [N, F] in px and in units of the network's images; NaN where a cell lacks what is measured.

    Args:
        images: f32 [N, S, S, K], background at 0.
        compartments: u8 [N, S, S]; of the nucleus only its place is used where the nuclear channel is seen.
        channels: names of the K channels.
        nucleus: name of the nuclear channel.
    """
    rows = []
    for image, bits in zip(images, compartments, strict=True):
        rows.append(_of_cell(image, bits, list(channels), nucleus))
    return pd.DataFrame(rows)


def _of_cell(image, bits, channels, nucleus_channel) -> dict[str, float]:
    body = (bits & int(Compartment.BODY) > 0) & (bits & int(Compartment.OTHER_NUCLEI) == 0)
    nucleus = bits & int(Compartment.NUCLEUS) > 0
    if not body.any():
        body = bits & int(Compartment.OTHER_NUCLEI) == 0
    if nucleus_channel in channels:
        nucleus = segmented_nucleus(image[..., channels.index(nucleus_channel)], body, nucleus)
    measured = _shape(nucleus)
    for number, channel in enumerate(channels):
        plane = np.maximum(image[..., number], 0).astype(np.float64)
        measured[f"Nuclei_Intensity_IntegratedIntensity_{channel}"] = float(plane[nucleus].sum())
        measured[f"Cells_Intensity_IntegratedIntensity_{channel}"] = float(plane[body].sum())
        if nucleus.any() and plane[nucleus].mean() > 0:
            grain = plane[nucleus].std() / plane[nucleus].mean()
            measured[f"Nuclei_Texture_Variation_{channel}"] = float(grain)
        if channel != nucleus_channel:
            measured |= _objects(plane, body & ~nucleus, nucleus, channel)
    return measured


def segmented_nucleus(plane, body, before) -> np.ndarray:
    """The nucleus bool [S, S] by Otsu's threshold in the nuclear channel.

    Args:
        plane: f [S, S], the nuclear channel.
        body: bool [S, S], where it may be.
        before: bool [S, S], a mask of it: the part that overlaps most with it is taken, or it where there is none.
    """
    smooth = ndimage.gaussian_filter(plane.astype(np.float64), SMOOTH_PX)
    if smooth[body].max(initial=0.0) <= smooth[body].min(initial=0.0):
        return before
    bright = ndimage.binary_fill_holes((smooth > filters.threshold_otsu(smooth[body])) & body)
    number, n = ndimage.label(bright)
    if not n:
        return before
    overlap = np.bincount(number[before], minlength=n + 1)
    overlap[0] = 0
    return number == overlap.argmax() if overlap.any() else before


def _shape(nucleus) -> dict[str, float]:
    if not nucleus.any():
        return {}
    region = measure.regionprops(nucleus.astype(np.uint8))[0]
    return {
        schema.NUCLEAR_AREA: float(region.area),
        "Nuclei_AreaShape_Eccentricity": float(region.eccentricity),
        "Nuclei_AreaShape_Solidity": float(region.solidity),
    }


def _objects(plane, cytoplasm, nucleus, channel: str) -> dict[str, float]:
    """Objects of a stain in the cytoplasm: their area, number, brightness, and where they lie."""
    inside = plane[cytoplasm]
    if inside.size < 2 or inside.max() <= inside.min():
        return {}
    mask = (plane > filters.threshold_otsu(inside)) & cytoplasm
    number, n = ndimage.label(mask, np.ones((3, 3)))
    sizes = np.bincount(number.ravel(), minlength=n + 1)
    large = np.flatnonzero(sizes[1:] >= LEAST_OBJECT_PX) + 1
    mask = np.isin(number, large)
    measured = {
        f"Cells_AreaShape_ObjectArea_{channel}": float(mask.sum()),
        f"Cells_Number_Objects_{channel}": float(len(large)),
        f"Cells_Intensity_ObjectIntensity_{channel}": float(plane[mask].sum()),
    }
    weight = np.where(mask, plane, 0)
    if weight.sum() > 0:
        points = np.argwhere(mask)
        of_points = weight[mask] / weight.sum()
        centre = of_points @ points
        from_centre = ((points - centre) ** 2).sum(1)
        measured[f"Cells_Distance_Spread_{channel}"] = float(np.sqrt(of_points @ from_centre))
        if nucleus.any():
            from_nucleus = np.hypot(*(centre - np.argwhere(nucleus).mean(0)))
            measured[f"Cells_Distance_FromNucleus_{channel}"] = float(from_nucleus)
    return measured
