"""What is a network worth in the search for a measurement: paired with the same search on the labels alone.

    python -m experiments.unnamed_worth --pilot --out=runs/unnamed
    python -m experiments.unnamed_worth --out=runs/unnamed
    python -m experiments.unnamed_worth --tables

Strong cues are found by any search. The first command plants those of unnamed_cues.py ever more weakly, trains nothing,
and writes experiments/unnamed_pilot.csv: how often a ranking of the bank by the labels has the right family first. The
second makes data sets at the strengths at which that was about every other time, WEAK, trains the networks and appends
what each search proposes to experiments/unnamed_worth.jsonl; it goes on after an interruption.
"""

import argparse
import pathlib
import shutil

import numpy as np
import pandas as pd
from tqdm import tqdm

from cellcycle_jax import machine, processes, schema
from cellcycle_jax.bank import bank as measurement_bank
from cellcycle_jax.dataset import cell_table, crop_arrays
from cellcycle_jax.runs.open_data import OpenData
from cellcycle_jax.unnamed import search, studied_cells
from experiments import long_pass, planted, unnamed, unnamed_cues, unnamed_data, unnamed_tables
from experiments.unnamed_data import FIELDS, Case

RAW = pathlib.Path(__file__).parent / "unnamed_worth.jsonl"
PILOT = pathlib.Path(__file__).parent / "unnamed_pilot.csv"
CELLS = 600
FIRST_SEED = 20  # no data set of the study of unnamed.py is met again
PILOT_SEEDS = 6
# Half, a quarter and an eighth of those of the study; then those between which or below which labels begin to fail.
TRIED = {
    "nuclear side": (0.2, 0.1, 0.05, 0.025, 0.0125),
    "chromatin direction": (0.125, 0.0625, 0.045, 0.03125),
    "streak direction": (0.75, 0.375, 0.1875, 0.16),
    "spot place": (0.75, 0.375, 0.1875, 0.1, 0.05),
    "spot pairs": (1.0, 0.5, 0.36, 0.25),
    "same sites": (0.75, 0.375, 0.27, 0.1875),
}
# The strengths of the comparison, fixed by the pilot before any network was trained at them.
WEAK = {
    "nuclear side": 0.025,
    "chromatin direction": 0.05,
    "streak direction": 0.165,
    "spot place": 0.1,
    "spot pairs": 0.42,
    "same sites": 0.29,
}
SEEDS = 14


def pilot_cases() -> list[Case]:
    """The data sets of the pilot, but for strengths that stand in unnamed_pilot.csv."""
    known = pd.read_csv(PILOT) if PILOT.is_file() else pd.DataFrame({"cue": [], "strength": []})
    done = set(zip(known["cue"], known["strength"], strict=True))
    cases = []
    for cue, strengths in TRIED.items():
        for strength in strengths:
            if (cue, strength) not in done:
                cases += [Case(cue, strength, False, CELLS, FIRST_SEED + seed) for seed in range(PILOT_SEEDS)]
    return cases


def weak_cases() -> list[Case]:
    """The data sets of the comparison; seeds of the pilot are not met again."""
    first = FIRST_SEED + PILOT_SEEDS
    return [Case(cue, strength, False, CELLS, first + seed) for seed in range(SEEDS) for cue, strength in WEAK.items()]


def by_labels(case: Case, out) -> dict:
    """Make the data set of a case and rank the bank by the labels of its training cells."""
    out = pathlib.Path(out)
    folder = out / f"pilot_{case.name}"
    shutil.rmtree(folder, ignore_errors=True)
    source = unnamed_data.fields_of(case, out, FIELDS[case.cells])
    data = OpenData(unnamed_data.make_data(case, source, folder, FIELDS[case.cells]))
    cells = unnamed_data.labelled(data.folder)
    tables = _tables(cells)
    training = data.crops("train")
    training = crop_arrays.take(training, (training.label >= 0) & np.isin(training.cell_id, tables.named.index))
    described, values = measurement_bank.measure_crops(training, planted.CHANNELS)
    is_training = np.ones(len(training), bool)
    beyond = search.beyond_table(values, tables.named.loc[training.cell_id].to_numpy(float), is_training)
    target = unnamed.labels_beyond_table(training.cell_id, is_training, tables)
    first = search.propose(beyond, search.strengths(beyond, target), lambda name: described[name].family)[0]
    shutil.rmtree(folder)
    return {
        "cue": case.cue,
        "strength": case.strength,
        "seed": case.seed,
        "cells": len(training),
        "first": first,
        "right": described[first].family in unnamed_cues.CUES[case.cue].families,
    }


def _tables(cells: pd.DataFrame) -> studied_cells.Tables:
    """What is known of labelled cells, their measurements as they stand in the table."""
    columns = cell_table.measurements(cells, planted.CHANNELS, ("CENPF",))
    cells = cells.set_index(schema.CELL_ID)
    return studied_cells.Tables(cells[columns], cells[[]], cells[schema.LABEL], cells[schema.GROUP])


def _by_labels(case: Case, out) -> dict:
    return long_pass.found_or_refused(by_labels, case, out)


def pilot(out, team: processes.Team) -> pd.DataFrame:
    """How often the labels have the right family first, by cue and strength."""
    rows = []
    cases = pilot_cases()
    for _, row in tqdm(processes.each(_by_labels, cases, out, team), total=len(cases), unit="data set"):
        rows.append(row)
    table = pd.DataFrame(rows)
    if "refused" in table:
        table = table[table["refused"].isna()]
    hits = table.groupby(["cue", "strength"])["right"].agg(["sum", "count"])
    return hits.rename(columns={"sum": "right", "count": "data_sets"}).reset_index()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/unnamed", help="folder for what is made meanwhile")
    parser.add_argument("--pilot", action="store_true", help="rank the bank by the labels, train nothing")
    parser.add_argument("--tables", action="store_true", help="print what stands in unnamed_worth.jsonl")
    chosen = parser.parse_args()
    if chosen.tables:
        print(unnamed_tables.worth(unnamed_tables.table_of(long_pass.stored(RAW))))
        return
    team = processes.Team(machine.cores())
    if chosen.pilot:
        table = pilot(chosen.out, team)
        if PILOT.is_file():
            table = pd.concat([pd.read_csv(PILOT), table]).sort_values(["cue", "strength"])
        table.to_csv(PILOT, index=False)
        print(table.to_string(index=False))
        return
    unnamed.examine_all(weak_cases(), RAW, chosen.out, team)


if __name__ == "__main__":
    main()
