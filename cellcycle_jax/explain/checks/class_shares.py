"""Shares of the difference between the classes: which part of it something else than the single cell accounts for.

The difference of a class is its margin (logit less the mean of the others') in cells of the class less that in other
cells. Several checks divide a part of it by the whole, and judge the share by its interval.
"""

import dataclasses
import math

import numpy as np

from cellcycle_jax.explain.checks.check import Answer
from cellcycle_jax.scoring import intervals, metrics
from cellcycle_jax.scoring.intervals import Interval, Resampling

MOST_TIMES = 20  # as many groups as there are: a number beyond is no advice


def compared_classes(classes: int) -> list[int]:
    """The classes whose differences are shared out: of two only the last, since that of the first is its negative."""
    return list(range(classes)) if classes > 2 else [classes - 1]


def differences(margins, is_class, weights) -> np.ndarray:
    """Mean margin of each class inside less outside the class, f64 [B, P]; NaN where either has no weight.

    Args:
        margins: f64 [N, P].
        is_class: f64 [N, P], 1 in the class of each cell, else 0.
        weights: f64 [B, N].
    """
    return _weighted_mean(margins, is_class, weights) - _weighted_mean(margins, 1 - is_class, weights)


def _weighted_mean(margins, members, weights):
    """Mean over members f64 [N, P], f64 [B, P]; NaN where they have no weight."""
    return metrics.divide(weights @ (margins * members), weights @ members)


def largest_share(parts_of, groups, label, classes: int, resampling: Resampling) -> dict:
    """The share of the class of which it is largest.

    Args:
        parts_of: weights f64 [B, n] -> (part, whole) f64 [B, P] each, differences of all classes.
        groups: text [n], what intervals leave out.
        label: i32 [n].
        classes: P.
        resampling: how intervals are made.

    Returns:
        {value, low, high, dropped, class}. Of two classes there is one share, that of the last. Of more each has its
        own, with an interval of level 1 - (1 - level) / P, and the largest is returned with the index of its class; if
        any lies above zero, the largest of those.
    """
    compared = compared_classes(classes)
    if classes > 2:
        level = 1 - (1 - resampling.level) / classes
        resampling = dataclasses.replace(resampling, level=level)

    def ratios_of(weights):
        part, whole = parts_of(weights)
        return {class_index: (part[:, class_index], whole[:, class_index]) for class_index in compared}

    shares = resampling.ratios(ratios_of, groups, label)
    for class_index, share in shares.items():
        if not np.isfinite(share.value):
            shares[class_index] = Interval(share.value, dropped=share.dropped)

    def rank(class_index):
        share = shares[class_index]
        return share.low > 0, np.nan_to_num(share.value, nan=-np.inf)

    largest = max(shares, key=rank)
    return {**shares[largest].as_json(), "class": largest}


def missing_within(margins, label, strata, groups, resampling: Resampling) -> dict:
    """Share of the difference between the classes that is missing between cells of one stratum.

    It is what the strata account for: 0 where cells of one stratum differ by class as much as all cells do, 1 where
    they do not differ at all. Within strata the difference is the mean over those that hold cells inside and outside of
    the class, weighted by n1 n0 / (n1 + n0), as with fixed effects of the strata.

    Args:
        margins: f64 [N, P].
        label: i32 [N].
        strata: [N], of each cell, such as its field.
        groups: text [N], what intervals leave out.
        resampling: how intervals are made.

    Returns:
        As `largest_share`; NaN where no stratum holds cells of several classes, or where the class has no larger margin
        than others.
    """
    margins = np.asarray(margins, np.float64)
    classes = margins.shape[1]
    is_class = np.eye(classes)[label]
    names, member = np.unique(strata, return_inverse=True)
    of_stratum = [np.flatnonzero(member == index) for index in range(len(names))]

    def parts_of(weights):
        whole = differences(margins, is_class, weights)
        return whole - _within(margins, is_class, of_stratum, weights), whole

    return largest_share(parts_of, groups, label, classes, resampling)


def _within(margins, is_class, of_stratum, weights):
    """Difference of each class between cells of one stratum, f64 [B, P]; NaN where no stratum holds both."""
    total = 0.0
    precision = 0.0
    for rows in of_stratum:
        inside = weights[:, rows] @ is_class[rows]
        outside = weights[:, rows] @ (1 - is_class[rows])
        precision_here = np.nan_to_num(metrics.divide(inside * outside, inside + outside))
        here = differences(margins[rows], is_class[rows], weights[:, rows])
        total = total + precision_here * np.nan_to_num(here)
        precision = precision + precision_here
    return metrics.divide(total, precision)


def is_certain(share: Interval, limit: float) -> bool:
    """Whether a share is at its limit or above, and certainly above 0."""
    return share.value >= limit and share.low > 0


def answer_of(share: Interval, limit: float, n_groups: int) -> Answer:
    """Whether a share is small: PASSED only where its whole interval lies on the good side of the limit.

    FAILED where it is certainly above, or certainly against the classes by as much; UNKNOWN where neither is certain,
    with too few groups, or where the interval reaches beyond the limit.
    """
    if is_certain(share, limit):
        return Answer.FAILED
    if not share.is_known or n_groups < intervals.LEAST_GROUPS:
        return Answer.UNKNOWN
    if share.value <= -limit and share.high < 0:
        return Answer.FAILED
    surely_small = -limit < share.low and share.high < limit
    return Answer.of(True if surely_small else None)


def remedy_of(share: Interval, limit: float, about: dict) -> str:
    """How many groups would tell whether a share is small, in a sentence; "" where that cannot be said.

    The width of an interval falls with the square root of the number of groups.
    """
    unit = about["group_by"]
    if not share.is_known or about["n_groups"] < intervals.LEAST_GROUPS:
        return f"Labelled validation cells of at least {intervals.LEAST_GROUPS} groups ({unit}) would tell."
    room = limit - abs(share.value)
    if room <= 0:
        return f"Labelled validation cells of more groups ({unit}) would tell."
    half_width = max(share.high - share.value, share.value - share.low)
    wanted = math.ceil(about["n_groups"] * max(1.0, half_width / room) ** 2)
    if wanted > MOST_TIMES * about["n_groups"]:
        return f"These {about['n_groups']} groups ({unit}) say next to nothing: it would take far more of them."
    return f"Labelled validation cells of about {wanted:,} groups ({unit}) would tell, instead of {about['n_groups']}."


def difference_in_words(share: dict, about: dict) -> str:
    """Of which difference something is a share, in words."""
    if len(about["classes"]) > 2:
        return f"the difference between {about['classes'][share['class']]} and the rest"
    return "the difference between the classes"


def in_words(share: dict, about: dict) -> str:
    """A share and its interval in words: "3 % (1 to 5) of the difference between the classes"."""
    words = Interval.of(share).percent()
    return f"{words[0].upper()}{words[1:]} of {difference_in_words(share, about)}"
