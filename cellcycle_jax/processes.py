"""Worker processes on this machine, each with its share of the cores; none of them outlives the command.

A worker is given one thing after another. One that is told to stop (SIGTERM) ends as the task it is at would end: at
once, or with its state saved where the task listens, as training does. A worker that dies disturbs no other.
"""

import collections
import contextlib
import dataclasses
import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing import connection, resource_tracker

from threadpoolctl import threadpool_limits

from cellcycle_jax import machine
from cellcycle_jax.errors import ResourceMissing

ORPHANED_S = 1  # how often a worker looks whether the command that started it still runs
POLL_S = 0.2  # how often the command looks whether it was asked to stop

_to_command = None  # of a worker: the connection to the command


def never() -> bool:
    """Not asked to stop."""
    return False


@dataclasses.dataclass(frozen=True)
class Team:
    """How many workers there are, and what each may use.

    Attributes:
        workers: processes at once.
        cores: for each of them, in products of matrices and in programs of JAX.
        flag: what a user types to have one worker only, for errors.
        begin: called once in each, before its first task; a function of a module.
        stop_asked: asked again and again whether to end early: then no further thing is begun.
        progress: (thing, what the task reported) for each call of `report`.
    """

    workers: int
    cores: int = 1
    flag: str = ""
    begin: Callable | None = None
    stop_asked: Callable[[], bool] = never
    progress: Callable | None = None


def each(task, things, shared, team: Team):
    """Yield (thing, task(thing, shared)) as results come in.

    What was asked to stop gives no result. Should the generator be closed or a task raise an error, then all workers
    are told to stop, and waited for.

    Args:
        task: function of a module, so that another process finds it.
        things: what differs from call to call.
        shared: what does not.
        team: the workers; no more are started than there are things.

    Raises:
        ResourceMissing: a worker was ended from outside, as a system does that has no memory left.
        SystemExit: with its code, where a worker was told to stop and the command was not.
        Exception: of a task, as it is.
    """
    waiting = collections.deque(things)
    workers = []
    try:
        for _ in range(min(team.workers, len(waiting))):
            workers.append(_Worker(task, shared, team))
        for worker in workers:
            worker.begin(waiting.popleft())
        stopping = False
        while busy := [worker for worker in workers if worker.is_busy]:
            if team.stop_asked() and not stopping:
                stopping = True
                waiting.clear()
                _tell_to_stop(busy)
            for worker in _that_answered(busy):
                found = worker.answer(stopping)
                if found is None:
                    continue
                if waiting:
                    worker.begin(waiting.popleft())
                yield found
    except BaseException:
        _tell_to_stop(workers)
        raise
    finally:
        _end(workers)


def report(what) -> None:
    """Tell the command something about the thing that is worked on, for `Team.progress`; only within a worker."""
    with contextlib.suppress(BrokenPipeError):  # where the command is gone, this process is about to end too
        _to_command.send(("progress", what))


def is_worker() -> bool:
    """Whether this process was started by `each`."""
    return _to_command is not None


class _Worker:
    """A process and what it is at; its answers come by `connection`."""

    def __init__(self, task, shared, team):
        context = multiprocessing.get_context("spawn")  # forking a process with threads can hang
        self.connection, other_end = context.Pipe()
        self._team = team
        self.process = context.Process(target=_serve, args=(other_end, os.getpid(), team.cores))
        self._thing = None
        self.is_busy = False
        resource_tracker.ensure_running()  # the first start would do so, and unblock Ctrl-C on the way
        with _ctrl_c_blocked():
            self.process.start()
        other_end.close()
        self._send((task, shared, team.begin))  # with the start it would keep the command waiting while that imports

    def begin(self, thing):
        """Give it a thing."""
        self._thing = thing
        self.is_busy = True
        self._send(thing)

    def _send(self, what):
        with contextlib.suppress(BrokenPipeError):  # a worker that has died is noticed where its answer is read
            self.connection.send(what)

    def answer(self, stopping):
        """(thing, result); None where it told of progress only, or was stopped. Raises as `each`."""
        try:
            kind, value = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self.is_busy = False
            self.process.join()
            if stopping:
                return None
            raise _ended_from_outside(self.process.exitcode, self._team) from None
        if kind == "progress":
            if self._team.progress is not None:
                self._team.progress(self._thing, value)
            return None
        self.is_busy = False
        if kind == "error":
            raise value
        return self._thing, value

    def close(self):
        """Let it end when it is done with what it is at."""
        self.connection.close()


def _that_answered(busy):
    """Those of the workers that have something to say, after `POLL_S` at the latest; [] where none has."""
    by_connection = {worker.connection: worker for worker in busy}
    return [by_connection[ready] for ready in connection.wait(by_connection, POLL_S)]


def _tell_to_stop(workers):
    for worker in workers:
        worker.process.terminate()


def _end(workers):
    for worker in workers:
        worker.close()
    for worker in workers:
        worker.process.join()


def _ended_from_outside(exit_code, team):
    """Why a worker is gone, as an error."""
    if exit_code > 0:  # it said itself that it ends, as training does after SIGTERM
        return SystemExit(exit_code)
    if exit_code == -signal.SIGTERM:
        return SystemExit(128 + signal.SIGTERM)
    return ResourceMissing(
        "a worker process was ended from outside, most likely since memory ran out; run the same command again (it "
        f"goes on from what is finished), with fewer processes than {team.workers}: {team.flag}"
    )


@contextlib.contextmanager
def _ctrl_c_blocked():
    """Keep Ctrl-C from processes that are started in the block, from their first moment on.

    A terminal signals them as well as the command, and one that is still importing would show a traceback. They
    inherit what this thread blocks; other threads of the command receive the signal all the same, and this one does so
    at the end of the block.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(to_command, command, cores):
    """The life of a worker: one thing after another, until the command has no more or is gone."""
    global _to_command
    _to_command = to_command
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # threads of libraries may not have inherited that it is blocked
    threading.Thread(target=_end_with, args=(command,), daemon=True).start()
    machine.limit_cores(cores)
    try:
        task, shared, begin = to_command.recv()
    except (EOFError, OSError):  # the command is gone, maybe in the middle of a message
        return
    if begin is not None:
        begin()
    with contextlib.suppress(EOFError, OSError):  # it is done, or gone
        while True:
            thing = to_command.recv()
            to_command.send(_outcome(task, thing, shared))


def _end_with(command):
    while os.getppid() == command:
        time.sleep(ORPHANED_S)
    os._exit(1)


def _outcome(task, thing, shared):
    """("result", what the task returned) or ("error", what it raised, with its traceback as a note)."""
    try:
        with threadpool_limits(machine.cores()):  # of products of matrices: threads of all would wait for each other
            return "result", task(thing, shared)
    except Exception as error:
        text = traceback.format_exc()
        with contextlib.suppress(Exception):
            pickle.loads(pickle.dumps(error))
            error.add_note(text)
            return "error", error
        return "error", RuntimeError(text)  # some errors cannot be sent
