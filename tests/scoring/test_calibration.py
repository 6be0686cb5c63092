import numpy as np
import pytest
from scipy.special import softmax

from cellcycle_jax.scoring import calibration, metrics


def drawn_from(prob, rng):
    """Labels i64 [N] drawn from probabilities f64 [N, P]."""
    return (prob.cumsum(1) < rng.random((len(prob), 1))).sum(1)


def test_a_known_temperature_and_known_biases_are_found():
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=2, size=(20000, 3))
    biases = np.array([0.9, -0.2, -0.7])
    found = calibration.fit(2.5 * logits, drawn_from(softmax(logits + biases, axis=1), rng))
    assert found.temperature == pytest.approx(2.5, rel=0.04)
    np.testing.assert_allclose(found.biases, biases, atol=0.07)


def test_a_class_that_was_seen_as_often_as_the_other_and_is_rare_gets_its_share():
    """Trained with balanced classes on 1 cell in 7: the bias is half the log of the odds, log(1 / 6) / 2."""
    rng = np.random.default_rng(0)
    label = (rng.random(50_000) < 1 / 7).astype(int)
    margin = rng.normal(4 * label - 2, 2)  # its log odds where both are as frequent: 2 m / 2**2 * 2 = m
    logits = np.stack([np.zeros(len(label)), margin], axis=1)
    found = calibration.fit(logits, label)
    assert found.temperature == pytest.approx(1, abs=0.05)
    assert found.biases[1] == pytest.approx(np.log(1 / 6) / 2, abs=0.05)
    by_class = calibration.by_class(label, found.probabilities(logits), ("a", "b"))
    assert by_class["b"]["mean_probability"] == pytest.approx(by_class["b"]["share"], abs=1e-4)
    raw = calibration.by_class(label, calibration.Calibration.none(2).probabilities(logits), ("a", "b"))
    assert raw["b"]["mean_probability"] > 1.4 * raw["b"]["share"]


def test_biases_match_the_closed_form_of_cells_that_look_alike():
    # Three of four are of class 1, and nothing tells them apart: the probability of class 1 is 3/4.
    found = calibration.fit(np.zeros((4, 2)), np.array([1, 1, 1, 0]))
    np.testing.assert_allclose(found.biases, [-np.log(3) / 2, np.log(3) / 2], rtol=1e-4)
    np.testing.assert_allclose(found.probabilities(np.zeros((1, 2))), [[0.25, 0.75]], rtol=1e-4)


def test_cells_without_a_label_do_not_count():
    logits, label = np.tile([0.0, 4.0], (6, 1)), np.array([1, 1, 1, 0, -1, -1])
    assert calibration.fit(logits, label) == calibration.fit(logits[:4], label[:4])
    assert calibration.fit(logits[4:], label[4:]) == calibration.Calibration(1.0, (0.0, 0.0))


def test_a_class_without_a_cell_leaves_the_temperature_alone():
    # At margins 4 and -4 three of four are right: sigmoid(4 / T) = 3/4.
    logits = np.array([[0.0, 4.0, -90.0]] * 2 + [[4.0, 0.0, -90.0]] * 2)
    found = calibration.fit(logits, np.array([1, 1, 0, 1]))
    assert found.biases == (0.0, 0.0, 0.0)
    assert found.temperature == pytest.approx(4 / np.log(3), rel=1e-3)


def test_cells_that_are_all_right_leave_the_temperature_finite():
    found = calibration.fit(np.eye(2) * 3, np.array([0, 1]))
    assert calibration.TEMPERATURES[0] <= found.temperature < 0.3
    assert np.abs(found.biases).max() < 1e-6


def test_a_temperature_changes_confidence_and_not_the_class():
    logits = np.random.default_rng(1).normal(size=(50, 3))
    cooled, warmed = (calibration.Calibration(t, (0, 0, 0)).probabilities(logits) for t in (0.5, 2.0))
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
