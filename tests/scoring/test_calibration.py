import numpy as np
import pytest
from scipy.special import softmax

from cellcycle_jax.scoring import calibration, metrics


def test_a_known_temperature_is_found():
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=2, size=(20000, 3))
    label = (softmax(logits, axis=1).cumsum(1) < rng.random((20000, 1))).sum(1)
    assert calibration.fit_temperature(2.5 * logits, label) == pytest.approx(2.5, rel=0.03)


def test_the_temperature_matches_the_closed_form_of_a_constant_margin():
    # Three of four right at margin m: the likelihood peaks where sigmoid(m / T) = 3/4, so T = m / ln 3.
    logits, label = np.tile([0.0, 4.0], (4, 1)), np.array([1, 1, 1, 0])
    assert calibration.fit_temperature(logits, label) == pytest.approx(4 / np.log(3), rel=1e-4)


def test_cells_without_a_label_do_not_count():
    logits, label = np.tile([0.0, 4.0], (6, 1)), np.array([1, 1, 1, 0, -1, -1])
    assert calibration.fit_temperature(logits, label) == pytest.approx(4 / np.log(3), rel=1e-4)
    assert calibration.fit_temperature(logits[4:], label[4:]) == 1.0


def test_cells_that_are_all_right_leave_the_temperature_finite():
    fitted = calibration.fit_temperature(np.eye(2) * 3, np.array([0, 1]))
    assert calibration.TEMPERATURES[0] <= fitted < 0.1


def test_temperature_changes_confidence_and_not_the_class():
    logits = np.random.default_rng(1).normal(size=(50, 3))
    cooled, warmed = calibration.apply_temperature(logits, 0.5), calibration.apply_temperature(logits, 2.0)
    assert (cooled.argmax(1) == warmed.argmax(1)).all()
    assert (cooled.max(1) > warmed.max(1)).all()
    np.testing.assert_allclose(warmed.sum(1), 1)


def test_the_curve_of_a_known_miscalibrated_predictor():
    # 0.9 sure and right 6 times of 10; 0.7 sure and right 7 times of 10.
    prob = np.repeat([[0.1, 0.9], [0.3, 0.7]], 10, axis=0)
    label = np.array([1] * 6 + [0] * 4 + [1] * 7 + [0] * 3)
    curve = calibration.reliability_curve(label, prob, bins=10)
    assert curve["count"].tolist() == [0, 0, 0, 0, 0, 0, 10, 0, 10, 0]
    np.testing.assert_allclose(curve["confidence"][[6, 8]], [0.7, 0.9])
    np.testing.assert_allclose(curve["accuracy"][[6, 8]], [0.7, 0.6])
    assert np.isnan(curve["accuracy"][0])
    np.testing.assert_allclose(metrics.ece(label, prob), 0.15)


def test_the_calibration_error_by_chance_of_one_bin_is_that_of_a_share():
    """All cells say 0.7, so the error is how far the share that is right lies from 0.7: the mean of a half normal."""
    found = calibration.calibration_error_by_chance(np.tile([0.3, 0.7], (500, 1)), 0.95)
    deviation = np.sqrt(0.7 * 0.3 / 500)
    assert found.value == pytest.approx(np.sqrt(2 / np.pi) * deviation, rel=0.1)
    assert found.low < 0.1 * deviation and found.high == pytest.approx(2.24 * deviation, rel=0.15)


def test_labels_drawn_from_the_probabilities_have_the_calibration_error_by_chance():
    rng = np.random.default_rng(0)
    prob = rng.dirichlet([1, 1, 1], 400)
    by_chance = calibration.calibration_error_by_chance(prob, 0.95)
    drawn = [metrics.ece((rng.random(400)[:, None] > prob.cumsum(1)).sum(1), prob)[0] for _ in range(200)]
    assert by_chance.value == pytest.approx(np.mean(drawn), rel=0.08)
    assert np.mean([by_chance.low <= error <= by_chance.high for error in drawn]) > 0.9
    assert np.isnan(calibration.calibration_error_by_chance(prob[:0], 0.95).value)
