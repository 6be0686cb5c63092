"""The arithmetic of intervals, against formulas that are known for means, two samples and ratios."""

import numpy as np
import pytest
from scipy import stats

from cellcycle_jax.scoring import jackknife
from cellcycle_jax.scoring.jackknife import BELOW_ONE, CORRELATION, LINEAR, SHARE, Scale, Strata


def without_each(score, groups):
    return np.array([score(np.delete(groups, i, axis=0)) for i in range(len(groups))])


def equal(groups):
    """Strata of groups of ten cells each."""
    return Strata.of(np.repeat(np.arange(groups), 10))


def two_samples(mean: float):
    """Samples in groups of their own, the second with this mean; their difference without each group; the strata."""
    rng = np.random.default_rng(1)
    first, second = rng.normal(0, 3, 5), rng.normal(mean, 1, 9)
    values = np.concatenate([first, second])
    is_second = np.arange(14) >= 5

    def difference(keep):
        return values[keep & is_second].mean() - values[keep & ~is_second].mean()

    without = [difference(np.arange(14) != i) for i in range(14)]
    strata = Strata.of(np.repeat(np.arange(14), 10), np.repeat(is_second, 10))
    return first, second, without, strata


@pytest.mark.parametrize("groups", [4, 7, 30])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_of_a_mean_it_is_students_interval(groups, level):
    values = np.random.default_rng(groups).normal(3, 2, groups)
    found = jackknife.interval(values.mean(), without_each(np.mean, values), equal(groups), level)
    expected = stats.t.interval(level, groups - 1, values.mean(), stats.sem(values))
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("groups", [4, 7, 30])
def test_of_a_mean_difference_p_is_students(groups):
    values = np.random.default_rng(groups).normal(0.6, 1, groups)
    found = jackknife.p_of_none(values.mean(), without_each(np.mean, values), equal(groups))
    assert found == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    _, high = jackknife.interval(-values.mean(), without_each(np.mean, -values), equal(groups), 1 - found)
    assert high == pytest.approx(0, abs=1e-9)  # the interval of that level just reaches nothing


def test_p_and_interval_take_the_same_bias_off():
    values = np.random.default_rng(2).normal(0.2, 1, 8)

    def squared(each):
        return each.mean() ** 2 - 0.3

    without = without_each(squared, values)
    p = jackknife.p_of_none(squared(values), without, equal(8))
    bounds = jackknife.interval(squared(values), without, equal(8), 1 - p)
    assert min(np.abs(bounds)) == pytest.approx(0, abs=1e-9)


def test_of_two_samples_in_groups_of_their_own_p_is_welchs():
    first, second, without, strata = two_samples(2)
    found = jackknife.p_of_none(second.mean() - first.mean(), without, strata)
    assert found == pytest.approx(stats.ttest_ind(second, first, equal_var=False).pvalue)


@pytest.mark.parametrize(("difference", "without"), [(0.1, [0.1] * 6), (np.nan, [0.1] * 6), (0.1, [0.1, np.nan] * 3)])
def test_a_difference_that_does_not_vary_or_is_not_known_has_no_p(difference, without):
    assert np.isnan(jackknife.p_of_none(difference, without, equal(6)))


def test_of_two_samples_in_groups_of_their_own_it_is_welchs_interval():
    first, second, without, strata = two_samples(4)
    found = jackknife.interval(second.mean() - first.mean(), without, strata, 0.95)
    expected = stats.ttest_ind(second, first, equal_var=False).confidence_interval(0.95)
    assert found == pytest.approx((expected.low, expected.high))


def test_the_bias_of_a_squared_mean_is_taken_off():
    """The square of a mean is too large by the variance of the mean, which the pseudo-values know."""
    values = np.random.default_rng(2).normal(1, 1, 12)
    low, high = jackknife.interval(values.mean() ** 2, without_each(lambda v: v.mean() ** 2, values), equal(12), 0.95)
    assert (low + high) / 2 == pytest.approx(values.mean() ** 2 - values.var(ddof=1) / 12)


def test_of_a_ratio_it_is_fiellers_interval():
    rng = np.random.default_rng(3)
    denominator = rng.normal(5, 1, 8)
    numerator = 0.4 * denominator + rng.normal(0, 0.5, 8)
    parts = numerator.mean(), denominator.mean()
    without = np.column_stack([without_each(np.mean, numerator), without_each(np.mean, denominator)])
    low, high = jackknife.ratio_interval(parts, without, equal(8), 0.95)
    assert low < parts[0] / parts[1] < high
    for bound in (low, high):  # there the mean of numerator - bound * denominator is just not told from 0
        test = stats.ttest_1samp(numerator - bound * denominator, 0)
        assert test.pvalue == pytest.approx(0.05)


def test_a_ratio_has_no_interval_where_its_denominator_may_be_nothing():
    rng = np.random.default_rng(4)
    numerator, denominator = rng.normal(1, 1, 6), rng.normal(0.3, 1, 6)
    without = np.column_stack([without_each(np.mean, numerator), without_each(np.mean, denominator)])
    parts = numerator.mean(), abs(denominator.mean())
    assert np.isnan(jackknife.ratio_interval(parts, without, equal(6), 0.95)).all()
    assert np.isnan(jackknife.ratio_interval((1.0, -2.0), without, equal(6), 0.95)).all()


@pytest.mark.parametrize("scale", [LINEAR, SHARE, CORRELATION, BELOW_ONE, Scale(low=0.0)])
def test_a_scale_turns_back_and_its_steepness_is_its_slope(scale):
    for score in (0.05, 0.5, 0.93):
        assert scale.backward(scale.forward(score)) == pytest.approx(score)
        slope = (scale.forward(score + 1e-6) - scale.forward(score - 1e-6)) / 2e-6
        assert scale.steepness(score) == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize("score", [0.001, 0.3, 0.9993])
def test_a_share_stays_within_its_bounds(score):
    without = score + (0.5 - score) * np.array([0.0, 0.001, -0.0005, 0.4])
    low, high = jackknife.interval(score, without, equal(4), 0.95, SHARE)
    assert 0 <= low < score < high <= 1


def test_one_group_with_all_the_errors_makes_a_wide_interval():
    """Without it the score is perfect: how rare such groups are is not known from one."""
    without = np.append(np.full(9, 0.99 - 0.01 / 9), 1.0)
    low, high = jackknife.interval(0.99, without, equal(10), 0.95, SHARE)
    assert low < 0.93 and 0.999 < high < 1


def test_what_does_not_vary_has_wilsons_interval_of_the_least_class_or_none():
    label = np.repeat([0, 1], [60, 20])
    strata = Strata.of(np.tile(np.arange(4), 20), label)
    assert strata.least_cells == 20
    low, high = jackknife.interval(1.0, np.ones(4), strata, 0.95, SHARE)
    t = stats.t.ppf(0.975, strata.freedom[0])
    assert high == 1 and low == pytest.approx(1 / (1 + t**2 / 20))
    assert np.isnan(jackknife.interval(0.0, np.zeros(4), strata, 0.95, LINEAR)).all()
    assert np.isnan(jackknife.interval(0.7, np.array([0.7, np.nan, 0.7, 0.7]), strata, 0.95, SHARE)).all()


def test_groups_that_happen_to_agree_are_no_better_than_independent_cells():
    without = 0.8 + np.array([1e-5, -1e-5, 1e-5, -1e-5])
    low, high = jackknife.interval(0.8, without, equal(4), 0.95, SHARE, least_variance=0.8 * 0.2 / 100)
    half = 1.96 / np.sqrt(0.8 * 0.2 * 100)
    assert SHARE.forward(high) - SHARE.forward(low) == pytest.approx(2 * half, rel=1e-3)


def test_few_groups_count_where_they_hold_most_cells_of_a_class():
    sizes = np.array([90, 5, 5, 5, 5])
    member = np.repeat(np.arange(5), sizes)
    assert Strata.of(member).freedom == pytest.approx(max(1, 110**2 / (90**2 + 4 * 25) - 1))
    label = np.arange(len(member)) % 2
    assert (Strata.of(member, label).of_group == 0).all()
    rare = ((member == 1) | (member == 2)) & (label == 1)
    strata = Strata.of(member, rare.astype(int))
    assert strata.of_group[1] == strata.of_group[2] != strata.of_group[0]
    assert sorted(strata.freedom)[0] == 1


def test_near_a_bound_it_reaches_no_farther_than_some_times_as_far_as_on_no_scale():
    """One group of 14 holds all errors: on log odds the score without it is infinitely better."""
    without = np.full(14, 0.9995 - 0.0005 / 13)
    without[0] = 1 - 1e-9
    strata = equal(14)
    low, high = jackknife.interval(0.9995, without, strata, 0.99, SHARE)
    spread = np.sqrt(13 / 14 * ((without - without.mean()) ** 2).sum())  # of the score, by jackknife
    assert low == pytest.approx(0.9995 - jackknife.REACH * stats.t.ppf(0.995, 13) * spread)
    assert 0.99 < low < 0.9995 <= high < 1
    far_from_it = 0.8 + 0.01 * np.sin(np.arange(14.0))
    low, high = jackknife.interval(0.8, far_from_it, strata, 0.99, SHARE)
    assert 0.8 - low < 2 * stats.t.ppf(0.995, 13) * np.sqrt(13 / 14 * ((far_from_it - far_from_it.mean()) ** 2).sum())
