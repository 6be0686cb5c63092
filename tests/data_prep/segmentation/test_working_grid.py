import numpy as np
import pytest
from skimage.draw import disk

from data_prep.segmentation.working_grid import block_means, outlined


def test_means_of_blocks():
    image = np.arange(24, dtype=np.float32).reshape(4, 6)
    np.testing.assert_array_equal(block_means(image, 2), [[3.5, 5.5, 7.5], [15.5, 17.5, 19.5]])
    assert block_means(image, 1) is image


@pytest.mark.parametrize("shape", [(12, 12), (11, 12), (12, 10), (10, 11), (2, 3), (1, 1), (200, 5)])
def test_an_image_is_continued_at_its_ends(shape):
    image = np.random.default_rng(0).normal(500, 100, shape).astype(np.float32)
    whole = np.pad(image, [(0, -n % 3) for n in shape], mode="edge").astype(np.float64)
    expected = whole.reshape(len(whole) // 3, 3, -1, 3).mean((1, 3))
    found = block_means(image, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_block_means_leave_the_image_as_it_is():
    image = np.ones((7, 8), np.float32)
    block_means(image, 3)
    np.testing.assert_array_equal(image, 1)


def drawn(*discs, step=4, size=40):
    """Coarse labels of discs (y, x, radius in full px) and the height above their outlines."""
    middles = (np.arange(size) + 0.5) * step - 0.5
    height = np.stack([radius - np.hypot(middles[:, None] - y, middles - x) for y, x, radius in discs])
    best = height.max(0).astype(np.float32)
    return np.where(best > 0, 1 + height.argmax(0), 0).astype(np.int32), best


def test_outlines_are_finer_than_the_grid():
    full = outlined(*drawn((80, 75, 31)), 4, (160, 160))
    true = np.zeros((160, 160), bool)
    true[disk((80, 75), 31)] = True
    assert full.shape == (160, 160) and full.dtype == np.int32
    assert ((full == 1) & true).sum() / ((full == 1) | true).sum() > 0.98  # of the blocks themselves it is 0.93


def test_the_border_of_neighbours_is_half_way():
    full = outlined(*drawn((80, 50, 25), (80, 94, 25)), 4, (160, 160))
    assert full.max() == 2
    assert np.flatnonzero(full[80] == 1).max() == 71 and np.flatnonzero(full[80] == 2).min() == 72


def test_what_is_not_labelled_is_not_drawn():
    labels, height = drawn((80, 40, 25), (80, 110, 25))
    labels[labels == 2] = 0
    full = outlined(labels, height, 4, (160, 160))
    assert full[80, 40] == 1 and not full[:, 80:].any()


def test_numbers_have_no_gap_where_an_object_covers_no_pixel():
    labels, height = drawn((80, 40, 25), (80, 110, 25), (20, 80, 10))
    height[labels == 2] = -1  # nothing of it is above its outline
    full = outlined(labels, height, 4, (160, 160))
    assert full[80, 40] == 1 and not full[80, 110] and full[20, 80] == 2 and full.max() == 2


def test_the_field_may_end_within_a_block():
    labels, height = drawn((80, 150, 25), (158, 30, 25))
    whole = outlined(labels, height, 4, (160, 160))
    np.testing.assert_array_equal(outlined(labels, height, 4, (158, 157)), whole[:158, :157])


def test_a_grid_of_step_1_is_the_image():
    labels, height = drawn((80, 80, 30))
    assert outlined(labels, height, 1, labels.shape) is labels
