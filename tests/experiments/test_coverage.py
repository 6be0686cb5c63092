"""The study of intervals: its truths, and that it sees an interval that is too narrow."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cellcycle_jax.scoring import intervals, jackknife
from experiments import coverage

NAMES = [quantity.name for quantity in coverage.QUANTITIES]


@pytest.mark.parametrize("correlation", coverage.CORRELATIONS)
def test_truths_agree_with_their_closed_forms(correlation):
    """Two cells of very many fields are of two fields, so only the variance of a cell matters, which is 1."""
    effect = coverage.CLASS_EFFECT
    for name, expected in (
        ("AUROC 0.6", 0.6),
        ("AUROC 0.998", 0.998),
        ("balanced accuracy 0.9", stats.norm.cdf(effect / 2)),
        ("mean of a skewed number", np.exp(0.8**2 / 2)),
        ("rank correlation", 6 / np.pi * np.arcsin(0.6 / 2)),
    ):
        assert coverage.truth(NAMES.index(name), correlation) == pytest.approx(expected, rel=0.02)


def test_cells_of_a_field_are_as_alike_as_said():
    cells = coverage.draw_mixed(3000, 0.25, np.random.default_rng(1))
    for noise in cells.noise.T:
        means = np.bincount(cells.group, noise) / np.bincount(cells.group)
        within = noise - means[cells.group]
        assert noise.var() == pytest.approx(1, abs=0.03)
        assert means.var() / (means.var() + within.var()) == pytest.approx(0.25, abs=0.03)


def test_each_layout_is_what_it_says():
    rng = np.random.default_rng(2)
    pure, rare = coverage.draw_pure(8, 0.1, rng), coverage.draw_rare(12, 0.1, rng)
    assert [len(set(pure.label[pure.group == g].tolist())) for g in range(8)] == [1] * 8
    assert set(rare.group[rare.label == 1].tolist()) == {0, 1, 2}
    sizes = np.bincount(coverage.draw_dominated(6, 0.1, rng).group)
    assert sizes[0] > 3 * sizes[1:].max()


@pytest.mark.parametrize("number", range(len(NAMES)), ids=NAMES)
def test_intervals_hold_the_truth_and_none_has_no_width(number):
    """A sample; the whole table is in experiments/README.md."""
    found = coverage.covered(number, 6, 0.10, 100, 0)
    assert found["given"] > 0.95
    assert found["holds"] >= 0.88  # of 92, of 100 data sets
    assert found["narrowest"] > 0


def test_a_bootstrap_would_be_caught(monkeypatch):
    """Of six groups its intervals hold the truth in about 80 of 100."""

    def normal_instead_of_t(variances, strata, level):
        return 0.75 * float(stats.norm.ppf((1 + level) / 2))

    monkeypatch.setattr(jackknife, "_quantile", normal_instead_of_t)
    assert coverage.covered(NAMES.index("lead in AUROC"), 6, 0.10, 100, 0)["holds"] < 0.88


def test_fewer_groups_than_four_have_no_interval():
    rng = np.random.default_rng(3)
    for n_groups, known in ((3, False), (4, True)):
        cells = coverage.draw_mixed(n_groups, 0.1, rng)
        for quantity in coverage.QUANTITIES:
            found = quantity.found(cells, intervals.Resampling(0.95))
            assert np.isfinite(found.value), quantity.name
            if quantity.name != "share of a difference":  # it may be the share of nothing
                assert np.isfinite(found.low) == known, quantity.name


def test_a_row_of_the_table_is_read_from_the_results():
    name = coverage.QUANTITIES[0].name
    rows = [{"quantity": name, "groups": n, "correlation": c, "holds": h} for n, c, h in
            ((2, 0.1, np.nan), (4, 0.25, 0.9), (4, 0.1, 0.956))]
    other = dataclasses.replace(coverage.QUANTITIES[0], name="other")
    text = coverage.table(pd.DataFrame(rows), (coverage.QUANTITIES[0], other), (2, 4))
    assert text.splitlines()[2:] == [f"| {name} | - | 96 / 90 |", "| other | - | - |"]
