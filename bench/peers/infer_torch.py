"""Worker: probabilities in PyTorch, crops from host memory and back to it, a batch at a time.

    python bench/peers/infer_torch.py --model paper [--batch 128] [--channels-last] [--compile [MODE]] [--bf16]

What it says and is told stands in bench/protocol.py.
"""

import argparse
import contextlib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import torch

from bench.peers.torch_networks import build, chosen_device, device_name
from bench.protocol import NETWORKS, serve


def parse():
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=NETWORKS, default="paper")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", nargs="?", const="default", help="torch.compile, with this mode")
    parser.add_argument("--bf16", action="store_true", help="autocast to bfloat16")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    return parser.parse_args()


def main():
    """Warm up and serve."""
    given = parse()
    torch.manual_seed(0)
    network, device = NETWORKS[given.model], chosen_device(given.device)
    layout = torch.channels_last if given.channels_last else torch.contiguous_format
    module = build(given.model).eval().to(device, memory_format=layout)
    model = torch.compile(module, mode=given.compile) if given.compile else module
    images = torch.rand(given.batch, network.channels, network.size, network.size).contiguous(memory_format=layout)
    if device.type == "cuda":
        images = images.pin_memory()

    def work(batches):
        for _ in range(batches):
            reduced = torch.autocast(device.type, torch.bfloat16) if given.bf16 else contextlib.nullcontext()
            with torch.inference_mode(), reduced:
                model(images.to(device, non_blocking=True)).float().softmax(-1).cpu()

    work(3)
    serve(work, items=given.batch, device=device_name(device), versions={"PyTorch": torch.__version__})


if __name__ == "__main__":
    main()
