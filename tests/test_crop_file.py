"""The crops of a field in a work folder."""

import numpy as np
import pytest

from cellcycle_jax import crop_file
from cellcycle_jax.errors import StoredStateRefused


@pytest.fixture
def crops():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 65536, (5, 16, 16, 3), np.uint16)
    compartments = rng.integers(0, 32, (5, 16, 16), np.uint8)
    return [f"f:{i}" for i in (3, 1, 12, 7, 70000)], image, compartments


SHARED = crop_file.Shared(np.float32([1, 0.5, 2]), 31, np.arange(9, dtype=np.float32).reshape(3, 3), 0.5)


def test_cells_come_back_alone_and_in_any_order(crops, tmp_path):
    ids, image, compartments = crops
    crop_file.write(tmp_path, "f", *crops, SHARED)
    found = crop_file.index(tmp_path, "f")
    assert found.cell_id.tolist() == ids and found.places()["f:12"] == 2 and found.cell_shape == (16, 16, 3)
    for numbers in ([4], [2, 0], [0, 1, 2, 3, 4], []):
        pixels, bits = found.read(numbers)
        np.testing.assert_array_equal(pixels, image[numbers])
        np.testing.assert_array_equal(bits, compartments[numbers])
    assert (found.shared.present, found.shared.um_per_px) == (31, 0.5)
    np.testing.assert_array_equal(found.shared.field_stats, SHARED.field_stats)
    np.testing.assert_array_equal(found.shared.image_scale, SHARED.image_scale)


def test_a_field_without_cells_is_one(tmp_path):
    crop_file.write(tmp_path, "f", [], np.zeros((0, 16, 16, 3), np.uint16), np.zeros((0, 16, 16), np.uint8), SHARED)
    found = crop_file.index(tmp_path, "f")
    assert found.places() == {} and (tmp_path / "f.crops").stat().st_size == 0


def test_even_pixels_take_little_room(tmp_path):
    image = np.full((4, 64, 64, 4), 300, np.uint16)
    crop_file.write(tmp_path, "f", list("abcd"), image, np.zeros((4, 64, 64), np.uint8), SHARED)
    assert (tmp_path / "f.crops").stat().st_size < image.nbytes / 100


@pytest.mark.parametrize("damage", [
    lambda folder: (folder / "f.npz").unlink(),
    lambda folder: (folder / "f.npz").write_bytes(b"PK\x03\x04 no archive"),
    lambda folder: (folder / "f.npz").write_bytes((folder / "f.npz").read_bytes()[:200]),
    lambda folder: (folder / "f.crops").unlink(),
    lambda folder: (folder / "f.crops").write_bytes(b""),
    lambda folder: (folder / "f.crops").write_bytes((folder / "f.crops").read_bytes()[:-3]),
    lambda folder: (folder / "f.crops").write_bytes(bytes(3000) + (folder / "f.crops").read_bytes()[3000:]),
])
def test_what_is_missing_or_damaged_is_refused_by_name(crops, tmp_path, damage):
    crop_file.write(tmp_path, "f", *crops, SHARED)
    damage(tmp_path)
    with pytest.raises(StoredStateRefused, match=r"f\.(npz|crops): not readable as crops of a field"):
        crop_file.index(tmp_path, "f").read([0, 1, 2, 3, 4])
