import dataclasses
import itertools

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from cellcycle_jax.errors import InputRefused, UsageError
from cellcycle_jax.explain.attribution.methods import logits_of
from cellcycle_jax.explain.checks import channel_importance
from cellcycle_jax.explain.checks.check import Evidence
from cellcycle_jax.models.network import Network
from cellcycle_jax.scoring.intervals import Resampling
from tests.weighed_network import UPPER, make_cells, make_run

SIDE = 8


class OfMeans(nn.Module):
    """Logits 0 and sum of weight_k m_k + together m_0 m_1, where m_k is the mean of channel k."""

    weight: tuple
    together: float = 0.0

    @nn.compact
    def __call__(self, image, train):
        mean = image.mean((1, 2))
        logit = mean @ jnp.array(self.weight) + self.together * mean[:, 0] * mean[:, min(1, mean.shape[1] - 1)]
        return jnp.stack([jnp.zeros_like(logit), logit], 1), {"last": image}


def pictures(means):
    """Images f32 [N, S, S, K] with these means [N, K], not flat."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(len(means), SIDE, SIDE, np.shape(means)[1]))
    noise -= noise.mean((1, 2), keepdims=True)
    return (noise + np.asarray(means)[:, None, None]).astype(np.float32)


def by_orders(value, players):
    """Shapley values by their definition: mean over all orders of what a player adds."""
    each = np.zeros(players)
    orders = list(itertools.permutations(range(players)))
    for order in orders:
        present = 0
        for k in order:
            each[k] += value[present | 1 << k] - value[present]
            present |= 1 << k
    return each / len(orders)


def study(weight, cells=240, per_field=12, noise=0.3, seed=0):
    """Labelled cells whose channel means tell the class, `weight` each, and a model that adds the channels up."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, cells)
    means = (2 * label - 1)[:, None] * np.array(weight) + rng.normal(scale=noise, size=(cells, len(weight)))
    return pictures(means), label, np.arange(cells) // per_field


def subset_logits(network, images, groups, *rest, **options):
    plain = logits_of(network, images)
    return channel_importance.subset_logits(network, images, groups, plain, *rest, **options)


def occlusion_by_mean(network, images, label):
    return channel_importance.occlusion_by_mean(network, images, logits_of(network, images), label)


def occlusion_by_shuffle(network, images, groups, *rest, **options):
    plain = logits_of(network, images)
    return channel_importance.occlusion_by_shuffle(network, images, groups, plain, *rest, **options)


def scored(images, label, groups, weight, repeats=3):
    logits = subset_logits(Network(OfMeans(weight), {}), images, groups, repeats, seed=0)
    return channel_importance.channel_shapley(logits, label, groups, Resampling(0.95, 0))


def test_shapley_is_the_mean_over_all_orders():
    value = np.random.default_rng(0).normal(size=(16, 3))
    found = channel_importance.shapley(value)
    assert found.shape == (4, 3)
    for j in range(3):
        np.testing.assert_allclose(found[:, j], by_orders(value[:, j], 4), rtol=1e-12)


def test_symmetric_players_share_and_one_without_effect_gets_nothing():
    # 0 and 1 earn 6 only together; 2 adds nothing; 3 adds 5 to anything.
    value = [6.0 * (s & 3 == 3) + 5.0 * (s >> 3 & 1) + 1 for s in range(16)]
    np.testing.assert_allclose(channel_importance.shapley(value), [3, 3, 0, 5], atol=1e-12)
    with pytest.raises(ValueError, match="3 values"):
        channel_importance.shapley([0, 1, 2])


def test_each_cell_gets_another_one_of_its_field_once():
    fields = np.array(list("abcabcabca"))
    other = channel_importance.shuffled_within(fields, np.random.default_rng(0))
    assert sorted(other.tolist()) == list(range(10)) and channel_importance.alone(fields) == 0
    assert (other != np.arange(10)).all() and (fields[other] == fields).all()


def test_another_cell_is_any_of_its_field_equally_often():
    rng = np.random.default_rng(0)
    drawn = [channel_importance.shuffled_within(["x"] * 4, rng)[0] for _ in range(3000)]
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 3000, [0, 1 / 3, 1 / 3, 1 / 3], atol=0.03)


def test_a_cell_alone_in_its_field_gets_a_cell_of_another_and_is_counted():
    fields = np.array(["a", "b", "b", "c"])
    assert channel_importance.alone(fields) == 2 and channel_importance.alone(["a"]) == 1
    for seed in range(20):
        other = channel_importance.shuffled_within(fields, np.random.default_rng(seed))
        assert (other != np.arange(4)).all() and other[1:3].tolist() == [2, 1]
    with pytest.raises(InputRefused, match="more cells"):
        channel_importance.shuffled_within(["a"], np.random.default_rng(0))


def test_all_channels_are_the_plain_logits_and_none_are_those_of_another_cell():
    images, _, groups = study((1.0, 0.5, 0.2), cells=12, per_field=6)
    model = OfMeans((1.0, -2.0, 3.0), 0.7)
    plain = np.asarray(model.apply({}, images, False)[0])
    logits = subset_logits(Network(model, {}), images, groups, repeats=2, seed=3, batch=5)
    assert logits.shape == (8, 2, 12, 2) and logits.dtype == np.float32
    np.testing.assert_allclose(logits[-1], [plain, plain], rtol=1e-5)
    for field in (slice(0, 6), slice(6, 12)):
        for none in logits[0, :, field, 1]:
            np.testing.assert_allclose(np.sort(none), np.sort(plain[field, 1]), rtol=1e-5)
    assert np.abs(logits[0] - plain)[..., 1].min() > 1e-3  # no cell is its own other cell
    assert np.abs(logits[0, 0] - logits[0, 1]).max() > 1e-3  # a repeat is a shuffle of its own


def test_a_subset_shows_its_channels_and_the_other_cells_channels():
    means = np.array([[1.0, 10, 100], [2, 20, 200]])  # digits say which channel is whose
    network = Network(OfMeans((1.0, 1.0, 1.0)), {})
    logits = subset_logits(network, pictures(means), ["f", "f"], 1, seed=0)
    np.testing.assert_allclose(logits[:, 0, 0, 1], [222, 221, 212, 211, 122, 121, 112, 111], rtol=1e-4)


def test_an_interaction_is_shared_by_hand():
    # Against a cell of zeros: half of c m0 m1 goes to each of the two channels that make it together.
    a, b, c, m0, m1 = 2.0, 1.0, 4.0, 0.5, 0.75
    images = np.ones((2, SIDE, SIDE, 3), np.float32) * np.float32([[m0, m1, 9], [0, 0, 0]])[:, None, None]
    network = Network(OfMeans((a, b, 0.0), c), {})
    logits = subset_logits(network, images, ["f", "f"], repeats=2, seed=0)
    found = channel_importance.shapley((logits[..., 1] - logits[..., 0]).mean(1))[:, 0]
    by_hand = [a * m0 + c * m0 * m1 / 2, b * m1 + c * m0 * m1 / 2, 0]
    np.testing.assert_allclose(found, by_hand, atol=1e-5)


def test_a_model_that_reads_one_channel_has_all_its_score_from_there():
    images, label, groups = study((1.0, 1.0, 1.0))
    for name, found in scored(images, label, groups, (0.0, 1.0, 0.0)).items():
        np.testing.assert_allclose(found["value"][[0, 2]], 0, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(found["share"], [0, 1, 0], atol=1e-12)
        assert found["value"][1] == pytest.approx(found["all"] - found["none"])
        assert found["all"] > 0.99 and found["none"] == pytest.approx(0.5, abs=0.1)


def test_the_score_is_shared_out_completely_and_lies_within_its_interval():
    images, label, groups = study((0.4, 0.3, 0.0), cells=480, noise=0.5)
    for found in scored(images, label, groups, (1.0, 1.0, 1.0)).values():
        assert found["value"].sum() == pytest.approx(found["all"] - found["none"])
        assert (found["low"] < found["value"]).all() and (found["value"] < found["high"]).all()
        assert found["value"][0] > found["value"][1] > 0.05 and found["low"][1] > 0 > found["low"][2]
        assert found["dropped"].tolist() == [0, 0, 0]


def test_intervals_resample_fields():
    """Twelve equal copies of one cell of each class make no field surer than one cell would."""
    images, label, _ = study((0.4, 0.4), cells=40, noise=0.6)
    logits = subset_logits(Network(OfMeans((1.0, 1.0)), {}), images, np.arange(40) // 10, 1, seed=0)
    copies = [np.repeat(logits, 12, axis=2), np.repeat(label, 12)]
    once, copied = (channel_importance.channel_shapley(*of, group, Resampling(0.95, 0))["auroc"] for of, group in
                    (((logits, label), np.arange(40)), (copies, np.repeat(np.arange(40), 12))))
    np.testing.assert_allclose(once["low"], copied["low"], atol=1e-9)
    np.testing.assert_allclose(once["high"], copied["high"], atol=1e-9)


def test_a_channel_that_differs_only_between_fields_gets_no_credit():
    rng = np.random.default_rng(0)
    field = np.repeat(np.arange(20), 10)
    label = (field % 2 + (rng.random(200) < 0.1)) % 2  # fields are mostly of one class
    image = np.zeros((200, SIDE, SIDE, 2), np.float32)
    image[..., 0] = (2.0 * (field % 2) - 1)[:, None, None]  # light of the field
    image[..., 1] = (2.0 * label - 1 + rng.normal(scale=0.1, size=200))[:, None, None]
    within = scored(image, label, field, (1.0, 1.0))["auroc"]
    assert within["value"][0] == pytest.approx(0, abs=1e-12) and within["share"] == pytest.approx([0, 1])
    over_all = scored(image, label, np.zeros(200), (1.0, 1.0))["auroc"]
    assert over_all["value"][0] > 0.2


def test_no_channel_above_zero_has_no_shares():
    logits = np.zeros((4, 1, 6, 2), np.float32)
    found = channel_importance.channel_shapley(logits, np.array([0, 1] * 3), list("aabbcc"), Resampling(0.95, 0))
    assert found["auroc"]["value"].tolist() == [0, 0] and np.isnan(found["auroc"]["share"]).all()


def test_nine_channels_are_refused():
    images = np.zeros((4, SIDE, SIDE, 9), np.float32)
    with pytest.raises(UsageError, match="512 subsets.*cohort over combinations of channels"):
        subset_logits(Network(OfMeans((1.0,) * 9), {}), images, list("aaaa"), 1, 0)


def test_occlusion_by_the_mean_takes_off_what_the_channel_adds():
    means = np.array([[3.0, 1.0], [2.0, 0.5], [-1.0, -0.5], [-4.0, -3.0]])
    network = Network(OfMeans((2.0, 1.0)), {})
    found = occlusion_by_mean(network, pictures(means), np.array([1, 1, 0, 0]))
    sign = np.array([1, 1, -1, -1])[:, None]  # the margin of class 0 is that of class 1 with the sign turned
    np.testing.assert_allclose(found["margin"], sign * np.array([2.0, 1.0]) * (means - means.mean(0)), atol=1e-5)
    # Each channel alone still orders the classes; with a model of one channel nothing is left of the order.
    np.testing.assert_allclose(found["auroc"], [0, 0], atol=1e-9)
    flat = np.broadcast_to(means[:, None, None], (4, SIDE, SIDE, 2)).astype(np.float32)
    one = occlusion_by_mean(Network(OfMeans((2.0, 0.0)), {}), flat, np.array([1, 1, 0, 0]))
    np.testing.assert_allclose(one["auroc"], [0.5, 0])
    assert one["margin"][:, 1].tolist() == [0] * 4


def test_occlusion_by_shuffling_is_the_last_step_of_the_game():
    images, label, groups = study((0.5, 0.3), cells=40, per_field=10)
    model = OfMeans((1.0, 1.0), 0.5)
    logits = subset_logits(Network(model, {}), images, groups, repeats=2, seed=5)
    found = occlusion_by_shuffle(Network(model, {}), images, groups, label, repeats=2, seed=5)
    called = logits[-1, 0].argmax(1)
    for k in (0, 1):
        fall = (2 * called - 1) * np.diff(logits[3] - logits[3 ^ 1 << k], axis=-1)[..., 0]
        np.testing.assert_allclose(found["margin"][:, k], fall.mean(0), atol=1e-5)
    assert (found["auroc"] > 0).all()
    of_game = channel_importance.occlusion_in_subsets(logits, label)
    for name, values in found.items():
        np.testing.assert_allclose(of_game[name], values, atol=1e-6)


def test_occlusion_serves_more_channels_than_the_game():
    images = pictures(np.tile([[1.0] + [0.5] * 8, [-1.0] + [0.5] * 8], (6, 1)))
    label = np.array([1, 0] * 6)
    network = Network(OfMeans((1.0,) + (0.0,) * 8), {})
    found = occlusion_by_shuffle(network, images, ["f"] * 12, label, 4, 0)
    assert found["auroc"].shape == (9,) and found["auroc"][0] > 0.3 and (found["auroc"][1:] == 0).all()


def test_the_score_is_that_channels():
    found = channel_importance.ask(Evidence(make_cells(make_run(UPPER), np.arange(48) % 2)))
    auroc = found["shapley"]["auroc"]
    assert found["channels"] == ["DNA", "Golgi"] and found["why"] == ""
    assert auroc["value"][0] == pytest.approx(0, abs=1e-9)
    assert auroc["value"][1] == pytest.approx(auroc["all"] - auroc["none"]) and auroc["all"] == 1
    assert auroc["value"][1] > 0.3 and auroc["share"] == pytest.approx([0, 1])
    for by in ("mean", "shuffle"):
        assert found["occlusion"][by]["auroc"][0] == 0 < 0.3 < found["occlusion"][by]["auroc"][1]
        assert found["occlusion"][by]["margin"][0] == pytest.approx(0, abs=1e-5)


def test_integrated_gradients_of_channels_add_up_to_the_margin_of_each_class():
    cells = make_cells(make_run(UPPER), [0, 0, 1] * 8)
    margin = cells.logits[:, 1] - cells.logits[:, 0]
    means = [margin[cells.crops.label == p].mean() - margin.mean() for p in (0, 1)]
    assert means[0] < -0.2 < 0.4 < means[1]
    np.testing.assert_allclose(
        channel_importance.ask(Evidence(cells))["integrated_gradients"], [[0, m] for m in means], atol=1e-4
    )


def test_channels_are_shuffled_within_fields_and_groups_are_resampled():
    """The stain of each field tells the class of all its cells: another cell of the field has it just as well."""
    label = np.arange(48) // 6 % 2
    cells = make_cells(make_run(UPPER), label)
    crops = dataclasses.replace(cells.crops, group_id=np.full(48, "well"))
    found = channel_importance.ask(Evidence(dataclasses.replace(cells, crops=crops)))
    assert found["alone"] == 0 and found["shapley"] is None
    assert "under the ROC curve 1.00 without any channel of the cell's own, 1.00 with all" in found["why"]
    assert found["occlusion"]["shuffle"]["auroc"] == pytest.approx([0, 0], abs=1e-9)
    field = crops.field_id.copy()
    field[0] = "own"
    crops = dataclasses.replace(crops, field_id=field)
    assert channel_importance.ask(Evidence(dataclasses.replace(cells, crops=crops)))["alone"] == 1


def test_shapley_values_of_one_group_have_no_interval():
    cells = make_cells(make_run(UPPER), np.arange(48) % 2)
    crops = dataclasses.replace(cells.crops, group_id=np.full(48, "well"))
    auroc = channel_importance.ask(Evidence(dataclasses.replace(cells, crops=crops)))["shapley"]["auroc"]
    assert auroc["value"][1] == pytest.approx(0.5, abs=0.15) and np.isnan(auroc["low"]).all()


def test_of_one_cell_no_channel_can_be_shuffled_and_the_rest_is_told():
    found = channel_importance.ask(Evidence(make_cells(make_run(UPPER), [1])))
    assert found["shapley"] is None and found["occlusion"]["shuffle"] is None and found["alone"] == 1
    assert found["why"].count("one cell alone") == 1 and len(found["occlusion"]["mean"]["margin"]) == 2
    assert np.isnan(found["integrated_gradients"][0]).all() and np.isfinite(found["integrated_gradients"][1]).all()
    found = channel_importance.ask(Evidence(make_cells(make_run(UPPER, channel=4, channels=9), [1], channel=4)))
    assert "9 channels" in found["why"] and "one cell alone" in found["why"]


def test_one_channel_has_it_all():
    cells = make_cells(make_run(UPPER, channel=0, channels=1), np.arange(48) % 2, channel=0)
    auroc = channel_importance.ask(Evidence(cells))["shapley"]["auroc"]
    assert auroc["value"] == pytest.approx([auroc["all"] - auroc["none"]])
    assert cells.class_differences["share"].sum() == pytest.approx(1)
