"""A data set that is read once, however often it is asked."""

import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import files, schema
from cellcycle_jax.dataset import crop_arrays, tfds_reader
from cellcycle_jax.devices import memory
from cellcycle_jax.errors import UsageError
from cellcycle_jax.runs.open_data import OpenData
from tests import tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def decoded(monkeypatch):
    """The records whose pixels were decoded, in order."""
    rows_read = []
    read = tfds_reader.Records.read

    def watched(records, rows, features):
        rows = list(rows)
        if features is records.pixels:
            rows_read.extend(rows)
        return read(records, rows, features)

    monkeypatch.setattr(tfds_reader.Records, "read", watched)
    return rows_read


def test_the_pixels_of_a_cell_are_decoded_once_and_only_if_they_are_asked_for(folder, decoded):
    crops = OpenData(folder).crops("train")
    wanted = crop_arrays.load_crops(folder, "train")
    decoded.clear()
    for rows in ([3, 0], [0, 5, 3], [5]):
        found = crop_arrays.in_memory(crop_arrays.take(crops, rows))
        np.testing.assert_array_equal(found.image, wanted.image[rows])
        np.testing.assert_array_equal(found.compartments, wanted.compartments[rows])
    assert sorted(decoded) == [0, 3, 5]
    whole = crop_arrays.in_memory(crops)
    np.testing.assert_array_equal(whole.image, wanted.image)
    assert sorted(decoded) == list(range(len(crops)))


def test_groups_of_crops_and_of_the_table_are_what_intervals_leave_out(tmp_path):
    tiny.write_data(tmp_path)
    rows = pd.DataFrame(list(tiny.examples("validation", 16)))
    columns = {"cell_id": schema.CELL_ID, "group_id": schema.GROUP, "field_id": schema.FIELD, "well": schema.WELL,
               "plate": schema.PLATE, "cell_line": schema.CELL_LINE}
    cells = rows[list(columns)].rename(columns=columns)
    cells = cells.assign(**{schema.SPLIT: "validation", schema.LABEL: "G2", schema.REJECT_REASON: ""})
    files.write_table(cells, tmp_path / "cells.parquet")
    for unit, expected in (("", "validation-1"), ("field", "validation-1"), ("well", "P1/A1"), ("plate", "P1")):
        tiny.write_provenance(tmp_path, **({"intervals_by": unit} if unit else {}))
        data = OpenData(tmp_path)
        crops = data.crops("validation")
        groups = data.cells.set_index(schema.CELL_ID)[schema.GROUP]
        assert groups["validation-4"] == expected
        assert crops.group_id.tolist() == groups[crops.cell_id].tolist()
        assert crops.group_by == (unit or "field")


def test_a_split_is_read_once(folder, monkeypatch):
    data = OpenData(folder)
    first = data.crops("validation")
    monkeypatch.setattr(crop_arrays, "load_crops", None)
    assert data.crops("validation") is first


@pytest.mark.parametrize("keeps, free", [(False, 1e12), (True, 0.0)])
def test_pixels_that_are_of_no_more_use_or_have_no_room_are_not_kept(folder, decoded, monkeypatch, keeps, free):
    monkeypatch.setattr(memory, "free_memory", lambda: (free, free))
    crops = OpenData(folder, keeps_pixels=keeps).crops("train")
    for _ in range(2):
        crop_arrays.in_memory(crop_arrays.take(crops, [1]))
    assert decoded == [1, 1]


def test_the_locked_split_stays_locked(folder):
    data = OpenData(folder)
    with pytest.raises(UsageError, match="locked"):
        data.crops("test")
    assert len(data.crops("test", final=True)) == 8
    with pytest.raises(UsageError, match="locked"):
        data.crops("test")


def test_what_the_data_set_alone_says_is_made_once(folder):
    data = OpenData(folder)
    made = []

    def make():
        made.append(1)
        return "said"

    assert [data.made_once("a", make), data.made_once("a", make), data.made_once("b", make)] == ["said"] * 3
    assert len(made) == 2
