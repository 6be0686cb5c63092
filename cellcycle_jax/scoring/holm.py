"""Several differences in one table: how probable each is by chance, corrected for how many there are."""

import dataclasses
import math

import numpy as np

from cellcycle_jax.scoring.intervals import Interval


def corrected_p(p) -> np.ndarray:
    """Probabilities f64 [M] after Holm (1979): those below a level are all true but in `level` of all tables.

    The smallest is multiplied by M, the next by M - 1 and so on; none falls below one that was smaller, nor exceeds 1.
    """
    p = np.asarray(p, np.float64)
    order = np.argsort(p)
    times = np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * times), 1)
    return adjusted


def corrected(differences: dict[str, dict[str, Interval]]) -> dict[str, dict[str, Interval]]:
    """A table of differences, {row: {column: interval}}, with each `p` corrected for all that are known in it."""
    known = []
    for row, columns in differences.items():
        known += [(row, column) for column, interval in columns.items() if _is_known(interval.p)]
    if not known:
        return differences
    adjusted = corrected_p([differences[row][column].p for row, column in known])
    table = {row: dict(columns) for row, columns in differences.items()}
    for (row, column), p in zip(known, adjusted, strict=True):
        table[row][column] = dataclasses.replace(differences[row][column], p=float(p))
    return table


def _is_known(p: float | None) -> bool:
    return p is not None and math.isfinite(p)
