"""What both sides of a comparison agree about: how a worker talks to its script, and which networks are compared.

Standard library only, since workers live in several Python environments. A worker builds everything (imports, data,
compiled programs, one warm-up) and calls `serve`. Each line on stdin then asks for so many units of work; at the end
one asks for none, which means: what have you to tell?
"""

import dataclasses
import json
import sys
import time

MARK = "BENCH "  # begins the lines of the protocol; what libraries print beside them is passed over
CLASSES, DROPOUT, LEARNING_RATE = 2, 0.3, 1e-3


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


def serve(work, items: float, tell=dict, **info) -> None:
    """Say that this worker is ready, then work when asked to, until stdin closes.

    Args:
        work: does so many units, 1 or more, and returns when the device is done.
        items: what one unit is worth, e.g. crops in a batch; rates are items per second.
        tell: called when the rounds are over; what the script may want to know then, JSON values by name.
        **info: JSON values; `versions` {library: version} and `device` are named in the tables.
    """
    _say({"items": items, **info})
    for line in sys.stdin:
        units = json.loads(line)["units"]
        if not units:
            _say({"told": tell()})
            continue
        start = time.perf_counter()
        work(units)
        _say({"seconds": time.perf_counter() - start})


def _say(message):
    print("\n" + MARK + json.dumps(message), flush=True)  # on a line of its own, whatever was printed before
