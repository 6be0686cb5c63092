"""Worker: probabilities in PyTorch, crops from host memory and back to it, a batch at a time.

    python bench/peers/infer_torch.py --model paper [--batch 128] [--channels-last] [--compile [MODE]] [--bf16]

What it says and is told stands in bench/protocol.py.
"""

import contextlib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import torch

from bench.peers.torch_networks import about, build, chosen_device
from bench.protocol import NETWORKS, serve, worker_parser


def main():
    """Warm up and serve."""
    given = worker_parser(__doc__, model="paper", batch=128, channels_last=False, compile=None, bf16=False,
                          device="auto").parse_args()
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
    serve(work, items=given.batch, **about(device))


if __name__ == "__main__":
    main()
