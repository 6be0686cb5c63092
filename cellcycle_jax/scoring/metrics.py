"""Scores of predictions, each for many weightings of the cells at once.

Leaving out groups of cells is a matrix of weights: row b is 0 for the cells that are left out. So every score here
takes weights [B, N] and returns B numbers, and one call scores all rows. Where a class that the score needs has no
weight, the number is NaN.
"""

import numpy as np

ECE_BINS = 15


def _weights(weights, cells: int) -> np.ndarray:
    """Weights f64 [B, N]; without any, one row that counts every cell once."""
    if weights is None:
        return np.ones((1, cells))
    return np.atleast_2d(np.asarray(weights, np.float64))


def _check(label, prob) -> tuple[np.ndarray, np.ndarray]:
    """Labels i64 [N] and probabilities f64 [N, P]; ValueError where they do not fit each other."""
    label = np.asarray(label)
    prob = np.asarray(prob, np.float64)
    if prob.ndim != 2 or label.shape != prob.shape[:1]:
        raise ValueError(f"label {label.shape} and prob {prob.shape} must be [N] and [N, P]")
    if label.size and not (label.min() >= 0 and label.max() < prob.shape[1]):
        raise ValueError(f"labels run {label.min()}..{label.max()}, allowed is 0..{prob.shape[1] - 1}")
    if not np.isfinite(prob).all():
        raise ValueError("prob holds numbers that are not finite")
    return label.astype(np.int64), prob


def divide(numerator, denominator) -> np.ndarray:
    """Quotient f64, NaN where the denominator is not above 0: where nothing has any weight."""
    safe = np.where(denominator > 0, denominator, 1.0)
    return np.where(denominator > 0, numerator / safe, np.nan)


def confusion(label, prob, weights=None) -> np.ndarray:
    """Weighted confusion matrices.

    Args:
        label: i [N], index of the true class.
        prob: f [N, P]; the predicted class is the first of the highest.
        weights: f [B, N], not negative; None: every cell once.

    Returns:
        f64 [B, P, P], weight by (resample, true class, predicted class).

    Raises:
        ValueError: `label` and `prob` do not fit each other, or `prob` is not finite.
    """
    label, prob = _check(label, prob)
    cells = len(label)
    classes = prob.shape[1]
    entry = np.zeros((cells, classes * classes))  # of each cell in the matrix
    entry[np.arange(cells), label * classes + prob.argmax(1)] = 1
    return (_weights(weights, cells) @ entry).reshape(-1, classes, classes)


def balanced_accuracy(label, prob, weights=None) -> np.ndarray:
    """Mean recall of the classes that `label` holds, f64 [B]; arguments as `confusion`."""
    matrix = confusion(label, prob, weights)
    recall = divide(np.diagonal(matrix, axis1=1, axis2=2), matrix.sum(2))
    return recall[:, np.unique(label)].mean(1)


def balanced_accuracy_variance(label, prob) -> float:
    """Variance of the balanced accuracy, were all cells independent; arguments as `confusion`.

    A class of few cells that are all right seems not to vary at all. Each recall is moved towards one half by two cells
    (Agresti and Coull 1998, doi 10.1080/00031305.1998.10480550).
    """
    matrix = confusion(label, prob)[0]
    present = np.unique(label)
    cells = matrix.sum(1)[present]
    right = matrix.diagonal()[present]
    recall = (right + 1) / (cells + 2)
    return float((recall * (1 - recall) / cells).sum() / len(cells) ** 2)


def accuracy(label, prob, weights=None) -> np.ndarray:
    """Share of weight predicted right, f64 [B]; arguments as `confusion`."""
    matrix = confusion(label, prob, weights)
    return divide(np.trace(matrix, axis1=1, axis2=2), matrix.sum((1, 2)))


def mcc(label, prob, weights=None) -> np.ndarray:
    """Matthews correlation, f64 [B], 0 where one class takes all; arguments as `confusion`.

    For more than two classes the R_K of Gorodkin 2004 (doi 10.1016/j.compbiolchem.2004.09.006).
    """
    matrix = confusion(label, prob, weights)
    true = matrix.sum(2)
    predicted = matrix.sum(1)
    total = matrix.sum((1, 2))
    right = np.trace(matrix, axis1=1, axis2=2)
    covariance = right * total - (true * predicted).sum(1)
    spread = (total**2 - (true**2).sum(1)) * (total**2 - (predicted**2).sum(1))
    safe = np.where(spread > 0, spread, 1.0)
    return np.where(spread > 0, covariance / np.sqrt(safe), 0.0)


def binary_auroc(positive, score, weights=None) -> np.ndarray:
    """Weighted probability that a positive scores above a negative, a tie counting half.

    Args:
        positive: bool [N].
        score: f [N].
        weights: f [B, N]; None: every cell once.

    Returns:
        f64 [B].
    """
    positive = np.asarray(positive, bool)
    score = np.asarray(score, np.float64)
    weights = _weights(weights, len(score))
    negative = np.flatnonzero(~positive)
    negative = negative[np.argsort(score[negative], kind="stable")]
    below = np.zeros((len(weights), len(negative) + 1))  # weight of the first n negatives
    np.cumsum(weights[:, negative], axis=1, out=below[:, 1:])
    low = np.searchsorted(score[negative], score[positive], "left")
    high = np.searchsorted(score[negative], score[positive], "right")
    weight = weights[:, positive]
    wins = np.einsum("bn,bn->b", weight, below[:, low] + below[:, high]) / 2
    return divide(wins, weight.sum(1) * below[:, -1])


def auroc_variance(positive, score) -> float:
    """Variance of `binary_auroc`, were all cells independent; 0 where a class has one cell or none.

    DeLong, DeLong and Clarke-Pearson 1988 (doi 10.2307/2531595): how the share of the other class that a cell wins
    against varies within each class.

    Args:
        positive: bool [N].
        score: f [N].
    """
    positive = np.asarray(positive, bool)
    score = np.asarray(score, np.float64)
    variance = 0.0
    for own in (positive, ~positive):
        others = np.sort(score[~own])
        if own.sum() < 2 or not len(others):
            return 0.0
        wins = np.searchsorted(others, score[own], "left") + np.searchsorted(others, score[own], "right")
        variance += (wins / (2 * len(others))).var(ddof=1) / own.sum()
    return float(variance)


def binary_average_precision(positive, score, weights=None) -> np.ndarray:
    """Weighted sum over thresholds of the step in recall times the precision; arguments as `binary_auroc`."""
    positive = np.asarray(positive, bool)
    score = np.asarray(score, np.float64)
    weights = _weights(weights, len(score))
    if not len(score):
        return np.full(len(weights), np.nan)
    order = np.argsort(-score, kind="stable")
    weights = weights[:, order]
    # Cells with equal scores enter together: only the last of each tie is a threshold.
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    hits = np.cumsum(weights * positive[order], axis=1)[:, last]
    called = np.cumsum(weights, axis=1)[:, last]
    precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    recalled = np.diff(hits, axis=1, prepend=0.0)
    return divide((recalled * precision).sum(1), hits[:, -1])


def _one_vs_rest(score, label, prob, weights) -> np.ndarray:
    """The score of the last of two classes, or the mean over more of each against all others."""
    label, prob = _check(label, prob)
    classes = prob.shape[1]
    if classes == 2:
        return score(label == 1, prob[:, 1], weights)
    return np.mean([score(label == k, prob[:, k], weights) for k in range(classes)], axis=0)


def auroc(label, prob, weights=None) -> np.ndarray:
    """Area under the ROC curve of the last of two classes, macro one-vs-rest of more, f64 [B]; see `confusion`."""
    return _one_vs_rest(binary_auroc, label, prob, weights)


def average_precision(label, prob, weights=None) -> np.ndarray:
    """Average precision of the last of two classes, macro one-vs-rest of more, f64 [B]; see `confusion`."""
    return _one_vs_rest(binary_average_precision, label, prob, weights)


def confidence_bins(prob, bins: int = ECE_BINS) -> np.ndarray:
    """Bin ((m - 1) / bins, m / bins] of the predicted class's probability, as i [N] from 0."""
    confidence = np.asarray(prob, np.float64).max(1)
    number = np.ceil(confidence * bins).astype(int)
    return np.clip(number - 1, 0, bins - 1)


def ece(label, prob, weights=None) -> np.ndarray:
    """Expected calibration error with 15 equal-width bins, f64 [B]; see `confusion`.

    Weighted mean over bins of |confidence - accuracy|, Guo et al. 2017 (arXiv 1706.04599), equation 3.
    """
    label, prob = _check(label, prob)
    cells = len(label)
    weights = _weights(weights, cells)
    right = prob.argmax(1) == label
    gap = np.zeros((cells, ECE_BINS))
    gap[np.arange(cells), confidence_bins(prob)] = prob.max(1) - right
    return divide(np.abs(weights @ gap).sum(1), weights.sum(1))


def brier(label, prob, weights=None) -> np.ndarray:
    """Brier score, f64 [B]: squared error of the last class's probability for two classes, summed over all for more."""
    label, prob = _check(label, prob)
    classes = prob.shape[1]
    error = (prob - np.eye(classes)[label]) ** 2
    error = error[:, 1] if classes == 2 else error.sum(1)
    weights = _weights(weights, len(label))
    return divide(weights @ error, weights.sum(1))


def least_variances(label, prob) -> dict[str, float]:
    """Variance of some scores, were all cells independent, by name; see `confusion`. AUROC of two classes only."""
    label, prob = _check(label, prob)
    variances = {"balanced_accuracy": balanced_accuracy_variance(label, prob)}
    if prob.shape[1] == 2:
        variances["auroc"] = auroc_variance(label == 1, prob[:, 1])
    return variances


# Every score that is reported, by the name it has in evaluation.json.
METRICS = {
    "balanced_accuracy": balanced_accuracy,
    "accuracy": accuracy,
    "mcc": mcc,
    "auroc": auroc,
    "average_precision": average_precision,
    "ece": ece,
    "brier": brier,
}


def scores(label, prob, weights=None, names=tuple(METRICS)) -> dict[str, np.ndarray]:
    """The scores in `names`, each f64 [B]; see `confusion`."""
    return {name: METRICS[name](label, prob, weights) for name in names}
