"""All measurements of the bank, of crops of a data set."""

import dataclasses

import numpy as np
import pandas as pd

from cellcycle_jax.bank import directions, outlines, places, spacing
from cellcycle_jax.bank.cells import Cells, cells_of
from cellcycle_jax.bank.measurement import Measurement
from cellcycle_jax.dataset import crop_arrays

# To add measurements, write a function of `Cells` and add it here.
FUNCTIONS = (
    directions.sides,
    directions.lines,
    directions.patterns,
    places.rings,
    places.distances,
    places.brightness,
    places.detail,
    spacing.correlation_at_distance,
    spacing.together,
    spacing.spots,
    outlines.nuclear_outline,
    outlines.skeletons,
)
BLOCK = 256  # cells measured at a time


def measure(cells: Cells) -> list[Measurement]:
    """All measurements of N cells."""
    measured = []
    for function in FUNCTIONS:
        measured += function(cells)
    return measured


def measure_crops(crops: crop_arrays.Crops, channels) -> tuple[dict[str, Measurement], pd.DataFrame]:
    """All measurements of crops.

    Args:
        crops: N cells; their pixels may be on disk.
        channels: names of the channels that are measured.

    Returns:
        {name: Measurement} with the values of the last cells only, and the table f64 [N, F] of all.
    """
    tables = []
    described = {}
    for start in range(0, len(crops), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(crops)))
        block = crop_arrays.in_memory(crop_arrays.take(crops, rows))
        with np.errstate(all="ignore"):
            measured = measure(cells_of(block, channels))
        tables.append(pd.DataFrame({one.name: one.values for one in measured}))
        described = {one.name: dataclasses.replace(one, values=one.values[:0]) for one in measured}
    return described, pd.concat(tables, ignore_index=True)
