"""One task for each of many things, in parallel processes on this machine or on the workers of a Dask scheduler."""

import concurrent.futures
import multiprocessing

from cellcycle_jax import machine
from cellcycle_jax.errors import ResourceMissing

DASK_TIMEOUT_S = 20


def each(task, things, shared, workers: int, scheduler: str = ""):
    """Yield (thing, task(thing, shared)) as results come in; one process does them in order.

    Args:
        task: function of a module, so that another process finds it.
        things: what differs from call to call; shared: what does not.
        workers: processes on this machine; 0: one per core.
        scheduler: address of a Dask scheduler; "": this machine.

    Raises:
        ResourceMissing: Dask is not installed, or no scheduler answers.
    """
    workers = min(workers or machine.cores(), max(len(things), 1))
    if scheduler:
        yield from _by_dask(task, things, shared, scheduler)
    elif workers == 1:
        yield from ((thing, task(thing, shared)) for thing in things)
    else:
        context = multiprocessing.get_context("spawn")  # forking a process with threads can hang
        with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
            jobs = {pool.submit(task, thing, shared): thing for thing in things}
            for job in concurrent.futures.as_completed(jobs):
                yield jobs[job], job.result()


def _by_dask(task, things, shared, address):
    """Workers must see all folders under the same paths; what a lost worker had is given to another."""
    with _dask_client(address) as client:
        from dask.distributed import as_completed

        shared = client.scatter(shared, broadcast=True)
        jobs = {client.submit(task, thing, shared, pure=False, retries=3): thing for thing in things}
        for job in as_completed(jobs):
            yield jobs[job], job.result()


def _dask_client(address):
    try:
        from dask.distributed import Client
    except ImportError:
        raise ResourceMissing("config.scheduler needs Dask; install it with pip install -e '.[dask]'") from None
    try:
        return Client(address, timeout=DASK_TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise ResourceMissing(f"config.scheduler={address!r}: no Dask scheduler answers there ({error}); start one "
                              "with `dask scheduler`, or empty the field to use this machine") from None
