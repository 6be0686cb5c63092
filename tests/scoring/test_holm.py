"""Probabilities of several differences, corrected by hand and against how often tables of nothing hold one."""

import numpy as np
import pytest

from cellcycle_jax.scoring import holm
from cellcycle_jax.scoring.intervals import Interval


@pytest.mark.parametrize(
    ("p", "corrected"),
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),  # 3 x 0.01; 2 x 0.03; 0.04, but no less than the one before
        ([0.2, 0.9, 0.5], [0.6, 1.0, 1.0]),
        ([0.04], [0.04]),
        ([0.02, 0.02], [0.04, 0.04]),
    ],
)
def test_the_smallest_is_multiplied_most(p, corrected):
    np.testing.assert_allclose(holm.corrected_p(p), corrected)


def test_of_tables_of_nothing_one_in_twenty_holds_a_difference():
    rng = np.random.default_rng(0)
    smallest = [holm.corrected_p(rng.random(8)).min() for _ in range(4000)]
    assert np.mean(np.array(smallest) < 0.05) == pytest.approx(0.05, abs=0.012)


def test_what_is_not_known_does_not_count():
    table = {
        "a": {"auroc": Interval(0.1, 0.02, 0.2, p=0.01), "mcc": Interval(0.1, p=np.nan)},
        "b": {"auroc": Interval(0.1, 0.02, 0.2, p=0.0), "mcc": Interval(0.1)},
    }
    found = holm.corrected(table)
    assert (found["a"]["auroc"].p, found["b"]["auroc"].p) == (0.01, 0.0)  # of which 0 counts
    assert np.isnan(found["a"]["mcc"].p) and found["b"]["mcc"].p is None
    assert table["a"]["auroc"].p == 0.01  # what was given is left
    assert holm.corrected({}) == {} and holm.corrected({"b": {"mcc": Interval(0.1)}})["b"]["mcc"].p is None


@pytest.mark.parametrize(
    ("interval", "sign"),
    [
        (Interval(0.1, 0.02, 0.2, p=0.049), 1),
        (Interval(-0.1, -0.2, -0.02, p=0.049), -1),
        (Interval(0.1, 0.02, 0.2, p=0.051), 0),  # certain alone, and not among as many
        (Interval(0.1, 0.02, 0.2, p=np.nan), 0),
        (Interval(0.1, -0.02, 0.2, p=0.01), 0),
        (Interval(0.1, 0.02, 0.2), 1),
        (Interval(0.1), 0),
    ],
)
def test_a_difference_is_certain_where_it_is_among_all(interval, sign):
    assert interval.certain_sign(0.95) == sign
