"""Scores of all runs of a study on one split: each run, the mean over seeds, what it leads by, and the baselines."""

import dataclasses
import pathlib

import numpy as np
import pandas as pd
import tqdm

from cellcycle_jax import files, schema
from cellcycle_jax.dataset import cell_table, crop_arrays
from cellcycle_jax.devices import memory
from cellcycle_jax.errors import InputRefused, NonFiniteLoss
from cellcycle_jax.evaluation import evaluate
from cellcycle_jax.figures import style
from cellcycle_jax.runs import metric_log
from cellcycle_jax.runs.trained_run import load_run
from cellcycle_jax.scoring import calibration, intervals
from cellcycle_jax.studies import sweep_figures, sweep_plan, sweep_table
from cellcycle_jax.studies.sweep_table import ALL_LINES

SCORES = ("auroc", "balanced_accuracy")  # in scores.parquet, whatever the table shows


@dataclasses.dataclass(frozen=True)
class Tested:
    """The labelled cells that the runs are scored on."""

    split: str
    crops: crop_arrays.Crops
    probs: dict[str, np.ndarray]  # predictor, a run or a baseline -> f [N, P]
    rows: dict[str, list[str]]  # row of the table -> its predictors
    reference: str | None  # the row that others are compared with

    def places(self) -> dict[str, np.ndarray]:
        """All lines, and each one -> rows of its cells."""
        lines = self.crops.cell_line
        each = {line: np.flatnonzero(lines == line) for line in sorted(set(lines.tolist()))}
        return {ALL_LINES: np.arange(len(lines)), **each}


def score_sweep(plan, states: dict, final: bool) -> None:
    """Predict with every run, score, and write what `launch.py sweep` promises into WORKDIR.

    Args:
        plan: `sweep_plan.Plan`, every run of which is finished or has diverged.
        states: run -> (how far, step).
        final: on the locked test split; each run's metrics.jsonl says that it was opened.

    Raises:
        NonFiniteLoss: every run diverged.
        InputRefused: the split holds no labelled cell of the lines.
        StoredStateRefused: a run or the data set is damaged.
    """
    left = [member for member in plan.members if states[member.name][0] == "finished"]
    if not left:
        raise NonFiniteLoss("every run diverged; lower optimizer.learning_rate", max(s for _, s in states.values()))
    split = "test" if final else "validation"
    tested, one = predict(plan, left, split)
    chosen = plan.study.config.evaluate
    names = tuple(dict.fromkeys([*SCORES, *plan.study.table.scores]))
    resampling = intervals.Resampling(chosen.bootstraps, chosen.confidence, evaluate.RESAMPLING_SEED)
    found = score(tested, {m.name: [m.name] for m in left}, names, resampling)
    result = {
        "split": split,
        "rows": plan.study.table.rows,
        "columns": plan.study.table.columns,
        "scores": plan.study.table.scores,
        "reference": tested.reference,
        "confidence": chosen.confidence,
        "classes": tested.crops.classes,
        "group_by": tested.crops.group_by,
        "results": found,
        "members": {row: of for row, of in tested.rows.items() if of[0] in states},
        "trained_on": {m.row: list(m.config.data.cell_lines or plan.data.cell_lines) for m in left},
        "diverged": {name: step for name, (state, step) in states.items() if state == "diverged"},
        "notes": sweep_table.notes(plan, tested, one),
        "seconds": round(
            sum(line["seconds"] for line in metric_log.read(plan.workdir) if line["event"] == "trained"), 1
        ),
    }
    write(plan, left, tested, result)


def predict(plan, left, split: str):
    """What every finished run, and the baselines, say of the labelled cells of a split; and the run of the last row."""
    runs = {m.name: load_run(plan.folder(m.name), finished=True) for m in left}
    if final := split == "test":
        for name, run in runs.items():
            evaluate.log_opening(plan.folder(name), run.step)
    crops = crop_arrays.load_crops(plan.data_dir, split, final, pixels=False)
    known = (crops.label != schema.NO_LABEL) & np.isin(crops.cell_line, plan.data.cell_lines)
    if not known.any():
        lines = ", ".join(plan.data.cell_lines)
        raise InputRefused(f"{plan.data_dir}: the {split} split holds no labelled cell of {lines}")
    crops = _read_if_they_fit(crop_arrays.take(crops, known))
    shown = tqdm.tqdm(runs.items(), desc=f"predict {split}", unit="run")
    probs = {name: calibration.apply_temperature(run.predict_logits(crops), 1.0) for name, run in shown}
    rows = {}
    for member in left:
        rows.setdefault(member.row, []).append(member.name)
    last = plan.members[-1].row
    one = runs[rows.get(last, [left[-1].name])[0]]
    if plan.study.table.columns == "scores":
        cells = cell_table.unlocked(cell_table.load_cells(plan.data_dir), final)
        rivals = evaluate.fit_simple(cells, one, crops).predict(cell_table.rows_by_id(cells, crops.cell_id))
        probs, rows = probs | rivals, rows | {name: [name] for name in rivals}
    reference = last if plan.study.table.compare_with_last and last in rows else None
    return Tested(split, crops, probs, rows, reference), one


def _read_if_they_fit(crops):
    """The crops with their pixels in memory, or as they are: then every run reads them from disk, batch by batch."""
    needed = crops.image.nbytes + crops.compartments.nbytes
    return crops if memory.place("auto", needed) == "disk" else crop_arrays.in_memory(crops)


def score(tested: Tested, runs: dict, names, resampling: intervals.Resampling) -> dict:
    """Scores on the cells of all lines and of each.

    Returns:
        place -> {"n_cells", "n_groups", "absent": classes without a cell, "runs": {run: {metric: interval}}, "rows":
        {row: {metric: interval with lowest and highest of its runs}}, "differences": {row: {metric: interval}}}.
    """
    result = {}
    for place, cells in tqdm.tqdm(tested.places().items(), desc="score", unit="line"):
        label, groups = tested.crops.label[cells], tested.crops.group_id[cells]
        rows = {("run", name): of for name, of in runs.items()}
        rows |= {("row", row): of for row, of in tested.rows.items()}
        probs = {name: prob[cells] for name, prob in tested.probs.items()}
        reference = ("row", tested.reference) if tested.reference else None
        found = resampling.mean_scores(label, probs, rows, groups, names, reference)
        absent = [name for number, name in enumerate(tested.crops.classes) if number not in label]
        one = {"n_cells": len(cells), "n_groups": len(set(groups.tolist())), "absent": absent,
               "runs": {}, "rows": {}, "differences": {}}
        for (kind, (of, name), metric), value in found.items():
            part = {("mean", "run"): "runs", ("mean", "row"): "rows", ("difference", "row"): "differences"}
            if (kind, of) in part:
                one[part[kind, of]].setdefault(name, {})[metric] = value
        for row, of in tested.rows.items():
            for metric, value in one["rows"][row].items():
                each = [one["runs"][name][metric].value if name in runs else value.value for name in of]
                spread = {"lowest": min(each), "highest": max(each), "runs": len(of)}
                one["rows"][row][metric] = value.as_json() | spread
        result[place] = one
    return result


def write(plan, left, tested: Tested, result: dict) -> None:
    """WORKDIR/scores.parquet, scores.csv and table.md, each also under the split's name, figures, sweep.json."""
    lines = []
    for member in left:
        for place, one in result["results"].items():
            line = {"run": member.name, "row": member.row, "seed": member.config.seed, "split": result["split"],
                    "tested_on": place, "n_cells": one["n_cells"], "n_groups": one["n_groups"]}
            for metric, value in one["runs"][member.name].items():
                line |= {metric: value.value, f"{metric}_low": value.low, f"{metric}_high": value.high}
            lines.append(line)
    text, workdir = sweep_table.markdown(plan.study.name, result), plan.workdir
    for ending in (f"_{result['split']}", ""):
        files.write_table(pd.DataFrame(lines), workdir / f"scores{ending}.parquet")
        files.write_csv(pd.DataFrame(lines), workdir / f"scores{ending}.csv")
        files.write_text(workdir / f"table{ending}.md", text)
    for metric, figure in sweep_figures.draw(result).items():
        style.save(figure, workdir / "figures" / f"{metric}_{result['split']}.png")
    files.write_json(workdir / "sweep.json", {
        **sweep_plan.identity(plan), "data_dir": str(pathlib.Path(plan.data_dir).absolute()),
        "runs": {member.name: {"index": i, "row": member.row, "changes": member.changes,
                               "run_id": plan.records[member.name]["run_id"]} for i, member in enumerate(plan.members)},
        "result": result})
    print(f"\n{text}\nwrote {workdir}/table.md, scores.parquet, scores.csv, figures, sweep.json", flush=True)
