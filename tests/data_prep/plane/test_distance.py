import numpy as np
import pytest
from scipy import ndimage
from skimage import segmentation

from data_prep.plane.distance import depth, nearest_objects


def blobs(shape, seed=0, share=0.5):
    """A mask bool of irregular objects, some of which touch the border."""
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 3)
    return smooth > np.quantile(smooth, 1 - share)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
@pytest.mark.parametrize("shape", [(70, 91), (200, 30), (1, 60), (60, 1)])
def test_depths_are_those_of_scipy(shape, share):
    mask = blobs(shape, share=share)
    np.testing.assert_array_equal(depth(mask), ndimage.distance_transform_edt(mask).astype(np.float32))


def test_depth_in_a_rectangle_at_the_border():
    mask = np.zeros((10, 30), bool)
    mask[:4, :20] = True  # beyond the border lies nothing
    assert depth(mask)[0, 0] == 4 and depth(mask)[0, 17] == 3 and depth(mask)[2, 18] == 2
    assert depth(mask)[3, 19] == 1 and depth(mask)[4:].max() == 0


def test_one_hole_is_as_far_as_it_is():
    mask = np.ones((30, 40), bool)
    mask[29, 0] = False
    assert depth(mask)[29, 39] == 39 and depth(mask)[0, 39] == pytest.approx(np.hypot(29, 39))


def test_no_depth_without_an_outside_and_none_outside():
    assert np.isinf(depth(np.ones((4, 5), bool))).all()
    assert not depth(np.zeros((4, 5), bool)).any()


@pytest.mark.parametrize("reach", [0, 1, 1.5, 2.9, 5.57, 8.49, 20.3])
def test_pixels_go_to_the_nearest_object_within_reach(reach):
    labels, n = ndimage.label(blobs((90, 120), share=0.2))
    distance = ndimage.distance_transform_edt(labels == 0)
    near = nearest_objects(labels.astype(np.int32), reach)
    np.testing.assert_array_equal(near.pixels, np.flatnonzero(distance <= reach))
    np.testing.assert_array_equal(near.squared_px, np.round(distance.ravel()[near.pixels] ** 2))
    of_object = np.stack([ndimage.distance_transform_edt(labels != label) for label in range(1, n + 1)])
    own = of_object.reshape(n, -1)[near.label - 1, near.pixels]
    np.testing.assert_allclose(own, distance.ravel()[near.pixels])  # whichever of two that are equally near


def test_the_library_differs_only_where_two_objects_are_equally_near():
    labels = np.zeros((21, 40), np.int32)
    labels[5:15, 4:10] = 7
    labels[5:15, 16:30] = 3
    near = nearest_objects(labels, 4)
    found = np.zeros_like(labels)
    found.ravel()[near.pixels] = near.label
    np.testing.assert_array_equal(found, segmentation.expand_labels(labels, 4))
    assert set(found[10, 10:13]) == {7} and set(found[10, 13:16]) == {3}


def test_of_two_that_are_equally_near_the_one_above_then_the_left_has_the_pixel():
    labels = np.zeros((5, 5), np.int32)
    labels[0, 2], labels[4, 2], labels[2, 0], labels[2, 4] = 1, 2, 3, 4
    near = nearest_objects(labels, 2)
    owner = dict(zip(near.pixels, near.label, strict=True))
    assert owner[12] == 1
    labels[0, 2] = labels[4, 2] = 0
    near = nearest_objects(labels, 2)
    assert dict(zip(near.pixels, near.label, strict=True))[12] == 3


def test_nothing_is_near_where_nothing_is():
    assert len(nearest_objects(np.zeros((6, 7), np.int32), 3).pixels) == 0
