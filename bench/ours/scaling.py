"""Worker: training steps of this project on several devices, in one process or in two; their losses are told.

    python bench/ours/scaling.py [--model small] [--processes 2]

The devices of one process are those that JAX finds. With two processes this one starts the other, and hands on what it
is asked for. An item is a crop; what it says and is told stands in bench/protocol.py.
"""

import contextlib
import json
import pathlib
import socket
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

from bench.protocol import NETWORKS, serve, worker_parser
from cellcycle_jax.devices import mesh

COMPARED = 5  # steps whose losses are told


def parse():
    """What the command line asks for."""
    parser = worker_parser(__doc__, model="small")
    parser.add_argument("--processes", type=int, choices=(1, 2), default=1)
    parser.add_argument("--coordinator", help="of a process that another has started")
    return parser.parse_args()


@contextlib.contextmanager
def other_process(given, coordinator):
    """The other process, as a function `(units) -> None` that has it do so many steps beside this one."""
    command = [sys.executable, __file__, "--model", given.model, "--processes=2", f"--coordinator={coordinator}"]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=sys.stderr, text=True)

    def do(units):
        other.stdin.write(f"{json.dumps(units)}\n")
        other.stdin.flush()

    try:
        yield do
    finally:
        other.stdin.close()


def free_address() -> str:
    """HOST:PORT at which nobody listens."""
    with socket.socket() as asked:
        asked.bind(("localhost", 0))
        return f"localhost:{asked.getsockname()[1]}"


def make_training(name):
    """The training that is timed, and the losses of its first steps; after the processes have found each other."""
    from bench.ours.training import Setup, Training

    training = Training(Setup(name, NETWORKS[name].batch))
    return training, training.run(COMPARED)[0].tolist()


def follow(given):
    """Do what the first process asks for, until it closes stdin."""
    mesh.start(coordinator=given.coordinator, processes=2, process=1)
    training, _ = make_training(given.model)
    for line in sys.stdin:
        training.run(json.loads(line))


def lead(given, do):
    """Warm up and serve; `do` has the other process work beside this one."""
    from bench.ours.networks import about

    training, losses = make_training(given.model)

    def work(units):
        do(units)
        training.run(units)

    serve(work, NETWORKS[given.model].batch, lambda: {"losses": losses}, **about())


def main():
    """Lead or follow."""
    given = parse()
    if given.coordinator:
        follow(given)
    elif given.processes == 1:
        lead(given, lambda units: None)
    else:
        coordinator = free_address()
        with other_process(given, coordinator) as do:
            mesh.start(coordinator=coordinator, processes=2, process=0)
            lead(given, do)


if __name__ == "__main__":
    main()
