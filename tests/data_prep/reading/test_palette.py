"""Palettes under which stored numbers are grey values, and those under which they are not."""

import numpy as np
import pytest

from data_prep.reading.palette import is_grey_ramp

STEPS = np.arange(256)


def greys(entries):
    return np.tile(entries, (3, 1))


@pytest.mark.parametrize("entries, bits, top", [
    (STEPS * 257, 8, 65535), (STEPS * 256, 8, 65280), (STEPS, 8, 255), (np.arange(65536), 16, 65535),
    (STEPS[:120], 8, 255),  # entries that no pixel needs may be left out
    (np.round(STEPS * 257.0) + np.resize([0, 100, -100], 256), 8, 65535),  # rounded elsewhere
])
def test_a_rising_ramp_of_greys(entries, bits, top):
    assert is_grey_ramp(greys(entries), bits, top)


@pytest.mark.parametrize("palette, top", [
    (greys(STEPS[::-1]), 255),  # falling
    (np.stack([STEPS, STEPS, 0 * STEPS]), 255),  # yellow
    (greys([0, 17, 40, 255]), 255),  # the four greys of a packed picture
    (greys(np.where(STEPS < 100, 0, 255)), 255),  # a threshold
    (greys((STEPS / 255) ** 0.5 * 255), 255),  # a gamma
    (greys(0 * STEPS), 0), (greys([0]), 255),
])
def test_what_is_no_ramp(palette, top):
    assert not is_grey_ramp(palette, 8, top)
