"""The runs of a study, trained and scored: what they leave, and what is done again, gone on with or refused."""

import os
import shutil
import signal

import jax
import numpy as np
import pandas as pd
import pytest

import launch
from cellcycle_jax import files
from cellcycle_jax.dataset import crop_arrays, tfds_reader
from cellcycle_jax.devices import memory
from cellcycle_jax.errors import EXIT_PREEMPTED
from cellcycle_jax.runs import checkpoint, metric_log, trained_run
from cellcycle_jax.studies import sweep, sweep_plan, sweep_scores
from cellcycle_jax.training import loop, train_step
from configs.load import load_study
from tests.study_runs import command, write_study


@pytest.fixture(scope="module")
def done(study_data, study_path, tmp_path_factory):
    """A study of six runs, trained as one program and scored on validation."""
    workdir = tmp_path_factory.mktemp("done")
    sweep.run_sweep(load_study(study_path), study_data, workdir, workers=1)
    return workdir


def test_a_sweep_leaves_what_is_promised(done):
    names = [f"{c}_seed{s}" for c in ("DNA", "Golgi", "DNA+Golgi") for s in (0, 1)]
    assert sorted(p.name for p in (done / "runs").iterdir()) == sorted(names)
    for name in names:
        assert trained_run.load_run(done / "runs" / name, finished=True).step
    table = pd.read_parquet(done / "scores.parquet")
    assert table["run"].tolist() == [name for name in names for _ in range(3)]
    assert set(table["tested_on"]) == {"all lines", "HeLa", "RPE1"} and table["auroc"].notna().all()
    assert (table["auroc_low"] <= table["auroc"]).all() and set(table["split"]) == {"validation"}
    text = (done / "table.md").read_text()
    for word in ("| DNA + Golgi | 2 |", "baseline: area and DNA", "Validation chose the calibration", "no biological",
                 "simulated", "Chance is 0.5 for AUROC"):
        assert word in text
    assert text == (done / "table_validation.md").read_text()
    assert (done / "figures" / "scores_validation.png").stat().st_size > 10_000
    stored = files.read_json(done / "sweep.json")
    assert list(stored["runs"]) == sorted(names) and stored["result"]["seconds"] > 0
    assert len([r for r in metric_log.read(done) if r["event"] == "trained"]) == 1
    assert not list(done.glob("cohorts/*/checkpoints")) and not list(done.rglob(".lock"))


def test_the_table_is_the_mean_of_the_scores(done):
    table = pd.read_parquet(done / "scores.parquet")
    rows = files.read_json(done / "sweep.json")["result"]["results"]["all lines"]["rows"]
    for row, of in table[table["tested_on"] == "all lines"].groupby("row"):
        assert rows[row]["auroc"]["value"] == pytest.approx(of["auroc"].mean())
        assert rows[row]["auroc"]["lowest"] == of["auroc"].min() and rows[row]["auroc"]["highest"] == of["auroc"].max()


def test_what_is_finished_is_not_trained_again(done, study_path, study_data, monkeypatch, capsys):
    monkeypatch.setattr(loop, "_train", lambda *_: pytest.fail("trained"))
    before = (done / "table.md").read_text()
    code, _ = command(capsys, f"--config={study_path}", f"--data={study_data}", f"--workdir={done}")
    assert code == 0 and (done / "table.md").read_text() == before
    code, said = command(capsys, f"--config={study_path}", f"--data={study_data}", f"--workdir={done}", "--index=3")
    assert code == 0 and "Golgi_seed1: finished at step 12" in said.out


def test_the_list_says_how_far_each_run_is(done, study_path, study_data, tmp_path, capsys):
    code, said = command(capsys, f"--config={study_path}", f"--data={study_data}", f"--workdir={done}", "--list")
    lines = said.out.splitlines()
    assert code == 0 and len(lines) == 8 and lines[-1] == "6 runs, trained as 1 program"
    assert lines[4].split() == ["3", "Golgi_seed1", "finished", "at", "step", "12", "data.channels=Golgi", "seed=1"]
    flags = [f"--config={study_path}", f"--data={study_data}", "--list"]
    code, said = command(capsys, *flags, f"--workdir={tmp_path}/new")
    assert said.out.count("not begun") == 6 and not list(tmp_path.iterdir())


@pytest.mark.parametrize("index", ["6", "-1", "x"])
def test_an_index_without_a_run_is_refused(done, study_path, study_data, capsys, index):
    flags = [f"--config={study_path}", f"--data={study_data}", f"--workdir={done}"]
    code, said = command(capsys, *flags, f"--index={index}")
    assert code == 2 and said.err.strip().endswith("allowed: 0 to 5, see --list")


def test_an_empty_index_of_an_unset_variable_is_refused(done, study_path, study_data, capsys):
    code, said = command(capsys, f"--config={study_path}", f"--data={study_data}", f"--workdir={done}", "--index=")
    assert code == 2 and "--index= is empty" in said.err


def test_a_run_by_index_equals_that_of_the_cohort(done, study_path, study_data, tmp_path, capsys):
    flags = [f"--config={study_path}", f"--data={study_data}", f"--workdir={tmp_path}"]
    assert command(capsys, *flags, "--index=2")[0] == 0
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["Golgi_seed0"] and not (tmp_path / "scores.csv").exists()
    alone, together = (trained_run.load_run(folder / "runs" / "Golgi_seed0") for folder in (tmp_path, done))
    assert alone.step == together.step and alone.run_id == together.run_id
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), alone.network, together.network)


@pytest.mark.parametrize("change", ["study", "training", "data"])
def test_another_study_or_data_set_is_refused(done, study_path, study_data, tmp_path, capsys, change):
    flags = {"study": write_study(tmp_path, name="other"), "training": study_path, "data": study_path}[change]
    if change == "data":
        study_data = shutil.copytree(study_data, tmp_path / "data")
        files.write_json(study_data / "provenance.json", {"made_by": "another"})
    more = ["--config.train.steps=13"] if change == "training" else []
    code, said = command(capsys, f"--config={flags}", f"--data={study_data}", f"--workdir={done}", *more)
    assert code == 5 and len(said.err.strip().splitlines()) == 1 and change in said.err


def interrupt(monkeypatch, at):
    """Dispatch steps one by one, and send SIGTERM to this process when the first batch of step `at` is drawn."""
    drawn, sent = train_step.batch_indices, []

    def draw(seed, step, n, batch, count):
        if step == at and not sent:
            sent.append(os.kill(os.getpid(), signal.SIGTERM))
        return drawn(seed, step, n, batch, count)

    monkeypatch.setattr(train_step, "batch_indices", draw)
    monkeypatch.setattr(loop, "DISPATCH_SECONDS", 0.0)


@pytest.fixture(scope="module")
def continued(study_data, study_path, tmp_path_factory):
    """The study of `done`, stopped at step 6, then one run trained by --index, then all the rest."""
    workdir = tmp_path_factory.mktemp("continued")
    flags = ["sweep", f"--config={study_path}", f"--data={study_data}", "--workers=1"]
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, at=6)
        with pytest.raises(SystemExit) as stop:
            launch.main([*flags, f"--workdir={workdir}"])
    assert stop.value.code == EXIT_PREEMPTED
    (cohort,) = workdir.glob("cohorts/*")
    assert checkpoint.newest_step(cohort / "checkpoints") == 7 and not list(workdir.glob("runs/*"))
    assert launch.main([*flags, f"--workdir={workdir}", "--index=2"]) == 0
    metric_log.append(workdir / "runs" / "Golgi_seed0", {"event": "mine", "step": 0})
    listed = sweep_plan.listing(sweep_plan.make_plan(load_study(study_path), study_data, workdir), 1)
    assert launch.main([*flags, f"--workdir={workdir}"]) == 0
    return workdir, listed


def test_a_sweep_goes_on_to_the_same_bits(continued, done):
    for name in ("DNA_seed0", "DNA+Golgi_seed1"):
        one = trained_run.load_run(continued[0] / "runs" / name).network.variables
        other = trained_run.load_run(done / "runs" / name).network.variables
        jax.tree.map(np.testing.assert_array_equal, one, other)


def test_a_run_finished_by_index_stays_as_it_is_and_the_begun_cohort_goes_on(continued, done):
    workdir, listed = continued
    assert listed.count("begun") == 5 and "Golgi_seed0      finished at step 12" in listed
    assert [p.name for p in workdir.glob("cohorts/*")] == [p.name for p in done.glob("cohorts/*")]
    assert {"event": "mine", "step": 0} in metric_log.read(workdir / "runs" / "Golgi_seed0")
    trained = [(len(r["runs"]), r["seconds"] > 0) for r in metric_log.read(workdir) if r["event"] == "trained"]
    assert trained == [(6, True), (1, True), (6, True)]


def test_the_test_split_is_opened_by_final_alone(done, study_path, study_data, tmp_path, monkeypatch, capsys):
    workdir, opened, load = shutil.copytree(done, tmp_path / "sweep"), [], crop_arrays.load_crops

    def watched(study_data, split, final=False, **options):
        opened.append((split, final))
        return load(study_data, split, final, **options)

    monkeypatch.setattr(crop_arrays, "load_crops", watched)
    flags = [f"--config={study_path}", f"--data={study_data}", f"--workdir={workdir}"]
    assert command(capsys, *flags)[0] == 0 and set(opened) == {("train", False), ("validation", False)}
    assert not [r for r in metric_log.read(workdir / "runs" / "DNA_seed0") if "event" in r]
    code, said = command(capsys, *flags, "--final", "--index=0")
    assert code == 2 and "without --index" in said.err
    assert command(capsys, *flags, "--final")[0] == 0 and ("test", True) in opened
    for folder in (workdir / "runs").iterdir():
        (event,) = [r for r in metric_log.read(folder) if "event" in r]
        assert event["event"] == "final_opened" and event["split"] == "test" and event["step"]
    assert set(pd.read_parquet(workdir / "scores.parquet")["split"]) == {"test"}
    assert (workdir / "table_validation.md").read_text() == (done / "table.md").read_text()
    assert "Validation chose" not in (workdir / "table.md").read_text()


def test_pixels_that_do_not_fit_are_read_batch_by_batch(done, study_path, study_data, monkeypatch):
    plan = sweep_plan.make_plan(load_study(study_path), study_data, done)
    read, _ = sweep_scores.predict(plan, plan.members[:2], "validation")
    monkeypatch.setattr(memory, "free_memory", lambda: (0.0, 0.0))
    left, _ = sweep_scores.predict(plan, plan.members[:2], "validation")
    assert isinstance(read.crops.image, np.ndarray) and isinstance(left.crops.image, tfds_reader.StoredPixels)
    jax.tree.map(np.testing.assert_array_equal, left.probs, read.probs)
