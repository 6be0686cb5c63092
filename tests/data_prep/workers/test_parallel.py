"""One task for many things, here and in other processes."""

import os
import signal

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from cellcycle_jax.errors import ResourceMissing
from data_prep.workers import parallel


def squared(thing, shared):
    return thing**2 + shared


def most_threads(thing, shared):
    """Threads of the libraries that multiply matrices for NumPy."""
    return max(library["num_threads"] for library in threadpool_info())


def ended(thing, shared):
    os.kill(os.getpid(), signal.SIGKILL)


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
