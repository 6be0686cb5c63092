import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused, UsageError
from data_prep.labelling import manual_corrections


@pytest.fixture
def table():
    return pd.DataFrame({schema.CELL_ID: list("abcd"), schema.CELL_LINE: "HeLa", schema.LABEL_SCORE: np.arange(4.0),
                         schema.LABEL: ["G1/S", "G1/S", "", "G2"], schema.REJECT_REASON: "", "_corrected": ""})


CLASSES = ("G1/S", "G2")


def correct(table, path):
    return manual_corrections.apply_corrections(table, manual_corrections.read_corrections(path, CLASSES))


def edit(path, said):
    """Write `said` into the sheet as a human does, in any order of rows."""
    sheet = pd.read_csv(path, keep_default_na=False, dtype=str)
    sheet[manual_corrections.CORRECTED] = sheet[schema.CELL_ID].map(said).fillna(sheet[manual_corrections.CORRECTED])
    sheet.to_csv(path, index=False)


def test_what_goes_out_comes_back_changed_only_where_edited(table, tmp_path):
    path = tmp_path / "labels.csv"
    manual_corrections.write_labels(table, {"d": ("contact_G2", 1)}, path)
    first = pd.read_csv(path, keep_default_na=False).iloc[0]
    assert first[[schema.CELL_ID, "sheet", "tile"]].tolist() == ["d", "contact_G2", 1]
    edit(path, {"a": "G2", "c": "G1/S", "b": "none", "d": "reject"})
    assert correct(table, path) == 4
    assert table[schema.LABEL].tolist() == ["G2", "", "G1/S", "G2"]
    assert table[schema.REJECT_REASON].tolist() == ["", "", "", "by_hand"]


def test_corrections_of_two_rounds_add_up(table, tmp_path):
    path, fresh = tmp_path / "labels.csv", table.copy()
    manual_corrections.write_labels(table, {}, path)
    edit(path, {"a": "G2", "d": "reject"})
    correct(table, path)
    manual_corrections.write_labels(table, {}, path)
    edit(path, {"c": "G1/S"})
    assert correct(fresh, path) == 3
    assert fresh[schema.LABEL].tolist() == ["G2", "G1/S", "G1/S", "G2"]
    assert fresh[schema.REJECT_REASON].tolist() == ["", "", "", "by_hand"]


def test_unedited_table_changes_nothing(table, tmp_path):
    before = table.copy()
    manual_corrections.write_labels(table, {}, tmp_path / "labels.csv")
    manual_corrections.refuse_to_erase(tmp_path / "labels.csv")
    assert correct(table, tmp_path / "labels.csv") == 0
    pd.testing.assert_frame_equal(table, before)


def test_an_edited_table_is_not_erased(table, tmp_path):
    path = tmp_path / "labels.csv"
    manual_corrections.refuse_to_erase(path)
    manual_corrections.write_labels(table, {}, path)
    edit(path, {"a": "G2"})
    with pytest.raises(UsageError, match="labels.csv holds 1 corrections.*--labels"):
        manual_corrections.refuse_to_erase(path)


@pytest.mark.parametrize("row, word", [("z,G2", "no cell 'z'"), ("a,G3", "line 2.*'G3'.*G1/S, G2, none, reject")])
def test_unknown_cells_and_classes_are_refused_by_name(table, tmp_path, row, word):
    (tmp_path / "bad.csv").write_text(f"{schema.CELL_ID},{manual_corrections.CORRECTED}\n{row}\n")
    with pytest.raises(InputRefused, match=word):
        correct(table, tmp_path / "bad.csv")


def test_two_words_for_one_cell_are_refused_and_the_same_word_twice_is_not(table, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(f"{schema.CELL_ID},{manual_corrections.CORRECTED}\na,G2\na,G2\n")
    assert manual_corrections.read_corrections(path, ("G1/S", "G2")) == {"a": "G2"}
    path.write_text(f"{schema.CELL_ID},{manual_corrections.CORRECTED}\na,G2\na,none\n")
    with pytest.raises(InputRefused, match="line 3: cell 'a' is 'none' here and 'G2' above"):
        manual_corrections.read_corrections(path, ("G1/S", "G2"))


@pytest.mark.parametrize("name", [schema.CELL_ID, manual_corrections.CORRECTED])
def test_two_columns_of_one_name_are_refused(tmp_path, name):
    path = tmp_path / "labels.csv"
    path.write_text(f"{schema.CELL_ID},{manual_corrections.CORRECTED},{name}\na,G2,G2\n")
    with pytest.raises(InputRefused, match=f"two columns are named '{name}'"):
        manual_corrections.read_corrections(path, ("G1/S", "G2"))
