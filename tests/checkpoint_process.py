"""A process that saves checkpoints, for tests that kill it or run two at once: python -m tests.checkpoint_process."""

import errno
import itertools
import math
import pathlib
import sys

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from cellcycle_jax.errors import StoredStateRefused
from cellcycle_jax.runs import checkpoint

SHAPES = {"kernel": ((64, 48), np.float32), "bias": ((48,), np.float32), "count": ((), np.int32)}
FACTS = {"classes": ["G1", "G2"], "data": {"mask": "cell", "scale": "field"}}


def tree(step):
    """Arrays that say which step they are of."""
    return {name: step * np.arange(1, 1 + math.prod(shape), dtype=dtype).reshape(shape)
            for name, (shape, dtype) in SHAPES.items()}


def save_steps(folder, steps):
    """Save each of `steps`, and print it once it is saved."""
    for step in steps:
        checkpoint.save(folder, step, tree(step), tree(-step), {"step": step}, FACTS)
        print(step, flush=True)


def save_together(folder, port, rank):
    """One of two processes that save arrays on the devices of both, and read them back."""
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"localhost:{port}", 2, rank)
    devices = jax.make_mesh((jax.device_count(),), ("data",))
    everywhere, divided = NamedSharding(devices, PartitionSpec()), NamedSharding(devices, PartitionSpec("data"))
    assert checkpoint.newest_step(folder) is None
    for step in (1, 2, 3):
        state = jax.device_put(tree(step), everywhere)
        kernel = tree(step)["kernel"]
        state["kernel"] = jax.make_array_from_callback(kernel.shape, divided, lambda rows, all=kernel: all[rows])
        assert jax.process_count() == 2 and not state["bias"].is_fully_addressable
        assert not state["kernel"].is_fully_replicated
        checkpoint.save(folder, step, state, tree(-step), {"step": step}, FACTS)
        assert checkpoint.newest_step(folder) == step  # no process goes on before the manifest is there
    found, best, progress = checkpoint.restore(folder, 3, state, tree(0), FACTS)
    again = jax.device_put(found, everywhere)  # refuses values that differ between processes
    total = jax.jit(lambda x: x.sum(), out_shardings=everywhere)(again["bias"])
    try:
        checkpoint.newest_step(folder if rank == 0 else f"{folder}-elsewhere")
    except StoredStateRefused as error:
        assert "[3, -1" in str(error), error
        print(int(total), int(best["count"]), progress["step"], flush=True)


def fill(folder):
    """Save a small step, then one for which the disk has no room; say how that ends and what is left."""
    checkpoint.save(folder, 1, tree(1), tree(-1), {"step": 1}, FACTS)
    large = {"noise": np.random.default_rng(0).normal(size=10**6).astype(np.float32)}
    try:
        checkpoint.save(folder, 2, large, tree(-2), {"step": 2}, FACTS)
    except OSError as error:
        left = sorted(path.name for path in pathlib.Path(folder).iterdir())
        count = checkpoint.restore(folder, checkpoint.newest_step(folder), tree(0), tree(0), FACTS)[0]["count"]
        print(errno.errorcode[error.errno], int(count), *left)


if __name__ == "__main__":
    task, where, *numbers = sys.argv[1:]
    if task == "together":
        save_together(where, *map(int, numbers))
    elif task == "fill":
        fill(where)
    else:
        save_steps(where, itertools.count(int(numbers[0])))
