"""One TIFF, BigTIFF or OME-TIFF -> its picture."""

import numpy as np
import tifffile

from cellcycle_jax.errors import InputRefused
from data_prep.reading import ome
from data_prep.reading.picture import Picture, complaints, one_line, refuse_large, type_bits

_IMAGEJ_UM = {"micron": 1.0, "micrometer": 1.0, "micrometre": 1.0, "mm": 1e3,
              "microns": 1.0, "um": 1.0, "µm": 1.0, "μm": 1.0, "\\u00B5m": 1.0, "nm": 1e-3}
_GREY = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.CFA)
_LOSSY = ("OJPEG", "JPEG", "ALT_JPEG", "JPEG_LOSSY")


def read_tiff(path, part: int | None = None, pages: str = "C") -> Picture:
    """The picture in a TIFF; see `Picture`.

    Args:
        path: the file.
        part: which picture, where the file holds several.
        pages: what a row of pages without a name of its own is: "C" channels, "Z" planes.

    Raises:
        InputRefused: unreadable, cut short, too large, lossy, a palette, a time series.
    """
    try:
        with complaints() as found, tifffile.TiffFile(path) as tiff:
            pictures = ome.files_named(tiff.ome_metadata, path) if tiff.is_ome else []  # before tiff.series opens them
            series = _series(tiff, part, len(pictures), path)
            said = _said(tiff, part or 0, path)
            _check_kind(series.keyframe, path)
            _check_whole(series, path)
            stack, colour = _ordered(series, pages, path)
        if found:
            raise InputRefused(f"{path}: damaged ({found[0]}); copy the file again")
    except InputRefused:
        raise
    except Exception as error:  # tifffile and its codecs raise many kinds on damaged files
        raise InputRefused(f"{path}: not a readable TIFF ({one_line(error)}); "
                           "export the field again or leave the file out") from error
    own_bits = min(series.keyframe.bitspersample, type_bits(stack.dtype))
    bits = said.bits if stack.dtype.kind in "ui" and 0 < said.bits < own_bits else own_bits
    return Picture(stack, said.channels, said.pixel_um, bits, colour)


def read_pixels(path) -> np.ndarray:
    """All pixels of a TIFF whose layout its source knows, as they are stored.

    Raises:
        InputRefused: unreadable or cut short.
    """
    try:
        with complaints() as found:
            pixels = tifffile.imread(path)
    except Exception as error:  # as above
        raise InputRefused(f"{path}: not a readable TIFF ({one_line(error)}); download it again") from error
    if found or not pixels.size:
        raise InputRefused(f"{path}: damaged ({found[0] if found else 'holds no picture'}); download it again")
    return pixels


def _said(tiff, part, path):
    """Metadata of the picture. Dots per inch or cm are for printers and say nothing of the size of a pixel."""
    if tiff.is_ome:
        return ome.said_of(tiff.ome_metadata, part, path)
    size = None
    if tiff.is_imagej:
        per_unit = tiff.pages.first.resolution
        to_um = _IMAGEJ_UM.get(str(tiff.imagej_metadata.get("unit", "")))
        if to_um and min(per_unit) > 0:
            size = [to_um / n for n in per_unit]
    elif tiff.is_metaseries:
        plane = tiff.metaseries_metadata.get("PlaneInfo", {})
        if plane.get("spatial-calibration-state") and plane.get("spatial-calibration-units") in ("um", "µm"):
            size = [plane["spatial-calibration-x"], plane["spatial-calibration-y"]]
    if size and ome.differ(*size):
        raise InputRefused(f"{path}: a pixel is {size[0]:g} um wide and {size[1]:g} um high; allowed: square pixels; "
                           "resample the field")
    return ome.Said(pixel_um=size[0] if size else None)


def _series(tiff, part, count, path):
    """The picture asked for, of `count` that metadata name; without a number the only one beside thumbnails."""
    found = tiff.series
    if not found:
        raise InputRefused(f"{path}: holds no picture; export the field again")
    if part is None:
        largest = max(int(np.prod(series.shape)) for series in found)
        large = [series for series in found if int(np.prod(series.shape)) == largest]
        if len(large) > 1 or large[0] is not found[0]:
            raise InputRefused(f"{path}: holds {len(found)} pictures; allowed: one field per file; "
                               "export each into a file of its own")
        return large[0]
    if part >= len(found) or (count and count != len(found)):
        raise InputRefused(f"{path}: picture {part + 1} cannot be found: {len(found)} are there, its metadata name "
                           f"{count}; export the field again")
    return found[part]


def _check_kind(page, path):
    if page.compression.name in _LOSSY:
        raise InputRefused(f"{path}: JPEG loses what is measured; export the field without loss, as TIFF")
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE:
        raise InputRefused(f"{path}: palette image, its values are numbers of colours; allowed: grey values; "
                           "save it as grey (ImageJ: Image > Lookup Tables > Grays)")
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        raise InputRefused(f"{path}: inverted grey (0 is white); allowed: 0 is black; "
                           "save it with the normal look-up table (ImageJ: Image > Lookup Tables > Grays)")


def _check_whole(series, path):
    """A file cut short can still open: compare what it declares with how long it is, before decoding anything."""
    refuse_large(int(np.prod(series.shape)) * series.dtype.itemsize, path)
    for number, page in enumerate(series.pages):
        if page is None:
            raise InputRefused(f"{path}: plane {number} of {len(series.pages)} is missing; copy the file, and those of "
                               "the same set, again")
        keyframe = page.keyframe if page.keyframe is not None else page
        length = page.parent.filehandle.size
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            if offset + count > length or not count:
                raise InputRefused(f"{path}: cut short: plane {number} ends at byte {offset + count}, the file has "
                                   f"{length}; copy the file again")
        pieces = int(np.prod(keyframe.chunked))
        if not page.dataoffsets or len(page.dataoffsets) != pieces:
            raise InputRefused(f"{path}: plane {number} has {len(page.dataoffsets)} of {pieces} pieces; "
                               "copy the file again")
        if keyframe.compression == tifffile.COMPRESSION.NONE and sum(page.databytecounts) * 8 < _bits(keyframe):
            raise InputRefused(f"{path}: plane {number} has {sum(page.databytecounts)} bytes, which is too few; "
                               "copy the file again")
    end = (series.dataoffset or 0) + series.nbytes
    if len(series.pages) == 1 and series.dataoffset is not None and end > series.parent.filehandle.size:
        raise InputRefused(f"{path}: cut short: ends at byte {end}, the file has {series.parent.filehandle.size}; "
                           "copy the file again")


def _bits(page):
    return page.size * page.bitspersample


def _ordered(series, pages, path):
    """The pixels as [C, Z, H, W], and whether C is colour."""
    axes, stack = series.axes, series.asarray()
    colour = "S" in axes and series.keyframe.photometric not in _GREY
    axes = axes.replace("S", "C").replace("Q", pages).replace("I", pages)
    keep = [i for i, n in enumerate(stack.shape) if n > 1 or axes[i] in "YX"]
    stack, axes = stack.reshape([stack.shape[i] for i in keep]), "".join(axes[i] for i in keep)
    if set(axes) - set("CZYX") or len(set(axes)) < len(axes):
        raise InputRefused(f"{path}: axes {axes}; allowed: C, Z, Y, X; export one time point per file")
    for axis in set("CZ") - set(axes):
        stack, axes = stack[np.newaxis], axis + axes
    return stack.transpose([axes.index(a) for a in "CZYX"]), colour
