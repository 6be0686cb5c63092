import numpy as np
import pytest
from skimage.draw import disk, polygon
from skimage.io import imread
from skimage.measure import label, regionprops_table

from data_prep.measurement import shape
from data_prep.measurement.regions import Regions

# {property of regionprops_table: column of ours}
SAME = {"area": "Area", "perimeter": "Perimeter", "eccentricity": "Eccentricity", "solidity": "Solidity",
        "extent": "Extent", "axis_major_length": "MajorAxisLength", "axis_minor_length": "MinorAxisLength",
        "equivalent_diameter_area": "EquivalentDiameter"}


def assert_equal_to_scikit_image(labels, **tolerance):
    """Columns, boxes and centres; areas of convex hulls, which are numbers of pixels, to the last one."""
    regions = Regions.of(labels)
    found = shape.shape(regions, 1.0)
    peer = regionprops_table(labels, properties=(*SAME, "bbox", "centroid", "area_convex", "label"))
    np.testing.assert_array_equal(regions.numbers, peer["label"])
    for name, column in SAME.items():
        np.testing.assert_allclose(found[f"Nuclei_AreaShape_{column}"], peer[name], err_msg=name, **tolerance)
    np.testing.assert_array_equal(shape.convex_area(regions.runs, len(regions.count)), peer["area_convex"])
    for i, side in enumerate(shape.boxes(regions.runs, len(regions.count))):
        np.testing.assert_array_equal(side, peer[f"bbox-{i}"])
    for i, middle in enumerate(shape.centres(regions)):
        np.testing.assert_allclose(middle, peer[f"centroid-{i}"], rtol=1e-12)
    return len(regions.count)


def test_real_nuclei(shared_data):
    masks = sorted((shared_data / "bbbc039_u2os_hoechst" / "masks").glob("*.png"))[:20]
    seen = sum(assert_equal_to_scikit_image(label(imread(path)[..., 0], connectivity=1), rtol=1e-6) for path in masks)
    assert seen > 1500


# The axes of a line and the eccentricity of a disc are 0, which rounding makes 1e-8 on either side: hence atol.
@pytest.mark.parametrize("pixels", {
    "pixel": (0, 0), "row": np.s_[5, 3:19], "column": np.s_[2:18, 7], "diagonal": (np.arange(20), np.arange(20)),
    "antidiagonal": (np.arange(20), np.arange(20)[::-1]), "field": np.s_[:, :], "corner": np.s_[0:4, 0:9],
    "other_corner": np.s_[15:, 10:], "four_corners": (np.array([0, 0, 19, 19]), np.array([0, 19, 0, 19])),
    "two_pixels": (np.array([0, 19]), np.array([3, 8]))}.items(), ids=lambda item: item[0])
def test_pixels_lines_corners_and_scattered_pieces(pixels):
    labels = np.zeros((20, 20), np.int32)
    labels[pixels[1]] = 1
    assert_equal_to_scikit_image(labels, rtol=1e-6, atol=1e-6)


def test_holes_rings_and_touching_labels():
    labels = np.zeros((60, 60), np.int32)
    labels[disk((20, 20), 15)] = 1
    labels[disk((20, 20), 6)] = 0  # a hole
    labels[disk((20, 20), 3)] = 2  # a label in another's hole
    labels[36:50, 5:30] = 3
    labels[36:50, 30:44] = 9  # touches label 3; 4..8 do not occur
    assert assert_equal_to_scikit_image(labels, rtol=1e-6, atol=1e-6) == 4


def test_random_polygons_and_noise():
    rng, seen = np.random.default_rng(0), 0
    for _ in range(60):
        height, width = rng.integers(1, 80, 2)
        labels = rng.integers(0, 9, (height, width)) * (rng.random((height, width)) < rng.random())
        for number in range(9, 14):
            corners = rng.uniform(-10, 90, (2, rng.integers(3, 9)))
            labels[polygon(*corners, shape=labels.shape)] = number
        seen += assert_equal_to_scikit_image(labels.astype(np.int32), rtol=1e-6, atol=1e-6) if labels.any() else 0
    assert seen > 500


def test_shape_far_from_the_corner_is_the_same():
    one, other = np.zeros((60, 60), np.int32), np.zeros((4000, 5000), np.int32)
    one[disk((30, 30), 20, shape=one.shape)] = 1
    other[3900:3960, 4900:4960] = one
    near, far = (shape.shape(Regions.of(labels), 1.0) for labels in (one, other))
    for name, values in near.items():
        np.testing.assert_array_equal(far[name], values, err_msg=name)


def test_known_shapes():
    labels = np.zeros((100, 100), np.int32)
    labels[10:30, 10:50] = 1  # 20 x 40 px
    labels[disk((70, 60), 25)] = 2
    found = shape.shape(Regions.of(labels), 0.5)
    assert found["Nuclei_AreaShape_Area"][0] == 20 * 40 / 4
    assert found["Nuclei_AreaShape_Extent"][0] == found["Nuclei_AreaShape_Solidity"][0] == 1
    assert found["Nuclei_AreaShape_Perimeter"][0] == 0.5 * 2 * (19 + 39)
    # of pixel centres in a row of n the variance is (n^2 - 1) / 12, and the axis is four of its roots
    assert found["Nuclei_AreaShape_MajorAxisLength"][0] == pytest.approx(0.5 * 4 * np.sqrt((40**2 - 1) / 12))
    assert found["Nuclei_AreaShape_Eccentricity"][0] == pytest.approx(np.sqrt(1 - (20**2 - 1) / (40**2 - 1)))
    assert found["Nuclei_AreaShape_FormFactor"][1] == pytest.approx(1, abs=0.1)
    assert found["Nuclei_AreaShape_Eccentricity"][1] == pytest.approx(0, abs=1e-6)


def test_the_fields_edge_is_an_outline_only_where_asked():
    regions = Regions.of(np.ones((4, 5), np.int32))
    assert shape.outline(regions).sum() == 14
    assert not shape.outline(regions, field_edge=False).any()
