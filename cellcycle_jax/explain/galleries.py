"""Galleries of explained cells, to judge maps by eye."""

import dataclasses
import pathlib
import re

import numpy as np
import pandas as pd

from cellcycle_jax import files, schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.figures import gallery, style
from cellcycle_jax.runs import trained_run

RIGHT, DOUBTFUL = 6, 2  # rows of a gallery: sure and right, then wrong or least sure
RESIDUALS = 12  # cells whose answer no measurement explains


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


def draw_galleries(folder, crops, images, maps, prob, channels) -> None:
    """The gallery of every class, and the mean maps; pictures of an earlier call are removed first."""
    for old in folder.glob("gradcam_*.png"):
        old.unlink()
    names, predicted = list(crops.classes), prob.argmax(1)
    parts = files.distinct([slug(name) for name in names], taken=["mean"])
    for p, (name, part) in enumerate(zip(names, parts, strict=True)):
        if len(rows := choose_rows(crops.label, prob, p)):
            cells = [_cell(crops, images, maps, prob, n) for n in rows]
            figure = gallery.gallery(cells, channels, names, f"Cells labelled {name}")
            style.save(figure, folder / f"gradcam_{part}.png")
    given = [p for p in range(len(names)) if np.isfinite(mean_map(maps[predicted == p, p])).all()]
    if given:
        mean = np.stack([mean_map(maps[predicted == p, p]) for p in given])
        pictures = np.stack([images[predicted == p].mean(0) for p in given])
        shown = resized(mean[:, None], images.shape[1])[:, 0]
        counts = [int((predicted == p).sum()) for p in given]
        figure = gallery.mean_maps(pictures, shown, counts, [names[p] for p in given], crops.known_um_per_px)
        style.save(figure, folder / "gradcam_mean.png")


def slug(name: str) -> str:
    """A class name as part of a file name: "G1/S" is "g1-s"."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "class"


def _cell(crops, images, maps, prob, n) -> gallery.Cell:
    """A row of a gallery; without `prob` its caption is left to the caller."""
    label = crops.classes[crops.label[n]]
    called = label if prob is None else crops.classes[prob[n].argmax()]
    nucleus = crops.compartments[n] & int(schema.Compartment.NUCLEUS) > 0
    words = "" if prob is None else f"{label}, called {called}\np = {prob[n].max():.2f}"
    relevance = resized(maps[n][None], images.shape[1])[0]
    return gallery.Cell(images[n], nucleus, relevance, words, label != called, float(crops.um_per_px[n]))


def resized(maps, side: int) -> np.ndarray:
    """Maps [N, P, h, w] at the size of the crop, f32 [N, P, S, S]."""
    return np.moveaxis(np.asarray(methods.resized(np.moveaxis(maps, 1, -1), side)), -1, 1)


def draw_residuals(run: trained_run.Run, left: pd.DataFrame, path: pathlib.Path) -> None:
    """Contact sheet of the validation cells whose answer the measurements explain least, with their Grad-CAM maps.

    Args:
        run: the run.
        left: rows of `surrogate.explained`, the largest residual first.
        path: PNG to write.
    """
    crops = run.data.crops("validation")
    left = left.head(RESIDUALS)
    crops = crop_arrays.in_memory(crop_arrays.take(crops, crop_arrays.rows_of_cells(crops, left[schema.CELL_ID])))
    images, tap = run.images(crops), run.config.explain.tap
    maps, _ = methods.class_maps(run.network, images, tap)
    cells = [
        dataclasses.replace(_cell(crops, images, np.maximum(maps, 0), None, n), wrong=False, caption=(
            f"answer {row['logit']:+.1f}\nby measurements {row['predicted']:+.1f}"))
        for n, row in enumerate(left.to_dict("records"))
    ]  # fmt: skip
    title = f"Cells whose answer the measurements explain least (margin of {crops.classes[-1]}, logits)"
    style.save(gallery.gallery(cells, list(run.channels), list(crops.classes), title), path)
