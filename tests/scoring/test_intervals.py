import numpy as np
import pytest
from scipy import special, stats

from cellcycle_jax.scoring import intervals


def clustered(rng, groups=40, size=10, mean=0.8, spread=6.0):
    """Cells whose chance of being predicted right differs from group to group; its mean over groups is `mean`."""
    chance = rng.beta(mean * spread, (1 - mean) * spread, groups)
    right = rng.random((groups, size)) < chance[:, None]
    label = rng.integers(0, 2, (groups, size))
    predicted = np.where(right, label, 1 - label)
    return label.ravel(), np.eye(2)[predicted.ravel()] * 0.6 + 0.2, np.repeat(np.arange(groups), size)


def test_intervals_of_clustered_cells_cover_the_truth():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        label, prob, groups = clustered(rng)
        found = intervals.Resampling(0.95, 0).scores(label, prob, groups, ("accuracy",))["accuracy"]
        covered += found.low <= 0.8 <= found.high
    assert covered >= 0.92 * 200


def test_clustering_widens_the_interval():
    label, prob, groups = clustered(np.random.default_rng(1), spread=1.0)
    width = []
    for unit in (groups, np.arange(len(label))):
        found = intervals.Resampling(0.95, 0).scores(label, prob, unit)["balanced_accuracy"]
        width.append(found.high - found.low)
    assert width[0] > 1.5 * width[1]


def test_one_group_per_cell_is_the_binomial_interval():
    label = np.tile([0, 1], 300)
    right = np.arange(600) < 480
    prob = np.eye(2)[np.where(right, label, 1 - label)]
    found = intervals.Resampling(0.95).scores(label, prob, np.arange(600))["accuracy"]
    half = 1.96 * np.sqrt(0.8 * 0.2 / 600) / (0.8 * 0.2)  # on the scale of log odds
    assert found.value == pytest.approx(0.8)
    assert special.logit(found.low) == pytest.approx(special.logit(0.8) - half, abs=0.1 * half)
    assert special.logit(found.high) == pytest.approx(special.logit(0.8) + half, abs=0.1 * half)


def test_a_predictor_differs_from_itself_by_nothing_and_no_interval_says_so():
    label, prob, groups = clustered(np.random.default_rng(2))
    for name, found in intervals.Resampling(0.95).differences(label, prob, prob, groups).items():
        assert found.value == 0 and np.isnan(found.low) and np.isnan(found.high), name


def test_pairing_narrows_the_difference_of_like_predictors():
    rng = np.random.default_rng(3)
    label, prob, groups = clustered(rng)
    other = np.where((rng.random(len(label)) < 0.02)[:, None], prob[:, ::-1], prob)
    paired = intervals.Resampling(0.95, 0).differences(label, prob, other, groups)["accuracy"]
    assert (paired.p < 0.05) == (paired.low > 0 or paired.high < 0) and 0 < paired.p < 1
    alone = intervals.Resampling(0.95, 0).scores(label, prob, groups)["accuracy"]
    assert alone.p is None
    assert paired.high - paired.low < 0.5 * (alone.high - alone.low)


def test_a_class_of_one_group_has_no_interval_and_the_group_is_counted():
    label = np.repeat([1, 0, 0, 0, 0], 3)
    prob = np.eye(2)[label]
    found = intervals.Resampling(0.95).scores(label, prob, np.repeat(np.arange(5), 3))
    for name, score in found.items():
        assert score.dropped == 1 and np.isnan(score.low) and np.isfinite(score.value), name


@pytest.mark.parametrize("groups, known", [(1, False), (3, False), (4, True), (5, True)])
def test_it_takes_four_groups(groups, known):
    label, prob, member = clustered(np.random.default_rng(3), groups=groups)
    found = intervals.Resampling(0.95).scores(label, prob, member, ("auroc", "balanced_accuracy"))
    for score in found.values():
        assert np.isfinite(score.value)
        assert np.isfinite(score.low) == np.isfinite(score.high) == known


def test_all_right_is_no_certainty():
    """Perfect scores of 30 cells: a class of ten that are all right may have one in five that is not."""
    label = np.tile([1, 0, 0], 10)
    found = intervals.Resampling(0.95).scores(label, np.eye(2)[label], np.repeat(np.arange(5), 6))
    for name in ("auroc", "balanced_accuracy", "accuracy", "average_precision", "mcc"):
        assert found[name].value == found[name].high == 1 and found[name].low < 0.8, name


def test_the_calibration_error_has_no_interval():
    label, prob, groups = clustered(np.random.default_rng(4))
    found = intervals.Resampling(0.95).scores(label, prob, groups, ("ece",))["ece"]
    assert found.value > 0 and np.isnan(found.low)


def test_hundreds_of_groups_are_left_out_several_at_a_time_and_say_the_same(monkeypatch):
    label, prob, groups = clustered(np.random.default_rng(5), groups=600)
    seen = []
    counted = intervals.metrics.scores
    monkeypatch.setattr(intervals.metrics, "scores", lambda *of: seen.append(len(of[2])) or counted(*of))
    together = intervals.Resampling(0.95).scores(label, prob, groups, ("accuracy",))["accuracy"]
    assert sum(seen) == 1 + intervals.MOST_LEFT_OUT
    monkeypatch.setattr(intervals, "MOST_LEFT_OUT", 600)
    alone = intervals.Resampling(0.95).scores(label, prob, groups, ("accuracy",))["accuracy"]
    assert together.high - together.low == pytest.approx(alone.high - alone.low, rel=0.15)


def test_a_share_whose_whole_may_be_nothing_has_no_interval():
    rng = np.random.default_rng(7)
    groups = np.repeat(np.arange(10), 20)
    part, whole = rng.normal(0, 1, 200), rng.normal(0, 1, 200)

    def found(level):
        def parts(weights):
            cells = weights.sum(1)
            return {"share": (weights @ (part + level) / cells, weights @ (whole + 2 * level) / cells)}

        return intervals.Resampling(0.95).ratios(parts, groups)["share"]

    certain = found(3.0)
    assert certain.low < 0.5 < certain.high and certain.high - certain.low < 0.2
    vague = found(0.05)
    assert np.isnan(vague.low) and np.isnan(vague.high)


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
    found = intervals.Resampling(0.95, 0).spearman(x, np.exp(x), np.arange(31))
    assert (found.value, found.high) == pytest.approx((1, 1)) and 0.5 < found.low < 0.95


def test_mean_is_over_known_cells_and_its_interval_over_groups():
    values = np.array([1, 3, np.nan, *[2.0] * 4])
    found = intervals.Resampling(0.95, 0).mean(values, ["a", "a", "b", *"cdef"])
    assert (found.value, found.n_cells) == (2, 6)
    assert np.isnan(found.low)  # the two cells of group a come together, so no group differs from another
    assert np.isnan(intervals.Resampling(0.95, 0).mean(np.full(2, np.nan), ["a", "b"]).value)


def test_what_is_said_of_intervals_depends_on_how_many_groups_there_are():
    none = intervals.caveat(3, " in a column")
    assert "With 3 groups in a column there is no interval" in none and "nothing can be said" in none
    assert intervals.caveat(intervals.LEAST_GROUPS) == ""


def test_the_smallest_detectable_difference_is_seen_in_four_of_five_experiments():
    rng = np.random.default_rng(8)
    groups = np.repeat(np.arange(30), 20)
    resampling = intervals.Resampling(0.95)
    size = np.median([resampling.mean(rng.normal(0, 1, 600), groups).smallest_detectable for _ in range(50)])
    seen = [resampling.mean(rng.normal(size, 1, 600), groups).low > 0 for _ in range(400)]
    assert np.mean(seen) == pytest.approx(0.8, abs=0.06)


def test_an_interval_stands_in_percent():
    def score(value, low, high):
        return intervals.Interval(value, low, high)

    nan = float("nan")
    assert score(0.123, -0.04, 0.25).percent() == "12 % (-4 to 25)"
    assert score(0.123, nan, nan).percent() == "12 % (no interval)"
    assert score(nan, nan, nan).percent() == "an unknown share"
    assert score(0.123, -0.04, 0.25).text() == "0.12 (-0.04 to 0.25)"
    assert score(nan, nan, nan).text() == "not known"
