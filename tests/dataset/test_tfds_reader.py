import dataclasses

import numpy as np
import pytest

from cellcycle_jax.dataset import crop_arrays, tfds_reader
from tests import tiny


class Counting:
    """Random access to records that counts what is read."""

    def __init__(self, source):
        self.source, self.read = source, 0

    def __getitems__(self, rows):
        self.read += len(rows)
        return self.source.__getitems__(rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.write_data(tmp_path_factory.mktemp("data"), train=9)


@pytest.fixture(scope="module")
def both(folder):
    """The same cells in memory and on disk."""
    return crop_arrays.load_crops(folder, "train"), crop_arrays.load_crops(folder, "train", pixels=False)


CHOICES = {"mask": np.arange(9) % 2 == 0, "slice": slice(2, 7), "reversed": slice(None, None, -1), "twice": [3, 3, 0],
           "none": [], "rows": np.array([8, 0, 5], np.int32)}


@pytest.mark.parametrize("name", tfds_reader.PIXELS)
@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
def test_pixels_on_disk_are_the_array_they_stand_for(both, name, choice):
    choice = np.array(choice, int) if isinstance(choice, list) else choice
    array, stored = (getattr(crops, name)[choice] for crops in both)
    assert isinstance(stored, tfds_reader.StoredPixels)
    assert (stored.shape, stored.dtype, stored.nbytes, len(stored)) == (array.shape, array.dtype, array.nbytes,
                                                                        len(array))
    found = np.asarray(stored)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)
    np.testing.assert_array_equal(stored[::-1], array[::-1])  # a choice of a choice


def test_taken_crops_give_the_same_arrays(both):
    for crops in (crop_arrays.take(crops, [4, 1, 1]) for crops in both):
        found = crop_arrays.arrays_of(crops)
        np.testing.assert_array_equal(found["image"], both[0].image[[4, 1, 1]])
        np.testing.assert_array_equal(found["compartments"], both[0].compartments[[4, 1, 1]])


def test_nothing_is_read_before_it_is_needed_and_both_kinds_of_pixels_at_once(both):
    _, crops = both
    source = Counting(crops.image.records.source)
    counted = dataclasses.replace(crops.image.records, source=source)
    crops = dataclasses.replace(crops, **{name: dataclasses.replace(getattr(crops, name), records=counted)
                                          for name in tfds_reader.PIXELS})
    taken = crop_arrays.take(crops, [1, 5])
    assert len(taken.image) == 2 and taken.image.shape[1:] == (16, 16, 3) and source.read == 0
    crop_arrays.arrays_of(taken)
    assert source.read == 2


def test_bytes_are_counted_without_reading(folder, both):
    crops, _ = both
    stored = crop_arrays.load_crops(folder, "train", pixels=False)
    assert stored.pixel_bytes == crops.image.nbytes + crops.compartments.nbytes
