"""Locks on folders: who works in one, and which locks were left behind."""

import contextlib
import os
import pathlib
import socket
import time

from cellcycle_jax import files
from cellcycle_jax.errors import UsageError

EMPTY_S = 10  # an empty lock that is older is of nobody


@contextlib.contextmanager
def lock(path):
    """Hold the lock file `path`, in which host, process and batch job stand, for as long as the block runs.

    A lock whose process on this host is gone was left by a kill and is taken over. So is one of an earlier start of the
    job that this process belongs to, and an empty one that is not quite new: its process was ended, or its disk full,
    before it could write. Any other of another host cannot be judged from here, so it counts as held.

    Raises:
        UsageError: another process holds the lock; it is named.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    earlier = _text(path)
    if _left_behind(earlier) or _is_old_and_empty(path):
        _clear_away(path, earlier)
    own = " ".join([socket.gethostname(), str(os.getpid()), *_start_of_job()]) + "\n"
    try:
        _make(path, own)
    except FileExistsError:
        raise UsageError(
            f"{path.parent}: {holder(path) or 'another process'} works in this folder; "
            f"wait for it, or remove {path} if it no longer runs"
        ) from None
    try:
        yield
    finally:
        if _text(path) == own:  # not where it was removed by hand and another process holds it now
            path.unlink(missing_ok=True)


def _make(path, text: str) -> None:
    """Make a lock with its text in it, or none at all; FileExistsError where there is one, also if it came just now."""
    temporary = files.temporary_beside(path)
    try:
        with open(temporary, "x", encoding="utf-8") as file:
            file.write(text)
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without links: then a lock is empty for a moment
            with open(path, "x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        if not isinstance(error, FileExistsError):
            error.filename = str(path)  # of a full disk nothing else says which file it was
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _is_old_and_empty(path) -> bool:
    try:
        state = path.stat()
    except OSError:
        return False
    return not state.st_size and time.time() - state.st_mtime > EMPTY_S


def _text(path) -> str:
    """What stands in a lock, "" where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _clear_away(path, left: str) -> None:
    """Remove a lock in which `left` stands; of several processes that found it, one removes it, and no newer lock."""
    moved = files.temporary_beside(path)
    try:
        os.rename(path, moved)
    except FileNotFoundError:
        return  # another process was faster
    if _text(moved) == left:
        moved.unlink()
    else:
        os.replace(moved, path)  # another process was faster, and this is its own lock


def holder(path) -> str:
    """Process and host that hold the lock file `path`, in words; "" where nobody does."""
    text = _text(pathlib.Path(path))
    if not text or _left_behind(text):
        return ""
    host, pid = [*text.split(), "", ""][:2]
    return f"process {pid or 'unknown'} on {host or 'an unknown host'}"


def _start_of_job() -> list[str]:
    """What a scheduler calls the batch job of this process, also when it starts it again, and which start this is."""
    if job := os.environ.get("SLURM_JOB_ID"):
        return [f"slurm-{job}", os.environ.get("SLURM_RESTART_COUNT", "0")]
    if job := os.environ.get("SKYPILOT_TASK_ID"):
        return [job, socket.gethostname()]  # each start is on new machines, and nothing counts them
    return []


def _left_behind(holder: str) -> bool:
    """Whether the process named in a lock is gone: it ran on this host, or in another start of this job."""
    host, pid, *start = [*holder.split(), "", ""][:4]
    own = _start_of_job()
    if own and start[:1] == own[:1] and start != own:
        return True  # schedulers start a job again when it has ended everywhere
    if host != socket.gethostname() or not pid.isdecimal():
        return False
    if int(pid) == os.getpid():
        return True  # of an earlier process with this number; a restarted container gives the same ones
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False
