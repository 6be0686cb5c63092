"""What the network read in cells of new fields, by any method of attribution: maps and a gallery of each class."""

import pathlib

import numpy as np
import pandas as pd

from cellcycle_jax import files, schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.attribution.activations import resolve_tap, tap_names
from cellcycle_jax.explain.galleries import cell, slug
from cellcycle_jax.figures import gallery, style
from cellcycle_jax.prediction.predictor import Predictor

FOLDER = "maps"  # in the folder of predictions
SUREST = 6  # cells of a class in its gallery
DOUBTFUL = 2  # of it that the network is least sure of


def explain(predictor: Predictor, cells: pd.DataFrame, crops_dir, channels, method: str, folder) -> None:
    """Write FOLDER/maps.npz and FOLDER/METHOD_CLASS.png: maps of some cells that the network gives each class.

    Args:
        predictor: the network.
        cells: as `predict_cells` returns them.
        crops_dir, channels: as of `predict_cells`.
        method: as of `methods.method_of`.
        folder: to write; what an earlier call wrote there is removed.

    Raises:
        UsageError: no such method, or the tap of the training config is none of the model.
        StoredStateRefused: a file of crops is missing or damaged.
    """
    folder = pathlib.Path(folder)
    remove(folder)
    chosen = choose(cells, predictor.classes)
    if not len(chosen):
        return
    crops = _crops_of(predictor, chosen, crops_dir, channels)
    images = predictor.images(crops)
    maps = maps_of_classes(predictor, images, method)
    folder.mkdir(parents=True, exist_ok=True)
    with files.atomic_path(folder / "maps.npz") as temporary:
        np.savez(temporary, maps=maps, cell_id=crops.cell_id, classes=np.array(predictor.classes), method=method)
    rows = chosen.set_index(schema.CELL_ID).loc[crops.cell_id]
    names = files.distinct([slug(name) for name in predictor.classes])
    for class_name, name in zip(predictor.classes, names, strict=True):
        shown = []
        for n in np.flatnonzero(rows["predicted"] == class_name):
            row = rows.iloc[n]
            caption = f"{crops.cell_id[n]}\n{class_name}, p = {row['confidence']:.2f}"
            shown.append(cell(crops, images, maps, n, caption))
        if shown:
            title = f"New cells called {class_name}, by {method.replace('_', ' ')}"
            figure = gallery.gallery(shown, list(predictor.channels), list(predictor.classes), title)
            style.save(figure, folder / f"{slug(method)}_{name}.png")


def remove(folder) -> None:
    """Remove what an earlier call wrote to a folder."""
    folder = pathlib.Path(folder)
    for path in [*folder.glob("*.png"), folder / "maps.npz"]:
        path.unlink(missing_ok=True)


def choose(cells: pd.DataFrame, classes) -> pd.DataFrame:
    """Of each class the cells that the network is surest of, and a few that it is least sure of."""
    parts = [cells.iloc[:0]]
    for name in classes:
        of_class = cells[cells["predicted"] == name].sort_values("confidence", ascending=False, kind="stable")
        least_sure = of_class.iloc[SUREST:].tail(DOUBTFUL)
        parts += [of_class.head(SUREST), least_sure]
    return pd.concat(parts)


def _crops_of(predictor: Predictor, cells: pd.DataFrame, crops_dir, channels) -> crop_arrays.Crops:
    """The crops of cells, in their order."""
    vocabulary = predictor.vocabulary(channels)
    parts = []
    for field, rows in cells.groupby(schema.FIELD, sort=False):
        parts.append(crop_arrays.crops_of_field(crops_dir, field, rows, vocabulary))
    crops = crop_arrays.join(parts)
    return crop_arrays.take(crops, crop_arrays.rows_of_cells(crops, cells[schema.CELL_ID]))


def maps_of_classes(predictor: Predictor, images, method: str) -> np.ndarray:
    """Relevance above 0 for every class, f32 [N, P, h, w]; channels that a method tells apart are added up.

    Args:
        predictor: of P classes.
        images: f32 [N, S, S, K].
        method: as of `methods.method_of`.
    """
    options = {}
    if not methods.method_of(method).by_channel:
        names = tap_names(predictor.network, images.shape[1:])
        options["tap"] = resolve_tap(names, predictor.training.explain.tap)
    maps = []
    for class_index in range(len(predictor.classes)):
        of_class = methods.attribute(
            method, predictor.network, images, class_index, against_others=True, **options
        )
        maps.append(np.maximum(of_class.sum(-1), 0))
    return np.stack(maps, axis=1)
