import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import disk
from skimage.measure import regionprops_table

from data_prep import measure


@pytest.fixture
def field():
    """Two discs of radius 10 and 15 px in three channels; Golgi: two squares beside the first disc."""
    labels = np.zeros((120, 120), np.int32)
    labels[disk((30, 30), 10)] = 1
    labels[disk((80, 80), 15)] = 2
    image = np.zeros((120, 120, 3), np.float32)
    image[..., 0] = np.where(labels == 1, 50, np.where(labels == 2, 20, 0))
    image[28:32, 44:48, 1] = 100
    image[36:40, 44:48, 1] = 100
    return image, labels


def measured(image, labels, pixel_um, masks=None):
    bodies = measure.cell_bodies(labels, 20)
    masks = {"Golgi": image[..., 1] > 0} if masks is None else masks
    return measure.measure_cells(image, labels, bodies, ("DNA", "Golgi", "EB1"), "DNA", masks, pixel_um)


def test_areas_and_sums_of_drawn_discs(field):
    image, labels = field
    found = measured(image, labels, 0.5)
    pixels = np.array([(labels == 1).sum(), (labels == 2).sum()])
    np.testing.assert_allclose(found["Nuclei_AreaShape_Area"], pixels * 0.25)
    np.testing.assert_allclose(found["Nuclei_Intensity_IntegratedIntensity_DNA"], pixels * [50, 20])
    np.testing.assert_allclose(found["Nuclei_Intensity_MeanIntensity_DNA"], [50, 20])
    np.testing.assert_allclose(found["Nuclei_Intensity_StdIntensity_DNA"], [0, 0], atol=1e-4)
    assert found["Nuclei_AreaShape_EquivalentDiameter"][0] == pytest.approx(10, rel=0.02)


def test_without_a_pixel_size_lengths_are_in_px(field):
    image, labels = field
    px, um = measured(image, labels, None), measured(image, labels, 0.5)
    for name, power in (("Nuclei_AreaShape_Area", 2), ("Nuclei_AreaShape_Perimeter", 1), ("Golgi_AreaShape_Area", 2),
                        ("Golgi_Distance_Spread", 1), ("Nuclei_AreaShape_Solidity", 0)):
        np.testing.assert_allclose(um[name][0], px[name][0] * 0.5**power)


def test_pieces_of_the_second_stain(field):
    image, labels = field
    found = measured(image, labels, 0.5)
    assert found["Golgi_AreaShape_Area"].tolist() == [32 * 0.25, 0]
    assert found["Golgi_Number_Pieces"].tolist() == [2, 0]
    # centre of the two squares: row 33.5, column 45.5; every pixel 4 px up or down of it and 1.118 px within its square
    assert found["Golgi_Distance_Spread"][0] == pytest.approx(0.5 * np.sqrt(16 + 2 * 1.25))
    assert found["Golgi_Distance_FromNucleus"][0] == pytest.approx(0.5 * np.hypot(3.5, 15.5), rel=0.01)
    assert np.isnan(found["Golgi_Distance_FromNucleus"][1])


def test_intensities_equal_scikit_image_on_noise(field):
    _, labels = field
    channel = np.random.default_rng(0).gamma(2, 50, labels.shape).astype(np.float32)
    image = np.dstack([channel] * 3)
    found = measured(image, labels, None, {})
    properties = ("intensity_mean", "intensity_max", "intensity_std")
    peer = regionprops_table(labels, channel.astype(float), properties=properties)
    np.testing.assert_allclose(found["Nuclei_Intensity_MeanIntensity_EB1"], peer["intensity_mean"], rtol=1e-6)
    np.testing.assert_allclose(found["Nuclei_Intensity_MaxIntensity_EB1"], peer["intensity_max"], rtol=1e-6)
    np.testing.assert_allclose(found["Nuclei_Intensity_StdIntensity_EB1"], peer["intensity_std"], rtol=1e-5)


def test_texture_tells_smooth_from_speckled_and_ignores_gain(field):
    _, labels = field
    rng = np.random.default_rng(0)
    speckle = rng.random(labels.shape).astype(np.float32)
    smooth = ndimage.gaussian_filter(speckle, 3)
    channels = (speckle, smooth, 7 * speckle)
    rough, even, bright = (measure.texture(c, labels, "DNA")["Nuclei_Texture_Contrast_DNA"] for c in channels)
    assert np.all(rough > 3 * even)
    np.testing.assert_allclose(bright, rough, rtol=0.05)


def test_blur_lowers_edge_sharpness_and_gain_does_not(field):
    image, labels = field
    dna = image[..., 0]
    channels = (dna, ndimage.gaussian_filter(dna, 3), 9 * dna)
    sharp, blurred, bright = (measure.edge(c, labels, "DNA")["Nuclei_Texture_EdgeSharpness_DNA"] for c in channels)
    assert np.all(blurred < 0.6 * sharp)
    np.testing.assert_allclose(bright, sharp, rtol=1e-5)


def test_stain_mask_finds_bright_pieces_whatever_the_gain(field):
    image, labels = field
    bodies = measure.cell_bodies(labels, 20)
    truth = image[..., 1] > 0
    noisy = ndimage.gaussian_filter(image[..., 1], 0.7) + np.random.default_rng(0).normal(0, 2, labels.shape)
    for gain in (1, 20):
        found = measure.stain_mask(gain * noisy.astype(np.float32), bodies, 25)
        assert (found & truth).sum() / (found | truth).sum() > 0.6


def test_dots_are_counted_one_by_one():
    labels = np.zeros((100, 100), np.int32)
    labels[disk((50, 50), 12)] = 1
    bodies = measure.cell_bodies(labels, 20)
    channel = np.zeros(labels.shape)
    places = [(50, 20), (50, 24), (50, 28), (30, 40), (70, 60)]  # the first three are 4 px apart
    for y, x in places:
        channel[y, x] += 100
    channel = ndimage.gaussian_filter(channel, 0.7).astype(np.float32)
    channel[:10, :10] += 50  # outside every cell
    found = measure.dots(channel, bodies, 32, "EB1", 0.5)
    assert found["EB1_Number_Dots"].tolist() == [len(places)]
    np.testing.assert_allclose(found["EB1_Number_DotDensity"], len(places) / ((bodies == 1).sum() * 0.25))
