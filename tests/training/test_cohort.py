import types

import flax.linen as nn
import jax
import numpy as np
import pytest

from cellcycle_jax import models
from cellcycle_jax.errors import InputRefused, NonFiniteLoss, UsageError
from cellcycle_jax.models.pooling import space_to_depth2
from cellcycle_jax.runs import checkpoint, state, trained_run
from cellcycle_jax.training import cohort, loop, optimizers
from tests import tiny, train_process
from tests.train_process import config, content, scores

STORED = ("DNA", "Golgi", "CENPF", "EB1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.write_data(tmp_path_factory.mktemp("data"))


def member(name="a", channels=("DNA",), **changes):
    return cohort.Member(name, config(**changes), channels, np.arange(4), np.arange(4))


def test_weights_of_the_smaller_model_lie_where_the_larger_one_has_its_channels():
    wide = cohort.widen(np.array([1, 2]), np.zeros(3), [0, 2], 3)
    assert wide.tolist() == [1, 0, 2]
    kernel = cohort.widen(np.arange(1, 5).reshape(1, 1, 2, 2), np.zeros((1, 1, 3, 2)), [1, 2], 3)
    assert kernel[0, 0].tolist() == [[0, 0], [1, 2], [3, 4]]
    assert cohort.widen(np.array([5.0]), np.zeros(1), [0], 3).tolist() == [5]  # reads no channel


def test_the_four_pixels_of_a_window_hold_their_channels_in_the_order_of_space_to_depth():
    image = 10 * np.arange(4).reshape(1, 2, 2, 1) + np.arange(3)  # pixel and channel of each entry
    small, large = space_to_depth2(image[..., [0, 2]])[0, 0, 0], np.asarray(space_to_depth2(image)[0, 0, 0])
    wide = cohort.widen(small, np.zeros(12), [0, 2], 3)
    assert wide.tolist() == np.where(np.isin(large % 10, [0, 2]), large, 0).tolist()


@pytest.mark.parametrize("name", models.MODELS)
def test_what_was_widened_is_narrowed_to_the_same_bits(name):
    config_of = config(**{"model.name": name})
    small, large = (jax.eval_shape(lambda count=count: state.init_variables(trained_run.model_of(config_of, "ab"), 0, (
        16, 16, count))) for count in (2, 5))
    rng = np.random.default_rng(0)
    small = jax.tree.map(lambda a: rng.normal(size=a.shape), small)
    wide = cohort.widen(small, large, [1, 4], 5)
    assert jax.tree.map(np.shape, wide) == jax.tree.map(np.shape, large)
    jax.tree.map(np.testing.assert_array_equal, cohort.narrow(wide, small, [1, 4], 5), small)
    total = [sum(float(np.abs(a).sum()) for a in jax.tree.leaves(tree)) for tree in (small, wide)]
    assert total[0] == pytest.approx(total[1], rel=1e-12)  # the rest is zero


def test_the_largest_model_sees_the_channels_of_all_in_the_order_of_the_data_set():
    assert cohort.all_channels([member(channels=("EB1", "DNA"))] * 2, STORED) == ("EB1", "DNA")
    several = [member(channels=("Golgi",)), member(channels=("DNA", "EB1")), member(channels=("DNA",))]
    assert cohort.all_channels(several, STORED) == ("DNA", "Golgi", "EB1")
    with pytest.raises(UsageError, match="b: data.channels=EB1,DNA .*order of the data set: DNA, Golgi, CENPF, EB1"):
        cohort.all_channels([member(), member("b", ("EB1", "DNA"))], STORED)


@pytest.mark.parametrize("field, value", [("seed", 5), ("data.channels", ("DNA",)), ("data.cell_lines", ("HeLa",)),
                                          ("optimizer.learning_rate", 0.5), ("optimizer.weight_decay", 0.5),
                                          ("model.dropout", 0.9)])
def test_what_models_of_one_program_may_differ_in(field, value):
    assert field in cohort.FREE and cohort.key_of(config(**{field: value})) == cohort.key_of(config())


def test_no_other_field_may_differ():
    fields = config().to_dict()
    changed = {"train.batch_size": 3, "model.filters": 3, "augment.flip": False, "optimizer.name": "sgd"}
    keys = [cohort.key_of(config(**{name: value})) for name, value in changed.items()]
    assert len({cohort.key_of(config()), *keys}) == 5 and config().to_dict() == fields


def test_configs_that_are_no_cohort_are_refused(folder, tmp_path):
    configs = {"a": config(), "b": config(**{"train.steps": 60})}
    with pytest.raises(UsageError, match="may differ in seed, data.channels"):
        loop.train_cohort(configs, folder, tmp_path, {name: tmp_path / name for name in configs})


def test_a_member_without_cells_is_named(folder, tmp_path):
    configs = {"a": config(), "b": config(**{"data.cell_lines": ("U2OS",)})}
    with pytest.raises(InputRefused, match="U2OS"):
        loop.train_cohort(configs, folder, tmp_path, {name: tmp_path / name for name in configs})


class ChannelsFirst(nn.Module):
    """Reads all pixels of one channel after all of another."""

    @nn.compact
    def __call__(self, image, train):
        return nn.Dense(2)(image.transpose(0, 3, 1, 2).reshape(len(image), -1)), {}


class ChannelsTwice(nn.Module):
    """Has a weight for every pair of channels."""

    @nn.compact
    def __call__(self, image, train):
        return nn.Dense(2)(nn.relu(nn.Dense(image.shape[-1])(image)).mean((1, 2))), {}


class ChannelsLast(nn.Module):
    """Reads all channels of one pixel after all of another."""

    @nn.compact
    def __call__(self, image, train):
        return nn.Dense(2)(image.reshape(len(image), -1)), {}


def start(model):
    members = [member("both", ("DNA", "Golgi")), member("dna")]
    return cohort.make_start(model, optimizers.make_optimizer("adamw", "constant", 1, 1.0, 0.0), members,
                             ("DNA", "Golgi"), 4)


@pytest.mark.parametrize("model, said", [
    (ChannelsFirst(), "ChannelsFirst with channels masked is not the smaller model .*dna differ"),
    (ChannelsTwice(), r"with 2 channels the model has weights of shape \(2, 2\), with 1 of \(1, 1\)")])
def test_an_architecture_that_is_not_the_smaller_model_when_channels_are_masked_is_refused(model, said):
    with pytest.raises(UsageError, match=f"{said}.*one by one") as refused:
        start(model)
    assert "\n" not in str(refused.value)


def test_the_start_of_a_smaller_model_is_its_own():
    first, small = start(ChannelsLast())
    kernel, own = first.params["Dense_0"]["kernel"], state.init_variables(ChannelsLast(), 0, (4, 4, 1))["params"]
    np.testing.assert_array_equal(kernel[1, 0::2], own["Dense_0"]["kernel"])
    assert not kernel[1, 1::2].any() and kernel[0].all()
    assert small[1].params["Dense_0"]["kernel"].shape == (16, 2) and first.step.tolist() == [0, 0]


def train_all(members, folder, root, **changes):
    """Train members together in ROOT/all and alone in ROOT/NAME; what the cohort returns, and its folders."""
    configs = {name: config(**{"model.name": "nagao2020"} | changes | own) for name, own in members.items()}
    folders = {name: root / f"{name}-member" for name in members}
    diverged = loop.train_cohort(configs, folder, root / "all", folders)
    for name in members.keys() - diverged.keys():
        loop.train(configs[name], folder, root / name)
    return diverged, folders


def assert_equal(one, other):
    """Two run folders hold the same, but for rounding."""
    ours, theirs = scores(one), scores(other)
    assert [line["step"] for line in ours] == [line["step"] for line in theirs]
    for a, b in zip(ours, theirs, strict=True):
        assert a == pytest.approx(b, abs=1e-5)
    held = content(other)
    for name, array in content(one).items():
        np.testing.assert_allclose(array, held[name], atol=1e-5)


@pytest.mark.slow
def test_each_member_stops_early_when_it_would_alone(folder, tmp_path):
    members = {"steady": {}, "wild": {"optimizer.learning_rate": 0.5}}
    diverged, folders = train_all(members, folder, tmp_path, **{"train.kept_weights": "best", "train.patience": 2,
                                                                "train.eval_every": 3, "train.steps": 40})
    last = {name: checkpoint.newest_step(path / "checkpoints") for name, path in folders.items()}
    assert diverged == {} and last["wild"] < last["steady"] <= 40
    for name in members:
        assert_equal(folders[name], tmp_path / name)


@pytest.mark.slow
def test_a_member_that_diverges_is_left_out_and_the_others_finish(folder, tmp_path, caplog):
    members = {"good": {}, "lost": {"optimizer.learning_rate": 1e30}}
    diverged, folders = train_all(members, folder, tmp_path, **{"optimizer.name": "sgd", "train.steps": 20,
                                                                "optimizer.learning_rate": 0.01})
    with pytest.raises(NonFiniteLoss) as alone:
        loop.train(config(**{"model.name": "nagao2020", "optimizer.name": "sgd", "train.steps": 20,
                             "optimizer.learning_rate": 1e30}), folder, tmp_path / "lost")
    assert diverged == {"lost": alone.value.step} and not folders["lost"].exists()
    words = f"lost: the loss of step {alone.value.step} is not finite; this model stops, the others continue"
    assert words in caplog.text
    assert_equal(folders["good"], tmp_path / "good")
    assert checkpoint.newest_step(folders["good"] / "checkpoints") == 20


@pytest.mark.slow
def test_a_cohort_goes_on_after_one_member_has_diverged(folder, tmp_path, monkeypatch):
    """Found at a score this time, before any loss; then the cohort is stopped, and started again."""
    members = {"good": {}, "lost": {"optimizer.learning_rate": 1e30}}
    changes = {"optimizer.name": "sgd", "train.steps": 20, "optimizer.learning_rate": 0.01, "train.eval_every": 1}
    with monkeypatch.context() as patched:
        patched.setattr(loop, "DISPATCH_SECONDS", loop.DISPATCH_SECONDS)
        patched.setattr(loop, "_until_next", loop._until_next)
        train_process.stop_at(8)
        with pytest.raises(SystemExit):
            train_all(members, folder, tmp_path, **changes)
    assert 0 < checkpoint.newest_step(tmp_path / "all" / "checkpoints") < 20
    diverged, folders = train_all(members, folder, tmp_path, **changes)
    assert diverged == {"lost": 1}
    assert_equal(folders["good"], tmp_path / "good")


@pytest.mark.slow
def test_a_cohort_whose_models_were_divided_goes_on_with_divided_batches(folder, tmp_path):
    """Stopped as on two accelerators, and then trained as on a CPU."""
    members = {"a": {}, "b": {"seed": 1}, "c": {"data.channels": ("DNA",)}}
    changes = {"model.name": "nagao2020", "train.steps": 20}
    job = {"workdir": str(tmp_path / "all"), "changes": changes, "members": members, "stop_at": 5, "in_program": True}
    assert train_process.finish(train_process.start(folder, [job], devices=2)) == [75]
    configs = {name: config(**changes | own) for name, own in members.items()}
    folders = {name: tmp_path / "all" / name for name in members}
    assert loop.train_cohort(configs, folder, tmp_path / "all", folders) == {}
    loop.train(configs["c"], folder, tmp_path / "c")
    assert_equal(folders["c"], tmp_path / "c")


class FixedDropout(nn.Module):
    """Drops a share of its own."""

    dropout: float = 0.3

    @nn.compact
    def __call__(self, image, train):
        x = nn.Dropout(self.dropout / 2)(image.reshape(len(image), -1), deterministic=not train)
        return nn.Dense(2)(x), {}


def test_dropout_that_is_not_the_configs_alone_may_not_differ():
    members = [member("a", ("DNA", "Golgi")), member("b", ("DNA", "Golgi"), **{"model.dropout": 0.5})]
    adam = optimizers.make_optimizer("adamw", "constant", 1, 1.0, 0.0)
    cohort.make_start(models.build("resnet", 2, 4, 1, 0.3), adam, members, ("DNA", "Golgi"), 16)
    with pytest.raises(UsageError, match=r"FixedDropout drops \[0.15\] where the config says 0.3; .*one by one"):
        cohort.make_start(FixedDropout(), adam, members, ("DNA", "Golgi"), 4)


@pytest.mark.slow
def test_where_all_members_diverge_nothing_is_left_but_their_steps(folder, tmp_path):
    members = {name: {"seed": seed, "optimizer.learning_rate": 1e30} for seed, name in enumerate("ab")}
    configs = {name: config(**{"model.name": "nagao2020", "optimizer.name": "sgd", "train.steps": 20} | own)
               for name, own in members.items()}
    folders = {name: tmp_path / name for name in members}
    diverged = loop.train_cohort(configs, folder, tmp_path / "all", folders)
    assert diverged.keys() == members.keys() and all(0 < step < 20 for step in diverged.values())
    assert not any(path.exists() for path in folders.values())


def test_several_processes_train_no_cohort(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_count", types.MethodType(lambda self: 2, jax))
    with pytest.raises(UsageError, match="need one process, here are 2"):
        loop.train_cohort({"a": config()}, folder, tmp_path, {"a": tmp_path / "a"})
