import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellcycle_jax.errors import UsageError
from cellcycle_jax.explain.gradcam import activation_and_gradient, grad_cam, resize_map, resolve_tap, tap_names
from cellcycle_jax.models import MODELS, build
from cellcycle_jax.state import init_variables


class Linear(nn.Module):
    """Mean over the image and a dense layer: Grad-CAM has a closed form."""

    @nn.compact
    def __call__(self, image, train):
        taps = {}
        x = taps["image"] = self.perturb("image", image)
        return nn.Dense(2, name="head")(x.mean(axis=(1, 2))), taps


@pytest.fixture(scope="module")
def image():
    return jax.random.normal(jax.random.key(0), (4, 16, 16, 3))


def made(model, image):
    return jax.jit(lambda: init_variables(model, 1, image.shape[1:]))()


def taps_of(model, variables, image):
    return jax.jit(lambda: model.apply(variables, image, train=False)[1])()


def test_closed_form_of_a_linear_model(image):
    variables = made(Linear(), image)
    kernel = variables["params"]["head"]["kernel"]
    for index in (0, 1):
        cam = image @ kernel[:, index] / 256
        np.testing.assert_allclose(grad_cam(Linear(), variables, image, index, "image", relu=False), cam, atol=1e-7)
        np.testing.assert_allclose(grad_cam(Linear(), variables, image, index, "image"), np.maximum(cam, 0), atol=1e-7)


def test_class_may_differ_from_cell_to_cell(image):
    variables, index = made(Linear(), image), jnp.array([0, 1, 1, 0])
    each = [grad_cam(Linear(), variables, image[i : i + 1], int(c), "image")[0] for i, c in enumerate(index)]
    np.testing.assert_allclose(grad_cam(Linear(), variables, image, index, "image"), jnp.stack(each), atol=1e-7)


def test_resnet_map_is_the_class_activation_map(image):
    model = build("resnet", 2, 4, 1, 0.3)
    variables = made(model, image)
    taps = taps_of(model, variables, image)
    size = taps["stage2"].shape[1] * taps["stage2"].shape[2]
    cam = taps["stage2"] @ variables["params"]["head"]["kernel"][:, 1] / size
    found = jax.jit(lambda: grad_cam(model, variables, image, 1, "stage2", relu=False))()
    np.testing.assert_allclose(found, cam, atol=1e-6)


@pytest.mark.parametrize("name, tap", [("nagao2020", "conv1"), ("resnet", "stem")])
def test_gradient_equals_finite_differences(name, tap, image):
    model = build(name, 2, 2, 1, 0.3, "float64")
    with jax.enable_x64(True):
        image = jnp.asarray(np.asarray(image[:1], np.float64))
        variables = jax.tree.map(lambda p: jnp.asarray(p, jnp.float64), made(model, image))
        activation, gradient = jax.jit(lambda: activation_and_gradient(model, variables, image, 1, tap))()
        taps = taps_of(model, variables, image)
        rng, step = np.random.default_rng(0), 1e-6

        @jax.jit
        def logit(change):
            zeros = {key: jnp.zeros_like(value) for key, value in taps.items()}
            return model.apply({**variables, "perturbations": {**zeros, tap: change}}, image, train=False)[0][0, 1]

        for _ in range(5):
            along = jnp.asarray(rng.normal(size=activation.shape) * (activation > 0))  # pooling has a kink at ties
            slope = (logit(step * along) - logit(-step * along)) / (2 * step)
            assert float(jnp.vdot(gradient, along)) == pytest.approx(float(slope), rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("name", MODELS)
def test_every_tap_of_every_model_has_maps_that_tell_classes_apart(name, image):
    model = build(name, 2, 4, 2, 0.3)
    variables = made(model, image)
    taps = taps_of(model, variables, image)

    @jax.jit
    def all_maps():
        names = tap_names(model, variables, image.shape[1:])
        return {t: jnp.stack([grad_cam(model, variables, image, c, t, relu=False) for c in (0, 1)]) for t in names}

    for tap, maps in all_maps().items():
        assert maps.shape == (2, *taps[tap].shape[:3]) and jnp.isfinite(maps).all()
        assert abs(maps[0] - maps[1]).max() > 1e-6


def test_explaining_leaves_the_logits_as_they_are(image):
    model = build("resnet", 2, 4, 1, 0.3)
    variables = made(model, image)
    activation, _ = jax.jit(lambda: activation_and_gradient(model, variables, image, 0, "stage1"))()
    np.testing.assert_allclose(activation, taps_of(model, variables, image)["stage1"], atol=1e-6)


def test_taps_are_found_by_name():
    assert resolve_tap(("conv1", "conv2"), "last") == "conv2" and resolve_tap(("conv1", "conv2"), "conv1") == "conv1"
    with pytest.raises(UsageError, match="allowed: last, conv1"):
        resolve_tap(("conv1",), "conv9")


def test_resizing_keeps_a_constant_map_and_interpolates_a_ramp():
    np.testing.assert_allclose(resize_map(np.full((1, 4, 4), 3.0, np.float32), 16), 3, rtol=1e-6)
    ramp = resize_map(np.arange(4, dtype=np.float32)[None, :, None] * np.ones((1, 4, 4), np.float32), 8)[0, :, 0]
    np.testing.assert_allclose(ramp, [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3], atol=1e-6)
