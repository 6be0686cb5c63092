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
    palette = np.asarray(palette, np.float64)
    grey = palette[0]
    if top <= 0 or len(grey) < 2 or (palette != grey).any():
        return False
    ramp = np.arange(len(grey)) / (2**bits - 1)
    return bool((np.abs(grey / top - ramp) <= TOLERANCE).all())
