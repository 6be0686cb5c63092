"""Worker of bench/gpu.py: Grad-CAM and integrated gradients, as `launch.py explain` makes them.

python bench/ours/gpu/attribution.py --network paper [--size full]
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[3]))

import numpy as np

from bench.gpu_work import EFFORTS, attempt, worker_parser
from bench.ours.gpu.on_device import peak_bytes, say_who
from bench.ours.networks import build
from bench.protocol import network_of
from bench.timed import rates_of
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.models.network import Network
from cellcycle_jax.runs import state


def ways_of(network, images, steps) -> dict:
    """Functions that make the maps of all images, from host memory to host memory, by name."""
    batch = len(images)
    return {
        "Grad-CAM of both classes": lambda: methods.class_maps(network, images, batch=batch),
        f"integrated gradients of one class, {steps} steps": lambda: methods.attribute(
            "integrated_gradients", network, images, 0, batch=batch, steps=steps
        ),
    }


def rate(given, way, make_maps, effort) -> dict:
    """The message of one way: crops a second of each round."""

    def work(times):
        for _ in range(times):
            make_maps()  # waits for the device, as the maps come back

    values = [effort.image_batch * batches for batches in rates_of(work, effort.rounds, effort.seconds)]
    return {"kind": "attribution", "network": given.network, "way": way, "batch": effort.image_batch,
            "values": values, "peak_bytes": peak_bytes()}


def main():
    """Both methods."""
    given = worker_parser(__doc__).parse_args()
    effort = EFFORTS[given.size]
    say_who(given.size)
    shape = network_of(given.network)
    image_shape = (shape.size, shape.size, shape.channels)
    model = build(given.network)
    network = Network(model, state.init_variables(model, 0, image_shape))
    images = np.random.default_rng(1).random((effort.image_batch, *image_shape), np.float32)
    for way, make_maps in ways_of(network, images, effort.path_steps).items():
        attempt(way, lambda way=way, make_maps=make_maps: rate(given, way, make_maps, effort))


if __name__ == "__main__":
    main()
