import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cellcycle_jax.runs import config_checks
from cellcycle_jax.training import optimizers


def test_cosine_rises_over_five_percent_and_ends_at_zero():
    schedule = optimizers.make_schedule("cosine", 200)
    rates = np.array([schedule(step) for step in range(201)])
    assert rates[0] > 0 and rates.argmax() == 10 and np.isclose(rates[10], 1) and rates[200] < 1e-7
    assert (np.diff(rates[:11]) > 0).all() and (np.diff(rates[10:]) < 0).all()
    assert float(optimizers.make_schedule("constant", 200)(150)) == 1


@pytest.mark.parametrize("name", config_checks.OPTIMIZERS)
@pytest.mark.parametrize("steps", [1, 300])
def test_every_optimizer_goes_downhill(name, steps):
    optimizer = optimizers.make_optimizer(name, "cosine", steps, 1e-2, 0.0)
    params = {"kernel": jnp.full((2, 2), 1.0)}
    state = optimizer.init(params)
    for _ in range(steps):
        updates, state = optimizer.update(params, state, params)  # gradient of |p|^2 / 2
        params = optax.apply_updates(params, updates)
    assert 0 <= float(abs(params["kernel"]).max()) < (1 if steps == 1 else 0.3)


@pytest.mark.parametrize("name", config_checks.OPTIMIZERS)
def test_decay_is_decoupled_and_spares_biases_and_scales(name):
    optimizer = optimizers.make_optimizer(name, "constant", 10, 0.1, 0.5)
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2), "scale": jnp.ones(2)}
    zeros = {key: jnp.zeros_like(value) for key, value in params.items()}
    updates, _ = optimizer.update(zeros, optimizer.init(params), params)
    np.testing.assert_allclose(updates["kernel"], -0.05, rtol=1e-6)
    assert not updates["bias"].any() and not updates["scale"].any()
