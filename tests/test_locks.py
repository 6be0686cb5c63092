"""Locks on folders."""

import errno
import os
import pathlib
import socket
import subprocess
import sys
import time

import pytest

from cellcycle_jax import locks
from cellcycle_jax.errors import UsageError

HOLD = """import sys
from cellcycle_jax import locks
with locks.lock(sys.argv[1]):
    print("held", flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def no_batch_job(monkeypatch):
    """A suite that itself runs as a job of a scheduler takes no lock over by the name of that job."""
    for name in ("SLURM_JOB_ID", "SLURM_RESTART_COUNT", "SKYPILOT_TASK_ID"):
        monkeypatch.delenv(name, raising=False)


def test_a_second_process_is_told_who_works_in_the_folder_until_it_is_gone(tmp_path):
    lock = tmp_path / "run" / ".lock"
    for end in ("stdin", "kill"):
        holder = subprocess.Popen([sys.executable, "-c", HOLD, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True)
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match=f"{lock.parent}: process {holder.pid} on {socket.gethostname()}"):
            locks.lock(lock).__enter__()
        if end == "stdin":
            holder.communicate("\n")
        else:
            holder.kill()
            holder.communicate()
        assert lock.exists() == (end == "kill")
        with locks.lock(lock):
            assert lock.read_text().split() == [socket.gethostname(), str(os.getpid())]
        assert not lock.exists()


@pytest.fixture
def stale(tmp_path):
    """A lock of a process that is gone."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / ".lock").write_text(f"{socket.gethostname()} {gone.pid}\n")
    return tmp_path / ".lock"


@pytest.mark.skipif(not pathlib.Path("/proc/self/stat").exists(), reason="reads /proc of Linux")
def test_a_process_that_has_ended_but_nobody_asked_how_holds_no_lock(tmp_path):
    """As those of a killed command in a container whose first process takes no care of orphans."""
    ended = subprocess.Popen(["true"])
    while " Z " not in pathlib.Path(f"/proc/{ended.pid}/stat").read_text():
        time.sleep(0.01)
    (tmp_path / ".lock").write_text(f"{socket.gethostname()} {ended.pid}\n")
    with locks.lock(tmp_path / ".lock"):
        assert f" {os.getpid()}\n" in (tmp_path / ".lock").read_text()
    ended.wait()


def test_the_slower_of_two_that_take_over_a_lock_leaves_that_of_the_faster(stale, monkeypatch):
    make = locks._make
    faster = []

    def late(path, content):
        if not faster:  # this process has seen the stale lock; before it can remove it, another one takes it over
            faster.append(subprocess.Popen([sys.executable, "-c", HOLD, stale], stdin=subprocess.PIPE,
                                           stdout=subprocess.PIPE, text=True))
            assert faster[0].stdout.readline() == "held\n"
        make(path, content)

    monkeypatch.setattr(locks, "_make", late)
    with pytest.raises(UsageError, match="works in this folder"):
        locks.lock(stale).__enter__()
    assert stale.read_text().split() == [socket.gethostname(), str(faster[0].pid)]
    faster[0].communicate("\n")
    assert faster[0].returncode == 0 and not list(stale.parent.iterdir())


def test_of_three_that_meet_a_stale_lock_one_holds_it(stale):
    """Many times, since it depends on the moment."""
    race = (
        "import sys, time\n"
        "from cellcycle_jax import locks\n"
        "from cellcycle_jax.errors import UsageError\n"
        "time.sleep(max(0, float(sys.argv[2]) - time.time()))\n"
        "try:\n"
        "    with locks.lock(sys.argv[1]):\n"
        "        print('held', flush=True)\n"
        "        time.sleep(0.5)\n"
        "except UsageError:\n"
        "    print('refused')\n"
    )
    left = stale.read_text()
    for _ in range(5):
        stale.write_text(left)
        command = [sys.executable, "-c", race, stale, str(time.time() + 1)]
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        said = sorted(process.communicate()[0].strip() for process in processes)
        assert said == ["held", "refused", "refused"]
        assert not list(stale.parent.iterdir())


def test_a_lock_that_another_process_has_just_removed_is_no_hindrance(stale, monkeypatch):
    make = locks._make

    def late(path, content):
        stale.unlink(missing_ok=True)
        make(path, content)

    monkeypatch.setattr(locks, "_make", late)
    with locks.lock(stale):
        assert stale.read_text().split()[1] == str(os.getpid())
    assert not list(stale.parent.iterdir())


def test_a_takeover_that_was_killed_is_no_hindrance_for_long(stale):
    takeover = stale.with_name(".lock.takeover")
    takeover.write_text("another-host")
    with pytest.raises(UsageError, match="works in this folder"):
        locks.lock(stale).__enter__()
    old = time.time() - locks.STALE_EMPTY_S - 1
    os.utime(takeover, (old, old))
    with locks.lock(stale):
        assert stale.read_text().split()[1] == str(os.getpid())
    assert not list(stale.parent.iterdir())


def test_a_process_holds_a_lock_once(tmp_path):
    with locks.lock(tmp_path / ".lock"):
        assert locks.holder(tmp_path / ".lock") == f"process {os.getpid()} on {socket.gethostname()}"
        with pytest.raises(UsageError, match=f"process {os.getpid()} on"):
            locks.lock(tmp_path / ".lock").__enter__()
    assert locks.holder(tmp_path / ".lock") == ""


def test_a_lock_that_is_another_process_s_by_now_stays(tmp_path):
    with locks.lock(tmp_path / ".lock"):
        (tmp_path / ".lock").write_text("another-host 1\n")
    assert (tmp_path / ".lock").read_text() == "another-host 1\n"


def test_a_lock_is_given_up_after_an_error(tmp_path):
    with pytest.raises(ValueError, match="inside"), locks.lock(tmp_path / ".lock"):
        raise ValueError("inside")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("job", ["", "7"])
@pytest.mark.parametrize("text", ["another-host 1\n", "", "half a lin"])  # an empty one has just been made
def test_a_lock_that_cannot_be_judged_counts_as_held(tmp_path, text, job, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", job)
    (tmp_path / ".lock").write_text(text)
    with pytest.raises(UsageError, match="remove .*.lock if it no longer runs"):
        locks.lock(tmp_path / ".lock").__enter__()
    assert (tmp_path / ".lock").read_text() == text


@pytest.mark.parametrize("given, held", [
    ({"SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": "1"}, False), ({"SLURM_JOB_ID": "7"}, True),
    ({"SLURM_JOB_ID": "8", "SLURM_RESTART_COUNT": "1"}, True), ({"SKYPILOT_TASK_ID": "sky_7-0"}, True), ({}, True)])
def test_a_lock_of_an_earlier_start_of_the_same_job_is_taken_over(tmp_path, monkeypatch, given, held):
    for name in ("SLURM_JOB_ID", "SLURM_RESTART_COUNT", "SKYPILOT_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    (tmp_path / ".lock").write_text("another-host 5 slurm-7 0\n")
    assert locks.holder(tmp_path / ".lock") == ("process 5 on another-host" if held else "")


def test_a_job_that_counts_no_starts_takes_over_from_its_other_hosts_only(tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("SKYPILOT_TASK_ID", "sky_7-0")
    with locks.lock(tmp_path / ".lock"):
        assert (tmp_path / ".lock").read_text().split()[2:] == ["sky_7-0", socket.gethostname()]
    own = socket.gethostname()
    for lock, held in (("other 5 sky_7-0 other\n", False), ("other 5 sky_8-0 other\n", True),
                       (f"{own} 1 sky_7-0 {own}\n", True)):
        (tmp_path / ".lock").write_text(lock)
        assert bool(locks.holder(tmp_path / ".lock")) == held


def test_an_empty_lock_that_is_not_new_is_of_nobody(tmp_path):
    """As a full disk or a kill between making and writing left it in earlier versions."""
    lock = tmp_path / ".lock"
    lock.touch()
    old = time.time() - locks.STALE_EMPTY_S - 1
    os.utime(lock, (old, old))
    with locks.lock(lock):
        assert lock.read_text().split()[1] == str(os.getpid())
    assert not list(tmp_path.iterdir())


def test_a_lock_is_whole_or_absent(tmp_path, monkeypatch):
    """It is linked to its place with its text in it; a disk that is full leaves nothing there."""
    seen, link = [], os.link

    def watched(source, to):
        seen.append(pathlib.Path(source).read_text())
        link(source, to)

    monkeypatch.setattr(os, "link", watched)
    with locks.lock(tmp_path / ".lock"):
        assert seen == [(tmp_path / ".lock").read_text()] and seen[0]
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("builtins.open", full)
    with pytest.raises(OSError, match="No space left") as error:
        locks.lock(tmp_path / ".lock").__enter__()
    assert error.value.filename == str(tmp_path / ".lock") and not list(tmp_path.iterdir())


def test_where_files_cannot_be_linked_a_lock_is_made_all_the_same(tmp_path, monkeypatch):
    def no_links(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with locks.lock(tmp_path / ".lock"):
        assert (tmp_path / ".lock").read_text().split()[1] == str(os.getpid())
        with pytest.raises(FileExistsError):
            locks._make(tmp_path / ".lock", "other\n")
