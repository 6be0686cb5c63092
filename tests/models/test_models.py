import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellcycle_jax.explain.attribution.activations import tap_names
from cellcycle_jax.models import MODELS, build
from cellcycle_jax.models.network import Network
from cellcycle_jax.models.pooling import _mean_by_reduction, max_pool2, mean_pool2, space_to_depth2
from cellcycle_jax.runs.state import init_variables


def made(name, size=16, filters=4, depth=2, channels=2):
    model = build(name, classes=2, filters=filters, depth=depth, dropout=0.5)
    image = jax.random.normal(jax.random.key(0), (3, size, size, channels))
    return model, jax.jit(lambda: init_variables(model, 1, image.shape[1:]))(), image


def apply(model, variables, image, train=False, key=None):
    rngs = {"dropout": jax.random.key(0) if key is None else key}
    return jax.jit(model.apply, static_argnames="train")(variables, image, train=train, rngs=rngs)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("depth, size", [(0, 16), (2, 17)])
def test_logits_and_taps_have_the_promised_shapes(name, depth, size):
    model, variables, image = made(name, size, depth=depth)
    logits, taps = jax.eval_shape(lambda: model.apply(variables, image, train=False))
    assert logits.shape == (3, 2) and logits.dtype == jnp.float32
    assert all(tap.ndim == 4 and tap.shape[0] == 3 for tap in taps.values())
    assert taps[tap_names(Network(model, variables), image.shape[1:])[-1]].shape[-1] == 4 * 2**depth


@pytest.mark.parametrize("name", MODELS)
def test_cells_do_not_meet(name):
    model, variables, image = made(name)
    alone = apply(model, variables, image[:1])[0]
    np.testing.assert_allclose(apply(model, variables, image)[0][:1], alone, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_dropout_acts_only_in_training(name):
    model, variables, image = made(name)
    for train in (True, False):
        a, b = (apply(model, variables, image, train, jax.random.key(key))[0] for key in (1, 2))
        assert np.array_equal(a, b) == (not train)


def test_nagao_has_the_papers_layers():
    model = build("nagao2020", classes=2, filters=28, depth=2, dropout=0.3)
    made = jax.eval_shape(lambda: init_variables(model, 0, (16, 16, 2)))
    shapes = jax.tree.map(lambda p: p.shape, made["params"])
    assert [shapes[f"convs_{i}"]["kernel"] for i in range(3)] == [(3, 3, 2, 28), (3, 3, 28, 56), (3, 3, 56, 112)]
    assert shapes["hidden"]["kernel"] == (2 * 2 * 112, 224) and shapes["head"]["kernel"] == (224, 2)


def test_taps_are_named_in_order():
    for name, taps in (("nagao2020", ("conv1", "conv2", "conv3")), ("resnet", ("stem", "stage1", "stage2", "stage3"))):
        model = build(name, classes=2, filters=4, depth=2, dropout=0.3)
        variables = jax.eval_shape(lambda model=model: init_variables(model, 0, (16, 16, 2)))
        assert tap_names(Network(model, variables), (16, 16, 2)) == taps


def test_resnet_keeps_detail_and_brightness():
    model, variables, image = made("resnet", size=64)
    dim, bright = (apply(model, variables, image * k)[1]["stage3"] for k in (100, 200))
    assert dim.shape[1:3] == (8, 8)
    assert float(bright.mean() / dim.mean()) == pytest.approx(2, rel=0.1)


def test_pooling_of_a_known_map():
    x = jnp.arange(25.0).reshape(1, 5, 5, 1)
    assert max_pool2(x)[0, ..., 0].tolist() == [[6, 8], [16, 18]]
    assert mean_pool2(x)[0, ..., 0].tolist() == [[3, 5], [13, 15]]
    assert space_to_depth2(x)[0, 0, 0].tolist() == [0, 1, 5, 6]


def test_means_are_the_same_on_a_cpu_and_elsewhere():
    """Of a map with several channels and an odd last row and column."""
    x = jax.random.normal(jax.random.key(0), (2, 7, 9, 5))
    wanted = np.asarray(x)[:, :6, :8].reshape(2, 3, 2, 4, 2, 5).mean((2, 4))
    np.testing.assert_allclose(mean_pool2(x), wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(_mean_by_reduction(x), wanted, rtol=1e-5, atol=1e-6)


def test_each_pixel_has_a_quarter_of_the_gradient_of_its_mean():
    weights = jnp.array([[4.0, 8.0], [12.0, 16.0]])
    gradient = jax.grad(lambda x: jnp.sum(mean_pool2(x)[0, ..., 0] * weights))(jnp.ones((1, 5, 5, 1)))
    assert gradient[0, ..., 0].tolist() == [
        [1, 1, 2, 2, 0],
        [1, 1, 2, 2, 0],
        [3, 3, 4, 4, 0],
        [3, 3, 4, 4, 0],
        [0, 0, 0, 0, 0],
    ]


@pytest.mark.parametrize("name", MODELS)
def test_bfloat16_computes_the_same_roughly_and_keeps_float32_outside(name):
    model, variables, image = made(name)
    narrow = build(name, classes=2, filters=4, depth=2, dropout=0.5, dtype="bfloat16")
    logits, taps = apply(narrow, variables, image)
    wanted = apply(model, variables, image)[0]
    assert logits.dtype == jnp.float32 and all(tap.dtype == jnp.bfloat16 for tap in taps.values())
    assert 0 < float(jnp.abs(logits - wanted).max()) < 0.05 * float(jnp.abs(wanted).max())
    own = jax.eval_shape(lambda: init_variables(narrow, 0, image.shape[1:]))["params"]
    assert all(p.dtype == jnp.float32 for p in jax.tree.leaves(own))


@pytest.mark.parametrize("name", MODELS)
def test_float64_is_float64_throughout(name):
    with jax.enable_x64(True):
        model = build(name, classes=2, filters=4, depth=1, dropout=0.5, dtype="float64")
        made = jax.eval_shape(lambda: init_variables(model, 0, (16, 16, 2)))
        logits, taps = jax.eval_shape(lambda v: model.apply(v, jnp.zeros((1, 16, 16, 2)), train=False), made)
    assert {a.dtype for a in jax.tree.leaves((made["params"], logits, taps))} == {jnp.dtype("float64")}


def test_unused_taps_change_nothing():
    model, variables, image = made("nagao2020", size=17)
    logits, taps = apply(model, variables, image)
    zeros = {name: jnp.zeros(tap.shape) for name, tap in taps.items()}
    explained = apply(model, {**variables, "perturbations": zeros}, image)
    np.testing.assert_allclose(logits, explained[0], atol=1e-5)
    for name in taps:
        np.testing.assert_allclose(taps[name], explained[1][name], atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_embeddings_are_the_means_of_the_taps(name):
    """Also of a model that says them itself."""
    model, variables, image = made(name)
    network = Network(model, variables)
    logits, taps = network(image)
    same_logits, means = jax.jit(lambda network, image: network.embeddings(image))(network, image)
    assert set(means) == set(taps)
    np.testing.assert_allclose(same_logits, logits, rtol=1e-4, atol=1e-5)
    for name, tap in taps.items():
        np.testing.assert_allclose(means[name], tap.mean((1, 2)), rtol=1e-4, atol=1e-6)
