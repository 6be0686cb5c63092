"""Worker: training steps of this project.

    python bench/ours/train.py --model paper [--batch 89] [--augment] [--lr 0] [--dtype bfloat16]
        [--members 7 [--by-host yes]] [--data DIR --placement disk] [--keep-memory]

An item is a crop seen by a model. It tells the density of activations at the end; what it says and is told stands in
bench/protocol.py.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import jax

from bench.ours.networks import about, densities
from bench.ours.training import Setup, Training
from bench.protocol import LEARNING_RATE, NETWORKS, serve, worker_parser
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.devices import memory, runtime
from cellcycle_jax.runs import state


def parse():
    """What the command line asks for."""
    parser = worker_parser(__doc__, model="paper", batch=None, lr=LEARNING_RATE, dtype="float32", data=None)
    parser.add_argument("--augment", action="store_true")
    parser.add_argument("--members", type=int, default=1, help="models trained as one program")
    parser.add_argument("--by-host", choices=("yes", "no"), help="by default what training does on this device")
    parser.add_argument("--placement", choices=memory.PLACEMENTS[1:], default="device",
                        help="of the crops of --data")
    parser.add_argument("--keep-memory", action="store_true", help="`runtime.keep_freed_memory`")
    return parser.parse_args()


def main():
    """Warm up and serve."""
    given = parse()
    runtime.divide_cpu()
    if given.keep_memory and not runtime.keep_freed_memory():
        sys.exit("the C library cannot keep freed memory")
    batch = given.batch or NETWORKS[given.model].batch
    setup = Setup(given.model, batch, given.augment, given.lr, given.dtype, given.members,
                  {"yes": True, "no": False, None: None}[given.by_host], given.placement == "device")
    training = Training(
        setup, given.data and crop_arrays.load_crops(given.data, "train", pixels=given.placement != "disk")
    )
    training.run(3)

    def tell():
        return {"density": densities(given.model, given.dtype, state.member(training.state, 0).variables)}

    parameters = sum(p[0].size for p in jax.tree.leaves(training.state.params))
    serve(training.run, batch * given.members, tell, parameters=parameters, **about())


if __name__ == "__main__":
    main()
