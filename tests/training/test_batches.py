import dataclasses

import jax
import numpy as np
import pytest

from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.devices import mesh, model_sharding
from cellcycle_jax.errors import StoredStateRefused, UsageError
from cellcycle_jax.training import batches, loop, setup, train_step
from tests import tiny
from tests.train_process import config


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def crops():
    """Ten cells, told apart by their labels."""
    return dataclasses.replace(tiny.crops(10), label=np.arange(10, dtype=np.int32))


def layout(members=1, devices=1):
    assert jax.device_count() >= devices
    return model_sharding.choose_layout(members, mesh.make_mesh(jax.devices()[:devices]))


@pytest.mark.parametrize("first", [0, 5])
@pytest.mark.parametrize("devices, batch, rows, size", [
    (1, 4, range(10), 4), (2, 4, range(10), 4), (1, 7, [8, 1, 3, 9, 2], 7), (2, 7, [8, 1, 3, 9, 2], 8)])
def test_streamed_batches_are_those_of_the_order(crops, first, devices, batch, rows, size):
    """Also begun later, from some of the cells, and where an epoch ends within a batch; filled up with the first."""
    order, rows = batches.Order(3, np.array(rows, np.int32)), np.array(rows)
    cells = batches.StreamedBatches(crops, order, batch, layout(devices=devices), first, 12)
    done = first
    for count in (1, 4, 2):
        _, arrays = cells.take(done, count)
        wanted = rows[train_step.batch_indices(3, done, len(rows), batch, count)]
        wanted = np.concatenate([wanted, wanted[:, : size - batch]], axis=1)
        assert arrays["label"].shape == (cells.most, size) and len(arrays["label"].sharding.device_set) == devices
        np.testing.assert_array_equal(arrays["label"][:count], wanted)
        np.testing.assert_array_equal(arrays["image"][:count], crops.image[wanted])
        done += count
    cells.close()


def test_resident_batches_are_those_of_the_orders(crops):
    orders = [batches.Order(seed, np.arange(10, dtype=np.int32)[::step]) for seed, step in ((0, 1), (1, 2))]
    index, arrays = batches.DeviceBatches(crops, orders, 4, layout(2)).take(6, 3)
    for row, order in zip(np.asarray(index), orders, strict=True):
        np.testing.assert_array_equal(row[:3], order.batches(6, 3, 4))
    np.testing.assert_array_equal(arrays["image"], crops.image)


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("devices, batch, size", [
    (1, 1, 1), (1, 4, 4), (1, 7, 7), (1, 10, 10), (1, 16, 16), (2, 1, 2), (2, 4, 4), (2, 7, 8), (2, 16, 16)])
def test_every_cell_is_scored_once_and_in_order(crops, resident, devices, batch, size):
    def predict(variables, channel_mask, arrays, index):
        assert index.shape == (size,) and len(index.sharding.device_set) == devices
        return jax.numpy.stack([arrays["label"][index], arrays["image"][index].sum((1, 2, 3))], -1)[None] + variables

    cells = batches.EvaluationCells(crops, batch, layout(devices=devices), resident)
    logits = cells.logits(predict, 1, np.ones((1, 2), bool))
    wanted = np.stack([crops.label, crops.image.sum((1, 2, 3))], -1) + 1
    np.testing.assert_array_equal(logits, wanted[None])


def damage(folder):
    """Change bytes in the middle of the shard of the training split."""
    (path,) = crop_arrays.data_set_folder(folder).glob("*train*array_record*")
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : 2 * len(content) // 3] = bytes(len(content) // 3)
    path.write_bytes(content)


def test_a_record_that_is_damaged_while_training_reads_it_is_told_in_one_line(tmp_path, monkeypatch):
    def load(*given, load=setup.load):
        found = load(*given)
        damage(folder)
        return found

    folder = tiny.write_data(tmp_path / "data", train=128, size=32)
    monkeypatch.setattr(setup, "load", load)
    with pytest.raises(StoredStateRefused, match=r"split 'train' cannot be read \(.*launch.py prepare") as refused:
        loop.train(config(**{"data.placement": "disk"}), folder, tmp_path / "run")
    assert refused.value.exit_code == 5 and "\n" not in str(refused.value)


@pytest.mark.parametrize("place", ["host", "disk"])
def test_a_cohort_whose_cells_do_not_lie_on_the_device_is_refused_in_one_line(folder, tmp_path, place):
    configs = {name: config(**{"data.placement": place, "seed": seed}) for name, seed in (("a", 0), ("b", 1))}
    with pytest.raises(UsageError, match=f"data.placement='{place}'.* one by one") as refused:
        loop.train_cohort(configs, folder, tmp_path, {name: tmp_path / name for name in configs})
    assert "\n" not in str(refused.value)
