"""Worker: random changes of a batch of crops by this project, compiled."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import jax

from bench.ours.networks import about
from bench.ours.training import AUGMENTED
from bench.protocol import NETWORKS, serve
from cellcycle_jax.training.augment import augment


def main():
    """Warm up and serve."""
    network = NETWORKS["paper"]
    images = jax.random.uniform(jax.random.key(0), (network.batch, network.size, network.size, network.channels))
    channels = tuple(range(network.channels))
    change = jax.jit(lambda key, images: augment(key, images, channels, len(channels), **AUGMENTED))
    keys = list(jax.random.split(jax.random.key(1), 64))

    def work(batches):
        for i in range(batches):
            changed = change(keys[i % len(keys)], images)
        changed.block_until_ready()

    work(2)
    serve(work, items=network.batch, **about())


if __name__ == "__main__":
    main()
