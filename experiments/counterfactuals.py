"""Do shortest edits move cells across, and does what is measured again name the cue that was planted?

    python -m experiments.counterfactuals --out=runs/counterfactuals --seeds=10
    python -m experiments.counterfactuals --tables

Each data set holds one cue of the simulator that an edit can reach, or none at all: in the null ones classes are drawn
by a coin. Two networks with different seeds are trained, the first is asked as `launch.py counterfactual` asks, and the
second whether it calls the edited cells otherwise too. What was found is appended to experiments/counterfactuals.jsonl;
what is there is not made again.
"""

import argparse
import pathlib
import shutil

import numpy as np
import pandas as pd

from cellcycle_jax import files, machine, processes
from cellcycle_jax.counterfactual.changes import Changed, Scale
from cellcycle_jax.counterfactual.command import run_counterfactual
from cellcycle_jax.counterfactual.verdict import Verdict
from cellcycle_jax.runs.open_data import OpenData
from cellcycle_jax.scoring.intervals import Interval
from cellcycle_jax.training import loop
from experiments import long_pass, planted, unnamed_data
from experiments.explanation_tables import markdown
from experiments.unnamed_data import NULL, Case
from experiments.unnamed_tables import share

RAW = pathlib.Path(__file__).parent / "counterfactuals.jsonl"
CUES = ("nuclear area", "DNA brightness", "Golgi area", "Golgi scattering")  # that an edit reaches
FIELDS = 30
CELLS = 1400  # about so many are in them
FIRST_SEED = 40  # no fields of other studies are met again


def cases(seeds: int) -> list[Case]:
    """One data set of each cue and two null ones for each seed."""
    listed = []
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        listed += [Case(cue, 0.0, False, CELLS, seed) for cue in (*CUES, NULL)]
        listed.append(Case(NULL, 0.0, False, CELLS, seed + 1000))
    return listed


def examine(case: Case, out) -> dict:
    """Make the data set of a case, train two networks, and move cells across."""
    out = pathlib.Path(out)
    folder = out / case.name
    shutil.rmtree(folder, ignore_errors=True)
    source = unnamed_data.fields_of(case, out, FIELDS)
    data = OpenData(unnamed_data.make_data(case, source, folder, FIELDS))
    config = unnamed_data.training(case)
    for number in (0, 1):
        config.seed = case.seed + 100 * number
        loop.train(config, data, folder / f"run_{number}", long_pass.no_bar)
    run_counterfactual(folder / "run_0", [folder / "run_1"], data)
    found = files.read_json(folder / "run_0" / "counterfactual" / "counterfactual.json")["results"][0]
    shutil.rmtree(folder)
    return {"case": vars(case), **found}


def _examine(case: Case, out) -> dict:
    return long_pass.found_or_refused(examine, case, out)


def row_of(found: dict, level: float = 0.95) -> dict:
    """What is counted of a data set."""
    case = Case(**found["case"])
    first = None
    for family in found["families"]:
        changed = Changed(
            Scale(family["family"], family["measurement"], False, 0.0, 1.0, 1.0),
            Interval.of(family["class_difference"]),
            Interval.of(family["edited"]),
            Interval.of(family["nearest"]),
        )
        if first is None and changed.is_certain(level):
            first = family["family"]
    return {
        "cue": case.cue,
        "shown": found["verdict"] == Verdict.SHOWN,
        "crossing": Interval.of(found["crossing"]).value,
        "crossing of other": Interval.of(found["crossing_of_others"][0]).value,
        "first": first,
        "right": case.cue != NULL and first in planted.CUES[case.cue].families,
    }


def tables(rows: list[dict]) -> str:
    """How often cells cross, the planted family changes most, and nothing is shown of null data, by cue."""
    table = pd.DataFrame([row_of(found) for found in rows if "refused" not in found])
    lines = []
    for cue in (*CUES, NULL):
        of_cue = table[table["cue"] == cue]
        if not len(of_cue):
            continue
        lines.append([
            cue,
            _percent(of_cue["crossing"]),
            _percent(of_cue["crossing of other"]),
            "" if cue == NULL else share(of_cue["right"]),
            share(~of_cue["shown"].astype(bool)),
        ])
    heads = [
        "cue",
        "cells that cross, median (least)",
        "for another network",
        "planted family changes most",
        "nothing to show",
    ]
    return markdown(heads, lines)


def _percent(values) -> str:
    return f"{100 * np.nanmedian(values):.0f} % ({100 * np.nanmin(values):.0f})"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/counterfactuals", help="folder for what is made meanwhile")
    parser.add_argument("--seeds", type=int, default=10, help="data sets of each cue")
    parser.add_argument("--tables", action="store_true", help="print what stands in counterfactuals.jsonl")
    chosen = parser.parse_args()
    if not chosen.tables:
        wanted = long_pass.to_do(cases(chosen.seeds), RAW)
        long_pass.append(_examine, wanted, RAW, chosen.out, processes.Team(machine.cores()))
    print(tables(long_pass.stored(RAW)))


if __name__ == "__main__":
    main()
