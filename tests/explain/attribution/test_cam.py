import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellcycle_jax.explain.attribution import cam, methods
from cellcycle_jax.explain.attribution.activations import tap_shapes
from cellcycle_jax.models.network import Network
from tests import numpy_network
from tests.networks import Averaged, network, pictures, with_weights

SIDE = 18  # halved to 9, of which the last row and column are left out
BY_GRADIENT = ("grad_cam", "grad_cam_plus_plus", "hires_cam", "layer_cam")


def away(found, wanted):
    """Largest difference, relative to the largest entry."""
    return np.abs(found - wanted).max() / np.abs(wanted).max()


@pytest.mark.parametrize("number", [3, 2, 1])
@pytest.mark.parametrize("name", BY_GRADIENT)
def test_maps_are_those_of_a_network_written_in_numpy(name, number):
    images, index = pictures(4, SIDE).astype(np.float64), np.array([0, 1, 2, 1])
    with jax.enable_x64(True):
        net = network("nagao2020", images.shape[1:], classes=3, dtype="float64")
        found = methods.attribute(name, net, images, index, f"conv{number}")[..., 0]
    for image, of_class, one in zip(images, index, found, strict=True):
        a, g = numpy_network.gradient(net.variables["params"], image, of_class, number)
        assert away(one, getattr(numpy_network, name)(a, g)) < 1e-10


@pytest.mark.parametrize("name", [*BY_GRADIENT, "score_cam"])
def test_float32_is_as_good_to_five_digits(name):
    images, index = pictures(4, SIDE), np.array([0, 1, 2, 1])
    net = network("nagao2020", images.shape[1:], classes=3)
    params = jax.tree.map(lambda leaf: leaf.astype(np.float64), net.variables["params"])
    found = methods.attribute(name, net, images, index)[..., 0]
    for image, of_class, one in zip(images.astype(np.float64), index, found, strict=True):
        if name == "score_cam":
            wanted = numpy_network.score_cam(params, image, of_class, 3)
        else:
            wanted = getattr(numpy_network, name)(*numpy_network.gradient(params, image, of_class, 3))
        assert away(one, wanted) < 1e-5


def test_score_cam_is_that_of_a_network_written_in_numpy():
    images, index = pictures(3, SIDE).astype(np.float64), np.array([0, 2, 1])
    with jax.enable_x64(True):
        net = network("nagao2020", images.shape[1:], classes=3, dtype="float64")
        found = {n: methods.attribute("score_cam", net, images, index, f"conv{n}") for n in (1, 3)}
    for number, maps in found.items():
        for image, of_class, one in zip(images, index, maps[..., 0], strict=True):
            assert away(one, numpy_network.score_cam(net.variables["params"], image, of_class, number)) < 1e-10


def test_closed_form_of_a_linear_model():
    images = pictures(4, 16)
    variables = with_weights(Averaged(), (16, 16, 3))
    kernel, index = variables["params"]["head"]["kernel"], np.array([0, 1, 1, 0])
    weights = kernel[:, index].T[:, None, None] / 256
    total = images.sum((1, 2), keepdims=True)
    alpha = 256 * np.maximum(weights, 0) / (2 + total * weights)
    wanted = {"grad_cam": weights * images, "hires_cam": weights * images, "layer_cam": np.maximum(weights, 0) * images,
              "grad_cam_plus_plus": alpha * images}
    for name, maps in wanted.items():
        found = methods.attribute(name, Network(Averaged(), variables), images, index)
        np.testing.assert_allclose(found[..., 0], maps.sum(-1), atol=2e-6)


def test_a_pixel_without_a_gradient_or_a_denominator_adds_nothing():
    images = pictures(2, 16)
    variables = with_weights(Averaged(), (16, 16, 3))
    variables["params"]["head"]["kernel"][0, 0] = 0
    images[..., 1] = -1 / 128 / variables["params"]["head"]["kernel"][1, 0] * 256  # 2 + sum of A * g is 0
    found = methods.attribute("grad_cam_plus_plus", Network(Averaged(), variables), images, 0)
    assert np.isfinite(found).all()
    variables["params"]["head"]["kernel"][:, 0] = 0
    assert not methods.attribute("grad_cam_plus_plus", Network(Averaged(), variables), images, 0).any()


def test_resnet_map_is_the_class_activation_map():
    images = pictures(3, 16)
    net = network("resnet", images.shape[1:], depth=1)
    logits, taps = jax.jit(lambda: net.model.apply(net.variables, images, train=False))()
    head, size = net.variables["params"]["head"], taps["stage2"].shape[1] * taps["stage2"].shape[2]
    wanted = taps["stage2"] @ head["kernel"][:, 1] / size
    for name in ("grad_cam", "hires_cam"):
        found = methods.attribute(name, net, images, 1, "stage2")[..., 0]
        np.testing.assert_allclose(found, wanted, atol=1e-6)
        np.testing.assert_allclose(found.sum((1, 2)), logits[:, 1] - head["bias"][1], rtol=1e-5)


@pytest.mark.parametrize("against_others", [False, True])
@pytest.mark.parametrize("name, tap", [("nagao2020", "conv2"), ("resnet", "stage1")])
def test_one_way_through_the_model_makes_the_maps_of_all_classes(name, tap, against_others):
    images = pictures(3, 16)
    net = network(name, images.shape[1:], classes=3)
    options = {"tap": tap, "against_others": against_others}
    together, logits = methods.class_maps(net, images, **options)
    each = [methods.attribute("grad_cam", net, images, p, **options)[..., 0] for p in range(3)]
    assert away(together, np.stack(each, 1)) < 1e-5
    np.testing.assert_allclose(logits, methods.logits_of(net, images), rtol=1e-5)
    assert (np.abs(together.sum(1)).max() < 1e-5 * np.abs(together).max()) == against_others


def test_score_cam_leaves_out_channels_that_are_the_same_everywhere():
    images = pictures(3, 16)
    images[..., 1] = 5  # a large score, if it were let through
    images[2] = 1
    variables = {"params": {"head": {"kernel": np.float32([[1, 0], [9, 0], [2, 0]]), "bias": np.float32([1, 0])}}}
    found = methods.attribute("score_cam", Network(Averaged(), variables), images, 0)[..., 0]
    for image, one in zip(images[:2], found, strict=False):
        mask = (image - image.min((0, 1))) / np.maximum(np.ptp(image, axis=(0, 1)), 1e-9)
        through = {d: image * mask[..., d, None] for d in (0, 2)}
        rise = {d: np.mean(seen @ [1, 9, 2]) for d, seen in through.items()}
        share = 1 / (1 + np.exp(rise[2] - rise[0]))
        np.testing.assert_allclose(one, share * image[..., 0] + (1 - share) * image[..., 2], rtol=1e-4, atol=1e-4)
    assert not found[2].any()


def test_score_cam_needs_memory_for_one_way_through_the_model():
    images = jnp.asarray(pictures(4, 32))
    net = network("nagao2020", images.shape[1:], filters=16, depth=1)
    channels = tap_shapes(net, images)["conv2"].shape[-1]

    def memory(function):
        return jax.jit(function).lower(net, images).compile().memory_analysis().temp_size_in_bytes

    once = memory(lambda net, images: net.logits(images))
    assert channels == 32
    assert memory(lambda net, images: cam.score_cam(net, images, 0)) < 6 * once
