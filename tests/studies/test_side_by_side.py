"""Runs of a study that worker processes train: the same results, whatever interrupts them."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import machine
from cellcycle_jax.errors import EXIT_PREEMPTED, UsageError
from cellcycle_jax.runs import checkpoint, metric_log, trained_run
from cellcycle_jax.studies import side_by_side, sweep
from configs.load import load_study
from tests.study_runs import write_study

ROOT = pathlib.Path(__file__).parents[2]
GIB = 2**30
LONG = """return [{'seed': seed, 'train.steps': 200_000, 'train.patience': 0} for seed in range(3)]"""


@pytest.fixture(scope="module")
def done(study_data, study_path, tmp_path_factory):
    """A study of six runs, trained by two processes."""
    workdir = tmp_path_factory.mktemp("side_by_side")
    sweep.run_sweep(load_study(study_path), study_data, workdir, workers=2)
    return workdir


def test_each_run_is_the_one_that_a_process_alone_trains(done, study_path, study_data, tmp_path):
    sweep.run_sweep(load_study(study_path), study_data, tmp_path, index="2")
    alone = trained_run.load_run(tmp_path / "runs" / "Golgi_seed0", finished=True)
    together = trained_run.load_run(done / "runs" / "Golgi_seed0", finished=True)
    assert alone.step == together.step
    jax.tree.map(np.testing.assert_array_equal, alone.network.variables, together.network.variables)


def test_all_runs_are_scored_and_none_is_a_program_of_several(done):
    assert len(pd.read_parquet(done / "scores.parquet")["run"].unique()) == 6
    assert not (done / "cohorts").exists() and not list(done.rglob(".lock"))
    (trained,) = [event for event in metric_log.read(done) if event["event"] == "trained"]
    assert len(trained["runs"]) == 6 and trained["seconds"] > 0


def test_a_run_that_diverges_is_told_and_the_other_finishes(study_data, tmp_path):
    body = "return [{'optimizer.learning_rate': rate} for rate in (1e-3, 1e30)]"
    path = write_study(tmp_path, body, "rows='learning rate'")
    sweep.run_sweep(load_study(path), study_data, tmp_path / "sweep", workers=2)
    assert "Diverged and left out: learning_rate=1e+30 (step " in (tmp_path / "sweep" / "table.md").read_text()


def test_a_program_that_was_begun_goes_on_as_it_is(done, study_path, study_data, tmp_path, monkeypatch):
    """What is left of it is not trained twice, and what no program holds is trained by processes."""
    workdir = tmp_path / "sweep"
    chosen = load_study(study_path)
    left = []
    monkeypatch.setattr(sweep, "_train_cohort", lambda plan, folder, names, states: left.append(names))
    monkeypatch.setattr(sweep, "_train_side_by_side", lambda plan, names, workers: left.append(names))
    monkeypatch.setattr(sweep.sweep_scores, "score_sweep", lambda *_: None)
    begun = ["DNA_seed0", "DNA_seed1"]
    monkeypatch.setattr(sweep.sweep_plan, "_begun_cohorts", lambda plan: {workdir / "cohorts" / "2": begun})
    shutil.copytree(done / "runs" / "Golgi_seed0", workdir / "runs" / "Golgi_seed0")
    sweep.run_sweep(chosen, study_data, workdir, workers=2)
    assert left == [begun, ["Golgi_seed1", "DNA+Golgi_seed0", "DNA+Golgi_seed1"]]


def ends_with(code, shared):
    """As a process that cannot begin."""
    raise SystemExit(code)


@pytest.mark.parametrize("code, of_command", [(1, 1), (75, EXIT_PREEMPTED), (143, EXIT_PREEMPTED)])
def test_a_worker_that_ends_itself_is_no_interruption_unless_it_was_told(code, of_command):
    with pytest.raises(SystemExit) as end:
        list(side_by_side.each(ends_with, [code, code], None, 2))
    assert end.value.code == of_command


def process_number(thing, shared):
    return os.getpid()


def test_one_worker_is_this_process():
    """On an accelerator it holds the memory that another process would need."""
    assert list(side_by_side.each(process_number, [0, 1], None, 1)) == [(0, os.getpid()), (1, os.getpid())]


def start(path, data, workdir):
    """The command, in a session of its own, with two workers."""
    words = ["sweep", f"--config={path}", f"--data={data}", f"--workdir={workdir}", "--workers=2"]
    return subprocess.Popen(
        [sys.executable, ROOT / "launch.py", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for_scores(workdir, runs):
    """Until so many runs have been scored once on validation."""
    until = time.monotonic() + 120
    while sum(path.stat().st_size > 0 for path in workdir.glob("runs/*/metrics.jsonl")) < runs:
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.parametrize("how, code", [(signal.SIGTERM, EXIT_PREEMPTED), (signal.SIGINT, 130)])
def test_a_study_that_is_told_to_stop_saves_what_is_under_way(how, code, study_data, tmp_path):
    """A terminal signals command and workers alike; a scheduler may."""
    command = start(write_study(tmp_path, LONG), study_data, tmp_path / "sweep")
    wait_for_scores(tmp_path / "sweep", 2)
    os.killpg(command.pid, how)
    said, _ = command.communicate(timeout=60)
    assert command.returncode == code and "Traceback" not in said
    assert said.count("state saved; run the same command again") == 2
    folders = sorted((tmp_path / "sweep" / "runs").iterdir())
    assert [folder.name for folder in folders] == [
        "seed0_steps=200000_patience=0",
        "seed1_steps=200000_patience=0",
    ]
    assert all(checkpoint.newest_step(folder / "checkpoints") for folder in folders)
    assert not list(tmp_path.rglob(".lock"))


def test_a_study_that_was_killed_goes_on_to_the_same_bits(done, study_path, study_data, tmp_path):
    command = start(study_path, study_data, tmp_path)
    wait_for_scores(tmp_path, 1)
    os.killpg(command.pid, signal.SIGKILL)
    command.communicate()
    sweep.run_sweep(load_study(study_path), study_data, tmp_path, workers=2)
    for name in ("DNA_seed0", "DNA+Golgi_seed1"):
        one = trained_run.load_run(tmp_path / "runs" / name).network.variables
        other = trained_run.load_run(done / "runs" / name).network.variables
        jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize(
    "platform, cores, runs, crops, free, workers",
    [
        ("cpu", 4, 9, 1, 100, 4),
        ("cpu", 4, 3, 1, 100, 3),
        ("cpu", 1, 9, 1, 100, 1),
        ("cpu", 8, 9, 1, 6.1, 2),  # each takes 1 GiB of crops of the 2.4 that crops may take
        ("cpu", 8, 9, 1, 2, 1),  # crops stay on disk; one process takes 1.5 GiB
        ("cpu", 8, 9, 50, 100, 8),  # crops stay on disk
        ("gpu", 16, 9, 1, 100, 1),
    ],
)
def test_as_many_processes_as_cores_runs_and_memory_allow(
    platform, cores, runs, crops, free, workers, monkeypatch, capsys
):
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    monkeypatch.setattr(machine, "cores", lambda: cores)
    monkeypatch.setattr(machine, "free_memory", lambda: int(free * GIB))
    assert side_by_side.choose_workers(0, runs, crops * GIB) == workers
    told = "memory has no room for more" in capsys.readouterr().err
    assert told == (platform == "cpu" and workers < min(cores, runs))


def test_what_the_user_asks_for_is_done_or_refused(monkeypatch):
    assert side_by_side.choose_workers(3, 9, GIB) == 3
    assert side_by_side.choose_workers(30, 9, GIB) == 9
    with pytest.raises(UsageError, match="--workers=-1"):
        side_by_side.choose_workers(-1, 9, GIB)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with pytest.raises(UsageError, match="--workers=2: there is one gpu for all"):
        side_by_side.choose_workers(2, 9, GIB)
