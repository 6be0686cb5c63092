"""Worker of bench/gpu.py: training in PyTorch, channels last, bf16 autocast, data on the device; then also compiled.

python bench/peers/gpu/training.py --network paper [--batch 89] [--size full]
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[3]))

import torch

from bench import flops
from bench.gpu_work import EFFORTS, attempt, worker_parser
from bench.peers.gpu.on_device import peak_bytes, say_who
from bench.peers.torch_networks import chosen_device
from bench.peers.train_torch import trainer
from bench.protocol import LEARNING_RATE, network_of
from bench.timed import rates_of

WAYS = {  # name -> mode of torch.compile
    "PyTorch, channels last, bf16": None,
    "PyTorch, compiled, channels last, bf16": "default",
}


def rate(given, way) -> dict:
    """The message of one way: crops a second of each round."""
    effort = EFFORTS[given.size]
    network = network_of(given.network)
    batch = given.batch or network.batch
    asked = argparse.Namespace(model=given.network, device="auto", lr=LEARNING_RATE, channels_last=True, bf16=True,
                               compile=WAYS[way])
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    work, _, device = trainer(asked, batch)
    steps = rates_of(work, effort.rounds, effort.seconds)
    return {
        "kind": "training",
        "network": given.network,
        "way": way,
        "batch": batch,
        "dtype": "bfloat16",
        "gflop": flops.training(network) / 1e9,
        "values": [step * batch for step in steps],
        "peak_bytes": peak_bytes(device),
    }


def main():
    """Without and with torch.compile, which needs a C compiler and may lack it."""
    parser = worker_parser(__doc__)
    parser.add_argument("--batch", type=int, help="crops in a step; by default those of the network")
    given = parser.parse_args()
    say_who(chosen_device("auto"))
    for way in WAYS:
        attempt(way, lambda way=way: rate(given, way))


if __name__ == "__main__":
    main()
