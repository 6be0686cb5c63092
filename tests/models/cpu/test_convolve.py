import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellcycle_jax.models.cpu import convolve as module
from cellcycle_jax.models.cpu.convolve import LAYOUT, convolve, neighbours_at_once


def plain(x, kernel):
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=LAYOUT)


def made(shape, filters, size=3, dtype="float64"):
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(size, size, shape[-1], filters))
    return jnp.asarray(rng.normal(size=shape), dtype), jnp.asarray(kernel, dtype)


def values_and_gradients(f, x, kernel):
    y, pull = jax.vjp(f, x, kernel)
    return (y, *pull(jnp.cos(y)))


# Of each way that values and gradients are computed, and of what lies at its borders.
CASES = {
    "four gathered neighbours of three channels": ((2, 5, 8, 3), 8, 3),
    "two gathered neighbours, as 6 is no multiple of 4": ((2, 5, 6, 3), 8, 3),
    "two strided neighbours": ((2, 5, 8, 12), 16, 3),
    "four strided neighbours of a large kernel": ((2, 7, 8, 3), 8, 5),
    "an odd width, columns filled up": ((2, 5, 7, 9), 10, 3),
    "56 columns filled up": ((1, 5, 6, 28), 56, 3),
    "patches": ((2, 6, 6, 2), 28, 3),
    "one pixel": ((2, 6, 8, 4), 5, 1),
}


@pytest.mark.parametrize("shape, filters, size", CASES.values(), ids=CASES)
def test_values_and_gradients_are_those_of_xla(shape, filters, size):
    with jax.enable_x64(True):
        x, kernel = made(shape, filters, size)
        found = jax.jit(lambda *a: values_and_gradients(convolve, *a))(x, kernel)
        wanted = jax.jit(lambda *a: values_and_gradients(plain, *a))(x, kernel)
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("width, filters, neighbours", [
    (48, 8, 4),
    (48, 16, 2),
    (48, 3, 4),  # four are most, though twelve columns are few
    (48, 32, 1),
    (48, 28, 1),  # filled up to 32 columns
    (46, 8, 2),  # 46 is no multiple of 4
    (45, 8, 1),
])
def test_neighbours_fill_the_columns_and_divide_the_row(width, filters, neighbours):
    assert neighbours_at_once(width, filters) == neighbours


def test_each_way_is_taken_by_a_case(monkeypatch):
    """What `CASES` is there for: a way that no case takes would not be tested."""
    taken = set()
    for name in ("_gathered", "_strided", "kernel_gradient_by_patches"):
        function = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, name=name, function=function: taken.add(name) or function(*a))
    for shape, filters, size in CASES.values():
        jax.eval_shape(lambda *a: values_and_gradients(convolve, *a), *made(shape, filters, size, "float32"))
    assert taken == {"_gathered", "_strided", "kernel_gradient_by_patches"}


@pytest.mark.parametrize("platform, columns", [("cpu", 32), ("cuda", 16), ("tpu", 16)])
def test_only_a_cpu_computes_neighbours_at_once(platform, columns):
    x, kernel = made((2, 6, 8, 12), 16, dtype="float32")
    text = jax.export.export(jax.jit(convolve), platforms=(platform,))(x, kernel).mlir_module()
    (line,) = [line for line in text.splitlines() if "stablehlo.convolution" in line]
    result_type = line.split("->")[-1]
    assert f"x{columns}xf32>" in result_type
