import numpy as np
import pytest

from cellcycle_jax.errors import StoredStateRefused
from data_prep.fields_to_cells import label_store


@pytest.mark.parametrize("highest", [0, 3, 300, 70_000])
def test_labels_come_back(tmp_path, highest):
    labels = np.zeros((40, 53), np.int32)
    labels[5:20, 7:30] = highest
    numbers = np.arange(highest + 1) * 10
    label_store.write(tmp_path, "f1", labels, numbers)
    found, found_numbers = label_store.read(tmp_path, "f1")
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, labels)
    np.testing.assert_array_equal(found_numbers, numbers)


def test_numbers_of_others_keep_their_type(tmp_path):
    numbers = np.array([0, 2**40, 2**63 + 1], np.uint64)
    label_store.write(tmp_path, "f1", np.eye(2, dtype=np.int32), numbers)
    found = label_store.read(tmp_path, "f1")[1]
    assert found.dtype == np.uint64
    np.testing.assert_array_equal(found, numbers)


@pytest.mark.parametrize("damage", [
    lambda path: path.unlink(),
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(path.read_bytes()[:-9]),
    lambda path: path.write_bytes(path.read_bytes()[:60] + bytes(40) + path.read_bytes()[100:]),
])
def test_what_is_damaged_is_named(tmp_path, damage):
    label_store.write(tmp_path, "f1", np.ones((30, 30), np.int32), np.arange(2))
    damage(tmp_path / "f1.labels")
    with pytest.raises(StoredStateRefused, match="f1.labels: not readable"):
        label_store.read(tmp_path, "f1")
