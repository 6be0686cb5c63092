import numpy as np
import pytest
from scipy import stats

from cellcycle_jax.scoring import intervals


def clustered(rng, groups=40, size=10, mean=0.8, spread=6.0):
    """Cells whose chance of being predicted right differs from group to group; its mean over groups is `mean`."""
    chance = rng.beta(mean * spread, (1 - mean) * spread, groups)
    right = rng.random((groups, size)) < chance[:, None]
    label = rng.integers(0, 2, (groups, size))
    predicted = np.where(right, label, 1 - label)
    return label.ravel(), np.eye(2)[predicted.ravel()] * 0.6 + 0.2, np.repeat(np.arange(groups), size)


def test_counts_draw_whole_groups():
    counts, member = intervals.cluster_bootstrap_counts(["b", "a", "b", "c"], bootstraps=50, seed=3)
    assert counts.shape == (50, 3)
    assert (counts.sum(1) == 3).all()
    assert member.tolist() == [1, 0, 1, 2]


def test_resamples_follow_the_seed():
    groups = np.arange(9)
    first, again, other = (intervals.cluster_bootstrap_counts(groups, 5, seed)[0] for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()


def test_interval_is_the_percentiles_of_the_finite_values():
    assert intervals.interval(np.append(np.arange(101.0), np.nan), 0.9) == pytest.approx((5, 95))


def test_intervals_of_clustered_cells_cover_the_truth():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        label, prob, groups = clustered(rng)
        found = intervals.Resampling(500, 0.95, 0).scores(label, prob, groups, ("accuracy",))["accuracy"]
        covered += found.low <= 0.8 <= found.high
    assert covered >= 0.88 * 200


def test_clustering_widens_the_interval():
    label, prob, groups = clustered(np.random.default_rng(1), spread=1.0)
    width = []
    for unit in (groups, np.arange(len(label))):
        found = intervals.Resampling(1000, 0.95, 0).scores(label, prob, unit)["balanced_accuracy"]
        width.append(found.high - found.low)
    assert width[0] > 1.5 * width[1]


def test_one_group_per_cell_is_the_binomial_interval():
    label = np.tile([0, 1], 300)
    right = np.arange(600) < 480
    prob = np.eye(2)[np.where(right, label, 1 - label)]
    found = intervals.Resampling(4000, 0.95, 0).scores(label, prob, np.arange(600))["accuracy"]
    half = 1.96 * np.sqrt(0.8 * 0.2 / 600)
    assert found.value == pytest.approx(0.8)
    assert found.low == pytest.approx(0.8 - half, abs=0.1 * half)
    assert found.high == pytest.approx(0.8 + half, abs=0.1 * half)


def test_a_predictor_differs_from_itself_by_nothing():
    label, prob, groups = clustered(np.random.default_rng(2))
    for name, found in intervals.Resampling(200, 0.95, 0).differences(label, prob, prob, groups).items():
        assert (found.value, found.low, found.high) == (0, 0, 0), name


def test_pairing_narrows_the_difference_of_like_predictors():
    rng = np.random.default_rng(3)
    label, prob, groups = clustered(rng)
    other = np.where((rng.random(len(label)) < 0.02)[:, None], prob[:, ::-1], prob)
    paired = intervals.Resampling(500, 0.95, 0).differences(label, prob, other, groups)["accuracy"]
    alone = intervals.Resampling(500, 0.95, 0).scores(label, prob, groups)["accuracy"]
    assert paired.high - paired.low < 0.5 * (alone.high - alone.low)


def test_resamples_without_a_class_are_dropped_and_counted():
    label = np.array([1, 0, 0, 0])
    prob = np.eye(2)[label]
    counts, _ = intervals.cluster_bootstrap_counts(np.arange(4), 500, 0)
    absent = ((counts[:, 0] == 0) | (counts[:, 1:].sum(1) == 0)).sum()
    found = intervals.Resampling(500, 0.95, 0).scores(label, prob, np.arange(4))
    assert absent > 100
    assert {score.dropped for score in found.values()} == {absent}


def test_one_group_has_no_interval():
    found = intervals.Resampling(10, 0.95, 0).scores([0, 1], np.eye(2), ["a", "a"])["accuracy"]
    assert found.value == 1 and np.isnan(found.low) and np.isnan(found.high)


@pytest.mark.parametrize("levels", [0, 5])
def test_spearman_agrees_with_scipy_on_repeated_cells(levels):
    rng = np.random.default_rng(4)
    x = rng.normal(size=80)
    y = x + rng.normal(size=80)
    if levels:
        x, y = np.round(x * levels / 4), np.round(y * levels / 4)
    weights = rng.integers(0, 4, (3, 80))
    expected = [stats.spearmanr(np.repeat(x, w), np.repeat(y, w)).statistic for w in weights]
    np.testing.assert_allclose(intervals.spearman(x, y, weights.astype(float)), expected, rtol=1e-9)


def test_spearman_of_a_rising_curve_is_one_and_skips_missing_values():
    x = np.append(np.linspace(0, 3, 30), np.nan)
    found = intervals.Resampling(100, 0.95, 0).spearman(x, np.exp(x), np.arange(31))
    assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1))


def test_mean_is_over_known_cells_and_its_interval_over_groups():
    values = np.array([1, 3, np.nan, *[2.0] * 4])
    found = intervals.Resampling(300, 0.95, 0).mean(values, ["a", "a", "b", *"cdef"])
    assert (found.value, found.n_cells) == (2, 6)
    assert (found.low, found.high) == (2, 2)  # the two cells of group a come together, with the mean of all
    assert np.isnan(intervals.Resampling(300, 0.95, 0).mean(np.full(2, np.nan), ["a", "b"]).value)


def test_what_is_said_of_intervals_depends_on_how_many_groups_there_are():
    none, narrow = intervals.caveat(5), intervals.caveat(6, " in a column")
    assert "no interval" in none and "nothing can be said" in none
    assert narrow == "With 6 groups in a column the intervals are narrower than they should be."
    assert intervals.caveat(intervals.MANY_GROUPS - 1) and not intervals.caveat(intervals.MANY_GROUPS)


def test_an_interval_stands_in_percent():
    def score(value, low, high):
        return intervals.Interval(value, low, high)

    nan = float("nan")
    assert score(0.123, -0.04, 0.25).percent() == "12 % (-4 to 25)"
    assert score(0.123, nan, nan).percent() == "12 % (no interval)"
    assert score(nan, nan, nan).percent() == "an unknown share"
    assert score(0.123, -0.04, 0.25).text() == "0.12 (-0.04 to 0.25)"
    assert score(nan, nan, nan).text() == "not known"
