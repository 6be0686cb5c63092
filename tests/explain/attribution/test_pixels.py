import numpy as np
import pytest

from cellcycle_jax.explain.attribution.methods import attribute, logits_of, resized
from cellcycle_jax.models.network import Network
from tests.networks import Squared, Weighed, network, pictures, with_weights

SIDE = 16
INDEX = np.array([0, 2, 1])


@pytest.fixture(scope="module")
def linear():
    """Images, the variables of a linear network, and the weight of every pixel and channel for INDEX."""
    images = pictures(3, SIDE)
    variables = with_weights(Weighed(), images.shape[1:])
    return images, variables, variables["params"]["head"]["kernel"].T.reshape(3, SIDE, SIDE, 3)[INDEX]


@pytest.mark.parametrize("name", ["gradient_x_input", "integrated_gradients", "expected_gradients", "smooth_grad"])
def test_of_a_linear_network_all_are_weight_times_image(name, linear):
    images, variables, weights = linear
    found = attribute(name, Network(Weighed(), variables), images, INDEX)
    np.testing.assert_allclose(found, weights * images, atol=2e-6)


def test_against_others_is_the_difference_of_the_weights(linear):
    images, variables, weights = linear
    total = variables["params"]["head"]["kernel"].T.reshape(3, SIDE, SIDE, 3).sum(0)
    found = attribute("gradient_x_input", Network(Weighed(), variables), images, INDEX, against_others=True)
    np.testing.assert_allclose(found, (weights - (total - weights) / 2) * images, atol=2e-6)


@pytest.mark.parametrize("baseline", [0.0, 0.5, (0.1, -0.2, 0.3)])
def test_integrated_gradients_begin_at_the_baseline(baseline, linear):
    images, variables, weights = linear
    found = attribute("integrated_gradients", Network(Weighed(), variables), images, INDEX, baseline=baseline, steps=3)
    np.testing.assert_allclose(found, weights * (images - np.float32(baseline)), atol=2e-6)


def test_integrated_gradients_of_a_square_are_its_area():
    images = pictures(3, SIDE)
    found = attribute("integrated_gradients", Network(Squared(), {}), images, 1, baseline=0.5)
    np.testing.assert_allclose(found, -(images**2 - 0.25) / 2, atol=2e-3)


@pytest.mark.parametrize("name", ["nagao2020", "resnet"])
@pytest.mark.parametrize("baseline", [0.0, 0.3])
def test_integrated_gradients_add_up_to_the_change_of_the_score(name, baseline):
    images = pictures(6, SIDE)
    net = network(name, images.shape[1:], classes=3)
    index = np.arange(6) % 3
    found = attribute("integrated_gradients", net, images, index, baseline=baseline)
    change = logits_of(net, images) - logits_of(net, np.full_like(images, baseline))
    change = change[np.arange(6), index]
    assert np.abs(found.sum((1, 2, 3)) - change).mean() < 0.01 * np.abs(change).mean()


def test_expected_gradients_of_a_linear_network_are_those_from_the_mean_cell(linear):
    images, variables, weights = linear
    others = pictures(5, SIDE)[2:]
    found = attribute("expected_gradients", Network(Weighed(), variables), images, INDEX, baseline=others, steps=4)
    np.testing.assert_allclose(found, weights * (images - others.mean(0)), atol=2e-6)


def test_expected_gradients_of_a_square_are_its_area_above_the_mean_area():
    images = pictures(3, SIDE)
    others = pictures(6, SIDE)[3:]
    found = attribute("expected_gradients", Network(Squared(), {}), images, 1, baseline=others, steps=64)
    expected = -(images**2 - (others**2).mean(0)) / 2
    assert np.abs(found - expected).mean() < 0.02 * np.abs(expected).mean()


@pytest.mark.parametrize("name", ["nagao2020", "resnet"])
def test_expected_gradients_add_up_to_the_change_from_the_mean_score_of_the_baselines(name):
    images = pictures(6, SIDE)
    others = pictures(10, SIDE)[6:]
    net = network(name, images.shape[1:], classes=3)
    index = np.arange(6) % 3
    found = attribute("expected_gradients", net, images, index, baseline=others, steps=128)
    change = logits_of(net, images) - logits_of(net, others).mean(0)
    change = change[np.arange(6), index]
    assert np.abs(found.sum((1, 2, 3)) - change).mean() < 0.05 * np.abs(change).mean()


def test_smooth_grad_without_noise_is_gradient_times_image():
    images = pictures(3, SIDE)
    net = network("nagao2020", images.shape[1:], classes=3)
    found = attribute("smooth_grad", net, images, INDEX, noise=0.0, copies=2)
    wanted = attribute("gradient_x_input", net, images, INDEX)
    np.testing.assert_allclose(found, wanted, atol=1e-6 * np.abs(wanted).max())


def test_the_noise_of_smooth_grad_is_a_share_of_each_channels_range():
    images = pictures(3, 32) * np.float32([1, 10, 100])
    images[0, :, :, 2] = 7  # no range, no noise
    net = Network(Squared(), {})
    drawn = attribute("smooth_grad", net, images, 0, copies=1) / images - images  # the gradient is the copy
    sd = drawn.std((1, 2)) / np.maximum(np.ptp(images, axis=(1, 2)), 1e-6)
    assert np.abs(drawn[0, :, :, 2]).max() < 1e-4
    np.testing.assert_allclose(sd.ravel()[[0, 1, 3, 4, 5, 6, 7, 8]], 0.15, rtol=0.1)
    mean = attribute("smooth_grad", net, images, 0, copies=64) / images - images
    assert mean[0, ..., 0].std() == pytest.approx(drawn[0, ..., 0].std() / 8, rel=0.2)


@pytest.mark.parametrize("patch, stride", [(0, 0), (5, 2), (4, 3)])
def test_occlusion_of_a_linear_network_is_what_the_patch_weighs(patch, stride, linear):
    images, variables, weights = linear
    found = attribute("occlusion", Network(Weighed(), variables), images, INDEX, patch=patch, stride=stride)
    patch, stride = patch or 2, stride or 1
    n = -(-SIDE // stride)
    assert found.shape == (3, n, n, 3)
    border = np.ones((SIDE, SIDE), bool)
    border[1:-1, 1:-1] = False
    above = weights * (images - images[:, border].mean(1)[:, None, None])
    for i, j in np.ndindex(n, n):
        top, left = (round((k + 0.5) * SIDE / n - patch / 2) for k in (i, j))
        under = above[:, max(top, 0) : top + patch, max(left, 0) : left + patch]
        np.testing.assert_allclose(found[:, i, j], under.sum((1, 2)), atol=3e-5)


def test_occlusion_of_nothing_but_background_changes_nothing():
    images = np.full((1, SIDE, SIDE, 3), 4.0, np.float32)  # haze
    images[:, 7:9, 7:9, 1] = 9
    found = attribute("occlusion", network("nagao2020", images.shape[1:]), images, 0, patch=2, stride=2)
    away = np.abs(found[0]).copy()
    assert away[3:5, 3:5, 1].min() > 1e-4  # the four patches over the spot
    away[3:5, 3:5, 1] = 0
    assert away.max() < 1e-5


def test_an_occlusion_map_resizes_to_where_the_patches_were():
    images = np.zeros((1, 64, 64, 1), np.float32)
    images[0, 10, 46] = 1
    variables = {"params": {"head": {"kernel": np.ones((64 * 64, 3), np.float32), "bias": np.zeros(3, np.float32)}}}
    found = attribute("occlusion", Network(Weighed(), variables), images, 0)
    assert found.shape == (1, 16, 16, 1)
    fall = np.asarray(resized(found, 64))[0, :, :, 0]
    y, x = (np.average(np.arange(64), weights=fall.sum(axis)) for axis in (1, 0))
    assert abs(y - 10) < 2 and abs(x - 46) < 2  # half a stride


@pytest.mark.parametrize(
    "name", ["integrated_gradients", "expected_gradients", "smooth_grad", "gradient_x_input", "occlusion"]
)
def test_what_a_network_does_not_read_has_no_relevance(name):
    images = pictures(3, SIDE)
    net = network("nagao2020", images.shape[1:])
    net.variables["params"]["convs_0"]["kernel"][:, :, 1] = 0
    found = np.abs(attribute(name, net, images, 0)).max((0, 1, 2))
    assert found[1] < 1e-6 * found.max() and found[[0, 2]].min() > 0.01 * found.max()
