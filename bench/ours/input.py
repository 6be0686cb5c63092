"""Worker: batches of crops on the device, from where a reader finds them.

    python bench/ours/input.py --reader device --data DIR [--batch 256]

What it says and is told stands in bench/protocol.py.
"""

import contextlib
import functools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import grain
import jax
import numpy as np
import tensorflow_datasets as tfds

from bench.ours.networks import about, inputs_of
from bench.protocol import NETWORKS, serve, worker_parser
from cellcycle_jax.dataset import crop_arrays, model_input
from cellcycle_jax.devices import mesh, model_sharding, runtime
from cellcycle_jax.training import batches, train_step

# Each reader is `(first, units)` -> arrays on the device, a unit at a time, and the number of batches in a unit.


def on_device(crops, batch, prepared):
    """Rows gathered inside a compiled program from arrays on the device; made model inputs there if `prepared`."""
    arrays = jax.device_put(crop_arrays.arrays_of(crops))
    inputs = inputs_of(NETWORKS["resnet"])

    @jax.jit
    def gather(arrays, rows):
        cells = {name: a[rows] for name, a in arrays.items()}
        if not prepared:
            return cells
        return model_input.model_images(inputs, cells), cells["label"]

    return one_by_one(lambda number: gather(arrays, train_step.batch_indices(0, number, len(crops), batch)[0])), 1


def from_host(crops, batch):
    """Rows of arrays in the computer's memory, or of the files where `crops` has left the pixels there."""
    def read(number):
        rows = train_step.batch_indices(0, number, len(crops), batch)[0]
        return jax.device_put(crop_arrays.arrays_of(crop_arrays.take(crops, rows)))

    return one_by_one(read), 1


def one_by_one(read):
    """A reader that makes each batch when it is asked for."""
    return lambda first, units: map(read, range(first, first + units))


def through_grain(crops, batch):
    """The batches that training makes in the background; a unit is what it sends at once.

    Each call begins and ends a stream of its own: none makes batches while others are being timed.
    """
    order = batches.Order(0, np.arange(len(crops), dtype=np.int32))
    stream_of = functools.partial(
        batches.StreamedBatches, crops, order, batch, model_sharding.choose_layout(1, mesh.make_mesh())
    )
    with contextlib.closing(stream_of(0, 1)) as stream:
        most = stream.most

    def read(first, units):
        with contextlib.closing(stream_of(first * most, (first + units) * most)) as stream:
            for number in range(first, first + units):
                yield stream.take(number * most, most)[1]

    return read, most


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
    parser = worker_parser(__doc__, batch=256)
    parser.add_argument("--reader", choices=READERS, required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    given = parser.parse_args()
    runtime.divide_cpu()
    crops = crop_arrays.load_crops(given.data, "train", pixels=not given.reader.startswith("disk"))
    read, batches = READERS[given.reader](crops, given.batch)
    done = 0

    def work(units):
        nonlocal done
        for arrays in read(done, units):
            jax.block_until_ready(arrays)
        done += units

    work(2)
    about_all = about()
    about_all["versions"] |= {"Grain": grain.__version__, "TFDS": tfds.__version__}
    serve(work, items=given.batch * batches, **about_all)


if __name__ == "__main__":
    main()
