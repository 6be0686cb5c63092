"""One PNG or BMP -> its picture."""

import dataclasses
import struct
import zlib

import imagecodecs
import numpy as np

from cellcycle_jax.errors import InputRefused
from data_prep.reading.damage import damage_refused
from data_prep.reading.palette import is_grey_ramp
from data_prep.reading.picture import Picture, refuse_large, type_bits

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_GREY = 0  # colour type
_PALETTE = 3  # colour type


def read_png(path, labels: bool = False) -> Picture:
    """The picture in a PNG, grey or colour; opacity is dropped from grey ones.

    Args:
        path: the file.
        labels: it is a label image: its stored numbers count, whatever the colours that they are shown in.

    Raises:
        InputRefused: unreadable, too large, a palette that is not the ramp of greys.
    """
    data = _bytes(path)
    if data[:8] != _PNG_MAGIC or len(data) < 33:
        raise InputRefused(f"{path}: not a readable PNG; export the field again or leave the file out")
    width, height, bits, kind = struct.unpack(">IIBB", data[16:26])
    if kind == _PALETTE:
        if not labels and not is_grey_ramp(_palette(data), bits, 255):
            raise InputRefused(f"{path}: palette image, its values are numbers of colours; allowed: grey values; "
                               "save it as grey")
        data = _shown_in_grey(data, path)
    samples = width * height * _PNG_SAMPLES.get(kind, 4)
    refuse_large(samples * max(bits, 8) // 8, path)
    picture = _picture(imagecodecs.png_decode, data, path)
    stack = picture.stack
    if bits < 8:  # which the decoder stretches to 8
        stack = stack // (255 // (2**bits - 1))
    return dataclasses.replace(picture, stack=stack, bits=bits)


def read_bmp(path, labels: bool = False) -> Picture:
    """The picture in a BMP, grey or colour; one with a palette of colours is in colour.

    Raises:
        InputRefused: unreadable, too large, cut short.
    """
    data = _bytes(path)
    if data[:2] != b"BM" or len(data) < 30:
        raise InputRefused(f"{path}: not a readable BMP; export the field again or leave the file out")
    width, height, _, bits = struct.unpack("<iiHH", data[18:30])
    declared = abs(width * height) * bits // 8
    refuse_large(declared, path)
    if len(data) < declared:
        raise InputRefused(f"{path}: cut short: declares {declared} bytes, the file has {len(data)}; "
                           "copy the file again")
    return _picture(imagecodecs.bmp_decode, data, path)


def _bytes(path):
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputRefused(f"{path}: cannot be read ({error.strerror})") from error


def _picture(decode, data, path):
    with damage_refused(path, "damaged", "copy the file again"):
        image = decode(data)
    image = np.atleast_3d(image)
    colour = image.shape[-1] >= 3
    if not colour:
        image = image[..., :1]  # without opacity
    stack = np.moveaxis(image, -1, 0)[:, np.newaxis]
    return Picture(stack, (), None, type_bits(stack.dtype), colour)


def _chunks(data):
    """The chunks of a PNG, each as (kind, whole chunk), up to the first that is cut short."""
    start = len(_PNG_MAGIC)
    while start + 12 <= len(data):
        (length,) = struct.unpack(">I", data[start:start + 4])
        end = start + 12 + length
        if end > len(data):
            return
        yield data[start + 4:start + 8], data[start:end]
        start = end


def _palette(data):
    """Red, green and blue of each number, u8 [3, N]; N is 0 where the PNG holds no palette."""
    content = b""
    for kind, chunk in _chunks(data):
        if kind == b"PLTE":
            content = chunk[8:-4]
            break
    whole = content[: len(content) // 3 * 3]
    return np.frombuffer(whole, np.uint8).reshape(-1, 3).T


def _shown_in_grey(data, path):
    """A PNG with a palette as one of greys: its numbers are stored in the same way."""
    parts = [_PNG_MAGIC]
    for kind, chunk in _chunks(data):
        if kind == b"IHDR":
            (checksum,) = struct.unpack(">I", chunk[-4:])
            if zlib.crc32(chunk[4:-4]) != checksum:
                raise InputRefused(f"{path}: damaged (its header is changed); copy the file again")
            header = chunk[4:17] + bytes([_GREY]) + chunk[18:-4]
            chunk = chunk[:4] + header + struct.pack(">I", zlib.crc32(header))
        if kind in (b"IHDR", b"IDAT", b"IEND"):
            parts.append(chunk)
    return b"".join(parts)
