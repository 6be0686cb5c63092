"""Worker: random changes of a batch of crops with OpenCV, one affine map and one bilinear look-up per crop.

Crops are changed in parallel by as many threads as there are cores: OpenCV lets go of the interpreter's lock, and one
crop is too small for threads of its own.
"""

import concurrent.futures
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import cv2
import numpy as np

from bench.peers.affine import draw_affine
from bench.protocol import NETWORKS, serve


def main():
    """Warm up and serve."""
    cv2.setNumThreads(1)
    network, rng = NETWORKS["paper"], np.random.default_rng(0)
    size = network.size
    images = rng.random((network.batch, size, size, network.channels), np.float32)
    pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())

    def change(image, matrix):
        return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)

    def work(batches):
        for _ in range(batches):
            np.stack(list(pool.map(change, images, draw_affine(rng, network.batch, size))))

    work(2)
    serve(work, items=network.batch, device="cpu", versions={"OpenCV": cv2.__version__})


if __name__ == "__main__":
    main()
