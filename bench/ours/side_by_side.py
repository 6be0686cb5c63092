"""Worker: training steps of this project, a model in a process of its own on each core, as `sweep` does on a CPU.

    python bench/ours/side_by_side.py --model small

It starts a worker `ours/train.py` for each core, with one device and one thread of XLA, and has all of them work at
once. An item is a crop seen by a model; a unit is a step of every model. What it says and is told stands in
bench/protocol.py.
"""

import concurrent.futures
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

from bench.protocol import NETWORKS, serve, worker_parser
from bench.workers import OURS, TUNED, Way, Worker
from cellcycle_jax import machine
from cellcycle_jax.devices import runtime

ON_ONE_CORE = {runtime.THREADS_VARIABLE: "1", "JAX_NUM_CPU_DEVICES": "1"}


def main():
    """Start the workers and serve."""
    given = worker_parser(__doc__, model="small").parse_args()
    way = Way(given.model, OURS, ("ours/train.py", "--model", given.model), TUNED | ON_ONE_CORE)
    cores = machine.cores()
    with concurrent.futures.ThreadPoolExecutor(cores) as threads:
        workers = list(threads.map(Worker, [way] * cores))

        def work(units):
            list(threads.map(lambda worker: worker.run(units), workers))

        about = {"versions": workers[0].info["versions"], "device": f"{cores} processes with a core each"}
        serve(work, cores * NETWORKS[given.model].batch, **about)
        for worker in workers:
            worker.close()


if __name__ == "__main__":
    main()
