import numpy as np
import pytest
from sklearn import metrics as sk

from cellcycle_jax.scoring import metrics


def make(classes, seed=0, n=300, resamples=5, levels=0):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, classes)) + 1.2 * np.eye(classes)[label]
    prob = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    if levels:  # rounded, so that many scores tie
        prob = np.round(prob * levels) / levels
    return label, prob, rng.integers(0, 4, (resamples, n)).astype(float)


REFERENCE = {
    "balanced_accuracy": lambda y, p, w: sk.balanced_accuracy_score(y, p.argmax(1), sample_weight=w),
    "accuracy": lambda y, p, w: sk.accuracy_score(y, p.argmax(1), sample_weight=w),
    "mcc": lambda y, p, w: sk.matthews_corrcoef(y, p.argmax(1), sample_weight=w),
}


@pytest.mark.parametrize("name", REFERENCE)
@pytest.mark.parametrize("classes", [2, 3])
def test_scores_of_the_predicted_class_agree_with_scikit_learn(name, classes):
    label, prob, weights = make(classes)
    expected = [REFERENCE[name](label, prob, w) for w in weights]
    np.testing.assert_allclose(metrics.METRICS[name](label, prob, weights), expected, rtol=1e-12)


@pytest.mark.parametrize("levels", [0, 7])
def test_ranking_scores_agree_with_scikit_learn_ties_included(levels):
    label, prob, weights = make(2, levels=levels)
    np.testing.assert_allclose(
        metrics.auroc(label, prob, weights),
        [sk.roc_auc_score(label, prob[:, 1], sample_weight=w) for w in weights], rtol=1e-12,
    )
    np.testing.assert_allclose(
        metrics.average_precision(label, prob, weights),
        [sk.average_precision_score(label, prob[:, 1], sample_weight=w) for w in weights], rtol=1e-12,
    )


def test_ranking_scores_of_three_classes_are_macro_one_vs_rest():
    label, prob, weights = make(3)
    hot = np.eye(3)[label]
    expected = [sk.roc_auc_score(label, prob, multi_class="ovr", average="macro", sample_weight=w) for w in weights]
    np.testing.assert_allclose(metrics.auroc(label, prob, weights), expected, rtol=1e-12)
    expected = [sk.average_precision_score(hot, prob, average="macro", sample_weight=w) for w in weights]
    np.testing.assert_allclose(metrics.average_precision(label, prob, weights), expected, rtol=1e-12)


def test_brier_agrees_with_scikit_learn():
    label, prob, weights = make(2)
    expected = [sk.brier_score_loss(label, prob[:, 1], sample_weight=w) for w in weights]
    np.testing.assert_allclose(metrics.brier(label, prob, weights), expected, rtol=1e-12)
    label, prob, _ = make(3)
    np.testing.assert_allclose(metrics.brier(label, prob), ((prob - np.eye(3)[label]) ** 2).sum(1).mean())


def test_weights_are_repeats():
    label, prob, weights = make(2, resamples=1)
    often = weights[0].astype(int)
    once = metrics.scores(np.repeat(label, often), np.repeat(prob, often, axis=0))
    weighted = metrics.scores(label, prob, weights)
    for name in metrics.METRICS:
        np.testing.assert_allclose(weighted[name], once[name], rtol=1e-12, err_msg=name)


def test_confusion_counts_cells():
    label = [0, 0, 1, 1, 1]
    prob = np.eye(2)[[0, 1, 1, 1, 0]]
    np.testing.assert_array_equal(metrics.confusion(label, prob)[0], [[1, 1], [1, 2]])


def test_ece_of_a_predictor_that_is_always_sure_is_its_error_rate():
    label = np.array([1] * 7 + [0] * 3)
    np.testing.assert_allclose(metrics.ece(label, np.tile([0.0, 1.0], (10, 1))), 0.3)


def test_ece_by_hand_over_two_bins():
    label = np.array([1, 0, 1, 1])
    prob = np.array([[0.4, 0.6], [0.4, 0.6], [0.1, 0.9], [0.1, 0.9]])
    np.testing.assert_allclose(metrics.ece(label, prob), 0.5 * abs(0.6 - 0.5) + 0.5 * abs(0.9 - 1.0))


def test_an_absent_class_leaves_no_score():
    label, prob, weights = make(2, resamples=1)
    weights[:, label == 1] = 0
    for name in ("balanced_accuracy", "auroc", "average_precision"):
        assert np.isnan(metrics.METRICS[name](label, prob, weights)).all(), name


def test_constant_predictions_have_no_correlation():
    label, _, _ = make(2)
    assert metrics.mcc(label, np.tile([0.3, 0.7], (len(label), 1)))[0] == 0


def test_labels_and_probabilities_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="allowed is"):
        metrics.accuracy([-1, 0], np.ones((2, 2)) / 2)
    with pytest.raises(ValueError, match="finite"):
        metrics.accuracy([1, 0], np.full((2, 2), np.nan))


@pytest.mark.parametrize("effect", [0.0, 1.5])
def test_the_variance_of_independent_cells_is_how_their_scores_vary(effect):
    rng = np.random.default_rng(1)
    label = np.repeat([0, 1], [150, 60])
    found = {"auroc": [], "balanced_accuracy": []}
    said = {"auroc": [], "balanced_accuracy": []}
    for _ in range(600):
        score = effect * (label - 0.5) + rng.normal(size=210)
        prob = np.stack([score < 0, score >= 0], axis=1).astype(float)
        found["auroc"].append(metrics.binary_auroc(label == 1, score)[0])
        found["balanced_accuracy"].append(metrics.balanced_accuracy(label, prob)[0])
        said["auroc"].append(metrics.auroc_variance(label == 1, score))
        said["balanced_accuracy"].append(metrics.balanced_accuracy_variance(label, prob))
    for name, values in found.items():
        assert np.mean(said[name]) == pytest.approx(np.var(values), rel=0.15), name


def test_cells_that_are_all_right_may_still_vary():
    label = np.repeat([0, 1], [8, 18])
    right = [9 / 10 * 1 / 10 / 8, 19 / 20 * 1 / 20 / 18]
    assert metrics.balanced_accuracy_variance(label, np.eye(2)[label]) == pytest.approx(sum(right) / 4)
    assert metrics.auroc_variance(label == 1, label) == 0
    assert metrics.auroc_variance(np.array([True, False]), np.array([1.0, 0.0])) == 0
    assert set(metrics.least_variances(label, np.eye(2)[label])) == {"auroc", "balanced_accuracy"}
    assert set(metrics.least_variances(label, np.eye(3)[label])) == {"balanced_accuracy"}
