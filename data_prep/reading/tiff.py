"""One TIFF, BigTIFF, OME-TIFF, MetaMorph STK or Zeiss LSM -> its picture."""

import pathlib
import re

import numpy as np
import tifffile
from tifffile import COMPRESSION, PHOTOMETRIC, PLANARCONFIG

from cellcycle_jax.errors import InputRefused
from data_prep.reading import calibration, ome, ome_sets
from data_prep.reading.damage import damage_refused
from data_prep.reading.palette import is_grey_ramp
from data_prep.reading.picture import Picture, complaints, refuse_large, type_bits

COMPRESSION_TAG, PHOTOMETRIC_TAG, PALETTE_TAG, EXTRA_SAMPLES_TAG = 259, 262, 320, 338
# Tags that a file leaves out are plain numbers, which are equal to these names for them.
_GREY = (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.PALETTE, PHOTOMETRIC.CFA)
_LOSSY = (COMPRESSION.OJPEG, COMPRESSION.JPEG, COMPRESSION.ALT_JPEG, COMPRESSION.JPEG_LOSSY)
_OPACITY = (1, 2)  # kinds of extra samples
# Tags of camera, program, date, photographer, colour profile and the like; and the first of those that anyone may use.
_OF_NO_USE = (271, 272, 305, 306, 315, 316, 700, 33432, 33723, 34377, 34665, 34675, 34853)
_FREE_TO_USE = 65000


def read_tiff(path, part: int | None = None, pages: str = "C", labels: bool = False) -> Picture:
    """The picture in a TIFF; see `Picture`.

    Args:
        path: the file.
        part: which picture, where OME metadata describe several.
        pages: what a row of pages without a name of its own is: "C" channels, "Z" planes of the one channel that the
            file shows.
        labels: it is a label image: its stored numbers count, whatever the colours or greys that they are shown in.

    Raises:
        InputRefused: unreadable, cut short, too large, lossy, a palette, a time series, part of a set of which another
            file is missing.
    """
    refusing = damage_refused(path, "not a readable TIFF", "export the field again or leave the file out")
    with refusing, complaints() as found, tifffile.TiffFile(path) as tiff:
        description = ome_sets.description_of(tiff, path, needed=pages == "C")
        if part is None:
            part = ome_sets.picture_of(description, path)
        if description.is_in_another_tiff(path):
            return read_tiff(pathlib.Path(path).with_name(description.owner), part, pages, labels)
        series = _series(tiff, description, part, path)
        said = _said(tiff, description.xml, part or 0, path)
        _check_kind(series.keyframe, path, labels)
        _check_whole(series, path)
        stack, colour = _ordered(series, pages, path)
        own_bits = min(series.keyframe.bitspersample, type_bits(stack.dtype))
    _refuse_complaints(found, path)
    bits = said.bits if stack.dtype.kind in "ui" and 0 < said.bits < own_bits else own_bits
    size = said.calibration
    return Picture(stack, said.channels, size.pixel_um, bits, colour, size.remark)


def _refuse_complaints(found, path):
    """Refuse what tifffile complained of, but for damage in tags that are not read here."""
    for text in found:
        tag = re.match(r"<TiffTag.*<tifffile\.TiffTag (\d+) ", text)
        if tag and (int(tag[1]) in _OF_NO_USE or int(tag[1]) >= _FREE_TO_USE):
            continue
        if "series" in text:
            raise InputRefused(f"{path}: what its description says does not fit its pixels ({text}); if a program has "
                               "cropped it or taken it from a stack, save it anew without the old description (ImageJ: "
                               "File > Save As > Tiff), else copy the file again")
        raise InputRefused(f"{path}: damaged ({text}); copy the file again")


def read_pixels(path) -> np.ndarray:
    """All pixels of a TIFF whose layout its source knows, as they are stored.

    Raises:
        InputRefused: unreadable or cut short.
    """
    with damage_refused(path, "not a readable TIFF", "download it again"), complaints() as found:
        pixels = tifffile.imread(path)
    if found or not pixels.size:
        raise InputRefused(f"{path}: damaged ({found[0] if found else 'holds no picture'}); download it again")
    return pixels


def _said(tiff, xml, part, path):
    """Metadata of the picture."""
    if xml:
        return ome.said_of(xml, part, path)
    return ome.Said(calibration=calibration.of_tiff(tiff, path))


def _series(tiff, description, part, path):
    """The picture asked for; without a number the only one beside thumbnails."""
    if description.xml:
        _describe(tiff, description, part, path)
    found = tiff.series
    if not found:
        raise InputRefused(f"{path}: holds no picture; export the field again")
    if part is not None:
        if len(found) > 1 or not description.xml:
            raise InputRefused(f"{path}: picture {part + 1} cannot be found by its metadata; export the field again")
        return found[0]
    largest = max(int(np.prod(series.shape)) for series in found)
    large = [series for series in found if int(np.prod(series.shape)) == largest]
    if len(large) > 1 or large[0] is not found[0]:
        raise InputRefused(f"{path}: holds {len(found)} pictures; allowed: one field per file; "
                           "export each into a file of its own")
    return large[0]


def _describe(tiff, description, part, path):
    """Let tifffile follow the OME metadata that describe the picture, wherever they were found, and nothing else."""
    pictures, xml = ome_sets.files_named(description, path), description.xml
    if part is not None and part < len(pictures):
        pictures, xml = pictures[part:part + 1], ome.alone(xml, part, path)
    for names in pictures:
        ome_sets.refuse_missing(names, path)
    tiff.pages.first.description = ome.without_folders(xml)
    tiff.is_mmstack = tiff.is_ndtiff = False  # Micro-Manager's own index, by which positions are one picture


def _check_kind(page, path, labels):
    if page.dtype is None or not isinstance(page.bitspersample, int):
        raise InputRefused(f"{path}: pixels of an unknown number type; export the field as uint16 or float32")
    if page.compression in _LOSSY:
        raise InputRefused(f"{path}: JPEG loses what is measured; export the field without loss, as TIFF")
    if labels:
        return
    if page.photometric not in (*_GREY, PHOTOMETRIC.RGB):
        kind = getattr(page.photometric, "name", page.photometric)
        raise InputRefused(f"{path}: its colours are {kind}, not red, green and blue; export the stains as grey "
                           "planes, or save it as RGB")
    if page.photometric == PHOTOMETRIC.PALETTE and not _is_grey(page):
        raise InputRefused(f"{path}: palette image, its values are numbers of colours; allowed: grey values; "
                           "save it as grey (ImageJ: Image > Lookup Tables > Grays)")
    if page.photometric == PHOTOMETRIC.MINISWHITE and PHOTOMETRIC_TAG in page.tags:
        raise InputRefused(f"{path}: inverted grey (0 is white); allowed: 0 is black; "
                           "save it with the normal look-up table (ImageJ: Image > Lookup Tables > Grays)")


def _is_grey(page):
    """Whether a palette is the ramp of greys, in steps of 257, of 256 or, as old programs write it, of 1."""
    palette, bits = page.tags.valueof(PALETTE_TAG), page.bitspersample
    if not isinstance(palette, np.ndarray) or palette.shape != (3, 2**bits):
        return False
    return is_grey_ramp(palette, bits, palette[0, -1])


def _check_whole(series, path):
    """A file cut short can still open: compare what it declares with how long it is, before decoding anything."""
    shape = series.shape
    if min(shape, default=0) < 1:
        raise InputRefused(f"{path}: holds a picture of {shape} pixels; export the field again")
    refuse_large(int(np.prod(series.shape)) * series.dtype.itemsize, path)
    for number, page in enumerate(series.pages):
        if page is None:
            raise InputRefused(f"{path}: plane {number} of {len(series.pages)} is missing; copy the file, and those of "
                               "the same set, again")
        keyframe = page.keyframe if page.keyframe is not None else page
        length = page.parent.filehandle.size
        pieces = int(np.prod(keyframe.chunked)) if keyframe.size else 0
        if not pieces or not pieces == len(page.dataoffsets) == len(page.databytecounts):
            raise InputRefused(f"{path}: plane {number} has {len(page.dataoffsets)} of {pieces} pieces; "
                               "copy the file again")
        if not all(isinstance(place, int) for place in (*page.dataoffsets, *page.databytecounts)):
            raise InputRefused(f"{path}: damaged (where plane {number} lies is no number); copy the file again")
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            if offset + count > length or not count:
                raise InputRefused(f"{path}: cut short: plane {number} ends at byte {offset + count}, the file has "
                                   f"{length}; copy the file again")
        _check_bytes(page, keyframe, number, path)
    end = (series.dataoffset or 0) + series.nbytes
    if len(series.pages) == 1 and series.dataoffset is not None and end > series.parent.filehandle.size:
        raise InputRefused(f"{path}: cut short: ends at byte {end}, the file has {series.parent.filehandle.size}; "
                           "copy the file again")


def _check_bytes(page, keyframe, number, path):
    """Pixels that are not packed take as many bytes as their number says."""
    if keyframe.compression != COMPRESSION.NONE:
        return
    found, bits = sum(page.databytecounts), keyframe.bitspersample
    if found * 8 < keyframe.size * bits:
        raise InputRefused(f"{path}: plane {number} has {found} bytes, which is too few; copy the file again")
    in_pieces = int(np.prod(keyframe.chunks)) * int(np.prod(keyframe.chunked))  # the last of them may be filled up
    most = in_pieces * bits // 8 + keyframe.size // keyframe.imagewidth  # and each row may end with a part of a byte
    if found > most and COMPRESSION_TAG not in keyframe.tags:
        raise InputRefused(f"{path}: plane {number} has {found} bytes for pixels that take {most}, and says not how "
                           "they are packed; copy the file again")


def _ordered(series, pages, path):
    """The pixels as [C, Z, H, W], and whether C is colour."""
    page = series.keyframe
    if page.compression == COMPRESSION.NONE:
        page.predictor = 1  # which only packed pixels have; other programs do not look at it either
    axes, stack = series.axes, series.asarray()
    if len(axes) != stack.ndim:
        raise InputRefused(f"{path}: damaged (axes {axes} of {stack.ndim} dimensions); copy the file again")
    guessed = _is_guessed_colour(page)
    colour = "S" in axes and not guessed and (page.photometric not in _GREY or
                                              (PHOTOMETRIC_TAG not in page.tags and page.samplesperpixel > 2))
    if "S" in axes and not colour and not guessed:
        stack = _without_opacity(stack, axes.index("S"), page)
    axes = axes.replace("S", pages if guessed else "C").replace("Q", pages).replace("I", pages)
    keep = [i for i, n in enumerate(stack.shape) if n > 1 or axes[i] in "YX"]
    stack, axes = stack.reshape([stack.shape[i] for i in keep]), "".join(axes[i] for i in keep)
    if set(axes) - set("CZYX") or len(set(axes)) < len(axes) or not set("YX") <= set(axes):
        advice = "export one time point per file" if "T" in axes else "export channels and z planes only"
        raise InputRefused(f"{path}: axes {axes}; allowed: C, Z, Y, X, each once; {advice}")
    for axis in set("CZ") - set(axes):
        stack, axes = stack[np.newaxis], axis + axes
    return stack.transpose([axes.index(a) for a in "CZYX"]), colour


def _is_guessed_colour(page):
    """Whether colour is tifffile's guess at three or four planes [C, H, W], which it takes for red, green, blue and
    opacity unless it is told otherwise.
    """
    return page.is_shaped and page.planarconfig == PLANARCONFIG.SEPARATE


def _without_opacity(stack, axis, page):
    """Grey planes without those that the file calls opacity."""
    extra = page.tags.valueof(EXTRA_SAMPLES_TAG) or ()
    kinds = [0] * (stack.shape[axis] - len(extra)) + list(extra)
    return np.take(stack, [i for i, kind in enumerate(kinds) if kind not in _OPACITY], axis)
