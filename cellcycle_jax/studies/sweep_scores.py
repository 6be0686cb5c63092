"""Scores of all runs of a study on one split: each run, the mean over seeds, what it leads by, and the baselines."""

import dataclasses

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
from cellcycle_jax.scoring import calibration, holm, intervals
from cellcycle_jax.studies import sweep_figures, sweep_plan, sweep_table
from cellcycle_jax.studies.sweep_plan import DIVERGED, FINISHED
from cellcycle_jax.studies.sweep_table import ALL_LINES

SCORES = ("auroc", "balanced_accuracy")  # in scores.parquet, whatever the table shows
# (what was scored, of what) in `mean_scores` -> where it stands in the scores of a place.
PARTS = {
    ("mean", "run"): "runs",
    ("mean", "row"): "rows",
    ("difference", "row"): "differences",
}


@dataclasses.dataclass(frozen=True)
class Tested:
    """The labelled cells that the runs are scored on."""

    split: str
    crops: crop_arrays.Crops
    probs: dict[str, np.ndarray]  # predictor, a run or a baseline -> f [N, P]
    rows: dict[str, list[str]]  # row of the table -> its predictors
    reference: str | None  # the row that others are compared with

    def places(self) -> dict[str, np.ndarray]:
        """All lines, and each one -> rows of its cells, i64."""
        lines = self.crops.cell_line
        places = {ALL_LINES: np.arange(len(lines))}
        for line in sorted(set(lines.tolist())):
            places[line] = np.flatnonzero(lines == line)
        return places


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
    trained = [member for member in plan.members if states[member.name][0] == FINISHED]
    diverged = {name: step for name, (state, step) in states.items() if state == DIVERGED}
    if not trained:
        raise NonFiniteLoss("every run diverged; lower optimizer.learning_rate", max(diverged.values()))
    split = "test" if final else "validation"
    tested, last_run = predict(plan, trained, split)
    table = plan.study.table
    config = plan.study.config.evaluate
    resampling = intervals.Resampling.of_config(config, evaluate.RESAMPLING_SEED)
    metrics = tuple(dict.fromkeys((*SCORES, *table.scores)))
    runs = {}
    trained_on = {}
    for member in trained:
        runs[member.name] = [member.name]
        trained_on[member.row] = list(member.config.data.cell_lines or plan.data.cell_lines)
    result = {
        "split": split,
        "rows": table.rows,
        "columns": table.columns,
        "scores": table.scores,
        "reference": tested.reference,
        "interval_level": config.interval_level,
        "classes": tested.crops.classes,
        "group_by": tested.crops.group_by,
        "results": score(tested, runs, metrics, resampling),
        "members": _runs_of_rows(trained),
        "trained_on": trained_on,
        "diverged": diverged,
        "notes": sweep_table.notes(plan, tested, last_run),
        "seconds": _training_seconds(plan.workdir),
    }
    write(plan, trained, tested, result)


def _runs_of_rows(members) -> dict[str, list[str]]:
    """Row of the table -> names of its runs."""
    runs_of_row = {}
    for member in members:
        runs_of_row.setdefault(member.row, []).append(member.name)
    return runs_of_row


def _training_seconds(workdir) -> float:
    events = metric_log.read(workdir)
    return round(sum(event["seconds"] for event in events if event["event"] == "trained"), 1)


def predict(plan, trained, split: str):
    """What the finished runs, and the baselines, predict for the labelled cells of a split.

    Returns:
        `Tested`, and the run of the last row.

    Raises:
        InputRefused: the split holds no labelled cell of the lines.
        StoredStateRefused: a run or the data set is damaged.
    """
    runs = {}
    for member in trained:
        runs[member.name] = load_run(plan.folder(member.name), finished=True, data=plan.opened)
    is_final = split == "test"
    if is_final:
        for run in runs.values():
            evaluate.log_opening(run)
    crops = plan.opened.crops(split, is_final)
    labelled = (crops.label != schema.NO_LABEL) & np.isin(crops.cell_line, plan.data.cell_lines)
    if not labelled.any():
        lines = ", ".join(plan.data.cell_lines)
        raise InputRefused(f"{plan.data_dir}: the {split} split holds no labelled cell of {lines}")
    crops = memory.read_if_they_fit(crop_arrays.take(crops, labelled))
    probs = {}
    for name, run in tqdm.tqdm(runs.items(), desc=f"predict {split}", unit="run"):
        probs[name] = calibration.Calibration.none(len(run.classes)).probabilities(run.predict_logits(crops))
    rows = _runs_of_rows(trained)
    last_row = plan.members[-1].row
    last_run = runs[rows[last_row][0] if last_row in rows else trained[-1].name]
    if plan.study.table.columns == "scores":
        cells = cell_table.unlocked(plan.opened.all_cells, is_final)
        baselines = evaluate.fit_simple(last_run)
        for name, prob in baselines.predict(cell_table.rows_by_id(cells, crops.cell_id)).items():
            probs[name] = prob
            rows[name] = [name]
    compares = plan.study.table.compare_with_last and last_row in rows
    return Tested(split, crops, probs, rows, last_row if compares else None), last_run


def score(tested: Tested, runs: dict, names, resampling: intervals.Resampling) -> dict:
    """Scores on the cells of all lines and of each.

    Returns:
        place -> {"n_cells", "n_groups", "absent": classes without a cell, "runs": {run: {metric: interval}}, "rows":
        {row: {metric: interval with lowest and highest of its runs}}, "differences": {row: {metric: interval}},
        whose `p` are corrected for all rows and metrics of the place}.
    """
    result = {}
    for place, cells in tqdm.tqdm(tested.places().items(), desc="score", unit="line"):
        result[place] = _score_cells(tested, cells, runs, names, resampling)
    return result


def _score_cells(tested, cells, runs, names, resampling):
    """Scores on some rows of the tested cells; see `score`."""
    label = tested.crops.label[cells]
    groups = tested.crops.group_id[cells]
    probs = {name: prob[cells] for name, prob in tested.probs.items()}
    predictors = {}
    for source, names_of in (("run", runs), ("row", tested.rows)):
        for name in names_of:
            predictors[source, name] = names_of[name]
    reference = ("row", tested.reference) if tested.reference else None
    mean_scores = resampling.mean_scores(label, probs, predictors, groups, names, reference)
    scores = {
        "n_cells": len(cells),
        "n_groups": len(set(groups.tolist())),
        "absent": [name for number, name in enumerate(tested.crops.classes) if number not in label],
        "runs": {},
        "rows": {},
        "differences": {},
    }
    for (kind, (source, name), metric), interval in mean_scores.items():
        part = PARTS.get((kind, source))
        if part is not None:
            scores[part].setdefault(name, {})[metric] = interval
    scores["differences"] = holm.corrected(scores["differences"])
    for row, of_row in tested.rows.items():
        for metric, interval in scores["rows"][row].items():
            values = []
            for name in of_row:
                own = scores["runs"][name][metric] if name in runs else interval
                values.append(own.value)
            spread = {"lowest": min(values), "highest": max(values), "runs": len(values)}
            scores["rows"][row][metric] = interval.as_json() | spread
    return scores


def write(plan, trained, tested: Tested, result: dict) -> None:
    """WORKDIR/scores.parquet, scores.csv and table.md, each also under the split's name, figures, sweep.json."""
    workdir = plan.workdir
    scores = _score_table(trained, result)
    text = sweep_table.markdown(plan.study.name, result)
    for ending in (f"_{result['split']}", ""):
        files.write_table(scores, workdir / f"scores{ending}.parquet")
        files.write_csv(scores, workdir / f"scores{ending}.csv")
        files.write_text(workdir / f"table{ending}.md", text)
    for metric, figure in sweep_figures.draw(result).items():
        style.save(figure, workdir / "figures" / f"{metric}_{result['split']}.png")
    runs = {}
    for index, member in enumerate(plan.members):
        runs[member.name] = {
            "index": index,
            "row": member.row,
            "changes": member.changes,
            "run_id": plan.records[member.name]["run_id"],
        }
    record = sweep_plan.identity(plan)
    record |= {"data_dir": str(plan.data_dir.absolute()), "runs": runs, "result": result}
    files.write_json(workdir / "sweep.json", record)
    print(f"\n{text}\nwrote {workdir}/table.md, scores.parquet, scores.csv, figures, sweep.json", flush=True)


def _score_table(trained, result) -> pd.DataFrame:
    """One row for each finished run and place that it is tested on."""
    rows = []
    for member in trained:
        for place, scores in result["results"].items():
            row = {
                "run": member.name,
                "row": member.row,
                "seed": member.config.seed,
                "split": result["split"],
                "tested_on": place,
                "n_cells": scores["n_cells"],
                "n_groups": scores["n_groups"],
            }
            for metric, interval in scores["runs"][member.name].items():
                row[metric] = interval.value
                row[f"{metric}_low"] = interval.low
                row[f"{metric}_high"] = interval.high
            rows.append(row)
    return pd.DataFrame(rows)
