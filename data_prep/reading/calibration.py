"""How large a pixel is, from the metadata of each kind of file."""

import dataclasses
import math

from cellcycle_jax.errors import InputRefused
from data_prep.reading.lengths import um_per

ALLOWED_UM = (0.01, 100.0)  # um per px; no light microscope gives less, and beyond it a nucleus is no pixel
SAME_SIZE = 0.01  # sizes of a pixel that differ by a smaller share are the same
LARGEST_UM = 20.0  # a larger pixel that ImageJ gives in inches or cm is a printer's: 1200 dpi are 21 um
PRINTERS = (um_per("inch"), um_per("cm"))
X_RESOLUTION = 282  # TIFF tag
Y_RESOLUTION = 283  # TIFF tag


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What a file says of the size of its pixels.

    pixel_um: um per px, None where it is unknown.
    remark: what the file says instead, where that is no length that is known here; "" where it says nothing.
    """

    pixel_um: float | None = None
    remark: str = ""


def differ(one: float, two: float) -> bool:
    """Whether two sizes of a pixel are not the same."""
    return abs(one / two - 1) > SAME_SIZE


def square(width, height, path) -> Calibration:
    """The size of a pixel that a file gives as two lengths.

    Args:
        width, height: (number or text, unit) of a pixel; the number is None or 0 where the file gives none.
        path: for the error.

    Raises:
        InputRefused: pixels that are not square.
    """
    width_um = _in_um(*width)
    height_um = _in_um(*height)
    if width_um and height_um and differ(width_um, height_um):
        raise InputRefused(
            f"{path}: a pixel is {width_um:g} um wide and {height_um:g} um high; allowed: square pixels; "
            "resample the field"
        )
    size = width_um or height_um
    if size:
        if is_usual(size):
            return Calibration(size)
        return Calibration(remark=f"a pixel is {size:g} um wide, which no light microscope gives")
    for number, unit in (width, height):
        if number is not None and _number(number) != 0:
            return Calibration(remark=f"a pixel is {_words(number)} {unit!r} wide")
    return Calibration()


def is_usual(um_per_px: float) -> bool:
    """Whether a pixel in a light microscope can be as large as this."""
    return ALLOWED_UM[0] <= um_per_px <= ALLOWED_UM[1]


def of_tiff(tiff, path) -> Calibration:
    """The size of a pixel by ImageJ's, Zeiss LSM's or MetaMorph's metadata in a TIFF.

    Dots per inch or cm without any of these are for printers and say nothing of the size of a pixel.

    Args:
        tiff: an open `tifffile.TiffFile`.
        path: for the error.

    Raises:
        InputRefused: pixels that are not square.
    """
    if tiff.is_imagej:
        return _of_imagej(tiff, path)
    if tiff.is_lsm:
        metadata = tiff.lsm_metadata or {}
        width = (metadata.get("VoxelSizeX"), "m")
        height = (metadata.get("VoxelSizeY"), "m")
        return square(width, height, path)
    if tiff.is_stk:
        metadata = tiff.stk_metadata
        unit = str(metadata.get("CalibrationUnits", ""))
        if not metadata.get("SpatialCalibration", True):
            return Calibration()
        width = (metadata.get("XCalibration"), unit)
        height = (metadata.get("YCalibration"), unit)
        return square(width, height, path)
    if tiff.is_metaseries:
        metadata = tiff.metaseries_metadata.get("PlaneInfo", {})
        unit = str(metadata.get("spatial-calibration-units", ""))
        if metadata.get("spatial-calibration-state") is not True:
            return Calibration()
        width = (metadata.get("spatial-calibration-x"), unit)
        height = (metadata.get("spatial-calibration-y"), unit)
        return square(width, height, path)
    return Calibration()


def _of_imagej(tiff, path):
    """By the unit in the description, and pixels per unit in the resolution tags."""
    metadata = tiff.imagej_metadata or {}
    page = tiff.pages.first
    unit = str(metadata.get("unit", ""))
    if not unit or X_RESOLUTION not in page.tags or min(page.resolution) <= 0:
        return Calibration()
    per_x, per_y = page.resolution
    if um_per(unit) in PRINTERS and um_per(unit) / per_x > LARGEST_UM:
        return Calibration(remark=f"a pixel is {1 / per_x:g} {unit!r} wide, which is a printer's")
    height = (None, unit)
    if Y_RESOLUTION in page.tags:
        height = (1 / per_y, str(metadata.get("yunit", unit)))
    return square((1 / per_x, unit), height, path)


def _in_um(number, unit):
    """The length in um, None where it is not known."""
    factor = um_per(unit)
    number = _number(number)
    if factor is None or number is None or number <= 0:
        return None
    return _number(number * factor)


def _number(value):
    """A finite number; None for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _words(value):
    number = _number(value)
    return repr(value) if number is None else f"{number:g}"
