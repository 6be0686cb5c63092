"""OME metadata of a TIFF: names, pixel size and significant bits of its pictures, and which files they lie in.

Only what is needed is looked at, since many microscopes write metadata that do not keep to the standard elsewhere
(http://www.openmicroscopy.org/Schemas/Documentation/Generated/OME-2016-06/ome.html).
"""

import dataclasses
import math
import pathlib
from xml.etree import ElementTree

import tifffile

from cellcycle_jax.errors import InputRefused
from data_prep.reading.picture import complaints

_UM = {"m": 1e6, "cm": 1e4, "mm": 1e3, "µm": 1.0, "\u03bcm": 1.0, "um": 1.0, "nm": 1e-3}
MAX_XML = 10_000_000  # characters
SAME_SIZE = 0.01  # sizes of a pixel that differ by a smaller share are the same


@dataclasses.dataclass(frozen=True)
class Said:
    """What the metadata say of one picture; (), None and 0 where they do not."""

    channels: tuple[str, ...] = ()
    pixel_um: float | None = None
    bits: int = 0


def differ(one: float, two: float) -> bool:
    """Whether two sizes of a pixel are not the same."""
    return abs(one / two - 1) > SAME_SIZE


def said_of(xml: str, part: int, path) -> Said:
    """What the metadata say of picture number `part`.

    Raises:
        InputRefused: metadata too large or with entities, or pixels that are not square.
    """
    found = _root(xml, path).findall("{*}Image/{*}Pixels")
    if part >= len(found):  # the metadata lie in a companion file
        return Said()
    pixels = found[part]
    names = tuple(channel.get("Name", "") for channel in pixels.iterfind("{*}Channel"))
    width, height = _in_um(pixels, "PhysicalSizeX"), _in_um(pixels, "PhysicalSizeY")
    if width and height and differ(width, height):
        raise InputRefused(f"{path}: a pixel is {width:g} um wide and {height:g} um high; allowed: square pixels; "
                           "resample the field")
    return Said(names if all(names) else (), width, int(pixels.get("SignificantBits", 0)))


def files_of_pictures(path) -> list[list[str]]:
    """For each picture that the metadata of `path` describe, the names of the files that its planes lie in, in order.

    [] where the file has no OME metadata or cannot be read; then `tiff.read_tiff` says why.
    """
    try:
        with complaints(), tifffile.TiffFile(path) as tiff:
            xml = tiff.ome_metadata if tiff.is_ome else None
        return files_named(xml, path) if xml else []
    except Exception:  # tifffile raises many kinds on damaged files; reading the field names the reason
        return []


def files_named(xml: str, path) -> list[list[str]]:
    """As `files_of_pictures`, of metadata already read.

    Raises:
        InputRefused: a name that leads out of the folder.
    """
    own, root = pathlib.Path(path).name, _root(xml, path)
    found = []
    for image in root.iterfind("{*}Image"):
        names = []
        for data in image.iterfind("{*}Pixels/{*}TiffData"):
            uuid = data.find("{*}UUID")
            name = own if uuid is None or uuid.text == root.get("UUID") else uuid.get("FileName") or own
            if pathlib.PureWindowsPath(name).name != name:  # knows / and \ as separators
                raise InputRefused(f"{path}: its OME metadata name the file {name!r}; allowed: files of the same "
                                   "folder; export the field again")
            if name not in names:
                names.append(name)
        found.append(names)
    return found


def _root(xml, path):
    if len(xml) > MAX_XML or "<!ENTITY" in xml:
        raise InputRefused(f"{path}: OME metadata is larger than 10 MB or defines entities; export the field again")
    return ElementTree.fromstring(xml)


def _in_um(pixels, name):
    """A physical size in um; None for no size and for "pixel" and "reference frame", which are no physical units."""
    size = float(pixels.get(name, 0)) * _UM.get(pixels.get(f"{name}Unit", "µm"), 0)
    return size if 0 < size < math.inf else None
