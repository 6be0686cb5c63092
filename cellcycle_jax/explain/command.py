"""`launch.py explain`: maps over validation cells, where they lie, whether they are true, and the passport."""

import dataclasses
import pathlib

import numpy as np
from tqdm import tqdm

from cellcycle_jax import files, old_names
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.errors import InputRefused, UsageError, result_or_reason
from cellcycle_jax.explain import galleries, passport
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.attribution.activations import resolve_tap, tap_names
from cellcycle_jax.explain.checks.all_checks import QUESTIONS
from cellcycle_jax.explain.checks.check import Evidence
from cellcycle_jax.explain.measurements import map_shortlist, surrogate
from cellcycle_jax.explain.regions import localisation, relevance
from cellcycle_jax.explain.regions.explained_cells import (
    DEFAULT_METHOD,
    ExplainedCells,
    sample_per_class,
)
from cellcycle_jax.figures import explain_figures, style
from cellcycle_jax.prediction import predictor
from cellcycle_jax.runs import passport_file
from cellcycle_jax.runs.config_checks import check_config
from cellcycle_jax.runs.open_data import OpenData
from cellcycle_jax.runs.trained_run import load_run

STAGES = ("maps", *(question.key for question in QUESTIONS), "measurements")


def run_explain(workdir, tap: str = "", others=(), changes=None, data: OpenData | None = None) -> pathlib.Path:
    """Explain labelled validation cells of a run; writes RUN/explain/ and figures to RUN/figures/.

    Args:
        workdir: the run folder.
        tap: activation that Grad-CAM reads; "": the one of the run's config.
        others: run folders with which maps are compared: they differ from this one in seed or permuted labels only.
        changes: {field: value} of the section `explain` of the run's config, for this call, such as the limits.
        data: as of `trained_run.load_run`.

    Returns:
        The folder RUN/explain.

    Raises:
        StoredStateRefused: a run or its data set is missing or damaged.
        InputRefused: the validation split has no labelled cell.
        UsageError: explain.tap is no activation of the model, a change is not allowed, or another run differs in
            more than seed and labels, or in neither.
    """
    folder = pathlib.Path(workdir)
    bar = tqdm(STAGES, desc="explain", unit="part")
    stages = iter(bar)
    _next(bar, stages)
    cells = cells_to_explain(_changed(load_run(workdir, data=data), changes or {}), tap)
    others = [_comparable(load_run(other, data=data), cells.run, other) for other in others]
    summary = _relevance(folder, cells)
    evidence = Evidence(cells, others)
    results = {"region_shares": cells.class_differences}
    for question in QUESTIONS:
        _next(bar, stages)
        results[question.key] = evidence.results(question)
    _next(bar, stages)
    explained, results["surrogate_why"] = result_or_reason(surrogate.explain_run, cells.run)
    results["surrogate"], residuals = explained or (None, None)
    results["shortlist"], results["shortlist_why"] = result_or_reason(map_shortlist.compare_with_others, cells)
    next(stages, None)
    _write(folder, cells, results, residuals, _about(cells, summary))
    return folder / "explain"


def _changed(run, changes: dict):
    """The run with other values in its config."""
    config = run.config.copy_and_resolve_references()
    config.update_from_flattened_dict(changes)
    check_config(config)
    return dataclasses.replace(run, config=config)


def _relevance(folder, cells) -> dict:
    """Grad-CAM of the cells: its maps, tables and galleries written, its summary returned."""
    run = cells.run
    crops = cells.crops
    maps, prob = relevance.class_maps(run.network, cells.images, run.config.explain.tap)
    table = relevance.relevance_table(crops, maps, prob)
    summary = relevance.summarise(table, crops, maps, run.config.data.mask, cells.resampling)
    summary |= {"step": run.step, "run_id": run.run_id}
    _clear(folder)
    predicted = prob.argmax(1)
    means = np.stack([galleries.mean_map(maps[predicted == k, k]) for k in range(maps.shape[1])])
    _write_maps(folder / "explain", cells, maps, means, prob, table, summary)
    galleries.draw_galleries(folder / "figures", crops, cells.images, maps, prob, means, list(run.channels))
    return summary


def _clear(folder) -> None:
    """Remove what an earlier call found, so that nothing of it stays beside new maps where a check cannot be made."""
    for name in ("passport.json", "checks.json", "region_shares.csv", "residuals.csv", *old_names.EXPLAIN_FILES):
        (folder / "explain" / name).unlink(missing_ok=True)
    for name in (*passport_file.PICTURES, *old_names.EXPLAIN_FIGURES.values()):
        (folder / "figures" / f"{name}.png").unlink(missing_ok=True)


def _next(bar, stages):
    bar.set_postfix_str(next(stages))


def cells_to_explain(run, tap: str | None = None) -> ExplainedCells:
    """The cells to explain, and the run with its tap resolved."""
    config = run.config
    crops = run.crops_of_lines("validation")
    rng = np.random.default_rng(config.seed)
    rows = sample_per_class(crops.label, len(crops.classes), config.explain.cells_per_class, rng)
    if not len(rows):
        raise InputRefused(f"{run.data_dir}: the validation split has no labelled cell to explain; label more cells")
    crops = crop_arrays.in_memory(crop_arrays.take(crops, rows))
    images = run.images(crops)
    names = tap_names(run.network, images.shape[1:])
    with config.unlocked():
        config.explain.tap = resolve_tap(names, tap or config.explain.tap)
    return ExplainedCells(run, crops, images, methods.logits_of(run.network, images))


def _comparable(other, run, name):
    """The other run, if its maps say something beside those of this one."""
    own = _compared(run)
    theirs = _compared(other)
    differing = [name for name in own if own[name] != theirs[name]]
    same_seed = other.config.seed == run.config.seed
    same_labels = other.config.data.labels == run.config.data.labels
    if differing:
        reason = f"differs in {', '.join(differing)}"
    elif other.run_id == run.run_id:
        reason = "is the run that is explained"
    elif same_seed and same_labels:
        reason = f"has the same seed ({run.config.seed}) and the same labels as the run that is explained"
    else:
        return other
    raise UsageError(f"--others={name}: {reason}; give a run that differs in its seed or labels only")


def _compared(run) -> dict:
    """What runs must share for their maps to be compared."""
    return {
        "model": run.network.model,
        "channels": run.channels,
        "classes": run.classes,
        "crop size": run.crop_px,
        "mask": run.config.data.mask,
        "scale": run.config.data.scale,
    }


def _about(cells, summary) -> dict:
    """What every part of the passport stands on."""
    run = cells.run
    return {
        "classes": summary["classes"],
        "interval_level": summary["interval_level"],
        "stain": summary["stain"],
        "n_cells": summary["n_cells"],
        "n_groups": summary["n_groups"],
        "group_by": summary["group_by"],
        "channels": list(run.channels),
        "mask": run.config.data.mask,
        "kept_weights": run.config.train.kept_weights,
        "method": DEFAULT_METHOD,
        "limits": run.config.explain.limits.to_dict(),
        "step": run.step,
        "run_id": run.run_id,
    }


def _write(folder, cells, results, residuals, about) -> None:
    """The passport, what it stands on, and its figures."""
    out = folder / "explain"
    files.write_csv(results["region_shares"], out / "region_shares.csv")
    if residuals is not None:
        files.write_csv(residuals, out / "residuals.csv")
    keys = [question.key for question in QUESTIONS]
    files.write_sealed_json(out / "checks.json", {key: results[key] for key in (*keys, "surrogate", "shortlist")})
    finished = files.to_json(passport.make_passport(results, about))
    passport_file.write_passport(folder, finished)
    predictor.add_verdict(folder, finished)
    _draw(folder / "figures", cells, results, residuals, about)


def _draw(folder, cells, results, residuals, about) -> None:
    if residuals is not None:
        galleries.draw_residuals(cells.run, residuals, folder / "residuals.png")
    region_shares = results["region_shares"]
    if len(region_shares):
        split = f"Validation split: {about['n_cells']:,} cells, {about['n_groups']} groups ({about['group_by']})"
        rows = region_shares.to_dict("records")
        style.save(explain_figures.region_shares(rows, about, split), folder / "region_shares.png")
    few = f"{len(cells.few.crops)} validation cells"
    edits = results["edits"]
    if edits["rows"]:
        figure = explain_figures.dose_response(edits["rows"], edits["class"], few, about["interval_level"])
        style.save(figure, folder / "edits.png")
    style.save(explain_figures.curves(results["faithfulness"], few), folder / "faithfulness.png")


def _write_maps(folder, cells, maps, means, prob, table, summary) -> None:
    """Grad-CAM of all cells, where it lies, and the mean map of each class."""
    crops = cells.crops
    arrays = {
        "maps": maps,
        "mean": means,
        "prob": prob,
        "cell_id": crops.cell_id,
        "label": crops.label,
        "predicted": prob.argmax(1),
        "classes": np.array(crops.classes),
        "tap": np.array(cells.run.config.explain.tap),
    }
    with files.atomic_path(folder / "maps.npz") as temporary:
        np.savez_compressed(temporary, **arrays)
    files.write_table(table, folder / "attribution.parquet", dict.fromkeys(localisation.MEASURES, "1"))
    files.write_sealed_json(folder / "summary.json", summary)
