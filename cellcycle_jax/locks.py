"""Locks on folders: who works in one, and which locks were left behind."""

import contextlib
import os
import pathlib
import socket
import time

from cellcycle_jax import files
from cellcycle_jax.errors import UsageError

STALE_EMPTY_S = 10  # an empty lock that is older belongs to nobody, and so does an older lock on a takeover

_held_here = set()  # absolute paths of the locks that this process holds


@contextlib.contextmanager
def lock(path):
    """Hold the lock file `path`, with host, process and batch job as its content, for as long as the block runs.

    A lock is stale, and taken over, if its process on this host is gone (a kill left it), if it is of an earlier start
    of the batch job that this process belongs to, or if it is empty and not new: its process was ended, or its disk
    full, before it could write. Any other lock of another host cannot be judged from here, so it counts as held.

    Raises:
        UsageError: another process holds the lock, or this one does already; it is named.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if _is_stale(path):
        _remove_stale(path)
    own = " ".join([socket.gethostname(), str(os.getpid()), *_start_of_job()]) + "\n"
    try:
        _make(path, own)
    except FileExistsError:
        raise UsageError(
            f"{path.parent}: {holder(path) or 'another process'} works in this folder; "
            f"wait for it, or remove {path} if it no longer runs"
        ) from None
    _held_here.add(path.absolute())
    try:
        yield
    finally:
        _held_here.discard(path.absolute())
        if _content(path) == own:  # not where it was removed by hand and another process holds it now
            path.unlink(missing_ok=True)


def holder(path) -> str:
    """Process and host that hold the lock file `path`, in words; "" where no process does."""
    path = pathlib.Path(path)
    content = _content(path)
    if not content or _is_stale(path):
        return ""
    host, pid = [*content.split(), "", ""][:2]
    return f"process {pid or 'unknown'} on {host or 'an unknown host'}"


def _make(path, text: str) -> None:
    """Create a lock file together with its content; FileExistsError where there is one already."""
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


def _remove_stale(path) -> None:
    """Remove a stale lock. One process at a time does so and looks again first, so no lock of a live process goes."""
    takeover = path.with_name(f"{path.name}.takeover")
    if _is_old(takeover):
        takeover.unlink(missing_ok=True)  # removing takes milliseconds, so the process that did it was killed
    try:
        _make(takeover, socket.gethostname())
    except FileExistsError:
        return  # another process takes the lock over
    try:
        if _is_stale(path):
            path.unlink(missing_ok=True)
    finally:
        takeover.unlink(missing_ok=True)


def _is_stale(path) -> bool:
    """Whether the process that made a lock is gone: it ran on this host, or in another start of this job."""
    if path.absolute() in _held_here:
        return False
    content = _content(path)
    if not content:
        return _is_old(path)
    host, pid, *start = [*content.split(), "", ""][:4]
    own_start = _start_of_job()
    if own_start and start[:1] == own_start[:1] and start != own_start:
        return True  # schedulers start a job again when it has ended everywhere
    if host != socket.gethostname() or not pid.isdecimal():
        return False
    if int(pid) == os.getpid():
        return True  # of an earlier process with this number; a restarted container gives the same ones
    return _has_ended(int(pid))


def _has_ended(pid) -> bool:
    """Whether a process of this host has ended; it may still have its number, if nobody has asked how it ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    try:
        status = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:  # no Linux, or it has just gone: then the next look says so
        return False
    after_name = status.rpartition(")")[2]
    return after_name.split()[0] == "Z"


def _is_old(path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > STALE_EMPTY_S
    except OSError:
        return False


def _content(path) -> str:
    """The content of a lock file, "" where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _start_of_job() -> list[str]:
    """Id of the batch job of this process, which a requeue keeps, and which start it is; [] outside of a job."""
    if job := os.environ.get("SLURM_JOB_ID"):
        return [f"slurm-{job}", os.environ.get("SLURM_RESTART_COUNT", "0")]
    if job := os.environ.get("SKYPILOT_TASK_ID"):
        return [job, socket.gethostname()]  # each start is on new machines, and nothing counts them
    return []
