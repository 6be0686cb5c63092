"""Worker: ready when the first training step of the paper's CNN is done in PyTorch; data on the device."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import torch

from bench.peers.torch_networks import about, build, chosen_device, finish
from bench.protocol import CLASSES, LEARNING_RATE, NETWORKS, serve, worker_parser

given = worker_parser(__doc__, batch=8, device="auto").parse_args()
network, device = NETWORKS["paper"], chosen_device(given.device)
model = build("paper").to(device)
image = torch.rand(given.batch, network.channels, network.size, network.size).to(device)
label = torch.randint(0, CLASSES, (given.batch,)).to(device)
optimizer = torch.optim.RMSprop(model.parameters(), lr=LEARNING_RATE, alpha=0.9, eps=1e-7)
torch.nn.functional.cross_entropy(model(image), label).backward()
optimizer.step()
finish(device)
serve(lambda units: None, items=1, tensorflow="tensorflow" in sys.modules, **about(device))
