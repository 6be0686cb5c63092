"""What one image file holds, whatever its format, and what is refused before and after decoding."""

import contextlib
import dataclasses
import logging

import numpy as np

from cellcycle_jax.errors import InputRefused
from data_prep.workers import memory

MAX_BYTES = 2 << 30  # a file, or all files of a field, that declare more than this are refused before decoding
MAX_VALUE = np.iinfo(np.uint16).max


@dataclasses.dataclass(frozen=True)
class Picture:
    """One picture of a file, pixels as they are in it.

    stack: [C, Z, H, W] of the file's number type; C counts red, green, blue (and opacity) of a colour picture.
    channels: names that the file gives them, () where it gives none.
    pixel_um: um per px, None where the file does not say.
    bits: significant bits of a pixel: what the file says, else what its number type holds. A 12-bit camera that writes
        16 bits cannot be told from a 16-bit one.
    colour: the first axis is colour, not stains.
    remark: what the file says of the size of a pixel that is no known length, "" for nothing.
    """

    stack: np.ndarray
    channels: tuple[str, ...]
    pixel_um: float | None
    bits: int
    colour: bool
    remark: str = ""


def refuse_large(nbytes: int, path) -> None:
    """Refuse what would not fit, by the size that the file declares.

    Raises:
        InputRefused: more than MAX_BYTES, on any machine.
        ResourceMissing: more than fits into the memory that is free now.
    """
    if nbytes > MAX_BYTES:
        raise InputRefused(f"{path}: declares {nbytes / 2**30:.1f} GiB of pixels; at most {MAX_BYTES >> 30} GiB; "
                           "cut the image into fields")
    memory.refuse_lack_to_decode(nbytes, path)


def type_bits(dtype) -> int:
    """Bits in which a pixel of this number type can differ; the sign is none of them."""
    dtype = np.dtype(dtype)
    return dtype.itemsize * 8 - (dtype.kind == "i")


@contextlib.contextmanager
def complaints():
    """Errors that tifffile only logs while it goes on with half a file, as a list of texts."""
    errors = []

    def collect(record):
        errors.append(" ".join(record.getMessage().split()))

    handler = logging.Handler(logging.ERROR)
    handler.emit = collect
    logger = logging.getLogger("tifffile")
    propagate = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield errors
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


def as_stored(image: np.ndarray, path) -> np.ndarray:
    """The image as u16 or f32 with the same values.

    Integers of any type become u16 where their values fit; f16 and f64 become f32.

    Raises:
        InputRefused: another number type, negative or too large integers, NaN or infinity.
    """
    if image.dtype.kind in "ui":
        low = int(image.min())
        high = int(image.max())
        if low < 0 or high > MAX_VALUE:
            raise InputRefused(f"{path}: {image.dtype} pixels from {low} to {high}; allowed: integers from 0 to "
                               f"{MAX_VALUE}, or float; export the field as uint16 or float32")
        return image.astype(np.uint16)
    if image.dtype.kind == "f":
        with np.errstate(over="ignore"):
            image = image.astype(np.float32)
        bad = int((~np.isfinite(image)).sum())
        if bad:
            raise InputRefused(f"{path}: {bad} pixels are NaN, infinite or too large for float32; allowed: finite "
                               "numbers; export the field again")
        return image
    raise InputRefused(f"{path}: pixels are {image.dtype}; allowed: integers from 0 to {MAX_VALUE}, or float; "
                       "export the grey values, not a mask")
