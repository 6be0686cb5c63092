"""SIGTERM in runs as a user starts them: saved, put back into the queue, and continued to the same bits."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from cellcycle_jax.runs import checkpoint
from cellcycle_jax.training import loop, preemption
from tests import tiny
from tests.train_process import ROOT, content, free_port, launch, scores

pytestmark = pytest.mark.slow
FLAGS = ["--config.train.steps=400", "--config.train.eval_every=20", "--config.train.checkpoint_every=200"]
PATIENCE_S = 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def straight(folder, tmp_path_factory):
    """A run that nobody disturbs."""
    workdir = tmp_path_factory.mktemp("straight") / "run"
    with train(folder, workdir) as process:
        assert process.wait(PATIENCE_S) == 0
    return workdir


@pytest.fixture
def scontrol(tmp_path, monkeypatch):
    """A scheduler's command that writes down how it is called, and fails where FAIL is set."""
    path, calls = tmp_path / "bin" / "scontrol", tmp_path / "calls"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n[ -z "$FAIL" ] || {{ echo no such job >&2; exit 1; }}\n')
    path.chmod(0o755)
    calls.touch()
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    monkeypatch.delenv(preemption.SLURM_JOB, raising=False)
    monkeypatch.delenv("SLURM_ARRAY_JOB_ID", raising=False)
    return calls


@contextlib.contextmanager
def train(folder, workdir, *flags):
    """A process of launch.py train."""
    process = launch(folder, workdir, *FLAGS, *flags)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for_a_score(workdir, process):
    end = time.monotonic() + PATIENCE_S
    while not scores(workdir):
        assert process.poll() is None and time.monotonic() < end, process.stderr.read()
        time.sleep(0.01)


def stop(folder, workdir):
    """Send SIGTERM to a run once it has scored; its exit code, and what it said."""
    with train(folder, workdir) as process:
        wait_for_a_score(workdir, process)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=PATIENCE_S)[1]
    return process.returncode, said


def assert_same_bits(one, other):
    ours, theirs = content(one), content(other)
    assert {name: array.tobytes() for name, array in ours.items()} == {n: a.tobytes() for n, a in theirs.items()}
    assert scores(one) == scores(other)


def test_a_run_that_is_told_to_stop_is_saved_and_goes_on_to_the_same_bits(straight, folder, tmp_path, scontrol):
    code, said = stop(folder, tmp_path / "run")
    step = checkpoint.newest_step(tmp_path / "run" / "checkpoints")
    assert code == 75 and 20 <= step < 400 and f"stopped after step {step}, state saved" in said
    assert scontrol.read_text() == "" and not (tmp_path / "run" / ".lock").exists()
    with train(folder, tmp_path / "run") as process:
        assert process.wait(PATIENCE_S) == 0
    assert_same_bits(tmp_path / "run", straight)


def test_under_slurm_the_job_is_put_back_into_the_queue_once(folder, tmp_path, scontrol, monkeypatch):
    monkeypatch.setenv(preemption.SLURM_JOB, "4711")
    code, said = stop(folder, tmp_path / "run")
    assert code == 75 and scontrol.read_text() == "requeue 4711\n" and "4711 is put back into the queue" in said


def test_a_scheduler_that_refuses_is_told_and_the_run_is_saved(folder, tmp_path, scontrol, monkeypatch):
    monkeypatch.setenv(preemption.SLURM_JOB, "4711")
    monkeypatch.setenv("FAIL", "1")
    code, said = stop(folder, tmp_path / "run")
    assert code == 75 and scontrol.read_text() == "requeue 4711\n"
    assert "scontrol requeue 4711 failed (no such job)" in said
    assert checkpoint.newest_step(tmp_path / "run" / "checkpoints")


def test_a_second_signal_ends_a_run_at_once(straight, folder, tmp_path):
    with train(folder, tmp_path / "run") as process:
        wait_for_a_score(tmp_path / "run", process)
        while process.poll() is None:
            process.send_signal(signal.SIGTERM)
            time.sleep(0.01)
    assert process.returncode in (143, -signal.SIGTERM)
    with train(folder, tmp_path / "run") as process:  # and what it left is a run that goes on
        assert process.wait(PATIENCE_S) == 0
    assert_same_bits(tmp_path / "run", straight)


def test_a_signal_to_one_of_two_processes_stops_both_at_one_step(folder, tmp_path):
    """JAX's own way of hearing SIGTERM in a job of several processes does not take it from us."""
    flags = [f"--coordinator=localhost:{free_port()}", "--processes=2"]
    with (train(folder, tmp_path / "run", *flags, "--process=0") as first,
          train(folder, tmp_path / "run", *flags, "--process=1") as second):
        wait_for_a_score(tmp_path / "run", first)
        second.send_signal(signal.SIGTERM)
        said = [process.communicate(timeout=PATIENCE_S)[1] for process in (first, second)]
    step = checkpoint.newest_step(tmp_path / "run" / "checkpoints")
    assert [first.returncode, second.returncode] == [75, 75] and 20 <= step < 400
    assert all(f"stopped after step {step}, state saved" in words for words in said)


def test_a_signal_before_training_begins_ends_one_of_several_processes(tmp_path):
    """Nothing is to be saved yet; a process that only noted the signal would be killed later, unsaved."""
    code = (f"from cellcycle_jax.devices import mesh; import time; mesh.start('', 'localhost:{free_port()}', 1, 0); "
            "print('ready', flush=True); time.sleep(60)")
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        while process.stdout.readline() != "ready\n":
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S / 4) == -signal.SIGTERM
    finally:
        process.kill()
    assert loop.DISPATCH_SECONDS <= 1  # how long a signal may have to wait
