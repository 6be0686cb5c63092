import os

import pytest

from cellcycle_jax import machine

V1 = ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")


@pytest.mark.parametrize("files, wanted", [
    ({}, 16),
    ({"cpu.max": "max 100000\n"}, 16),
    ({"cpu.max": "250000 100000\n"}, 2),
    ({"cpu.max": "50000 100000\n"}, 1),
    (dict(zip(V1, ("300000\n", "100000\n"), strict=True)), 3),
    (dict(zip(V1, ("-1\n", "100000\n"), strict=True)), 16),
    ({"cpu.max": "3200000 100000\n"}, 16),
    ({"cpu.max": "not numbers at all\n"}, 16),
])
def test_cores_are_those_bound_or_the_quota_of_a_container(files, wanted, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)), raising=False)
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert machine.cores() == wanted
