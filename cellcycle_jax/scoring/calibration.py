"""Confidence that means what it says: a temperature, a bias of each class, and the curve that shows whether it does."""

import dataclasses

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from cellcycle_jax import schema
from cellcycle_jax.scoring import metrics
from cellcycle_jax.scoring.intervals import Interval

DRAWS = 400  # of labels, for the calibration error by chance
# Where every cell is right the likelihood rises without end as the temperature falls; these bounds end it.
TEMPERATURES = (0.05, 20.0)
LARGEST_BIAS = 10.0  # likewise: a class that is e^10 times as frequent as it was to the network


@dataclasses.dataclass(frozen=True)
class Calibration:
    """From logits to probabilities: softmax(logits / temperature + biases).

    Attributes:
        temperature: above 0; 1 changes nothing.
        biases: one for each of P classes, which add up to 0; 0 changes nothing.
    """

    temperature: float
    biases: tuple[float, ...]

    @classmethod
    def none(cls, classes: int) -> "Calibration":
        """That which changes nothing, of so many classes."""
        return cls(1.0, (0.0,) * classes)

    def probabilities(self, logits) -> np.ndarray:
        """Probabilities f64 [N, P] of logits f [N, P]. The likeliest class need not be that of the highest logit."""
        return softmax(np.asarray(logits, np.float64) / self.temperature + np.array(self.biases), axis=1)

    def confidence(self, logits) -> np.ndarray:
        """Probability f64 [N] of the class that is predicted, that of the highest logit."""
        predicted = np.argmax(logits, axis=1)
        return self.probabilities(logits)[np.arange(len(predicted)), predicted]


def fit(logits, label) -> Calibration:
    """The temperature and biases that minimise the negative log likelihood, with biases (Alexandari et al. 2020).

    A temperature alone (Guo et al. 2017, arXiv 1706.04599) cannot mend what training with balanced classes does: it
    makes a rare class seem as frequent as any. The biases do (arXiv 1901.06852, section 2.2, bias-corrected temperature
    scaling). The likelihood is concave in 1 / temperature and the biases, so the minimum is the only one.

    Args:
        logits: f [N, P], of cells that the model was not trained on.
        label: i [N], index of the true class; cells with `schema.NO_LABEL` are left out.

    Returns:
        The temperature within TEMPERATURES and biases. Of labelled cells that lack a class the temperature alone is
        fitted, since nothing says how frequent that class is. Without a labelled cell nothing changes.
    """
    logits = np.asarray(logits, np.float64)
    label = np.asarray(label)
    classes = logits.shape[1]
    labelled = label != schema.NO_LABEL
    logits = logits[labelled]
    label = label[labelled]
    if not len(label):
        return Calibration.none(classes)
    is_label = np.eye(classes)[label]

    def loss_and_slope(parameters):
        log_prob = log_softmax(parameters[0] * logits + parameters[1:], axis=1)
        error = np.exp(log_prob) - is_label
        slope = np.concatenate([[(error * logits).sum()], error.sum(axis=0)])
        return -log_prob[is_label > 0].mean(), slope / len(label)

    largest = LARGEST_BIAS if is_label.any(axis=0).all() else 0.0
    inverse = (1 / TEMPERATURES[1], 1 / TEMPERATURES[0])
    found = minimize(
        loss_and_slope,
        np.concatenate([[1.0], np.zeros(classes)]),
        jac=True,
        bounds=[inverse, *[(-largest, largest)] * classes],
        method="L-BFGS-B",
        options={"ftol": 1e-14, "gtol": 1e-9, "maxiter": 10_000},
    )
    biases = found.x[1:] - found.x[1:].mean()
    return Calibration(float(1 / found.x[0]), tuple(biases.tolist()))


def by_class(label, prob, classes) -> dict[str, dict[str, float]]:
    """What the probabilities of each class say on average, beside how frequent it is.

    Args:
        label: i [N], index of the true class; prob: f64 [N, P]; classes: names of the P classes.

    Returns:
        {class: {"mean_probability", "share"}}; NaN without cells.
    """
    if not len(label):
        return {name: {"mean_probability": np.nan, "share": np.nan} for name in classes}
    shares = np.bincount(label, minlength=len(classes)) / len(label)
    means = np.mean(prob, axis=0)
    return {
        name: {"mean_probability": float(mean), "share": float(share)}
        for name, mean, share in zip(classes, means, shares, strict=True)
    }


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
