"""Worker: ready when the first training step of the paper's CNN is done in PyTorch; data on the device."""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import torch

from bench.peers.torch_networks import build, chosen_device, device_name, finish
from bench.protocol import CLASSES, LEARNING_RATE, NETWORKS, serve

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--batch", type=int, default=8)
parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
given = parser.parse_args()
network, device = NETWORKS["paper"], chosen_device(given.device)
model = build("paper").to(device)
image = torch.rand(given.batch, network.channels, network.size, network.size).to(device)
label = torch.randint(0, CLASSES, (given.batch,)).to(device)
optimizer = torch.optim.RMSprop(model.parameters(), lr=LEARNING_RATE, alpha=0.9, eps=1e-7)
torch.nn.functional.cross_entropy(model(image), label).backward()
optimizer.step()
finish(device)
serve(lambda units: None, items=1, device=device_name(device), versions={"PyTorch": torch.__version__},
      tensorflow="tensorflow" in sys.modules)
