import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import disk
from skimage.feature import graycomatrix, graycoprops
from skimage.io import imread
from skimage.measure import label

from data_prep.measurement import texture
from data_prep.measurement.regions import Regions


@pytest.fixture
def labels():
    """Two discs, radius 10 and 15 px."""
    labels = np.zeros((120, 120), np.int32)
    labels[disk((30, 30), 10)] = 1
    labels[disk((80, 80), 15)] = 2
    return labels


def test_stripes_have_the_co_occurrence_that_can_be_counted():
    labels = np.zeros((12, 12), np.int32)
    labels[1:11, 1:11] = 1
    stripes = np.float32(10.0) * (np.arange(12) % 2) * np.ones((12, 1), np.float32)
    found = texture.texture(stripes, Regions.of(labels), "DNA")
    # right: 90 pairs, both diagonals: 162, all between the lowest and the highest of 16 levels; down: 90 of equals
    unequal = (90 + 162) / (90 + 162 + 90)
    np.testing.assert_allclose(found["Nuclei_Texture_Contrast_DNA"], unequal * 15**2)
    np.testing.assert_allclose(found["Nuclei_Texture_Homogeneity_DNA"], unequal / (1 + 15**2) + (1 - unequal))
    energy = np.sqrt(2 * (unequal / 2) ** 2 + 2 * ((1 - unequal) / 2) ** 2)
    np.testing.assert_allclose(found["Nuclei_Texture_Energy_DNA"], energy)
    np.testing.assert_allclose(found["Nuclei_Texture_Correlation_DNA"], 1 - 2 * unequal)


def test_texture_equals_scikit_images_matrix_of_each_nucleus_on_real_ones(shared_data):
    folder = shared_data / "bbbc039_u2os_hoechst"
    path = sorted((folder / "masks").glob("*.png"))[0]
    labels = label(imread(path)[..., 0], connectivity=1).astype(np.int32)
    image = imread(folder / "images" / f"{path.stem}.tif").astype(np.float32)
    found = texture.texture(image, Regions.of(labels), "DNA")
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        inside = labels[box] == number
        low, high = np.percentile(image[box][inside], (1, 99))
        grey = 1 + np.clip((image[box] - low) / max(high - low, 1e-6) * 16, 0, 15).astype(np.uint8)
        angles = np.arange(4) * np.pi / 4
        counts = graycomatrix(np.where(inside, grey, 0), [1], angles, levels=17, symmetric=True)[1:, 1:].sum(axis=3)
        for name in ("contrast", "homogeneity", "energy", "correlation"):
            expected = graycoprops(counts[..., None], name)[0, 0]
            value = found[f"Nuclei_Texture_{name.capitalize()}_DNA"][number - 1]
            np.testing.assert_allclose(value, expected, rtol=1e-9, err_msg=name)


def test_percentiles_are_numpys_to_the_last_bit():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 30, (50, 60)).astype(np.int32)
    labels[labels == 5] = 0
    labels[0, 0] = 5  # one pixel
    values = rng.gamma(2, 50, labels.shape).astype(np.float32)
    regions = Regions.of(labels)
    found = texture.percentiles(values.ravel()[regions.pixels], regions, (1, 50, 99))
    expected = [np.percentile(values[labels == number], (1, 50, 99)) for number in range(1, 30)]
    np.testing.assert_array_equal(np.transpose(found), expected)


def test_texture_tells_smooth_from_speckled_and_ignores_gain(labels):
    speckle = np.random.default_rng(0).random(labels.shape).astype(np.float32)
    channels = (speckle, ndimage.gaussian_filter(speckle, 3), 7 * speckle)
    rough, even, bright = (texture.texture(c, Regions.of(labels), "DNA")["Nuclei_Texture_Contrast_DNA"]
                           for c in channels)
    assert np.all(rough > 3 * even)
    np.testing.assert_allclose(bright, rough, rtol=0.05)


def test_blur_lowers_edge_sharpness_and_gain_does_not(labels):
    dna = np.choose(labels, (0, 50, 20)).astype(np.float32)
    channels = (dna, ndimage.gaussian_filter(dna, 3), 9 * dna)
    sharp, blurred, bright = (texture.edge(c, Regions.of(labels), "DNA")["Nuclei_Texture_EdgeSharpness_DNA"]
                              for c in channels)
    assert np.all(blurred < 0.6 * sharp)
    np.testing.assert_allclose(bright, sharp, rtol=1e-5)


def test_a_nucleus_that_fills_the_field_has_no_outline_to_be_sharp():
    found = texture.edge(np.ones((9, 9), np.float32), Regions.of(np.ones((9, 9), np.int32)), "DNA")
    assert np.isnan(found["Nuclei_Texture_EdgeSharpness_DNA"]).all()
