"""Sizes in the config, held against the nuclei that were found: do crops show a cell, and is the pixel size right?

Where no file says how large a pixel is, the median nucleus of some fields stands in for a scale: it is taken to be
`TYPICAL_DIAMETER_UM` across, so that crops show the cell as they do where the pixel size is known.
"""

import dataclasses

import numpy as np
import pandas as pd
from tqdm import tqdm

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused
from cellcycle_jax.schema import Working
from data_prep.measurement.measure import typical_diameter
from data_prep.segmentation.segment import TYPICAL_DIAMETER_UM

SAMPLED = 8  # fields whose nuclei are measured before the others are treated
OLD_PX_PER_UM = 2.0  # what was assumed of fields without a pixel size before their nuclei were measured
AS_THEY_ARE = -1.0  # of config.crop.assumed_um_per_px: crops keep the field's pixels, as they did then
SMALLEST_UM, LARGEST_UM = 4.0, 40.0  # a median nucleus outside this range is no usual one
LARGEST_CROP_PX = 2048
MOST_CUT = 0.01  # share of nuclei that may reach beyond their crop without a word


@dataclasses.dataclass(frozen=True)
class Scale:
    """How the pixels of a field become those of a crop.

    crop_px: crop pixels per field pixel; reach_px: px of the field by which a body reaches beyond its nucleus.
    """

    crop_px: float
    reach_px: float


def scale_of(pixel_um: float | None, crop) -> Scale:
    """The scale of the crops of a field.

    Args:
        pixel_um: um per px of the field, None where unknown.
        crop: the crop section of the config, its assumed_um_per_px resolved; it is still 0 where other fields say how
            large a pixel is, and then such a field is refused with them.
    """
    if pixel_um is None and crop.assumed_um_per_px <= 0:
        return Scale(1.0, crop.body_um * OLD_PX_PER_UM)
    um_per_px = pixel_um or crop.assumed_um_per_px
    scaled = um_per_px / crop.um_per_px if crop.um_per_px > 0 else 1.0
    return Scale(scaled, crop.body_um / um_per_px)


def measured_um_per_px(found, recipe) -> float:
    """Um per px at which the median nucleus of some fields is `TYPICAL_DIAMETER_UM` across.

    `AS_THEY_ARE` where no nucleus is found in them: nothing is known then, and whatever follows says so.
    """
    step = max(1, len(found) // SAMPLED)
    diameters = []
    for file in tqdm(found[::step][:SAMPLED], desc="size of nuclei", unit="field"):
        try:
            field = recipe.read(file)
            labels = recipe.labels(file, field, recipe.corrected(field))
        except InputRefused:
            continue  # is set aside when its turn comes
        if labels.any():
            diameters.append(typical_diameter(labels))
    return TYPICAL_DIAMETER_UM / float(np.median(diameters)) if diameters else AS_THEY_ARE


def notes(table: pd.DataFrame, config) -> list[str]:
    """What does not fit, in plain sentences that name the field to change; [] where all fits.

    Args:
        table: all objects, with the working columns _border and _extent_px, height or width of each in crop pixels.
        config: preparation config.
    """
    whole = table[(table[schema.REJECT] == "") & ~table[Working.TOUCHES_BORDER].astype(bool)]
    if whole.empty:
        return []
    said = []
    area = float(whole[schema.NUCLEAR_AREA].median())
    diameter = 2 * np.sqrt(area / np.pi)
    known = bool(table[Working.PIXEL_SIZE_KNOWN].all())
    if known and not SMALLEST_UM <= diameter <= LARGEST_UM:
        said.append(f"The median nucleus is {diameter:.3g} um across, and nuclei of most cells are {SMALLEST_UM:g} to "
                    f"{LARGEST_UM:g} um: look whether the pixel size is right (config.pixel_um, or the files).")
    size = config.crop.size_px
    cut = float((whole[Working.EXTENT_PX] > size).mean())
    if cut > MOST_CUT:
        wanted = _multiple_of_8(float(whole[Working.EXTENT_PX].quantile(0.99)) * 1.5)
        advice = _advice(wanted, known)
        said.append(f"{cut:.0%} of the nuclei are larger than their crop of {size} px, so the network sees the inside "
                    f"of a nucleus instead of a cell: {advice}.")
    if not known and config.crop.assumed_um_per_px != AS_THEY_ARE:
        assumed = config.crop.assumed_um_per_px
        said.append(f"No file says how large a pixel is: crops are cut as if one were {assumed:.3g} um, at which the "
                    f"median nucleus is {diameter * assumed:.2g} um across. Lengths are in px. Give config.pixel_um if "
                    "you know it.")
    return said


def _advice(size_px, known):
    """What to change so that crops are large enough."""
    where = "the pixel size is right (config.pixel_um, or the files)" if known else "nuclei were found (qc/outlines_*)"
    if size_px > LARGEST_CROP_PX:
        return f"look whether {where}, or set a larger config.crop.um_per_px"
    other = "a larger config.crop.um_per_px" if known else "say how large a pixel is (config.pixel_um)"
    return f"set config.crop.size_px={size_px} or {other}"


def _multiple_of_8(size: float) -> int:
    return int(np.ceil(size / 8) * 8)
