import flax.linen as nn
import numpy as np
import pytest

from cellcycle_jax.errors import UsageError
from cellcycle_jax.explain.attribution.activations import tap_names
from cellcycle_jax.explain.attribution.methods import (
    METHODS,
    at_resolution,
    attribute,
    class_maps,
    logits_of,
    margins,
    resized,
)
from cellcycle_jax.models import MODELS
from cellcycle_jax.models.network import Network
from tests.networks import network, pictures

SIDE = 16


@pytest.mark.parametrize("tap", ["early", "last"])
@pytest.mark.parametrize("model_name", MODELS)
@pytest.mark.parametrize("name", METHODS)
def test_every_method_explains_every_model_cell_by_cell(name, model_name, tap):
    images, index = pictures(5, SIDE), np.array([0, 1, 1, 0, 1])
    net = network(model_name, images.shape[1:], filters=2)
    names = tap_names(net, images.shape[1:])
    tap = names[1] if tap == "early" else tap
    found = attribute(name, net, images, index, tap, batch=2)
    size = found.shape[1]
    assert found.shape == (5, size, size, 3 if METHODS[name].by_channel else 1) and found.dtype == np.float32
    assert np.isfinite(found).all() and (np.abs(found).max((1, 2, 3)) > 0).all()
    near = 2e-5 * np.abs(found).max()
    np.testing.assert_allclose(attribute(name, net, images, index, tap), found, atol=near)
    other = attribute(name, net, images, 1 - index, tap)
    assert (np.abs(other - found).max((1, 2, 3)) > 10 * near).all()
    turned = attribute(name, net, images[::-1].copy(), index[::-1], tap)
    np.testing.assert_allclose(turned[::-1], found, atol=near)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not method.by_channel])
def test_class_activation_maps_have_the_size_of_the_tap(name):
    images = pictures(2, SIDE)
    net = network("nagao2020", images.shape[1:], filters=2)
    sizes = [attribute(name, net, images, 0, tap).shape[1] for tap in ("conv1", "conv2", "last")]
    assert sizes == [16, 8, 4]
    with pytest.raises(UsageError, match="allowed: last, conv1"):
        attribute(name, net, images, 0, "conv9")


class Counted(nn.Module):
    """Counts how often it is traced."""

    traced = []

    @nn.compact
    def __call__(self, image, train):
        Counted.traced.append(image.shape)
        x = self.perturb("image", image)
        return nn.Dense(2, name="head")(x.mean((1, 2))), {"image": x}


def test_one_program_serves_many_models():
    images = pictures(30, SIDE)

    def explain(seed, n):
        head = {"kernel": np.random.default_rng(seed).normal(size=(3, 2)).astype(np.float32), "bias": np.zeros(2, "f4")}
        variables = {"params": {"head": head}}
        found = attribute("hires_cam", Network(Counted(), variables), images[:n], 1, batch=8)
        np.testing.assert_allclose(found[..., 0], images[:n] @ head["kernel"][:, 1] / SIDE**2, atol=1e-6)
        class_maps(Network(Counted(), variables), images[:n], batch=8)
        logits_of(Network(Counted(), variables), images[:n], batch=8)

    explain(0, 30)
    before = len(Counted.traced)
    assert before > 0
    for seed, n in ((1, 30), (2, 3), (3, 17)):
        explain(seed, n)
    assert len(Counted.traced) == before


def test_logits_are_those_of_the_model():
    images = pictures(5, SIDE)
    net = network("resnet", images.shape[1:], filters=2)
    np.testing.assert_allclose(logits_of(net, images, batch=2),
                               net.model.apply(net.variables, images, train=False)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model_name", MODELS)
def test_maps_of_a_model_that_computes_in_bfloat16_can_be_stored(model_name, tmp_path):
    images = pictures(5, SIDE)
    narrow = network(model_name, images.shape[1:], filters=2, dtype="bfloat16")
    wide = network(model_name, images.shape[1:], filters=2).replace(variables=narrow.variables)
    maps, logits = class_maps(narrow, images)
    cam = attribute("grad_cam", narrow, images, 1)
    np.savez(tmp_path / "maps.npz", maps=maps, logits=logits, cam=cam)
    stored = np.load(tmp_path / "maps.npz")
    assert {stored[name].dtype for name in stored} == {np.dtype(np.float32)}
    for name, exact in zip(("maps", "logits"), class_maps(wide, images), strict=True):
        np.testing.assert_allclose(stored[name], exact, atol=0.05 * np.abs(exact).max())
    np.testing.assert_allclose(stored["cam"][..., 0], stored["maps"][:, 1], atol=0.02 * np.abs(stored["maps"]).max())


def test_resizing_keeps_a_constant_map_and_interpolates_a_ramp():
    np.testing.assert_allclose(resized(np.full((1, 4, 4, 2), 3.0, np.float32), 16), 3, rtol=1e-6)
    ramp = np.arange(4, dtype=np.float32)[None, :, None, None] * np.ones((1, 4, 4, 1), np.float32)
    np.testing.assert_allclose(resized(ramp, 8)[0, :, 0, 0], [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3], atol=1e-6)


def test_maps_are_compared_on_one_grid():
    fine = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype(np.float32)
    blocks = np.asarray(at_resolution(fine, 4))
    assert blocks[1, 2, 3, 0] == pytest.approx(fine[1, 8:12, 12:16, 0].mean(), rel=1e-5)
    np.testing.assert_allclose(blocks.mean((1, 2)), fine.mean((1, 2)), atol=1e-6)
    np.testing.assert_array_equal(at_resolution(blocks, 4), blocks)
    np.testing.assert_allclose(at_resolution(np.full((1, 6, 6, 1), 2.0, np.float32), 4), 2, rtol=1e-6)
    coarse = np.arange(4, dtype=np.float32)[None, :, None, None] * np.ones((1, 4, 4, 1), np.float32)
    np.testing.assert_allclose(at_resolution(coarse, 8)[0, :, 0, 0], [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])


def test_a_margin_is_a_logit_less_the_mean_of_the_others():
    np.testing.assert_allclose(margins([[1.0, 2.0, 6.0]]), [[-3, -1.5, 4.5]])
    np.testing.assert_allclose(margins([[1.0, 4.0]]), [[-3, 3]])
