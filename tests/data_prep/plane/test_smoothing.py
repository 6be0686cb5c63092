import numpy as np
import pytest
from scipy import ndimage

from data_prep.plane.smoothing import LINES, gaussian_mean


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (LINES, LINES), (LINES + 1, 2 * LINES - 1), (130, 97)])
@pytest.mark.parametrize("sigma, truncate", [(0.5, 4.0), (2.3, 4.0), (9.0, 3.0)])
def test_means_are_those_of_scipy(shape, sigma, truncate):
    image = np.random.default_rng(0).normal(500, 100, shape)
    expected = ndimage.gaussian_filter(image, sigma, truncate=truncate)
    found = gaussian_mean(image, sigma, truncate)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=2e-6)


def test_a_point_becomes_a_gaussian():
    image = np.zeros((81, 81), np.float32)
    image[40, 40] = 1
    found = gaussian_mean(image, 3.0)
    assert found.sum() == pytest.approx(1, rel=1e-5)
    assert found[40, 40] == pytest.approx(1 / (2 * np.pi * 9), rel=1e-3)
    assert found[40, 43] / found[40, 40] == pytest.approx(np.exp(-0.5), rel=1e-4)
    np.testing.assert_allclose(found, found.T, rtol=1e-5)


def test_whole_numbers_and_a_channel_of_several_are_taken_as_they_are():
    image = np.random.default_rng(0).integers(0, 65535, (40, 50, 3), np.uint16)
    plane = image[..., 1]
    np.testing.assert_array_equal(gaussian_mean(plane, 1.5), gaussian_mean(plane.astype(np.float32), 1.5))
