"""How many crops a second reach the device, by where they lie.

    python bench/input.py [--rounds 5] [--crops 20000] [--record] [--json FILE]

Crops of 64 x 64 x 3, u16, with their compartments, written as `launch.py prepare` writes them (array_record, no
TensorFlow) into a temporary folder and read in random order, batches of 256: from an array on the device, gathered
inside a compiled program; from the computer's memory; from the data set on disk, which the page cache holds; and both
of these through Grain, as training does where crops do not fit on the device. bench/README.md says where results go.
"""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from bench.command_line import script_parser
from bench.made_data import write_made
from bench.protocol import NETWORKS
from bench.results import Section, publish
from bench.tables import of_workers
from bench.workers import OURS, TUNED, Way, compare

READERS = {
    "disk": "TFDS as_data_source, batch by batch",
    "disk-grain": "TFDS as_data_source through Grain",
    "host": "memory, batch by batch",
    "host-grain": "memory through Grain",
    "device": "device, gathered inside jit",
    "device-inputs": "device, gathered and made model inputs inside jit",
}


def main():
    """Write, measure and publish."""
    parser = script_parser(__doc__)
    parser.add_argument("--crops", type=int, default=20_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_made(folder, NETWORKS["resnet"], {"train": given.crops})
        ways = []
        for reader, name in READERS.items():
            ways.append(Way(name, OURS, ("ours/input.py", "--reader", reader, "--data", folder), TUNED))
        results = compare(ways, given.rounds)
    title = f"{given.crops} crops of 64 x 64 x 3, u16, from where they lie to the device"
    publish(given, Section("Input", [of_workers(title, "crops/s", results)], results.versions()))


if __name__ == "__main__":
    main()
