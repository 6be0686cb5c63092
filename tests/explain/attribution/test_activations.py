import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellcycle_jax.errors import UsageError
from cellcycle_jax.explain.attribution.activations import (
    activation_and_gradient,
    activation_and_gradients,
    resolve_tap,
    score_of,
    scores_of,
    tap_names,
)
from cellcycle_jax.models.network import Network
from tests import numpy_network
from tests.networks import network, pictures


def test_taps_are_found_by_name():
    assert resolve_tap(("conv1", "conv2"), "last") == "conv2" and resolve_tap(("conv1", "conv2"), "conv1") == "conv1"
    with pytest.raises(UsageError, match="allowed: last, conv1"):
        resolve_tap(("conv1",), "conv9")


def test_taps_are_named_in_the_order_of_the_model():
    net = network("resnet", (16, 16, 3), depth=2)
    assert tap_names(net, (16, 16, 3)) == ("stem", "stage1", "stage2", "stage3")


def test_scores():
    logits = jnp.array([[1.0, 4.0, -2.0], [0.0, 3.0, 9.0]])
    np.testing.assert_allclose(score_of(logits, jnp.array([1, 2])), [4, 9])
    np.testing.assert_allclose(score_of(logits, jnp.array([1, 2]), against_others=True), [4.5, 7.5])
    np.testing.assert_allclose(score_of(logits, 0, against_others=True), [0, -6])
    np.testing.assert_allclose(scores_of(logits, against_others=True), [[0, 4.5, -4.5], [-6, -1.5, 7.5]])
    lifted = logits + jnp.array([[100.0], [-7.0]])  # which a softmax does not notice
    np.testing.assert_allclose(score_of(lifted, 1, True), score_of(logits, 1, True), rtol=1e-5)


class Noting(nn.Module):
    """Two taps, twice the image and twice that; notes the shapes of what is added to them."""

    noted = {}

    @nn.compact
    def __call__(self, image, train):
        taps, x = {}, image
        for name in ("once", "twice"):
            x = taps[name] = self.perturb(name, 2 * x)
            Noting.noted[name] = jnp.shape(self.get_variable("perturbations", name, 0))
        return nn.Dense(2, use_bias=False)(x.mean((1, 2))), taps


def test_only_the_tap_that_is_asked_for_gets_an_array():
    image = jnp.asarray(pictures(2, 4))
    kernel = jnp.arange(6.0).reshape(3, 2)
    variables = {"params": {"Dense_0": {"kernel": kernel}}}
    activation, gradient = activation_and_gradient(Network(Noting(), variables), image, 1, "once")
    assert Noting.noted == {"once": image.shape, "twice": ()}
    np.testing.assert_allclose(activation, 2 * image)
    np.testing.assert_allclose(gradient, jnp.broadcast_to(2 * kernel[:, 1] / 16, image.shape))


@pytest.mark.parametrize("against_others", [False, True])
@pytest.mark.parametrize("name, tap", [("nagao2020", "conv1"), ("nagao2020", "last"), ("resnet", "stem")])
def test_gradient_equals_finite_differences(name, tap, against_others):
    with jax.enable_x64(True):
        image = jnp.asarray(pictures(1, 16), jnp.float64)
        net = network(name, image.shape[1:], classes=3, filters=2, depth=1, dtype="float64")
        found = jax.jit(lambda: activation_and_gradient(net, image, 1, tap, against_others))()
        activation, gradient = found
        taps = jax.jit(lambda: net.model.apply(net.variables, image, train=False)[1])()
        rng, step, own = np.random.default_rng(0), 1e-6, resolve_tap(tap_names(net, image.shape[1:]), tap)

        @jax.jit
        def score(change):
            zeros = {key: jnp.zeros_like(value) for key, value in taps.items()}
            perturbed = {**net.variables, "perturbations": {**zeros, own: change}}
            logits = net.model.apply(perturbed, image, train=False)[0][0]
            return logits[1] - (logits[0] + logits[2]) / 2 if against_others else logits[1]

        for _ in range(5):
            along = jnp.asarray(rng.normal(size=activation.shape) * (activation > 0))  # pooling has a kink at ties
            slope = (score(step * along) - score(-step * along)) / (2 * step)
            assert float(jnp.vdot(gradient, along)) == pytest.approx(float(slope), rel=1e-4, abs=1e-8)


def test_gradients_of_all_classes_are_those_of_a_network_written_in_numpy():
    images = pictures(2, 18).astype(np.float64)
    with jax.enable_x64(True):
        net = network("nagao2020", images.shape[1:], classes=3, dtype="float64")
        activation, gradients, logits = jax.jit(lambda: activation_and_gradients(net, images, "conv2"))()
    assert gradients.shape == (3, *activation.shape)
    for n, image in enumerate(images):
        np.testing.assert_allclose(logits[n], numpy_network.forward(net.variables["params"], image)[2], rtol=1e-10)
        for p in range(3):
            a, g = numpy_network.gradient(net.variables["params"], image, p, 2)
            np.testing.assert_allclose(activation[n], a, atol=1e-10)
            np.testing.assert_allclose(gradients[p, n], g, atol=1e-10)


def test_explaining_leaves_the_logits_and_the_activation_as_they_are():
    images = pictures(3, 16)
    net = network("resnet", images.shape[1:], depth=1)
    activation, _, logits = jax.jit(lambda: activation_and_gradients(net, images, "stage1"))()
    plain, taps = jax.jit(lambda: net.model.apply(net.variables, images, train=False))()
    np.testing.assert_allclose(activation, taps["stage1"], atol=1e-5)
    np.testing.assert_allclose(logits, plain, rtol=1e-4)
