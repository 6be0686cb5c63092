"""Is there anything to explain: does the network predict the class better than chance?"""

import numpy as np
from scipy import special

from cellcycle_jax.explain.checks.check import Answer, Check, Evidence, Judgement, Question
from cellcycle_jax.scoring import intervals
from cellcycle_jax.scoring.intervals import Interval, Resampling

CHANCE = 0.5  # area under the ROC curve


def auroc_with_interval(logits, label, groups, resampling: Resampling) -> Interval:
    """Area under the ROC curve of logits f32 [N, P] against labels i32 [N], with an interval over groups, text [N]."""
    prob = special.softmax(np.asarray(logits, np.float64), axis=1)
    return resampling.scores(label, prob, groups, ("auroc",))["auroc"]


def ask(evidence: Evidence) -> Interval:
    """The score on the explained cells."""
    cells = evidence.cells
    return auroc_with_interval(cells.logits, cells.crops.label, cells.groups, cells.resampling)


def judge(score: Interval, about: dict) -> Judgement:
    """Passed where the interval lies above chance, of at least `intervals.LEAST_GROUPS` groups.

    Not passed, nor failed, where the same cells chose the weights: the best of many networks that know nothing is above
    chance for certain far more often than one.
    """
    answer = Answer.UNKNOWN
    remedy = f"Validation cells of two classes and at least {intervals.LEAST_GROUPS} groups would tell."
    if not score.is_known:
        tail = (": whether it is above chance cannot be said, since that takes cells of two classes and "
                f"{intervals.LEAST_GROUPS} groups.")
    elif score.low <= CHANCE:
        answer = Answer.FAILED
        tail = ", not distinguishable from chance: there is nothing to explain."
    elif about["n_groups"] < intervals.LEAST_GROUPS:
        tail = (f", of {about['n_groups']} groups, too few to distinguish it from chance (it takes "
                f"{intervals.LEAST_GROUPS}).")
    elif about["kept_weights"] == "best":
        tail = (": but these cells chose the weights, which makes it too high.")
        remedy = "Train with train.kept_weights=last, and no cell chooses."
    else:
        answer = Answer.PASSED
        tail = "."
    sentence = f"On {about['n_cells']:,} validation cells the area under the ROC curve is {score.text()}{tail}"
    return Judgement(answer, sentence, remedy=remedy if answer is Answer.UNKNOWN else "")


QUESTION = Question("score", ask)
CHECK = Check("score above chance", QUESTION, judge, needed=True)
