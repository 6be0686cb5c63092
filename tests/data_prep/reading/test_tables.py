"""One reader for every table that a user hands in: labels.csv, the sidecar and labels.table."""

import csv
import io
import math

import pandas as pd
import pytest

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused
from configs import base
from data_prep.labelling import external_table, manual_corrections
from data_prep.reading import sidecar, tables

ROWS = [["file", "line", "dose"], ["a.tif", "HéLa", "0,5"], ["b.tif", 'say "x"; y', ""]]


def as_text(rows, separator, end="\n"):
    content = io.StringIO()
    csv.writer(content, delimiter=separator, lineterminator=end).writerows(rows)
    return content.getvalue()


WRITTEN = {
    "commas": as_text(ROWS, ",").encode(),
    "semicolons with a byte order mark": as_text(ROWS, ";", "\r\n").encode("utf-8-sig"),
    "tabs": as_text(ROWS, "\t").encode(),
    "old Mac": as_text(ROWS, ";", "\r").encode(),
    "Excel's sep": ("sep=;\r\n" + as_text(ROWS, ";", "\r\n")).encode(),
    "Excel's sep quoted": ('"sep=\t"\n' + as_text(ROWS, "\t")).encode(),
    "Excel's Unicode text": as_text(ROWS, "\t", "\r\n").encode("utf-16"),
    "UTF-16 of a big-endian machine": "\ufeff".encode("utf-16-be") + as_text(ROWS, ",").encode("utf-16-be"),
    "UTF-16 without a mark": as_text(ROWS, ",").encode("utf-16-le"),
    "decomposed letters": as_text(ROWS, ",").replace("é", "e\u0301").encode(),
}


def written(folder, content, name="table.csv"):
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize("kind", WRITTEN)
def test_however_it_was_written_it_is_the_same_table(tmp_path, kind, capsys):
    table = tables.read(written(tmp_path, WRITTEN[kind]), "--x")
    assert [list(table.columns), *table.to_numpy().tolist()] == ROWS and list(table.index) == [2, 3]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("encoding, guessed, letter", [("cp1252", "Windows-1252", "é"), ("cp1252", "Windows-1252", "€"),
                                                       ("latin-1", "Latin-1", "\x81é")])
def test_an_encoding_that_is_no_unicode_is_guessed_and_said(tmp_path, capsys, encoding, guessed, letter):
    table = tables.read(written(tmp_path, f"file,line\na,H{letter}La\n".encode(encoding)), "--x")
    assert table.loc[2].tolist() == ["a", f"H{letter}La"]
    assert f"table.csv is not UTF-8; it is read as {guessed}" in capsys.readouterr().err


def test_cells_are_counted_and_spaces_and_empty_rows_are_left_out(tmp_path):
    table = tables.read(written(tmp_path, b" a ,b,c\n\n 1 ,,\n,,\n2\nNA,None,\n"), "--x")
    assert list(table.columns) == ["a", "b", "c"] and list(table.index) == [3, 5, 6]
    assert table.to_numpy().tolist() == [["1", "", ""], ["2", "", ""], ["NA", "None", ""]]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_nothing_is_a_table_without_columns(tmp_path, content):
    assert tables.read(written(tmp_path, content), "--x").shape == (0, 0)


@pytest.mark.parametrize("text, columns", [("well;dose,uM\nA1;5\n", ["well", "dose,uM"]),
                                           ("a,b;c\n1,2\n", ["a", "b;c"]),
                                           ('"a;b",c\n1,2\n', ["a;b", "c"]),
                                           ("file;dose, final\na;0,5\n", ["file", "dose, final"]),
                                           ("file,x;y\na,0;5\n", ["file", "x;y"]),
                                           ("file\na,b\n", None), ("a\n1\n", ["a"])])
def test_the_separator_is_that_by_which_rows_are_as_long_as_the_header(tmp_path, text, columns):
    path = written(tmp_path, text.encode())
    if columns is None:
        with pytest.raises(InputRefused, match="table.csv: row 2 has 2 cells, the first row 1; correct it"):
            tables.read(path, "--x")
    else:
        assert list(tables.read(path, "--x").columns) == columns


@pytest.mark.parametrize("content, words", [(b"PK\x03\x04...", "workbook; .*save it as 'CSV UTF-8'"),
                                            (b"\xd0\xcf\x11\xe0...", "an Excel workbook"),
                                            (b"PAR1...", "a Parquet file"), (b"ab\0\0cd", "is no text"),
                                            (b"\xff\xfea", "damaged .truncated data"),
                                            (b'a,b\n"' + b"x" * 200_000, "is no CSV"),
                                            (b'a,b\n1,"2\n3,4\n', "is no CSV .unexpected end")])
def test_other_formats_are_refused_in_a_line_of_advice(tmp_path, content, words):
    with pytest.raises(InputRefused, match=f"table.csv: .*{words}.* in --x$") as caught:
        tables.read(written(tmp_path, content), "--x")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputRefused, match="none.csv: cannot be read .No such file.*; name a table in --x"):
        tables.read(tmp_path / "none.csv", "--x")


@pytest.mark.parametrize("text, value", [("0,65", 0.65), ("0.65", 0.65), ("3", 3), ("-1e3", -1000), ("", math.nan),
                                         ("half", math.nan), ("1.234,5", math.nan), ("0_65", math.nan)])
def test_numbers_have_a_point_or_a_comma(text, value):
    assert tables.number(text) == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize("kind", WRITTEN)
def test_the_sidecar_takes_them_all(tmp_path, kind):
    assert sidecar.read(written(tmp_path, WRITTEN[kind]))["line"].tolist() == ["HéLa", 'say "x"; y']


def test_the_corrected_labels_take_what_the_sidecar_takes(tmp_path):
    rows = [
        ["sheet", schema.CELL_ID, manual_corrections.CORRECTED],
        ["", "f:1", "reject"],
        ["", "f:2", ""],
        ["", "f:3", " G2 "],
    ]
    assert base.preparation().labels.classes == ("G1/S", "G2")
    for content in (as_text(rows, ";").encode("utf-8-sig"), as_text(rows, "\t").encode("utf-16"),
                    b"sep=;\n" + as_text(rows, ";").encode()):
        found = manual_corrections.read_corrections(written(tmp_path, content), ("G1/S", "G2"))
        assert found == {"f:1": "reject", "f:3": "G2"}


def test_a_table_of_places_takes_what_the_sidecar_takes(tmp_path):
    cells = pd.DataFrame({schema.CELL_ID: ["f1:1"], schema.FIELD: ["f1"], schema.CENTRE_Y: [10.5],
                          schema.CENTRE_X: [50.0], "_area_px": [78.5]})
    rows = [["Field", "Y", "X", "Dose", "Score"], ["f1", "10,5", "50,25", "7", "é"]]
    for content in (as_text(rows, ";").encode("cp1252"), as_text(rows, "\t").encode("utf-16")):
        joined = external_table.join(cells, written(tmp_path, content))
        assert joined[["Metadata_Dose", "Metadata_Score"]].values.tolist() == [[7, "é"]]


def test_columns_without_a_name_are_left_out_and_told_where_they_hold_something(tmp_path, capsys):
    path = tmp_path / "table.csv"
    path.write_text(",well,,Value\n1,A1,,x\n2,A2,,y\n")  # as R writes the names of rows, and a spacer
    table = tables.read(path, "config.sidecar")
    assert list(table.columns) == ["well", "Value"] and table.to_numpy().tolist() == [["A1", "x"], ["A2", "y"]]
    assert "column 1 has no name and is left out" in capsys.readouterr().err


def test_two_columns_of_one_name_are_refused(tmp_path):
    with pytest.raises(InputRefused, match="table.csv: two columns are named 'dose'; rename or delete one of them"):
        external_table.join(pd.DataFrame(), written(tmp_path, b"well,dose,dose\nA1,1,2\n"))
