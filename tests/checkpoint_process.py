"""A process that saves checkpoints, for tests that kill it or run two at once: python -m tests.checkpoint_process."""

import sys

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from cellcycle_jax import checkpoint

SHAPES = {"kernel": ((64, 48), np.float32), "bias": ((48,), np.float32), "count": ((), np.int32)}


def tree(step):
    """Arrays that say which step they are of."""
    return {name: np.full(shape, step, dtype) for name, (shape, dtype) in SHAPES.items()}


def save_on_and_on(folder, first):
    """Save step after step, and print each once it is saved."""
    for step in range(first, first + 1000):
        checkpoint.save(folder, step, tree(step), tree(-step), {"step": step}, {"classes": ["G1", "G2"]})
        print(step, flush=True)


def save_together(folder, port, rank):
    """One of two processes that save arrays on the devices of both, and read them back."""
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"localhost:{port}", 2, rank)
    everywhere = NamedSharding(jax.make_mesh((jax.device_count(),), ("data",)), PartitionSpec())
    assert checkpoint.newest_step(folder) is None
    for step in (1, 2, 3):
        state = jax.device_put(tree(step), everywhere)
        assert jax.process_count() == 2 and not state["bias"].is_fully_addressable
        checkpoint.save(folder, step, state, tree(-step), {"step": step}, {"classes": ["G1", "G2"]})
        assert checkpoint.newest_step(folder) == step  # no process goes on before the manifest is there
    found, best, progress = checkpoint.restore(folder, 3, state, tree(0), {"classes": ["G1", "G2"]})
    again = jax.device_put(found, everywhere)  # refuses values that differ between processes
    total = jax.jit(lambda x: x.sum(), out_shardings=everywhere)(again["bias"])
    print(int(total), int(best["count"]), progress["step"], flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "together":
        save_together(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        save_on_and_on(sys.argv[2], int(sys.argv[3]))
