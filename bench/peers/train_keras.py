"""Worker: training steps in Keras as most would run them, `model.fit` on arrays in memory.

    python bench/peers/train_keras.py --model paper [--jit] [--bf16] [--lr 0]

What it says and is told stands in bench/protocol.py.
"""

import os
import pathlib
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import keras
import numpy as np

from bench.peers.keras_networks import build, device_name, versions
from bench.protocol import CLASSES, LEARNING_RATE, NETWORKS, serve, worker_parser

DATA_BYTES = 200e6  # of the crops in memory: many steps per call of `fit`, whose start costs as much as small steps


def main():
    """Warm up and serve."""
    parser = worker_parser(__doc__, model="paper", batch=None, bf16=False, lr=LEARNING_RATE)
    parser.add_argument("--jit", action="store_true", help="compile with XLA, which Keras does not on a CPU")
    given = parser.parse_args()
    keras.utils.set_random_seed(0)
    if given.bf16:
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    network = NETWORKS[given.model]
    batch, shape = given.batch or network.batch, (network.size, network.size, network.channels)
    model = build(given.model, given.lr, True if given.jit else "auto")
    most = max(4, int(DATA_BYTES / (4 * batch * np.prod(shape))))
    rng = np.random.default_rng(0)
    image = rng.random((most * batch, *shape), np.float32)
    label = rng.integers(0, CLASSES, most * batch)

    def work(steps):
        while steps:
            now = min(steps, most)
            model.fit(image[:now * batch], label[:now * batch], batch_size=batch, verbose=0, shuffle=False)
            steps -= now

    work(3)
    serve(work, items=batch, device=device_name(), versions=versions(), parameters=model.count_params())


if __name__ == "__main__":
    main()
