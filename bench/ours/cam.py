"""Worker: Grad-CAM of both classes of crops in host memory, a batch at a time.

    python bench/ours/cam.py --model paper [--batch 128] [--raw] [--save FILE]

By default maps are resized and scaled as pytorch-grad-cam gives them; --raw leaves them as `launch.py explain` keeps
them, signed, at the size of the last convolution. FILE (.npz) is for bench/peers/cam_torch.py: weights, crops and maps.
What it says and is told stands in bench/protocol.py.
"""

import functools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import jax
import numpy as np

from bench.ours.networks import about, build
from bench.ours.torch_weights import in_torch
from bench.protocol import NETWORKS, serve, worker_parser
from cellcycle_jax.devices import mesh, runtime
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.models.network import Network
from cellcycle_jax.runs import state

SMALL = 1e-7  # as in pytorch-grad-cam's scale_cam_image


@functools.partial(jax.jit, static_argnums=1)
def scaled(maps, side):
    """Signed maps f32 [B, P, h, w] cut at zero, 0 to 1 and at the size of the crop: f32 [B, P, side, side]."""
    maps = jax.image.resize(_unit(jax.nn.relu(maps)), (*maps.shape[:2], side, side), "bilinear")
    return _unit(maps)


def _unit(maps):
    maps = maps - maps.min((2, 3), keepdims=True)
    return maps / (SMALL + maps.max((2, 3), keepdims=True))


def drawn(model, network):
    """Variables of which no bias is zero, as after training."""
    rng = np.random.default_rng(0)
    variables = state.init_variables(model, 0, (network.size, network.size, network.channels))
    return jax.tree.map(lambda leaf: leaf + rng.normal(0, 0.01, leaf.shape).astype(leaf.dtype), variables)


def main():
    """Warm up and serve."""
    parser = worker_parser(__doc__, model="paper", batch=128)
    parser.add_argument("--raw", action="store_true")
    parser.add_argument("--save", type=pathlib.Path)
    given = parser.parse_args()
    runtime.divide_cpu()
    chosen, model = NETWORKS[given.model], build(given.model)
    network = Network(model, drawn(model, chosen))
    images = np.random.default_rng(1).random((given.batch, chosen.size, chosen.size, chosen.channels), np.float32)

    def once():
        maps, _ = methods.class_maps(network, images, batch=given.batch)
        if given.raw:
            return maps
        return mesh.batchwise(lambda part: scaled(part, chosen.size), lambda rows: maps[rows], len(maps), given.batch)

    def work(batches):
        for _ in range(batches):
            once()

    work(3)
    if given.save:
        weights = {f"weight{i}": leaf for i, leaf in enumerate(in_torch(chosen, network.variables["params"]))}
        np.savez(given.save, images=images, maps=once(), **weights)
    serve(work, items=given.batch, **about())


if __name__ == "__main__":
    main()
