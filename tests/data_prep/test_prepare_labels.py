"""Labels of a data set: what is in doubt, what is refused, and what a human corrected."""


import pandas as pd
import pytest
from matplotlib.figure import Figure

from cellcycle_jax import files, schema
from cellcycle_jax.errors import InputRefused, UsageError
from data_prep.labelling import marker_cut
from data_prep.prepare import few_cells, prepare
from tests.data_prep.small_preparation import small_config


@pytest.fixture(scope="module")
def cells(prepared):
    return pd.read_parquet(prepared / "cells.parquet")


def test_marker_labels_agree_with_the_true_phase(cells):
    used = cells[(cells[schema.REJECT_REASON] == "") & cells[schema.TRUE_PHASE].isin(["G1/S", "G2"])]
    labelled = used[used[schema.LABEL] != ""]
    assert (labelled[schema.LABEL] == labelled[schema.TRUE_PHASE]).mean() >= 0.97
    assert 1 - len(labelled) / len(used) <= 0.15


def test_doubts_of_the_labels_are_written_down(prepared):
    made = files.read_json(prepared / "provenance.json")
    assert made["intervals_by"] == "field"  # each line has one plate, with one field in a well
    doubtful = [plate for plate, cut in made["cuts"].items() if marker_cut.humps(cut) is marker_cut.Humps.PERHAPS_TWO]
    about_plates = [doubt for doubt in made["label_doubts"] if "is not certain to show two humps" in doubt]
    assert doubtful and [doubt.split("'")[1] for doubt in about_plates] == doubtful  # 114 cells on each plate
    few = [doubt for doubt in made["label_doubts"] if "has few cells of a class" in doubt]
    assert sorted(about_plates + few) == sorted(made["label_doubts"])


@pytest.mark.usefixtures("unrendered")
def test_where_no_marker_shows_two_humps_all_is_refused_with_the_histogram(simulated_fields, tmp_path, monkeypatch):
    monkeypatch.setattr(marker_cut, "FLAT_VALLEY", 0.0)  # no valley is one
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **_: drawn.append(path.name))
    config = small_config()
    with pytest.raises(InputRefused, match="CENPF of plate 'HeLa-P1' shows no two humps .*: none of its") as refused:
        prepare(config, simulated_fields, tmp_path)
    assert f"Look at {tmp_path / 'qc' / 'marker_cuts.png'}" in str(refused.value)
    assert "labels.one_hump='label' if you know that there are two classes" in str(refused.value)
    assert drawn == ["marker_cuts.png"]
    assert not (tmp_path / "provenance.json").exists()
    config.labels.one_hump = "label"
    assert prepare(config, simulated_fields, tmp_path) == 0
    made = files.read_json(tmp_path / "provenance.json")
    about_plates = [doubt for doubt in made["label_doubts"] if "shows no two humps" in doubt]
    assert [doubt.split("'")[1] for doubt in about_plates] == sorted(made["cuts"])


@pytest.mark.usefixtures("unrendered")
def test_cells_that_a_human_labelled_need_no_humps(prepared, simulated_fields, tmp_path, monkeypatch):
    sheet = pd.read_csv(prepared / "qc" / "labels.csv", keep_default_na=False)
    sheet["Corrected_Label"] = sheet[schema.LABEL]  # a human went through all of them
    sheet.to_csv(tmp_path / "labels.csv", index=False)
    monkeypatch.setattr(marker_cut, "FLAT_VALLEY", 0.0)  # no valley is one
    config = small_config()
    assert prepare(config, simulated_fields, tmp_path / "out", labels_csv=tmp_path / "labels.csv") == 0
    columns = [schema.CELL_ID, schema.LABEL, schema.REJECT_REASON]
    of_human = pd.read_parquet(tmp_path / "out" / "cells.parquet", columns=columns)
    of_marker = pd.read_parquet(prepared / "cells.parquet", columns=columns)
    assert set(of_human[schema.LABEL]) == {"G1/S", "G2", ""}
    pd.testing.assert_frame_equal(of_human, of_marker)


@pytest.mark.usefixtures("unrendered")
def test_a_bound_that_excludes_one_class_puts_its_labels_in_doubt(simulated_fields, tmp_path, capsys):
    config = small_config()
    config.quality.max_area = 1.15  # times that of the median nucleus; those of G2 are larger
    prepare(config, simulated_fields, tmp_path)
    made = files.read_json(tmp_path / "provenance.json")
    [doubt] = [doubt for doubt in made["label_doubts"] if doubt.startswith("Quality control excludes")]
    assert "of the cells that would be G2, most as large" in doubt
    assert doubt in capsys.readouterr().err
    of_g1, of_g2 = (made["cells_by_class"][name] for name in ("G1/S", "G2"))
    assert of_g2["large"] > 0.5 * of_g2["used"] and of_g1["large"] < 0.2 * of_g1["used"]


def test_few_cells_of_a_class_in_a_split_are_a_doubt():
    table = pd.DataFrame({
        schema.REJECT_REASON: [""] * 30 + ["border"] * 20,
        schema.LABEL: ["A"] * 10 + ["B"] * 9 + ["A"] * 11 + ["B"] * 20,
        schema.SPLIT: ["train"] * 19 + ["validation"] * 5 + ["test"] * 6 + ["train"] * 20,
    })
    few = "The {} split has few cells of a class ({}): what holds for so few may hold for no others."
    assert few_cells(table, ("A", "B")) == [
        few.format("train", "B 9"),
        few.format("validation", "A 5, B 0"),
        few.format("test", "A 6, B 0"),
    ]


@pytest.mark.usefixtures("unrendered")
def test_corrections_by_hand_outlive_another_preparation(some_fields, tmp_path):
    out = tmp_path / "out"
    sheet = out / "qc" / "labels.csv"
    prepare(small_config(), some_fields, out)
    before = pd.read_csv(sheet, keep_default_na=False)
    moved, gone = before[schema.CELL_ID][before[schema.LABEL] == "G1/S"].head(2)
    before["Corrected_Label"] = before[schema.CELL_ID].map({moved: "G2", gone: "reject"}).fillna("")
    before.to_csv(sheet, index=False)
    with pytest.raises(UsageError, match="holds 2 corrections"):
        prepare(small_config(), some_fields, out, overwrite=True)
    for _ in range(2):  # the second time from what the first wrote
        assert prepare(small_config(), some_fields, out, labels_csv=sheet, overwrite=True) == 0
        after = pd.read_csv(sheet, keep_default_na=False).set_index(schema.CELL_ID)
        assert after["Corrected_Label"][after["Corrected_Label"] != ""].to_dict() == {moved: "G2", gone: "reject"}
        cells = pd.read_parquet(out / "cells.parquet").set_index(schema.CELL_ID)
        assert cells.loc[moved, schema.LABEL] == "G2" and cells.loc[gone, schema.REJECT_REASON] == "by_hand"


def test_a_bad_table_of_corrections_is_told_before_any_field_is_read(tmp_path):
    with pytest.raises(InputRefused, match="none.csv.*--labels"):
        prepare(small_config(), tmp_path / "nowhere", tmp_path / "out", labels_csv=tmp_path / "none.csv")
