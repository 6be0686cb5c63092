"""Files of other programs and what is in them: `FILES`. Nothing is copied; `foreign_writers` makes them."""

import dataclasses
import io
import pathlib
from collections.abc import Callable

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from tests import foreign_writers as programs
from tests import raw_tiff
from tests.data_prep.reading.test_lengths import SCHEMA
from tests.raw_tiff import ASCII, SHORT

RNG = np.random.default_rng(0)
PLANE = (RNG.integers(0, 40, (12, 20)) + 100 * np.arange(20)).astype(np.uint16)
SMALL = (PLANE // 16).astype(np.uint8)
CHANNELS = np.stack([PLANE, PLANE + 5000, 3 * PLANE])
FOUR = np.concatenate([CHANNELS, CHANNELS[:1] + 9])
HYPERSTACK = np.stack([PLANE + 7 * plane for plane in range(6)]).reshape(2, 3, 12, 20)  # [C, Z, H, W]
NUMBERS = np.where(PLANE > 1200, 3, np.where(PLANE > 600, 200, 0)).astype(np.uint8)
RAMP = np.tile(np.arange(256) * 257, (3, 1))
GLASBEY = RNG.integers(0, 65536, (3, 256))  # a colour for each number, in no order


@dataclasses.dataclass(frozen=True)
class Foreign:
    """A file of another program.

    name: of the case.
    write: makes it, and what belongs to it, in a folder and gives its path.
    stack: what it shows, [C, Z, H, W].
    channels: names that it gives; pixel_um: um per px, None where it does not say.
    remark: a word of what is said of the size of a pixel, "" for nothing.
    """

    name: str
    write: Callable[[pathlib.Path], pathlib.Path]
    stack: np.ndarray
    channels: tuple[str, ...] = ()
    pixel_um: float | None = None
    remark: str = ""


def planes(image) -> np.ndarray:
    """[H, W] or [C, H, W] as a stack [C, Z, H, W] of one z plane."""
    return image.reshape(-1, 1, *image.shape[-2:])


def written(image, name="a.tif", **options):
    """A writer of `image` by tifffile with these options."""
    def write(folder):
        tifffile.imwrite(folder / name, image, **options)
        return folder / name

    return write


def raw(strips, name="a.tif", order="<", **tags):
    """A writer of one directory with these tags, by "t" and the code, beside those that the standard asks for."""
    def write(folder):
        raw_tiff.write(folder / name, [(raw_tiff.grey_tags(strips[0], **tags), list(strips))], order)
        return folder / name

    return write


def png(image, palette=None):
    """A writer of an 8-bit PNG [H, W]; palette [3, N] u8."""
    def write(folder):
        picture = Image.fromarray(image)
        if palette is not None:
            picture = Image.frombytes("P", picture.size, picture.tobytes())
            picture.putpalette(np.asarray(palette, np.uint8).T.ravel().tolist())
        content = io.BytesIO()
        picture.save(content, "PNG")
        (folder / "a.png").write_bytes(content.getvalue())
        return folder / "a.png"

    return write


def bmp(folder):
    (folder / "a.bmp").write_bytes(imagecodecs.bmp_encode(SMALL))
    return folder / "a.bmp"


HYPER = {"images": 6, "channels": 2, "slices": 3, "hyperstack": "true", "mode": "composite"}
ORDERED = HYPERSTACK.swapaxes(0, 1).reshape(6, 12, 20)  # channels first, as ImageJ stores planes

FILES = [
    Foreign("ImageJ 1.53, no Compression", programs.imagej(PLANE, unit="micron"), planes(PLANE), pixel_um=0.5),
    Foreign("ImageJ 1.53 on Windows", programs.imagej(PLANE, order="<", unit="\\u00B5m"), planes(PLANE), pixel_um=0.5),
    Foreign("ImageJ, micro sign in Latin-1", programs.imagej(PLANE, unit="\u00b5m"), planes(PLANE), pixel_um=0.5),
    Foreign("ImageJ hyperstack", programs.imagej(ORDERED, unit="um", **HYPER), HYPERSTACK, pixel_um=0.5),
    Foreign("ImageJ in cm", programs.imagej(PLANE, per_unit=20000, unit="cm"), planes(PLANE), pixel_um=0.5),
    Foreign("ImageJ in inch at 72 dpi", programs.imagej(PLANE, per_unit=72, unit="inch"), planes(PLANE),
            remark="printer"),
    Foreign("ImageJ in metres", programs.imagej(PLANE, unit="m"), planes(PLANE), remark="no light microscope"),
    Foreign("ImageJ in pixel", programs.imagej(PLANE, per_unit=1, unit="pixel"), planes(PLANE), remark="'pixel'"),
    Foreign("ImageJ, no unit", programs.imagej(PLANE), planes(PLANE)),
    Foreign("Fiji, grey palette", programs.palette_tiff(SMALL, RAMP), planes(SMALL)),
    Foreign("grey palette in steps of 256", programs.palette_tiff(SMALL, RAMP // 257 * 256), planes(SMALL)),
    Foreign("grey palette in steps of 1", programs.palette_tiff(SMALL, RAMP // 257), planes(SMALL)),
    Foreign("grey palette of 16 bits", programs.palette_tiff(PLANE, np.tile(np.arange(65536), (3, 1))), planes(PLANE)),
    Foreign("grey palette PNG", png(SMALL, RAMP // 257), planes(SMALL)),
    Foreign("grey PNG", png(SMALL), planes(SMALL)),
    Foreign("grey BMP", bmp, planes(SMALL)),
    Foreign("no Photometric", raw([PLANE], t262=None), planes(PLANE)),
    Foreign("no RowsPerStrip", raw([PLANE], t278=None), planes(PLANE)),
    Foreign("no SamplesPerPixel", raw([PLANE], t277=None), planes(PLANE)),
    Foreign("a predictor without compression", raw([PLANE], t317=(SHORT, [2])), planes(PLANE)),
    Foreign("a date that lies nowhere", raw([PLANE], t306=(ASCII, 20, b"")), planes(PLANE)),
    Foreign("a private tag that lies nowhere", raw([PLANE], t65000=(ASCII, 20, lambda place: b"")), planes(PLANE)),
    Foreign("big-endian", raw([PLANE], order=">"), planes(PLANE)),
    Foreign("planes one after the other", written(CHANNELS, photometric="minisblack", planarconfig="separate"),
            planes(CHANNELS)),
    *(Foreign(f"{count} planes that tifffile takes for colours", written(FOUR[:count], photometric="rgb",
              planarconfig="separate"), planes(FOUR[:count]))
      for count in (3, 4)),
    Foreign("samples of a pixel together", written(np.moveaxis(CHANNELS, 0, -1), photometric="minisblack",
                                                   planarconfig="contig"), planes(CHANNELS)),
    Foreign("tiled", written(PLANE, tile=(16, 16)), planes(PLANE)),
    Foreign("strips", written(PLANE, rowsperstrip=5), planes(PLANE)),
    Foreign("BigTIFF", written(PLANE, name="a.btf", bigtiff=True), planes(PLANE)),
    *(Foreign(f"{codec} with predictor", written(PLANE, compression=codec, predictor=True), planes(PLANE))
      for codec in ("lzw", "zlib", "zstd", "lzma")),
    *(Foreign(codec, written(PLANE, compression=codec), planes(PLANE))
      for codec in ("lzw", "zlib", "zstd", "packbits", "png")),
    Foreign("grey with opacity", written(np.stack([PLANE, PLANE * 0 + 65535], -1), photometric="minisblack",
                                         planarconfig="contig", extrasamples=["unassalpha"]), planes(PLANE)),
    Foreign("MetaMorph STK", programs.stk(PLANE[np.newaxis]), planes(PLANE), pixel_um=0.65),
    Foreign("MetaMorph STK of z planes", programs.stk(HYPERSTACK[0], distance=1), HYPERSTACK[:1], pixel_um=0.65),
    Foreign("MetaMorph STK, not calibrated", programs.stk(PLANE[np.newaxis], calibrated=0), planes(PLANE)),
    Foreign("MetaMorph STK in pixel", programs.stk(PLANE[np.newaxis], "pixel", (1, 1)), planes(PLANE),
            remark="'pixel'"),
    Foreign("Zeiss LSM", programs.lsm(CHANNELS), planes(CHANNELS), pixel_um=0.25),
    Foreign("Zeiss LSM, no size", programs.lsm(CHANNELS, um=0), planes(CHANNELS)),
    Foreign("MetaXpress", programs.metaseries(PLANE), planes(PLANE), pixel_um=0.65),
    Foreign("MetaXpress, not calibrated", programs.metaseries(PLANE, state="off"), planes(PLANE)),
    Foreign("MetaXpress in pixel", programs.metaseries(PLANE, "pixel", "1"), planes(PLANE), remark="'pixel'"),
    Foreign("Micro-Manager, two channels of one name", programs.micro_manager(CHANNELS[np.newaxis, :2], ["Fluo"] * 2),
            planes(CHANNELS[:2]), ("Fluo", "Fluo"), 0.325),
    Foreign("OME set with a companion", programs.companion_set(CHANNELS, ["A", "B", "C"], 0.4), planes(CHANNELS),
            ("A", "B", "C"), 0.4),
    Foreign("OME set described in its first file", programs.ome_set(CHANNELS, ["A", "B", "C"], 0.4), planes(CHANNELS),
            ("A", "B", "C"), 0.4),
    *(Foreign(f"OME in {unit}", programs.ome_plane(PLANE, repr(0.325 / um), unit), planes(PLANE), ("DNA",), 0.325)
      for unit, um in (SCHEMA | {"\u03bcm": 1, "\u212b": 1e-4}).items()),
    *(Foreign(f"OME in {unit}", programs.ome_plane(PLANE, "1", unit), planes(PLANE), ("DNA",), remark=repr(unit))
      for unit in ("pixel", "reference frame", "furlong")),
    Foreign("OME in metres without a unit", programs.ome_plane(PLANE, "3.25e-07", None), planes(PLANE), ("DNA",),
            remark="no light microscope"),
    Foreign("OME without a unit", programs.ome_plane(PLANE, "0.325", None), planes(PLANE), ("DNA",), 0.325),
    Foreign("OME with a size that is no number", programs.ome_plane(PLANE, "0,325", None), planes(PLANE), ("DNA",),
            remark="'0,325'"),
]

# Label images: what is stored in them counts, whatever they are shown as.
LABELS = [
    Foreign("ImageJ's glasbey", programs.palette_tiff(NUMBERS, GLASBEY), NUMBERS),
    Foreign("QuPath's colours", written(NUMBERS, photometric="palette", colormap=GLASBEY.astype(np.uint16)), NUMBERS),
    Foreign("palette PNG", png(NUMBERS, GLASBEY // 257), NUMBERS),
    Foreign("palette PNG of 4 bits", png(NUMBERS % 13, (GLASBEY // 257)[:, :16]), NUMBERS % 13),
    Foreign("PNG with few colours", png(NUMBERS % 13, (GLASBEY // 257)[:, :12]), NUMBERS % 13),
    Foreign("ImageJ's inverting table", raw([NUMBERS], t262=(SHORT, [0])), NUMBERS),
    Foreign("no Photometric", raw([NUMBERS], t262=None), NUMBERS),
    Foreign("floats", written(NUMBERS.astype(np.float32)), NUMBERS),
]
