"""The study of intervals: its closed forms, and that it sees an interval that is too narrow."""

import numpy as np
import pytest

from cellcycle_jax.scoring import intervals, metrics
from experiments import coverage


@pytest.mark.parametrize("correlation", coverage.CORRELATIONS)
def test_the_truth_is_the_score_of_very_many_fields(correlation):
    label, prob, _ = coverage.draw_cells(6000, correlation, np.random.default_rng(0))
    found = metrics.scores(label, prob, names=coverage.SCORES)
    for name, value in coverage.truth(correlation).items():
        assert found[name][0] == pytest.approx(value, abs=0.004)


def test_cells_of_a_field_are_as_alike_as_said():
    label, prob, group = coverage.draw_cells(3000, 0.25, np.random.default_rng(1))
    answer = np.log(prob[:, 1] / prob[:, 0]) - coverage.CLASS_EFFECT * (label - 0.5)
    means = np.bincount(group, answer) / np.bincount(group)
    within = answer - means[group]
    assert means.var() / (means.var() + within.var()) == pytest.approx(0.25, abs=0.03)


def test_few_groups_are_held_less_often_than_many():
    few, many = (coverage.covered(n, 0.1, 60, 0)["auroc"] for n in (2, 20))
    assert few < 0.75 < 0.85 < many


def test_fewer_groups_than_six_have_no_interval():
    rng = np.random.default_rng(2)
    for n_groups, known in ((5, False), (6, True)):
        label, prob, group = coverage.draw_cells(n_groups, 0.1, rng)
        found = intervals.Resampling(50, 0.95, 0).scores(label, prob, group, ("auroc",))["auroc"]
        assert np.isfinite(found.low) == np.isfinite(found.high) == known
        assert np.isfinite(found.value)
