"""The second network of a study takes over what the first one had to make."""

import collections

import jax
import pytest

from cellcycle_jax import files
from cellcycle_jax.dataset import tfds_reader
from cellcycle_jax.runs.open_data import OpenData
from cellcycle_jax.studies import one_network
from cellcycle_jax.training import loop
from configs import base
from tests import tiny

COMPILED = "/jax/core/compile/backend_compile_duration"  # by what JAX names each program that it compiles or looks up


@pytest.fixture
def compiled():
    """How many programs JAX compiled, or took from the folder of compiled programs, since the last `clear`."""
    jax.clear_caches()  # another test of this process may have trained a network of these shapes
    programs = collections.Counter()
    active = [True]

    def count(event, seconds, **about):
        if active[0]:
            programs[event] += 1

    jax.monitoring.register_event_duration_secs_listener(count)
    yield programs
    active[0] = False  # JAX has no public way to take a listener away


def config(seed):
    c = base.training()
    c.seed = seed
    c.model.filters = 4
    c.model.depth = 1
    c.train.batch_size = 8
    c.train.steps = 6
    c.train.eval_every = 3
    c.explain.cells_per_class = 20
    return c


def test_training_another_network_of_the_same_shapes_compiles_nothing(tmp_path, compiled):
    data = OpenData(tiny.write_data(tmp_path / "data"))
    loop.train(config(0), data, tmp_path / "first")
    assert compiled[COMPILED] > 0
    compiled.clear()
    loop.train(config(1), data, tmp_path / "second")
    assert compiled[COMPILED] == 0


@pytest.mark.slow
def test_the_second_network_of_a_study_compiles_nothing_and_decodes_no_cell_again(prepared, tmp_path, compiled,
                                                                                  monkeypatch):
    decoded = collections.Counter()
    read = tfds_reader.Records.read

    def watched(records, rows, features):
        rows = list(rows)
        if features is records.pixels:
            decoded.update((id(records), row) for row in rows)
        return read(records, rows, features)

    monkeypatch.setattr(tfds_reader.Records, "read", watched)
    data = OpenData(prepared)
    first = one_network.finish(config(0), data, tmp_path / "first")
    assert set(decoded.values()) == {1}
    compiled.clear()
    second = one_network.finish(config(1), data, tmp_path / "second")
    assert compiled[COMPILED] == 0
    assert set(decoded.values()) == {1}
    assert first.passport["run_id"] != second.passport["run_id"]
    assert second.evaluation == files.read_json(tmp_path / "second" / "evaluation_validation.json")
    written = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "second").rglob("*.json")}
    assert one_network.finish(config(1), data, tmp_path / "second") == second
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "second").rglob("*.json")} == written
