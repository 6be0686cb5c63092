"""The whole way as the command line goes it, small: what each command promises to leave behind, and the lock."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

import launch
from cellcycle_jax import files, schema
from cellcycle_jax.dataset import crop_arrays as data_sets
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.runs import metric_log, trained_run

pytestmark = pytest.mark.slow

METRICS = {"balanced_accuracy", "accuracy", "mcc", "auroc", "average_precision", "ece", "brier"}
BASELINES = {"nuclear_area", "integrated_dna", "area_and_dna", "all_features"}


@pytest.fixture(scope="module")
def run(prepared, tmp_path_factory):
    """A run trained for a few steps and evaluated on validation."""
    folder = tmp_path_factory.mktemp("run")
    fields = {"train.steps": 60, "train.eval_every": 30, "train.batch_size": 32, 
              "model.filters": 8, "explain.cells_per_class": 6, "discover.n_candidates": 4}
    overrides = [f"--config.{k}={v}" for k, v in fields.items()]
    train = ["train", "--config=configs/default.py", f"--data={prepared}", f"--workdir={folder}"]
    assert launch.main([*train, *overrides]) == 0
    assert launch.main(["evaluate", f"--workdir={folder}"]) == 0
    return folder


@pytest.fixture(scope="module")
def opened(run):
    """The same run with everything done and the test split opened."""
    for command in (["explain"], ["discover"], ["evaluate", "--final"], ["report"]):
        assert launch.main([command[0], f"--workdir={run}", *command[1:]]) == 0
    return run


@pytest.fixture(scope="module")
def cells(prepared):
    table = pd.read_parquet(prepared / "cells.parquet")
    return table[table[schema.REJECT_REASON] == ""]


def test_only_final_reads_the_test_split_and_the_log_says_so(run, opened, cells):
    validation = pd.read_parquet(opened / "predictions_validation.parquet")
    test = pd.read_parquet(opened / "predictions_test.parquet")
    for split, table in (("validation", validation), ("test", test)):
        assert set(table[schema.CELL_ID]) == set(cells[cells[schema.SPLIT] == split][schema.CELL_ID])
    events = [r for r in metric_log.read(opened) if r.get("event") == "final_opened"]
    assert [e["split"] for e in events] == ["test"]
    for made in (opened / "explain" / "attribution.parquet",):
        shown = set(pd.read_parquet(made)[schema.CELL_ID])
        assert shown and shown <= set(validation[schema.CELL_ID])


def test_evaluation_keeps_its_promise(opened):
    found = files.read_json(opened / "evaluation.json")
    assert found["split"] == "test" and found["classes"] == ["G1/S", "G2"]
    assert set(found["model"]) == METRICS and set(found["baselines"]) == BASELINES
    for scores in (found["model"], *found["baselines"].values(), found["truth"]["model"], found["truth"]["oracle"]):
        for name, score in scores.items():
            if name == "ece":  # has no interval
                assert score["low"] is None and score["value"] >= 0
            else:
                assert score["low"] <= score["value"] <= score["high"], name
    by_chance = found["calibration_error_by_chance"]
    assert 0 <= by_chance["low"] < by_chance["value"] < by_chance["high"]
    assert set(found["differences"]) == BASELINES
    assert files.read_json(opened / "evaluation_validation.json")["split"] == "validation"


def test_scores_equal_what_scikit_learn_says_of_the_predictions(opened):
    table = pd.read_parquet(opened / "predictions.parquet")
    found = files.read_json(opened / "evaluation.json")
    assert np.allclose(table["prob_G1/S"] + table["prob_G2"], 1)
    assert np.allclose(table["confidence"], table[["calibrated_G1/S", "calibrated_G2"]].max(axis=1))
    for column, part in (("label", found), (schema.TRUE_PHASE, found["truth"])):
        known = table[table[column].isin(["G1/S", "G2"])]
        assert part["n_cells"] == len(known)
        assert part["n_fields"] == known[schema.FIELD].nunique()
        high = known[column] == "G2"
        assert part["model"]["auroc"]["value"] == pytest.approx(roc_auc_score(high, known["prob_G2"]))
        score = balanced_accuracy_score(high, known["predicted"] == "G2")
        assert part["model"]["balanced_accuracy"]["value"] == pytest.approx(score)
        confusion = pd.crosstab(high, known["predicted"] == "G2").reindex(index=[False, True], columns=[False, True],
                                                                          fill_value=0)
        assert part["confusion"] == confusion.to_numpy().tolist()


def test_abstained_cells_count_against_the_truth_but_not_against_labels(opened):
    table = pd.read_parquet(opened / "predictions.parquet")
    found = files.read_json(opened / "evaluation.json")
    assert found["n_cells"] == (table["label"] != "").sum()
    abstained = table[(table["label"] == "") & table[schema.TRUE_PHASE].isin(["G1/S", "G2"])]
    labelled = table[(table["label"] != "") & table[schema.TRUE_PHASE].isin(["G1/S", "G2"])]
    assert len(abstained) and found["truth"]["n_cells"] == len(labelled) + len(abstained)


def test_what_the_test_split_holds_changes_no_result_of_the_others(opened, prepared, tmp_path, monkeypatch):
    """The same commands on a copy of the data in which every test cell is poisoned."""
    monkeypatch.setattr(data_sets, "recorded_sha256", lambda *_: None)  # which would notice
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(prepared, data)
    shutil.copytree(opened, run, ignore=shutil.ignore_patterns("features", "explain", "evaluation*", "predictions*"))
    files.write_json(run / "config.json", {**files.read_json(run / "config.json"), "data_dir": str(data)})
    table = pd.read_parquet(data / "cells.parquet")
    test, units = table[schema.SPLIT] == "test", files.read_units(data / "cells.parquet")
    table.loc[test, schema.LABEL] = np.random.default_rng(0).permutation(["G1/S", "G2"] * len(table))[: test.sum()]
    table.loc[test, [c for c in table if table[c].dtype.kind == "f"]] = np.nan
    files.write_table(table, data / "cells.parquet", units)
    for shard in (data / "tfds").rglob("*test.array_record*"):
        shard.write_bytes(b"poison")
    for command in ("evaluate", "explain", "discover"):
        assert launch.main([command, f"--workdir={run}"]) == 0
    assert launch.main(["evaluate", f"--workdir={run}", "--final"]) != 0  # the poison is there
    for name in ("features/ranking.csv", "features/pairs.csv", "evaluation_validation.json", "explain/summary.json",
                 "explain/passport.json", "explain/checks.json", "explain/region_shares.csv"):
        assert (run / name).read_bytes() == (opened / name).read_bytes(), name


def test_no_baseline_sees_the_marker(opened):
    used = files.read_json(opened / "evaluation.json")["baseline_features"]
    assert used["nuclear_area"] == [schema.NUCLEAR_AREA]
    assert not [c for columns in used.values() for c in columns if "CENPF" in c]
    assert any("Golgi" in c for c in used["all_features"])


def test_run_folder_holds_what_is_promised(opened):
    for name in ("config.json", "env.json", "metrics.jsonl", "checkpoints", "explain/maps.npz", "explain/passport.json",
                 "explain/checks.json", "explain/region_shares.csv", "features/ranking.csv", "features/pairs.csv",
                 "features/pair.png", "report.html"):
        assert (opened / name).exists(), name
    pairs = pd.read_csv(opened / "features" / "pairs.csv")
    assert len(pairs) and "CENPF" not in pairs.to_csv()
    maps = np.load(opened / "explain" / "maps.npz")
    assert maps["maps"].shape[:2] == (len(maps["cell_id"]), 2) and np.isfinite(maps["maps"]).all()


def test_no_path_of_this_machine_and_no_user_in_the_environment_file(opened):
    assert "/" not in json.dumps(files.read_json(opened / "env.json")).replace("cellcycle_jax/", "")


def test_predicting_the_same_fields_again_gives_what_evaluate_gave(run, simulated_fields, tmp_path):
    command = ["predict", f"--workdir={run}", f"--fields={simulated_fields}", f"--out={tmp_path}",
               "--config.source=simulated", "--config.workers=2", "--maps=hires_cam"]
    assert launch.main([*command, "--maps=hires_camera"]) == 2
    assert launch.main(command) == 0
    found = pd.read_parquet(tmp_path / "cells.parquet").set_index(schema.CELL_ID)
    known = pd.read_parquet(run / "predictions_validation.parquet").set_index(schema.CELL_ID)
    names = ["prob_G1/S", "prob_G2", "calibrated_G1/S", "calibrated_G2"]
    np.testing.assert_allclose(found.loc[known.index, names], known[names], atol=1e-5)
    fields = {path.name.removesuffix(".ome.tif") for path in (simulated_fields / "fields").iterdir()}
    assert {path.stem for path in (tmp_path / "overlays").iterdir()} == fields
    assert files.read_json(tmp_path / "predict.json")["n_fields"] == len(fields)
    stored = np.load(tmp_path / "maps" / "maps.npz")
    called = found.loc[stored["cell_id"], "predicted"]
    pictures = {path.name for path in (tmp_path / "maps").glob("*.png")}
    assert pictures == {f"hires-cam_{name.lower().replace('/', '-')}.png" for name in called.unique()}
    run_of = trained_run.load_run(run)
    known_crops = run_of.data.crops("validation")
    both = np.isin(stored["cell_id"], known_crops.cell_id)
    crops = data_sets.take(known_crops, data_sets.rows_of_cells(known_crops, stored["cell_id"][both]))
    maps = methods.attribute("hires_cam", run_of.network, run_of.images(crops), 1, against_others=True)
    np.testing.assert_allclose(stored["maps"][both, 1], np.maximum(maps[..., 0], 0), atol=1e-4)
    assert not list(tmp_path.glob(".*"))
    assert launch.main(command) == 2  # finished predictions are not replaced unasked


def test_a_predictor_is_all_that_predict_needs(run, simulated_fields, tmp_path):
    shutil.copytree(run / "predictor", tmp_path / "elsewhere")
    command = ["predict", f"--workdir={tmp_path / 'elsewhere'}", f"--fields={simulated_fields / 'fields'}",
               f"--out={tmp_path / 'out'}", "--config.max_fields=7"]
    assert launch.main(command) == 0
    assert launch.main([*command, "--config.crop.size_px=32", "--overwrite"]) == 2
