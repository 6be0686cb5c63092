"""One TIFF, BigTIFF, OME-TIFF, MetaMorph STK or Zeiss LSM -> the `Picture` in it."""

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

COMPRESSION_TAG = 259
PHOTOMETRIC_TAG = 262
PALETTE_TAG = 320
EXTRA_SAMPLES_TAG = 338
# For a tag that a file leaves out, tifffile gives a plain number; these names are equal to such numbers.
_GREY = (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.PALETTE, PHOTOMETRIC.CFA)
_LOSSY = (COMPRESSION.OJPEG, COMPRESSION.JPEG, COMPRESSION.ALT_JPEG, COMPRESSION.JPEG_LOSSY)
_OPACITY = (1, 2)  # kinds of extra samples
# Tags that are not read here: of camera, program, date, photographer, colour profile and the like.
_UNREAD_TAGS = (271, 272, 305, 306, 315, 316, 700, 33432, 33723, 34377, 34665, 34675, 34853)
_FIRST_PRIVATE_TAG = 65000  # from here on, programs use tags as they like


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
    with refusing, complaints() as errors, tifffile.TiffFile(path) as tiff:
        description = ome_sets.description_of(tiff, path, needed=pages == "C")
        if part is None:
            part = ome_sets.picture_of(description, path)
        if description.is_in_another_tiff(path):
            owner = pathlib.Path(path).with_name(description.owner)
            return read_tiff(owner, part, pages, labels)
        series = _series(tiff, description, part, path)
        if description.xml:
            metadata = ome.said_of(description.xml, part or 0, path)
        else:
            metadata = ome.Said(calibration=calibration.of_tiff(tiff, path))
        _check_kind(series.keyframe, path, labels)
        _check_whole(series, path)
        stack, colour = _ordered(series, pages, path)
        bits = min(series.keyframe.bitspersample, type_bits(stack.dtype))
    _refuse_complaints(errors, path)
    if stack.dtype.kind in "ui" and 0 < metadata.bits < bits:
        bits = metadata.bits
    size = metadata.calibration
    return Picture(stack, metadata.channels, size.pixel_um, bits, colour, size.remark)


def _refuse_complaints(errors, path):
    """Refuse a file with errors that tifffile logged, unless they are about tags that are not read here."""
    for text in errors:
        if _is_of_unread_tag(text):
            continue
        if "series" in text:
            raise InputRefused(f"{path}: what its description says does not fit its pixels ({text}); if a program has "
                               "cropped it or taken it from a stack, save it again without the old description "
                               "(ImageJ: File > Save As > Tiff), else copy the file again")
        raise InputRefused(f"{path}: damaged ({text}); copy the file again")


def _is_of_unread_tag(text) -> bool:
    tag = re.match(r"<TiffTag.*<tifffile\.TiffTag (\d+) ", text)
    if not tag:
        return False
    number = int(tag[1])
    return number in _UNREAD_TAGS or number >= _FIRST_PRIVATE_TAG


def read_pixels(path) -> np.ndarray:
    """All pixels of a TIFF whose layout its source knows, in the shape and number type that they are stored in.

    Raises:
        InputRefused: unreadable or cut short.
    """
    with damage_refused(path, "not a readable TIFF", "download it again"), complaints() as errors:
        pixels = tifffile.imread(path)
    if not pixels.size:
        errors.append("holds no picture")
    if errors:
        raise InputRefused(f"{path}: damaged ({errors[0]}); download it again")
    return pixels


def _series(tiff, description, part, path):
    """The picture asked for; without a number the only one beside thumbnails."""
    if description.xml:
        _describe(tiff, description, part, path)
    pictures = tiff.series
    if not pictures:
        raise InputRefused(f"{path}: holds no picture; export the field again")
    if part is not None:
        if len(pictures) > 1 or not description.xml:
            raise InputRefused(f"{path}: picture {part + 1} cannot be found by its metadata; export the field again")
        return pictures[0]
    sizes = [int(np.prod(series.shape)) for series in pictures]
    largest = max(sizes)
    if sizes[0] < largest or sizes.count(largest) > 1:
        raise InputRefused(f"{path}: holds {len(pictures)} pictures; allowed: one field per file; "
                           "export each into a file of its own")
    return pictures[0]


def _describe(tiff, description, part, path):
    """Let tifffile follow only the OME metadata that describe the picture, wherever they stand."""
    pictures = ome_sets.files_named(description, path)
    xml = description.xml
    if part is not None and part < len(pictures):
        pictures = pictures[part:part + 1]
        xml = ome.alone(xml, part, path)
    for names in pictures:
        ome_sets.refuse_missing(names, path)
    tiff.pages.first.description = ome.without_folders(xml)
    # Else tifffile follows Micro-Manager's own index, by which positions are one picture.
    tiff.is_mmstack = False
    tiff.is_ndtiff = False


def _check_kind(page, path, labels):
    """Refuse pixels that are no grey values or red, green and blue; of a label image any stored numbers count."""
    _require_number_type(page, path)
    if page.compression in _LOSSY:
        raise InputRefused(f"{path}: JPEG loses what is measured; export the field without loss, as TIFF")
    if labels:
        return
    if page.photometric not in (*_GREY, PHOTOMETRIC.RGB):
        kind = getattr(page.photometric, "name", page.photometric)
        raise InputRefused(f"{path}: its colours are {kind}, not red, green and blue; "
                           "export the stains as grey planes, or save it as RGB")
    if page.photometric == PHOTOMETRIC.PALETTE and not _is_grey(page):
        raise InputRefused(f"{path}: palette image, its values are numbers of colours; allowed: grey values; "
                           "save it as grey (ImageJ: Image > Lookup Tables > Grays)")
    if page.photometric == PHOTOMETRIC.MINISWHITE and PHOTOMETRIC_TAG in page.tags:
        raise InputRefused(f"{path}: inverted grey (0 is white); allowed: 0 is black; "
                           "save it with the normal look-up table (ImageJ: Image > Lookup Tables > Grays)")


def _require_number_type(page, path):
    """Refuse pixels whose type is not known, or whose samples have several."""
    if page.dtype is None or not isinstance(page.bitspersample, int):
        raise InputRefused(f"{path}: pixels of an unknown number type; export the field as uint16 or float32")


def _is_grey(page):
    """Whether a palette is the ramp of greys, in steps of 257, of 256 or, as old programs write it, of 1."""
    palette = page.tags.valueof(PALETTE_TAG)
    bits = page.bitspersample
    if not isinstance(palette, np.ndarray) or palette.shape != (3, 2**bits):
        return False
    return is_grey_ramp(palette, bits, palette[0, -1])


def _check_whole(series, path):
    """Refuse a file that declares more than it holds, before decoding it: one that is cut short can still open."""
    shape = series.shape
    if min(shape, default=0) < 1:
        raise InputRefused(f"{path}: holds a picture of {shape} pixels; export the field again")
    refuse_large(int(np.prod(shape)) * series.dtype.itemsize, path)
    for number, page in enumerate(series.pages):
        if page is None:
            raise InputRefused(f"{path}: plane {number} of {len(series.pages)} is missing; "
                               "copy the file, and those of the same set, again")
        _check_plane(page, number, path)
    if len(series.pages) == 1 and series.dataoffset is not None:
        _check_length(series, path)


def _check_plane(page, number, path):
    """Refuse a plane whose strips or tiles are not all there, or do not all lie in the file."""
    keyframe = page.keyframe if page.keyframe is not None else page
    _require_number_type(keyframe, path)
    offsets = page.dataoffsets
    counts = page.databytecounts
    segments = int(np.prod(keyframe.chunked)) if keyframe.size else 0
    if segments == 0 or len(offsets) != segments or len(counts) != segments:
        raise InputRefused(f"{path}: plane {number} has {len(offsets)} of {segments} pieces; copy the file again")
    if not all(isinstance(value, int) for value in (*offsets, *counts)):
        raise InputRefused(f"{path}: damaged (where plane {number} lies is no number); copy the file again")
    length = page.parent.filehandle.size
    for offset, count in zip(offsets, counts, strict=True):
        if offset + count > length or not count:
            raise InputRefused(f"{path}: cut short: plane {number} ends at byte {offset + count}, the file has "
                               f"{length}; copy the file again")
    if keyframe.compression == COMPRESSION.NONE:
        _check_bytes(sum(counts), keyframe, number, path)


def _check_length(series, path):
    """Refuse a picture in one piece that ends after the file does."""
    end = series.dataoffset + series.nbytes
    length = series.parent.filehandle.size
    if end > length:
        raise InputRefused(f"{path}: cut short: ends at byte {end}, the file has {length}; copy the file again")


def _check_bytes(nbytes, keyframe, number, path):
    """Pixels that are not compressed take as many bytes as their number says."""
    bits = keyframe.bitspersample
    if nbytes * 8 < keyframe.size * bits:
        raise InputRefused(f"{path}: plane {number} has {nbytes} bytes, which is too few; copy the file again")
    # The last strip or tile may be filled up, and each row may end with a part of a byte.
    in_segments = int(np.prod(keyframe.chunks)) * int(np.prod(keyframe.chunked))
    most = in_segments * bits // 8 + keyframe.size // keyframe.imagewidth
    if nbytes > most and COMPRESSION_TAG not in keyframe.tags:
        raise InputRefused(f"{path}: plane {number} has {nbytes} bytes for pixels that take {most}, "
                           "and says not how they are packed; copy the file again")


def _ordered(series, pages, path):
    """The pixels as [C, Z, H, W], and whether C is colour."""
    page = series.keyframe
    if page.compression == COMPRESSION.NONE:
        page.predictor = 1  # only compressed pixels have one; other programs ignore it too
    axes = series.axes
    stack = series.asarray()
    if len(axes) != stack.ndim:
        raise InputRefused(f"{path}: damaged (axes {axes} of {stack.ndim} dimensions); copy the file again")
    guessed = _is_guessed_colour(page)
    colour = "S" in axes and not guessed and _is_shown_in_colour(page)
    if guessed:
        axes = axes.replace("S", pages)
    elif "S" in axes and not colour:
        stack = _without_opacity(stack, axes.index("S"), page, path)
    axes = axes.replace("S", "C").replace("Q", pages).replace("I", pages)
    for i in reversed(range(stack.ndim)):
        if stack.shape[i] < 2 and axes[i] not in "YX":
            stack = stack.squeeze(i)
            axes = axes[:i] + axes[i + 1:]
    once_each = len(set(axes)) == len(axes)
    if not once_each or not set("YX") <= set(axes) <= set("CZYX"):
        advice = "export one time point per file" if "T" in axes else "export channels and z planes only"
        raise InputRefused(f"{path}: axes {axes}; allowed: C, Z, Y, X, each once; {advice}")
    for axis in "CZ":
        if axis not in axes:
            stack = stack[np.newaxis]
            axes = axis + axes
    order = [axes.index(axis) for axis in "CZYX"]
    return stack.transpose(order), colour


def _is_shown_in_colour(page):
    """Whether the samples of a pixel are colour, by the file's own word or, where it says nothing, by their number."""
    says_nothing = PHOTOMETRIC_TAG not in page.tags
    return page.photometric not in _GREY or (says_nothing and page.samplesperpixel > 2)


def _is_guessed_colour(page):
    """Whether tifffile has guessed that three or four planes [C, H, W] are red, green, blue and opacity."""
    return page.is_shaped and page.planarconfig == PLANARCONFIG.SEPARATE


def _without_opacity(stack, axis, page, path):
    """Grey planes without those that the file calls opacity; there must be others."""
    extra = page.tags.valueof(EXTRA_SAMPLES_TAG) or ()
    kinds = [0] * (stack.shape[axis] - len(extra)) + list(extra)
    grey = [i for i, kind in enumerate(kinds) if kind not in _OPACITY]
    if not grey:
        raise InputRefused(f"{path}: the file calls every plane opacity; export the field without transparency")
    return np.take(stack, grey, axis)
