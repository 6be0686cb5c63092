import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused
from data_prep import review


@pytest.fixture
def table():
    return pd.DataFrame({schema.CELL_ID: list("abcd"), schema.CELL_LINE: "HeLa", schema.MARKER: np.arange(4.0),
                         schema.LABEL: ["G1/S", "G1/S", "", "G2"], schema.REJECT: ""})


def test_what_goes_out_comes_back_changed_only_where_edited(table, tmp_path):
    review.write_labels(table, {"d": ("contact_G2", 1)}, tmp_path / "labels.csv")
    sheet = pd.read_csv(tmp_path / "labels.csv", keep_default_na=False)
    assert sheet.iloc[0][[schema.CELL_ID, "sheet", "tile"]].tolist() == ["d", "contact_G2", 1]
    said = {"a": "G2", "c": "G1/S", "b": "none", "d": "reject"}
    sheet[review.CORRECTED] = sheet[schema.CELL_ID].map(said)
    sheet.to_csv(tmp_path / "edited.csv", index=False)
    assert review.apply_corrections(table, tmp_path / "edited.csv", ("G1/S", "G2")) == 4
    assert table[schema.LABEL].tolist() == ["G2", "", "G1/S", "G2"]
    assert table[schema.REJECT].tolist() == ["", "", "", "by_hand"]


def test_unedited_table_changes_nothing(table, tmp_path):
    before = table.copy()
    review.write_labels(table, {}, tmp_path / "labels.csv")
    assert review.apply_corrections(table, tmp_path / "labels.csv", ("G1/S", "G2")) == 0
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize("row, word", [("z,G2", "no cell 'z'"), ("a,G3", "line 2.*'G3'.*G1/S, G2, none, reject")])
def test_unknown_cells_and_classes_are_refused_by_line(table, tmp_path, row, word):
    (tmp_path / "bad.csv").write_text(f"{schema.CELL_ID},{review.CORRECTED}\n{row}\n")
    with pytest.raises(InputRefused, match=word):
        review.apply_corrections(table, tmp_path / "bad.csv", ("G1/S", "G2"))
