import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import disk, ellipse

from data_prep.segmentation.joining import joined, moments, stretch


def painted(*shapes):
    """Labels i32 [80, 120], one for each of the (rows, columns), and the signal that soft edges make of them."""
    labels = np.zeros((80, 120), np.int32)
    for label, where in enumerate(shapes, 1):
        labels[where] = label
    return labels, ndimage.gaussian_filter((labels > 0).astype(np.float32), 1)


def test_moments_of_a_rectangle():
    labels = np.zeros((6, 9), np.int32)
    labels[2:4, 3:6] = 1  # y is 2 or 3, x is 3, 4 or 5
    assert moments(labels)[:, 1].tolist() == [6, 15, 24, 39, 100, 60]


def test_moments_of_two_parts_are_those_of_the_whole():
    whole, _ = painted(disk((40, 60), 20))
    halves = np.where(whole > 0, 1 + (np.arange(120) > 57), 0)
    np.testing.assert_array_equal(moments(halves)[:, 1:].sum(1), moments(whole)[:, 1])


def test_stretch_is_1_for_ellipses_and_more_for_pairs():
    labels, _ = painted(ellipse(20, 30, 9, 19, rotation=0.4), disk((55, 80), 15))
    np.testing.assert_allclose(stretch(moments(labels))[1:], 1, atol=0.01)
    pair = np.minimum(painted(disk((40, 40), 15), disk((40, 69), 15))[0], 1)
    assert stretch(moments(pair))[1] > 1.05
    square = np.ones((20, 20), np.int32)
    assert stretch(moments(square))[1] == pytest.approx(np.pi / 3, rel=1e-6)


def test_halves_of_a_disc_are_joined():
    whole, signal = painted(disk((40, 60), 15))
    halves = np.where(whole > 0, 1 + (np.arange(120) > 58), 0)
    np.testing.assert_array_equal(joined(halves, signal, 30) > 0, whole > 0)
    assert len(np.unique(joined(halves, signal, 30))) == 2


def test_quarters_of_a_disc_are_joined_step_by_step():
    whole, signal = painted(disk((40, 60), 15))
    quarters = np.where(whole > 0, 1 + (np.arange(120) > 60) + 2 * (np.arange(80) > 40)[:, None], 0)
    assert len(np.unique(joined(quarters, signal, 30))) == 2


def test_touching_discs_stay_two():
    parts, signal = painted(disk((40, 40), 15), disk((40, 68), 15))
    np.testing.assert_array_equal(joined(parts, signal, 30), parts)


def test_halves_of_unlike_brightness_stay_two():
    whole, signal = painted(disk((40, 60), 15))
    right = np.arange(120) > 58
    halves = np.where(whole > 0, 1 + right, 0)
    assert len(np.unique(joined(halves, signal * np.where(right, 1, 0.15), 30))) == 3


def test_nothing_stays_nothing():
    nothing, signal = painted()
    assert joined(nothing, signal, 30).max() == 0
