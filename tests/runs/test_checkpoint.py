import errno
import json
import pathlib
import resource
import shutil
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellcycle_jax.errors import StoredStateRefused
from cellcycle_jax.runs import checkpoint, checkpoint_manifest
from tests import soak_checkpoint
from tests.checkpoint_process import FACTS, tree
from tests.flips import flips

ROOT = pathlib.Path(__file__).parents[2]
PROCESS = [sys.executable, "-m", "tests.checkpoint_process"]


def saved(folder, steps=(1, 2)):
    for step in steps:
        checkpoint.save(folder, step, tree(step), tree(-step), {"best_loss": step / 3}, FACTS)
    return folder


def largest(folder, step):
    return max((p for p in (folder / str(step)).rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


def flip(folder, step):
    """Flip one bit in the middle of the largest file of a step."""
    path = largest(folder, step)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return path


def cut(folder, step):
    path = largest(folder, step)
    path.write_bytes(path.read_bytes()[:-1])
    return path


def remove(folder, step):
    path = largest(folder, step)
    path.unlink()
    return path


def add(folder, step):
    path = folder / str(step) / "state" / "more"
    path.write_bytes(b"")
    return path


def change_orbax_metadata(folder, step):
    path = folder / str(step) / "_CHECKPOINT_METADATA"
    path.write_bytes(path.read_bytes().replace(b"timestamp", b"Timestamp"))
    return path


def space_in_manifest(folder, step):
    path = checkpoint_manifest.path_of(folder, step)
    path.write_bytes(path.read_bytes() + b" ")
    return path


def other_fact(folder, step):
    path = checkpoint_manifest.path_of(folder, step)
    path.write_bytes(path.read_bytes().replace(b'"G1"', b'"S"'))
    return path


def no_text(folder, step):
    path = checkpoint_manifest.path_of(folder, step)
    path.write_bytes(b"\xff" + path.read_bytes()[1:])
    return path


def another_list(folder, step):
    """A manifest from before it was sealed."""
    path = checkpoint_manifest.path_of(folder, step)
    path.write_text(json.dumps(json.loads(path.read_text())["files"], indent=1, sort_keys=True) + "\n")
    return path


DAMAGES = (flip, cut, remove, add, change_orbax_metadata, space_in_manifest, other_fact, no_text, another_list)


def test_what_was_saved_is_restored(tmp_path):
    folder = saved(tmp_path)
    assert checkpoint.newest_step(folder) == checkpoint.verified_step(folder) == 2
    state, best, progress = checkpoint.restore(folder, 2, tree(0), tree(0), FACTS)
    assert all(state[name].tobytes() == array.tobytes() for name, array in tree(2).items())
    assert all(best[name].tobytes() == array.tobytes() for name, array in tree(-2).items())
    assert progress == {"best_loss": 2 / 3}
    assert checkpoint.restore(folder, 2, None, tree(0))[0] is None
    assert checkpoint.restore(folder, 2, tree(0), None)[1] is None


@pytest.mark.parametrize("values", [
    np.array([-0.0, np.nan, np.inf, 1e-45], np.float32), np.array([0x7FC0DEAD], np.uint32).view(np.float32),
    np.array([1 / 3, 5e-324]), jnp.array([1.5, -0.0], jnp.bfloat16), np.array([-7], np.int8), np.array([True, False]),
    np.array(2**63 - 1), jnp.array([2**32 - 1], jnp.uint32), np.float32(0.1)])
def test_values_come_back_bit_by_bit(values, tmp_path):
    checkpoint.save(tmp_path, 1, {"values": values}, tree(0), {})
    wanted = {"values": jax.ShapeDtypeStruct(values.shape, values.dtype)}
    found = checkpoint.restore(tmp_path, 1, wanted, None)[0]["values"]
    assert (found.dtype, found.shape) == (values.dtype, values.shape)
    assert found.tobytes() == np.asarray(values).tobytes()


def test_arrays_on_a_mesh_and_in_a_pytree_of_ones_own(tmp_path):
    everywhere = jax.sharding.NamedSharding(jax.make_mesh((jax.device_count(),), ("data",)),
                                            jax.sharding.PartitionSpec())
    state = jax.tree.map(lambda array: jax.device_put(array, everywhere), (tree(3), [tree(4)]))
    checkpoint.save(tmp_path, 1, state, tree(0), {})
    found = checkpoint.restore(tmp_path, 1, jax.eval_shape(lambda: state), None)[0]
    assert jax.tree.structure(found) == jax.tree.structure(state)
    np.testing.assert_array_equal(found[1][0]["kernel"], tree(4)["kernel"])


def test_only_the_newest_steps_are_kept_and_a_step_may_be_saved_again(tmp_path):
    folder = saved(tmp_path, (1, 2, 3, 3))
    assert sorted(p.name for p in folder.iterdir()) == ["2", "3", "sha256-2.json", "sha256-3.json"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_step_is_named_and_never_used(damage, tmp_path, caplog):
    folder = saved(tmp_path)
    name = damage(folder, 2).relative_to(folder).as_posix()
    assert checkpoint.newest_step(folder) == 1
    assert "step 2" in caplog.text and name in caplog.text
    with pytest.raises(StoredStateRefused) as refused:
        checkpoint.verified_step(folder)
    said = str(refused.value)
    assert refused.value.exit_code == 5 and "\n" not in said
    assert "step 2 is damaged" in said and name in said and "resumes from step 1, which is whole" in said
    with pytest.raises(StoredStateRefused, match="step 2 is damaged"):
        checkpoint.restore(folder, 2, tree(0), tree(0))


@pytest.mark.parametrize("ask", [checkpoint.newest_step, checkpoint.verified_step])
def test_where_all_steps_are_damaged_none_is_offered(ask, tmp_path):
    folder = saved(tmp_path)
    names = [damage(folder, step).name for step, damage in ((1, flip), (2, space_in_manifest))]
    with pytest.raises(StoredStateRefused, match="all checkpoints are damaged") as refused:
        ask(folder)
    assert all(name in str(refused.value) for name in names)


def test_an_older_damaged_step_does_not_keep_a_run_from_being_read(tmp_path):
    flip(saved(tmp_path), 1)
    assert checkpoint.verified_step(tmp_path) == checkpoint.newest_step(tmp_path) == 2


def test_a_damaged_step_is_gone_once_training_has_gone_on_from_an_older_one(tmp_path):
    folder = saved(tmp_path, (2, 4))
    flip(folder, 4)
    saved(folder, (3,))
    assert checkpoint_manifest.steps(folder) == [3, 2] and not (folder / "4").exists()
    assert checkpoint.verified_step(folder) == 3


def test_what_an_interrupted_save_left_is_no_step_and_is_swept_by_the_next_one(tmp_path, caplog):
    assert checkpoint.newest_step(tmp_path) is checkpoint.verified_step(tmp_path / "nothing") is None
    folder = saved(tmp_path)
    (folder / "sha256-2.json").unlink()  # killed after the files, before the manifest
    shutil.copytree(folder / "1", folder / "3.orbax-checkpoint-tmp")  # killed in the files
    (folder / ".sha256-3.json.17.tmp.json").touch()  # killed in the manifest
    assert checkpoint.newest_step(folder) == checkpoint.verified_step(folder) == 1
    saved(folder, (5,))
    assert sorted(p.name for p in folder.iterdir()) == ["1", "5", "sha256-1.json", "sha256-5.json"]
    assert "/2: left by" in caplog.text and "/3.orbax-checkpoint-tmp: left by" in caplog.text


def test_reading_changes_nothing_not_even_what_another_process_is_saving(tmp_path):
    folder = saved(tmp_path)
    shutil.copytree(folder / "1", folder / "3.orbax-checkpoint-tmp")
    before = sorted((p, p.stat().st_mtime_ns) for p in folder.rglob("*"))
    checkpoint.restore(folder, checkpoint.newest_step(folder), tree(0), tree(0), FACTS)
    checkpoint.verified_step(folder)
    assert sorted((p, p.stat().st_mtime_ns) for p in folder.rglob("*")) == before


@pytest.mark.parametrize("change, said", [
    ({"kernel": np.zeros((64, 47), np.float32)}, r"state/kernel is stored as \(\[64, 48\], 'float32'\), but"),
    ({"kernel": jax.ShapeDtypeStruct((64, 48), jnp.bfloat16)}, "state/kernel is stored as .* 'bfloat16'"),
    ({"count": np.zeros((), np.int64)}, r"state/count is stored as \(\[\], 'int32'\), but \(\[\], 'int64'\) is asked"),
    ({"more": np.zeros(1)}, "state/more is stored as None")])
def test_another_model_is_refused(change, said, tmp_path):
    with pytest.raises(StoredStateRefused, match=said):
        checkpoint.restore(saved(tmp_path, (1,)), 1, tree(0) | change, tree(0))


@pytest.mark.parametrize("facts, said", [
    (FACTS | {"classes": ["G2", "G1"]}, r"classes is stored as \['G1', 'G2'\], but \['G2', 'G1'\] is asked"),
    (FACTS | {"data": {"mask": "none", "scale": "none"}}, "data.mask is stored as 'cell', but 'none' is asked"),
    (FACTS | {"run_id": "a1"}, "run_id is stored as None, but 'a1'"), ({}, "classes is stored as .*, but None")])
def test_other_facts_are_refused_and_the_first_is_named(facts, said, tmp_path):
    with pytest.raises(StoredStateRefused, match=said):
        checkpoint.restore(saved(tmp_path, (1,)), 1, tree(0), tree(0), facts)


def test_a_write_that_fails_leaves_the_older_step_and_no_rest(tmp_path):
    folder, limits = saved(tmp_path, (1,)), resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = np.random.default_rng(0).normal(size=10**5)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**5, limits[1]))  # bytes in one file
    try:
        with pytest.raises(OSError, match=str(tmp_path)) as failed:
            checkpoint.save(folder, 2, {"noise": noise}, tree(0), {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert failed.value.errno == errno.EFBIG and failed.value.filename == str(folder)
    assert sorted(p.name for p in folder.iterdir()) == ["1", "sha256-1.json"]
    assert checkpoint.verified_step(folder) == 1


def test_a_manifest_that_cannot_be_written_leaves_the_older_step_and_no_rest(tmp_path, monkeypatch):
    def full(path, text):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    folder = saved(tmp_path, (1,))
    monkeypatch.setattr(checkpoint_manifest.files, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        saved(folder, (2,))
    assert sorted(p.name for p in folder.iterdir()) == ["1", "sha256-1.json"]


@pytest.mark.slow
def test_a_full_disk_leaves_the_older_step_and_no_rest(tmp_path):
    command = f"mount -t tmpfs -o size=1m tmpfs {tmp_path} && exec {' '.join(PROCESS)} fill {tmp_path}/checkpoints"
    try:
        subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)], check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount a small disk")
    done = subprocess.run(["unshare", "-rm", "sh", "-c", command], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert done.stdout.split() == ["ENOSPC", "1", "1", "sha256-1.json"]


@pytest.mark.slow
def test_two_processes_save_together(tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    command = [*PROCESS, "together", str(tmp_path / "checkpoints"), port]
    pair = [subprocess.Popen([*command, str(rank)], cwd=ROOT, stdout=subprocess.PIPE, text=True) for rank in (0, 1)]
    try:
        said = [process.communicate(timeout=120)[0].splitlines()[-1] for process in pair]
    finally:
        for process in pair:
            process.kill()
    assert said == ["3528 -3 3"] * 2  # 3 * (1 + 2 + ... + 48)
    assert checkpoint.verified_step(tmp_path / "checkpoints") == 3  # by a third process, on devices of its own
    state, _, progress = checkpoint.restore(tmp_path / "checkpoints", 3, tree(0), tree(0), FACTS)
    assert all(state[name].tobytes() == array.tobytes() for name, array in tree(3).items())
    assert progress == {"step": 3}


def test_every_changed_byte_is_noticed(tmp_path):
    assert flips(saved(tmp_path), tree(0), tree(0), seed=0, count=20) == []


def test_a_changed_byte_does_harm_where_nothing_looks_for_it(tmp_path, monkeypatch):
    """So the test above can fail."""
    monkeypatch.setattr(checkpoint_manifest, "damage", lambda folder, step: None)
    assert len(flips(saved(tmp_path), tree(0), tree(0), seed=0, count=6)) == 6


@pytest.mark.slow
def test_a_kill_while_saving_costs_no_step_that_was_saved(tmp_path):
    failures, unfinished = soak_checkpoint.kills(tmp_path, seed=0, count=4)
    assert failures == [] and unfinished > 0


def test_a_run_without_checkpoints_to_read_waits_for_no_import_of_orbax():
    code = "import sys, cellcycle_jax.runs.checkpoint; print('orbax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout == "False\n"
