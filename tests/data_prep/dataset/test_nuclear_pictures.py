"""How alike pictures of nuclei are: turns, shifts and light that are known."""

import numpy as np
import pytest
from scipy import ndimage

from cellcycle_jax import crop_file
from cellcycle_jax.errors import StoredStateRefused
from data_prep.dataset.nuclear_pictures import NuclearPictures, correlation, turned
from data_prep.dataset.same_cells import TURNS

SIDE = 25
AS_IT_IS = TURNS[0]


def nucleus(seed):
    """A patchy spot with neighbours, f64 [S, S]."""
    rng = np.random.default_rng(seed)
    patches = ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), 2.0)
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    spot = np.exp(-(y**2 / 60 + x**2 / 30))
    return 1000 * (spot + patches / patches.std() / 4).clip(0) + 100


@pytest.mark.parametrize("number", range(len(TURNS)))
def test_a_point_is_carried_where_the_turn_carries_its_place(number):
    picture = np.zeros((SIDE, SIDE))
    picture[SIDE // 2 + 3, SIDE // 2 + 7] = 1
    moved = np.argwhere(turned(picture, TURNS[number])) - SIDE // 2
    np.testing.assert_array_equal(moved, [TURNS[number] @ (3, 7)])


def test_neither_light_nor_a_shift_by_a_pixel_nor_noise_makes_another_nucleus():
    one = nucleus(0)
    noisy = one + np.random.default_rng(9).normal(0, 20, one.shape)
    assert correlation(one, one) == pytest.approx(1)
    assert correlation(one, 1.7 * one + 150) == pytest.approx(1)
    assert correlation(one, np.roll(one, (1, -1), (0, 1))) > 0.99
    assert correlation(one, noisy) > 0.97
    assert correlation(one, np.roll(one, 6, 0)) < 0.6


def test_another_nucleus_is_less_alike_and_a_flat_picture_like_nothing():
    found = [correlation(nucleus(0), nucleus(seed)) for seed in range(1, 9)]
    assert max(found) < 0.95
    assert np.isnan(correlation(nucleus(0), np.full((SIDE, SIDE), 7.0)))


@pytest.fixture
def folder(tmp_path):
    """Field A holds cells a1 and a2, field B a mirrored picture of a1 as b1 alone; the nucleus is in channel 1."""
    shared = crop_file.Shared(np.ones(2, np.float32), 3, np.ones((3, 2), np.float32), 0.5)
    bits = np.zeros((SIDE, SIDE), np.uint8)

    def write(field, cells, pictures):
        images = [np.stack([nucleus(50 + n), picture], -1) for n, picture in enumerate(pictures)]
        image = np.round(images).astype(np.uint16)
        crop_file.write(tmp_path, field, cells, image, np.stack([bits] * len(cells)), shared)

    write("A", ["a1", "a2"], [nucleus(1), nucleus(2)])
    write("B", ["b1"], [nucleus(1)[:, ::-1]])
    return tmp_path


def test_the_pictures_are_those_of_the_nuclear_channel(folder):
    pictures = NuclearPictures(folder, 1)
    mirror = np.array([[1, 0], [0, -1]])
    found = pictures.likeness("A", ["a1", "a2", "a3"], "B", ["b1", "b1", "b1"], mirror)
    assert found[0] > 0.999 and found[1] < 0.95
    assert np.isnan(found[2])  # which has no crop
    assert pictures.likeness("A", ["a1"], "B", ["b1"], AS_IT_IS)[0] < found[0] - 0.02
    assert NuclearPictures(folder, 0).likeness("A", ["a1"], "B", ["b1"], mirror)[0] < 0.95


def test_missing_crops_are_refused(folder):
    (folder / "B.npz").unlink()
    with pytest.raises(StoredStateRefused, match="B.npz"):
        NuclearPictures(folder, 1).likeness("A", ["a1"], "B", ["b1"], AS_IT_IS)
