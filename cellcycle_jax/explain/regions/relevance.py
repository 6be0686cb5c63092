"""Grad-CAM of every class for every cell: how much of its relevance lies in which region."""

import math

import numpy as np
import pandas as pd
from scipy import special

from cellcycle_jax import schema
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.regions import localisation
from cellcycle_jax.explain.regions.explained_cells import COARSE_METHOD
from cellcycle_jax.scoring.intervals import Resampling


def class_maps(network, images: np.ndarray, tap: str) -> tuple[np.ndarray, np.ndarray]:
    """Grad-CAM of every class for every cell, with negative values set to 0.

    Args:
        network: of P classes.
        images: f32 [N, S, S, K].
        tap: name of the activation (layer) that Grad-CAM uses.

    Returns:
        maps f32 [N, P, h, w] at the size of the tap, and prob f32 [N, P] without temperature scaling.
    """
    maps, logits = methods.class_maps(network, images, tap)
    return np.maximum(maps, 0).astype(np.float32), special.softmax(logits, axis=-1)


def relevance_table(crops, maps: np.ndarray, prob: np.ndarray) -> pd.DataFrame:
    """One row per cell, class and region: the columns of attribution.parquet.

    Args:
        crops: `crop_arrays.Crops` of the N cells.
        maps: f32 [N, P, h, w].
        prob: f32 [N, P].
    """
    names = np.array(crops.classes)
    cells = pd.DataFrame({
        schema.CELL_ID: crops.cell_id,
        "group": crops.group_id,
        "label": names[crops.label],
        "predicted": names[prob.argmax(1)],
    })
    channels_last = np.moveaxis(maps, 1, -1)
    resized = np.asarray(methods.resized(channels_last, crops.image.shape[1]))
    tables = []
    for class_index, name in enumerate(names):
        of_class = resized[..., class_index, None]
        relevance = localisation.localise(of_class, crops.compartments, crops.compartments_present)
        tables.append(localisation.tabulate(relevance, cells, name, COARSE_METHOD))
    return pd.concat(tables, ignore_index=True)


def summarise(table: pd.DataFrame, crops, maps: np.ndarray, mask: str, resampling: Resampling) -> dict:
    """Relevance of each class by region, as sentences and rows: what summary.json holds, but for step and run_id.

    Args:
        table: of `relevance_table`.
        crops: `crop_arrays.Crops` of the N cells.
        maps: f32 [N, P, h, w].
        mask: `config.data.mask`.
        resampling: how intervals are made.
    """
    interval_level = resampling.level
    stain = crops.stains[0] if crops.stains else ""
    rows = localisation.summarise(table, resampling)
    sentences = {}
    for name in crops.classes:
        sentences[name] = localisation.sentence(name, rows, interval_level, stain, mask)
    return {
        "classes": list(crops.classes),
        "interval_level": interval_level,
        "stain": stain,
        "n_cells": len(crops),
        "n_groups": len(set(crops.group_id.tolist())),
        "group_by": crops.group_by,
        "rows": rows.to_dict("records"),
        "sentences": sentences,
        "notes": _notes(table, rows, crops, maps, mask),
    }


def _notes(table, rows, crops, maps, mask) -> list[str]:
    """What these maps cannot show."""
    side = crops.image.shape[1]
    px_per_map_px = side / maps.shape[-1]
    um_per_map_px = crops.known_um_per_px * px_per_map_px
    coarse = f"One pixel of a map covers {px_per_map_px:g} x {px_per_map_px:g} px of the crop of {side} x {side} px"
    if math.isfinite(um_per_map_px):
        coarse += f", {um_per_map_px:.1f} µm a side; anything finer cannot be resolved"
    notes = [f"{coarse}."]
    regions = set(rows.get("compartment", ()))
    blank = [region for region in localisation.BLANK[mask] if region in regions]
    if blank:
        notes.append(f"The model sees zeros in these regions: {', '.join(blank)}. Relevance there is the "
                     "network's response to zeros, not to the image.")
    if table.empty:
        notes.append("The outline of the nucleus is not known for these cells, so no region can be named.")
    empty = int(((maps > 0).sum((2, 3)) == 0).sum())
    if empty:
        n_maps = maps.shape[0] * maps.shape[1]
        notes.append(f"{empty:,} of {n_maps:,} maps have no positive value, so there is no ratio for them.")
    return notes
