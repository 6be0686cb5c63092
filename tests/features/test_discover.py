import json

import numpy as np
import pandas as pd
import pytest
from ml_collections import ConfigDict

from cellcycle_jax import files, schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.errors import StoredStateRefused
from cellcycle_jax.features import discover
from cellcycle_jax.runs import run_record
from cellcycle_jax.scoring.intervals import Interval, Resampling
from configs import base
from tests import tiny
from tests.planted import CLASSES, DNA, GOLGI, UNITS, called, make_cells, split, sureness


def run(out, cells, confidence=None):
    validation = split(cells, "validation")
    data = discover.MeasuredCells(
        train=split(cells, "train"),
        validation=validation,
        channels=("DNA", "Golgi"),
        markers=("CENPF",),
        classes=CLASSES,
        confidence=sureness(validation) if confidence is None else confidence,
        predicted=called(validation),
        units=UNITS,
    )
    return discover.discover(data, out, 4, Resampling(0.95, 0))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    out = tmp_path_factory.mktemp("features")
    run(out, make_cells())
    return pd.read_csv(out / "ranking.csv"), pd.read_csv(out / "pairs.csv"), files.read_json(out / "pair.json"), out


def test_the_marker_the_truth_and_constants_never_appear(found):
    ranking, pairs = found[:2]
    used = " ".join([*ranking["feature"], *pairs["feature_x"], *pairs["feature_y"]])
    for word in ("CENPF", "Truth", "Metadata", "EulerNumber", "EB1"):
        assert word not in used


def test_the_line_is_the_one_known_by_hand(found):
    pair = found[2]
    axes = {pair[k]["feature"]: pair[k] for k in "xy"}
    # Normal logs of equal spread: log odds = sum over both of shift / sd^2 * (log x - midpoint).
    expected = {DNA: 0.6 / 0.3**2, GOLGI: 0.5 / 0.28**2}
    for feature, slope in expected.items():
        assert axes[feature]["scale"] == "log"
        assert axes[feature]["coefficient"] == pytest.approx(slope, rel=0.3)
    at_middle = (pair["intercept"] + axes[DNA]["coefficient"] * (np.log(250) + 0.3)
                 + axes[GOLGI]["coefficient"] * (np.log(30) + 0.25))
    assert abs(at_middle) < 0.6


def test_confidence_that_is_distance_correlates_fully_and_its_opposite_inversely(tmp_path, found):
    assert found[2]["spearman"]["value"] > 0.95
    assert "less sure the nearer" in found[2]["sentence"]
    cells = make_cells()
    summary = run(tmp_path, cells, confidence=1 - sureness(split(cells, "validation")))
    assert summary["spearman"].value == pytest.approx(-found[2]["spearman"]["value"])
    assert "is surer the nearer" in summary["sentence"]


def test_unrelated_confidence_is_said_to_be_unrelated(tmp_path):
    cells = make_cells()
    noise = pd.Series(np.random.default_rng(1).random(len(cells)), index=cells[schema.CELL_ID])
    summary = run(tmp_path, cells, confidence=noise)
    assert summary["spearman"].low < 0 < summary["spearman"].high
    assert "does not clearly depend" in summary["sentence"]


def test_several_lines_share_one_line_relative_to_their_medians(tmp_path):
    cells = make_cells(2400, lines=("HeLa", "RPE1", "NIH3T3"))
    summary = run(tmp_path, cells)
    assert {summary["x"]["feature"], summary["y"]["feature"]} == {DNA, GOLGI}
    assert summary["balanced_accuracy"].value == pytest.approx(0.910, abs=0.04)
    assert summary["x"]["label"].endswith("(relative to line median)")
    medians = {axis["feature"]: axis["line_medians"] for axis in (summary["x"], summary["y"])}[GOLGI]
    assert medians["RPE1"] / medians["HeLa"] == pytest.approx(3, rel=0.15)


def test_one_line_is_shown_in_physical_units(found):
    labels = {found[2][k]["feature"]: found[2][k]["label"] for k in "xy"}
    assert labels[GOLGI] == "Golgi area (µm²)"
    assert labels[DNA] == "Nuclear DNA integrated intensity (relative to field)"


def test_the_picture_is_wide_enough_to_read(found):
    header = (found[3] / "pair.png").read_bytes()[:24]
    width, height = int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")
    assert width > 1500 and height > 600


def write_record(folder, training):
    """The record of a run on the data set in `folder`/data, as that is now."""
    record = {
        "training": files.to_json(training.to_dict()),
        "channels": ["DNA", "Golgi"],
        "classes": CLASSES,
        "markers": ["CENPF"],
        "crop_px": 64,
        "data_sha256": crop_arrays.identity(folder / "data"),
    }
    record |= {"run_id": run_record.hash_of(record), "data_dir": str(folder / "data")}
    run_record.write(folder / "run", record)


@pytest.fixture
def run_folder(tmp_path):
    cells = make_cells()
    files.write_table(cells, tmp_path / "data" / "cells.parquet", UNITS)
    tiny.write_provenance(tmp_path / "data")
    training = base.training()
    training.update_from_flattened_dict({"data.channels": ("DNA", "Golgi"), "discover.n_candidates": 3,
                                         "evaluate.interval_level": 0.9})
    files.write_json(tmp_path / "run" / "evaluation_validation.json", {"step": 60})
    write_record(tmp_path, training)
    write_predictions(tmp_path / "run", cells, "validation")
    return tmp_path / "run"


def write_predictions(folder, cells, name):
    """Predictions for a split that follow DNA and Golgi area, written to a run folder."""
    rows = split(cells, name)
    predictions = pd.DataFrame({"confidence": sureness(rows), "predicted": called(rows)})
    predictions = predictions.rename_axis(schema.CELL_ID).reset_index()
    files.write_table(predictions, folder / f"predictions_{name}.parquet")


def test_a_run_folder_gets_its_features(run_folder):
    summary = discover.run_discover(run_folder)
    assert summary["interval_level"] == 0.9
    for name in ("ranking.csv", "pairs.csv", "pair.png", "pair.json"):
        assert (run_folder / "features" / name).is_file()
    assert json.loads((run_folder / "features" / "pair.json").read_text())["sentence"] == summary["sentence"]
    assert summary["step"] == 60 and summary["run_id"] == run_record.read(run_folder)["run_id"]


def test_intensities_of_which_the_labels_are_made_are_not_ranked(run_folder):
    before = pd.read_csv(discover.run_discover(run_folder) and run_folder / "features" / "ranking.csv")["feature"]
    assert DNA in set(before)
    made = run_folder.parent / "data" / "provenance.json"
    tiny.write_provenance(run_folder.parent / "data", labels_are_intensity_of="DNA")
    write_record(run_folder.parent, ConfigDict(run_record.read(run_folder)["training"]))
    discover.run_discover(run_folder)
    after = pd.read_csv(run_folder / "features" / "ranking.csv")["feature"]
    assert set(after) == {c for c in before if not ("_Intensity_" in c and c.endswith("_DNA"))}
    made.unlink()
    with pytest.raises(StoredStateRefused, match="the data set of .* is not there"):
        discover.run_discover(run_folder)


@pytest.mark.parametrize(
    ("name", "advice"), [("predictions_validation.parquet", "run evaluate"), ("config.json", "train"),
                         ("evaluation_validation.json", "run evaluate")]
)
@pytest.mark.parametrize("content", [None, b"damaged"])
def test_a_run_folder_that_lacks_something_says_what_to_do(run_folder, name, advice, content):
    (run_folder / name).unlink()
    if content:
        (run_folder / name).write_bytes(content)
    with pytest.raises(StoredStateRefused, match=advice) as refused:
        discover.run_discover(run_folder)
    assert "\n" not in str(refused.value)


def test_a_rule_is_scored_on_test_cells_only_where_they_were_opened_for_these_weights(run_folder):
    discover.run_discover(run_folder)
    locked = files.read_json(run_folder / "features" / "rule.json")
    assert locked["test"] is None
    assert set(pd.read_csv(run_folder / "features" / "rule_cells.csv")[schema.SPLIT]) == {"train", "validation"}
    write_predictions(run_folder, make_cells(), "test")
    files.write_json(run_folder / "evaluation_test.json", {"step": 59})
    discover.run_discover(run_folder)
    assert files.read_json(run_folder / "features" / "rule.json")["test"] is None
    files.write_json(run_folder / "evaluation_test.json", {"step": 60})
    discover.run_discover(run_folder)
    opened = files.read_json(run_folder / "features" / "rule.json")
    assert opened["rule"] == locked["rule"]
    assert opened["test"]["n_cells"] == len(split(make_cells(), "test"))
    assert 0.75 < opened["test"]["accuracy"]["value"] < opened["test"]["of_network"]["value"]


def test_predictions_that_evaluate_did_not_write_are_refused(run_folder):
    path, scores = run_folder / "predictions_validation.parquet", run_folder / "evaluation_validation.json"
    files.write_json(scores, files.read_json(scores) | {"predictions_sha256": files.sha256(path)})
    discover.run_discover(run_folder)
    table = pd.read_parquet(path)
    files.write_table(table.assign(confidence=table["confidence"][::-1].to_numpy()), path)
    with pytest.raises(StoredStateRefused, match="predictions_validation.parquet: not what evaluate wrote"):
        discover.run_discover(run_folder)


def test_predictions_of_other_cells_are_refused(run_folder):
    other = pd.DataFrame({schema.CELL_ID: ["x"], "confidence": [0.9], "predicted": ["G2"]})
    files.write_table(other, run_folder / "predictions_validation.parquet")
    with pytest.raises(StoredStateRefused, match="evaluate again"):
        discover.run_discover(run_folder)


def test_few_groups_have_no_interval_and_say_nothing_of_the_confidence():
    summary = {"spearman": Interval(-0.6), "x": {"name": "Area"}, "y": {"name": "Spread"},
               "balanced_accuracy": Interval(0.81), "n_cells": 40, "n_groups": 4,
               "classes": ["G1/S", "G2"]}
    said = discover.describe(summary)
    assert "balanced accuracy of 81 % (no interval)" in said
    assert "cannot be said of so few groups" in said and "nan" not in said
