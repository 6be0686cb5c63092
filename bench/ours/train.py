"""Worker: training steps of this project.

    python bench/ours/train.py --model paper [--batch 89] [--augment] [--lr 0] [--members 1]

An item is a crop seen by a model. It tells the density of activations at the end; what it says and is told stands in
bench/protocol.py.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import jax

from bench.ours.networks import about, densities, our_train_step
from bench.protocol import LEARNING_RATE, NETWORKS, serve
from cellcycle_jax import state


def main():
    """Warm up and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=NETWORKS, default="paper")
    parser.add_argument("--batch", type=int, help="crops in a step; by default the network's")
    parser.add_argument("--augment", action="store_true")
    parser.add_argument("--lr", type=float, default=LEARNING_RATE, help="0: the weights stay as they were drawn")
    parser.add_argument("--members", type=int, default=1, help="models trained side by side")
    given = parser.parse_args()
    batch = given.batch or NETWORKS[given.model].batch
    train = our_train_step(given.model, batch, given.augment, given.lr, given.members)

    def tell():
        return {"density": densities(given.model, state.member(train(0), 0).variables)}

    parameters = sum(p[0].size for p in jax.tree.leaves(train(3).params))
    serve(train, batch * given.members, tell, parameters=parameters, **about())


if __name__ == "__main__":
    main()
