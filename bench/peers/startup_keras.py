"""Worker: ready when the first training step of the paper's CNN is done in Keras; `model.fit` on one batch."""

import os
import pathlib
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import numpy as np

from bench.peers.keras_networks import build, device_name, versions
from bench.protocol import CLASSES, LEARNING_RATE, NETWORKS, serve, worker_parser

given = worker_parser(__doc__, batch=8).parse_args()
network, rng = NETWORKS["paper"], np.random.default_rng(0)
model = build("paper", LEARNING_RATE)
image = rng.random((given.batch, network.size, network.size, network.channels), np.float32)
model.fit(image, rng.integers(0, CLASSES, given.batch), batch_size=given.batch, verbose=0)
serve(lambda units: None, items=1, device=device_name(), versions=versions(), tensorflow="tensorflow" in sys.modules)
