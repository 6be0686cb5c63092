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
# What was assumed of fields without a pixel size before their nuclei were measured.
OLD_PX_PER_UM = 2.0
# Value of config.crop.assumed_um_per_px with which crops keep the field's pixels, as they did then.
AS_THEY_ARE = -1.0
SMALLEST_UM = 4.0  # a median nucleus below this is no usual one
LARGEST_UM = 40.0  # nor above this
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
        return Scale(1.0, crop.cell_margin_um * OLD_PX_PER_UM)
    um_per_px = pixel_um or crop.assumed_um_per_px
    crop_px = um_per_px / crop.um_per_px if crop.um_per_px > 0 else 1.0
    return Scale(crop_px, crop.cell_margin_um / um_per_px)


def measured_um_per_px(field_files, preprocessing) -> float:
    """Um per px at which the median nucleus of some fields is `TYPICAL_DIAMETER_UM` across.

    `AS_THEY_ARE` where no nucleus is found in them: nothing is known then, and whatever follows says so.

    Args:
        field_files: list of `FieldFile`.
        preprocessing: how fields are read and segmented.
    """
    step = max(1, len(field_files) // SAMPLED)
    sample = field_files[::step][:SAMPLED]
    diameters = []
    for file in tqdm(sample, desc="size of nuclei", unit="field"):
        try:
            field = preprocessing.read(file)
            labels = preprocessing.labels(file, field, preprocessing.corrected(field))
        except InputRefused:
            continue  # is excluded when its turn comes
        if labels.any():
            diameters.append(typical_diameter(labels))
    if not diameters:
        return AS_THEY_ARE
    return TYPICAL_DIAMETER_UM / float(np.median(diameters))


def notes(table: pd.DataFrame, config) -> list[str]:
    """What does not fit, in plain sentences that name the field to change; [] where all fits.

    Args:
        table: all objects, with the working columns _border and _extent_px, height or width of each in crop pixels.
        config: preparation config.
    """
    is_whole = ~table[Working.TOUCHES_BORDER].astype(bool)
    nuclei = table[is_whole & (table[schema.REJECT_REASON] == "")]
    if nuclei.empty:
        return []
    sentences = []
    area = float(nuclei[schema.NUCLEAR_AREA].median())
    diameter = 2 * np.sqrt(area / np.pi)
    is_size_known = bool(table[Working.PIXEL_SIZE_KNOWN].all())
    if is_size_known and not SMALLEST_UM <= diameter <= LARGEST_UM:
        sentences.append(
            f"The median nucleus is {diameter:.3g} um across, and nuclei of most cells are "
            f"{SMALLEST_UM:g} to {LARGEST_UM:g} um: "
            "look whether the pixel size is right (config.pixel_um, or the files)."
        )
    size_px = config.crop.size_px
    extent_px = nuclei[Working.EXTENT_PX]
    cut = float((extent_px > size_px).mean())
    if cut > MOST_CUT:
        needed_px = _multiple_of_8(float(extent_px.quantile(0.99)) * 1.5)
        sentences.append(
            f"{cut:.0%} of the nuclei are larger than their crop of {size_px} px, so the network sees "
            f"the inside of a nucleus instead of a cell: {_advice(needed_px, is_size_known)}."
        )
    assumed = config.crop.assumed_um_per_px
    if not is_size_known and assumed != AS_THEY_ARE:
        sentences.append(
            f"No file says how large a pixel is: crops are cut as if one were {assumed:.3g} um, "
            f"at which the median nucleus is {diameter * assumed:.2g} um across. "
            "Lengths are in px. Give config.pixel_um if you know it."
        )
    return sentences


def _advice(needed_px, is_size_known):
    """What to change so that crops are large enough."""
    if is_size_known:
        doubt = "the pixel size is right (config.pixel_um, or the files)"
        other = "a larger config.crop.um_per_px"
    else:
        doubt = "nuclei were found (qc/outlines_*)"
        other = "say how large a pixel is (config.pixel_um)"
    if needed_px > LARGEST_CROP_PX:
        return f"look whether {doubt}, or set a larger config.crop.um_per_px"
    return f"set config.crop.size_px={needed_px} or {other}"


def _multiple_of_8(size: float) -> int:
    return int(np.ceil(size / 8) * 8)
