import dataclasses
import json
import pathlib
import shutil

import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import files, schema
from cellcycle_jax.dataset import cell_table, crop_arrays, tfds_reader
from cellcycle_jax.devices import memory
from cellcycle_jax.errors import InputRefused, StoredStateRefused, UsageError
from cellcycle_jax.prediction import predictor
from cellcycle_jax.runs.trained_run import load_run
from cellcycle_jax.scoring import intervals
from cellcycle_jax.scoring.calibration import Calibration
from cellcycle_jax.training import loop
from configs import base
from tests import tiny

SCORES = {"temperature": 1.5, "class_biases": [0.25, -0.25],
          "model": {"balanced_accuracy": {"value": 0.9, "low": 0.8, "high": 1.0, "dropped": 0}},
          "interval_level": 0.95, "n_cells": 12, "n_fields": 4, "n_groups": 4}


def tiny_table(split, n, unlabelled=0):
    """What cells.parquet says of the cells of `tiny.examples`."""
    rng = np.random.default_rng(len(split))
    cells = pd.DataFrame([{name: example[name] for name in schema.EXAMPLE_TEXTS} | {"label": example["label"]}
                          for example in tiny.examples(split, n, unlabelled=unlabelled)])
    columns = {"cell_id": schema.CELL_ID, "group_id": schema.GROUP, "field_id": schema.FIELD, "well": schema.WELL,
               "plate": schema.PLATE, "cell_line": schema.CELL_LINE, "label": schema.LABEL}
    same = {schema.SPLIT: split, schema.REJECT_REASON: "", schema.PIXEL_SIZE: 0.5}
    cells = cells.rename(columns=columns).assign(**same)
    cells[schema.LABEL] = cells[schema.LABEL].map({0: "G1/S", 1: "G2", schema.NO_LABEL: ""})
    cells[schema.NUCLEAR_AREA] = 100 * np.exp(rng.normal(0, 0.1, n))
    for channel in tiny.CHANNELS:
        cells[schema.reference_column(channel)] = tiny.REFERENCE
        cells[f"Metadata_Background_{channel}"] = tiny.BACKGROUND
        cells[f"Nuclei_Intensity_MeanIntensity_{channel}"] = tiny.REFERENCE * np.exp(rng.normal(0, 0.3, n))
    return cells


def tiny_run(folder, note="", **changes):
    """A run of three steps on the tiny data, not evaluated; `changes` of the training config."""
    own = tiny.write_data(folder / "data", unlabelled=4)
    tiny.write_provenance(own, "simulated", splits_of_pictures={"00ff": ["test"]})
    parts = [tiny_table(split, n, 4) for split, n in (("train", 32), ("validation", 16), ("test", 8))]
    files.write_table(pd.concat(parts), own / "cells.parquet")
    config = base.training()
    config.update_from_flattened_dict({"model.filters": 4, "model.depth": 1, "train.batch_size": 8, "train.steps": 3,
                                       "predict.note": note} | changes)
    loop.train(config, own, folder / "run")
    return folder / "run"


def freeze(workdir):
    """RUN/predictor of a run on the tiny data."""
    trained = load_run(workdir)
    crops = crop_arrays.load_crops(trained.data_dir, "validation")
    return predictor.export_predictor(trained, crops, trained.predict(crops), SCORES)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir = tiny_run(tmp_path_factory.mktemp("tiny"), note="for tests only")
    freeze(workdir)
    return workdir


@pytest.fixture
def copied(run, tmp_path):
    """The predictor's folder alone, elsewhere."""
    return pathlib.Path(shutil.copytree(run / "predictor", tmp_path / "elsewhere"))


def test_what_is_read_back_says_the_same_to_the_last_bit(run):
    trained, found = load_run(run), predictor.load_predictor(run)
    crops = crop_arrays.load_crops(trained.data_dir, "validation")
    logits, embedding = found.predict(crops)
    assert logits.tobytes() == trained.predict_logits(crops).tobytes()
    assert logits.dtype == np.float32
    assert {name: (e.shape, e.dtype.name) for name, e in embedding.items()} == {
        "stem": ((16, 4), "float32"), "stage1": ((16, 4), "float32"), "stage2": ((16, 8), "float32")}


def test_crops_that_would_fill_the_memory_stay_on_disk_and_give_the_same_to_the_last_bit(run, tmp_path, monkeypatch):
    trained, loaded = load_run(run), predictor.load_predictor(run)
    whole = predictor.crops_of(trained, "validation")
    monkeypatch.setattr(memory, "free_memory", lambda: (0, 0))
    with pytest.raises(UsageError, match="locked"):
        predictor.crops_of(trained, "test")
    stored = {split: predictor.crops_of(trained, split, final=True) for split in schema.SPLITS}
    assert {type(crops.image) for crops in stored.values()} == {tfds_reader.StoredPixels} != {type(whole.image)}
    assert [len(crops) for crops in stored.values()] == [32, 16, 8]
    assert trained.predict_logits(stored["validation"]).tobytes() == trained.predict_logits(whole).tobytes()
    assert loaded.predict(stored["validation"])[0].tobytes() == loaded.predict(whole)[0].tobytes()
    predicted = trained.predict(stored["validation"])
    predictor.export_predictor(dataclasses.replace(trained, workdir=tmp_path), stored["validation"], predicted, SCORES)
    for name in ("predictor.json", "weights.npz"):
        assert (tmp_path / "predictor" / name).read_bytes() == (run / "predictor" / name).read_bytes()


def test_another_model_with_channels_in_another_order_can_be_frozen(tmp_path):
    workdir = tiny_run(tmp_path, **{"model.name": "nagao2020", "data.channels": ("Golgi", "DNA")})
    found = predictor.load_predictor(freeze(workdir))
    crops = crop_arrays.load_crops(tmp_path / "data", "validation")
    assert found.channels == ("Golgi", "DNA")
    assert found.predict(crops)[0].tobytes() == load_run(workdir).predict_logits(crops).tobytes()


def test_the_embeddings_are_the_means_of_the_taps(run):
    trained = load_run(run)
    crops = crop_arrays.load_crops(trained.data_dir, "validation")
    _, taps = trained.network(trained.images(crops))
    for name, embedding in trained.predict(crops)[1].items():
        np.testing.assert_allclose(embedding, np.asarray(taps[name]).mean(axis=(1, 2)), atol=1e-5)


def test_a_copied_folder_needs_neither_run_nor_data(run, copied, tmp_path, monkeypatch):
    here, there = predictor.load_predictor(run), predictor.load_predictor(copied)
    crops = tiny.crops(8, "test")
    monkeypatch.chdir(tmp_path)
    assert here.predict(crops)[0].tobytes() == there.predict(crops)[0].tobytes()
    assert str(run.parent) not in (copied / "predictor.json").read_text()
    assert sorted(path.name for path in copied.iterdir()) == ["predictor.json", "weights.npz"]


def test_it_holds_what_is_needed_to_judge_new_fields(run):
    found, trained = predictor.load_predictor(run), load_run(run)
    assert (found.channels, found.classes, found.markers) == (("DNA", "Golgi"), ("G1/S", "G2"), ("CENPF",))
    assert (found.nucleus, found.stains, found.crop_px, found.um_per_px) == ("DNA", ("Golgi",), 16, 0.5)
    assert (found.calibration, found.min_confidence) == (Calibration(1.5, (0.25, -0.25)), 0.8)
    assert (found.run_id, found.step) == (trained.run_id, trained.step)
    made = files.read_json(run.parent / "data" / "provenance.json")
    assert found.preparation == {"config": made["config"], "channels": list(tiny.CHANNELS)}
    assert found.note == "trained on simulated fields; for tests only"
    assert found.validation["balanced_accuracy"] == SCORES["model"]["balanced_accuracy"]
    assert found.fields.reference["DNA"] == [tiny.REFERENCE, tiny.REFERENCE] and found.fields.pixel_um == [0.5, 0.5]
    assert found.fields.cell_lines == ["HeLa", "RPE1"]
    assert found.splits_of_pictures == {"00ff": ["test"]}


def test_what_to_expect_is_that_of_the_sure_validation_cells(run, tmp_path):
    trained = load_run(run)
    crops = crop_arrays.load_crops(trained.data_dir, "validation")
    logits = trained.predict_logits(crops).astype(float)
    likely = np.exp(logits / 1.5 + [0.25, -0.25])
    highest = logits.argmax(axis=1)
    confidence = (likely / likely.sum(axis=1, keepdims=True))[np.arange(16), highest]
    labelled = crops.label >= 0
    trained.config.predict.min_confidence = float(np.sort(confidence)[7:9].mean())  # 16 cells: half of them are sure
    predictor.export_predictor(dataclasses.replace(trained, workdir=tmp_path), crops, trained.predict(crops), SCORES)
    expected = predictor.load_predictor(tmp_path).validation
    sure = confidence > trained.config.predict.min_confidence
    assert 0 < (sure & labelled).sum() < labelled.sum() and not labelled[sure].all()
    assert expected["coverage"] == pytest.approx(sure.mean()) == 0.5
    called = highest[sure & labelled]
    unknown = {"value": None, "low": None, "high": None}
    counts = {name: {"n": int((called == i).sum()), **unknown} for i, name in enumerate(crops.classes)}
    assert expected["precision"] == counts  # of fewer than thirty cells nothing is said


def test_how_many_of_the_cells_called_a_class_are_right_is_said_of_thirty_or_more():
    called = np.array([0] * 40 + [1] * 30 + [2] * 29)
    label = np.array([0] * 30 + [1] * 10 + [1] * 27 + [0] * 3 + [2] * 29)
    groups = np.array([f"g{index % 10}" for index in range(99)])
    resampling = intervals.Resampling(0.95)
    found = predictor.precision_by_class(called, label, groups, ("a", "b", "c"), resampling)
    assert [(of["n"], of["value"]) for of in found.values()][:2] == [(40, 0.75), (30, 0.9)]
    assert found["c"]["n"] == 29 and np.isnan(found["c"]["value"])
    for name in ("a", "b"):
        assert found[name]["low"] < found[name]["value"] < found[name]["high"] <= 1
    few = predictor.precision_by_class(called, label, np.full(99, "g"), ("a", "b", "c"), resampling)
    assert few["a"]["value"] == 0.75 and np.isnan(few["a"]["low"])


def passport_of(run, status="caution", **changes):
    trained = load_run(run)
    checks = [{"name": "score above chance", "passed": True, "sentence": "It is 0.9.", "alarm": False}]
    return {"format": 2, "status": status, "verdict": ["A sentence.", "Another."], "checks": checks,
            "run_id": trained.run_id, "step": trained.step} | changes


def test_what_the_passport_says_reaches_the_predictor_whichever_is_made_first(run, tmp_path):
    workdir = shutil.copytree(run, tmp_path / "run")
    assert predictor.load_predictor(workdir).explained is None
    predictor.add_verdict(workdir, passport_of(workdir))
    kept = predictor.load_predictor(workdir).explained
    assert (kept["status"], kept["sentence"], kept["score"]) == ("caution", "A sentence.", "It is 0.9.")
    files.write_json(workdir / "explain" / "passport.json", passport_of(workdir, "shortcut"))
    freeze(workdir)
    assert predictor.load_predictor(workdir).explained["status"] == "shortcut"


def test_a_passport_of_other_weights_or_of_another_run_says_nothing(run, tmp_path):
    workdir = shutil.copytree(run, tmp_path / "run")
    for changes in ({"step": 999}, {"run_id": "other"}):
        predictor.add_verdict(workdir, passport_of(workdir, **changes))
        files.write_json(workdir / "explain" / "passport.json", passport_of(workdir, **changes))
        freeze(workdir)
        assert predictor.load_predictor(workdir).explained is None
    predictor.add_verdict(tmp_path, passport_of(workdir))  # no predictor there, and none made
    assert not (tmp_path / "predictor").exists()


def test_predictor_json_never_lies_there_without_its_digest(run, tmp_path, monkeypatch):
    written, write = [], files.write_text
    monkeypatch.setattr(files, "write_text", lambda path, text: (written.append((path.name, text)), write(path, text)))
    trained = dataclasses.replace(load_run(run), workdir=tmp_path)
    crops = crop_arrays.load_crops(trained.data_dir, "validation")
    predictor.export_predictor(trained, crops, trained.predict(crops), SCORES)
    (name, text), = written
    assert name == "predictor.json" and "sha256" in json.loads(text)


def test_the_locked_split_is_not_read(run, tmp_path):
    poisoned, workdir = tmp_path / "data", tmp_path / "run"
    shutil.copytree(run.parent / "data", poisoned)
    shutil.copytree(run, workdir, ignore=shutil.ignore_patterns("predictor"))
    files.write_json(workdir / "config.json", files.read_json(workdir / "config.json") | {"data_dir": str(poisoned)})
    for shard in (poisoned / "tfds").rglob("*test.array_record*"):
        shard.write_bytes(b"poison")
    cells = cell_table.load_cells(poisoned)
    cells.loc[cells[schema.SPLIT] == "test", schema.NUCLEAR_AREA] = np.nan
    files.write_table(cells, poisoned / "cells.parquet")
    for name in ("predictor.json", "weights.npz"):
        assert (freeze(workdir) / name).read_bytes() == (run / "predictor" / name).read_bytes()


@pytest.mark.parametrize("name", ["weights.npz", "predictor.json"])
def test_a_flipped_byte_is_refused(copied, name):
    content = bytearray((copied / name).read_bytes())
    place = content.index(b'"temperature": 1.5') + 15 if name.endswith("json") else len(content) // 2
    content[place] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(StoredStateRefused, match="SHA-256.*differs"):
        predictor.load_predictor(copied)


@pytest.mark.parametrize("damage, words", [
    (lambda folder: (folder / "weights.npz").unlink(), "damaged or incomplete"),
    (lambda folder: (folder / "predictor.json").unlink(), "no predictor.json"),
    (lambda folder: (folder / "predictor.json").write_text("{"), "damaged or incomplete"),
    (lambda folder: (folder / "predictor.json").write_text("[]"), "damaged or incomplete"),
    (lambda folder: (folder / "predictor.json").write_text('{"format": 2}'), "format 2 is of another version"),
])
def test_a_folder_that_cannot_be_used_is_refused_in_one_line(copied, damage, words):
    damage(copied)
    with pytest.raises(StoredStateRefused, match=words) as refusal:
        predictor.load_predictor(copied)
    assert "\n" not in str(refusal.value) and refusal.value.exit_code == 5


def test_a_run_that_was_not_evaluated_says_what_to_do(run, tmp_path):
    shutil.copy(run / "config.json", tmp_path)
    with pytest.raises(StoredStateRefused, match="run `launch.py evaluate` first"):
        predictor.load_predictor(tmp_path)


def test_anyone_may_write_the_note(copied):
    record = json.loads((copied / "predictor.json").read_text())
    (copied / "predictor.json").write_text(json.dumps({**record, "note": "not for tissue"}))
    assert predictor.load_predictor(copied).note == "not for tissue"


def test_weights_that_do_not_fit_the_config_are_refused(copied):
    with np.load(copied / "weights.npz") as stored:
        arrays = {name: value[:-1] if name == "params/head/bias" else value for name, value in stored.items()}
    np.savez(copied / "weights.npz", **arrays)
    record = files.read_json(copied / "predictor.json") | {"weights_sha256": files.sha256(copied / "weights.npz")}
    files.write_json(copied / "predictor.json", record | {"sha256": predictor._digest(record)})
    with pytest.raises(StoredStateRefused, match="do not fit the model"):
        predictor.load_predictor(copied)


def test_crops_of_another_size_or_without_a_channel_are_refused(run):
    found = predictor.load_predictor(run)
    with pytest.raises(InputRefused, match="crops of 24 px, but the model was trained on crops of 16 px"):
        found.predict(tiny.crops(2, size=24))
    crops = tiny.crops(2)
    lacking = {"image": crops.image[..., 1:], "image_scale": crops.image_scale[:, 1:],
               "intensity_stats": crops.intensity_stats[:, 1:], "channels": ("Golgi", "CENPF")}
    with pytest.raises(InputRefused, match="no channel DNA: the crops have Golgi, CENPF, the model was trained with "):
        found.predict(dataclasses.replace(crops, **lacking))


def test_the_marker_need_not_be_there_and_channels_may_be_in_any_order(run):
    found, crops = predictor.load_predictor(run), tiny.crops(8, "test")
    turned = dataclasses.replace(
        crops,
        image=crops.image[..., 1::-1],
        intensity_stats=crops.intensity_stats[:, 1::-1],
        image_scale=crops.image_scale[:, 1::-1],
        channels=("Golgi", "DNA"),
    )
    np.testing.assert_allclose(found.predict(turned)[0], found.predict(crops)[0], atol=1e-6)
