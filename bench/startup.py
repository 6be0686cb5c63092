"""How long it takes from starting a process until the first training step is done.

    python bench/startup.py [--rounds 5] [--record] [--json FILE]

Paper's network, batch 8. Whole processes, one after another, in turns. Cold: the folder of compiled programs is empty;
warm: the second start. Keras and PyTorch are given arrays in memory, as is ours; the last two rows read a data set from
disk and change crops at random, as `launch.py train` does. Peers that are not installed are left out, and the table
says so; bench/README.md says where results go.
"""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from bench.command_line import script_parser
from bench.made_data import write_made
from bench.protocol import NETWORKS
from bench.results import Section, publish
from bench.tables import Table
from bench.workers import OURS, PEERS, Way, Worker, WorkerFailed

OWN = "ours, warm"  # what the others are compared with


def ways(folder, data, number):
    """The ways of one round; the cold ones get a cache of their own, which the warm ones then find."""
    cache = "CELLCYCLE_JAX_CACHE"
    plain = ("ours/startup.py",)
    as_used = (*plain, "--data", data)
    return (
        Way("Keras, model.fit", PEERS, ("peers/startup_keras.py",)),
        Way("PyTorch", PEERS, ("peers/startup_torch.py",)),
        Way("ours, cold", OURS, plain, {cache: str(folder / f"plain{number}")}),
        Way(OWN, OURS, plain, {cache: str(folder / f"plain{number}")}),
        Way("ours, cold, data set read, augmented", OURS, as_used, {cache: str(folder / f"used{number}")}),
        Way("ours, warm, data set read, augmented", OURS, as_used, {cache: str(folder / f"used{number}")}),
    )


def measure(rounds):
    """Seconds {way: [rounds]}, what each worker said {way: dict}, and what was left out {way: reason}."""
    seconds = {}
    info = {}
    left_out = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_made(folder / "data", NETWORKS["paper"], {"train": 16, "validation": 8, "test": 8})
        for number in range(rounds):
            for way in ways(folder, folder / "data", number):
                if way.name in left_out:
                    continue
                try:
                    worker = Worker(way)
                except WorkerFailed as failure:
                    left_out[way.name] = str(failure)
                    continue
                seconds.setdefault(way.name, []).append(worker.ready_s)
                info[way.name] = worker.info
                worker.close()
                print(f"{way.name}: {worker.ready_s:.1f} s", file=sys.stderr, flush=True)
    return {name: s for name, s in seconds.items() if name not in left_out}, info, left_out


def table_of(seconds, info, left_out):
    """The table of what `measure` returned."""
    devices = {}
    imported = {}
    for name in seconds:
        devices[name] = info[name]["device"]
        imported[name] = "yes" if info[name]["tensorflow"] else "no"
    return Table(
        "From the start of a process to the end of the first step",
        "s",
        seconds,
        larger_is_better=False,
        reference=OWN,
        devices=devices,
        columns={"TensorFlow imported": imported},
        left_out=left_out,
    )


def main():
    """Measure and publish."""
    given = script_parser(__doc__).parse_args()
    seconds, info, left_out = measure(given.rounds)
    versions = {}
    for said in info.values():
        versions |= said["versions"]
    publish(given, Section("Start to first step", [table_of(seconds, info, left_out)], versions))


if __name__ == "__main__":
    main()
