import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import disk

from cellcycle_jax.schema import Compartment
from data_prep.cells import crop
from data_prep.measurement import measure


def scene():
    labels = np.zeros((100, 100), np.int32)
    labels[disk((50, 40), 8)] = 1
    labels[disk((50, 70), 8)] = 2
    image = np.random.default_rng(0).random((100, 100, 2)).astype(np.float32) * 100
    return image, labels, measure.cell_bodies(labels, 6)


def cut_one(image, labels, bodies, number, centre, *settings):
    """(image, compartments) of one nucleus."""
    (pixels,), (bits,) = crop.cut_all(image, labels, bodies, [number], [centre], *settings)
    return pixels, bits


def cut(number, centre, scale=1.0, size=32):
    image, labels, bodies = scene()
    stain = np.zeros((100, 100), bool)
    stain[44:56, 50:60] = True
    debris = np.zeros((100, 100), bool)
    return cut_one(image, labels, bodies, number, centre, size, scale, np.float32([7, 9]), stain, debris)


def test_crop_is_the_picture_around_the_centre():
    image, labels, _ = scene()
    pixels, bits = cut(1, (50, 40))
    np.testing.assert_array_equal(pixels, image[34:66, 24:56])
    np.testing.assert_array_equal(bits & Compartment.NUCLEUS > 0, (labels == 1)[34:66, 24:56])


def test_flags_tell_own_from_other_and_stain_only_in_the_own_body():
    _, bits = cut(1, (50, 40), size=64)
    _, labels, bodies = scene()
    window = np.s_[18:82, 8:72]
    np.testing.assert_array_equal(bits & Compartment.OTHER_NUCLEI > 0, (labels == 2)[window])
    np.testing.assert_array_equal(bits & Compartment.BODY > 0, (bodies == 1)[window])
    stain = bits & Compartment.ORGANELLE > 0
    assert stain.any() and not np.any(stain & (bodies != 1)[window])


def test_outside_the_field_stands_the_background():
    pixels, bits = cut(1, (3, 3))
    assert np.all(pixels[:13] == np.float32([7, 9])) and np.all(bits[:13] == 0)
    image, _, _ = scene()
    np.testing.assert_array_equal(pixels[13:, 13:], image[:19, :19])


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_resampling_keeps_area_in_um(scale):
    _, bits = cut(1, (50, 40), scale, size=48)
    assert (bits & Compartment.NUCLEUS > 0).sum() == pytest.approx(scale**2 * (scene()[1] == 1).sum(), rel=0.08)


def test_resampling_keeps_the_mean_of_a_smooth_picture():
    y, x = np.mgrid[:100, :100]
    image = np.dstack([y + 2 * x]).astype(np.float32)
    labels = scene()[1]
    no_debris = np.zeros_like(labels, bool)
    pixels, _ = cut_one(image, labels, labels, 1, (50, 40), 16, 0.5, np.float32([0]), None, no_debris)
    np.testing.assert_allclose(pixels[8, 8], 50 + 80, atol=0.5)
    np.testing.assert_allclose(pixels[8, 9] - pixels[8, 8], 4, atol=0.1)


@pytest.mark.parametrize("scale", [0.4, 0.77, 1.0, 1.6])
def test_all_crops_at_once_are_those_cut_one_by_one(scale):
    image, labels, bodies = scene()
    stain, debris = np.random.default_rng(1).random((2, 100, 100)) < 0.3
    numbers, centres = [2, 1], [(50.2, 70.0), (3.0, 97.6)]
    settings = (24, scale, np.float32([7, 9]), stain, debris)
    pixels, bits = crop.cut_all(image, labels, bodies, numbers, centres, *settings)
    assert pixels.dtype == np.float32 and bits.dtype == np.uint8
    for i, (number, centre) in enumerate(zip(numbers, centres, strict=True)):
        one, its_bits = cut_one(image, labels, bodies, number, centre, *settings)
        np.testing.assert_array_equal(pixels[i], one)
        np.testing.assert_array_equal(bits[i], its_bits)


@pytest.mark.parametrize("scale", [0.4, 0.77, 1.6])
def test_resampling_is_a_blur_and_linear_interpolation(scale):
    image, labels, _ = scene()
    blurred = ndimage.gaussian_filter(image[..., 0], 0.5 * max(1 / scale - 1, 0), truncate=4)
    steps = (np.arange(16) - 8) / scale
    places = np.meshgrid(50 + steps, 47 + steps, indexing="ij")
    found = crop.pictures(image, [(50, 47)], 16, scale, np.float32([0, 0]))[0, ..., 0]
    expected = ndimage.map_coordinates(blurred, places, order=1)
    inner = np.s_[3:-3, 3:-3]  # a crop is blurred within its own window
    np.testing.assert_allclose(found[inner], expected[inner], rtol=1e-5)
    nearest = ndimage.map_coordinates(labels, places, order=0)
    np.testing.assert_array_equal(crop.masks(labels, [(50, 47)], 16, scale)[0], nearest)


def test_no_nuclei_give_no_crops():
    image, labels, bodies = scene()
    settings = (16, 1.0, np.float32([0, 0]), None, labels > 0)
    pixels, bits = crop.cut_all(image, labels, bodies, [], np.zeros((0, 2)), *settings)
    assert pixels.shape == (0, 16, 16, 2) and bits.shape == (0, 16, 16)
