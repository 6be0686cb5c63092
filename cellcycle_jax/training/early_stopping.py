"""How far a model in training is: sums since its last score, whose weights are kept, and whether it has stopped.

It is a dict that JSON can hold.
"""

import math

import numpy as np
from scipy.special import log_softmax

from cellcycle_jax.scoring import metrics
from cellcycle_jax.training.train_step import SUMS

# Why a model stopped before the last step.
EARLY = "early"
DIVERGED = "diverged"


def fresh() -> dict:
    """Of a model before its first step.

    best_loss and best_step are those of the kept weights: the lowest so far, or the newest, as the config says.
    """
    return {"sums": dict.fromkeys(SUMS, 0.0), "best_loss": None, "best_step": 0, "bad": 0, "stopped": ""}


def added(old: dict, sums: dict) -> dict:
    """After some more steps, with {name of SUMS: f32 [T]} of each.

    They are added one by one, so that the total does not depend on how the steps are divided into dispatches.
    """
    totals = {}
    for name in SUMS:
        totals[name] = old["sums"][name]
        for value in sums[name]:
            totals[name] += float(value)
    return {**old, "sums": totals}


def diverged(old: dict, step: int) -> dict:
    """Stopped for good, since at `step` a loss was not finite."""
    return {**old, "stopped": DIVERGED, "diverged_step": step}


def scored(old: dict, step: int, scores: dict, kept_weights: str, patience: int) -> tuple[dict, dict]:
    """After a score on the validation cells.

    Args:
        old: before it.
        step: steps done.
        scores: of `validation_scores`.
        kept_weights: "last", those of the newest score, or "best", those of the lowest loss.
        patience: scores without a better loss before stopping; 0: never.

    Returns:
        The progress, whose sums begin anew, and the record for metrics.jsonl. best_step is the step whose
        weights are kept.
    """
    sums = old["sums"]
    record = {
        "step": step,
        "train_loss": sums["loss"] / sums["count"],
        "train_accuracy": sums["correct"] / sums["count"],
        **scores,
    }
    new = {**old, "sums": dict.fromkeys(SUMS, 0.0)}
    loss = scores["validation_loss"]
    if not math.isfinite(loss):
        return diverged(new, step), record
    is_lowest = old["best_loss"] is None or loss < old["best_loss"]
    if is_lowest or kept_weights == "last":
        return {**new, "best_loss": loss, "best_step": step, "bad": 0}, record
    new["bad"] += 1
    new["stopped"] = EARLY if patience and new["bad"] >= patience else ""
    return new, record


def validation_scores(logits, label, weights) -> dict:
    """Weighted loss in nats, accuracy and balanced accuracy; of logits that are not finite, a loss that is not.

    Args:
        logits: f [N, P].
        label: i [N].
        weights: f [P], weight of each class in the loss.
    """
    logits = logits.astype(np.float64)
    if not np.isfinite(logits).all():
        return {"validation_loss": math.nan}
    logs = log_softmax(logits, axis=1)
    probabilities = np.exp(logs)
    weight = weights[label].astype(np.float64)
    loss = -(weight * logs[np.arange(len(label)), label]).sum() / weight.sum()
    return {
        "validation_loss": float(loss),
        "validation_accuracy": float(metrics.accuracy(label, probabilities)[0]),
        "validation_balanced_accuracy": float(metrics.balanced_accuracy(label, probabilities)[0]),
    }
