"""Worker: batches of crops on the device, from where a reader finds them.

    python bench/ours/input.py --reader device --data DIR [--batch 256]

What it says and is told stands in bench/protocol.py.
"""

import argparse
import functools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import grain
import jax
import numpy as np
import tensorflow_datasets as tfds

from bench.ours.networks import about, seen
from bench.protocol import NETWORKS, serve
from cellcycle_jax import data, feed, mesh, steps

LONG = 10**9  # batches; more than will be asked for


# Each reader is a function from the number of a call to arrays on the device, and the batches that a call gives.


def on_device(crops, batch, prepared):
    """Rows gathered inside a compiled program from arrays on the device; made model inputs there if `prepared`."""
    arrays = jax.device_put(data.arrays_of(crops))
    inputs = seen(NETWORKS["resnet"])

    @jax.jit
    def gather(arrays, rows):
        cells = {name: a[rows] for name, a in arrays.items()}
        if not prepared:
            return cells
        return inputs(*(cells[name] for name in ("image", "image_scale", "compartments", "norm"))), cells["label"]

    return lambda number: gather(arrays, steps.batch_indices(0, number, len(crops), batch)[0]), 1


def from_host(crops, batch):
    """Rows of arrays in the computer's memory, or of the files where `crops` has left the pixels there."""
    def read(number):
        rows = steps.batch_indices(0, number, len(crops), batch)[0]
        return jax.device_put(data.arrays_of(data.take(crops, rows)))

    return read, 1


def through_grain(crops, batch):
    """The batches that training makes in the background, as many at once as it sends at once; in order."""
    order = feed.Order(0, np.arange(len(crops), dtype=np.int32))
    stream = feed.Streamed(crops, order, batch, mesh.make_mesh(), 0, LONG)
    return lambda number: stream.take(number * stream.most, stream.most)[1], stream.most


READERS = {
    "device": functools.partial(on_device, prepared=False),
    "device-inputs": functools.partial(on_device, prepared=True),
    "host": from_host,
    "host-grain": through_grain,
    "disk": from_host,
    "disk-grain": through_grain,
}


def main():
    """Warm up and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reader", choices=READERS, required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--batch", type=int, default=256)
    given = parser.parse_args()
    crops = data.load_crops(given.data, "train", pixels=not given.reader.startswith("disk"))
    read, at_once = READERS[given.reader](crops, given.batch)
    done = 0

    def work(times):
        nonlocal done
        for _ in range(times):
            jax.block_until_ready(read(done))
            done += 1

    work(2)
    about_all = about()
    about_all["versions"] |= {"Grain": grain.__version__, "TFDS": tfds.__version__}
    serve(work, items=given.batch * at_once, **about_all)


if __name__ == "__main__":
    main()
