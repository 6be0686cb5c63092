"""Look-up tables by which a picture is shown, and whether its stored numbers are grey values all the same."""

import numpy as np

TOLERANCE = 1.5 / 255  # share of the highest grey by which an entry may be off, as rounding makes it


def is_grey_ramp(palette: np.ndarray, bits: int, top: int) -> bool:
    """Whether a palette shows every number as the grey of that number, so that the numbers are grey values.

    Greys that rise unevenly are no ramp: a program that packs pictures may have numbered the greys that occur.

    Args:
        palette: [3, N] red, green and blue of the numbers 0 to N - 1, where N may be less than 2 ** bits.
        bits: of a stored number.
        top: what the highest number of so many bits would have to be shown as.
    """
    red, green, blue = np.asarray(palette, np.float64)
    if top <= 0 or not ((red == green).all() and (green == blue).all()):
        return False
    ramp = np.arange(len(red)) / (2**bits - 1)
    return len(red) > 1 and bool((np.abs(red / top - ramp) <= TOLERANCE).all())
