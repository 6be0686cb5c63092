"""Convolution as products of patches, beside the plain one: the experiment must compute the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bench.ours import patches
from bench.ours.training import Setup, Training
from cellcycle_jax.models.cpu import convolution
from cellcycle_jax.models.cpu.convolve import convolve

MODELS = 3


def operands(kernel_size, models=None, filters=5):
    """Image, kernel and output gradient; of several models along a first axis."""
    rng = np.random.default_rng(0)
    first = () if models is None else (models,)
    shapes = ((2, 6, 7, 3), (kernel_size, kernel_size, 3, filters), (2, 6, 7, filters))
    return [jnp.asarray(rng.normal(size=first + shape), jnp.float32) for shape in shapes]


def value_and_gradients(function):
    def computed(x, kernel, dy):
        y, backward = jax.vjp(function, x, kernel)
        return y, *backward(dy)

    return computed


def assert_close(found, wanted):
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_a_patch_holds_the_neighbourhood_of_its_pixel_in_the_order_of_a_kernel():
    image = jnp.arange(3 * 3 * 2.0).reshape(1, 3, 3, 2)
    found = patches.patches_of(image, 3)
    np.testing.assert_array_equal(found[0, 1, 1], image.ravel())
    np.testing.assert_array_equal(found[0, 0, 0].reshape(3, 3, 2)[1:, 1:], image[0, :2, :2])
    np.testing.assert_array_equal(found[0, 0, 0].reshape(3, 3, 2)[0], 0)


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_value_and_gradients_are_those_of_the_convolution(kernel_size):
    given = operands(kernel_size)
    assert_close(value_and_gradients(patches.convolve)(*given), value_and_gradients(convolve)(*given))


def test_of_several_models_at_once_each_gets_its_own():
    given = operands(3, MODELS)
    together = jax.vmap(value_and_gradients(patches.convolve))(*given)
    for number in range(MODELS):
        own = [array[number] for array in given]
        assert_close([array[number] for array in together], value_and_gradients(convolve)(*own))


def test_with_pooling_value_and_gradients_are_the_same():
    x, kernel, _ = operands(3, filters=4)
    bias = jnp.asarray([0.1, -0.2, 0.3, 0.0])
    dy = jnp.asarray(np.random.default_rng(1).normal(size=(2, 3, 3, 4)), jnp.float32)
    results = []
    for function in (patches.conv_relu_pool, convolution.conv_relu_pool):
        y, backward = jax.vjp(function, x, kernel, bias)
        results.append((y, *backward(dy)))
    assert_close(*results)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny-small", "tiny-resnet"])
def test_a_cohort_of_products_of_patches_learns_the_same(name):
    def losses(members):
        return Training(Setup(name, 4, members=members, by_host=False)).run(3)

    plain = losses(2)
    with patches.in_place_of_convolutions():
        as_products = losses(2)
    np.testing.assert_allclose(as_products, plain, rtol=1e-3)


@pytest.mark.parametrize("name", ["tiny-small", "tiny-resnet"])
def test_gradients_of_a_network_hold_a_convolution_only_where_none_was_replaced(name):
    def program():
        from bench.ours.networks import build
        from bench.protocol import network_of

        network = network_of(name)
        model = build(name)
        image = jnp.zeros((2, network.size, network.size, network.channels))
        variables = jax.eval_shape(lambda: model.init(jax.random.key(0), image, train=False))

        def loss(variables):
            return model.apply(variables, image, train=False)[0].sum()

        return str(jax.make_jaxpr(jax.grad(loss))(variables))

    assert "conv_general_dilated" in program()
    with patches.in_place_of_convolutions():
        assert "conv_general_dilated" not in program()
    assert "conv_general_dilated" in program()
