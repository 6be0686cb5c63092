import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import disk, ellipse

from bench import segmentation
from data_prep.plane.smoothing import gaussian_mean
from data_prep.segmentation import segment
from data_prep.segmentation.segment import measure_diameter, segment_nuclei


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


def test_discs_of_several_sizes_keep_their_areas():
    radii = {(40, 40): 8, (40, 130): 11, (130, 45): 15, (130, 140): 19}
    labels = segment_nuclei(drawn([disk(centre, radius) for centre, radius in radii.items()]))
    assert labels.max() == 4
    for centre, radius in radii.items():
        assert (labels == labels[centre]).sum() == pytest.approx(np.pi * radius**2, rel=0.12)


def test_a_chain_of_three_is_three():
    assert segment_nuclei(drawn([disk((100, 60 + 28 * i), 15) for i in range(3)]), diameter=30).max() == 3


def test_uneven_background_is_no_nucleus_and_hides_none():
    centres = [(40 + 60 * i, 40 + 60 * j) for i in range(3) for j in range(3)]
    image = drawn([disk(centre, 14) for centre in centres]) + np.linspace(0, 1200, 200)  # more than a nucleus is bright
    labels = segment_nuclei(image)
    assert labels.max() == 9 and all(labels[centre] for centre in centres)


def test_nuclei_in_a_bright_tissue_are_told_apart():
    centres = [(40 + 30 * i, 40 + 30 * j) for i in range(5) for j in range(5)]
    image = drawn([disk(centre, 10) for centre in centres])
    tissue = np.zeros(image.shape)
    tissue[15:185, 15:185] = 700
    labels = segment_nuclei(image + ndimage.gaussian_filter(tissue, 8.0))
    assert len({labels[centre] for centre in centres} - {0}) == 25
    areas = np.bincount(labels.ravel())[[labels[centre] for centre in centres]]
    np.testing.assert_allclose(areas, np.pi * 10**2, rtol=0.25)


def test_bright_debris_hides_no_dim_nuclei():
    image = drawn([disk((40 + 60 * i, 40 + 60 * j), 14) for i in range(3) for j in range(3)])
    image[disk((70, 70), 3)] = 20000
    labels = segment_nuclei(image)
    assert all(labels[40 + 60 * i, 40 + 60 * j] for i in range(3) for j in range(3))
    assert labels.max() <= 10


def drawn_unequal(centres, radius, size, blur):
    """Separate discs, the brightest four times as bright as the dimmest, out of focus by `blur` px."""
    image = np.zeros((size, size))
    for i, centre in enumerate(centres):
        image[disk(centre, radius)] = 200 + 600 * (i * 7 % 10) / 9
    image = ndimage.gaussian_filter(image, blur) + 0.06 * ndimage.gaussian_filter(image, 4 * radius) + 100
    return image + np.random.default_rng(0).normal(0, 3, image.shape)


def with_specks(image, specks, height, sigma):
    y, x = np.mgrid[:image.shape[0], :image.shape[1]]
    return image + sum(height * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 2 / sigma**2) for row, column in specks)


@pytest.mark.parametrize("times", [5, 20, 100])
@pytest.mark.parametrize("pixel_um", [None, 0.9])
def test_one_object_brighter_by_far_hides_no_nuclei(times, pixel_um):
    centres = [(40 + 45 * i, 40 + 75 * j + 20 * (i % 2)) for i in range(8) for j in range(5)]
    image = with_specks(drawn_unequal(centres, 9, 400, 1.5), [(8, 392)], times * 800, 5)
    labels = segment_nuclei(image, pixel_um)
    at = [labels[centre] for centre in centres]
    assert 0 not in at and len(set(at)) == 40 and labels.max() <= 41
    np.testing.assert_allclose(np.bincount(labels.ravel())[at], np.pi * 9**2, rtol=0.2)


@pytest.mark.parametrize(("number", "sigma", "height"), [(16, 3, 20000), (6, 5, 20000), (6, 5, 40000)])
def test_few_bright_specks_among_large_nuclei_do_not_set_the_diameter(number, sigma, height):
    centres = [(70 + 125 * i, 70 + 125 * j) for i in range(5) for j in range(5)]
    specks = [(132 + 125 * i, 132 + 125 * j) for i in range(4) for j in range(4)]
    image = with_specks(drawn_unequal(centres, 40, 640, 3), specks[:number], height, sigma)
    assert measure_diameter(image, 24.0) == pytest.approx(80, rel=0.1)
    labels = segment_nuclei(image)
    at = [labels[centre] for centre in centres]
    assert 0 not in at and len(set(at)) == 25
    np.testing.assert_allclose(np.bincount(labels.ravel())[at], np.pi * 40**2, rtol=0.1)


def test_only_few_and_extreme_objects_are_clipped():
    rng = np.random.default_rng(0)
    edges, nuclei = np.geomspace(40, 600, 3000), rng.normal(800, 150, 4000).clip(100)
    field, mitotic = np.concatenate([edges, nuclei]), rng.normal(3000, 500, 100)
    assert segment.without_glare(np.concatenate([field, mitotic])) == np.inf
    assert 800 < segment.without_glare(np.concatenate([field, 16 * mitotic])) < 1600
    haze = rng.normal(30, 8, 5000).clip(5)
    assert segment.without_glare(np.concatenate([haze, nuclei[:800]])) == np.inf  # far brighter, but the nuclei
    assert segment.without_glare(np.full(100, 7, np.float32)) == np.inf


def test_a_flat_field_or_only_noise_holds_nothing_whatever_the_method():
    rng = np.random.default_rng(1)
    for image in (np.zeros((120, 150)), rng.normal(100, 5, (300, 300)), rng.poisson(40, (300, 300))):
        assert segment_nuclei(image).max() == 0


@pytest.mark.parametrize("value", [0.3, 1, 700, 4095, 65535, 3e6])
@pytest.mark.parametrize("shape", [(120, 150), (301, 300)])
def test_a_blur_rounds_a_flat_field_which_makes_no_nuclei(value, shape):
    image = np.full(shape, value, np.float32)
    blurred = gaussian_mean(image, 1.3) + value * 2e-7 * np.random.default_rng(0).normal(size=shape)
    for flat in (image, blurred.astype(np.float32)):
        signal, height = segment.foreground(flat, 24.0)
        assert height.max() < 0
        assert segment_nuclei(flat).max() == 0


def test_eight_and_sixteen_bits_say_the_same():
    image = np.clip(drawn([disk((100, 80), 15), disk((100, 108), 15), disk((40, 40), 12)]) / 4, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(segment_nuclei(image), segment_nuclei(image.astype(np.uint16) * 257))


def test_diameter_is_measured_from_few_or_small_nuclei():
    one = drawn([disk((100, 100), 20)])
    small = drawn([disk((20 + 18 * i, 20 + 18 * j), 5) for i in range(9) for j in range(9)])
    assert measure_diameter(one, 24.0) == pytest.approx(40, rel=0.1)
    assert measure_diameter(small, 48.0) == pytest.approx(10, rel=0.25)


def large_nuclei(seed=0):
    """Four separate ellipses of some 70 px and a touching pair, in 512 x 512."""
    shapes = [ellipse(100, 110, 30, 40), ellipse(110, 390, 38, 32, rotation=0.5), ellipse(390, 120, 34, 34),
              ellipse(256, 250, 30, 42, rotation=1.0), disk((390, 350), 34), disk((390, 412), 34)]
    return drawn(shapes, size=512, noise=20).astype(np.float32)


@pytest.mark.parametrize("method", ["otsu", "watershed"])
def test_a_coarse_grid_finds_the_same_outlines(method, monkeypatch):
    coarse = segment_nuclei(large_nuclei(), diameter=70, method=method) > 0
    monkeypatch.setattr(segment, "WORKING_DIAMETER_PX", 1000.0)
    fine = segment_nuclei(large_nuclei(), diameter=70, method=method) > 0
    assert (coarse & fine).sum() / (coarse | fine).sum() >= 0.99


def test_otsu_leaves_touching_nuclei_together():
    assert segment_nuclei(large_nuclei(), diameter=70, method="otsu").max() == 5
    assert segment_nuclei(large_nuclei(), diameter=70).max() == 6


def test_scores_of_a_drawn_pair():
    truth, found = np.zeros((10, 40), np.int32), np.zeros((10, 40), np.int32)
    for label, columns in enumerate((slice(0, 10), slice(10, 20), slice(25, 29), slice(30, 38)), 1):
        truth[:, columns] = label
    found[:, 0:20] = 1  # covers two
    found[:, 25:28] = 2  # 3 / 4 of the third
    found[0:5, 30:38], found[5:10, 30:38] = 3, 4  # halves of the fourth
    found[:, 39] = 5
    hits = segmentation.hits(truth, found)
    assert hits.tolist() == [1, 1, 1, 1, 1, 0, 0, 0, 0]  # an overlap has to be above the level, not at it
    assert segmentation.f1(np.array([*hits, 4, 5]))[0] == pytest.approx(2 / 9)
    assert segmentation.failures(truth, found) == {"merged": [1], "split": [4], "missed": [], "spurious": [5]}


def test_an_object_that_others_leave_no_ground_is_kept():
    labels = np.zeros((40, 40), np.int32)
    labels[:, :20], labels[:, 20:] = 1, 2  # nothing lies outside
    found, height = segment.fitted(labels, np.full((40, 40), 100.0), 20)
    assert found.shape == height.shape == (40, 40) and set(np.unique(found)) <= {0, 1, 2}


def test_an_outline_lies_between_the_ground_and_the_brightness_of_the_object_itself():
    labels, signal = np.zeros((60, 80), np.int32), np.zeros((60, 80), np.float32)
    labels[:, 20:50] = 1
    for width, brightness in ((4, 40), (3, 50), (2, 60), (1, 80), (0, 100)):  # falls by steps to both sides
        signal[:, 20 - width : 50 + width] = brightness
    found, height = segment.fitted(labels, signal, 40)  # may move by 4 px
    assert np.flatnonzero(found[30]).tolist() == list(range(17, 53))  # 50 is above EDGE of 100, 40 is not
    assert height[30, 52] == pytest.approx(50 - 45) and height[30, 53] == pytest.approx(40 - 45)
    assert height[0, 0] < 0


def test_objects_that_do_not_stand_out_of_their_ground_go_and_the_others_close_the_gap():
    labels, signal = np.zeros((60, 120), np.int32), np.full((60, 120), 50, np.float32)
    labels[20:40, 10:30], labels[20:40, 50:70], labels[20:40, 90:110] = 1, 2, 3
    signal[labels == 1], signal[labels == 2], signal[labels == 3] = 200, 60, 300
    found, _ = segment.fitted(labels, signal, 20)
    np.testing.assert_array_equal(found, np.select([labels == 1, labels == 3], [1, 2], 0))


def test_an_inverted_picture_is_segmented_without_an_error():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:200, :200]
    image = 1000 - 800.0 * sum(((y - a) ** 2 + (x - b) ** 2 < 144) for a in (40, 100, 160) for b in (40, 100, 160))
    labels = segment.segment_nuclei(image + rng.normal(0, 10, image.shape))
    assert (np.unique(labels[labels > 0]) == np.arange(1, labels.max() + 1)).all()  # pieces of bright ground
