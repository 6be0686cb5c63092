import csv
import json
import os

import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import files

UNWRITABLE = "\ud800"  # half of a surrogate pair has no UTF-8 form, so writing it fails


def interrupted(path):
    with files.atomic_path(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt


@pytest.mark.parametrize("write, error", [
    (interrupted, KeyboardInterrupt),
    (lambda path: files.write_text(path, "half a line " + UNWRITABLE), UnicodeEncodeError),
    (lambda path: files.write_json(path, {"a": 1, "b": object()}), TypeError),
    (lambda path: files.write_csv(pd.DataFrame({"name": ["fine"] * 5000 + [UNWRITABLE]}), path), UnicodeEncodeError),
], ids=["interrupted", "text", "json", "csv"])
def test_a_failing_write_leaves_the_old_file_whole_and_nothing_beside_it(tmp_path, write, error):
    path = tmp_path / "kept"
    path.write_text("old")
    with pytest.raises(error):
        write(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failing_last_step_leaves_the_old_file_whole_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "kept"
    path.write_text("old")

    def full_disk(source, target):
        assert (source.read_text(), target.read_text()) == ("new", "old")
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="no space left"):
        files.write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_finished_write_takes_the_place_of_the_old_file_and_makes_its_folder(tmp_path):
    path = tmp_path / "new" / "folder" / "note.txt"
    files.write_text(path, "µm")
    files.write_text(path, "µm²")
    assert path.read_bytes() == "µm²".encode()
    assert list(path.parent.iterdir()) == [path]


def test_two_containers_with_the_same_process_number_write_to_different_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 1)
    path = tmp_path / "note.txt"
    with files.atomic_path(path) as one, files.atomic_path(path) as other:
        one.write_text("one")
        other.write_text("other")
        assert one != other
        assert all(p.name.startswith(".note.txt.") and p.name.endswith(".tmp.txt") for p in (one, other))
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]


def test_json_has_null_for_numbers_that_it_does_not_know(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"nan": float("nan"), "deep": [{"up": float("inf")}, (-float("inf"), 1.5)],
                            "numpy": np.float32("nan"), "array": np.array([[1.0, np.nan], [np.inf, 2.0]])})

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    found = json.loads(path.read_text(), parse_constant=refuse)
    assert found == {"nan": None, "deep": [{"up": None}, [None, 1.5]], "numpy": None,
                     "array": [[1.0, None], [None, 2.0]]}


def test_json_takes_numpy_scalars_and_arrays(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"f": np.float32(0.5), "i": np.int64(-3), "b": np.bool_(True), "s": np.str_("a"),
                            "counts": np.arange(4).reshape(2, 2), np.int64(7): np.array(2.0)})
    found = files.read_json(path)
    assert found == {"f": 0.5, "i": -3, "b": True, "s": "a", "counts": [[0, 1], [2, 3]], "7": 2.0}
    assert found["b"] is True and isinstance(found["i"], int)


@pytest.mark.parametrize("content", ["null", "[]", "3", "[" * 100_000, "{"])
def test_what_is_no_object_is_damaged(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError):
        files.read_json(tmp_path / "a.json")


def test_json_does_not_depend_on_the_order_of_keys(tmp_path):
    files.write_json(tmp_path / "a.json", {"x": 1, "y": 2})
    files.write_json(tmp_path / "b.json", {"y": 2, "x": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_table_comes_back_with_its_units(tmp_path):
    path = tmp_path / "cells.parquet"
    table = pd.DataFrame({"Metadata_CellID": ["a", "b"], "Nuclei_AreaShape_Area": [1.5, np.nan]})
    units = {"Nuclei_AreaShape_Area": "µm^2", "Metadata_CellID": ""}
    files.write_table(table, path, units)
    assert files.read_units(path) == units
    pd.testing.assert_frame_equal(pd.read_parquet(path), table)


def test_a_table_without_units_has_none(tmp_path):
    files.write_table(pd.DataFrame({"a": [1]}), tmp_path / "ours.parquet")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "foreign.parquet")
    assert files.read_units(tmp_path / "ours.parquet") == files.read_units(tmp_path / "foreign.parquet") == {}


def test_csv_disarms_text_that_a_spreadsheet_would_run_and_leaves_numbers(tmp_path):
    path = tmp_path / "a.csv"
    texts = ["=1+1", "+1", "-1", "@sum", "\t=1", "a=1", "", 'comma, "quote"\nand line']
    files.write_csv(pd.DataFrame({"text": texts, "number": -1.5 * np.arange(8), "whole": -np.arange(8)}), path)
    with open(path, newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert head == ["text", "number", "whole"]
    assert [row[0] for row in rows] == ["'=1+1", "'+1", "'-1", "'@sum", "'\t=1", *texts[5:]]
    assert [float(row[1]) for row in rows] == [-1.5 * i for i in range(8)]
    assert [int(row[2]) for row in rows] == [-i for i in range(8)]
    assert pd.read_csv(path)["number"].dtype == float


def test_parts_of_file_names_differ_whatever_the_length_and_the_capitals():
    assert files.distinct(["G1_S", "g1_s", "G2", "G1_S"], taken=["g2"]) == ["G1_S", "g1_s_2", "G2_2", "G1_S_3"]
    long = files.distinct(["\u00e9" * 200, "\u00e9" * 300])
    assert long == ["\u00e9" * 50, "\u00e9" * 50 + "_2"]


def test_sha256_of_a_known_content(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")  # first example of FIPS 180-4
    assert files.sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    path.write_bytes(b"")
    assert files.sha256(path) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_sealed_file_is_read_without_its_seal_and_any_change_of_it_is_noticed(tmp_path):
    path, value = tmp_path / "a.json", {"b": 0.5, "c": [None, "µ", 3], "d": {"7": 1e-300}}
    files.write_sealed_json(path, value | {"nan": float("nan")})
    assert files.read_json(path) == value | {"nan": None}
    content = path.read_bytes()
    name = content.index(b'"seal"')  # under another name the file is as one of before
    noticed = 0
    for place in range(len(content)):
        if name <= place < name + 6 or chr(content[place]).isspace():
            continue
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(ValueError):
            files.read_json(path)
        noticed += 1
    assert noticed > 100
    path.write_text('{"b": 1}')
    assert files.read_json(path) == {"b": 1}
