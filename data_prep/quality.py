"""Which objects are not used, and why. They stay in the table with the reason."""

import numpy as np

from cellcycle_jax import schema


def rejections(table, nucleus: str, limits) -> np.ndarray:
    """The reason for each object, "" for those to use; the first that applies of the order below.

    border; mitotic (DNA condensed: far brighter per pixel than the field's typical nucleus); small; large; ragged;
    out_of_focus; saturated. Areas and sharpness are relative to the plate's median nucleus, so that one setting serves
    all magnifications.

    Args:
        table: measurements with Metadata_Plate, Metadata_Field and the working columns _border, _saturated.
        nucleus: name of the nuclear channel.
        limits: the quality section of the config.
    """
    area = _relative(table, schema.NUCLEAR_AREA, schema.PLATE)
    bright = _relative(table, f"Nuclei_Intensity_MeanIntensity_{nucleus}", schema.FIELD)
    focus = _relative(table, f"Nuclei_Texture_EdgeSharpness_{nucleus}", schema.PLATE)
    checks = {
        "border": table["_border"].to_numpy(bool),
        "mitotic": (bright > limits.mitotic_brightness) & (area > 0.3 * limits.min_area),
        "small": area < limits.min_area,
        "large": area > limits.max_area,
        "ragged": table["Nuclei_AreaShape_Solidity"].to_numpy() < limits.min_solidity,
        "out_of_focus": focus < limits.min_focus,
        "saturated": table["_saturated"].to_numpy() > limits.max_saturated,
    }
    return np.select(list(checks.values()), list(checks), default="")


def _relative(table, column, group):
    """A column over its median among the objects of the same group that lie whole in the field."""
    whole = table[column].where(~table["_border"].astype(bool))
    middle = whole.groupby(table[group]).transform("median")
    return (table[column] / middle.where(middle > 0)).fillna(1.0).to_numpy()
