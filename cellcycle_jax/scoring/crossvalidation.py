"""How well a fit does on groups of cells that it has not seen."""

import numpy as np
from sklearn.model_selection import GroupKFold

from cellcycle_jax.scoring import metrics

FOLDS = 5


def folds(groups) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows to fit and rows held out, whole groups each, at most `FOLDS` pairs; [] where there is one group alone."""
    number = min(FOLDS, len(np.unique(groups)))
    if number < 2:
        return []
    return list(GroupKFold(number).split(groups, groups=groups))


def balanced_accuracy(predict, label, divisions, classes: int) -> float:
    """Balanced accuracy over held-out groups.

    Args:
        predict: (rows to fit i64 [M], rows to predict i64 [K]) -> probabilities f64 [K, P].
        label: i64 [N], 0..P-1.
        divisions: rows to fit and rows held out, as `folds` divides the N rows.
        classes: P.

    Returns:
        The score of the rows predicted; NaN where no fold leaves every class to fit.
    """
    prob = np.full((len(label), classes), np.nan)
    for fit, held_out in divisions:
        if len(np.unique(label[fit])) == classes:
            prob[held_out] = predict(fit, held_out)
    predicted = np.isfinite(prob).all(1)
    if not predicted.any():
        return float("nan")
    return float(metrics.balanced_accuracy(label[predicted], prob[predicted])[0])
