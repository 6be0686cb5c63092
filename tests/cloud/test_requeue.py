"""What a job of Slurm that was stopped asks for, and when."""

import os
import subprocess
import sys

import pytest

STOPPED = """import sys
from cellcycle_jax import locks
from cellcycle_jax.training import preemption
with locks.lock(sys.argv[1]):
    preemption.ask_for_requeue()
    print("asked", flush=True)
    sys.exit(75)
"""


@pytest.fixture
def scontrol(tmp_path):
    """A folder with a `scontrol` that says what it is told, and whether the folder is still held."""
    program = tmp_path / "bin" / "scontrol"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ -e {tmp_path}/.lock ] && held=" held"\necho "$@$held" >> {tmp_path}/told\n'
                       "exit $FAIL\n")
    program.chmod(0o755)
    return program.parent


def stop(tmp_path, path, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    return subprocess.run([sys.executable, "-c", STOPPED, tmp_path / ".lock"], capture_output=True, text=True,
                          env=clean | {"PATH": f"{path}:/usr/bin:/bin", "FAIL": "0"} | environment)


@pytest.mark.parametrize("environment, job", [
    ({"SLURM_JOB_ID": "7"}, "7"),
    ({"SLURM_JOB_ID": "7", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}, "7_3"),  # 7 is the whole array too
])
def test_a_job_is_put_back_into_the_queue_once_the_process_holds_nothing(tmp_path, scontrol, environment, job):
    done = stop(tmp_path, scontrol, **environment)
    assert done.returncode == 75 and f"job {job} is put back into the queue" in done.stderr
    assert (tmp_path / "told").read_text() == f"requeue {job}\n"


def test_a_job_that_cannot_be_put_back_says_so(tmp_path, scontrol):
    done = stop(tmp_path, scontrol, SLURM_JOB_ID="7", FAIL="1")
    assert done.returncode == 75 and "scontrol requeue 7 failed" in done.stderr
    done = stop(tmp_path, "/nowhere", SLURM_JOB_ID="7")
    assert done.returncode == 75 and ("no scontrol here" in done.stderr or "failed" in done.stderr)


def test_without_slurm_nobody_is_asked(tmp_path, scontrol):
    assert stop(tmp_path, scontrol).returncode == 75 and not (tmp_path / "told").exists()
