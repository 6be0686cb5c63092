"""Which objects are not used, and why. They stay in the table with the reason."""

import numpy as np

from cellcycle_jax import schema
from cellcycle_jax.schema import Working

FULL_SCALES = (255, 1023, 4095, 16383, 65535)  # of cameras and files of 8 to 16 bits
MIN_CLIPPED_PX = 20  # so many pixels are not by chance all at the same highest value


def saturated(image: np.ndarray) -> np.ndarray:
    """Pixels at a camera's limit in any channel, bool [H, W].

    A channel is clipped where at least MIN_CLIPPED_PX pixels share its highest value, more than twice as many as have
    the next lower one, and that value is in the uppermost quarter of a camera's range (offsets and gains keep some
    cameras from reaching the end of theirs).

    Args:
        image: [H, W, C], as read.
    """
    full = np.zeros(image.shape[:2], bool)
    for channel in np.moveaxis(image, -1, 0):
        highest = channel.max()
        is_near_limit = any(0.75 * scale <= highest <= scale for scale in FULL_SCALES)
        if not is_near_limit:
            continue
        is_highest = channel == highest
        next_lower = channel[channel < highest].max(initial=0)
        least = max(MIN_CLIPPED_PX, 2 * (channel == next_lower).sum() + 1)
        if is_highest.sum() >= least:
            full |= is_highest
    return full


def rejections(table, nucleus: str, limits) -> np.ndarray:
    """The reason for each object, "" for those to use; the first that applies of the order below.

    unlisted (the source says that it is none to use); border; mitotic (DNA condensed: far brighter per pixel than the
    field's typical nucleus); small; large; ragged; out_of_focus; saturated. Areas and sharpness are relative to the
    plate's median nucleus, so that one setting serves all magnifications.

    Args:
        table: measurements with Metadata_Plate, Metadata_Field and the working columns _listed, _border, _saturated.
        nucleus: name of the nuclear channel.
        limits: the quality section of the config.

    Returns:
        text [n].
    """
    area = _relative(table, schema.NUCLEAR_AREA, schema.PLATE)
    bright = _relative(table, f"Nuclei_Intensity_MeanIntensity_{nucleus}", schema.FIELD)
    focus = _relative(table, f"Nuclei_Texture_EdgeSharpness_{nucleus}", schema.PLATE)
    checks = {
        "unlisted": ~table[Working.IS_LISTED].to_numpy(bool),
        "border": table[Working.TOUCHES_BORDER].to_numpy(bool),
        "mitotic": (bright > limits.mitotic_brightness) & (area > 0.3 * limits.min_area),
        "small": area < limits.min_area,
        "large": area > limits.max_area,
        "ragged": table["Nuclei_AreaShape_Solidity"].to_numpy() < limits.min_solidity,
        "out_of_focus": focus < limits.min_focus,
        "saturated": table[Working.SATURATED].to_numpy() > limits.max_saturated,
    }
    return np.select(list(checks.values()), list(checks), default="")


def _relative(table, column, group):
    """A column over its typical value in the group: the median over fields of each field's median of whole objects.

    So a field of specks does not outvote the other fields of its plate.
    """
    whole = table[~table[Working.TOUCHES_BORDER].astype(bool)]
    field = list(dict.fromkeys([group, schema.FIELD]))  # names of fields may repeat from plate to plate
    of_field = whole.groupby(field)[column].median()
    of_group = of_field.groupby(level=0).median()
    typical = table[group].map(of_group)
    relative = table[column] / typical.where(typical > 0)
    return relative.fillna(1.0).to_numpy()
