"""What several devices and processes change in a training step, and where its crops may lie.

    python bench/scaling.py [--devices 1,2,4,8] [--crops 8192] [--rounds 5] [--seconds 2] [--record]

The small network. First one batch divided over simulated devices, which share the cores of this CPU, and over two
processes: this shows what dividing costs and that it does not change the loss, not how much faster more hardware is.
Then training whose crops lie on the device, in the computer's memory, and in the data set on disk, which the page cache
holds. `--record` puts the tables into bench/RESULTS.md.
"""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import numpy as np

from bench.made_data import write_made
from bench.protocol import NETWORKS
from bench.turns import arguments, numbers, publish, speeds
from bench.workers import OURS, TUNED, Way, compare

NAME = "small"
PLACES = {"device": "on the device", "host": "in memory", "disk": "on disk"}


def ways_of(devices):
    """Ways to divide a batch, all on the CPU."""
    def on_cpu(count):
        return TUNED | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(count)}

    yield from (Way(f"{n} device{'s' * (n > 1)}", OURS, ("ours/scaling.py", "--model", NAME), on_cpu(n))
                for n in devices)
    yield Way("2 processes", OURS, ("ours/scaling.py", "--model", NAME, "--processes", 2), on_cpu(1))


def divided(results):
    """The table of divided batches: with the time of a step, and how far losses are from those of the first way."""
    told = {name: np.array(said["losses"]) for name, said in results.told.items()}
    first, batch = next(iter(told.values()), None), NETWORKS[NAME].batch
    return speeds(results, "crops", more={
        "ms a step": {name: f"{1e3 * batch / np.median(rate):.3g}" for name, rate in results.rates.items()},
        "largest difference of the loss": {name: f"{abs(losses - first).max():.1g}" for name, losses in told.items()},
    })


def main():
    """Measure and publish."""
    parser = arguments(__doc__)
    parser.add_argument("--devices", type=numbers, default=[1, 2, 4, 8])
    parser.add_argument("--crops", type=int, default=8192)
    parser.add_argument("--seconds", type=float, default=2.0, help="that a way takes in a round")
    given, network = parser.parse_args(), NETWORKS[NAME]
    parts = compare(ways_of(given.devices), given.rounds, given.seconds)
    with tempfile.TemporaryDirectory() as folder:
        write_made(folder, network, {"train": given.crops})
        places = compare([
            Way(name, OURS, ("ours/train.py", "--model", NAME, "--data", folder, "--placement", place), TUNED)
            for place, name in PLACES.items()], given.rounds, given.seconds)
    body = (f"Batches of {network.batch} divided over simulated devices; losses of the first 5 steps\n\n"
            f"{divided(parts)}Training from {given.crops} crops\n\n{speeds(places, 'crops')}")
    publish("Devices and placements", parts.versions() | places.versions(), body, given.record)


if __name__ == "__main__":
    main()
