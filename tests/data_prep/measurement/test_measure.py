import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import disk
from skimage.io import imread
from skimage.measure import label, regionprops_table

from cellcycle_jax import schema
from data_prep.measurement import measure
from data_prep.measurement.measure import LabelledField
from data_prep.measurement.regions import Regions

# what scikit-image has too: {its property: (our column, power of the pixel size)}
SAME = {
    "area": ("AreaShape_Area", 2), "perimeter": ("AreaShape_Perimeter", 1), "solidity": ("AreaShape_Solidity", 0),
    "eccentricity": ("AreaShape_Eccentricity", 0), "extent": ("AreaShape_Extent", 0),
    "axis_major_length": ("AreaShape_MajorAxisLength", 1), "axis_minor_length": ("AreaShape_MinorAxisLength", 1),
    "equivalent_diameter_area": ("AreaShape_EquivalentDiameter", 1),
    "intensity_mean": ("Intensity_MeanIntensity_DNA", 0), "intensity_max": ("Intensity_MaxIntensity_DNA", 0),
    "intensity_std": ("Intensity_StdIntensity_DNA", 0),
}


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
    return measure.measure_cells(LabelledField(image, labels, bodies, ("DNA", "Golgi", "EB1"), "DNA", masks, pixel_um))


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
    for name, power in (("Nuclei_AreaShape_Area", 2), ("Nuclei_AreaShape_Perimeter", 1),
                        ("Cells_AreaShape_ObjectArea_Golgi", 2), ("Cells_Distance_Spread_Golgi", 1),
                        ("Nuclei_AreaShape_Solidity", 0)):
        np.testing.assert_allclose(um[name][0], px[name][0] * 0.5**power)


def test_the_objects_of_a_stain(field):
    image, labels = field
    found = measured(image, labels, 0.5)
    assert found["Cells_AreaShape_ObjectArea_Golgi"].tolist() == [32 * 0.25, 0]
    assert found["Cells_Number_Objects_Golgi"].tolist() == [2, 0]
    # centre of the two squares: row 33.5, column 45.5; every pixel 4 px up or down of it and 1.118 px within its square
    assert found["Cells_Distance_Spread_Golgi"][0] == pytest.approx(0.5 * np.sqrt(16 + 2 * 1.25))
    assert found["Cells_Distance_FromNucleus_Golgi"][0] == pytest.approx(0.5 * np.hypot(3.5, 15.5), rel=0.01)
    assert np.isnan(found["Cells_Distance_FromNucleus_Golgi"][1])


def test_every_column_that_scikit_image_has_equals_its_own_on_real_nuclei(shared_data):
    folder, seen = shared_data / "bbbc039_u2os_hoechst", 0
    for path in sorted((folder / "masks").glob("*.png"))[:10]:
        labels = label(imread(path)[..., 0], connectivity=1).astype(np.int32)
        image = imread(folder / "images" / f"{path.stem}.tif").astype(np.float32)[..., None] - 300
        bodies = measure.cell_bodies(labels, 12)
        found = measure.measure_cells(LabelledField(image, labels, bodies, ("DNA",), "DNA", {}, 0.5))
        nuclei, cells = (regionprops_table(numbers, image[..., 0].astype(float), properties=tuple(SAME))
                         for numbers in (labels, bodies))
        for name, (column, power) in SAME.items():
            np.testing.assert_allclose(found[f"Nuclei_{column}"], nuclei[name] * 0.5**power, rtol=1e-6, err_msg=name)
            if name.startswith("intensity"):
                np.testing.assert_allclose(found[f"Cells_{column}"], cells[name], rtol=1e-6, err_msg=name)
        form = 4 * np.pi * nuclei["area"] / np.maximum(nuclei["perimeter"], 1) ** 2
        np.testing.assert_allclose(found["Nuclei_AreaShape_FormFactor"], form, rtol=1e-6)
        total = nuclei["intensity_mean"] * nuclei["area"]
        np.testing.assert_allclose(found["Nuclei_Intensity_IntegratedIntensity_DNA"], total, rtol=1e-6)
        seen += len(total)
    assert seen > 500


def test_a_small_spread_on_a_bright_ground_is_not_lost(field):
    _, labels = field
    channel = (60000 + np.random.default_rng(0).normal(0, 0.5, labels.shape)).astype(np.float32)
    found = measure.intensity(channel, Regions.of(labels), "Nuclei", "DNA")["Nuclei_Intensity_StdIntensity_DNA"]
    np.testing.assert_allclose(found, [channel[labels == i].astype(float).std() for i in (1, 2)], rtol=1e-9)


@pytest.mark.parametrize("stain", ["Nuclei", "Cells"])
def test_a_stain_does_not_write_over_the_columns_of_the_nucleus_or_the_cell(field, stain):
    image, labels = field
    bodies = measure.cell_bodies(labels, 20)
    found = {}
    for name in (stain, "Golgi"):
        masks = {name: image[..., 1] > 0}
        of_field = LabelledField(image[..., :2], labels, bodies, ("DNA", name), "DNA", masks, 0.5)
        found[name] = measure.measure_cells(of_field)
    assert len(found[stain]) == len(found["Golgi"])
    np.testing.assert_array_equal(found[stain][schema.NUCLEAR_AREA], found["Golgi"][schema.NUCLEAR_AREA])


def test_numbers_may_have_gaps(field):
    image, labels = field
    gaps = np.where(labels == 2, 7, 3 * labels).astype(np.int32)  # 1, 2 become 3, 7
    dense, sparse = measured(image, labels, 0.5), measured(image, gaps, 0.5)
    assert list(dense) == list(sparse)
    for name, values in dense.items():
        np.testing.assert_array_equal(sparse[name], values, err_msg=name)


def test_stain_mask_finds_bright_pieces_whatever_the_gain(field):
    image, labels = field
    bodies = measure.cell_bodies(labels, 20)
    truth = image[..., 1] > 0
    noisy = ndimage.gaussian_filter(image[..., 1], 0.7) + np.random.default_rng(0).normal(0, 2, labels.shape)
    for gain in (1, 20):
        found = measure.stain_mask(gain * noisy.astype(np.float32), bodies, 25)
        assert (found & truth).sum() / (found | truth).sum() > 0.6


def test_a_dot_in_the_corner_of_the_field_counts_and_a_flat_one_once_per_pixel():
    bodies = np.ones((20, 20), np.int32)
    channel = np.zeros(bodies.shape, np.float32)
    channel[0, 0] = channel[10, 10] = 100
    assert np.argwhere(measure.stain_peaks(channel, bodies, 30)).tolist() == [[0, 0], [10, 10]]


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
    found = measure.stain_spots(channel, bodies, Regions.of(bodies), 32, "EB1", 0.5)
    assert found["Cells_Number_Spots_EB1"].tolist() == [len(places)]
    np.testing.assert_allclose(found["Cells_Number_SpotDensity_EB1"], len(places) / ((bodies == 1).sum() * 0.25))
