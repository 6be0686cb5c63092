"""Worker: training steps in PyTorch on a batch that lies on the device.

    python bench/peers/train_torch.py --model paper [--channels-last] [--compile [MODE]] [--bf16] [--lr 0]

What it says and is told stands in bench/protocol.py.
"""

import contextlib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import torch

from bench.peers.torch_networks import about, build, chosen_device, finish
from bench.protocol import CLASSES, LEARNING_RATE, NETWORKS, network_of, serve, worker_parser


def trainer(given, batch):
    """A function that does so many steps on one random batch, the module, and its device.

    Args:
        given: model, device, lr, and whether channels_last, bf16 and compile (a mode, or None).
        batch: crops in a step.
    """
    torch.manual_seed(0)
    network = network_of(given.model)
    device = chosen_device(given.device)
    layout = torch.channels_last if given.channels_last else torch.contiguous_format
    module = build(given.model).to(device, memory_format=layout)
    image = torch.rand(batch, network.channels, network.size, network.size).to(device, memory_format=layout)
    label = torch.randint(0, CLASSES, (batch,)).to(device)
    optimizer = torch.optim.RMSprop(module.parameters(), lr=given.lr, alpha=0.9, eps=1e-7)
    model = torch.compile(module, mode=given.compile) if given.compile else module

    def work(steps):
        for _ in range(steps):
            with torch.autocast(device.type, torch.bfloat16) if given.bf16 else contextlib.nullcontext():
                loss = torch.nn.functional.cross_entropy(model(image), label)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        finish(device)

    return work, module, device


def main():
    """Warm up and serve."""
    given = worker_parser(__doc__, model="paper", batch=None, channels_last=False, compile=None, bf16=False,
                          device="auto", lr=LEARNING_RATE).parse_args()
    batch = given.batch or NETWORKS[given.model].batch
    work, module, device = trainer(given, batch)
    work(3)
    serve(work, items=batch, parameters=sum(p.numel() for p in module.parameters()), **about(device))


if __name__ == "__main__":
    main()
