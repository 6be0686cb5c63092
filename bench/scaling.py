"""What several devices and processes change in a training step, and where its crops may lie.

    python bench/scaling.py [--devices 1,2,4,8] [--crops 8192] [--rounds 5] [--seconds 2] [--record]
        [--json FILE]

The small network. First one batch divided over simulated devices, which share the cores of this CPU, and over two
processes: this shows what dividing costs and that it does not change the loss, not how much faster more hardware is.
Then training whose crops lie on the device, in the computer's memory, and in the data set on disk, which the page cache
holds. bench/README.md says where results go.
"""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import numpy as np

from bench.command_line import numbers, script_parser
from bench.made_data import write_made
from bench.protocol import NETWORKS
from bench.results import Section, publish
from bench.tables import of_workers
from bench.workers import OURS, TUNED, Way, compare

NAME = "small"
PLACES = {"device": "on the device", "host": "in memory", "disk": "on disk"}


def ways_of(devices):
    """Ways to divide a batch, all on the CPU."""
    command = ("ours/scaling.py", "--model", NAME)

    def on_cpu(count):
        return TUNED | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(count)}

    for count in devices:
        name = "1 device" if count == 1 else f"{count} devices"
        yield Way(name, OURS, command, on_cpu(count))
    yield Way("2 processes", OURS, (*command, "--processes", 2), on_cpu(1))


def divided(results):
    """The table of divided batches: with the time of a step, and how far losses are from those of the first way."""
    losses = {name: np.array(told["losses"]) for name, told in results.told.items()}
    first = next(iter(losses.values()), None)
    batch = NETWORKS[NAME].batch
    milliseconds = {name: f"{1e3 * batch / np.median(rate):.3g}" for name, rate in results.rates.items()}
    differences = {name: f"{abs(of_way - first).max():.1g}" for name, of_way in losses.items()}
    return of_workers(
        f"Batches of {batch} divided over simulated devices; losses of the first 5 steps",
        "crops/s",
        results,
        columns={"ms a step": milliseconds, "largest difference of the loss": differences},
    )


def places_of(folder):
    """Ways to train from crops that lie in different places."""
    command = ("ours/train.py", "--model", NAME, "--data", folder, "--placement")
    return [Way(name, OURS, (*command, place), TUNED) for place, name in PLACES.items()]


def main():
    """Measure and publish."""
    parser = script_parser(__doc__)
    parser.add_argument("--devices", type=numbers, default=[1, 2, 4, 8])
    parser.add_argument("--crops", type=int, default=8192)
    parser.add_argument("--seconds", type=float, default=2.0, help="that a way takes in a round")
    given = parser.parse_args()
    parts = compare(ways_of(given.devices), given.rounds, given.seconds)
    with tempfile.TemporaryDirectory() as folder:
        write_made(folder, NETWORKS[NAME], {"train": given.crops})
        places = compare(places_of(folder), given.rounds, given.seconds)
    placed = of_workers(f"Training from {given.crops} crops", "crops/s", places)
    versions = parts.versions() | places.versions()
    publish(given, Section("Devices and placements", [divided(parts), placed], versions))


if __name__ == "__main__":
    main()
