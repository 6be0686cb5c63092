import json
import os
import signal

import jax.numpy as jnp
import numpy as np
import pytest

from cellcycle_jax import schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.errors import (
    EXIT_PREEMPTED,
    InputRefused,
    NonFiniteLoss,
    ResourceMissing,
    StoredStateRefused,
    UsageError,
)
from cellcycle_jax.evaluation import evaluate
from cellcycle_jax.features import discover
from cellcycle_jax.runs import checkpoint, metric_log, trained_run
from cellcycle_jax.training import batches, early_stopping, loop, train_step
from configs import base
from tests import tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.write_data(tmp_path_factory.mktemp("data"), unlabelled=4)


@pytest.fixture(scope="module")
def straight(folder, tmp_path_factory):
    """A run of 12 steps without interruption."""
    workdir = tmp_path_factory.mktemp("run")
    loop.train(config(), folder, workdir)
    return workdir


def config(**changes):
    c = base.training()
    c.update_from_flattened_dict({"model.name": "nagao2020", "model.filters": 4, "model.depth": 1,
                                  "train.batch_size": 8, "train.steps": 12, "train.eval_every": 3,
                                  "train.checkpoint_every": 4} | changes)
    return c


def labelled(crops):
    return crop_arrays.take(crops, np.flatnonzero(crops.label != schema.NO_LABEL))


def scores(workdir):
    return [{name: value for name, value in record.items() if name != "seconds"} for record in metric_log.read(workdir)]


def interrupt(monkeypatch, at):
    """Dispatch steps one by one, and send SIGTERM to this process when the batch of step `at` is drawn."""
    drawn = train_step.batch_indices

    def draw(seed, step, n, batch, count):
        assert count == 1
        if step == at:
            os.kill(os.getpid(), signal.SIGTERM)
        return drawn(seed, step, n, batch, count)

    monkeypatch.setattr(train_step, "batch_indices", draw)
    monkeypatch.setattr(loop, "DISPATCH_SECONDS", 0.0)


def test_a_run_leaves_what_is_promised(straight, folder):
    record = json.loads((straight / "config.json").read_text())
    assert record["training"] == json.loads(json.dumps(config().to_dict()))
    assert record["channels"] == ["DNA", "Golgi"] and record["classes"] == ["G1/S", "G2"]
    assert record["markers"] == ["CENPF"] and record["data_dir"] == str(folder)
    assert [r["step"] for r in metric_log.read(straight)] == [3, 6, 9, 12]
    assert json.loads((straight / "env.json").read_text())["platform"] == "cpu"


def test_a_run_is_read_back_with_its_best_weights(straight, folder):
    found = trained_run.load_run(straight)
    crops = crop_arrays.load_crops(folder, "validation")
    logits = found.predict_logits(crops, batch=7)
    assert logits.shape == (16, 2) and logits.dtype == np.float32
    best = min(metric_log.read(straight), key=lambda r: r["validation_loss"])
    assert found.step == best["step"]
    known = crops.label >= 0
    assert (logits.argmax(1) == crops.label)[known].mean() == pytest.approx(best["validation_accuracy"])
    assert found.predict_logits(crop_arrays.take(crops, [])).shape == (0, 2)


def test_a_continued_run_equals_an_uninterrupted_one(straight, folder, tmp_path, monkeypatch):
    interrupt(monkeypatch, at=6)
    with pytest.raises(SystemExit) as stop:
        loop.train(config(), folder, tmp_path)
    assert stop.value.code == EXIT_PREEMPTED and checkpoint.newest_step(tmp_path / "checkpoints") == 7
    monkeypatch.undo()
    metric_log.append(tmp_path, {"step": 9, "validation_loss": -1.0})  # of a part that was not saved
    loop.train(config(), folder, tmp_path)
    assert scores(tmp_path) == scores(straight)
    for path in ("state", "best"):
        assert content(tmp_path, path) == content(straight, path)


def content(workdir, item):
    import orbax.checkpoint as ocp

    tree = ocp.StandardCheckpointer().restore(workdir.absolute() / "checkpoints" / "12" / item)
    return json.dumps(tree, sort_keys=True, default=lambda a: np.asarray(a).tobytes().hex())


def test_a_finished_run_is_left_alone(straight, folder):
    before = (straight / "metrics.jsonl").read_text()
    loop.train(config(), folder, straight)
    assert (straight / "metrics.jsonl").read_text() == before


def test_another_config_in_the_same_folder_is_refused(straight, folder):
    with pytest.raises(StoredStateRefused, match="training.model.filters is 4 there and 5 now"):
        loop.train(config(**{"model.filters": 5}), folder, straight)


def test_training_stops_when_the_validation_loss_no_longer_falls(folder, tmp_path):
    changes = {"train.kept_weights": "best", "train.patience": 1, "train.steps": 60, "optimizer.learning_rate": 0.5}
    loop.train(config(**changes), folder, tmp_path)
    last = metric_log.read(tmp_path)[-1]["step"]
    assert last < 60 and checkpoint.newest_step(tmp_path / "checkpoints") == last


@pytest.mark.parametrize("kept_weights", ["last", "best"])
def test_the_kept_weights_are_those_of_the_last_step_or_of_the_lowest_loss(kept_weights, folder, tmp_path):
    changes = {"train.kept_weights": kept_weights, "train.steps": 30, "optimizer.learning_rate": 0.5}
    loop.train(config(**changes), folder, tmp_path)
    losses = {line["step"]: line["validation_loss"] for line in metric_log.read(tmp_path)}
    lowest = min(losses, key=losses.get)
    assert lowest < 30  # else the two would be the same
    run = trained_run.load_run(tmp_path)
    assert run.step == {"last": 30, "best": lowest}[kept_weights]
    train, crops = [labelled(run.crops_of_lines(split)) for split in ("train", "validation")]
    weights = train_step.class_weights(train.label, 2, balance=True)
    found = early_stopping.validation_scores(run.predict_logits(crops), crops.label, weights)
    assert found["validation_loss"] == pytest.approx(losses[run.step], rel=1e-4)


def test_patience_is_refused_where_no_score_chooses_the_weights(folder, tmp_path):
    with pytest.raises(UsageError, match="train.patience=3 stops .*; allowed is patience 0, or"):
        loop.train(config(**{"train.patience": 3}), folder, tmp_path)


def test_a_loss_that_is_not_finite_names_its_step(folder, tmp_path):
    with pytest.raises(NonFiniteLoss, match="step [2-9]"):
        loop.train(config(**{"optimizer.name": "sgd", "optimizer.learning_rate": 1e20}), folder, tmp_path)


@pytest.mark.parametrize("field, value", [("model.name", "nonet"), ("train.batch_size", 0), ("model.dropout", 1.0),
                                          ("data.mask", "halo"), ("train.wandb", "yes"), ("seed", -1),
                                          ("evaluate.interval_level", 95.0), ("evaluate.interval_level", 1.0),
                                          ("evaluate.interval_level", 0.0),
                                          ("explain.cells_per_class", 0),
                                          ("discover.n_candidates", 1)])
def test_values_out_of_range_are_refused_before_anything_is_read(field, value, tmp_path):
    with pytest.raises(UsageError, match=f"config.{field}="):
        loop.train(config(**{field: value}), tmp_path / "nothing", tmp_path)
    assert not list(tmp_path.iterdir())


def test_memory_that_does_not_suffice_is_told_with_what_to_do(folder, tmp_path, monkeypatch):
    def ask_for_too_much(self, step, count):
        return jnp.zeros(1 << 47).block_until_ready()

    monkeypatch.setattr(batches.DeviceBatches, "take", ask_for_too_much)
    with pytest.raises(ResourceMissing, match="562949953421312 bytes.*train.batch_size=8.*data.placement=host"):
        loop.train(config(), folder, tmp_path)


def test_a_class_without_cells_is_refused_with_the_counts(tmp_path):
    tiny.write_data(tmp_path, train=1)
    with pytest.raises(InputRefused, match=r"train: \{'G1/S': 1, 'G2': 0\}; validation: \{'G1/S': 8, 'G2': 8\}"):
        loop.train(config(), tmp_path, tmp_path / "run")


def test_a_model_too_deep_for_the_crops_is_refused(folder, tmp_path):
    with pytest.raises(UsageError, match="depth=4.*at most 3"):
        loop.train(config(**{"model.depth": 4}), folder, tmp_path)


def test_a_folder_that_another_process_trains_in_is_refused(folder, tmp_path):
    (tmp_path / ".lock").write_text("another-host 7\n")
    with pytest.raises(UsageError, match="process 7 on another-host"):
        loop.train(config(), folder, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [".lock"]


def test_a_run_is_finished_at_its_last_step_and_not_before(straight, folder, tmp_path, monkeypatch):
    assert trained_run.load_run(straight, finished=True).step and not (straight / ".lock").exists()
    interrupt(monkeypatch, at=6)
    with pytest.raises(SystemExit):
        loop.train(config(), folder, tmp_path)
    assert trained_run.load_run(tmp_path).step and not (tmp_path / ".lock").exists()
    with pytest.raises(StoredStateRefused, match=r"step 7 of 12; run `launch.py train` to its end"):
        evaluate.evaluate(tmp_path, final=True)
    assert not [record for record in metric_log.read(tmp_path) if "event" in record]


@pytest.mark.parametrize("content", ['{"training": {"seed', "[]", "null", '{"training": {}}', "\udcff"])
def test_a_damaged_record_of_a_run_is_refused_by_every_command(straight, folder, tmp_path, content):
    (tmp_path / "config.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    for act in (lambda: trained_run.load_run(tmp_path), lambda: loop.train(config(), folder, tmp_path),
                lambda: discover.run_discover(tmp_path)):
        with pytest.raises(StoredStateRefused, match="config.json: damaged"):
            act()


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(StoredStateRefused, match="no run folder"):
        trained_run.load_run(tmp_path)
