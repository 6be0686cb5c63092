"""Grad-CAM over validation cells: maps, where they lie, and galleries to judge them by eye."""

import math
import pathlib
import re

import jax
import numpy as np
import pandas as pd

from cellcycle_jax import data, files, schema
from cellcycle_jax.errors import InputRefused
from cellcycle_jax.explain import localise, methods
from cellcycle_jax.explain.taps import resolve_tap, tap_names
from cellcycle_jax.report import figures, gallery
from cellcycle_jax.run import load_run

METHOD = "grad_cam"
RIGHT, DOUBTFUL = 6, 2  # rows of a gallery: sure and right, then wrong or least sure


def run_explain(workdir, tap: str = "") -> pathlib.Path:
    """Explain labelled validation cells of a run; writes RUN/explain/ and RUN/figures/gradcam_*.png.

    Args:
        workdir: the run folder.
        tap: activation that Grad-CAM reads; "": the one of the run's config.

    Returns:
        The folder RUN/explain.

    Raises:
        StoredStateRefused: the run or its data set is missing or damaged.
        InputRefused: the validation split has no labelled cell.
        UsageError: explain.tap is no activation of the model.
    """
    run, folder = load_run(workdir), pathlib.Path(workdir)
    config = run.config
    crops = data.take_lines(data.load_crops(run.data_dir, "validation", pixels=False), config.data.cell_lines)
    rows = pick_cells(crops.label, len(crops.classes), config.explain.cells, config.seed)
    if not len(rows):
        raise InputRefused(f"{run.data_dir}: the validation split has no labelled cell to explain; label more cells")
    crops = data.in_memory(data.take(crops, rows))
    images = run.images(crops)
    tap = resolve_tap(tap_names(run.model, run.variables, images.shape[1:]), tap or config.explain.tap)
    maps, prob = class_maps(run.model, run.variables, images, tap)
    table = attribution(crops, maps, prob)
    summary = summarise(table, crops, maps, config.data.mask, config.evaluate, config.seed)
    summary |= {"step": run.step, "run_id": run.run_id}
    _write(folder / "explain", crops, maps, prob, tap, table, summary)
    _draw(folder / "figures", crops, images, maps, prob, list(run.channels))
    return folder / "explain"


def pick_cells(label: np.ndarray, classes: int, most: int, seed: int) -> np.ndarray:
    """Rows of up to `most` labelled cells of each class, drawn with `seed`, in the order of the split.

    Args:
        label: i32 [N], schema.NO_LABEL where there is none.
        classes: number P of classes.
        most: of each class.
        seed: of the draw.

    Returns:
        i64 [M], increasing.
    """
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(np.flatnonzero(label == p))[:most] for p in range(classes)]
    return np.sort(np.concatenate(drawn))


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
    return np.maximum(maps, 0), np.asarray(jax.nn.softmax(logits))


def attribution(crops, maps: np.ndarray, prob: np.ndarray) -> pd.DataFrame:
    """One row per cell, class and place: the columns of attribution.parquet.

    Args:
        crops: `data.Crops` of the N cells.
        maps: f32 [N, P, h, w].
        prob: f32 [N, P].
    """
    names, sized = np.array(crops.classes), _resized(maps, crops.image.shape[1])
    cells = pd.DataFrame({schema.CELL_ID: crops.cell_id, "group": crops.group_id, "label": names[crops.label],
                          "predicted": names[prob.argmax(1)]})  # fmt: skip
    each = [localise.localise_all(sized[:, p, ..., None], crops.compartments, crops.compartments_present)
            for p in range(len(names))]  # fmt: skip
    return pd.concat([localise.tabulate(found, cells, name, METHOD) for found, name in zip(each, names, strict=True)],
                     ignore_index=True)


def summarise(table: pd.DataFrame, crops, maps: np.ndarray, mask: str, resampling, seed: int) -> dict:
    """What the report says about where the model looks; written as summary.json."""
    confidence = resampling.confidence
    found = localise.summarise(table, resampling.bootstraps, confidence, seed)
    stain = crops.stains[0] if crops.stains else ""
    side, step = crops.image.shape[1], crops.image.shape[1] / maps.shape[-1]
    size = _um_per_px(crops) * step
    coarse = f"One pixel of a map covers {step:g} of the {side} px of the crop"
    notes = [coarse + (f", {size:.1f} µm; finer than that nothing can be told apart." if math.isfinite(size) else ".")]
    if blank := [place for place in localise.BLANK[mask] if place in set(found.get("compartment", ()))]:
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
        "sentences": {c: localise.sentence(c, found, confidence, METHOD, stain, mask) for c in crops.classes},
        "notes": notes,
    }  # fmt: skip


def choose_rows(label: np.ndarray, prob: np.ndarray, of_class: int) -> np.ndarray:
    """Cells of one label for a gallery: the surest that are right, then the surest that are wrong, else the least sure.

    Args:
        label: i32 [N].
        prob: f32 [N, P].
        of_class: the label.

    Returns:
        i64 [<= RIGHT + DOUBTFUL], no cell twice.
    """
    cells = np.flatnonzero(label == of_class)
    sure = prob[cells].max(1)
    right = prob[cells].argmax(1) == of_class
    best = cells[right][np.argsort(-sure[right], kind="stable")]
    wrong = cells[~right][np.argsort(-sure[~right], kind="stable")][:DOUBTFUL]
    top, rest = best[:RIGHT], best[RIGHT:][::-1]
    return np.concatenate([top, wrong, rest[: DOUBTFUL - len(wrong)]])


def mean_map(maps: np.ndarray) -> np.ndarray:
    """Mean f32 [h, w] of maps [n, h, w], each over its own mean: 1 is chance. NaN where no map has any relevance."""
    positive = np.maximum(maps, 0)
    level = positive.mean((1, 2), keepdims=True)
    known = level[:, 0, 0] > 0
    return (positive[known] / level[known]).mean(0) if known.any() else np.full(maps.shape[1:], np.nan, np.float32)


def _write(folder, crops, maps, prob, tap, table, summary) -> None:
    predicted = prob.argmax(1)
    means = np.stack([mean_map(maps[predicted == p, p]) for p in range(maps.shape[1])])
    arrays = {"maps": maps, "mean": means, "prob": prob, "cell_id": crops.cell_id, "label": crops.label,
              "predicted": predicted, "classes": np.array(crops.classes), "tap": np.array(tap)}  # fmt: skip
    with files.replacing(folder / "maps.npz") as temporary:
        np.savez_compressed(temporary, **arrays)
    units = dict.fromkeys(localise.MEASURES, "1")
    files.write_table(table, folder / "attribution.parquet", units)
    files.write_json(folder / "summary.json", summary)


def _draw(folder, crops, images, maps, prob, channels) -> None:
    """The gallery of every class, and the mean maps; pictures of an earlier call are removed first."""
    for old in folder.glob("gradcam_*.png"):
        old.unlink()
    names, predicted = list(crops.classes), prob.argmax(1)
    for p, name in enumerate(names):
        if len(rows := choose_rows(crops.label, prob, p)):
            cells = [_cell(crops, images, maps, prob, n) for n in rows]
            figure = gallery.gallery(cells, channels, names, f"Cells labelled {name}")
            figures.save(figure, folder / f"gradcam_{slug(name)}.png")
    given = [p for p in range(len(names)) if np.isfinite(mean_map(maps[predicted == p, p])).all()]
    if given:
        mean = np.stack([mean_map(maps[predicted == p, p]) for p in given])
        pictures = np.stack([images[predicted == p].mean(0) for p in given])
        shown = _resized(mean[:, None], images.shape[1])[:, 0]
        counts = [int((predicted == p).sum()) for p in given]
        figure = gallery.mean_maps(pictures, shown, counts, [names[p] for p in given], _um_per_px(crops))
        figures.save(figure, folder / "gradcam_mean.png")


def slug(name: str) -> str:
    """A class name as part of a file name: "G1/S" is "g1-s"."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "class"


def _cell(crops, images, maps, prob, n) -> gallery.Cell:
    label, called = crops.classes[crops.label[n]], crops.classes[prob[n].argmax()]
    nucleus = crops.compartments[n] & int(schema.Compartment.NUCLEUS) > 0
    words = f"{label}, called {called}\np = {prob[n].max():.2f}"
    relevance = _resized(maps[n][None], images.shape[1])[0]
    return gallery.Cell(images[n], nucleus, relevance, words, label != called, float(crops.um_per_px[n]))


def _resized(maps, side: int) -> np.ndarray:
    """Maps [N, P, h, w] at the size of the crop, f32 [N, P, S, S]."""
    return np.moveaxis(np.asarray(methods.resized(np.moveaxis(maps, 1, -1), side)), -1, 1)


def _um_per_px(crops) -> float:
    known = crops.um_per_px[np.isfinite(crops.um_per_px)]
    return float(known[0]) if len(known) else math.nan
