"""How much memory a field takes, and how many can be treated at once."""

import sys

from cellcycle_jax import machine
from cellcycle_jax.errors import ResourceMissing

OF_A_WORKER = 450 * 2**20  # bytes that a process holds before it reads a field
OF_A_PIXEL = 28  # bytes for each pixel of each channel at the peak (bench/scale.py); 4 of them are the field as f32
GIB = 2**30


def needed(pixels: int) -> int:
    """Bytes that a worker holds at its peak for a field of H x W x C `pixels`."""
    return OF_A_WORKER + OF_A_PIXEL * pixels


def refuse_lack(pixels: int, what) -> None:
    """Refuse a field for which there is not enough memory, before it is read.

    Args:
        pixels: H x W x C that the file declares.
        what: the file, for the error.

    Raises:
        ResourceMissing: names what is needed and what is free.
    """
    _refuse(needed(pixels), f"{what}: a field of {pixels / 1e6:,.0f} million pixels in all channels")


def refuse_lack_to_decode(nbytes: int, what) -> None:
    """Refuse a file whose pixels do not fit into memory twice, as decoded and as put in order, before it is decoded.

    Args:
        nbytes: of all pixels that the file declares, planes of z too.
        what: the file, for the error.

    Raises:
        ResourceMissing: names what is needed and what is free.
    """
    _refuse(2 * nbytes, f"{what}: a file of {nbytes / GIB:.1f} GiB of pixels")


def _refuse(wanted, what):
    free = machine.free_memory()
    if wanted > free:
        raise ResourceMissing(
            f"{what} takes {wanted / GIB:.1f} GiB of memory, and {free / GIB:.1f} GiB are free; "
            "close other programs, ask for more memory, or cut the image into fields"
        )


def workers_that_fit(wanted: int, pixels: int) -> int:
    """How many of `wanted` workers the memory that is free now allows, for fields of H x W x C `pixels`; at least 1."""
    free = machine.free_memory()
    each = needed(pixels)
    fitting = max(1, int(free // each))
    if fitting < wanted:
        note = (
            f"note: {fitting} field(s) at a time instead of {wanted}: "
            f"each takes {each / GIB:.1f} GiB of memory, and {free / GIB:.1f} GiB are free"
        )
        print(note, file=sys.stderr)
    return min(wanted, fitting)
