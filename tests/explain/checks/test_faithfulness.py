import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from cellcycle_jax.explain.checks import faithfulness as f
from cellcycle_jax.models.network import Network
from cellcycle_jax.scoring.intervals import Resampling

SIDE = 16
FRACTIONS = (0.0, 0.125, 0.25, 0.5, 0.75, 0.875, 1.0)
INTERVALS = Resampling(0.95, 0)


class Sum(nn.Module):
    """The logit of class 0 is a weighted sum over the crop, that of class 1 is 0."""

    @nn.compact
    def __call__(self, image, train):
        weight = self.param("weight", nn.initializers.zeros, image.shape[1:])
        logit = jnp.sum(image * weight, axis=(1, 2, 3))
        return jnp.stack([logit, jnp.zeros_like(logit)], axis=1), {}


def square(channels=1):
    """A quarter of the crop, not in the middle."""
    mask = np.zeros((SIDE, SIDE, channels), np.float32)
    mask[1:9, 3:11, 0] = 1
    return mask


def scored(mask, maps, images=None, **options):
    """Rows by (fill, measure), and mean curves by (fill, measure, order), where `mask` holds 8 logits in all."""
    maps = np.asarray(maps, np.float32)
    images = np.ones((len(maps), *mask.shape), np.float32) if images is None else images
    variables = {"params": {"weight": jnp.asarray(mask * 8 / mask.sum())}}
    groups = [str(n) for n in range(len(maps))]
    options = {"fills": ("zero",), "fractions": FRACTIONS, "resampling": INTERVALS, **options}
    predictions = f.Predictions(Network(Sum(), variables), images, np.zeros(len(maps), int))
    rows, points = f.faithfulness(predictions, maps, groups, **options)
    curves = {}
    for p in points:
        curves.setdefault((p["fill"], p["measure"], p["order"]), []).append(p["probability"])
    return {(row["fill"], row["measure"]): row for row in rows}, curves


# Share of the square that is left once the map has taken that share of the crop, the best map and the worst one.
BEST = np.array([1, 0.5, 0, 0, 0, 0, 0])
WORST = np.array([1, 1, 1, 1, 1, 0.5, 0])


@pytest.mark.parametrize("sign, left, inserted", [(1, BEST, 1 - BEST), (-1, WORST, 1 - WORST)])
def test_curves_and_areas_of_a_linear_model_are_known(sign, left, inserted):
    rows, curves = scored(square(), np.repeat(sign * square()[None], 12, 0))
    for measure, share in (("deletion", left), ("insertion", inserted)):
        np.testing.assert_allclose(curves["zero", measure, "map"], expit(8 * share), atol=1e-6)
        row = rows["zero", measure]
        assert row["area"] == pytest.approx(np.trapezoid(expit(8 * share), FRACTIONS), abs=1e-6)
        gain = row["area"] - row["control"]
        assert row["value"] == pytest.approx(gain if measure == "insertion" else -gain)
        assert row["n_cells"] == 12
        assert (row["low"] > 0) if sign > 0 else (row["high"] < 0)


def test_a_map_of_channels_takes_only_the_channel_that_it_names():
    mask = square(2)
    _, each = scored(mask, np.repeat(mask[None], 2, 0), fractions=(0, 0.125, 1))
    np.testing.assert_allclose(each["zero", "deletion", "map"], [expit(8), 0.5, 0.5], atol=1e-6)
    _, both = scored(mask, np.repeat(mask[None, :, :, :1], 2, 0), fractions=(0, 0.125, 0.25, 1))
    np.testing.assert_allclose(both["zero", "deletion", "map"], [expit(8), expit(4), 0.5, 0.5], atol=1e-6)


def test_each_cell_has_the_curve_of_its_own_class():
    rank = f.ranked(np.repeat(square()[None], 2, 0), np.zeros((2, SIDE, SIDE, 1)))
    variables, images = {"params": {"weight": jnp.asarray(square()) / 8}}, np.ones((2, SIDE, SIDE, 1), np.float32)
    predictions = f.Predictions(Network(Sum(), variables), images, np.array([0, 1]))
    found = f.Removal(predictions, "zero", 0).curves(rank, "deletion", FRACTIONS)
    np.testing.assert_allclose(found, [expit(8 * BEST), expit(-8 * BEST)], atol=1e-6)


def test_what_maps_have_in_common_is_predicted_once(monkeypatch):
    seen = []

    def counted(network, images):
        seen.append(len(images))
        return np.zeros((len(images), 2), np.float32)

    monkeypatch.setattr(f.methods, "logits_of", counted)
    scored(square(), np.repeat(square()[None], 6, 0), fills=("zero", "mean"))
    # Six cells: as they are; of each fill without any pixel, and of two measures and two orders the five steps between.
    assert sum(seen) == 6 * (1 + 2 * (1 + 2 * 2 * 5))


def test_a_random_map_is_as_faithful_as_its_control():
    maps = np.random.default_rng(3).normal(size=(60, 4, 4, 1))
    for row in scored(square(), maps)[0].values():
        assert row["low"] < 0 < row["high"]
        assert row["high"] - row["low"] < 0.1


def test_the_control_takes_every_pixel_equally_often():
    # Then the mean share of the square that is left falls in a straight line, though the map itself is the square.
    taken = f.ranked(f.shifted_control(np.repeat(square(2)[None], 800, 0), np.random.default_rng(0)),
                     np.random.default_rng(1).normal(size=(800, SIDE, SIDE, 2))) < 64
    assert taken.mean() == pytest.approx(0.125)
    np.testing.assert_allclose(taken.mean(0), 0.125, atol=5 * np.sqrt(0.125 * 0.875 / 800))


def test_a_moved_map_has_the_same_values_elsewhere():
    maps = np.random.default_rng(0).normal(size=(5, 8, 8, 3))
    found = f.shifted_control(maps, np.random.default_rng(1))
    np.testing.assert_array_equal(np.sort(found.reshape(5, -1)), np.sort(maps.reshape(5, -1)))
    assert (found != maps).mean() > 0.9


def test_rescaling_a_map_changes_nothing():
    rng = np.random.default_rng(0)
    maps = rng.permuted(np.arange(256.0).reshape(1, -1).repeat(8, 0), axis=1).reshape(8, SIDE, SIDE, 1)
    images = rng.uniform(size=(8, SIDE, SIDE, 1)).astype(np.float32)
    first = scored(square(), maps, images, fills=f.FILLS)
    for scaled in (3 * maps - 500, np.sqrt(maps), 1e-12 * maps):
        assert scored(square(), scaled, images, fills=f.FILLS) == first
    assert scored(square(), -maps, images, fills=f.FILLS) != first


def test_ties_are_broken_in_patches_and_by_seed():
    flat = np.full((20, 32, 32, 1), 0.3) + np.random.default_rng(0).normal(size=(20, 32, 32, 1)) * 1e-8
    first, other = (f.ranked(flat, f.coarse_noise((20, 4, 4, 1), 32, np.random.default_rng(s))) < 512 for s in (0, 1))
    assert first.sum((1, 2, 3)).tolist() == [512] * 20
    assert (first[:, 1:] == first[:, :-1]).mean() > 0.85  # dust has 0.5
    assert (first == other).mean() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("fill", ["blur", "mean", "road"])
def test_a_crop_that_the_fill_does_not_change_keeps_its_curve(fill, monkeypatch):
    monkeypatch.setattr(f, "ROAD_NOISE", 0)
    fractions = (0, 0.25, 0.75, 1) if fill != "road" else (0, 0.25, 0.75)  # nothing is left to interpolate from
    maps = np.random.default_rng(0).normal(size=(4, 4, 4, 1))
    rank = f.ranked(f.coarse_noise(maps.shape, SIDE, np.random.default_rng(0)), np.zeros((4, SIDE, SIDE, 1)))
    variables, images = {"params": {"weight": jnp.asarray(square()) / 32}}, np.ones((4, SIDE, SIDE, 1), np.float32)
    predictions = f.Predictions(Network(Sum(), variables), images, np.zeros(4, int))
    found = f.Removal(predictions, fill, 0).curves(rank, "deletion", fractions)
    np.testing.assert_allclose(found, expit(2), atol=1e-5)


def test_fills_are_what_they_say():
    images = np.random.default_rng(0).uniform(size=(3, SIDE, SIDE, 2)).astype(np.float32)
    assert not f.filled(images, "zero").any()
    np.testing.assert_allclose(f.filled(images, "mean")[1], images.mean(0))
    spot = np.zeros((1, 64, 64, 2), np.float32)
    spot[0, 32, 32, 0] = 1
    blurred = f.filled(spot, "blur")
    assert blurred[0, 32, 32, 0] == pytest.approx(1 / (2 * np.pi * 8**2), rel=0.01)  # sigma is S / 8
    assert not blurred[..., 1].any()


def ramp():
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    return np.stack([2 * y + 3 * x, 5 - y], axis=-1)[None]


def test_road_continues_a_ramp():
    removed = np.zeros((1, SIDE, SIDE, 2), bool)
    removed[0, 2:9, 3:12, 0] = removed[0, 12, 12, 1] = True
    np.testing.assert_allclose(f.imputed(ramp(), removed, 0), ramp(), atol=0.01)


def test_road_noise_is_a_share_of_the_spread_of_each_channel():
    removed = np.zeros((200, SIDE, SIDE, 2), bool)
    removed[:, 2:9, 3:12] = True
    images = np.repeat(ramp(), 200, 0)
    noise = f.road_noise(images, 0)
    error = (f.imputed(images, removed, noise) - images)[:, 2:9, 3:12]
    np.testing.assert_allclose(error.std((0, 1, 2)), f.ROAD_NOISE * ramp()[0].std((0, 1)), rtol=0.1)
    assert not np.array_equal(noise, f.road_noise(images, 1))


def test_road_solves_its_equations_at_the_edge_too():
    rng = np.random.default_rng(0)
    images, removed = rng.uniform(size=(2, 8, 8, 3)).astype(np.float32), rng.random((2, 8, 8, 3)) < 0.8
    found = f.imputed(images, removed, 0)
    np.testing.assert_array_equal(found[~removed], images[~removed])
    for n, y, x, c in np.argwhere(removed):
        weights, values = [], []
        for i, j in np.ndindex(3, 3):
            a, b = y + i - 1, x + j - 1
            if (i, j) != (1, 1) and 0 <= a < 8 and 0 <= b < 8:
                weights.append(1 / 6 if 1 in (i, j) else 1 / 12)
                values.append(found[n, a, b, c])
        assert found[n, y, x, c] == pytest.approx(np.average(values, weights=weights), abs=1e-3)
