"""The data set on disk: as the library's own writer makes it, whatever its size."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from cellcycle_jax import schema
from data_prep.dataset import tfds_builder
from tests import tiny

SHAPE = (16, 16, 3)
METADATA = {name: list(value) if isinstance(value, tuple) else value for name, value in tiny.METADATA.items()}


class ByTheLibrary(tfds_builder.Builder):
    """The same data set, written by the library: all cells in memory, sorted, then written."""

    def __init__(self, *, rows, **kwargs):
        self._rows = rows
        super().__init__(**kwargs)

    def _split_generators(self, dl_manager):
        return {split: ((row["cell_id"], row) for row in rows) for split, rows in self._rows.items()}


def cells_of(rows):
    return tfds_builder.Cells([row["cell_id"] for row in rows], rows.__getitem__)


def raw_records(folder, split):
    source = tfds.builder_from_directory(folder).as_data_source(
        split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)
    return [source[i] for i in range(len(source))]


@pytest.fixture(scope="module")
def rows():
    return {split: list(tiny.examples(split, n)) for split, n in (("train", 70), ("validation", 20), ("test", 9))}


@pytest.fixture(scope="module")
def written(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ours")
    return tfds_builder.write(folder, SHAPE, METADATA, {split: cells_of(each) for split, each in rows.items()})


def test_records_are_those_of_the_library_in_its_order(rows, written, tmp_path):
    reference = ByTheLibrary(rows=rows, crop_shape=SHAPE, metadata=METADATA, data_dir=tmp_path,
                             file_format=tfds_builder.FILE_FORMAT)
    reference.download_and_prepare()
    for split in schema.SPLITS:
        own, theirs = raw_records(written, split), raw_records(reference.data_dir, split)
        assert own == theirs
        assert [row["cell_id"] for row in rows[split]] != _ids(written, split)  # it is an order of its own


def _ids(folder, split):
    source = tfds.builder_from_directory(folder).as_data_source(split)
    return [source[i]["cell_id"].decode() for i in range(len(source))]


def test_a_split_in_many_files_is_read_in_the_same_order(rows, written, tmp_path, monkeypatch):
    monkeypatch.setattr(tfds_builder, "SHARD_BYTES", 2 * int(np.prod(SHAPE)) * 8)
    monkeypatch.setattr(tfds_builder, "BATCH", 5)
    many = tfds_builder.write(tmp_path, SHAPE, METADATA, {split: cells_of(each) for split, each in rows.items()})
    assert len(list(many.glob("*train*"))) == 9  # 70 cells, 8 a file
    for split in schema.SPLITS:
        assert raw_records(many, split) == raw_records(written, split)


def test_each_cell_is_asked_for_once_when_it_is_its_turn(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(tfds_builder, "BATCH", 4)
    asked, each = [], rows["train"]
    cells = tfds_builder.Cells([row["cell_id"] for row in each], lambda i: asked.append(i) or each[i])
    tfds_builder.write(tmp_path, SHAPE, METADATA, {"train": cells})
    assert asked == tfds_builder.stored_order(cells.ids, "train")
    assert sorted(asked) == list(range(70))


def test_an_error_in_the_middle_leaves_no_data_set_and_the_next_write_is_whole(rows, tmp_path):
    each = rows["train"]

    def breaks(position):
        raise OSError("disk is full")

    with pytest.raises(OSError, match="disk is full"):
        tfds_builder.write(
            tmp_path, SHAPE, METADATA, {"train": tfds_builder.Cells([row["cell_id"] for row in each], breaks)}
        )
    assert not (tmp_path / "cells").exists()
    folder = tfds_builder.write(tmp_path, SHAPE, METADATA, {"train": cells_of(each)})
    assert [path.name for path in tmp_path.iterdir()] == ["cells"]
    assert sorted(_ids(folder, "train")) == sorted(row["cell_id"] for row in each)


def test_an_old_data_set_is_replaced(rows, tmp_path):
    tfds_builder.write(tmp_path, SHAPE, METADATA, {"train": cells_of(rows["train"])})
    folder = tfds_builder.write(tmp_path, SHAPE, METADATA, {"test": cells_of(rows["test"])})
    assert list(tfds.builder_from_directory(folder).info.splits) == ["test"]


def test_nothing_is_left_in_the_folder_for_temporary_files(rows, tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    tfds_builder.write(tmp_path / "data", SHAPE, METADATA, {"train": cells_of(rows["train"])})
    assert list(temporary.iterdir()) == []


def test_backslashes_in_ids_are_hashed_as_the_library_hashes_them():
    ids = ["a\\b", "a/c", "é", "plain"]
    from tensorflow_datasets.core import hashing

    known = hashing.Hasher("train")
    assert tfds_builder.stored_order(ids, "train") == sorted(range(4), key=lambda i: known.hash_key(ids[i]))
