import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from cellcycle_jax.features import logistic


def cells(n, seed, apart, share=0.3):
    """Two measurements of n cells, of which a share is positive and lies `apart` further up in the first."""
    rng = np.random.default_rng(seed)
    positive = np.arange(n) < share * n
    values = rng.normal(size=(n, 2))
    values[:, 0] += apart * positive
    return values, positive


@pytest.mark.parametrize("n, apart, share", [(20, 0.5, 0.5), (200, 2, 0.3), (200, 100, 0.1), (2000, 0, 0.02)])
def test_the_fit_is_that_of_scikit_learn_also_where_the_classes_lie_far_apart(n, apart, share):
    values, positive = cells(n, n, apart, share)
    coefficients, intercept = logistic.fit_balanced(values, positive)
    wanted = LogisticRegression(class_weight="balanced", solver="newton-cholesky").fit(values, positive)
    np.testing.assert_allclose(coefficients, wanted.coef_[0], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(intercept, wanted.intercept_[0], rtol=1e-7, atol=1e-9)


def test_without_a_difference_the_log_odds_are_zero_however_rare_a_class_is():
    values = np.array([[1.0], [-1.0]] * 10)
    coefficients, intercept = logistic.fit_balanced(values, np.arange(20) < 4)
    np.testing.assert_allclose([*coefficients, intercept], 0, atol=1e-12)
