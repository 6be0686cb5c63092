"""What the workers of bench/gpu.py agree about, of both sides: how much is measured, and how a failure is told.

Standard library only, as protocol.py.
"""

import argparse
import dataclasses

from bench.protocol import say

EMPTY_LAYER = "a program that computes nothing"  # among the layers
SIZES = ("full", "small")
CHECKED = 256  # rows of the product from which it is seen whether factors are rounded to TF32
TF32_ERROR = 1e-5  # relative; TF32 keeps 10 bits of a factor, an error of some 1e-4; float32 stays below 1e-6


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        rounds: of each measurement.
        seconds: of a round.
        matrix: rows and columns of the matrices whose product is the device's measured rate.
        layer_batch: crops that a layer is given; enough to fill a GPU.
        image_batch: crops that are explained at a time.
        path_steps: gradients on the way of integrated gradients.
        resumed_steps: steps of the training that is stopped.
        stopped_after: steps after which it is stopped.
    """

    rounds: int
    seconds: float
    matrix: int
    layer_batch: int
    image_batch: int
    path_steps: int
    resumed_steps: int
    stopped_after: int


EFFORTS = {
    "full": Effort(
        rounds=5,
        seconds=0.4,
        matrix=8192,
        layer_batch=256,
        image_batch=128,
        path_steps=128,
        resumed_steps=40,
        stopped_after=17,
    ),
    "small": Effort(
        rounds=2,
        seconds=0.02,
        matrix=64,
        layer_batch=4,
        image_batch=4,
        path_steps=2,
        resumed_steps=4,
        stopped_after=2,
    ),
}


def worker_parser(docstring: str) -> argparse.ArgumentParser:
    """A parser with what every worker takes: `--network` and `--size`."""
    parser = argparse.ArgumentParser(description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", help="as of protocol.network_of")
    parser.add_argument("--size", choices=SIZES, default="full")
    return parser


def say_failed(what: str, error: Exception) -> None:
    """Tell that a measurement failed, in one line."""
    reason = " ".join(str(error).split())[:200]
    say({"kind": "failed", "what": what, "reason": f"{type(error).__name__}: {reason}"})


def attempt(what: str, measure) -> None:
    """Tell what `measure` returns, a message, or why it failed; then others can go on."""
    try:
        message = measure()
    except Exception as error:  # an allocation or a compilation may fail with whatever a library raises
        say_failed(what, error)
    else:
        say(message)
