"""Logistic regression on a few numbers of each cell: hundreds of fits, each a hundredth of what scikit-learn takes."""

import numpy as np

MOST_STEPS = 100
TOLERANCE = 1e-4  # of the largest entry of the gradient, and of half the squared Newton decrement
LEAST_GAIN = 2.0**-11  # share of the gain that a straight line promises which a step has to bring, else it is halved
MOST_HALVINGS = 20


def fit_balanced(values, positive) -> tuple[np.ndarray, float]:
    """Coefficients and intercept of the log odds, the two classes weighed alike, by Newton's method.

    The least of the mean log loss plus |coefficients|^2 / (2 N): what scikit-learn's LogisticRegression with
    class_weight="balanced" and the solver "newton-cholesky" finds, step by step and with the same end.

    Args:
        values: f64 [N, F], of spread 1 or so.
        positive: bool [N], holding both classes.

    Returns:
        f64 [F] and the intercept.
    """
    n = len(values)
    weight = np.where(positive, 0.5 / positive.sum(), 0.5 / (~positive).sum())
    with_constant = np.column_stack([values, np.ones(n)])
    penalty = np.full(with_constant.shape[1], 1 / n)
    penalty[-1] = 0.0
    solution = np.zeros(with_constant.shape[1])
    loss, gradient, prob = _loss(solution, with_constant, positive, weight, penalty)
    for _ in range(MOST_STEPS):
        curvature = weight * prob * (1 - prob)
        hessian = (with_constant * curvature[:, None]).T @ with_constant + np.diag(penalty)
        step = np.linalg.solve(hessian, -gradient)
        promised = LEAST_GAIN * (gradient @ step)
        size = 1.0
        for _ in range(MOST_HALVINGS):
            new_loss, new_gradient, prob = _loss(solution + size * step, with_constant, positive, weight, penalty)
            if new_loss - loss <= size * promised or new_loss == loss:
                break
            size /= 2
        solution = solution + size * step
        loss = new_loss
        gradient = new_gradient
        if np.abs(gradient).max() <= TOLERANCE and step @ hessian @ step <= 2 * TOLERANCE:
            break
    return solution[:-1], float(solution[-1])


def _loss(solution, with_constant, positive, weight, penalty):
    """The penalised loss, its gradient f64 [F + 1], and the probability of the positive class f64 [N]."""
    log_odds = with_constant @ solution
    loss = weight @ np.logaddexp(0, np.where(positive, -log_odds, log_odds)) + 0.5 * penalty @ solution**2
    prob = 1 / (1 + np.exp(-np.clip(log_odds, -700, 700)))
    gradient = (weight * (prob - positive)) @ with_constant + penalty * solution
    return loss, gradient, prob
