import os
import platform
import subprocess
import sys

import jax
import pytest

from cellcycle_jax import machine
from cellcycle_jax.devices import runtime

# Frees an array of 64 MiB and prints whether the process became smaller by it.
FREE = """
import os
import numpy as np
from cellcycle_jax.devices import runtime
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
if {keep}:
    assert runtime.keep_freed_memory()
array = np.ones(2**23)
before = resident()
del array
print(before - resident() > 2**25)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
@pytest.mark.parametrize("keep", [False, True])
def test_freed_memory_is_kept(keep):
    found = subprocess.run([sys.executable, "-c", FREE.format(keep=keep)], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(not keep)


def test_elsewhere_nothing_is_done(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not runtime.keep_freed_memory()


@pytest.mark.parametrize("given, share, threads", [(None, None, "6"), ("4", None, "4"), ("4", 2, "2")])
def test_xla_has_a_thread_for_each_core_of_this_process(given, share, threads, monkeypatch):
    """A worker's share counts, whatever it inherits from the command; else what the user says."""
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(6), raising=False)
    monkeypatch.setattr(machine, "_quota", lambda: float("inf"))
    monkeypatch.setattr(machine, "_share", {"cores": float("inf")})
    monkeypatch.delenv(runtime.THREADS_VARIABLE, raising=False)
    if given:
        monkeypatch.setenv(runtime.THREADS_VARIABLE, given)
    if share:
        machine.limit_cores(share)
    runtime.limit_threads()
    assert os.environ[runtime.THREADS_VARIABLE] == threads


@pytest.mark.parametrize("folder, kept", [("programs", "programs"), ("", None)])
def test_the_variable_names_the_cache(folder, kept, monkeypatch, tmp_path):
    found = {}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jax.config, "update", found.__setitem__)
    monkeypatch.setenv(runtime.CACHE_VARIABLE, folder)
    runtime.enable_compile_cache()
    assert found.get("jax_compilation_cache_dir") == kept
    assert sorted(path.name for path in tmp_path.iterdir()) == ([kept] if kept else [])


@pytest.mark.parametrize("below", ["", "folder"])
def test_a_folder_that_cannot_be_written_is_told_once_and_no_cache_is_kept(below, monkeypatch, tmp_path, caplog):
    found, folder = {}, tmp_path / "file" / below
    (tmp_path / "file").touch()
    monkeypatch.setattr(jax.config, "update", found.__setitem__)
    monkeypatch.setenv(runtime.CACHE_VARIABLE, str(folder))
    for _ in range(2):
        runtime.enable_compile_cache()
    (said,) = caplog.messages
    assert f"{runtime.CACHE_VARIABLE}={folder}: " in said and not found


def devices_of(code, **variables):
    """What a new process prints that runs `code`, without a word about devices in its environment but `variables`."""
    environment = {name: value for name, value in os.environ.items() if name not in (*SAID, "JAX_PLATFORMS")}
    code = f"import jax; from cellcycle_jax import machine; from cellcycle_jax.devices import runtime; {code}"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                           env=environment | variables)
    return found.stdout.split(), found.stderr


SAID = ("JAX_NUM_CPU_DEVICES", "XLA_FLAGS")
COUNT = "runtime.divide_cpu(); print(jax.device_count())"


@pytest.mark.parametrize("code, variables, wanted", [
    (f"machine.cores = lambda: 3; {COUNT}", {}, 3),
    (f"machine.cores = lambda: 64; {COUNT}", {}, runtime.MOST_CPU_DEVICES),
    (COUNT, {"JAX_NUM_CPU_DEVICES": "5"}, 5),
    (COUNT, {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}, 4),
    ("runtime.divide_cpu(6); runtime.divide_cpu(1); print(jax.device_count())", {}, 1),
])
def test_each_core_is_a_device_unless_the_user_says_otherwise(code, variables, wanted):
    assert devices_of(code, JAX_PLATFORMS="cpu", **variables) == ([str(wanted)], "")


def test_a_process_that_has_used_jax_keeps_its_devices_and_is_told():
    found, said = devices_of("jax.numpy.ones(1); runtime.divide_cpu(3); print(jax.device_count())", JAX_PLATFORMS="cpu")
    assert found == ["1"] and "keeps 1 device(s) of the CPU instead of 3" in said
