"""Fields treated by several processes, on this machine and behind a Dask scheduler."""

import os
import pathlib
import signal
import threading
import time

import pandas as pd
import pytest
import tifffile

from cellcycle_jax.errors import InputRefused, ResourceMissing
from configs import base
from configs.data import simulated
from data_prep.fields_to_cells import all_fields
from data_prep.reading.field import FieldFile
from data_prep.workers import parallel


def config_for(scheduler=""):
    config = simulated.get_config()
    config.workers, config.scheduler = 1, scheduler
    return config


@pytest.fixture(scope="module")
def straight(simulated_fields, tmp_path_factory):
    return all_fields.process_fields(config_for(), simulated_fields, tmp_path_factory.mktemp("straight")).table


@pytest.fixture
def cluster():
    distributed = pytest.importorskip("distributed", reason="Dask is not installed (pip install -e '.[dask]')")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster


@pytest.mark.slow
def test_dask_gives_the_same_rows_as_one_process(simulated_fields, straight, cluster, tmp_path):
    found = all_fields.process_fields(config_for(cluster.scheduler_address), simulated_fields, tmp_path)
    pd.testing.assert_frame_equal(found.table, straight)
    assert not found.quarantined and len(list(found.preprocessing.crops.glob("*.npz"))) == 20


@pytest.mark.slow
def test_a_killed_worker_costs_nothing(simulated_fields, straight, cluster, tmp_path):
    victim = next(iter(cluster.workers.values())).process.process.pid
    killed = []

    def kill_when_at_work():
        while not list(tmp_path.glob(".work-*/*.npz")):
            time.sleep(0.05)
        os.kill(victim, signal.SIGKILL)
        killed.append(victim)

    watcher = threading.Thread(target=kill_when_at_work, daemon=True)
    watcher.start()
    found = all_fields.process_fields(config_for(cluster.scheduler_address), simulated_fields, tmp_path)
    watcher.join(timeout=10)
    assert killed
    pd.testing.assert_frame_equal(found.table, straight)


def test_a_scheduler_that_does_not_answer_is_named(simulated_fields, tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason="Dask is not installed (pip install -e '.[dask]')")
    monkeypatch.setattr(parallel, "DASK_TIMEOUT_S", 1)
    with pytest.raises(ResourceMissing, match="tcp://127.0.0.1:9.*no Dask scheduler answers"):
        all_fields.process_fields(config_for("tcp://127.0.0.1:9"), simulated_fields, tmp_path)


def test_without_dask_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "dask.distributed", None)
    with pytest.raises(ResourceMissing, match=r"pip install -e '.\[dask\]'"):
        parallel._dask_client("tcp://127.0.0.1:9")


def test_workers_get_absolute_paths_since_they_may_run_in_another_folder(simulated_fields, tmp_path, monkeypatch):
    monkeypatch.chdir(simulated_fields.parent)
    config, seen = config_for(), []
    config.max_fields = 1

    def extract(file, preprocessing):
        seen.extend([*file.paths, preprocessing.folder, preprocessing.crops])
        return "as if damaged"

    monkeypatch.setattr(all_fields, "_extract", extract)
    with pytest.raises(InputRefused, match="as if damaged"):
        all_fields.process_fields(config, simulated_fields.name, os.path.relpath(tmp_path))
    assert len(seen) == 3 and all(path.is_absolute() for path in seen)


def test_pixel_sizes_of_some_fields_only_are_refused(simulated_fields, tmp_path):
    paths = sorted((simulated_fields / "fields").iterdir())[:3]
    folder = tmp_path / "fields"
    folder.mkdir()
    for path in paths:
        said = {"imagej": True, "resolution": (2, 2), "metadata": {"unit": "um"}} if path == paths[0] else {}
        tifffile.imwrite(folder / path.name.replace(".ome", ""), tifffile.imread(path)[:1], **said)
    config = base.preparation()
    config.workers, config.channel_names = 1, ("DNA",)
    with pytest.raises(InputRefused, match="2 of 3 fields do not say how large a pixel is .first: HeLa"):
        all_fields.process_fields(config, folder, tmp_path)


def test_the_folder_inside_of_simulated_data_is_refused_and_its_parent_named(simulated_fields, tmp_path):
    with pytest.raises(InputRefused, match=f"inside of what `simulate` wrote; name {simulated_fields}, which"):
        all_fields.process_fields(config_for(), simulated_fields / "fields", tmp_path)


def test_a_limit_on_fields_is_shared_out_among_lines_and_plates():
    found = [FieldFile((pathlib.Path(f"{line}{plate}{n}"),), f"{line}{plate}{n}", line, plate)
             for line, plate, count in (("A", "1", 5), ("A", "2", 1), ("B", "1", 4)) for n in range(count)]
    names = [file.field_id for file in all_fields.spread(found, 6)]
    assert names == ["A10", "A11", "A12", "A20", "B10", "B11"]
    assert all_fields.spread(found, 0) is found and all_fields.spread(found, 10) is found
