import numpy as np
import pytest
from scipy import ndimage

from data_prep.reading.projection import best_plane, project


@pytest.fixture
def planes():
    """Three planes u16 whose maximum and mean are known at a glance."""
    return np.array([[[1, 9], [2, 5]], [[4, 9], [2, 6]], [[2, 0], [2, 8]]], np.uint16)


def test_maximum(planes):
    np.testing.assert_array_equal(project([planes], "max")[0], [[4, 9], [2, 8]])


def test_mean_is_rounded_and_keeps_the_number_type(planes):
    (mean,) = project([planes], "mean")
    assert mean.dtype == np.uint16
    np.testing.assert_array_equal(mean, [[2, 6], [2, 6]])  # 7/3, 18/3, 6/3, 19/3
    assert project([planes.astype(np.float32)], "mean")[0][0, 0] == pytest.approx(7 / 3)


def test_mean_of_full_range_planes_does_not_overflow():
    assert project([np.full((50, 2, 2), 65535, np.uint16)], "mean")[0].max() == 65535


@pytest.fixture
def focused():
    """A pattern that is sharp in plane 3 of 5, u16, and the blur of each plane."""
    pattern = np.random.default_rng(0).integers(0, 4000, (60, 60)).astype(float)
    pattern = ndimage.gaussian_filter(pattern, 1)
    return np.stack([ndimage.gaussian_filter(pattern, abs(z - 3) * 1.5) for z in range(5)]).astype(np.uint16)


def test_focus_takes_the_sharp_plane_as_it_is(focused):
    np.testing.assert_array_equal(project([focused], "focus")[0], focused[3])


def test_focus_is_the_same_plane_for_all_channels_and_not_the_brightest_channel_s_noise(focused):
    noise = np.random.default_rng(1).normal(30000, 100, focused.shape).astype(np.uint16)
    assert best_plane([focused, noise]) == 3
    np.testing.assert_array_equal(project([focused, noise], "focus")[1], noise[3])


def test_a_single_plane_beside_a_stack_is_kept(focused):
    flat = np.full((1, 60, 60), 7, np.uint16)
    for how in ("max", "mean", "focus"):
        np.testing.assert_array_equal(project([focused, flat], how)[1], flat[0])
