"""Worker processes: what they return, and how they end."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from cellcycle_jax.errors import ResourceMissing
from data_prep.workers import parallel

ROOT = pathlib.Path(__file__).parents[3]


def squared(thing, shared):
    return thing**2 + shared


def is_deaf(thing, shared):
    """Whether Ctrl-C has been kept from this process since before its own program began."""
    mask = next(line for line in pathlib.Path("/proc/self/status").read_text().splitlines() if "SigBlk" in line)
    return bool(int(mask.split()[1], 16) >> (signal.SIGINT - 1) & 1)


def most_threads(thing, shared):
    """Threads of the libraries that multiply matrices for NumPy."""
    return max(library["num_threads"] for library in threadpool_info())


def ended(thing, shared):
    os.kill(os.getpid(), signal.SIGKILL)


def waits(thing, shared):
    """Say which process this is, and wait longer than any test."""
    pathlib.Path(shared, str(os.getpid())).touch()
    time.sleep(600)


def breaks_beside_one_that_waits(thing, shared):
    """The first thing raises an error once another process waits for something else."""
    if thing:
        waits(thing, shared)
    while not any(pathlib.Path(shared).iterdir()):
        time.sleep(0.05)
    raise ValueError(f"thing {thing}")


@pytest.mark.parametrize("workers", [1, 2])
def test_each_thing_comes_back_once_with_its_result(workers):
    assert sorted(parallel.each(squared, range(5), 10, workers)) == [(n, n**2 + 10) for n in range(5)]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_thing_is_worked_on_by_one_core(workers):
    """Threads of several processes that share the cores would wait for each other."""
    assert len(np.ones((2, 2)) @ np.ones((2, 2))) == 2  # NumPy's library is there
    assert [threads for _, threads in parallel.each(most_threads, range(2), None, workers)] == [1, 1]


def test_no_things_need_no_process():
    assert list(parallel.each(squared, [], 0, 4)) == []


def test_a_worker_that_is_ended_from_outside_is_a_lack_of_memory_and_not_a_traceback():
    with pytest.raises(ResourceMissing, match="ended from outside, most likely since memory ran out.*workers=1"):
        list(parallel.each(ended, range(4), None, 2))


def test_an_error_of_a_task_is_raised_as_it_is_and_leaves_no_worker(tmp_path):
    with pytest.raises(ValueError, match="thing 0"):
        list(parallel.each(breaks_beside_one_that_waits, range(4), tmp_path, 2))
    assert _gone(_children(os.getpid()))


def _children(parent):
    """Process numbers of the workers that a process has now."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if int(status[1]) == parent and b"spawn_main" in command:
            found.append(int(folder.name))
    return found


def _gone(pids, seconds=20):
    """Whether all of these processes end within some seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not any(_runs(pid) for pid in pids):
            return True
        time.sleep(0.1)
    return False


def _runs(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def start(folder):
    """A command whose two workers wait; its process, and theirs."""
    code = ("import signal\n"
            "from data_prep.workers import parallel\n"
            "from tests.data_prep.workers import test_parallel as t\n"
            "signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background lets it be ignored\n"
            f"if __name__ == '__main__': list(parallel.each(t.waits, range(2), {str(folder)!r}, 2))")
    path = folder / "command.py"
    path.write_text(code)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = subprocess.Popen([sys.executable, path], stderr=subprocess.PIPE, env=environment, text=True,
                               start_new_session=True)
    until = time.monotonic() + 60
    while len(workers := [int(p.name) for p in folder.iterdir() if p.name.isdecimal()]) < 2:
        assert time.monotonic() < until and command.poll() is None
        time.sleep(0.05)
    return command, workers


needs_proc = pytest.mark.skipif(not pathlib.Path("/proc/self/stat").exists(), reason="reads /proc of Linux")


@needs_proc
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_the_command_that_started_them(how, tmp_path):
    command, workers = start(tmp_path)
    command.send_signal(how)
    command.communicate()
    assert command.returncode == -how and _gone(workers)


@needs_proc
def test_workers_never_hear_ctrl_c_and_the_command_still_does():
    assert all(deaf for _, deaf in parallel.each(is_deaf, range(2), None, 2))
    assert not is_deaf(0, None)


@needs_proc
def test_ctrl_c_of_a_terminal_ends_command_and_workers_with_one_traceback(tmp_path):
    """A terminal signals all processes of its group; only the command may answer."""
    command, workers = start(tmp_path)
    os.killpg(command.pid, signal.SIGINT)
    _, said = command.communicate(timeout=30)
    assert said.count("Traceback") == 1 and said.rstrip().endswith("KeyboardInterrupt")
    assert _gone(workers)
