"""Which measurements, and which pairs of them, separate the classes - and whether the network is unsure between them.

Everything is chosen on the training split and scored on validation cells; the test split enters only where it was
opened before, to score the rule that was chosen.
"""

import dataclasses
import pathlib

import numpy as np
import pandas as pd

from cellcycle_jax import files, old_names, schema
from cellcycle_jax.dataset import cell_table
from cellcycle_jax.errors import StoredStateRefused
from cellcycle_jax.features import feature_axes, ranking, rule
from cellcycle_jax.features.feature_axes import ProjectedCells
from cellcycle_jax.figures import scatter, style
from cellcycle_jax.runs.stored_run import StoredRun, open_run
from cellcycle_jax.scoring import intervals


@dataclasses.dataclass(frozen=True)
class MeasuredCells:
    """The cells of a run, with what is needed to rank their measurements.

    Attributes:
        train: accepted cells of the training split; everything is chosen on the labelled ones.
        validation: accepted cells of the validation split, on the labelled ones of which everything is scored.
        channels: channels whose measurements are ranked, beside the shape of the nucleus.
        markers: channels that label the cells, whose measurements are never ranked.
        classes: names of the classes; the last is the positive one.
        confidence: calibrated probability of the predicted class of validation cells, indexed by cell id.
        predicted: class that the network calls them, indexed alike.
        units: unit of each measurement column.
        circular: channel of whose intensity the labels were made, "" for none; its intensities are not ranked.
        opened: the test split; None where it is locked.
    """

    train: pd.DataFrame
    validation: pd.DataFrame
    channels: tuple[str, ...]
    markers: tuple[str, ...]
    classes: tuple[str, ...]
    confidence: pd.Series
    predicted: pd.Series
    units: dict[str, str]
    circular: str = ""
    opened: "OpenedTest | None" = None


@dataclasses.dataclass(frozen=True)
class OpenedTest:
    """The test split, where `evaluate --final` opened it before.

    Attributes:
        cells: accepted cells of the test split.
        predicted: class that the network calls them, indexed by cell id.
    """

    cells: pd.DataFrame
    predicted: pd.Series


def describe(summary: dict) -> str:
    """The result in plain words, with what the intervals allow to say."""
    rho = summary["spearman"]
    if not np.isfinite(rho.low):
        trust = "How sure the network is near the line cannot be said of so few groups"
    elif rho.low > 0:
        trust = "The network is less sure the nearer a cell lies to the line"
    elif rho.high < 0:
        trust = "The network is surer the nearer a cell lies to the line"
    else:
        trust = "How sure the network is does not clearly depend on how near a cell lies to the line"
    names = f"{summary['x']['name']} and {summary['y']['name']}"
    return (
        f"{names} together sort {summary['n_cells']} validation cells ({summary['n_groups']} groups) into "
        f"{' and '.join(summary['classes'])} with a balanced accuracy of {summary['balanced_accuracy'].percent()}. "
        f"{trust}: Spearman {rho.text()}."
    )


def _summarise(
    best: pd.Series, train: ProjectedCells, validation: ProjectedCells, axes, confidence, classes, resampling
) -> tuple:
    """The best pair as a record, and its validation cells to draw."""
    pair = best[["feature_x", "feature_y"]].tolist()
    x, y = pair
    points, has_both = train.points(pair)
    line = feature_axes.DecisionLine.fit(points, train.positive[has_both])
    held_out, is_held_out = validation.points(pair)
    groups = validation.groups[is_held_out]
    positive = validation.positive[is_held_out]
    cell_ids = validation.rows.loc[is_held_out, schema.CELL_ID]
    sure = confidence.reindex(cell_ids).to_numpy(np.float64)
    if not np.isfinite(sure).any():
        raise StoredStateRefused("predictions_validation.parquet: none of the labelled validation cells has a "
                                 "confidence; run evaluate again on the data set of this run")
    two_classes = [feature_axes.negative(classes), classes[-1]]
    axis_of = {axis.feature: axis for axis in axes}
    summary = {
        **ranking.score(line.decision(held_out), positive, groups, resampling),
        "spearman": resampling.spearman(sure, line.distance(held_out), groups),
        "classes": two_classes,
        "n_cells": len(held_out),
        "n_groups": len(np.unique(groups)),
        "interval_level": resampling.level,
        "intercept": line.intercept,
        "rule": f"{classes[-1]} where x.coefficient * u + y.coefficient * v + intercept > 0; u and v are the shown "
                "values of x and y, or their natural logarithms where scale is log",
        "near_duplicate": bool(best["near_duplicate"]),
        "x": _axis_record(axis_of[x], line.coefficients[0]),
        "y": _axis_record(axis_of[y], line.coefficients[1]),
    }
    shown = validation.shown[is_held_out]
    cells = scatter.PairCells(shown[x].to_numpy(), shown[y].to_numpy(), positive.astype(int), two_classes, sure)
    return summary, cells


def _axis_record(axis: feature_axes.FeatureAxis, coefficient) -> dict:
    name = schema.readable(axis.feature)
    return {
        "feature": axis.feature,
        "name": name,
        "label": scatter.axis_label(name, axis.unit),
        "unit": axis.unit,
        "scale": "log" if axis.log else "linear",
        "coefficient": float(coefficient),
        "line_medians": axis.medians,
        "median_of_other_lines": axis.other if axis.medians else None,
    }


def draw(summary: dict, cells: scatter.PairCells):
    """The figure of the best pair; see `scatter.draw_pair`."""
    x = summary["x"]
    y = summary["y"]
    plane = scatter.Plane(
        labels=(x["label"], y["label"]),
        logs=(x["scale"] == "log", y["scale"] == "log"),
        coefficients=(x["coefficient"], y["coefficient"]),
        intercept=summary["intercept"],
    )
    rho = summary["spearman"].text()
    title = (f"Confidence of the network against distance from the line: Spearman {rho}\n"
             f"{summary['n_cells']} validation cells, {summary['n_groups']} groups; in brackets "
             f"{100 * summary['interval_level']:.0f} % intervals")
    subtitle = f"By phase; balanced accuracy {summary['balanced_accuracy'].percent()}"
    return scatter.draw_pair(cells, plane, title, subtitle)


def discover(
    data: MeasuredCells,
    out_dir,
    candidates: int,
    resampling: intervals.Resampling,
    about: dict | None = None,
) -> dict:
    """Rank measurements and pairs and look for a rule.

    Writes ranking.csv, pairs.csv, pair.png, pair.json, and the files of `rule.write` to `out_dir`.

    Args:
        data: the cells and what is known of them.
        out_dir: folder to write to.
        candidates: number of single measurements that form pairs.
        resampling: how intervals are made.
        about: what else pair.json holds: step and run_id of the weights that `data.confidence` is from.

    Returns:
        What pair.json holds.

    Raises:
        InputRefused: a class is absent, or fewer than two measurements vary.
        StoredStateRefused: no validation cell has a confidence.
    """
    classes = data.classes
    labelled = data.train[data.train[schema.LABEL].isin(list(classes))]
    features = []
    for column in cell_table.measurements(data.train, data.channels, data.markers):
        if not cell_table.is_intensity_of(column, data.circular):
            features.append(column)
    axes = feature_axes.learn_axes(labelled, features, data.units)
    train = feature_axes.place(data.train, axes, classes, "train")
    validation = feature_axes.place(data.validation, axes, classes, "validation")
    ranked, pairs = ranking.rank(train, validation, axes, classes, candidates, resampling)
    best = pairs.iloc[0]
    summary, cells = _summarise(best, train, validation, axes, data.confidence, classes, resampling)
    summary["sentence"] = describe(summary)
    summary |= about or {}
    summary["rule_to_take_away"] = _write_rule(pathlib.Path(out_dir), data, labelled, axes, resampling, about or {})
    _write(pathlib.Path(out_dir), ranked, pairs, summary, draw(summary, cells))
    return summary


def _write_rule(folder: pathlib.Path, data: MeasuredCells, labelled, axes, resampling, about: dict) -> str:
    """Look for a rule, write it, and say how good it is.

    Where no cut tells the classes, that is said, and what an earlier call wrote is removed.
    """
    shown, _ = feature_axes.coordinates(labelled, axes, "train")
    rules = rule.grow_all(shown, labelled[schema.LABEL].to_numpy(str))
    if not rules:
        for name in rule.FILES:
            (folder / name).unlink(missing_ok=True)
        return "No cut in a measurement tells the classes, so there is no rule."
    compared = [_compare(one, data.validation, data.predicted, data, axes, "validation", resampling) for one in rules]
    chosen = rule.choose(rules, compared)
    on_test = None
    if data.opened is not None:
        on_test = _compare(chosen.rule, data.opened.cells, data.opened.predicted, data, axes, "test", resampling)
    tables = []
    for rows, split in ((data.train, "train"), (data.validation, "validation")):
        shown, _ = feature_axes.coordinates(rows, axes, split)
        tables.append(rule.columns(chosen.rule, rows, shown, data.classes))
    cells = pd.concat(tables, ignore_index=True)
    rule.write(chosen, {axis.feature: axis for axis in axes}, cells, on_test, folder, about)
    return rule.describe(chosen)


def _compare(one: rule.Rule, rows, predicted, data: MeasuredCells, axes, split: str, resampling) -> rule.Compared:
    """A rule beside the network on the labelled cells of a split that the network was asked about."""
    is_asked = rows[schema.LABEL].isin(list(data.classes)) & rows[schema.CELL_ID].isin(predicted.index)
    rows = rows[is_asked]
    shown, _ = feature_axes.coordinates(rows, axes, split)
    of_network = predicted.loc[rows[schema.CELL_ID]].to_numpy(str)
    label = rows[schema.LABEL].to_numpy(str)
    return rule.compare(one.calls(shown), of_network, label, rows[schema.GROUP].to_numpy(str), resampling)


def _write(folder: pathlib.Path, features: pd.DataFrame, pairs: pd.DataFrame, summary: dict, figure) -> None:
    files.write_csv(features, folder / "ranking.csv")
    files.write_csv(pairs, folder / "pairs.csv")
    hashes = {name: files.sha256(folder / name) for name in ("ranking.csv", "pairs.csv")}
    style.save(figure, folder / "pair.png")
    files.write_sealed_json(folder / "pair.json", summary | {"sha256": hashes})


def _read_predictions(path: pathlib.Path, recorded: str | None) -> pd.DataFrame:
    """Confidence and predicted class of cells, by their names."""
    if not path.is_file():
        raise StoredStateRefused(f"{path}: no such file; run evaluate on this run folder first")
    if recorded and files.sha256(path) != recorded:
        raise StoredStateRefused(f"{path}: not what evaluate wrote; run evaluate on this run folder again")
    try:
        predictions = pd.read_parquet(path).rename(columns=old_names.PREDICTION_COLUMNS)
        predictions = predictions[[schema.CELL_ID, "confidence", "predicted"]]
    except Exception as error:  # pyarrow raises many kinds for damaged bytes and for a missing column
        reason = (str(error).splitlines() or ["damaged"])[0]
        raise StoredStateRefused(f"{path}: not readable ({reason}); run evaluate on this run folder again") from None
    return predictions.drop_duplicates(schema.CELL_ID).set_index(schema.CELL_ID)


def _read_evaluation(workdir: pathlib.Path) -> tuple[int, str | None]:
    """Step of the weights that the validation predictions are from, and the SHA-256 of these, None where unknown."""
    path = workdir / "evaluation_validation.json"
    try:
        evaluation = files.read_json(path)
        return evaluation["step"], evaluation.get("predictions_sha256")
    except (FileNotFoundError, ValueError, KeyError):
        raise StoredStateRefused(f"{path}: missing or damaged; run evaluate on this run folder again") from None


def run_discover(workdir) -> dict:
    """Discover for the run in `workdir`: reads its config, its data set and its validation predictions.

    Returns:
        What RUN/features/pair.json holds.

    Raises:
        StoredStateRefused: the run folder or the data set lacks a file, or one is damaged.
        InputRefused: see `discover`.
    """
    run = open_run(workdir)
    config = run.config
    step, recorded = _read_evaluation(run.workdir)
    predictions = _read_predictions(run.workdir / "predictions_validation.parquet", recorded)
    cells = _of_lines(run, run.data.cells)
    data = MeasuredCells(
        train=cells[cells[schema.SPLIT] == "train"],
        validation=cells[cells[schema.SPLIT] == "validation"],
        channels=tuple(channel for channel in run.channels if channel not in run.markers),
        markers=run.markers,
        classes=run.classes,
        confidence=predictions["confidence"],
        predicted=predictions["predicted"],
        units=cell_table.units(run.data_dir, cells.columns),
        circular=cell_table.label_intensity(run.data_dir),
        opened=_opened(run, step),
    )
    resampling = intervals.Resampling.of_config(config.evaluate, config.seed)
    about = {"step": step, "run_id": run.run_id}
    return discover(data, run.workdir / "features", config.discover.n_candidates, resampling, about)


def _of_lines(run: StoredRun, cells: pd.DataFrame) -> pd.DataFrame:
    """The cells of the lines that a run is about."""
    lines = list(run.config.data.cell_lines)
    return cells[cells[schema.CELL_LINE].isin(lines)] if lines else cells


def _opened(run: StoredRun, step: int) -> OpenedTest | None:
    """The test split, if it was opened for the weights of this step; None where it is locked."""
    path = run.workdir / "evaluation_test.json"
    if not path.is_file():
        return None
    evaluation = files.read_json(path)
    if evaluation.get("step") != step:
        return None
    predictions = _read_predictions(run.workdir / "predictions_test.parquet", evaluation.get("predictions_sha256"))
    cells = _of_lines(run, cell_table.unlocked(run.data.all_cells, final=True))
    return OpenedTest(cells[cells[schema.SPLIT] == "test"], predictions["predicted"])
