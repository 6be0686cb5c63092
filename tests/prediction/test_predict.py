import csv
import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import crop_file, files, schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.errors import InputRefused, StoredStateRefused
from cellcycle_jax.prediction import field_alarms, predict, prediction_summary, predictor
from cellcycle_jax.runs.trained_run import BATCH
from cellcycle_jax.scoring.intervals import Resampling
from cellcycle_jax.training import loop
from configs import base
from tests import tiny
from tests.prediction.test_predictor import freeze, tiny_run, tiny_table

PROBABILITIES = ["prob_G1/S", "prob_G2", "calibrated_G1/S", "calibrated_G2", "confidence", "novelty"]


def write_fields(crops, folder):
    """The crops of every field, as the preparation writes them."""
    folder.mkdir(exist_ok=True)
    for field in np.unique(crops.field_id):
        one = crop_arrays.take(crops, crops.field_id == field)
        shared = crop_file.Shared(one.image_scale[0], one.compartments_present[0], one.intensity_stats[0, :, :3].T,
                                  one.um_per_px[0])
        crop_file.write(folder, field, one.cell_id, one.image, one.compartments, shared)
    return folder


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    workdir = tiny_run(tmp_path_factory.mktemp("tiny"))
    freeze(workdir)
    found = predictor.load_predictor(workdir)
    # Three steps on 32 cells teach little about what is sure and what is usual.
    layers = {name: dataclasses.replace(layer, threshold=10 * layer.threshold)
              for name, layer in found.cells.layers.items()}
    return dataclasses.replace(found, min_confidence=0.5, cells=dataclasses.replace(found.cells, layers=layers))


@pytest.fixture(scope="module")
def new(tmp_path_factory):
    """Table and crops of 150 new cells in 38 fields."""
    return tiny_table("test", 150), write_fields(tiny.crops(150, "test"), tmp_path_factory.mktemp("new"))


@pytest.fixture(scope="module")
def predicted(known, new):
    return predict.predict_cells(known, *new, tiny.CHANNELS)


def test_probabilities_are_those_of_the_network_after_the_temperature(known, predicted):
    logits = known.predict(tiny.crops(150, "test"))[0].astype(float)
    for columns, temperature, biases in ((PROBABILITIES[:2], 1.0, [0, 0]), (PROBABILITIES[2:4], 1.5, [0.25, -0.25])):
        scaled = np.exp(logits / temperature + biases)
        np.testing.assert_allclose(predicted[columns], scaled / scaled.sum(axis=1, keepdims=True), atol=1e-6)
    highest = logits.argmax(axis=1)
    assert predicted["predicted"].tolist() == np.array(tiny.CLASSES)[highest].tolist()
    of_predicted = predicted[PROBABILITIES[2:4]].to_numpy()[np.arange(150), highest]
    assert np.array_equal(predicted["confidence"], of_predicted)


def test_every_object_keeps_its_place_and_rejected_ones_have_no_numbers(known, new, predicted):
    cells = new[0].copy()
    cells.loc[[0, 3, 4, 5, 6, 149], schema.REJECT_REASON] = "border"  # field test-1 has no usable cell left but one
    cells.index = np.arange(150)[::-1]
    found = predict.predict_cells(known, cells, new[1], tiny.CHANNELS)
    assert found[schema.CELL_ID].tolist() == cells[schema.CELL_ID].tolist()
    out = found[schema.REJECT_REASON] != ""
    assert out.sum() == 6 and found.loc[out, PROBABILITIES].isna().all(axis=None)
    assert set(found.loc[out, "abstained_because"]) == {"rejected: border"}
    assert (found.loc[out, ["predicted", "decision", "novelty_cause"]] == "").all(axis=None)
    np.testing.assert_allclose(found.loc[~out, PROBABILITIES], predicted.loc[~out, PROBABILITIES], atol=1e-6)


def test_chunks_do_not_change_the_result(known, new, predicted, monkeypatch):
    monkeypatch.setattr(predict, "CHUNK", BATCH)
    pd.testing.assert_frame_equal(predict.predict_cells(known, *new, tiny.CHANNELS), predicted)


def test_fields_are_cut_into_chunks_of_whole_batches():
    parts = [crop_arrays.take(tiny.crops(17, "test"), slice(a, b)) for a, b in ((0, 3), (3, 3), (3, 12), (12, 17))]
    assert [len(crops) for crops in predict.in_chunks(parts, 4)] == [12, 4, 1]
    joined = np.concatenate([crops.cell_id for crops in predict.in_chunks(parts, 4)])
    assert joined.tolist() == [cell for part in parts for cell in part.cell_id]
    assert list(predict.in_chunks([], 4)) == []


def test_the_surest_decide_and_the_others_say_why_not(known, new):
    sure = predict.predict_cells(dataclasses.replace(known, min_confidence=0.0), *new, tiny.CHANNELS)
    like = sure["novelty"] <= 1
    assert (sure.loc[like, "decision"] == sure.loc[like, "predicted"]).all()
    assert (sure.loc[like, "abstained_because"] == "").all() and like.all()
    never = predict.predict_cells(dataclasses.replace(known, min_confidence=1.0), *new, tiny.CHANNELS)
    assert (never["decision"] == "").all() and set(never.loc[like, "abstained_because"]) == {"uncertain"}


def test_a_cell_unlike_training_is_not_decided_and_says_why(known, new):
    cells = new[0].copy()
    cells.loc[7, schema.NUCLEAR_AREA] = 300.0
    found = predict.predict_cells(known, cells, new[1], tiny.CHANNELS).loc[7]
    assert found["abstained_because"].startswith("unlike training: nuclear area 3")
    assert found["decision"] == "" and found["predicted"] and found["novelty"] > 1
    assert found["novelty_cause"] == "nuclear area"


def test_a_table_without_usable_objects_is_predicted_too(known, new, tmp_path):
    cells = new[0].head(3).assign(**{schema.REJECT_REASON: "small"})
    found = predict.predict_cells(known, cells, tmp_path, tiny.CHANNELS)
    assert found["abstained_because"].tolist() == ["rejected: small"] * 3
    summary = prediction_summary.summarise(known, found, field_alarms.judge_fields(known.fields, found))
    prediction_summary.write_predictions(found, summary, tmp_path)
    prediction_summary.print_summary(summary)
    assert summary["n_usable"] == 0 and summary["all"]["shares"] == {}


def test_missing_and_damaged_crops_are_refused_by_name(known, new, tmp_path):
    folder = shutil.copytree(new[1], tmp_path / "crops")
    (folder / "test-3.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(StoredStateRefused, match="test-3.npz: not readable"):
        predict.predict_cells(known, new[0], folder, tiny.CHANNELS)
    (folder / "test-3.npz").unlink()
    with pytest.raises(StoredStateRefused, match="test-3.npz"):
        predict.predict_cells(known, new[0], folder, tiny.CHANNELS)
    shutil.copy(new[1] / "test-3.npz", folder)
    (folder / "test-3.crops").write_bytes((folder / "test-3.crops").read_bytes()[:-9])
    with pytest.raises(StoredStateRefused, match="test-3.crops: not readable"):
        predict.predict_cells(known, new[0], folder, tiny.CHANNELS)
    cells = new[0].assign(**{schema.CELL_ID: [f"x{i}" for i in range(150)]})
    with pytest.raises(StoredStateRefused, match="no cell 'x0', so these are not the crops of the cells in the table"):
        predict.predict_cells(known, cells, new[1], tiny.CHANNELS)
    with pytest.raises(InputRefused, match="no channel DNA"):
        predict.predict_cells(known, *new, ("w1", "Golgi", "CENPF"))


RESAMPLING = Resampling(0.95, prediction_summary.SEED)


def rows_of(decisions, fields):
    """Usable cells with these decisions, in these fields; where there is none, G2 has a probability of 0.6."""
    prob = pd.Series(decisions).map({"G2": 0.9, "G1/S": 0.1, "": 0.6})
    return pd.DataFrame({"decision": decisions, schema.FIELD: fields, "novelty": 0.5, "calibrated_G2": prob,
                         "calibrated_G1/S": 1 - prob})


def test_shares_of_few_fields_have_wilsons_interval():
    rows = rows_of(["G2"] * 3 + ["G1/S"] * 7 + [""] * 2, ["a", "b"] * 6)
    found = prediction_summary.shares(rows, tiny.CLASSES, RESAMPLING)
    assert (found["n_cells"], found["n_decided"], found["n_fields"]) == (12, 10, 2)
    # Wilson 1927: (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4 n^2)) / (1 + z^2 / n), p = 0.3, n = 10, z = 1.96
    assert found["shares"]["G2"].as_json() == pytest.approx({"value": 0.3, "low": 0.1078, "high": 0.6032}, abs=1e-4)
    assert found["interval"] == "wilson"
    assert prediction_summary.shares(rows_of(["", ""], ["a", "b"]), tiny.CLASSES, RESAMPLING)["shares"] == {}


def test_expected_shares_count_the_uncertain_and_leave_out_what_is_unlike():
    rows = rows_of(["G2", "G1/S", "", "G2"], ["a"] * 4)
    rows.loc[3, "novelty"] = 2.0
    found = prediction_summary.shares(rows, tiny.CLASSES, RESAMPLING)
    assert found["expected"] == pytest.approx({"G2": (0.9 + 0.1 + 0.6) / 3, "G1/S": (0.1 + 0.9 + 0.4) / 3})
    rows["novelty"] = 2.0
    assert prediction_summary.shares(rows, tiny.CLASSES, RESAMPLING)["expected"] == {"G2": None, "G1/S": None}


def test_shares_of_four_fields_have_intervals_over_fields():
    same = rows_of(["G2", "G1/S", "G1/S", "G1/S"] * 12, np.repeat([f"f{i}" for i in range(12)], 4))
    found = prediction_summary.shares(same, tiny.CLASSES, RESAMPLING)
    assert found["interval"] == "fields" and found["shares"]["G2"].value == 0.25
    assert 0 < found["shares"]["G2"].low < 0.25 < found["shares"]["G2"].high < 1  # not certain, though all are alike
    assert prediction_summary.shares(same.head(16), tiny.CLASSES, RESAMPLING)["interval"] == "fields"
    assert prediction_summary.shares(same.head(12), tiny.CLASSES, RESAMPLING)["interval"] == "wilson"
    apart = rows_of(["G2"] * 24 + ["G1/S"] * 24, np.repeat([f"f{i}" for i in range(12)], 4))
    wide = prediction_summary.shares(apart, tiny.CLASSES, RESAMPLING)["shares"]["G2"]
    assert wide.value == 0.5 and wide.low <= 0.25 and wide.high >= 0.75


def test_what_is_written_is_what_was_found(known, new, predicted, tmp_path):
    cells = predicted.copy()
    cells.loc[0, schema.PLATE], cells.loc[1, "novelty"] = "=1+1", np.nan
    summary = prediction_summary.summarise(known, cells, field_alarms.judge_fields(known.fields, cells))
    prediction_summary.write_predictions(cells, summary, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells.csv", "cells.parquet", "predict.json"]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "cells.parquet"), cells)
    assert files.read_units(tmp_path / "cells.parquet")[schema.NUCLEAR_AREA] == "um^2"
    assert "predicted" not in files.read_units(tmp_path / "cells.parquet")
    rows = list(csv.DictReader((tmp_path / "cells.csv").open(encoding="utf-8")))
    assert len(rows) == 150 and rows[0][schema.PLATE] == "'=1+1" and rows[1]["novelty"] == ""
    found = files.read_json(tmp_path / "predict.json")
    assert found["run_id"] == known.run_id and found["note"] == "trained on simulated fields"
    assert found["n_objects"] == 150 and sum(found["predicted"].values()) == 150
    assert found["n_decided"] == sum(found["decision"].values()) == (cells["decision"] != "").sum()
    assert set(found["fields"]) == set(cells[schema.FIELD]) and set(found["cell_lines"]) == {"HeLa", "RPE1"}
    assert found["versions"]["jax"] and found["alarm_groups"][0]["kind"] == "few_cells"


def test_the_terminal_names_what_is_unlike_first_and_stays_short(known, predicted, capsys):
    cells = predicted.assign(**{schema.PIXEL_SIZE: 1.0, schema.CELL_LINE: [f"line {i % 9}" for i in range(150)]})
    alarms = field_alarms.judge_fields(known.fields, cells)
    prediction_summary.print_summary(prediction_summary.summarise(known, cells, alarms))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("verdict on this network: not explained. Whether it uses the cell was not tested")
    assert lines[1] == ("look here first: pixel size: 1 um per px, training fields 0.5 um per px (test-0; 38 of 38 "
                        "fields)")
    assert len(lines) <= 15 and lines[-1].endswith(" more in predict.json")
    assert "note: trained on simulated fields" in lines


def test_fields_of_the_data_set_are_named_first_with_what_they_are_worth(known, predicted, capsys):
    splits = {"x": ["train"], "y": ["test", "validation"], "z": ["test"]}
    of_data = dataclasses.replace(known, splits_of_pictures=splits)
    pictures = {"test-0": "x", "test-1": "y", "test-2": "y", "test-3": "new"}
    summary = prediction_summary.summarise(of_data, predicted, [], pictures=pictures)
    assert summary["known_fields"] == {"train": ["test-0"], "validation": ["test-1", "test-2"],
                                       "test": ["test-1", "test-2"]}
    prediction_summary.print_summary(summary)
    lines = capsys.readouterr().out.splitlines()[1:4]
    assert lines[0] == ("look here first: the network was trained on these fields: it may know their cells by heart "
                        "(test-0; 1 of 38 fields)")
    assert "validation split" in lines[1] and "locked test split" in lines[2] and "(test-1; 2 of 38 fields)" in lines[2]
    assert prediction_summary.summarise(known, predicted, [], pictures=pictures)["known_fields"] == {
        "train": [], "validation": [], "test": []}


def test_a_network_that_is_not_relied_on_decides_nothing_and_says_all_the_same(known, new, predicted, tmp_path, capsys):
    found = predict.predict_cells(known, *new, tiny.CHANNELS, withhold=True)
    assert set(found["decision"]) == {""} and set(found["abstained_because"]) == {"not relied on"}
    pd.testing.assert_frame_equal(found[["predicted", *PROBABILITIES]], predicted[["predicted", *PROBABILITIES]])
    shortcut = dataclasses.replace(known, explained={"status": "shortcut", "sentence": "Do not trust it."})
    prediction_summary.print_summary(prediction_summary.summarise(shortcut, found, []))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("verdict on this network: shortcut. Do not trust it. Balanced accuracy 0.90 on 12")
    assert "no cell is decided" in lines[1] and "--decide_anyway" in lines[1]
    assert "0 decided; 150 not relied on" in lines[2]
    prediction_summary.print_summary(prediction_summary.summarise(shortcut, predicted, []))  # the user insisted
    assert "--decide_anyway" not in capsys.readouterr().out


def test_what_to_expect_is_said_for_each_class_and_not_of_few_cells():
    known = {"coverage": 0.7, "precision": {"G1/S": {"n": 310, "value": 0.951, "low": 0.93, "high": 0.967},
                                            "G2": {"n": 12, "value": None, "low": None, "high": None}}}
    assert prediction_summary.expected_accuracy({"validation": known, "min_confidence": 0.8}) == (
        "on fields like those of training 70% of cells are sure enough (confidence 0.8); G1/S: 95.1 % (93.0 to 96.7) "
        "right of 310 so called; G2: unknown of 12 so called; accuracy on other fields is unknown")
    older = {"coverage": 0.7, "accuracy": 1.0}  # what predictors held before
    said = prediction_summary.expected_accuracy({"validation": older, "min_confidence": 0.8})
    assert "not worked out by class" in said and "100" not in said


# The whole way on simulated fields that were not trained on: no false alarm, and one where pictures are spoilt.


@pytest.fixture(scope="module")
def trained(prepared, tmp_path_factory):
    """A small network trained for a minute on the fields of `prepared`."""
    workdir = tmp_path_factory.mktemp("run")
    config = base.training()
    config.update_from_flattened_dict({"train.steps": 150, "train.eval_every": 50, "model.filters": 8})
    loop.train(config, prepared, workdir)
    freeze(workdir)
    return predictor.load_predictor(workdir)


@pytest.fixture(scope="module")
def held_out(prepared):
    """Table and crops of the fields of the test split, all of its objects."""
    crops = crop_arrays.load_crops(prepared, "test", final=True)
    cells = pd.read_parquet(prepared / "cells.parquet")
    return cells[cells[schema.SPLIT] == "test"].reset_index(drop=True), crops


def judge(known, cells, crops, folder):
    found = predict.predict_cells(known, cells, write_fields(crops, folder), crops.channels)
    alarms = [alarm for alarm in field_alarms.judge_fields(known.fields, found) if not alarm.note]
    return found[found[schema.REJECT_REASON] == ""], alarms


@pytest.mark.slow
def test_fields_of_the_same_kind_raise_no_alarm(trained, held_out, tmp_path):
    usable, alarms = judge(trained, *held_out, tmp_path)
    assert alarms == [] and len(usable) > 60
    assert (usable["novelty"] > 1).mean() < 0.1  # of 75 cells; a few, where 107 cells were trained on


def swapped(crops):
    order = [crops.channels.index(c) for c in ("Golgi", "DNA", "EB1", "CENPF")]
    return dataclasses.replace(crops, image=crops.image[..., order])


def inverted(crops):
    return dataclasses.replace(crops, image=crops.image.max(axis=(1, 2), keepdims=True) - crops.image)


def blurred(crops, sigma=12):
    from scipy import ndimage

    soft = ndimage.gaussian_filter(crops.image.astype(np.float32), (0, sigma, sigma, 0))
    return dataclasses.replace(crops, image=soft.astype(np.uint16))


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [swapped, inverted, blurred])
def test_spoilt_pictures_are_noticed_by_what_the_network_makes_of_them(trained, held_out, tmp_path, spoil):
    cells, crops = held_out
    usable, alarms = judge(trained, cells, spoil(crops), tmp_path)  # the measurements are those of the good pictures
    assert (usable["novelty"] > 1).mean() > 0.5
    assert len({a.field_id for a in alarms if a.kind == "crops"}) > 0.5 * usable[schema.FIELD].nunique()
