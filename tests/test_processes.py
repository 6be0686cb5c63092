"""Worker processes: what they return, how they are told to stop, and that none outlives its command."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from cellcycle_jax import machine, processes
from cellcycle_jax.errors import NonFiniteLoss, ResourceMissing
from cellcycle_jax.processes import Team

ROOT = pathlib.Path(__file__).parents[1]


def is_deaf(thing, shared):
    """Whether Ctrl-C has been kept from this process since before its own program began."""
    mask = next(line for line in pathlib.Path("/proc/self/status").read_text().splitlines() if "SigBlk" in line)
    return bool(int(mask.split()[1], 16) >> (signal.SIGINT - 1) & 1)


def cores_and_variable(thing, shared):
    """What this process may use, and what `sets_variable` has set."""
    return machine.cores(), os.environ.get("BEGUN", "")


def sets_variable():
    os.environ["BEGUN"] = os.environ.get("BEGUN", "") + "once"


def reports(thing, shared):
    """Report the thing twice."""
    processes.report(thing)
    processes.report(10 * thing)


def dies_at_one(thing, shared):
    """The process of thing 1 is ended from outside, while the other one works."""
    if thing == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.5)
    pathlib.Path(shared, f"saved_{thing}").touch()


def diverges(thing, shared):
    raise NonFiniteLoss(f"the loss of {thing}", step=7)


class Unsendable(Exception):
    """Cannot be pickled: another process could not make it again."""

    def __init__(self, what, other):
        super().__init__(what)


def raises_unsendable(thing, shared):
    raise Unsendable("what went wrong", thing)


def saves_when_told(thing, shared):
    """Wait until SIGTERM, then save and end with code 75, as training does."""
    told = []
    signal.signal(signal.SIGTERM, lambda *_: told.append(True))
    pathlib.Path(shared, f"begun_{thing}").touch()
    while not told:
        time.sleep(0.01)
    pathlib.Path(shared, f"saved_{thing}").touch()
    raise SystemExit(75)


def is_told_by_others(thing, shared):
    """As `saves_when_told`; thing 0 is signalled by somebody else than the command."""
    if thing == 0:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    saves_when_told(thing, shared)


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


def waits_unless_it_is_the_first(thing, shared):
    if thing:
        waits(thing, shared)


def test_each_worker_has_its_share_and_begins_once():
    team = Team(2, cores=1, begin=sets_variable)
    assert [found for _, found in processes.each(cores_and_variable, range(4), None, team)] == [(1, "once")] * 4


def test_more_workers_than_things_are_not_started():
    assert list(processes.each(is_deaf, [], None, Team(4))) == []


def test_what_a_task_reports_arrives_with_its_thing():
    reported = []
    team = Team(2, progress=lambda *what: reported.append(what))
    list(processes.each(reports, [1, 2, 3], None, team))
    assert sorted(reported) == [(1, 1), (1, 10), (2, 2), (2, 20), (3, 3), (3, 30)]


def test_the_death_of_a_worker_is_told_once_the_others_have_ended(tmp_path):
    with pytest.raises(ResourceMissing, match="ended from outside.*fewer processes than 2: --workers=1"):
        list(processes.each(dies_at_one, range(2), tmp_path, Team(2, flag="--workers=1")))
    assert _gone(_children(os.getpid()))


def test_an_error_arrives_with_all_it_holds():
    with pytest.raises(NonFiniteLoss, match="the loss of 5") as found:
        list(processes.each(diverges, [5], None, Team(1)))
    assert found.value.step == 7


def test_an_error_that_cannot_be_sent_arrives_as_text():
    with pytest.raises(RuntimeError, match="what went wrong"):
        list(processes.each(raises_unsendable, [5], None, Team(1)))


def test_workers_that_are_told_to_stop_save_and_nothing_else_is_begun(tmp_path):
    team = Team(2, stop_asked=lambda: len(list(tmp_path.glob("begun_*"))) == 2)
    assert list(processes.each(saves_when_told, range(4), tmp_path, team)) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["begun_0", "begun_1", "saved_0", "saved_1"]


def test_a_worker_that_others_told_to_stop_ends_all(tmp_path):
    with pytest.raises(SystemExit) as end:
        list(processes.each(is_told_by_others, range(4), tmp_path, Team(2)))
    assert end.value.code == 75
    assert sorted(path.name for path in tmp_path.iterdir()) == ["begun_0", "begun_1", "saved_0", "saved_1"]


def test_a_caller_that_goes_away_ends_the_workers(tmp_path):
    found = processes.each(waits_unless_it_is_the_first, range(3), tmp_path, Team(2))
    assert next(found) == (0, None)
    assert len(_children(os.getpid())) == 2
    found.close()
    assert _gone(_children(os.getpid()))


def test_an_error_of_a_task_is_raised_as_it_is_and_leaves_no_worker(tmp_path):
    with pytest.raises(ValueError, match="thing 0"):
        list(processes.each(breaks_beside_one_that_waits, range(4), tmp_path, Team(2)))
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
    code = (
        "import signal\n"
        "from cellcycle_jax import processes\n"
        "from tests import test_processes as t\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background lets it be ignored\n"
        f"if __name__ == '__main__': list(processes.each(t.waits, range(2), {str(folder)!r}, processes.Team(2)))"
    )
    path = folder / "command.py"
    path.write_text(code)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = subprocess.Popen(
        [sys.executable, path], stderr=subprocess.PIPE, env=environment, text=True, start_new_session=True
    )
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
    assert all(deaf for _, deaf in processes.each(is_deaf, range(2), None, Team(2)))
    assert not is_deaf(0, None)


@needs_proc
def test_the_first_worker_of_a_command_does_not_hear_ctrl_c_either(tmp_path):
    """Python starts a process of its own with the first worker, and unblocks Ctrl-C when it has."""
    path = tmp_path / "command.py"
    path.write_text(
        "from cellcycle_jax import processes\n"
        "from tests import test_processes as t\n"
        "if __name__ == '__main__':\n"
        "    print(list(processes.each(t.is_deaf, range(1), None, processes.Team(1))))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    assert subprocess.check_output([sys.executable, path], env=environment, text=True) == "[(0, True)]\n"


@needs_proc
def test_ctrl_c_of_a_terminal_ends_command_and_workers_with_one_traceback(tmp_path):
    """A terminal signals all processes of its group; only the command may answer."""
    command, workers = start(tmp_path)
    os.killpg(command.pid, signal.SIGINT)
    _, said = command.communicate(timeout=30)
    assert said.count("Traceback") == 1 and said.rstrip().endswith("KeyboardInterrupt")
    assert _gone(workers)
