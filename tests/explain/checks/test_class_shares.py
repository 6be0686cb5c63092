"""Shares of the difference between the classes that are known beforehand."""

import numpy as np
import pytest

from cellcycle_jax.explain.checks import class_shares
from cellcycle_jax.scoring.intervals import Interval, Resampling

RESAMPLING = Resampling(level=0.99, seed=0)
ABOUT = {"n_groups": 14, "group_by": "field", "classes": ["a", "b"]}


def cells(rng, fields=20, of_each=40, classes=2):
    """Labels and fields of cells; how many of a field are of a class differs between fields."""
    field = np.repeat(np.arange(fields), of_each)
    odds = rng.dirichlet(np.full(classes, 2.0), fields)
    label = np.array([rng.choice(classes, p=odds[k]) for k in field])
    return label, np.char.add("f", field.astype(str)), field, odds


def two_margins(values):
    return np.column_stack([-values, values])


def test_what_only_fields_tell_is_missing_between_cells_of_a_field():
    rng = np.random.default_rng(0)
    label, names, field, odds = cells(rng)
    of_field = two_margins(odds[field, 1] + rng.normal(0, 0.01, len(field)))
    share = class_shares.missing_within(of_field, label, names, names, RESAMPLING)
    assert share["value"] == pytest.approx(1, abs=0.02) and share["low"] > 0.9 and share["class"] == 1


def test_what_cells_tell_is_there_between_cells_of_a_field():
    rng = np.random.default_rng(1)
    label, names, field, _ = cells(rng)
    of_cell = two_margins(label + rng.normal(0, 0.3, len(label)) + rng.normal(0, 0.2, 20)[field])
    share = class_shares.missing_within(of_cell, label, names, names, RESAMPLING)
    assert share["low"] < 0 < share["high"] and max(-share["low"], share["high"]) < 0.2


def test_a_mixture_of_both_has_the_share_that_was_mixed():
    label = np.tile([0, 0, 0, 1, 1, 1, 1, 0], 12)  # in fields A 3 of 4 are of class 0, in B 3 of 4 of class 1
    names = np.char.add(np.tile(np.repeat(["A", "B"], 4), 12), np.repeat(np.arange(12), 8).astype(str))
    of_field = np.where(np.char.startswith(names, "B"), 1.0, 0.0)
    margins = two_margins(label + 2 * of_field)  # whole: 1 + 2 (3/4 - 1/4) = 2; within a field: 1
    assert class_shares.missing_within(margins, label, names, names, RESAMPLING)["value"] == pytest.approx(0.5)


def test_of_several_classes_the_one_that_fields_tell_is_named():
    rng = np.random.default_rng(2)
    label, names, field, odds = cells(rng, classes=3)
    logits = np.eye(3)[label] + rng.normal(0, 0.1, (len(label), 3))
    logits[:, 2] = 4 * odds[field, 2]
    margins = logits - (logits.sum(1, keepdims=True) - logits) / 2
    assert class_shares.missing_within(margins, label, names, names, RESAMPLING)["class"] == 2


def test_fields_of_one_class_each_say_nothing():
    label = np.repeat([0, 1] * 5, 10)
    names = np.repeat(np.arange(10), 10).astype(str)
    share = class_shares.missing_within(two_margins(label + 0.0), label, names, names, RESAMPLING)
    assert np.isnan([share["value"], share["low"], share["high"]]).all()


@pytest.mark.parametrize(
    ("share", "answer"),
    [
        (Interval(0.02, -0.03, 0.07), "passed"),
        (Interval(0.02, -0.03, 0.1), "unknown"),
        (Interval(0.02, -0.1, 0.07), "unknown"),
        (Interval(0.1, 0.001, 0.2), "failed"),
        (Interval(0.3, -0.001, 0.6), "unknown"),
        (Interval(-0.2, -0.3, -0.1), "failed"),
        (Interval(0.0), "unknown"),
        (Interval(np.nan), "unknown"),
    ],
)
def test_a_share_is_small_only_where_its_whole_interval_is(share, answer):
    assert class_shares.answer_of(share, 0.1, 14) == answer
    assert class_shares.answer_of(share, 0.1, 3) == ("failed" if share.low > 0 and share.value >= 0.1 else "unknown")


def test_the_groups_that_would_tell_grow_with_the_square_of_the_width():
    def said(*interval):
        return class_shares.remedy_of(Interval(*interval), 0.1, ABOUT)

    assert "about 56 groups (field) would tell, instead of 14" in said(0.0, -0.2, 0.2)  # twice too wide
    assert "about 127 groups" in said(0.05, -0.05, 0.2)  # half width 0.15, room 0.05
    assert "about 252 groups" in said(0.05, -0.05, 0.262)
    assert said(0.05, -0.05, 0.28).startswith("These 14 groups (field) say next to nothing")  # 296 and more
    assert said(0.1, -0.2, 0.4) == "Labelled validation cells of more groups (field) would tell."
    assert "at least 4 groups" in said(0.05)
