"""One task for each of many things, in parallel processes on this machine or on the workers of a Dask scheduler."""

from threadpoolctl import threadpool_limits

from cellcycle_jax import machine, processes
from cellcycle_jax.errors import ResourceMissing

DASK_TIMEOUT_S = 20


def count(asked: int, things: int) -> int:
    """How many processes work at once.

    Args:
        asked: as configured; 0: one per core.
        things: number of things to work on.
    """
    return min(asked or machine.cores(), max(things, 1))


def each(task, things, shared, workers: int, scheduler: str = ""):
    """Yield (thing, task(thing, shared)) as results come in; one process does them in order.

    Args:
        task: function of a module, so that another process finds it.
        things: what differs from call to call; shared: what does not.
        workers: processes on this machine; 0: one per core.
        scheduler: address of a Dask scheduler; "": this machine.

    Raises:
        ResourceMissing: Dask is not installed, no scheduler answers, or a process was ended from outside, as a system
            does that has no memory left.
    """
    workers = count(workers, len(things))
    if scheduler:
        yield from _by_dask(task, things, shared, scheduler)
    elif workers == 1:
        for thing in things:
            yield thing, on_one_core(task, thing, shared)
    else:
        yield from processes.each(task, things, shared, processes.Team(workers, flag="--config.workers=1"))


def on_one_core(task, thing, shared):
    """task(thing, shared), with products of matrices on one core.

    There is a process for each core, and the threads of all would only wait for each other: fields took five times as
    long.
    """
    with threadpool_limits(1):
        return task(thing, shared)


def _by_dask(task, things, shared, address):
    """Workers must see all folders under the same paths; what a lost worker had is given to another."""
    with _dask_client(address) as client:
        from dask.distributed import CancelledError, KilledWorker, as_completed
        from distributed.comm import CommClosedError

        try:
            shared = client.scatter(shared, broadcast=True)
            jobs = {client.submit(on_one_core, task, thing, shared, pure=False, retries=3): thing for thing in things}
            for job in as_completed(jobs):
                yield jobs[job], job.result()
        except KilledWorker:
            raise ResourceMissing(
                "workers of Dask were ended, again and again, at one field, most likely since memory ran out; give "
                "them more (dask worker --memory-limit), and run the same command again (it goes on from what is "
                "finished)"
            ) from None
        except (CancelledError, CommClosedError) as error:
            raise ResourceMissing(
                f"config.scheduler={address!r}: the scheduler went away ({type(error).__name__}); "
                "start it again, and run the same command again (it resumes from what is finished)"
            ) from None


def _dask_client(address):
    try:
        from dask.distributed import Client
    except ImportError:
        raise ResourceMissing("config.scheduler needs Dask; install it with pip install -e '.[dask]'") from None
    try:
        return Client(address, timeout=DASK_TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise ResourceMissing(
            f"config.scheduler={address!r}: no Dask scheduler answers there ({error}); "
            "start one with `dask scheduler`, or empty the field to use this machine"
        ) from None
