"""Arithmetic of the networks that the benchmarks compare, against hand calculation and the layers' own shapes."""

import jax
import numpy as np
import pytest

from bench import flops
from bench.protocol import CLASSES, DROPOUT, NETWORKS
from cellcycle_jax import models
from cellcycle_jax.runs import state


def test_the_papers_network_by_hand():
    found = flops.layers(NETWORKS["paper"])
    assert found == {
        "conv1": 18 * 2 * 28 * 135 * 135,
        "conv2": 18 * 28 * 56 * 67 * 67,
        "conv3": 18 * 56 * 112 * 33 * 33,
        "hidden": 2 * 16 * 16 * 112 * 224,
        "head": 2 * 224 * 2,
    }
    assert flops.forward(NETWORKS["paper"]) == pytest.approx(0.281e9, rel=2e-3)
    assert flops.training(NETWORKS["paper"]) == pytest.approx(3 * 0.281e9 - 18.4e6, rel=2e-3)


@pytest.mark.parametrize("name", NETWORKS)
def test_arithmetic_fits_the_kernels_and_maps_of_our_models(name):
    """A layer's operations are twice its kernel's size, times the positions at which the kernel is applied."""
    network = NETWORKS[name]
    model = models.build(network.architecture, CLASSES, network.filters, network.depth, DROPOUT)
    shape = (network.size, network.size, network.channels)
    variables = jax.eval_shape(lambda: state.init_variables(model, 0, shape))
    image = jax.ShapeDtypeStruct((1, *shape), np.float32)
    _, taps = jax.eval_shape(lambda v, x: model.apply(v, x, train=False), variables, image)
    positions = {tap: a.shape[1] * a.shape[2] for tap, a in taps.items()}
    kernels = {jax.tree_util.keystr(path): leaf.size for path, leaf in
               jax.tree_util.tree_leaves_with_path(variables["params"]) if leaf.ndim > 1}
    found = {}
    for layer, count in flops.layers(network).items():
        stage = layer.split(" ")[0]
        found[layer] = count / (2 * positions.get(stage, 1))
    assert sorted(found.values()) == sorted(kernels.values())
