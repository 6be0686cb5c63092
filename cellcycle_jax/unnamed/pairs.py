"""Pairs of real cells that agree in what is measured and differ in what has no name."""

import numpy as np

PAIRS = 8
COMPONENTS = 12  # principal components of the measurements in which cells must agree
NEAREST = 25  # cells most alike among which the one that differs most is taken


def matched(table, explained, amount, lines) -> tuple[np.ndarray, np.ndarray, float]:
    """Pairs of cells of one cell line.

    Args:
        table: f64 [N, F], measurements; NaN where missing.
        explained: f64 [N], what measurements explain of the networks' output, in which cells must agree as well.
        amount: f64 [N], of what has no name.
        lines: text [N], cell lines.

    Returns:
        Rows of the cells with more of it and of those with less, i64 [P] each, the largest difference first; and how
        far the cells of a pair lie apart in the measurements, median over the pairs, as a share of the median distance
        of all cells.
    """
    coordinates = _components(table, explained)
    squares = (coordinates**2).sum(1)
    distance = np.sqrt(np.maximum(squares[:, None] + squares - 2 * coordinates @ coordinates.T, 0))
    typical = np.median(distance[np.triu_indices(len(distance), 1)])
    distance[lines[:, None] != lines] = np.inf
    np.fill_diagonal(distance, np.inf)
    candidates = []
    for row in range(len(distance)):
        near = np.argsort(distance[row], kind="stable")[:NEAREST]
        near = near[np.isfinite(distance[row, near])]
        if len(near):
            other = near[np.argmin(amount[near])]
            candidates.append((amount[row] - amount[other], row, other))
    candidates.sort(reverse=True)
    used = set()
    chosen = []
    for _, row, other in candidates:
        if row not in used and other not in used:
            chosen.append((row, other))
            used |= {row, other}
        if len(chosen) == PAIRS:
            break
    more, less = np.array(chosen, int).reshape(-1, 2).T
    apart = float(np.median(distance[more, less]) / typical) if len(more) else float("nan")
    return more, less, apart


def _components(table, explained) -> np.ndarray:
    """The first principal components of standardised measurements, whitened, and what is explained, f64 [N, D]."""
    mean = np.nanmean(table, axis=0)
    spread = np.nanstd(table, axis=0)
    scaled = np.nan_to_num(np.clip((table - mean) / np.where(spread > 0, spread, 1), -4, 4), nan=0.0)
    left, _, _ = np.linalg.svd(scaled - scaled.mean(0), full_matrices=False)
    components = left[:, :COMPONENTS] * np.sqrt(len(table))
    level = (explained - explained.mean()) / max(explained.std(), 1e-9)
    return np.column_stack([components, 2 * level])
