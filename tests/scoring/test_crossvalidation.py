import numpy as np
import pytest

from cellcycle_jax.scoring.crossvalidation import balanced_accuracy, folds


def test_nothing_is_predicted_by_a_fit_that_saw_its_group():
    groups, label = np.repeat(np.arange(7), 4), np.tile([0, 0, 1, 1], 7)

    def predict(fit, held_out):
        assert not set(groups[fit]) & set(groups[held_out])
        return np.eye(2)[label[held_out]]

    assert balanced_accuracy(predict, label, folds(groups), 2) == 1.0


def test_half_of_one_class_wrong_is_three_quarters():
    groups, label, called = np.repeat([0, 1], 4), np.tile([0, 0, 1, 1], 2), np.tile([0, 0, 0, 1], 2)
    assert balanced_accuracy(lambda fit, held_out: np.eye(2)[called[held_out]], label, folds(groups), 2) == 0.75


@pytest.mark.parametrize("groups", [np.zeros(4), np.array([0, 0, 1, 1])])
def test_without_every_class_to_fit_there_is_no_score(groups):
    label = np.array([0, 0, 1, 1])
    assert np.isnan(balanced_accuracy(lambda fit, held_out: np.eye(2)[label[held_out]], label, folds(groups), 2))
