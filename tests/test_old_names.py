"""What version 0.1 wrote, and what its users typed, is understood under the names of today."""

import pathlib

import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import files, old_names, schema, stored_config
from cellcycle_jax.dataset import cell_table, crop_arrays, tfds_reader
from cellcycle_jax.errors import StoredStateRefused
from cellcycle_jax.report import page
from cellcycle_jax.runs import checkpoint, passport_file
from configs import base
from configs.load import fields, load, load_study
from tests import tiny

ROOT = pathlib.Path(__file__).parents[1]
COLUMNS = {
    "Metadata_Marker": "Metadata_LabelScore",
    "Metadata_Reject": "Metadata_RejectReason",
    "Golgi_AreaShape_Area": "Cells_AreaShape_ObjectArea_Golgi",
    "w2_EB1_Number_Dots": "Cells_Number_Spots_w2_EB1",
    "EB1_Number_DotDensity": "Cells_Number_SpotDensity_EB1",
    "Golgi_Number_Pieces": "Cells_Number_Objects_Golgi",
    "Golgi_Distance_Spread": "Cells_Distance_Spread_Golgi",
    "Golgi_Distance_FromNucleus": "Cells_Distance_FromNucleus_Golgi",
    "Golgi_Intensity_IntegratedIntensity_Golgi": "Cells_Intensity_ObjectIntensity_Golgi",
}
SAME = (
    "Metadata_CellID",
    "Metadata_Plate_AreaShape_Area",
    "Nuclei_AreaShape_Area",
    "Cells_Intensity_IntegratedIntensity_Cells",
    "Nuclei_Intensity_IntegratedIntensity_DNA",
    "Golgi_Intensity_IntegratedIntensity_DNA",
    "Truth_golgi_area_um2",
)
OLD_PREPARATION = """from configs import base

def get_config():
    c = base.preparation()
    c.phase.classes = ("early", "late")
    c.phase.low = (0.7, 1.1)
    c.crop.body_um = 5.0
    return c
"""
OLD_STUDY = """from cellcycle_jax.studies.study import Table
from configs import base

TABLE = Table(rows="labels")

def get_config():
    c = base.training()
    c.data.scale = "own_max"
    c.explain.cells = 7
    return c

def sweep(data):
    return [{"data.labels": "own", "train.balance": False}, {"data.labels": "permuted"}]
"""


@pytest.mark.parametrize(("old", "today"), COLUMNS.items())
def test_a_column_has_its_name_of_today(old, today):
    assert old_names.column_of_today(old) == today
    assert old_names.column_of_today(today) == today


@pytest.mark.parametrize("name", SAME)
def test_other_columns_keep_their_names(name):
    assert old_names.column_of_today(name) == name


def test_a_stored_table_is_read_under_the_names_of_today(tmp_path):
    table = dict.fromkeys(cell_table._TEXTS, ["a"]) | {"Golgi_Number_Pieces": [3.0]}
    table["Metadata_Reject"] = table.pop(schema.REJECT_REASON)
    files.write_table(pd.DataFrame(table), tmp_path / "cells.parquet", {"Golgi_Number_Pieces": "1"})
    cells = cell_table.load_cells(tmp_path)
    assert cells[schema.REJECT_REASON].tolist() == ["a"]
    assert cells["Cells_Number_Objects_Golgi"].tolist() == [3.0]
    assert cell_table.units(tmp_path, cells.columns) == {"Cells_Number_Objects_Golgi": "1"}


def test_a_column_of_today_that_is_named_as_one_of_before_is_let_be(tmp_path):
    table = dict.fromkeys(cell_table._TEXTS, ["a"]) | {"Metadata_Marker": ["CENPF"], "Golgi_Number_Pieces": [3.0]}
    files.write_table(pd.DataFrame(table), tmp_path / "cells.parquet", {"Golgi_Number_Pieces": "1"})
    cells = cell_table.load_cells(tmp_path)
    assert cells["Metadata_Marker"].tolist() == ["CENPF"] and "Golgi_Number_Pieces" in cells
    assert cell_table.units(tmp_path, cells.columns) == {"Golgi_Number_Pieces": "1"}


def test_stored_crops_are_read_under_the_names_of_today(tmp_path, monkeypatch):
    folder = tiny.write_data(tmp_path)
    read = tfds_reader.read_split

    def as_before(*given):
        columns, metadata = read(*given)
        columns["norm"] = columns.pop("intensity_stats")
        return columns, metadata

    expected = crop_arrays.load_crops(folder, "train").intensity_stats
    monkeypatch.setattr(tfds_reader, "read_split", as_before)
    crop_arrays.data_set_folder(folder).rename(folder / schema.DATA_SET / "1.0.0")
    assert (crop_arrays.load_crops(folder, "train").intensity_stats == expected).all()


def test_every_old_config_field_is_one_of_today():
    today = fields(base.preparation()) | fields(base.training())
    assert set(old_names.CONFIG_FIELDS.values()) <= set(today)
    assert not set(old_names.CONFIG_FIELDS) & set(today)
    for field, values in old_names.CONFIG_VALUES.items():
        assert field in today and today[field] not in values


def test_a_config_file_with_old_names_is_followed_and_noted(tmp_path, capsys):
    old_names.note.cache_clear()
    path = tmp_path / "old.py"
    path.write_text(OLD_PREPARATION)
    config = load(path, ["--config.phase.high=1.5,2.5", "--config.phase.method=none"], base.preparation)
    assert config.labels.classes == ("early", "late")
    assert (config.labels.low_range, config.labels.high_range) == ((0.7, 1.1), (1.5, 2.5))
    assert (config.crop.cell_margin_um, config.labels.method) == (5.0, "none")
    assert "phase" not in config
    said = capsys.readouterr().err
    assert "note: config field phase is called labels now" in said
    assert said.count("phase.method is called labels.method") == 1


@pytest.mark.parametrize("source", old_names.SOURCES)
def test_a_config_file_with_a_source_of_before_reads_the_same_names(tmp_path, source, capsys):
    old_names.note.cache_clear()
    path = tmp_path / "old.py"
    path.write_text(f"from configs.data import {source}\n\ndef get_config():\n    c = {source}.get_config()\n"
                    f"    c.source = {source!r}\n    c.name_pattern = ''\n    c.channel_codes = ()\n"
                    "    c.pixel_um = 0.0\n    return c\n")
    config = load(path, kind=base.preparation)
    assert config.to_dict() == load(ROOT / "configs" / "data" / f"{source}.py").to_dict()
    assert f"note: config field source='{source}' is called source='folder'" in capsys.readouterr().err
    chosen = load(path, [r"--config.name_pattern=(?P<well>x)(?P<channel>\d)"], base.preparation)
    assert chosen.source == "folder" and chosen.name_pattern == r"(?P<well>x)(?P<channel>\d)"


@pytest.mark.parametrize("source", old_names.SOURCES)
def test_a_stored_config_with_a_source_of_before_is_read_as_a_folder(source):
    stored = files.to_json(base.preparation().to_dict()) | {"source": source, "name_pattern": "(?P<well>x)"}
    found = stored_config.read(stored, stored_config.PREPARATION, "x")
    assert (found["source"], found["name_pattern"]) == ("folder", "(?P<well>x)")
    assert found["pixel_um"] == old_names.SOURCES[source].get("pixel_um", 0.0)


def test_a_study_with_old_names_is_followed(tmp_path):
    path = tmp_path / "old.py"
    path.write_text(OLD_STUDY)
    study = load_study(path, ["--config.evaluate.confidence=0.9"])
    (first, config), (second, _) = study.choose(None)
    assert first == {"data.labels": "original", "train.balance_classes": False}
    assert second == {"data.labels": "permuted"}
    assert (config.data.scale, config.explain.cells_per_class) == ("nucleus_max", 7)
    assert config.evaluate.interval_level == 0.9


def test_a_field_that_does_nothing_any_more_is_noted_and_left_out(tmp_path, capsys):
    path = tmp_path / "config.py"
    path.write_text(
        "from configs import base\n"
        "def get_config():\n    c = base.training()\n    c.evaluate.bootstraps = 50\n    c.seed = 4\n    return c\n"
    )
    old_names.note_retired.cache_clear()
    config = load(path, ["--config.evaluate.bootstraps=200", "--config.train.steps=7"], base.training)
    assert (config.seed, config.train.steps) == (4, 7) and "evaluate.bootstraps" not in fields(config)
    assert capsys.readouterr().err.count("evaluate.bootstraps is not used any more") == 1
    stored = config.to_dict()
    stored["evaluate"]["bootstraps"] = 2000
    read = stored_config.read(files.to_json(stored), stored_config.TRAINING, "config.json")
    assert read["evaluate"] == {"interval_level": 0.95}


def test_a_stored_passport_is_read_under_the_names_of_today(tmp_path):
    passport = {"format": passport_file.FORMAT, "status": "chance", "verdict": ["x"], "confidence": 0.9, "where": [1],
                "places": ["here"]}
    passport_file.write_passport(tmp_path, passport)
    found = passport_file.read_passport(tmp_path)
    assert (found["interval_level"], found["region_shares"], found["regions"]) == (0.9, [1], ["here"])


def test_stored_results_of_a_run_are_read_under_the_names_of_today(tmp_path):
    files.write_json(tmp_path / "pair.json", {"confidence": 0.9})
    assert page._json(tmp_path / "pair.json") == {"interval_level": 0.9}
    pd.DataFrame({"feature": ["Golgi_Number_Dots"], "rank": [1]}).to_csv(tmp_path / "ranking.csv", index=False)
    assert page._csv(tmp_path / "ranking.csv", None)["feature"].tolist() == ["Cells_Number_Spots_Golgi"]


def test_a_stored_checkpoint_is_read_under_the_names_of_today(tmp_path):
    best = {"w": np.zeros(2, np.float32)}
    checkpoint.save(tmp_path, 3, best, best, {"step": 3}, {"members": {"a": {"scale": "own_max", "mask": "none"}}})
    today = {"members": {"a": {"scale": "nucleus_max", "mask": "none"}}}
    assert checkpoint.restore(tmp_path, 3, best, best, today)[2] == {"step": 3}
    with pytest.raises(StoredStateRefused, match="members.a.scale is stored as 'nucleus_max'"):
        checkpoint.restore(tmp_path, 3, best, best, {"members": {"a": {"scale": "spread", "mask": "none"}}})


def test_the_one_marker_of_before_is_a_list_today():
    assert old_names.config_of_today({"channels.marker": "CENPF"}) == {"channels.markers": ["CENPF"]}
    assert old_names.config_of_today({"channels.marker": ""}) == {"channels.markers": []}
    assert old_names.config_of_today({"channels.markers": "CENPF"}) == {"channels.markers": "CENPF"}
