"""Worker: random changes of a batch of crops with Keras' ImageDataGenerator, quarter turns by NumPy."""

import os
import pathlib
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import numpy as np
import tensorflow as tf

from bench.peers.affine import ROTATE_DEG, SHIFT
from bench.peers.keras_networks import versions
from bench.protocol import NETWORKS, serve


def main():
    """Warm up and serve."""
    network, rng = NETWORKS["paper"], np.random.default_rng(0)
    images = rng.random((network.batch, network.size, network.size, network.channels), np.float32)
    generator = tf.keras.preprocessing.image.ImageDataGenerator(
        rotation_range=ROTATE_DEG, width_shift_range=SHIFT, height_shift_range=SHIFT, horizontal_flip=True,
        vertical_flip=True, fill_mode="constant", interpolation_order=1)

    def work(batches):
        for _ in range(batches):
            turned = np.stack([np.rot90(image, k) for image, k in
                               zip(images, rng.integers(0, 4, network.batch), strict=True)])
            next(generator.flow(turned, batch_size=network.batch, shuffle=False))

    work(1)
    serve(work, items=network.batch, device="cpu", versions=versions())


if __name__ == "__main__":
    main()
