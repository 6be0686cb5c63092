"""Galleries of explained cells, to judge maps by eye."""

import pathlib
import re

import numpy as np
import pandas as pd

from cellcycle_jax import files, schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.figures import gallery, style
from cellcycle_jax.runs import trained_run

RIGHT = 6  # first rows of a gallery: sure and right
DOUBTFUL = 2  # its last rows: wrong or least sure
RESIDUALS = 12  # cells whose prediction no measurement explains


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
    surest_first = cells[np.argsort(-prob[cells].max(1), kind="stable")]
    is_right = prob[surest_first].argmax(1) == of_class
    right = surest_first[is_right]
    wrong = surest_first[~is_right][:DOUBTFUL]
    least_sure = right[RIGHT:][::-1]
    return np.concatenate([right[:RIGHT], wrong, least_sure[: DOUBTFUL - len(wrong)]])


def mean_map(maps: np.ndarray) -> np.ndarray:
    """Mean f32 [h, w] of maps [n, h, w], each over its own mean: 1 is chance. NaN where no map has any relevance."""
    positive = np.maximum(maps, 0)
    level = positive.mean((1, 2), keepdims=True)
    known = level[:, 0, 0] > 0
    if not known.any():
        return np.full(maps.shape[1:], np.nan, np.float32)
    return (positive[known] / level[known]).mean(0)


def draw_galleries(folder, crops, images, maps, prob, means, channels) -> None:
    """The gallery of every class, and the mean maps; figures of an earlier call are removed first.

    Args:
        folder: where figures are written.
        crops: N labelled cells.
        images: f32 [N, S, S, K], as the network sees them.
        maps: f32 [N, P, h, w], of every class.
        prob: f32 [N, P].
        means: f32 [P, h, w], the `mean_map` of each class over the cells that are given it.
        channels: names of the K channels.
    """
    for old in folder.glob("gradcam_*.png"):
        old.unlink()
    names = list(crops.classes)
    file_names = files.distinct([slug(name) for name in names], taken=["mean"])
    for class_index, name in enumerate(names):
        rows = choose_rows(crops.label, prob, class_index)
        if len(rows):
            cells = []
            for n in rows:
                predicted = names[prob[n].argmax()]
                caption = f"{name}, called {predicted}\np = {prob[n].max():.2f}"
                cells.append(cell(crops, images, maps, n, caption, wrong=predicted != name))
            figure = gallery.gallery(cells, channels, names, f"Cells labelled {name}")
            style.save(figure, folder / f"gradcam_{file_names[class_index]}.png")
    _draw_mean_maps(crops, images, means, prob.argmax(1), folder / "gradcam_mean.png")


def _draw_mean_maps(crops, images, means, predicted, path) -> None:
    """The mean map of each class over the cells that are given it; no figure where no map has any relevance."""
    names = []
    mean_images = []
    counts = []
    known = np.isfinite(means).all((1, 2))
    for class_index in np.flatnonzero(known):
        of_class = predicted == class_index
        names.append(crops.classes[class_index])
        mean_images.append(images[of_class].mean(0))
        counts.append(int(of_class.sum()))
    if names:
        large = resized(means[known][:, None], images.shape[1])[:, 0]
        figure = gallery.mean_maps(np.stack(mean_images), large, counts, names, crops.known_um_per_px)
        style.save(figure, path)


def slug(name: str) -> str:
    """A class name as part of a file name: "G1/S" is "g1-s"."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "class"


def cell(crops, images, maps, n, caption, wrong=False) -> gallery.Cell:
    """A row of a gallery: cell `n` of crops, images f32 [N, S, S, K] and maps f32 [N, P, h, w]."""
    nucleus = crops.compartments[n] & int(schema.Compartment.NUCLEUS) > 0
    relevance = resized(maps[n][None], images.shape[1])[0]
    return gallery.Cell(images[n], nucleus, relevance, caption, wrong, float(crops.um_per_px[n]))


def resized(maps, side: int) -> np.ndarray:
    """Maps [N, P, h, w] at the size of the crop, f32 [N, P, S, S]."""
    return np.moveaxis(np.asarray(methods.resized(np.moveaxis(maps, 1, -1), side)), -1, 1)


def draw_residuals(run: trained_run.Run, left: pd.DataFrame, path: pathlib.Path) -> None:
    """Contact sheet of the validation cells whose prediction the measurements explain least, with their Grad-CAM maps.

    Args:
        run: the run.
        left: rows of `surrogate.explained`, the largest residual first.
        path: PNG to write.
    """
    crops = run.data.crops("validation")
    left = left.head(RESIDUALS)
    rows = crop_arrays.rows_of_cells(crops, left[schema.CELL_ID])
    crops = crop_arrays.in_memory(crop_arrays.take(crops, rows))
    images = run.images(crops)
    maps, _ = methods.class_maps(run.network, images, run.config.explain.tap)
    maps = np.maximum(maps, 0)
    cells = []
    for n, (margin, by_measurements) in enumerate(zip(left["logit"], left["predicted"], strict=True)):
        caption = f"output {margin:+.1f}\nby measurements {by_measurements:+.1f}"
        cells.append(cell(crops, images, maps, n, caption))
    title = f"Cells whose output the measurements predict least (margin of {crops.classes[-1]}, logits)"
    style.save(gallery.gallery(cells, list(run.channels), list(crops.classes), title), path)
