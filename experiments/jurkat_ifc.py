"""G1 or G2 of unstained Jurkat cells: how much rests on the cell, how much on its surroundings, how much on the batch?

    python -m experiments.jurkat_ifc --fields=jurkat_ifc_cellcycle --out=runs/jurkat_ifc

Every row is trained and scored on several random splits by blocks of montage columns; the test blocks of a split
are opened once. About half an hour on 2 cores. README.md holds question, command and result.
"""

import argparse
import itertools
import pathlib

import numpy as np
import pandas as pd

import launch
from cellcycle_jax import files, schema
from cellcycle_jax.devices import runtime
from cellcycle_jax.scoring import intervals
from cellcycle_jax.scoring.intervals import Interval
from cellcycle_jax.studies import one_network, side_by_side
from configs import base
from configs.load import load

# Name, data set, channels, mask.
ROWS = (
    ("bright field, cell alone", "jurkat_ifc", "BF", "cell"),
    ("bright and dark field, cell alone", "jurkat_ifc", "BF,DF", "cell"),
    ("bright field, outer ring", "jurkat_ifc", "BF", "ring"),
    ("bright and dark field, outer ring", "jurkat_ifc", "BF,DF", "ring"),
    ("control: G1 of two experiments, cell alone", "jurkat_ifc_control", "BF", "cell"),
    ("control: G1 of two experiments, outer ring", "jurkat_ifc_control", "BF", "ring"),
)
LEVEL = 0.95  # of the interval of balanced accuracy
BASELINES = ("nuclear_area", "all_features")


def prepared(data_set, seed, fields, out) -> pathlib.Path:
    """The folder of a data set with one of the random splits, made unless it is there."""
    data = out / f"{data_set}_{seed}"
    if not (data / "provenance.json").exists():
        code = launch.main([
            "prepare",
            f"--config=configs/data/{data_set}.py",
            f"--fields={fields}",
            f"--out={data}",
            f"--config.split.seed={seed}",
        ])
        if code:
            raise SystemExit(code)
    return data


def planned(data_set, channels, mask, seed, data, out) -> side_by_side.Planned:
    """The network of a row on one split, scored on its test blocks."""
    changes = (f"--config.data.channels={channels}", f"--config.data.mask={mask}", f"--config.seed={seed}")
    return side_by_side.Planned(
        config=load("configs/jurkat_ifc.py", changes, base.training),
        data_dir=data,
        workdir=out / f"{data_set}_{seed}_{channels.replace(',', '')}_{mask}",
        final=True,
        explain=False,
    )


def scores_of(name, data_set, seed, network: one_network.FinishedNetwork) -> dict:
    """One row on one split: AUROC of the network and of the baselines on the test blocks."""
    evaluation = network.evaluation
    scores = {"row": name, "seed": seed}
    scores["network"] = evaluation["model"]["auroc"]["value"]
    scores["cells"] = evaluation["n_cells"]
    for baseline in BASELINES:
        scores[baseline] = evaluation["baselines"][baseline]["auroc"]["value"]
    return scores | _other_acquisition(network.workdir, data_set)


def _other_acquisition(workdir, data_set):
    """Share of G1 cells called G2, in the acquisition that was trained on and in the other one."""
    if data_set != "jurkat_ifc":
        return {}
    cells = pd.read_parquet(workdir / "predictions_test.parquet")
    cells = cells[cells[schema.FIELD_LABEL] == "G1"]
    called = (cells["predicted"] == "G2").groupby(cells[schema.PLATE]).mean()
    return {"called G2, own G1": called["Experiment_1"], "called G2, other G1": called["Experiment_2"]}


def balanced_accuracy(workdirs) -> tuple[Interval, int, int]:
    """Balanced accuracy of the networks of all splits together, over the groups that were a test block in any of them.

    The probabilities of a cell that was tested in several splits are averaged. What the networks learnt from is mostly
    the same, so how far other training cells would change them is not in the interval.

    Args:
        workdirs: one run for each split.

    Returns:
        The score with its interval, the number of cells and that of groups.
    """
    parts = [pd.read_parquet(workdir / "predictions_test.parquet") for workdir in workdirs]
    cells = pd.concat(parts)
    cells = cells[cells["label"] != ""]
    classes = [name.removeprefix("prob_") for name in cells.columns if name.startswith("prob_")]
    prob = cells.groupby(schema.CELL_ID)[[f"prob_{name}" for name in classes]].mean()
    rows = cells.drop_duplicates(schema.CELL_ID).set_index(schema.CELL_ID).loc[prob.index]
    label = pd.Index(classes).get_indexer(rows["label"])
    groups = rows[schema.GROUP].to_numpy()
    resampling = intervals.Resampling(LEVEL)
    score = resampling.scores(label, prob.to_numpy(), groups, ("balanced_accuracy",))["balanced_accuracy"]
    return score, len(rows), len(set(groups))


def table(found: pd.DataFrame) -> str:
    """Mean over the splits, and lowest to highest, as a Markdown table.

    Args:
        found: what `scores_of` returned, a row each.
    """
    scores = found.columns.drop(["row", "seed", "cells"])
    lines = ["| | " + " | ".join(scores) + " |", "|---" * (len(scores) + 1) + "|"]
    for name, rows in found.groupby("row", sort=False):
        cells = [name]
        for score in scores:
            values = rows[score]
            summary = f"{values.mean():.3f} ({values.min():.3f} to {values.max():.3f})"
            cells.append(summary if values.notna().any() else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    """Run all rows on all splits; finished ones are read back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fields", required=True, help="folder with the montages")
    parser.add_argument("--out", required=True, help="folder to write")
    parser.add_argument("--splits", type=int, default=5, help="number of random splits (default 5)")
    parser.add_argument("--workers", type=int, default=0, help="processes at once (default: one for each core)")
    arguments = parser.parse_args()
    runtime.prepare()
    out = pathlib.Path(arguments.out)
    networks = {}
    for seed, (name, data_set, channels, mask) in itertools.product(range(arguments.splits), ROWS):
        data = prepared(data_set, seed, arguments.fields, out)
        networks[name, seed] = planned(data_set, channels, mask, seed, data, out)
    workers = side_by_side.choose_workers(arguments.workers, len(networks))
    finished = {}
    for network, found in side_by_side.finish(list(networks.values()), workers):
        finished[network.workdir] = found
    rows = []
    for (name, data_set, _, _), seed in itertools.product(ROWS, range(arguments.splits)):
        rows.append(scores_of(name, data_set, seed, finished[networks[name, seed].workdir]))
    scores = pd.DataFrame(rows)
    files.write_csv(scores, out / "scores.csv")
    cells = int(np.median(scores["cells"]))
    print(f"\nAUROC on test blocks, mean of {arguments.splits} splits (lowest to highest); "
          f"{cells} labelled cells each\n\n{table(scores)}\n")
    for name, *_ in ROWS:
        workdirs = [networks[name, seed].workdir for seed in range(arguments.splits)]
        score, n_cells, n_groups = balanced_accuracy(workdirs)
        print(f"{name}: balanced accuracy {score.text(3)} on {n_cells:,} cells of {n_groups} groups")


if __name__ == "__main__":
    main()
