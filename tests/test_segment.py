import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import disk, ellipse

from data_prep.segment import measure_diameter, segment_nuclei


def drawn(shapes, size=200, noise=8.0):
    image = np.full((size, size), 100.0)
    for rows, columns in shapes:
        image[rows, columns] = 900
    image = ndimage.gaussian_filter(image, 1.0)
    return image + np.random.default_rng(0).normal(0, noise, image.shape)


def test_area_and_place_of_a_drawn_disc():
    labels = segment_nuclei(drawn([disk((80, 120), 15)]), diameter=30)
    assert labels.max() == 1
    assert (labels == 1).sum() == pytest.approx(np.pi * 15**2, rel=0.06)
    assert np.allclose(ndimage.center_of_mass(labels), (80, 120), atol=0.5)


def test_touching_discs_are_split_in_the_middle():
    labels = segment_nuclei(drawn([disk((100, 80), 15), disk((100, 108), 15)]), diameter=30)
    assert labels.max() == 2
    left, right = labels[100, 80], labels[100, 108]
    assert left != right
    assert (labels == left).sum() == pytest.approx((labels == right).sum(), rel=0.1)


def test_long_nucleus_is_not_split():
    assert segment_nuclei(drawn([ellipse(100, 100, 12, 24)]), diameter=30).max() == 1


def test_nucleus_at_the_border_is_found():
    assert segment_nuclei(drawn([disk((100, 2), 15, shape=(200, 200))]), diameter=30).max() == 1


def test_dim_nucleus_beside_a_bright_one_is_found():
    image = drawn([disk((60, 60), 15)])
    rows, columns = disk((140, 140), 15)
    image[rows, columns] += 150
    assert segment_nuclei(image, diameter=30).max() == 2


def test_flat_and_noisy_images_hold_nothing():
    assert segment_nuclei(np.full((100, 100), 7.0)).max() == 0
    assert segment_nuclei(np.random.default_rng(0).normal(100, 5, (100, 100)), diameter=30).max() == 0


def test_brightness_and_offset_of_the_camera_do_not_matter():
    image = drawn([disk((100, 80), 15), disk((100, 108), 15), disk((40, 40), 12)])
    np.testing.assert_array_equal(segment_nuclei(image, diameter=30), segment_nuclei(image * 13 + 500, diameter=30))


def test_diameter_is_measured_whatever_the_first_guess():
    image = drawn([disk((40 + 50 * i, 40 + 50 * j), 14) for i in range(3) for j in range(3)])
    for guess in (18.0, 28.0, 45.0):
        assert measure_diameter(image, guess) == pytest.approx(28, rel=0.1)


def test_diameter_in_um_needs_the_pixel_size():
    image = drawn([disk((80, 120), 15)])
    in_um, in_px = segment_nuclei(image, pixel_um=0.5, diameter=15.0), segment_nuclei(image, diameter=30.0)
    np.testing.assert_array_equal(in_um, in_px)
