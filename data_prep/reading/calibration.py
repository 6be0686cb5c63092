"""How large a pixel is, as each kind of file says it."""

import dataclasses
import math

from cellcycle_jax.errors import InputRefused
from data_prep.reading.lengths import um_per

ALLOWED_UM = (0.01, 100.0)  # um per px; no light microscope gives less, and beyond it a nucleus is no pixel
SAME_SIZE = 0.01  # sizes of a pixel that differ by a smaller share are the same
LARGEST_UM = 20.0  # what ImageJ says in inches or cm and is larger is for a printer: 1200 dpi are 21 um
PRINTERS = (um_per("inch"), um_per("cm"))
X_RESOLUTION, Y_RESOLUTION = 282, 283  # TIFF tags


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
    sizes = [size for size in (_in_um(*width), _in_um(*height)) if size]
    if len(sizes) == 2 and differ(*sizes):
        raise InputRefused(f"{path}: a pixel is {sizes[0]:g} um wide and {sizes[1]:g} um high; allowed: square pixels; "
                           "resample the field")
    if sizes and is_usual(sizes[0]):
        return Calibration(sizes[0])
    if sizes:
        return Calibration(remark=f"a pixel is {sizes[0]:g} um wide, which no light microscope gives")
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
        said = tiff.lsm_metadata or {}
        return square((said.get("VoxelSizeX"), "m"), (said.get("VoxelSizeY"), "m"), path)
    if tiff.is_stk:
        said = tiff.stk_metadata
        unit = str(said.get("CalibrationUnits", ""))
        if not said.get("SpatialCalibration", True):
            return Calibration()
        return square((said.get("XCalibration"), unit), (said.get("YCalibration"), unit), path)
    if tiff.is_metaseries:
        said = tiff.metaseries_metadata.get("PlaneInfo", {})
        unit = str(said.get("spatial-calibration-units", ""))
        if said.get("spatial-calibration-state") is not True:
            return Calibration()
        return square((said.get("spatial-calibration-x"), unit), (said.get("spatial-calibration-y"), unit), path)
    return Calibration()


def _of_imagej(tiff, path):
    """By the unit in the description, and pixels per unit in the resolution tags."""
    said, page = tiff.imagej_metadata or {}, tiff.pages.first
    unit = str(said.get("unit", ""))
    if not unit or X_RESOLUTION not in page.tags or min(page.resolution) <= 0:
        return Calibration()
    per_x, per_y = page.resolution
    if um_per(unit) in PRINTERS and um_per(unit) / per_x > LARGEST_UM:
        return Calibration(remark=f"a pixel is {1 / per_x:g} {unit!r} wide, which is a printer's")
    height = (1 / per_y, str(said.get("yunit", unit))) if Y_RESOLUTION in page.tags else (None, unit)
    return square((1 / per_x, unit), height, path)


def _in_um(number, unit):
    """The length in um, None where it is not known."""
    factor, number = um_per(unit), _number(number)
    if factor is None or number is None or not number > 0:
        return None
    return number * factor if math.isfinite(number * factor) else None


def _number(value):
    """A finite number, None for what is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _words(number):
    return repr(number) if _number(number) is None else f"{_number(number):g}"
