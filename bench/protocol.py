"""What both sides of a comparison agree about: how a worker is asked and answers, and which networks are compared.

Standard library only, since workers live in several Python environments. A worker builds everything (imports, data,
compiled programs, one warm-up) and calls `serve`. Each line on stdin then asks for so many units of work; at the end
one asks for none, which means: what have you to tell?
"""

import argparse
import dataclasses
import json
import pathlib
import sys
import time

MARK = "BENCH "  # begins the lines of the protocol; what libraries print beside them is passed over
CLASSES = 2
DROPOUT = 0.3
LEARNING_RATE = 1e-3
SMALLEST_MAP = 8  # px; a residual network halves its map down to this size
EPSILON = 1e-6  # of GroupNorm, as in Flax


@dataclasses.dataclass(frozen=True)
class Network:
    """Shape of a network and of what it is shown."""

    architecture: str  # nagao2020: plain convolutions, flattened; resnet: residual blocks, averaged
    size: int  # px, S of crops f32 [S, S, K]
    channels: int  # K
    filters: int  # of the first convolution
    depth: int  # stages after the first
    batch: int  # crops in a training step, where nothing else is said


NETWORKS = {
    "paper": Network("nagao2020", size=135, channels=2, filters=28, depth=2, batch=89),
    "resnet": Network("resnet", size=64, channels=3, filters=16, depth=2, batch=32),
    "small": Network("nagao2020", size=48, channels=3, filters=8, depth=2, batch=64),
}


# The same so small that a test runs them on a CPU.
TINY = {f"tiny-{name}": dataclasses.replace(network, size=16, filters=4, batch=4) for name, network in NETWORKS.items()}


def network_of(name: str) -> Network:
    """A network by its name in NETWORKS or TINY."""
    return (NETWORKS | TINY)[name]


def group_size(channels: int) -> int:
    """Channels that GroupNorm normalises together."""
    return next(size for size in (8, 4, 2, 1) if channels % size == 0)


# The flags that several workers take; one that a single worker takes stands in that worker.
FLAGS = {
    "model": {"choices": NETWORKS},
    "batch": {"type": int, "help": "crops at once; where no number is the default, those of the network's training"},
    "lr": {"type": float, "help": "0: the weights stay as they were drawn"},
    "dtype": {"choices": ("float32", "bfloat16")},
    "bf16": {"action": "store_true", "help": "mixed precision with bfloat16"},
    "channels_last": {"action": "store_true"},
    "compile": {"nargs": "?", "const": "default", "help": "torch.compile, with this mode"},
    "device": {"help": "auto, cpu or cuda"},
    "data": {"type": pathlib.Path, "help": "folder that `prepare` wrote; by default crops are made up"},
}


def worker_parser(docstring: str, **flags) -> argparse.ArgumentParser:
    """A parser of a worker's command line.

    Args:
        docstring: of the worker.
        **flags: names in `FLAGS`, each with its default.
    """
    parser = argparse.ArgumentParser(description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in flags.items():
        parser.add_argument(f"--{name.replace('_', '-')}", default=default, **FLAGS[name])
    return parser


def serve(work, items: float, tell=dict, **info) -> None:
    """Say that this worker is ready, then work when asked to, until stdin closes.

    Args:
        work: does so many units, 1 or more, and returns when the device is done.
        items: what one unit is worth, e.g. crops in a batch; rates are items per second.
        tell: called when the rounds are over; what the script may want to know then, JSON values by name.
        **info: JSON values; `versions` {library: version} and `device` are named in the tables.
    """
    say({"items": items, **info})
    for line in sys.stdin:
        units = json.loads(line)["units"]
        if not units:
            say({"told": tell()})
            continue
        start = time.perf_counter()
        work(units)
        say({"seconds": time.perf_counter() - start})


def say(message: dict) -> None:
    """One message of JSON values to whoever started this process."""
    print("\n" + MARK + json.dumps(message), flush=True)  # on a line of its own, whatever was printed before
