import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellcycle_jax import augment, data, model_input, models, optim, steps
from cellcycle_jax.state import create_state
from tests import tiny

AUGMENT = {"flip": True, "rotate_deg": 20.0, "shift": 0.05, "scale": 0.0, "intensity": 0.1}


def parts(name="nagao2020", augmentation=True, mesh=None, dropout=0.3):
    crops = tiny.crops(16)
    model = models.build(name, 2, 4, 1, dropout)
    optimizer = optim.make_optimizer("adamw", 1e-2, 1e-3, "constant", 100)
    inputs = functools.partial(model_input.model_inputs, channels=(0, 1), mask="none", scale="reference")
    change = functools.partial(augment.augment, **AUGMENT) if augmentation else lambda key, image: image
    step = steps.make_train_step(model, optimizer, inputs, change, [1.0, 3.0], mesh)
    return crops, model, inputs, create_state(model, optimizer, 0, (16, 16, 2)), step


def test_every_epoch_holds_every_cell_once_in_a_new_order():
    drawn = np.concatenate([steps.batch_indices(3, step, 10, 4) for step in range(5)])
    assert sorted(drawn[:10]) == sorted(drawn[10:]) == list(range(10))
    assert not np.array_equal(drawn[:10], drawn[10:])
    assert not np.array_equal(drawn[:4], steps.batch_indices(4, 0, 10, 4))


def test_order_is_a_function_of_seed_and_step():
    """Numbers stored once: a run that is continued by a later version must draw the same cells."""
    assert steps.batch_indices(0, 0, 5, 8).tolist() == [2, 4, 3, 0, 1, 1, 4, 3]
    assert steps.batch_indices(0, 1, 5, 8).tolist() == [0, 2, 4, 2, 1, 0, 3, 3]
    assert steps.batch_indices(1, 1000, 7, 6).tolist() == [4, 2, 3, 0, 6, 5]


def test_class_weights_average_to_one_over_the_cells():
    label = np.array([0, 0, 0, 1])
    weights = steps.class_weights(label, 2, True)
    np.testing.assert_allclose(weights, [4 / 6, 2])
    assert weights[label].mean() == pytest.approx(1)
    assert steps.class_weights(label, 2, False).tolist() == [1, 1]


def test_loss_of_known_logits():
    logits = jnp.log(jnp.array([[0.8, 0.2], [0.5, 0.5], [0.1, 0.9]]))
    found = steps.weighted_loss(logits, jnp.array([0, 1, 1]), jnp.array([1.0, 1.0, 0.0]), jnp.array([1.0, 3.0]))
    assert float(found) == pytest.approx(-np.log(0.8) - 3 * np.log(0.5), rel=1e-6)


def test_padding_does_not_count():
    crops, _, _, state, step = parts(augmentation=False, dropout=0.0)
    arrays, copy = data.arrays_of(crops), jax.tree.map(jnp.copy, state)
    whole, sums = step(state, arrays, np.arange(4, dtype=np.int32), np.ones(4, np.float32))
    padded, same = step(copy, arrays, np.int32([0, 1, 2, 3, 9, 9]), np.float32([1, 1, 1, 1, 0, 0]))
    assert float(same["count"]) == 4
    np.testing.assert_allclose(float(same["loss"]), float(sums["loss"]), rtol=1e-5)
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(padded.params), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_training_learns_the_tiny_classes():
    crops, model, inputs, state, step = parts("resnet")
    arrays = data.arrays_of(crops)
    for i in range(60):
        state, sums = step(state, arrays, steps.batch_indices(0, i, 16, 8), np.ones(8, np.float32))
    logits = steps.predict_logits(steps.make_predict_step(model, inputs), state.variables, arrays, batch=5)
    assert logits.shape == (16, 2) and (logits.argmax(1) == crops.label).mean() == 1
    assert int(state.step) == 60


def test_a_loss_that_is_not_finite_shows_in_the_sums():
    crops, _, _, state, step = parts()
    arrays = data.arrays_of(crops) | {"image_scale": np.full((16, 3), np.inf, np.float32)}
    _, sums = step(state, arrays, np.arange(8, dtype=np.int32), np.ones(8, np.float32))
    assert not np.isfinite(float(sums["loss"]))


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_the_step_lowers_for_accelerators(platform):
    crops, _, _, state, step = parts("resnet")
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), (state, data.arrays_of(crops)))
    batch = jax.ShapeDtypeStruct((8,), jnp.int32), jax.ShapeDtypeStruct((8,), jnp.float32)
    assert jax.export.export(step, platforms=(platform,))(*shapes, *batch).platforms == (platform,)
