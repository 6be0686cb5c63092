"""How long a study takes for a small network: trained for some steps, evaluated and explained.

    python bench/study.py [--steps 400] [--networks 4] [--rounds 5] [--record] [--json FILE]

Each round finishes that many networks, which differ in their seed: in this process on all cores, then side by
side on a core each. Starting processes and opening the data set count; compiled programs are kept from a round
before the first. Data and network are those of experiments/explanation_truth.py: 20 simulated fields, which are made
once and not counted, and a residual network of 8 filters. bench/README.md says where results go.
"""

import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import jax
from tqdm import tqdm

from bench.command_line import script_parser
from bench.results import Section, publish
from bench.tables import Table
from cellcycle_jax import machine
from cellcycle_jax.devices import runtime
from cellcycle_jax.studies import side_by_side
from experiments import planted
from experiments.explanation_truth import training

CUE = "nuclear area"


def planned(data, folder, steps: int, networks: int) -> list[side_by_side.Planned]:
    """Networks that differ in their seed."""
    found = []
    for seed in range(networks):
        config = training(seed)
        config.train.steps = steps
        config.train.checkpoint_every = steps
        found.append(side_by_side.Planned(config, data, folder / f"seed{seed}"))
    return found


def seconds_for_each(data, steps: int, networks: int, workers: int) -> float:
    """Seconds of a network, of all that are finished by some workers."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        list(side_by_side.finish(planned(data, pathlib.Path(folder), steps, networks), workers))
        return (time.perf_counter() - start) / networks


def main():
    """Measure and publish."""
    parser = script_parser(__doc__)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--networks", type=int, default=4)
    given = parser.parse_args()
    runtime.prepare()
    cores = machine.cores()
    ways = {"one at a time, on all cores": 1, "side by side, one on each core": cores}
    values = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        data = planted.make_data(pathlib.Path(folder), CUE, seed=0)
        for number in tqdm(range(given.rounds + 1), desc="rounds"):
            for name, workers in ways.items():
                seconds = seconds_for_each(data, given.steps, given.networks, workers)
                if number:  # the first compiles
                    values[name].append(seconds)
    title = f"{given.networks} small networks, {given.steps} steps each, on {cores} cores"
    table = Table(title, "s for each network", values, larger_is_better=False)
    publish(given, Section("A study", [table], {"jax": jax.__version__}))


if __name__ == "__main__":
    main()
