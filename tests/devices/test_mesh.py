import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from cellcycle_jax.devices import mesh
from cellcycle_jax.errors import ResourceMissing, UsageError


def test_batches_are_filled_up_with_their_first_entry():
    assert mesh.pad_to([4, 2, 7], 5).tolist() == [4, 2, 7, 4, 4]
    rows = mesh.pad_to(np.array([[1, 2], [3, 4]], np.int32), 3)
    assert rows.tolist() == [[1, 2, 1], [3, 4, 3]] and rows.dtype == np.int32
    assert mesh.pad_to(np.array([[1, 2], [3, 4]]), 3, axis=0).tolist() == [[1, 2], [3, 4], [1, 2]]
    assert [mesh.padded_size(n, mesh.make_mesh()) for n in (12, 13)] == [12, 14]


def test_a_process_alone_agrees_with_itself():
    assert mesh.allreduce_max(2.5, True) == [2.5, True] and mesh.first_process()
    mesh.require_equal("anything", "nothing")


@pytest.mark.parametrize("given", [{"processes": 2}, {"process": 0}, {"coordinator": "localhost:1", "processes": 2},
                                   {"coordinator": "localhost:1", "processes": 2, "process": 2}])
def test_half_a_description_of_several_processes_is_refused(given):
    with pytest.raises(UsageError, match="--processes"):
        mesh.start(**given)


@pytest.mark.parametrize("coordinator", ["abc", ":1234", "abc:", "abc:port", "a b:1234", "abc:1234567"])
def test_a_coordinator_without_a_host_and_a_port_is_refused(coordinator):
    with pytest.raises(UsageError, match="is not HOST:PORT"):
        mesh.start(coordinator=coordinator, processes=2, process=0)


def test_an_accelerator_that_does_not_exist_is_refused():
    with pytest.raises(UsageError, match="--require_accelerator=cuda does not exist; allowed: gpu, tpu"):
        mesh.start("cuda")


@pytest.fixture
def joined(monkeypatch):
    """What `runtime.divide_cpu` and `jax.distributed.initialize` are called with, on Kubernetes."""
    calls = []
    for name in (mesh.SLURM, mesh.OPEN_MPI, mesh.TPU_HOSTS, "JAX_COORDINATOR_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    for name in mesh.KUBERNETES:
        monkeypatch.setenv(name, "0")
    monkeypatch.setattr(jax.config, "update", lambda *given: None)
    monkeypatch.setattr(mesh.runtime, "divide_cpu", lambda devices: calls.append(devices))
    monkeypatch.setattr(jax.distributed, "initialize", lambda *given, **options: calls.append(given))
    monkeypatch.setattr(mesh.importlib.util, "find_spec", lambda name: None)
    return calls


def test_kubernetes_without_its_package_is_refused_unless_flags_say_the_rest(joined, monkeypatch):
    with pytest.raises(UsageError, match=r"JOB_COMPLETION_INDEX is set.*jax\[k8s\].*--coordinator"):
        mesh.start()
    assert not joined
    mesh.start(coordinator="localhost:1", processes=2, process=1)
    monkeypatch.setenv(mesh.SLURM, "2")
    mesh.start()
    monkeypatch.delenv(mesh.SLURM)
    monkeypatch.setattr(mesh.importlib.util, "find_spec", lambda name: name == "kubernetes")
    mesh.start()
    assert joined == [1, ("localhost:1", 2, 1), 1, (), 1, ()]  # devices of a CPU, and then the process joins the others


@pytest.mark.parametrize("platform, flag", [("cuda", "--require_accelerator=gpu"), ("tpu", "--require_accelerator=tpu"),
                                            ("banana", "")])
def test_a_platform_that_jax_cannot_start_is_one_line(platform, flag, tmp_path):
    if platform == "cuda" and pathlib.Path("/dev/nvidiactl").exists():
        pytest.skip("there is one")
    command = [sys.executable, "launch.py", "train", "--config=configs/default.py", f"--data={tmp_path}",
               f"--workdir={tmp_path / 'run'}", *filter(None, [flag])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=pathlib.Path(__file__).parents[2],
                          env=os.environ | {"JAX_PLATFORMS": platform})
    assert done.returncode == 7, done.stderr
    assert (flag or "JAX_PLATFORMS=banana") in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


def test_a_missing_accelerator_is_told():
    with pytest.raises(ResourceMissing, match="--require_accelerator=tpu: JAX finds only cpu"):
        mesh.start("tpu")


def test_devices_of_a_cpu_share_what_all_of_them_hold():
    arrays = {"image": np.arange(3 * 5 * 7, dtype=np.uint8).reshape(3, 5, 7), "label": np.int32([1, 0])}
    put = mesh.put_everywhere(arrays, mesh.make_mesh())
    for name, array in arrays.items():
        shards = put[name].addressable_shards
        assert len({shard.data.unsafe_buffer_pointer() for shard in shards}) == 1 < len(shards)
        np.testing.assert_array_equal(put[name], array)
