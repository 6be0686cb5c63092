"""Worker: what a trained model says of crops in host memory, a batch at a time.

    python bench/ours/infer.py --model paper [--batch 128] [--dtype bfloat16] [--logits]

As `launch.py evaluate` and `predict` do it, with the embeddings that they keep; with --logits as the scores of the
validation split are computed. What it says and is told stands in bench/protocol.py.
"""

import argparse
import functools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import numpy as np

from bench.ours.networks import about, build, made_crops, seen
from bench.protocol import NETWORKS, serve
from cellcycle_jax import feed, mesh, run, state, steps


def parse():
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=NETWORKS, default="paper")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--logits", action="store_true", help="no embeddings")
    return parser.parse_args()


def scorer(model, variables, inputs, crops):
    """A function that computes the logits of `crops`, which are sent each time."""
    devices = mesh.make_mesh()
    program = steps.make_predict_program(model, inputs, devices, 1)
    variables = mesh.put(state.stack_one(variables), mesh.whole(devices))
    every_channel = np.ones((1, crops.image.shape[-1]), bool)
    scored = feed.Scored(crops, len(crops), devices, resident=False)
    return functools.partial(scored.logits, program, variables, every_channel)


def main():
    """Warm up and serve."""
    given = parse()
    network, model = NETWORKS[given.model], build(given.model, given.dtype)
    crops, inputs = made_crops(network, given.batch), seen(network)
    variables = state.init_variables(model, 0, (network.size, network.size, network.channels))
    if given.logits:
        once = scorer(model, variables, inputs, crops)
    else:
        once = functools.partial(run.predict, model, variables, inputs, crops, given.batch)

    def work(batches):
        for _ in range(batches):
            once()

    work(3)
    serve(work, items=given.batch, **about())


if __name__ == "__main__":
    main()
