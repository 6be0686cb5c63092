import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import files, schema
from cellcycle_jax.dataset import cell_table
from cellcycle_jax.errors import StoredStateRefused


def make_cells(n=6):
    return pd.DataFrame({
        schema.CELL_ID: [f"c{i}" for i in range(n)],
        schema.FIELD: "f",
        schema.CELL_LINE: "HeLa",
        schema.GROUP: "g",
        schema.SPLIT: (["train", "validation", "test"] * n)[:n],
        schema.LABEL: "G2",
        schema.REJECT_REASON: ["", "", "", "border", "border", "border"][:n],
        "Metadata_Reference_DNA": 10.0,
        "Metadata_Reference_CENPF": 5.0,
        "Metadata_Reference_Golgi": [4.0, 0.0, np.nan, 4.0, 4.0, 4.0][:n],
        schema.NUCLEAR_AREA: 100.0,
        schema.integrated("DNA"): 2000.0,
        "Nuclei_Intensity_MeanIntensity_CENPF": 1.0,
        "Nuclei_Correlation_Correlation_CENPF_DNA": 1.0,
        "Golgi_Intensity_MeanIntensity_Golgi": 8.0,
        "Cells_AreaShape_ObjectArea_Golgi": 20.0,
        "Truth_age": 0.5,
        "Nuclei_Note_DNA": "text",
    })


def test_a_stored_table_comes_back(tmp_path):
    files.write_table(make_cells(), tmp_path / "cells.parquet")
    assert list(cell_table.load_cells(tmp_path)[schema.CELL_ID]) == [f"c{i}" for i in range(6)]


def test_missing_texts_become_empty(tmp_path):
    cells = make_cells()
    cells.loc[0, schema.REJECT_REASON] = None
    files.write_table(cells, tmp_path / "cells.parquet")
    assert cell_table.load_cells(tmp_path)[schema.REJECT_REASON].iloc[0] == ""


@pytest.mark.parametrize("damage", ["absent", "bytes", "column", "twice"])
def test_a_table_that_cannot_be_used_is_refused_in_one_line(tmp_path, damage):
    path = tmp_path / "cells.parquet"
    if damage == "bytes":
        path.write_bytes(b"PAR1 this is not a table")
    if damage == "column":
        files.write_table(make_cells().drop(columns=schema.SPLIT), path)
    if damage == "twice":
        files.write_table(pd.concat([make_cells(), make_cells()]), path)
    with pytest.raises(StoredStateRefused, match="prepare") as refused:
        cell_table.load_cells(tmp_path)
    assert "\n" not in str(refused.value)
    assert "cells.parquet" in str(refused.value)


def test_the_test_split_and_rejected_cells_stay_out_unless_final():
    cells = make_cells()
    assert list(cell_table.unlocked(cells)[schema.CELL_ID]) == ["c0", "c1"]
    assert list(cell_table.unlocked(cells, final=True)[schema.CELL_ID]) == ["c0", "c1", "c2"]


def test_rows_come_in_the_order_asked():
    assert list(cell_table.rows_by_id(make_cells(), ["c3", "c0", "c3"])[schema.CELL_ID]) == ["c3", "c0", "c3"]


def test_an_unknown_cell_is_named():
    with pytest.raises(StoredStateRefused, match="'nobody'"):
        cell_table.rows_by_id(make_cells(), ["c0", "nobody"])


def test_intensities_are_divided_by_the_field_reference_and_areas_are_not():
    columns = [schema.integrated("DNA"), "Golgi_Intensity_MeanIntensity_Golgi", schema.NUCLEAR_AREA]
    relative = cell_table.relative_features(make_cells(), columns)
    assert relative[columns[0]].tolist() == [200.0] * 6
    np.testing.assert_array_equal(relative[columns[1]], [2, np.nan, np.nan, 2, 2, 2])
    assert relative[columns[2]].tolist() == [100.0] * 6


def test_a_missing_reference_or_column_is_refused():
    with pytest.raises(StoredStateRefused, match="Reference"):
        cell_table.relative_features(make_cells().drop(columns="Metadata_Reference_DNA"), [schema.integrated("DNA")])
    with pytest.raises(StoredStateRefused, match="Nuclei_X"):
        cell_table.relative_features(make_cells(), ["Nuclei_X"])


def test_measurements_of_chosen_channels_never_touch_the_marker():
    cells = make_cells()
    golgi = ["Golgi_Intensity_MeanIntensity_Golgi", "Cells_AreaShape_ObjectArea_Golgi"]
    dna = [schema.NUCLEAR_AREA, schema.integrated("DNA")]
    assert cell_table.measurements(cells, ["DNA", "CENPF"], ("CENPF",), nucleus="DNA") == dna
    assert cell_table.measurements(cells, ["Golgi"], ("CENPF",), nucleus="DNA") == golgi
    assert cell_table.measurements(cells, ["Golgi"], ("CENPF",)) == [schema.NUCLEAR_AREA, *golgi]


def test_a_table_that_is_not_as_it_was_written_is_refused(tmp_path):
    path = tmp_path / "cells.parquet"
    files.write_table(make_cells(), path)
    files.write_json(tmp_path / "provenance.json", {"sha256": {"cells.parquet": files.sha256(path)}})
    assert len(cell_table.load_cells(tmp_path)) == 6
    cells = make_cells()
    cells[schema.NUCLEAR_AREA] /= 2  # readable and complete, with other numbers
    files.write_table(cells, path)
    with pytest.raises(StoredStateRefused, match="cells.parquet: not as prepare wrote it"):
        cell_table.load_cells(tmp_path)


def test_a_flipped_byte_of_a_table_is_noticed_wherever_it_is(tmp_path):
    path = tmp_path / "cells.parquet"
    files.write_table(make_cells(), path)
    files.write_json(tmp_path / "provenance.json", {"sha256": {"cells.parquet": files.sha256(path)}})
    whole = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(whole), 40):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(StoredStateRefused, match="cells.parquet"):
            cell_table.load_cells(tmp_path)
