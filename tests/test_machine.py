import os

import pytest

from cellcycle_jax import machine

V1 = ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")
GIB = 2**30
INNER = "user.slice/job 7"


@pytest.mark.parametrize("files, wanted", [
    ({}, 16),
    ({"cpu.max": "max 100000\n"}, 16),
    ({"cpu.max": "250000 100000\n"}, 2),
    ({"cpu.max": "50000 100000\n"}, 1),
    (dict(zip(V1, ("300000\n", "100000\n"), strict=True)), 3),
    (dict(zip(V1, ("-1\n", "100000\n"), strict=True)), 16),
    ({"cpu.max": "3200000 100000\n"}, 16),
    ({"cpu.max": "not numbers at all\n"}, 16),
    ({f"{INNER}/cpu.max": "200000 100000\n", "user.slice/cpu.max": "300000 100000\n"}, 2),
    ({f"{INNER}/cpu.max": "300000 100000\n", "user.slice/cpu.max": "200000 100000\n"}, 2),
])
def test_cores_are_those_bound_or_the_quota_of_a_container(files, wanted, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)), raising=False)
    lay_out(files, tmp_path, monkeypatch)
    assert machine.cores() == wanted


def lay_out(files, folder, monkeypatch, groups=f"0::/{INNER}\n", available=100 * GIB):
    """A machine whose files say this; it has so many free bytes, and this process is in these groups."""
    files = {f"cgroup/{name}": text for name, text in files.items()}
    files |= {"proc/self/cgroup": groups, "proc/self/statm": "900 1000 3\n",
              "proc/meminfo": f"MemTotal: 999 kB\nMemAvailable:  {available // 1024} kB\n"}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.setattr(machine, "CGROUPS", folder / "cgroup")
    monkeypatch.setattr(machine, "PROC", folder / "proc")
    for name in ("SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU", "SLURM_CPUS_ON_NODE"):
        monkeypatch.delenv(name, raising=False)


def limited(maximum, current, group="", version=2, cached=0):
    """The files of a group with a limit on memory, in GiB."""
    head = f"{'memory/' if version == 1 else ''}{group}{'/' if group else ''}"
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    maximum = maximum if isinstance(maximum, str) else str(maximum * GIB)
    stat = f"anon 5\ninactive_file {cached * GIB}\n" if version == 2 else f"total_inactive_file {cached * GIB}\n"
    return {head + names[0]: maximum + "\n", head + names[1]: f"{current * GIB}\n", f"{head}memory.stat": stat}


V1_GROUPS = f"9:cpu,cpuacct:/\n4:memory:/{INNER}\n0::/\n"


@pytest.mark.parametrize(("files", "groups", "wanted"), [
    ({}, "0::/\n", 100),
    (limited("max", 3, INNER), f"0::/{INNER}\n", 100),
    (limited(8, 3, INNER), f"0::/{INNER}\n", 5),
    (limited(8, 3, INNER, cached=2), f"0::/{INNER}\n", 7),
    (limited(8, 3, INNER) | limited(6, 5, "user.slice"), f"0::/{INNER}\n", 1),
    (limited(8, 3), "0::/host/path/that/is/not/mounted/here\n", 5),
    (limited(8, 9, INNER), f"0::/{INNER}\n", 0),
    (limited(8, 3, INNER, 1), V1_GROUPS, 5),
    (limited(8, 3, INNER, 1, cached=1), V1_GROUPS, 6),
    (limited(8, 3, "", 1), V1_GROUPS, 5),
    (limited(2**33, 3, INNER, 1), V1_GROUPS, 100),  # what v1 says where there is no limit
    (limited(8, 3, INNER) | {f"{INNER}/memory.high": f"{4 * GIB}\n"}, f"0::/{INNER}\n", 1),
    ({f"{INNER}/memory.max": "nonsense\n", f"{INNER}/memory.current": "1\n"}, f"0::/{INNER}\n", 100),
])
def test_free_memory_is_what_the_tightest_container_leaves(files, groups, wanted, tmp_path, monkeypatch):
    lay_out(files, tmp_path, monkeypatch, groups)
    assert machine.free_memory() == wanted * GIB


@pytest.mark.parametrize(("job", "wanted"), [
    ({"SLURM_MEM_PER_NODE": "4096"}, 4 * GIB),
    ({"SLURM_MEM_PER_CPU": "1024", "SLURM_CPUS_ON_NODE": "3"}, 3 * GIB),
    ({"SLURM_MEM_PER_NODE": "0"}, None),
    ({"SLURM_MEM_PER_CPU": "1024"}, None),
    ({"SLURM_MEM_PER_NODE": "lots"}, None),
])
def test_a_job_of_slurm_leaves_what_was_asked_for_it_less_what_is_held(job, wanted, tmp_path, monkeypatch):
    lay_out({}, tmp_path, monkeypatch)
    for name, text in job.items():
        monkeypatch.setenv(name, text)
    held = 1000 * os.sysconf("SC_PAGE_SIZE")
    assert machine.free_memory() == (100 * GIB if wanted is None else wanted - held)


def test_without_any_of_these_files_it_is_the_memory_of_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "CGROUPS", tmp_path / "a")
    monkeypatch.setattr(machine, "PROC", tmp_path / "b")
    assert machine.free_memory() == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
