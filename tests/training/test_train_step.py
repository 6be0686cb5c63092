import jax.numpy as jnp
import numpy as np
import pytest

from cellcycle_jax.training import train_step


def test_every_epoch_holds_every_cell_once_in_a_new_order():
    drawn = train_step.batch_indices(3, 0, 10, 4, 5).ravel()
    assert sorted(drawn[:10]) == sorted(drawn[10:]) == list(range(10))
    assert not np.array_equal(drawn[:10], drawn[10:])
    assert not np.array_equal(drawn[:4], train_step.batch_indices(4, 0, 10, 4)[0])


def test_order_is_a_function_of_seed_and_step():
    """Numbers stored once: a run that is continued by a later version must draw the same cells."""
    assert train_step.batch_indices(0, 0, 5, 8, 2).tolist() == [[2, 4, 3, 0, 1, 1, 4, 3], [0, 2, 4, 2, 1, 0, 3, 3]]
    assert train_step.batch_indices(0, 1, 5, 8).tolist() == [[0, 2, 4, 2, 1, 0, 3, 3]]
    assert train_step.batch_indices(1, 1000, 7, 6).tolist() == [[4, 2, 3, 0, 6, 5]]


def test_class_weights_average_to_one_over_the_cells():
    label = np.array([0, 0, 0, 1])
    weights = train_step.class_weights(label, 2, True)
    np.testing.assert_allclose(weights, [4 / 6, 2])
    assert weights[label].mean() == pytest.approx(1)
    assert train_step.class_weights(label, 2, False).tolist() == [1, 1]


def test_loss_of_known_logits():
    logits = jnp.log(jnp.array([[0.8, 0.2], [0.5, 0.5], [0.1, 0.9]]))
    found = train_step.weighted_loss(logits, jnp.array([0, 1, 1]), jnp.array([1.0, 1.0, 0.0]), jnp.array([1.0, 3.0]))
    assert float(found) == pytest.approx(-np.log(0.8) - 3 * np.log(0.5), rel=1e-6)
