import numpy as np
import pytest

from cellcycle_jax import checkpoint
from cellcycle_jax.errors import StoredStateRefused


def tree(value, size=3):
    kernel = np.full((size, 2), value, np.float32)
    return {"params": {"kernel": kernel}, "batch_stats": {}, "step": np.array(value, np.int32)}


def saved(folder, steps=(1, 2)):
    for step in steps:
        checkpoint.save(folder, step, tree(step), tree(-step), {"best_loss": step / 2})
    return folder


def damage(folder, step):
    """Flip one byte of the largest file of a step."""
    path = max((p for p in (folder / str(step)).rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_what_was_saved_is_restored(tmp_path):
    folder = saved(tmp_path)
    assert checkpoint.newest_step(folder) == 2
    state, best, progress = checkpoint.restore(folder, 2, tree(0), tree(0))
    np.testing.assert_array_equal(state["params"]["kernel"], tree(2)["params"]["kernel"])
    np.testing.assert_array_equal(best["params"]["kernel"], tree(-2)["params"]["kernel"])
    assert int(state["step"]) == 2 and progress == {"best_loss": 1.0}
    assert checkpoint.restore(folder, 2, None, tree(0))[0] is None


def test_only_the_newest_steps_are_kept_and_a_step_may_be_saved_again(tmp_path):
    folder = saved(tmp_path, (1, 2, 3, 3))
    assert sorted(int(p.name) for p in folder.iterdir() if p.is_dir()) == [2, 3]
    assert sorted(p.name for p in folder.glob("*.json")) == ["sha256-2.json", "sha256-3.json"]


def test_a_damaged_step_gives_way_to_the_one_before(tmp_path):
    folder = saved(tmp_path)
    damage(folder, 2)
    assert checkpoint.newest_step(folder) == 1
    damage(folder, 1)
    with pytest.raises(StoredStateRefused, match="damaged"):
        checkpoint.newest_step(folder)


@pytest.mark.parametrize("place, new", [(0, b"\xff"), (0, b"}"), (-20, b"#")])
def test_a_step_with_damaged_hashes_gives_way_to_the_one_before(tmp_path, place, new):
    folder = saved(tmp_path)
    content = bytearray((folder / "sha256-2.json").read_bytes())
    content[place : place + 1 or None] = new
    (folder / "sha256-2.json").write_bytes(content)
    assert checkpoint.newest_step(folder) == 1


def test_a_step_without_its_hashes_was_never_finished(tmp_path):
    assert checkpoint.newest_step(tmp_path) is None
    folder = saved(tmp_path)
    (folder / "sha256-2.json").unlink()
    assert checkpoint.newest_step(folder) == 1


@pytest.mark.parametrize("wanted", [tree(0, size=4), tree(0) | {"more": np.zeros(1)}, tree(0) | {"step": np.zeros(())}])
def test_another_model_is_refused(tmp_path, wanted):
    with pytest.raises(StoredStateRefused, match="stored as"):
        checkpoint.restore(saved(tmp_path, (1,)), 1, wanted, tree(0))
