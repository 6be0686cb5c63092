"""`launch.py explain`: maps over validation cells, where they lie, whether they are true, and the passport."""

import dataclasses
import math
import pathlib

import jax
import numpy as np
import pandas as pd
from tqdm import tqdm

from cellcycle_jax import files, schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.errors import InputRefused, UsageError, result_or_reason
from cellcycle_jax.explain import galleries, passport
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.attribution.activations import resolve_tap, tap_names
from cellcycle_jax.explain.checks.all_checks import QUESTIONS
from cellcycle_jax.explain.checks.check import Evidence
from cellcycle_jax.explain.checks.limits import limits_of
from cellcycle_jax.explain.measurements import map_shortlist, surrogate
from cellcycle_jax.explain.regions import localisation
from cellcycle_jax.explain.regions.explained_cells import (
    COARSE_METHOD,
    DEFAULT_METHOD,
    ExplainedCells,
    sample_per_class,
)
from cellcycle_jax.figures import explain_figures, style
from cellcycle_jax.prediction import predictor
from cellcycle_jax.runs import passport_file
from cellcycle_jax.runs.trained_run import load_run
from cellcycle_jax.scoring.intervals import Resampling

STAGES = ("maps", *(question.key for question in QUESTIONS), "measurements")
DRAWN = ("where", "edits", "faithfulness", "residuals")  # pictures beside those of galleries.draw_galleries


def run_explain(workdir, tap: str = "", others=()) -> pathlib.Path:
    """Explain labelled validation cells of a run; writes RUN/explain/ and pictures to RUN/figures/.

    Args:
        workdir: the run folder.
        tap: activation that Grad-CAM reads; "": the one of the run's config.
        others: run folders with which maps are compared: they differ from this one in seed or permuted labels only.

    Returns:
        The folder RUN/explain.

    Raises:
        StoredStateRefused: a run or its data set is missing or damaged.
        InputRefused: the validation split has no labelled cell.
        UsageError: explain.tap is no activation of the model, or another run differs in more than seed and labels, or
            in neither.
    """
    folder, bar = pathlib.Path(workdir), tqdm(STAGES, desc="explain", unit="part")
    parts = iter(bar)
    _next(bar, parts)
    cells = _cells(load_run(workdir), tap)
    others = [_comparable(load_run(other), cells.run, other) for other in others]
    crops, chosen = cells.crops, cells.run.config
    maps, prob = class_maps(cells.run.model, cells.run.variables, cells.images, chosen.explain.tap)
    table = attribution(crops, maps, prob)
    summary = summarise(table, crops, maps, chosen.data.mask, cells.resampling)
    _clear(folder)
    _write_maps(folder / "explain", cells, maps, prob, table, summary | {"step": cells.run.step,
                                                                         "run_id": cells.run.run_id})
    galleries.draw_galleries(folder / "figures", crops, cells.images, maps, prob, list(cells.run.channels))
    evidence = Evidence(cells, others)
    found = {"where": cells.class_differences}
    for question in QUESTIONS:
        _next(bar, parts)
        found[question.key] = evidence.answer(question)
    _next(bar, parts)
    words, found["words_why"] = result_or_reason(surrogate.explain_run, cells.run)
    found["words"], left = words or (None, None)
    found["hint"], found["hint_why"] = result_or_reason(map_shortlist.compare_with_others, cells)
    next(parts, None)
    _write(folder, cells, found, left, _about(cells, summary))
    return folder / "explain"


def _clear(folder) -> None:
    """Remove what an earlier call found, so that nothing of it stays beside new maps where a check cannot be made."""
    left = [folder / "explain" / name for name in ("passport.json", "checks.json", "where.csv", "residuals.csv")]
    for path in [*left, *(folder / "figures" / f"{name}.png" for name in DRAWN)]:
        path.unlink(missing_ok=True)


def _next(bar, parts):
    bar.set_postfix_str(next(parts))


def _cells(run, tap) -> ExplainedCells:
    """The cells to explain, and the run with its tap resolved."""
    config = run.config
    crops = crop_arrays.take_lines(
        crop_arrays.load_crops(run.data_dir, "validation", pixels=False), config.data.cell_lines
    )
    rows = sample_per_class(crops.label, len(crops.classes), config.explain.cells, np.random.default_rng(config.seed))
    if not len(rows):
        raise InputRefused(f"{run.data_dir}: the validation split has no labelled cell to explain; label more cells")
    crops = crop_arrays.in_memory(crop_arrays.take(crops, rows))
    images = run.images(crops)
    with config.unlocked():
        config.explain.tap = resolve_tap(tap_names(run.model, run.variables, images.shape[1:]),
                                         tap or config.explain.tap)
    return ExplainedCells(run, crops, images, methods.logits_of(run.model, run.variables, images))


def _comparable(other, run, name):
    """The other run, if its maps tell something beside those of this one."""
    own, theirs = ({"model": one.model, "channels": one.channels, "classes": one.classes, "crop size": one.crop_px,
                    "mask": one.config.data.mask, "scale": one.config.data.scale} for one in (run, other))
    drawn, again = ((one.config.seed, one.config.data.labels) for one in (run, other))
    if differing := [what for what in own if own[what] != theirs[what]]:
        found = f"differs in {', '.join(differing)}"
    elif other.run_id == run.run_id:
        found = "is the run that is explained"
    elif again == drawn:
        found = f"has the same seed ({run.config.seed}) and the same labels as the run that is explained"
    else:
        return other
    raise UsageError(f"--others={name}: {found}; give a run that differs in its seed or labels only")


def _about(cells, summary) -> dict:
    """What every part of the passport stands on."""
    shared = ("classes", "confidence", "stain", "n_cells", "n_groups", "group_by")
    return {**{name: summary[name] for name in shared}, "channels": list(cells.run.channels),
            "mask": cells.run.config.data.mask, "method": DEFAULT_METHOD,
            "limits": dataclasses.asdict(limits_of(cells.run)), "step": cells.run.step,
            "run_id": cells.run.run_id}  # fmt: skip


def _write(folder, cells, found, left, about) -> None:
    """The passport, what it stands on, and its pictures."""
    out, drawn = folder / "explain", folder / "figures"
    files.write_csv(found["where"], out / "where.csv")
    if left is not None:
        files.write_csv(left, out / "residuals.csv")
        galleries.draw_residuals(cells.run, left, drawn / "residuals.png")
    answers = [*(question.key for question in QUESTIONS), "words", "hint"]
    files.write_sealed_json(out / "checks.json", {key: found[key] for key in answers})
    made = files.plain(passport.make_passport(found, about))
    passport_file.write_passport(folder, made)
    predictor.add_verdict(folder, made)
    head = f"Validation split: {about['n_cells']:,} cells, {about['n_groups']} groups ({about['group_by']})"
    few = f"{len(cells.few.crops)} validation cells"
    if len(found["where"]):
        style.save(explain_figures.where(found["where"].to_dict("records"), about, head), drawn / "where.png")
    if found["edited"]["rows"]:
        style.save(
            explain_figures.dose_response(found["edited"]["rows"], found["edited"]["class"], few, about["confidence"]),
            drawn / "edits.png",
        )
    style.save(explain_figures.curves(found["faithful"], few), drawn / "faithfulness.png")


def class_maps(model, variables, images: np.ndarray, tap: str) -> tuple[np.ndarray, np.ndarray]:
    """Grad-CAM of every class for every cell, cut at zero.

    Args:
        model: Flax module, `(image, train) -> (logits, taps)`.
        variables: its parameters.
        images: f32 [N, S, S, K].
        tap: activation to read.

    Returns:
        maps f32 [N, P, h, w] at the size of the tap, and prob f32 [N, P] without temperature scaling.
    """
    maps, logits = methods.class_maps(model, variables, images, tap)
    return np.maximum(maps, 0).astype(np.float32), np.asarray(jax.nn.softmax(logits), np.float32)


def attribution(crops, maps: np.ndarray, prob: np.ndarray) -> pd.DataFrame:
    """One row per cell, class and place: the columns of attribution.parquet.

    Args:
        crops: `crop_arrays.Crops` of the N cells.
        maps: f32 [N, P, h, w].
        prob: f32 [N, P].
    """
    names, sized = np.array(crops.classes), galleries.resized(maps, crops.image.shape[1])
    cells = pd.DataFrame({schema.CELL_ID: crops.cell_id, "group": crops.group_id, "label": names[crops.label],
                          "predicted": names[prob.argmax(1)]})  # fmt: skip
    each = [localisation.localise_all(sized[:, p, ..., None], crops.compartments, crops.compartments_present)
            for p in range(len(names))]  # fmt: skip
    tables = [
        localisation.tabulate(found, cells, name, COARSE_METHOD) for found, name in zip(each, names, strict=True)
    ]
    return pd.concat(tables, ignore_index=True)


def summarise(table: pd.DataFrame, crops, maps: np.ndarray, mask: str, resampling: Resampling) -> dict:
    """What the report says about where the model looks; written as summary.json."""
    confidence = resampling.confidence
    found = localisation.summarise(table, resampling)
    stain = crops.stains[0] if crops.stains else ""
    side, step = crops.image.shape[1], crops.image.shape[1] / maps.shape[-1]
    size = galleries.um_per_px(crops) * step
    coarse = f"One pixel of a map covers {step:g} of the {side} px of the crop"
    notes = [coarse + (f", {size:.1f} µm; finer than that nothing can be told apart." if math.isfinite(size) else ".")]
    if blank := [place for place in localisation.BLANK[mask] if place in set(found.get("compartment", ()))]:
        notes.append(f"The model sees zeros in these places: {', '.join(blank)}. Relevance there is a constant of the "
                     "network, not something it saw.")
    if table.empty:
        notes.append("The outline of the nucleus is not known for these cells, so no place can be named.")
    if empty := int(((maps > 0).sum((2, 3)) == 0).sum()):
        of = maps.shape[0] * maps.shape[1]
        notes.append(f"{empty:,} of {of:,} maps hold no evidence for their class and are left out.")
    return {
        "classes": list(crops.classes), "confidence": confidence, "stain": stain, "n_cells": len(crops),
        "n_groups": len(set(crops.group_id.tolist())), "group_by": crops.group_by, "rows": found.to_dict("records"),
        "sentences": {
            c: localisation.sentence(c, found, confidence, COARSE_METHOD, stain, mask) for c in crops.classes
        },
        "notes": notes,
    }  # fmt: skip


def _write_maps(folder, cells, maps, prob, table, summary) -> None:
    crops, predicted = cells.crops, prob.argmax(1)
    means = np.stack([galleries.mean_map(maps[predicted == p, p]) for p in range(maps.shape[1])])
    arrays = {"maps": maps, "mean": means, "prob": prob, "cell_id": crops.cell_id, "label": crops.label,
              "predicted": predicted, "classes": np.array(crops.classes),
              "tap": np.array(cells.run.config.explain.tap)}  # fmt: skip
    with files.replacing(folder / "maps.npz") as temporary:
        np.savez_compressed(temporary, **arrays)
    files.write_table(table, folder / "attribution.parquet", dict.fromkeys(localisation.MEASURES, "1"))
    files.write_sealed_json(folder / "summary.json", summary)
