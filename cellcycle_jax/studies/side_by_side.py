"""Networks of a study side by side: each in a worker process, on its share of the cores of a CPU.

Two small networks, each on a core of its own, train 1.2 to 1.5 times as many crops a second as one that is divided over
both (bench/cohort.py): no device waits for another. On an accelerator runs are one program instead.
"""

import contextlib
import dataclasses
import functools
import io
import pathlib
import signal
import sys
import threading

import jax
import tqdm

from cellcycle_jax import machine, processes
from cellcycle_jax.devices import memory, runtime
from cellcycle_jax.errors import EXIT_PREEMPTED, NonFiniteLoss, UsageError
from cellcycle_jax.runs.open_data import OpenData
from cellcycle_jax.studies import one_network
from cellcycle_jax.training import loop, preemption

TOLD_TO_STOP = (EXIT_PREEMPTED, 128 + signal.SIGTERM)  # exit codes of a worker
OF_A_WORKER = 1.5 * 2**30  # bytes that a process which trains a small network holds at its peak, crops not counted


def choose_workers(asked: int, runs: int, crop_bytes: int = 0) -> int:
    """How many processes train the runs of a study.

    Args:
        asked: by the user; 0: as many as there are cores, runs, and room in memory, and 1 on an accelerator.
        runs: of the study.
        crop_bytes: of the pixels that a run needs; 0 where they are few beside `OF_A_WORKER`.

    Raises:
        UsageError: several on an accelerator, or a number below 0.
    """
    platform = jax.default_backend()
    if asked < 0:
        raise UsageError(f"--workers={asked}: give a number of processes, or 0 for one on each core")
    if asked > 1 and platform != "cpu":
        raise UsageError(
            f"--workers={asked}: there is one {platform} for all; leave the flag out, and the runs are "
            "trained as one program"
        )
    if asked:
        return min(asked, runs)
    if platform != "cpu":
        return 1
    wanted = min(machine.cores(), runs)
    fitting = max(1, min(wanted, _that_fit(crop_bytes)))
    if fitting < wanted:
        print(
            f"note: {fitting} run(s) at a time instead of {wanted}, since memory has no room for more", file=sys.stderr
        )
    return fitting


def _that_fit(crop_bytes):
    """How many processes fit into the memory that is free."""
    free = machine.free_memory()
    processes_that_fit = free // OF_A_WORKER
    room_for_crops = memory.SHARE * free
    if 0 < crop_bytes <= room_for_crops:  # else they stay on disk
        return int(min(processes_that_fit, room_for_crops // crop_bytes))
    return int(processes_that_fit)


def cores_of_each(workers: int) -> int:
    """Cores that each of some workers may use."""
    return max(1, machine.cores() // workers)


def train(configs: dict, data_dir, folders: dict, workers: int):
    """Train each run in a process; yield (name, None), or the step at which it diverged, as they end.

    Args:
        configs: name -> training config.
        data_dir: folder that `prepare` wrote.
        folders: name -> run folder; one that was begun is continued.
        workers: processes at once.

    Raises:
        As `loop.train`, but for NonFiniteLoss. SystemExit with code 75 after SIGTERM and 130 after Ctrl-C, once all
        that are under way have saved their state.
    """
    steps = {name: config.train.steps for name, config in configs.items()}
    done = dict.fromkeys(configs, 0)
    with tqdm.tqdm(total=sum(steps.values()), desc="train", unit="step") as bar:

        def progress(name, count):
            done[name] += count
            bar.update(count)

        shared = (data_dir, configs, folders)
        ends = each(_train_one, list(configs), shared, workers, progress)
        for finished, (name, diverged) in enumerate(ends, start=1):
            progress(name, steps[name] - done[name])  # it may have stopped early
            bar.set_postfix_str(f"{finished} of {len(configs)} runs")
            yield name, diverged


@dataclasses.dataclass(frozen=True)
class Planned:
    """A network that `finish` is to make; the arguments of `one_network.finish`, with the folder of the data set."""

    config: object
    data_dir: pathlib.Path
    workdir: pathlib.Path
    final: bool = False
    explain: bool = True


def finish(networks: list[Planned], workers: int):
    """Train, evaluate and explain each network in a process; yield (planned, `one_network.FinishedNetwork`).

    Networks of one data set should follow each other: a process keeps the last one open.

    Args:
        networks: in any order; what is finished of one is read back.
        workers: processes at once.

    Raises:
        As `one_network.finish`; SystemExit as `train`.
    """
    with tqdm.tqdm(total=len(networks), desc="networks", unit="network") as bar:
        for number, finished in each(_finish_one, range(len(networks)), networks, workers):
            bar.update()
            yield networks[number], finished


def each(task, things, shared, workers: int, progress=None):
    """Yield (thing, task(thing, shared)) as results come in, each made in a process that may compute.

    Args:
        task, things, shared: as of `processes.each`.
        workers: processes at once; 1: this one, which may have taken the memory of an accelerator.
        progress: as of `processes.Team`; several workers report.

    Raises:
        As the task; SystemExit as `train`, where the task trains.
    """
    if workers == 1:
        for thing in things:
            yield thing, task(thing, shared)
        return
    left = len(things)
    with preemption.Interruptible() as stop:
        stop.progressed()  # each worker has a state of its own to save
        team = processes.Team(workers, cores_of_each(workers), "--workers=1", _begin, lambda: stop.asked, progress)
        try:
            for found in processes.each(task, things, shared, team):
                left -= 1
                yield found
        except SystemExit as end:
            if end.code not in TOLD_TO_STOP:
                raise
            preemption.leave(stop.by_ctrl_c)  # a scheduler told a worker before it told the command
        if left:
            preemption.leave(stop.by_ctrl_c)


def _begin():
    """Make a worker ready to compute, and keep its progress bars from the terminal, where the command has its own."""
    runtime.prepare()
    tqdm.tqdm.set_lock(threading.RLock())  # by default a lock for several processes, which one that is killed leaves
    make = tqdm.tqdm.__init__

    def make_hidden(bar, *arguments, **named):
        make(bar, *arguments, **named | {"disable": True})

    tqdm.tqdm.__init__ = make_hidden


@functools.lru_cache(maxsize=1)
def _opened(folder) -> OpenData:
    """A data set that this process has opened, kept for its next task."""
    return OpenData(folder)


def _train_one(name, shared):
    """Train a run in this process; the step at which it diverged, None where it did not."""
    data_dir, configs, folders = shared
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            loop.train(configs[name], _opened(data_dir), folders[name], _ReportedBar)
    except NonFiniteLoss as error:
        return error.step
    return None


def _finish_one(number, networks):
    """Finish a network in this process."""
    planned = networks[number]
    data = _opened(planned.data_dir)
    with contextlib.redirect_stdout(io.StringIO()):
        return one_network.finish(planned.config, data, planned.workdir, planned.final, planned.explain)


class _ReportedBar(contextlib.AbstractContextManager):
    """In the place of a bar: the command shows the steps of all workers in one."""

    def __init__(self, total, done):
        processes.report(done)

    def update(self, count):
        processes.report(count)

    def set_postfix(self, losses):
        pass

    def close(self):
        pass

    def __exit__(self, *_):
        pass
