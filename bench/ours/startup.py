"""Worker: ready when the first training step of the paper's network is done.

    python bench/ours/startup.py [--batch 8] [--data DIR]

With DIR its crops are read and changed at random; else crops are made up, and shown as they are. Compiled programs and
freed memory are kept as by `launch.py train`.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

from bench.ours.networks import about, made_crops
from bench.ours.training import Setup, Training
from bench.protocol import NETWORKS, serve, worker_parser
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.devices import runtime

given = worker_parser(__doc__, batch=8, data=None).parse_args()
runtime.prepare()
crops = crop_arrays.load_crops(given.data, "train") if given.data else made_crops(NETWORKS["paper"], given.batch)
Training(Setup("paper", given.batch, augmented=bool(given.data)), crops).run(1)
serve(lambda units: None, items=1, tensorflow="tensorflow" in sys.modules, **about())
