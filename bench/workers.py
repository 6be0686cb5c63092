"""Warm worker processes of several Python environments, run in turns, one at a time.

All workers of a comparison start before the first round; each round then asks every one of them for its share of work,
so that a noisy machine disturbs all of them alike. A worker that cannot start or dies is left out, with the reason.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

import numpy as np

from bench.protocol import MARK
from bench.timed import units_for

FOLDER = pathlib.Path(__file__).parent
OURS = sys.executable
PEERS = os.environ.get("PEERS_PYTHON", str(FOLDER / "peers" / ".venv" / "bin" / "python"))
# glibc keeps freed memory for the next step: large arrays are otherwise returned and faulted in again at every step.
TUNED = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "2147483647", "MALLOC_TOP_PAD_": "268435456"}
# Several processes share an accelerator: none may take all of its memory.
SHARED = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
# The last line that a failing worker prints is the reason.
TERSE = {"JAX_TRACEBACK_FILTERING": "off", "TF_CPP_MIN_LOG_LEVEL": "3"}
PATIENCE = 600.0  # s, longest wait for an answer


class WorkerFailed(Exception):
    """A worker did not start, died or did not answer; the message says why, in one line."""


@dataclasses.dataclass(frozen=True)
class Way:
    """How one worker is started."""

    name: str
    python: str  # OURS or PEERS
    command: tuple  # script below bench/, then its arguments
    environment: dict = dataclasses.field(default_factory=dict)  # e.g. TUNED


class Worker:
    """A child process that serves; ready when the constructor returns.

    Attributes:
        info: what it said of itself.
        ready_s: seconds from its start until it was ready.
    """

    def __init__(self, way: Way):
        """Start it and wait until it is ready.

        Raises:
            WorkerFailed: it did not get there.
        """
        script, *arguments = map(str, way.command)
        start = time.perf_counter()
        try:
            self._process = subprocess.Popen(
                [way.python, str(FOLDER / script), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, env={**os.environ, **SHARED, **TERSE, **way.environment})
        except OSError as error:
            hint = "; make it with `make peers`" if way.python == PEERS else ""
            raise WorkerFailed(f"{os.path.relpath(way.python)}: {error.strerror}{hint}") from None
        self.info = self._answer()
        self.ready_s = time.perf_counter() - start

    def run(self, units: int) -> float:
        """Seconds in which `units` of work were done; raises WorkerFailed if it died or did not answer in time."""
        return self._ask(units)["seconds"]

    def told(self) -> dict:
        """What it has to tell after its work; raises as `run`."""
        return self._ask(0)["told"]

    def _ask(self, units):
        with contextlib.suppress(BrokenPipeError):  # a dead worker's last words tell more
            self._process.stdin.write(json.dumps({"units": units}) + "\n")
            self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process and wait until it is gone."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _answer(self):
        timer, last = threading.Timer(PATIENCE, self._process.kill), "no last words"
        timer.start()
        try:
            for line in self._process.stdout:
                if line.startswith(MARK):
                    return json.loads(line.removeprefix(MARK))
                last = line.strip() or last
        finally:
            in_time = timer.is_alive()
            timer.cancel()
        self.close()
        last = f"{last}; exit code {self._process.returncode}"
        raise WorkerFailed(last if in_time else f"no answer within {PATIENCE:.0f} s")


@dataclasses.dataclass
class Results:
    """What a comparison gave, by the names of its ways, in their order."""

    rates: dict[str, list[float]] = dataclasses.field(default_factory=dict)  # items per second, one per round
    info: dict[str, dict] = dataclasses.field(default_factory=dict)
    ready_s: dict[str, float] = dataclasses.field(default_factory=dict)
    told: dict[str, dict] = dataclasses.field(default_factory=dict)  # after the last round
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)  # why

    def ratios(self, name: str, other: str) -> np.ndarray:
        """How many times as fast `name` was as `other`, f64 [rounds]."""
        return np.array(self.rates[name]) / np.array(self.rates[other])

    def versions(self) -> dict[str, str]:
        """Libraries of all workers."""
        return {name: version for info in self.info.values() for name, version in info.get("versions", {}).items()}


def compare(ways, rounds: int, seconds: float = 2.0) -> Results:
    """Start all ways, run them in turns, and end them.

    Args:
        ways: of `Way`.
        rounds: that count; one before them does not.
        seconds: that a way's share of a round should take.
    """
    results, workers, units = Results(), {}, {}
    try:
        for way in ways:
            with _leaving_out(way.name, results, workers):
                workers[way.name] = Worker(way)
                print(f"{way.name}: ready after {workers[way.name].ready_s:.1f} s", file=sys.stderr, flush=True)
                units[way.name] = units_for(workers[way.name].run, seconds)
        for number in range(rounds + 1):  # the first is a warm-up
            for name, worker in list(workers.items()):
                with _leaving_out(name, results, workers):
                    rate = worker.info["items"] * units[name] / worker.run(units[name])
                    if number:
                        results.rates.setdefault(name, []).append(rate)
        for name, worker in list(workers.items()):
            with _leaving_out(name, results, workers):
                results.told[name] = worker.told()
        results.info = {name: worker.info for name, worker in workers.items()}
        results.ready_s = {name: worker.ready_s for name, worker in workers.items()}
    finally:
        for worker in workers.values():
            worker.close()
    return results


@contextlib.contextmanager
def _leaving_out(name, results, workers):
    """Leave a way that fails out of the comparison, with one line that says why."""
    try:
        yield
    except WorkerFailed as failure:
        print(f"{name}: left out, {failure}", file=sys.stderr, flush=True)
        results.left_out[name] = str(failure)
        results.rates.pop(name, None)
        workers.pop(name, None)
