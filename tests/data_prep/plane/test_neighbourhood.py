import numpy as np
import pytest
from scipy import ndimage
from skimage import morphology, segmentation

from data_prep.plane.neighbourhood import highest_nearby, inner_edge, opened, surrounded

MASK = np.random.default_rng(0).random((40, 57)) < 0.8


@pytest.mark.parametrize("shape", [(30, 41), (2, 9), (1, 1)])
@pytest.mark.parametrize("reach", [1, 2, 5])
def test_the_highest_is_that_of_the_square(shape, reach):
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected = ndimage.maximum_filter(image, 2 * reach + 1, mode="nearest")
    np.testing.assert_array_equal(highest_nearby(image, reach), expected)


def test_the_image_stays_as_it_is():
    image = np.eye(5)
    highest_nearby(image, 1)
    np.testing.assert_array_equal(image, np.eye(5))


def test_surrounded_pixels_lie_that_far_inside():
    mask = np.zeros((20, 30), bool)
    mask[4:13, 6:17] = True
    expected = np.zeros((20, 30), bool)
    expected[6:11, 8:15] = True
    np.testing.assert_array_equal(surrounded(mask, 2), expected)


def test_the_border_takes_nothing_from_what_is_surrounded():
    assert surrounded(np.ones((6, 7), bool), 2).all()


def test_the_inner_edge_is_the_librarys():
    labels = np.random.default_rng(0).integers(0, 3, (12, 15)).repeat(4, axis=0).repeat(5, axis=1)
    expected = segmentation.find_boundaries(labels, mode="inner")
    assert expected.any() and not expected[labels == 0].any()
    np.testing.assert_array_equal(inner_edge(labels), expected)


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_opening_is_that_of_scipy(radius):
    mask = ndimage.binary_dilation(~MASK, iterations=2)
    expected = ndimage.binary_opening(mask, morphology.disk(radius))
    assert expected.any() and (expected != mask).any()
    np.testing.assert_array_equal(opened(mask, radius), expected)
