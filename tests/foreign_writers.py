"""What other programs write into a TIFF, made tag by tag: ImageJ, MetaMorph, MetaXpress, Zeiss, Micro-Manager, OME.

Each function gives a writer, which leaves a file in a folder and says where.
"""

import json
import struct

import numpy as np

from tests import raw_tiff
from tests.raw_tiff import ASCII, BYTE, LONG, RATIONAL, SHORT

MAGIC_LSM = 67127628

def imagej_text(**said) -> bytes:
    return ("ImageJ=1.53f\n" + "".join(f"{key}={value}\n" for key, value in said.items())).encode("latin-1") + b"\0"


def imagej(image, order=">", per_unit=2.0, **said):
    """Grey planes [N, H, W] with the tags that ImageJ up to 1.53 writes, the optional Compression not among them."""
    def write(folder):
        tags = {254: (LONG, [0]), 270: (ASCII, imagej_text(**said)), 282: (RATIONAL, [int(per_unit * 1000), 1000]),
                283: (RATIONAL, [int(per_unit * 1000), 1000]), 296: (SHORT, [1])}
        pages = [(raw_tiff.grey_tags(plane) | tags, [plane]) for plane in image.reshape(-1, *image.shape[-2:])]
        raw_tiff.write(folder / "imagej.tif", pages, order)
        return folder / "imagej.tif"

    return write


def palette_tiff(image, palette, **more):
    """Grey numbers shown by a look-up table, without Compression."""
    def write(folder):
        table = (SHORT, [int(number) for number in np.ravel(palette)])
        tags = raw_tiff.grey_tags(image, t262=(SHORT, [3]), t320=table, **more)
        raw_tiff.write(folder / "palette.tif", [(tags, [image])])
        return folder / "palette.tif"

    return write


def stk(image, unit="um", x=(65, 100), calibrated=1, distance=0, milliseconds=0):
    """Planes [N, H, W] as MetaMorph writes them: one directory, the planes one after the other, UIC tags."""
    def uic1(place):
        inner = place + 8 * 4  # after four pairs of number and value
        text = unit.encode("latin-1") + b"\0"
        pairs = [(3, calibrated), (4, inner), (5, inner), (6, inner + 8)]
        return b"".join(struct.pack("<II", *pair) for pair in pairs) + struct.pack("<III", *x, len(text)) + text

    def write(folder):
        count = len(image)
        made = [struct.pack("<6I", distance, 1, 2459000, 1000 + i * milliseconds, 0, 0) for i in range(count)]
        tags = raw_tiff.grey_tags(image[0]) | {33628: (LONG, 4, uic1), 33629: (RATIONAL, count, b"".join(made))}
        place = folder / "plate_w1DAPI_s1.STK"
        raw_tiff.write(place, [(tags, [image])])
        return _one_plane_counted(place, image[0].nbytes)

    return write


def _one_plane_counted(path, nbytes):
    """The file with StripByteCounts of its first plane only, as MetaMorph counts."""
    data = bytearray(path.read_bytes())
    entry = data.index(struct.pack("<HHI", raw_tiff.COUNTS, LONG, 1))
    data[entry + 8:entry + 12] = struct.pack("<I", nbytes)
    path.write_bytes(bytes(data))
    return path


def lsm(image, um=0.25, times=1):
    """Channels [C, H, W] as Zeiss LSM 510 writes them: sizes in metres, a thumbnail after every plane."""
    def write(folder):
        channels, height, width = image.shape
        sizes = (width, height, 1, channels, times, 2, 4, 3)  # X, Y, Z, C, T, number type, thumbnail's X and Y
        info = struct.pack("<I9i", MAGIC_LSM, 500, *sizes) + struct.pack("<3d", um * 1e-6, um * 1e-6, 1e-6)
        info += struct.pack("<3d", 0, 0, 0) + struct.pack("<H", 3 if times > 1 else 0)
        info = info.ljust(500, b"\0")
        each = {277: (SHORT, [channels]), 258: (SHORT, [16] * channels), 284: (SHORT, [2]), 259: (SHORT, [1])}
        tags = raw_tiff.grey_tags(image) | each | {34412: (BYTE, len(info), info)}
        thumbnail = np.zeros((channels, 3, 4), np.uint8)
        small = raw_tiff.grey_tags(thumbnail) | each | {254: (LONG, [1]), 258: (SHORT, [8] * channels)}
        raw_tiff.write(folder / "cells.lsm", [(tags, list(image)), (small, list(thumbnail))] * times)
        return folder / "cells.lsm"

    return write


def metaseries(image, unit="um", size="0.65", state="on"):
    """MetaXpress, one plane a file."""
    def write(folder):
        props = {"spatial-calibration-state": ("bool", state), "spatial-calibration-x": ("float", size),
                 "spatial-calibration-y": ("float", size), "spatial-calibration-units": ("string", unit)}
        said = "".join(f'<prop id="{key}" type="{kind}" value="{value}"/>' for key, (kind, value) in props.items())
        text = f"<MetaData><PlaneInfo>{said}</PlaneInfo></MetaData>\0".encode()
        tags = raw_tiff.grey_tags(image) | {270: (ASCII, text), 305: (ASCII, b"MetaSeries\0")}
        raw_tiff.write(folder / "P7_B03_s1_w1.TIF", [(tags, [image])])
        return folder / "P7_B03_s1_w1.TIF"

    return write


def micro_manager(positions, names):
    """A stack file of Micro-Manager: its own index and summary at the start, and OME-XML; positions [P, C, H, W]."""
    def write(folder):
        path = folder / "run_1_MMStack_Pos0.ome.tif"
        count, channels = positions.shape[:2]
        summary = {"MicroManagerVersion": "1.4.22", "Frames": 1, "Slices": 1, "Channels": channels, "Positions": count,
                   "Prefix": "run_1", "SlicesFirst": True, "TimeFirst": False}
        xml = ome_xml([ome_image(p, names, [(c, p * channels + c, path.name, "1") for c in range(channels)],
                                 positions.shape[2:], um=0.325) for p in range(count)], uuid="1")
        flat = positions.reshape(-1, *positions.shape[2:])
        pages = [(raw_tiff.grey_tags(plane) | {51123: (ASCII, b"{\"Width\": 20}\0")}, [plane]) for plane in flat]
        pages[0][0][270] = (ASCII, xml.encode() + b"\0")
        places = [0] * len(flat)
        for _ in range(2):  # the index holds the places of the directories, so they have to be known first
            places = raw_tiff.write(path, pages, preamble=_index(summary, channels, places))
        return path

    return write


def _index(summary, channels, places):
    """What Micro-Manager puts before the first directory."""
    text = json.dumps(summary).encode()
    rows = [(i % channels, 0, 0, i // channels, place) for i, place in enumerate(places)]
    head = 8 + 4 * 8 + len(text)
    index = struct.pack("<II", 3453623, len(rows)) + b"".join(struct.pack("<5I", *row) for row in rows)
    numbers = (54773648, head, 483765892, 0, 99384722, 0, 2355492, len(text))
    return struct.pack("<8I", *numbers) + text + index


def ome_image(number, names, planes, shape, um=None, unit=None):
    """An Image element of OME-XML.

    Args:
        number: of the picture; names: of its channels.
        planes: for each plane (channel, number of the directory, file name, UUID); no name: this file.
        shape: (H, W); um: width of a pixel, in `unit` where one is given.
    """
    size = "" if um is None else "".join(f' PhysicalSize{axis}="{um}"' + (
        f' PhysicalSize{axis}Unit="{unit}"' if unit else "") for axis in "XY")
    channels = "".join(f'<Channel ID="Channel:{number}:{i}" Name="{name}"/>' for i, name in enumerate(names))
    where = ""
    for channel, directory, name, uuid in planes:
        inner = f'<UUID FileName="{name}">urn:uuid:{uuid}</UUID>' if name else ""
        where += f'<TiffData FirstC="{channel}" IFD="{directory}" PlaneCount="1">{inner}</TiffData>'
    return (f'<Image ID="Image:{number}"><Pixels ID="Pixels:{number}" DimensionOrder="XYZCT" Type="uint16" '
            f'SizeX="{shape[1]}" SizeY="{shape[0]}" SizeC="{len(names)}" SizeZ="1" SizeT="1"{size}>{channels}{where}'
            "</Pixels></Image>")


def ome_xml(images, uuid="0", inner=""):
    """OME-XML with these Image elements, or with other elements."""
    head = '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
    return f'{head} UUID="urn:uuid:{uuid}">{"".join(images)}{inner}</OME>'


def companion_set(image, names, um=None):
    """A channel a file; all of it described in cells.companion.ome, which the files name."""
    def write(folder):
        files = [f"cells_{i}.tiff" for i in range(len(image))]
        planes = [(i, 0, name, name) for i, name in enumerate(files)]
        text = ome_xml([ome_image(0, names, planes, image.shape[1:], um)])
        (folder / "cells.companion.ome").write_text(text, encoding="utf-8")
        for name, plane in zip(files, image, strict=True):
            only = f'<BinaryOnly MetadataFile="cells.companion.ome" UUID="urn:uuid:{name}"/>'
            said = {270: (ASCII, ome_xml([], name, only).encode() + b"\0")}
            raw_tiff.write(folder / name, [(raw_tiff.grey_tags(plane) | said, [plane])])
        return folder / files[0]

    return write


def ome_set(image, names, um=None):
    """A channel a file; the first file describes all of it and the others name the first."""
    def write(folder):
        files = [f"cells_{i}.ome.tiff" for i in range(len(image))]
        planes = [(i, 0, name, name) for i, name in enumerate(files)]
        for i, (name, plane) in enumerate(zip(files, image, strict=True)):
            only = f'<BinaryOnly MetadataFile="{files[0]}" UUID="urn:uuid:{files[0]}"/>'
            xml = ome_xml([], name, only) if i else ome_xml([ome_image(0, names, planes, image.shape[1:], um)], name)
            raw_tiff.write(folder / name, [(raw_tiff.grey_tags(plane) | {270: (ASCII, xml.encode() + b"\0")}, [plane])])
        return folder / files[0]

    return write


def ome_plane(image, um, unit):
    """One file with one plane and a size of its pixels."""
    def write(folder):
        xml = ome_xml([ome_image(0, ["DNA"], [(0, 0, "", "")], image.shape, um, unit)])
        said = {270: (ASCII, xml.encode() + b"\0")}
        raw_tiff.write(folder / "a.ome.tif", [(raw_tiff.grey_tags(image) | said, [image])])
        return folder / "a.ome.tif"

    return write
