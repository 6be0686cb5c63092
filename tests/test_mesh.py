import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from cellcycle_jax import data, mesh, steps
from tests.test_steps import parts


def train(devices):
    """Losses of three steps and the final parameters."""
    used = mesh.make_mesh(jax.devices()[:devices])
    crops, model, inputs, state, step = parts("resnet", mesh=used)
    state, arrays = mesh.replicate(used, (state, data.arrays_of(crops)))
    losses = []
    for i in range(3):
        index = steps.batch_indices(0, i, 16, 12)
        state, sums = step(state, arrays, *mesh.pad_batch(index, mesh.padded_size(12, used)))
        losses.append(float(sums["loss"]) / float(sums["count"]))
    predict = steps.make_predict_step(model, inputs, used)
    logits = steps.predict_logits(predict, state.variables, arrays, 5, used)
    return np.array(losses), logits, jax.tree.leaves(jax.device_get(state.params))


def test_batches_are_filled_up():
    index, valid = mesh.pad_batch([4, 2, 7], 5)
    assert index.tolist() == [4, 2, 7, 4, 4] and valid.tolist() == [1, 1, 1, 0, 0]
    assert index.dtype == np.int32 and mesh.padded_size(13, mesh.make_mesh()) == 13


@pytest.mark.slow
def test_eight_devices_train_as_one():
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-m", "tests.test_mesh"], check=True, env=os.environ | flags)


if __name__ == "__main__":
    assert jax.device_count() == 8
    for one, eight in zip(jax.tree.leaves(train(1)), jax.tree.leaves(train(8)), strict=True):
        np.testing.assert_allclose(one, eight, atol=1e-5)
