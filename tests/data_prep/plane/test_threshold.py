import numpy as np
import pytest
from skimage import filters

from data_prep.plane.threshold import median, otsu_threshold, quantile


def test_otsu_lies_between_two_classes_as_the_librarys():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(100, 10, 4000), rng.normal(500, 20, 1000)]).astype(np.float32).reshape(50, 100)
    bin_width = float(np.ptp(values)) / 256
    assert otsu_threshold(values) == pytest.approx(filters.threshold_otsu(values), abs=bin_width)
    assert (values > otsu_threshold(values)).sum() == pytest.approx(1000, abs=2)


def test_otsu_of_equal_values_is_their_value():
    assert otsu_threshold(np.full((3, 4), 7, np.float32)) == 7


def test_otsu_of_two_values_parts_them():
    values = np.array([2, 2, 2, 9], np.float32)
    assert 2 < otsu_threshold(values) < 9


@pytest.mark.parametrize("share, expected", [(0, 0), (0.01, 1), (0.5, 50), (0.994, 99), (1, 100)])
def test_a_quantile_is_one_of_the_values(share, expected):
    values = np.random.default_rng(0).permutation(101).astype(np.float32)
    assert quantile(values, share) == expected
    assert quantile(values[:100].reshape(20, 5), 1) == values[:100].max()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 2, 3, 1000, 1001])
def test_the_median_is_exactly_numpys(count, dtype):
    values = np.random.default_rng(0).normal(500, 100, count).astype(dtype)
    before = values.copy()
    assert median(values) == np.median(values) and median(values).dtype == dtype
    np.testing.assert_array_equal(values, before)
