"""Does the hint that only a network can give find planted cues that no measurement of the table holds?

    python -m experiments.unnamed --admit --out=runs/unnamed
    python -m experiments.unnamed --out=runs/unnamed --seeds=5

The cues of unnamed_cues.py are relations of place and direction. The first command shows, before any network is
trained, that boosting on the whole table does not tell them: it writes experiments/unnamed_admitted.csv. The second
makes data sets with such cues, with cues that the table holds, and with none, trains two networks on the halves of
each, asks what of their outputs has no name, and appends what was found to experiments/unnamed.jsonl; what is there is
not made again, so it goes on after an interruption. unnamed_tables.py prints the tables of README.md.
"""

import argparse
import pathlib
import shutil
import time

import numpy as np
import pandas as pd
from scipy import special
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from cellcycle_jax import files, machine, processes
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.runs.open_data import OpenData
from cellcycle_jax.scoring.intervals import Resampling
from cellcycle_jax.unnamed import halves, hint, named_part, parts, search, studied_cells, where
from experiments import long_pass, unnamed_cues, unnamed_data
from experiments.unnamed_data import ADMITTED_FIELDS, FIELDS, Case

RAW = pathlib.Path(__file__).parent / "unnamed.jsonl"
ADMITTED = pathlib.Path(__file__).parent / "unnamed_admitted.csv"
RESAMPLING = Resampling(level=0.95)
SECOND = 1  # index of the class whose log odds are explained


def admit(case: Case, out) -> dict:
    """The score of the table on 5,000 cells of a cue, matched as those of the study are."""
    out = pathlib.Path(out)
    source = unnamed_data.fields_of(case, out, ADMITTED_FIELDS)
    folder = out / f"admitted_{case.name}"
    data = unnamed_data.make_data(case, source, folder, ADMITTED_FIELDS)
    cells = unnamed_data.labelled(data)
    score, _ = unnamed_data.table_score(cells)
    shutil.rmtree(folder)
    return {"cue": case.cue, "strength": case.strength, "cells": len(cells), "auroc_of_table": round(score, 4)}


def examine(case: Case, out) -> dict:
    """Make the data set of a case, train two networks on its halves, and ask what of their outputs has no name."""
    began = time.monotonic()
    out = pathlib.Path(out)
    folder = out / case.name
    shutil.rmtree(folder, ignore_errors=True)
    source = unnamed_data.fields_of(case, out, FIELDS[case.cells])
    data = OpenData(unnamed_data.make_data(case, source, folder, FIELDS[case.cells]))
    score, _ = unnamed_data.table_score(unnamed_data.labelled(data.folder))
    config = unnamed_data.training(case)
    networks = _half_networks(config, data, folder)
    tables = studied_cells.tables_of(networks[0].run, data)
    cells = hint.validation_cells(networks, tables, SECOND)
    found = {"case": vars(case), "auroc_of_table": score, **_asked(networks, tables, cells)}
    found["table_only"] = _of_table_only(networks, tables, cells, config.seed)
    found["seconds"] = time.monotonic() - began
    shutil.rmtree(folder)
    return files.to_json(found)


def _half_networks(config, data: OpenData, folder) -> list[halves.HalfNetwork]:
    groups = halves.halve(data.crops("train"), config.seed)
    return halves.train_on(groups, config, data, folder, long_pass.no_bar)


def _asked(networks, tables, cells) -> dict:
    crops = cells.crops
    scores = []
    for output in cells.outputs.output:
        prob = special.expit(np.stack([-output, output], axis=1))
        scores.append(RESAMPLING.scores(cells.of_class.astype(int), prob, crops.group_id, ("auroc",))["auroc"])
    shares = hint.how_much(cells, RESAMPLING)
    places = hint.where_it_lies(networks, cells, SECOND, RESAMPLING)
    searched = hint.measured_by_bank(networks, cells, tables)
    proposals = hint.propose(searched, cells, places, RESAMPLING)
    first = proposals[0].measurement
    gain = hint.gain(networks, cells, tables, searched.values[first.name], SECOND, RESAMPLING)
    return {
        "n_cells": len(crops),
        "auroc": scores,
        "shares": shares,
        "places": places.head(6).to_dict("records"),
        "channels": where.top(places, "channel"),
        "regions": where.top(places, "region"),
        "proposals": [_said(proposal) for proposal in proposals],
        "gain": gain,
        "without": _arms(searched, places, tables),
    }


def _said(proposal) -> dict:
    measurement = proposal.measurement
    return {"name": measurement.name, "family": measurement.family, "follows": proposal.follows}


def _arms(searched, places, tables) -> dict:
    """What the same search proposes without where, with where at random, and on the labels instead or as well."""
    weights = hint.place_weights(searched, places)
    rng = np.random.default_rng(0)
    networks = searched.target
    labels = labels_beyond_table(searched.values.index.to_numpy(), searched.beyond.training, tables)
    of_networks = search.strengths(searched.beyond, networks)
    of_labels = search.strengths(searched.beyond, labels)
    arms = {
        "by place": of_networks * weights,
        "uniform": of_networks,
        "permuted": of_networks * rng.permutation(weights),
        "labels": of_labels,
        "labels by place": of_labels * weights,
        "networks and labels": of_networks * of_labels,
    }
    proposed = {}
    for name, strength in arms.items():
        names = search.propose(searched.beyond, strength, lambda one: searched.described[one].family)
        proposed[name] = [(one, searched.described[one].family) for one in names]
    return proposed


def labels_beyond_table(cell_id, training, tables: studied_cells.Tables) -> np.ndarray:
    """Class of training cells less what boosting on the table says of it.

    Args:
        cell_id: text [N].
        training: bool [N].
        tables: of all of them.

    Returns:
        f64 [N]; NaN of cells of no class and of those that are not of training.
    """
    label = tables.label.loc[cell_id].to_numpy(str)
    is_second = (label == unnamed_data.CLASSES[SECOND]).astype(float)
    rows = training & np.isin(label, unnamed_data.CLASSES)
    values = tables.named.loc[cell_id[rows]].to_numpy(float)
    groups = tables.groups.loc[cell_id[rows]].to_numpy()
    prob = np.zeros(rows.sum())
    with threadpool_limits(1):
        for fit, others in named_part.group_folds(groups):
            model = HistGradientBoostingClassifier(max_iter=100, learning_rate=0.08, max_leaf_nodes=12)
            prob[others] = model.fit(values[fit], is_second[rows][fit]).predict_proba(values[others])[:, 1]
    target = np.full(len(cell_id), np.nan)
    target[rows] = is_second[rows] - prob
    return target


def _of_table_only(networks, tables, cells, seed: int) -> dict:
    """Shares of two classifiers that see nothing but the table, each fitted on the half of a network."""
    fits = []
    for network, fitted in zip(networks, cells.fits, strict=True):
        named = tables.named.loc[fitted.cell_id].to_numpy(float)
        trained_on = network.run.data.crops("train")
        trained_on = crop_arrays.take(trained_on, trained_on.label >= 0)
        model = HistGradientBoostingClassifier(max_iter=100, learning_rate=0.08, max_leaf_nodes=12, random_state=seed)
        with threadpool_limits(1):
            model.fit(tables.named.loc[trained_on.cell_id].to_numpy(float), trained_on.label)
            output = model.decision_function(named)
        groups = tables.groups.loc[fitted.cell_id].to_numpy(str)
        filled = np.nan_to_num(named, nan=0.0)
        fits.append(studied_cells.fit_outputs(fitted.cell_id, groups, output, filled, tables, seed))
    outputs = studied_cells.outputs_of(fits, cells.crops.cell_id)
    crops = cells.crops
    return parts.shares(outputs, cells.of_class, crops.field_id, crops.group_id, RESAMPLING)


def _examine(case: Case, out) -> dict:
    return long_pass.found_or_refused(examine, case, out)


def _admit(case: Case, out) -> dict:
    with long_pass.silence():
        return admit(case, out)


def examine_all(cases, raw: pathlib.Path, out, team: processes.Team) -> None:
    """Examine the cases that are not in a file of results yet, and append what is found."""
    wanted = long_pass.to_do(cases, raw)
    _simulate(wanted, out, [FIELDS[case.cells] for case in wanted])
    long_pass.append(_examine, wanted, raw, out, team)


def _simulate(cases, out, numbers) -> None:
    """Simulate all fields first: cases of a seed share them."""
    for case, number in tqdm(list(zip(cases, numbers, strict=True)), desc="simulated fields", unit="set"):
        with long_pass.silence():
            unnamed_data.fields_of(case, out, number)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/unnamed", help="folder for what is made meanwhile")
    parser.add_argument("--seeds", type=int, default=5, help="data sets of each kind")
    parser.add_argument("--admit", action="store_true", help="measure what the table tells of each cue, train nothing")
    chosen = parser.parse_args()
    team = processes.Team(machine.cores())
    if chosen.admit:
        wanted = []
        for cue, planted_cue in unnamed_cues.CUES.items():
            wanted += [Case(cue, strength, False, 2400, 900) for strength in planted_cue.strengths]
        _simulate(wanted, chosen.out, [ADMITTED_FIELDS] * len(wanted))
        rows = tqdm(processes.each(_admit, wanted, chosen.out, team), total=len(wanted), unit="cue")
        table = pd.DataFrame([row for _, row in rows]).sort_values(["cue", "strength"])
        table.to_csv(ADMITTED, index=False)
        print(table.to_string(index=False))
        return
    examine_all(unnamed_data.cases(chosen.seeds), RAW, chosen.out, team)


if __name__ == "__main__":
    main()
