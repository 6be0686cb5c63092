"""What became of each field."""

import pathlib

import pandas as pd

from cellcycle_jax import schema
from data_prep.dataset import field_counts
from data_prep.reading.field import FieldFile

BIT_DEPTH = {"a": 16, "c": 8}
REJECTED = {"a": ["", "border", "", "small", "border"], "c": ["border"]}
FOUND = [FieldFile((pathlib.Path(f"{name}.tif"),), name, "HeLa", "P1", f"B0{number}")
         for number, name in enumerate("abcd", start=1)]


def counted():
    rows = [(name, reason) for name, reasons in REJECTED.items() for reason in reasons]
    table = pd.DataFrame(rows, columns=[schema.FIELD, schema.REJECT_REASON])
    table["_bit_depth"] = table[schema.FIELD].map(BIT_DEPTH)
    return field_counts.count(table, FOUND, {"d": "d.tif: cut short"})


def test_every_field_has_a_row_also_without_objects_and_set_aside(tmp_path):
    field_counts.write(counted(), tmp_path)
    read = pd.read_csv(tmp_path / "fields.csv", dtype=str, keep_default_na=False)
    assert read[schema.FIELD].tolist() == ["a", "b", "c", "d"] and read[schema.WELL].tolist()[1] == "B02"
    assert read["n_objects"].tolist() == ["5", "0", "1", ""] and read["n_used"].tolist() == ["2", "0", "0", ""]
    assert read["most_rejected"].tolist() == ["border", "", "border", ""]
    assert read["bit_depth"].tolist() == ["16", "", "8", ""]
    assert read["excluded_because"].tolist() == ["", "", "", "d.tif: cut short"]


def test_fields_without_a_used_cell_are_told_and_those_set_aside_are_not_among_them(tmp_path, capsys):
    field_counts.say_without_cells(counted(), tmp_path)
    said = capsys.readouterr().err
    assert said.startswith("note: 2 of 4 fields have no cell that is used (first: b)") and str(tmp_path) in said
    field_counts.say_without_cells(counted()[:1], tmp_path)
    assert capsys.readouterr().err == ""


def test_without_any_object_no_field_has_a_reason():
    empty = pd.DataFrame({schema.FIELD: [], schema.REJECT_REASON: [], "_bit_depth": []}, dtype=str)
    counts = field_counts.count(empty, FOUND, {})
    assert counts["n_objects"].tolist() == [0] * 4 and counts["most_rejected"].tolist() == [""] * 4


def test_a_plate_whose_fields_differ_in_bit_depth_is_told_and_no_other():
    assert [note.split(";")[0] for note in field_counts.notes(counted())] == \
        ["the fields of plate P1 differ in bit depth (8 bit in 1, 16 bit in 1"]
    assert field_counts.notes(counted()[:2]) == []
