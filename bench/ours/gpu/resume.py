"""Worker of bench/gpu.py: whether a training that is stopped and resumed ends with the bits of one straight through.

    python bench/ours/gpu/resume.py --network resnet --condition TEXT [--dtype float32] [--size full]

The same steps are done straight through; in two dispatches by this process; and in two processes, of which the second
starts from the stored state of the first. CONDITION is a name for the flags and variables that this process was started
with; it is only told.
"""

import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[3]))

import jax
import numpy as np

from bench.gpu_work import EFFORTS, attempt, worker_parser
from bench.ours.gpu.on_device import say_who
from bench.ours.training import Setup, Training
from bench.protocol import network_of

LAST_WORDS = 200  # characters


def new_training(given) -> Training:
    """The training before its first step."""
    setup = Setup(given.network, network_of(given.network).batch, augmented=True, dtype=given.dtype, by_host=False)
    return Training(setup)


def save(path, state) -> None:
    """Write the arrays of a state, in their order."""
    np.savez(path, *jax.device_get(jax.tree.leaves(state)))


def load(path) -> list[np.ndarray]:
    """What `save` wrote."""
    with np.load(path) as stored:
        return [stored[f"arr_{number}"] for number in range(len(stored.files))]


def compared(kind_of_stop, given, arrays, others) -> dict:
    """The message: whether two states have the same bits, and how far they are apart at most."""
    same = all(a.tobytes() == b.tobytes() for a, b in zip(arrays, others, strict=True))
    differences = [float(np.max(np.abs(a.astype(float) - b))) for a, b in zip(arrays, others, strict=True) if a.size]
    return {
        "kind": "resume",
        "network": given.network,
        "dtype": given.dtype,
        "stop": kind_of_stop,
        "condition": given.condition,
        "same_bits": same,
        "largest_difference": max(differences),
    }


def continued_elsewhere(folder, given) -> list[np.ndarray]:
    """The final state of another process that goes on from folder/stopped.npz.

    Raises:
        RuntimeError: it failed; with its last words.
    """
    done = subprocess.run([sys.executable, __file__, *sys.argv[1:], "--folder", folder], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the process that resumes ended with {done.returncode}: {done.stderr[-LAST_WORDS:]}")
    return load(pathlib.Path(folder, "resumed.npz"))


def go_on(given, effort) -> None:
    """What the second process does."""
    training = new_training(given)
    stored = load(pathlib.Path(given.folder, "stopped.npz"))
    training.go_on_from(jax.tree.unflatten(jax.tree.structure(training.state), stored), effort.stopped_after)
    training.run(effort.resumed_steps - effort.stopped_after)
    save(pathlib.Path(given.folder, "resumed.npz"), training.state)


def main():
    """Train three times, and compare."""
    parser = worker_parser(__doc__)
    parser.add_argument("--condition", required=True)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--folder", help="of a stopped training, which this process resumes")
    given = parser.parse_args()
    effort = EFFORTS[given.size]
    if given.folder:
        go_on(given, effort)
        return
    say_who(given.size)
    straight = new_training(given)
    straight.run(effort.resumed_steps)
    wanted = jax.device_get(jax.tree.leaves(straight.state))
    stopped = new_training(given)
    stopped.run(effort.stopped_after)
    with tempfile.TemporaryDirectory() as folder:
        save(pathlib.Path(folder, "stopped.npz"), stopped.state)
        stopped.run(effort.resumed_steps - effort.stopped_after)
        found = jax.device_get(jax.tree.leaves(stopped.state))
        attempt("in two dispatches", lambda: compared("two dispatches of one process", given, found, wanted))
        attempt("in two processes", lambda: compared("two processes", given, continued_elsewhere(folder, given),
                                                     wanted))


if __name__ == "__main__":
    main()
