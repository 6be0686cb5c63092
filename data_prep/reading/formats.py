"""Which files are pictures, and how each format is read."""

import collections
import pathlib

from data_prep.reading.picture import Picture
from data_prep.reading.raster import read_bmp, read_png
from data_prep.reading.tiff import read_tiff

TIFF = (".tif", ".tiff", ".tf2", ".tf8", ".btf", ".stk", ".lsm")
RASTER = {".png": read_png, ".bmp": read_bmp}
LOSSY = (".jpg", ".jpeg", ".jfif")
MICROSCOPE = (".czi", ".nd2", ".lif", ".oib", ".oif", ".oir", ".vsi", ".ims", ".dv", ".zvi", ".sld", ".flex",
              ".c01", ".cxd", ".svs", ".mrxs")
_ADVICE = {
    MICROSCOPE: "export them as OME-TIFF",
    LOSSY: "JPEG loses what is measured; export the fields as TIFF",
}


def read_picture(path: pathlib.Path, part: int | None = None, pages: str = "C", labels: bool = False) -> Picture:
    """The picture in a file of any format that is read; `part`, `pages` and `labels` as in `read_tiff`."""
    read_raster = RASTER.get(path.suffix.lower())
    return read_raster(path, labels) if read_raster else read_tiff(path, part, pages, labels)


def stem(name: str) -> str:
    """A file's name or path without its ending, `.ome` included."""
    if name.lower().endswith((*TIFF, *RASTER)):
        name, _, _ = name.rpartition(".")
    if name.lower().endswith(".ome"):
        name = name[: -len(".ome")]
    return name


def what_else(paths) -> str:
    """For a folder without a readable picture, what to do about the files that are in it."""
    suffixes = collections.Counter(path.suffix.lower() for path in paths)
    for endings, advice in _ADVICE.items():
        for ending, count in suffixes.most_common():
            if ending in endings:
                return f"; found {count} {ending} files: {advice}"
    return ""
