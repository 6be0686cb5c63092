"""Worker: what a trained model says of crops in host memory, a batch at a time.

    python bench/ours/infer.py --model paper [--batch 128] [--dtype bfloat16] [--logits]

As `launch.py evaluate` and `predict` do it, with the embeddings that they keep unless --logits is given. What it says
and is told stands in bench/protocol.py.
"""

import functools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

from bench.ours.networks import about, build, inputs_of, made_crops
from bench.protocol import NETWORKS, serve, worker_parser
from cellcycle_jax.devices import runtime
from cellcycle_jax.models.network import Network
from cellcycle_jax.runs import state, trained_run


def main():
    """Warm up and serve."""
    parser = worker_parser(__doc__, model="paper", batch=128, dtype="float32")
    parser.add_argument("--logits", action="store_true", help="no embeddings")
    given = parser.parse_args()
    runtime.divide_cpu()
    chosen, model = NETWORKS[given.model], build(given.model, given.dtype)
    crops, inputs = made_crops(chosen, given.batch), inputs_of(chosen)
    variables = state.init_variables(model, 0, (chosen.size, chosen.size, chosen.channels))
    network = Network(model, variables)
    once = functools.partial(trained_run.predict, network, inputs, crops, given.batch, embeddings=not given.logits)

    def work(batches):
        for _ in range(batches):
            once()

    work(3)
    serve(work, items=given.batch, **about())


if __name__ == "__main__":
    main()
