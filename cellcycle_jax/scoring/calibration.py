"""Confidence that means what it says: temperature scaling, and the curve that shows whether it does."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from cellcycle_jax import schema
from cellcycle_jax.scoring import metrics
from cellcycle_jax.scoring.intervals import Interval

DRAWS = 400  # of labels, for the calibration error by chance
# Where every cell is right the likelihood rises without end as the temperature falls; these bounds end it.
TEMPERATURES = (0.05, 20.0)


def fit_temperature(logits, label) -> float:
    """The temperature T > 0 that minimises the negative log likelihood of softmax(logits / T).

    Guo et al. 2017 (arXiv 1706.04599), section 4.2. The likelihood is concave in 1/T, so the minimum is the only one.

    Args:
        logits: f [N, P], of cells that the model was not trained on.
        label: i [N], index of the true class; cells with `schema.NO_LABEL` are left out.

    Returns:
        T within TEMPERATURES; 1 where there is no labelled cell.
    """
    logits = np.asarray(logits, np.float64)
    label = np.asarray(label)
    labelled = label != schema.NO_LABEL
    logits = logits[labelled]
    label = label[labelled]
    if not len(label):
        return 1.0

    def loss(log_temperature):
        log_prob = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -log_prob[np.arange(len(label)), label].mean()

    best = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(best.x))


def apply_temperature(logits, temperature: float) -> np.ndarray:
    """Calibrated probabilities f64 [N, P] of logits f [N, P]; the predicted class does not change."""
    return softmax(np.asarray(logits, np.float64) / temperature, axis=1)


def calibration_error_by_chance(prob, level: float, seed: int = 0) -> Interval:
    """What the calibration error would be, were these probabilities exactly right.

    It is a mean of absolute values, so it is above 0 even then: the more so, the fewer cells there are. Labels are
    drawn from the probabilities; cells count as independent, so of groups that differ it would be higher still.

    Args:
        prob: f [N, P].
        level: share of draws within the bounds.
        seed: of the draws.

    Returns:
        The mean over DRAWS draws of labels, and the bounds within which they lie. NaN without cells.
    """
    prob = np.asarray(prob, np.float64)
    if not len(prob):
        return Interval(np.nan)
    rng = np.random.default_rng(seed)
    cumulative = prob.cumsum(1)
    errors = []
    for _ in range(DRAWS):
        drawn = (rng.random((len(prob), 1)) * cumulative[:, -1:] > cumulative).sum(1)
        errors.append(metrics.ece(drawn, prob)[0])
    low, high = np.quantile(errors, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(np.mean(errors)), float(low), float(high))


def reliability_curve(label, prob, bins: int = metrics.ECE_BINS) -> dict[str, np.ndarray]:
    """Mean confidence, accuracy and number of cells in each bin of confidence.

    Args:
        label: i [N], index of the true class.
        prob: f [N, P].
        bins: number of equal-width bins of 0..1.

    Returns:
        confidence f64 [bins], accuracy f64 [bins], count i64 [bins]; NaN in a bin without cells.
    """
    label = np.asarray(label)
    prob = np.asarray(prob, np.float64)
    number = metrics.confidence_bins(prob, bins)
    count = np.bincount(number, minlength=bins)
    return {
        "confidence": metrics.divide(np.bincount(number, prob.max(1), minlength=bins), count),
        "accuracy": metrics.divide(np.bincount(number, prob.argmax(1) == label, minlength=bins), count),
        "count": count,
    }
