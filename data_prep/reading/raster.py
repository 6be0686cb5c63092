"""One PNG or BMP -> its picture."""

import dataclasses
import struct

import imagecodecs
import numpy as np

from cellcycle_jax.errors import InputRefused
from data_prep.reading.picture import Picture, one_line, refuse_large, type_bits

_PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type; 3 is a palette


def read_png(path) -> Picture:
    """The picture in a PNG, grey or colour; opacity is dropped from grey ones."""
    data = _bytes(path)
    if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 26:
        raise InputRefused(f"{path}: not a readable PNG; export the field again or leave the file out")
    width, height, bits, kind = struct.unpack(">IIBB", data[16:26])
    if kind == 3:
        raise InputRefused(f"{path}: palette image, its values are numbers of colours; allowed: grey values; "
                           "save it as grey")
    refuse_large(width * height * _PNG_SAMPLES.get(kind, 4) * max(bits, 8) // 8, path)
    return dataclasses.replace(_picture(imagecodecs.png_decode, data, path), bits=bits)


def read_bmp(path) -> Picture:
    """The picture in a BMP, grey or colour."""
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
    try:
        image = np.atleast_3d(decode(data))
    except Exception as error:  # the codecs raise kinds of their own
        raise InputRefused(f"{path}: damaged ({one_line(error)}); copy the file again") from error
    colour = image.shape[-1] >= 3
    stack = np.moveaxis(image if colour else image[..., :1], -1, 0)[:, np.newaxis]
    return Picture(stack, (), None, type_bits(stack.dtype), colour)
