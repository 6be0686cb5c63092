"""OME-XML: names of channels, pixel size and significant bits of the pictures that it describes.

Only what is needed is looked at, since many microscopes write metadata that do not keep to the standard elsewhere
(http://www.openmicroscopy.org/Schemas/Documentation/Generated/OME-2016-06/ome.html).
"""

import dataclasses
import functools
import re
from xml.etree import ElementTree

from cellcycle_jax.errors import InputRefused
from data_prep.reading import calibration
from data_prep.reading.calibration import Calibration

MAX_XML = 10_000_000  # characters
SMALLER = 0.3  # share of the largest picture's area that a copy has at most; half of each side is a quarter
_ASIDE = re.compile(r"(?<![a-z])(?:thumb(?:nail)?|label|macro|overview|preview)(?![a-z])", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Said:
    """Names of channels, pixel size and significant bits of one picture; (), empty and 0 where they are not given."""

    channels: tuple[str, ...] = ()
    calibration: Calibration = Calibration()
    bits: int = 0


def root_of(xml: str, path) -> ElementTree.Element:
    """The parsed metadata; they are not to be changed.

    Raises:
        InputRefused: metadata that are too large or define entities.
    """
    if len(xml) > MAX_XML or "<!ENTITY" in xml:
        raise InputRefused(f"{path}: OME metadata is larger than 10 MB or defines entities; export the field again")
    return _parsed(xml)


@functools.lru_cache(maxsize=2)  # the files of a set share their metadata, which may be long
def _parsed(xml):
    return ElementTree.fromstring(xml)


def said_of(xml: str, part: int, path) -> Said:
    """What the metadata say of picture number `part`.

    Raises:
        InputRefused: metadata too large or with entities, or pixels that are not square.
    """
    described = root_of(xml, path).findall("{*}Image/{*}Pixels")
    if part >= len(described):
        return Said()
    pixels = described[part]
    names = tuple(channel.get("Name", "") for channel in pixels.iterfind("{*}Channel"))
    if not all(names):
        names = ()
    size = calibration.square(_length(pixels, "PhysicalSizeX"), _length(pixels, "PhysicalSizeY"), path)
    return Said(names, size, _whole(pixels, "SignificantBits"))


def smaller_copies(xml: str, path, reduced=()) -> set[int]:
    """Numbers of the pictures that are a thumbnail, a label or an overview of a slide, and no field.

    Such a picture is marked as reduced and smaller than the largest one; or it is much smaller (`SMALLER`) and called
    so, or has the name of one that it is much smaller than.

    Args:
        xml: the metadata.
        path: for the error.
        reduced: numbers of the pictures whose pages are marked as smaller copies (TIFF's NewSubfileType).
    """
    areas = []
    names = []
    largest_of_name = {}
    for image in root_of(xml, path).iterfind("{*}Image"):
        pixels = image.find("{*}Pixels")
        area = 0 if pixels is None else _whole(pixels, "SizeX") * _whole(pixels, "SizeY")
        name = image.get("Name", "")
        areas.append(area)
        names.append(name)
        largest_of_name[name] = max(area, largest_of_name.get(name, 0))
    largest = max(areas, default=0)
    copies = set()
    for i, (area, name) in enumerate(zip(areas, names, strict=True)):
        marked = i in reduced and area < largest
        called_so = _ASIDE.search(name) and area < SMALLER * largest
        copied = name and area < SMALLER * largest_of_name[name]
        if marked or called_so or copied:
            copies.add(i)
    return copies


def without_folders(xml: str) -> str:
    """The metadata with the bare names of the files that they name."""
    for quote in ('"', "'"):
        xml = re.sub(rf"(FileName={quote})[^{quote}]*[\\/]", r"\1", xml)
    return xml


def alone(xml: str, part: int, path) -> str:
    """The metadata without any picture but number `part`."""
    root = root_of(xml, path)
    images = root.findall("{*}Image")
    others = images[:part] + images[part + 1:]
    copy = ElementTree.Element(root.tag, root.attrib)
    for child in root:
        if child not in others:
            copy.append(child)
    return ElementTree.tostring(copy, encoding="unicode")


def _length(pixels, name):
    """(text, unit) of a physical size; without a unit it is um."""
    return pixels.get(name), pixels.get(f"{name}Unit", "\u00b5m")


def _whole(element, name):
    """The whole number in an attribute, 0 where it holds none."""
    text = element.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() else 0
