"""Worker of bench/gpu.py: training of a network, as `launch.py train` does it, in bfloat16 and float32.

python bench/ours/gpu/training.py --network paper [--batch 89] [--size full]
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[3]))

from bench import flops
from bench.gpu_work import EFFORTS, attempt, worker_parser
from bench.ours.gpu.on_device import peak_bytes, say_who
from bench.ours.training import Setup, Training
from bench.protocol import network_of
from bench.timed import rates_of

DTYPES = ("bfloat16", "float32")  # the smaller first: the peak of memory only rises


def rate(given, dtype) -> dict:
    """The message of one dtype: crops a second of each round."""
    effort = EFFORTS[given.size]
    network = network_of(given.network)
    batch = given.batch or network.batch
    training = Training(Setup(given.network, batch, dtype=dtype, by_host=False))
    steps = rates_of(training.run, effort.rounds, effort.seconds)
    return {
        "kind": "training",
        "network": given.network,
        "way": f"ours, {dtype}",
        "batch": batch,
        "dtype": dtype,
        "gflop": flops.training(network) / 1e9,
        "values": [step * batch for step in steps],
        "peak_bytes": peak_bytes(),
    }


def main():
    """Both dtypes."""
    parser = worker_parser(__doc__)
    parser.add_argument("--batch", type=int, help="crops in a step; by default those of the network")
    given = parser.parse_args()
    say_who(given.size)
    for dtype in DTYPES:
        attempt(f"training in {dtype}", lambda dtype=dtype: rate(given, dtype))


if __name__ == "__main__":
    main()
