import functools

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import PartitionSpec

from cellcycle_jax.devices import mesh
from cellcycle_jax.models.cpu import convolution
from cellcycle_jax.models.cpu.convolution import (
    OUTPUTS,
    _grouped,
    conv_relu,
    conv_relu_pool,
    conv_relu_pool_and_mean,
    group_size,
)
from cellcycle_jax.models.pooling import max_pool2

WAYS = ("groups", "at once")  # of `conv_relu_pool`: on a CPU, and elsewhere


def plain(x, kernel, bias):
    return max_pool2(conv_relu(x, kernel, bias))


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    """Both ways of `conv_relu_pool`, one after the other, on this CPU."""
    if request.param == "at once":
        monkeypatch.setattr(convolution, "by_groups", convolution.at_once)
        monkeypatch.setattr(convolution, "gradients_by_groups", convolution.gradients_at_once)
    jax.clear_caches()  # of programs made the other way
    yield request.param
    jax.clear_caches()


def layer(shape, filters, dtype="float32"):
    keys = jax.random.split(jax.random.key(0), 3)
    c = shape[-1]
    return (jax.random.normal(keys[0], shape, dtype), jax.random.normal(keys[1], (3, 3, c, filters), dtype) / c,
            jax.random.normal(keys[2], (filters,), dtype))


def value_and_gradients(f, layer):
    return jax.jit(jax.value_and_grad(lambda *layer: jnp.sum(jnp.sin(f(*layer))), (0, 1, 2)))(*layer)


def assert_equal(found, wanted, tolerance):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        assert float(jnp.abs(a - b).max()) <= tolerance * float(jnp.abs(b).max())


@pytest.mark.parametrize("shape, filters", [((5, 9, 9, 2), 5), ((7, 13, 10, 9), 6), ((4, 8, 8, 8), 3)])
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("float32", 1e-5)])
def test_values_and_gradients_are_the_plain_ones(way, shape, filters, dtype, tolerance):
    with jax.enable_x64(dtype == "float64"):
        made = layer(shape, filters, dtype)
        assert_equal(jax.jit(conv_relu_pool)(*made), jax.jit(plain)(*made), tolerance)
        assert_equal(value_and_gradients(conv_relu_pool, made), value_and_gradients(plain, made), tolerance)


@pytest.mark.parametrize("images", [22, 23])
def test_many_images_in_several_groups(images):
    """On two devices; an odd number of images is not divided."""
    made = layer((images, 66, 68, 8), 12)
    assert jax.device_count() == 2 and 1 < group_size(11, 66 * 68 * 12) < 11
    assert_equal(value_and_gradients(conv_relu_pool, made), value_and_gradients(plain, made), 1e-5)


def test_images_of_a_device_stay_there():
    """A loop over groups of images sums within each device; the devices meet once, for kernel and bias."""
    x, kernel, bias = layer((16, 64, 64, 8), 8)
    devices = mesh.make_mesh()
    rows, whole = mesh.sharded(devices), mesh.replicated(devices)
    f = jax.jit(jax.grad(lambda *layer: conv_relu_pool(*layer).sum(), (0, 1, 2)), in_shardings=(rows, whole, whole),
                out_shardings=(rows, whole, whole))
    text = f.lower(x, kernel, bias).compile().as_text()
    assert sum(" all-reduce(" in line for line in text.splitlines()) <= 2
    assert not any(name in text for name in (" all-gather(", " all-to-all(", " collective-permute("))


def test_inside_shard_map_a_group_is_of_the_one_device():
    """Of 14 local images 7 at a time, as outside; 14 at a time if each half of them were taken for a device's."""
    x = jnp.zeros((28, 66, 68, 8))
    grouped = functools.partial(_grouped, filters=6)
    assert group_size(14, 66 * 68 * 6) == 7
    assert jax.eval_shape(grouped, x).shape == (2, 2, 7, 66, 68, 8)
    inside = jax.shard_map(
        grouped, mesh=mesh.make_mesh(), in_specs=PartitionSpec(mesh.AXIS), out_specs=PartitionSpec(None, mesh.AXIS)
    )
    assert jax.eval_shape(inside, x).shape == (2, 2, 7, 66, 68, 8)


def test_inside_shard_map_values_and_gradients_are_the_plain_ones():
    made = layer((28, 66, 68, 8), 6)

    def one_device(*layer):
        value, gradients = jax.value_and_grad(lambda *a: jnp.sum(jnp.sin(conv_relu_pool(*a))), (0, 1, 2))(*layer)
        return jax.lax.psum((value, gradients[1:]), mesh.AXIS), gradients[0]

    rows, whole = PartitionSpec(mesh.AXIS), PartitionSpec()
    inside = jax.shard_map(one_device, mesh=mesh.make_mesh(), in_specs=(rows, whole, whole), out_specs=(whole, rows),
                           check_vma=False)
    (value, gradients), dx = jax.jit(inside)(*made)
    assert_equal((value, (dx, *gradients)), value_and_gradients(plain, made), 1e-5)


@pytest.mark.parametrize("platform, in_groups", [("cpu", True), ("cuda", False), ("tpu", False)])
def test_a_cpu_takes_groups_of_images_and_others_do_not(platform, in_groups):
    made = layer((2, 6, 6, 8), 3)
    gradients = jax.jit(jax.grad(lambda *layer: conv_relu_pool(*layer).sum(), (0, 1, 2)))
    text = jax.export.export(gradients, platforms=(platform,))(*made).mlir_module()
    assert ("stablehlo.while" in text) == in_groups


def test_a_window_that_relu_makes_zero_has_no_gradient(way):
    x, kernel, bias = layer((2, 6, 6, 8), 3)
    found = jax.grad(lambda *layer: conv_relu_pool(*layer).sum(), (0, 1, 2))(x, kernel, bias - 1e3)
    assert all(not g.any() for g in found)


def test_of_equal_outputs_one_gets_the_gradient(way):
    x, kernel, bias = jnp.ones((1, 8, 8, 8)), jnp.ones((3, 3, 8, 1)), jnp.ones(1)
    found, shared = (jax.grad(lambda b, f=f: f(x, kernel, b).sum())(bias) for f in (conv_relu_pool, plain))
    assert float(found[0]) == float(shared[0]) == 16


def test_under_vmap_and_in_a_loop(way):
    x, kernel, bias = layer((4, 7, 7, 8), 3)
    kernels = jnp.stack([kernel, 2 * kernel])
    wanted = jnp.stack([plain(x, k, bias) for k in kernels])
    assert_equal(jax.vmap(conv_relu_pool, (None, 0, None))(x, kernels, bias), wanted, 1e-5)
    assert_equal(jax.lax.map(lambda k: conv_relu_pool(x, k, bias), kernels), wanted, 1e-5)


def test_bfloat16_is_computed_wide():
    x, kernel, bias = made = tuple(a.astype("bfloat16") for a in layer((3, 9, 9, 8), 4))
    wide = conv_relu_pool(*(a.astype("float32") for a in made))
    assert jnp.array_equal(conv_relu_pool(*made), wide.astype("bfloat16"))
    assert all(g.dtype == jnp.bfloat16 for g in value_and_gradients(conv_relu_pool, made)[1])


@pytest.mark.parametrize("images, side, filters, size", [
    (89, 135, 28, 1),  # one image is more than the cache takes
    (89, 33, 112, 2),
    (2, 33, 56, 2),  # all there are
    (12, 64, 8, 6),  # 8 would fit, and leave four places of the second group empty; 6 leave none
])
def test_groups_are_small_and_waste_few_images(images, side, filters, size):
    assert group_size(images, side * side * filters) == size
    assert size * side * side * filters <= OUTPUTS or size == 1


@pytest.mark.parametrize("shape", [(3, 9, 10, 2), (22, 66, 68, 8)])
def test_the_mean_is_that_of_the_activation_before_pooling(shape):
    """Of all its pixels, an odd last row too, and of images in several groups."""
    made = layer(shape, 12)
    y, mean = jax.jit(conv_relu_pool_and_mean)(*made)
    assert_equal((y, mean), (plain(*made), conv_relu(*made).mean((1, 2))), 1e-5)
