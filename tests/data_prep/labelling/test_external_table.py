"""Tables made elsewhere, joined to cells."""

import pandas as pd
import pytest

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused
from data_prep.labelling import external_table


@pytest.fixture
def cells():
    rows = [{schema.CELL_ID: f"f{f}:{i}", schema.FIELD: f"f{f}", schema.PLATE: "P1", schema.WELL: f"A0{f}",
             schema.SITE: "01", schema.CELL_LINE: "HeLa", schema.CENTRE_Y: 10.0 * i, schema.CENTRE_X: 50.0,
             "_area_px": 78.5} for f in (1, 2) for i in (1, 2, 3)]
    return pd.DataFrame(rows, index=range(5, 11))


def write(folder, text, name="table.csv"):
    (folder / name).write_text(text)
    return folder / name


def test_by_cell_id(cells, tmp_path):
    joined = external_table.join(cells, write(tmp_path, "Metadata_CellID,Stage\nf2:3,G2\nf1:1,G1\n"))
    assert joined["Metadata_Stage"].fillna("").tolist() == ["G1", "", "", "", "", "G2"]
    assert joined.index.equals(cells.index)


def test_by_well_and_text_stays_text(cells, tmp_path):
    joined = external_table.join(cells, write(tmp_path, "well;site;dose\nA01;01;5\nA02;01;10\n"))
    assert joined["Metadata_dose"].tolist() == [5, 5, 5, 10, 10, 10]


def test_by_place_finds_the_nearest_cell_within_its_radius(cells, tmp_path):
    table = write(tmp_path, "Field,Y,X,Score\nf1,11.5,51,a\nf1,26,50,b\nf2,90,90,far\nf9,10,50,nowhere\n")
    joined = external_table.join(cells, table)  # radius 5 px; 26 lies 4 px from the third and 6 px from the second
    assert joined["Metadata_Score"].fillna("").tolist() == ["a", "", "b", "", "", ""]


def test_two_rows_near_one_cell_give_it_the_nearer(cells, tmp_path):
    joined = external_table.join(cells, write(tmp_path, "field,y,x,score\nf1,13,50,far\nf1,9,50,near\n"))
    assert joined["Metadata_score"].fillna("").tolist()[0] == "near"


def test_parquet(cells, tmp_path):
    pd.DataFrame({"Metadata_CellID": ["f1:2"], "Stage": ["G2"]}).to_parquet(tmp_path / "t.parquet")
    assert external_table.join(cells, tmp_path / "t.parquet")["Metadata_Stage"].notna().sum() == 1


@pytest.mark.parametrize("text, words", [
    ("name,stage\nx,G1\n", "columns name, stage; allowed: some of cellid"),
    ("well\nA01\n", "at least one column more"),
    ("well,stage\nA01,G1\nA01,G2\n", "A01 stands there twice"),
    ("well,stage\nB07,G1\n", "no row fits a cell by Metadata_Well: B07 there, A01 in the fields"),
    ("well,Well,stage\nA01,A01,G1\n", "two of the columns well, Well say the same"),
])
def test_a_table_that_does_not_fit_is_refused(cells, tmp_path, text, words):
    with pytest.raises(InputRefused, match=words):
        external_table.join(cells, write(tmp_path, text))


def test_a_column_that_is_there_already_is_not_overwritten(cells, tmp_path):
    with pytest.raises(InputRefused, match="have a column Metadata_LabelScore already"):
        external_table.join(cells.assign(Metadata_LabelScore=1.0), write(tmp_path, "well,LabelScore\nA01,3\n"))


def test_a_name_that_later_steps_write_is_refused(cells, tmp_path):
    with pytest.raises(InputRefused, match="have a column Metadata_Split already"):
        external_table.join(cells, write(tmp_path, "well,Split\nA01,train\n"))


def test_a_table_beside_the_fields_is_found(cells, tmp_path):
    write(tmp_path, "line,dose\nHeLa,5\n")
    assert external_table.join(cells, "table.csv", tmp_path)["Metadata_dose"].tolist() == [5] * 6


def test_a_missing_table_is_named(cells, tmp_path):
    with pytest.raises(InputRefused, match="nowhere.csv: cannot be read"):
        external_table.join(cells, tmp_path / "nowhere.csv")


@pytest.mark.parametrize("texts, read", [
    (["01", "02"], ["01", "02"]), (["007", "12"], ["007", "12"]), (["TRUE", "FALSE"], ["TRUE", "FALSE"]),
    (["9" * 23, "1"], ["9" * 23, "1"]), (["0_5", "1"], ["0_5", "1"]),
    (["1", "20"], [1, 20]), (["0.5", "-1e-3"], [0.5, -0.001]), (["1.0", "2.5"], [1.0, 2.5]),
])
def test_only_what_is_written_as_a_number_becomes_one(cells, tmp_path, texts, read):
    table = write(tmp_path, f"well,Value\nA01,{texts[0]}\nA02,{texts[1]}\n")
    assert external_table.join(cells, table)["Metadata_Value"].tolist() == [read[0]] * 3 + [read[1]] * 3


def test_a_class_called_none_is_not_missing(cells, tmp_path):
    joined = external_table.join(cells, write(tmp_path, "well,Treatment\nA01,None\nA02,NA\n"))
    assert joined["Metadata_Treatment"].tolist() == ["None"] * 3 + ["NA"] * 3


def test_an_empty_cell_is_missing(cells, tmp_path):
    joined = external_table.join(cells, write(tmp_path, "well,dose\nA01,5\nA02,\n"))
    assert joined["Metadata_dose"].isna().tolist() == [False] * 3 + [True] * 3


def test_wells_and_sites_are_the_same_with_and_without_zeros(cells, tmp_path):
    joined = external_table.join(cells, write(tmp_path, "Plate,Well,Site,Drug\np1,a1,1,x\nP1,A2,001,y\n"))
    assert joined["Metadata_Drug"].tolist() == ["x"] * 3 + ["y"] * 3
    with pytest.raises(InputRefused, match="a1 stands there twice"):
        external_table.join(cells, write(tmp_path, "Well,Drug\nA01,x\na1,y\n"))


@pytest.mark.parametrize("site", [[1, 7], [1.0, None]])
def test_numbers_of_a_parquet_file_are_texts(cells, tmp_path, site):
    pd.DataFrame({"Site": site, "Drug": ["x", "y"]}).to_parquet(tmp_path / "t.parquet")
    assert external_table.join(cells, tmp_path / "t.parquet")["Metadata_Drug"].tolist() == ["x"] * 6


@pytest.mark.parametrize(("text", "words"), [
    ("field,y,x,score\nf1,10,50,a\nf1,,50,b\n", "column y, row 3: ''; allowed: a number"),
    ("field,y,x,score\nf1,10,left,a\n", "column x, row 2: 'left'; allowed: a number"),
    ("", "cannot be read as CSV or Parquet"),
    ("\n\n", "cannot be read as CSV or Parquet"),
    ("well,dose,Metadata_dose\nA01,1,2\n", "two of the columns dose, Metadata_dose say the same"),
])
def test_what_is_no_table_of_places_is_refused_in_one_line(cells, tmp_path, text, words):
    with pytest.raises(InputRefused, match=f"table.csv: {words}") as caught:
        external_table.join(cells, write(tmp_path, text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("text", "words"), [
    ("well,dose\nA01,5\nB07,6\nC07,7\n", "note: 2 of 3 rows of PATH fit no cell, e.g. B07\n"),
    ("field,y,x,score\nf1,10,50,a\nf1,90,90,far\n", "note: 1 of 2 rows of PATH fit no cell, e.g. f1, 90, 90\n"),
    ("well,dose\nA01,5\nA02,6\n", ""),
])
def test_rows_without_a_cell_are_counted(cells, tmp_path, capsys, text, words):
    path = write(tmp_path, text)
    external_table.join(cells, path)
    assert capsys.readouterr().err == words.replace("PATH", str(path))


def test_the_index_of_a_parquet_file_may_be_a_key_and_places_may_be_nullable(cells, tmp_path):
    pd.DataFrame({"Drug": ["x"]}, index=pd.Index(["A1"], name="Well")).to_parquet(tmp_path / "t.parquet")
    assert external_table.join(cells, tmp_path / "t.parquet")["Metadata_Drug"].notna().sum() == 3
    place = {"field": ["f1", "f1"], "y": pd.array([10, None], "Int64"), "x": [50, 50], "score": ["a", "b"]}
    pd.DataFrame(place, index=[0, 0]).to_parquet(tmp_path / "p.parquet")
    with pytest.raises(InputRefused, match="p.parquet: column y, row 3"):
        external_table.join(cells, tmp_path / "p.parquet")


def test_a_table_without_rows_fits_nothing(cells, tmp_path):
    for header in ("well,dose", "field,y,x,score"):
        with pytest.raises(InputRefused, match="no row fits a cell by .*: nothing there"):
            external_table.join(cells, write(tmp_path, f"{header}\n"))
