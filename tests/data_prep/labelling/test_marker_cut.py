"""Where a marker is cut, and whether it has two humps, on values whose answer is known."""

import numpy as np
import pytest

from data_prep.labelling import marker_cut
from data_prep.labelling.marker_cut import Humps


def two_humps(n, share, apart, seed=0):
    """Values f64 [n] of sd 1, `share` of them in a hump `apart` higher."""
    rng = np.random.default_rng(seed)
    is_high = np.arange(n) < share * n
    return rng.normal(apart * is_high, 1.0), is_high


def test_abstaining_band_grows_with_the_certainty_asked_for():
    value, _ = two_humps(400, 0.25, 5.0)
    strict, lax = marker_cut.two_gaussian_cuts(value, 0.01), marker_cut.two_gaussian_cuts(value, 0.2)
    assert strict["low"] < lax["low"] < lax["cut"] < lax["high"] < strict["high"]


def test_cut_of_two_equal_gaussians_is_in_the_middle():
    rng = np.random.default_rng(0)
    cuts = marker_cut.two_gaussian_cuts(np.concatenate([rng.normal(0, 1, 20000), rng.normal(6, 1, 20000)]), 0.05)
    assert cuts["cut"] == pytest.approx(3, abs=0.05)
    assert cuts["separation"] == pytest.approx(6, rel=0.02)
    # posterior 0.95 at x where exp(6 x - 18) = 19
    assert cuts["high"] == pytest.approx((18 + np.log(19)) / 6, abs=0.05)


def test_one_hump_shows_in_the_separation():
    assert marker_cut.two_gaussian_cuts(np.random.default_rng(0).normal(0, 1, 3000), 0.05)["separation"] < 2


def test_generalised_log_is_log2_far_above_the_noise_and_rises_everywhere():
    raw = np.array([-2.0, -1.0, 0.0, 1.0, 50.0, 1000.0, 2000.0])
    value = marker_cut.generalised_log2(raw)
    assert (np.diff(value) > 0).all() and value[-1] - value[-2] == pytest.approx(1, abs=1e-4)
    assert value[2] == pytest.approx(np.log2(0.01 * 525 / 2))  # FLOOR of the median of 1, 50, 1000, 2000
    np.testing.assert_allclose(marker_cut.generalised_log2(raw[4:]), np.log2(raw[4:]), atol=0.05)


def test_cells_in_the_valley_and_in_the_smaller_hump_are_counted_by_hand():
    # Windows of width 2: 8 cells within 1 of 0, 4 within 1 of 6, and 1 cell between 2 and 4.
    value = np.array([-0.9, -0.5, -0.2, 0.0, 0.1, 0.4, 0.7, 0.9, 3.0, 5.2, 5.9, 6.3, 6.8])
    found = marker_cut.valley_between(value, 0.0, 6.0)
    assert found["valley"] == 1 / 4
    assert found["valley_by_chance"] == pytest.approx(6 / 32)  # at most 1 of 5 by a fair coin
    filled = np.concatenate([value, np.linspace(1.1, 4.9, 39)])  # one cell every 0.1
    assert marker_cut.valley_between(filled, 0.0, 6.0)["valley"] == pytest.approx(20 / 4, abs=0.3)


@pytest.mark.parametrize(
    ("valley", "by_chance", "expected"),
    [
        (0.0, 0.001, Humps.TWO),
        (0.69, 0.019, Humps.TWO),
        (0.0, 0.02, Humps.PERHAPS_TWO),
        (0.71, 0.001, Humps.PERHAPS_TWO),
        (0.86, 0.001, Humps.ONE),
        (np.inf, 1.0, Humps.ONE),
    ],
)
def test_a_valley_must_be_clear_and_not_by_chance(valley, by_chance, expected):
    assert marker_cut.humps({"valley": valley, "valley_by_chance": by_chance}) is expected


ONE_HUMP = {
    "normal": lambda rng, n: rng.normal(8, 0.6, n),
    "tail": lambda rng, n: 7 + rng.gamma(2, 0.5, n),
    "flat": lambda rng, n: rng.uniform(6, 10, n),
    "heavy tails": lambda rng, n: 8 + 0.5 * rng.standard_t(3, n),
}


@pytest.mark.parametrize("name", ONE_HUMP)
def test_one_hump_of_any_shape_is_hardly_ever_two(name):
    rng = np.random.default_rng(0)
    found = [marker_cut.humps(marker_cut.two_gaussian_cuts(ONE_HUMP[name](rng, 200), 0.05)) for _ in range(60)]
    assert found.count(Humps.TWO) <= 4


def test_two_humps_far_apart_are_two():
    found = [marker_cut.two_gaussian_cuts(two_humps(300, 0.14, 5.6, seed)[0], 0.05) for seed in range(30)]
    assert [marker_cut.humps(cut) for cut in found] == [Humps.TWO] * 30


def test_a_rare_class_is_found_at_the_end_of_the_values():
    right = 0
    for seed in range(20):
        value, is_high = two_humps(1000, 0.03, 5.6, seed)
        cut = marker_cut.two_gaussian_cuts(value, 0.05)
        called = value > cut["high"]
        right += (is_high[called]).mean() > 0.9
    assert right == 20


def test_cells_without_marker_are_no_hump_of_their_own():
    value, is_high = two_humps(300, 0.25, 6.0)
    absent = np.full(40, -30.0)
    cut = marker_cut.two_gaussian_cuts(np.concatenate([value, absent]), 0.05)
    assert 2 < cut["cut"] < 4 and marker_cut.humps(cut) is Humps.TWO
