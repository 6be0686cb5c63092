"""Checkpoints of a run: what to continue from and the best weights so far, in one step folder, checked by SHA-256.

The only file that touches orbax. Orbax makes a step appear whole or not at all, but restores flipped bytes silently, so
the hashes of a step's files are written after it, and only a step whose hashes agree is used.
"""

import logging
import pathlib

import jax
import numpy as np
import orbax.checkpoint as ocp

from cellcycle_jax import files
from cellcycle_jax.errors import StoredStateRefused

KEPT = 2  # steps kept, so that one is left if the newest is damaged


def save(folder, step: int, state, best, progress: dict) -> None:
    """Save one step; older ones than the newest `KEPT` are removed once it is whole.

    Args:
        folder: RUN/checkpoints.
        step: steps done.
        state: pytree to continue from.
        best: pytree of the best weights so far.
        progress: JSON-able facts of the loop.
    """
    folder = pathlib.Path(folder).absolute()
    with _manager(folder) as manager:
        if step in manager.all_steps():
            manager.delete(step)
        manager.save(step, args=ocp.args.Composite(
            state=ocp.args.StandardSave(state), best=ocp.args.StandardSave(best), progress=ocp.args.JsonSave(progress)))
        manager.wait_until_finished()
        kept = manager.all_steps()
    files.write_json(_manifest(folder, step), _hashes(folder / str(step)))
    for manifest in folder.glob("sha256-*.json"):
        if int(manifest.stem.removeprefix("sha256-")) not in kept:
            manifest.unlink()


def newest_step(folder) -> int | None:
    """The newest step whose files are as they were written; None where no step was ever finished.

    Raises:
        StoredStateRefused: there are finished steps, and all of them are damaged.
    """
    folder = pathlib.Path(folder).absolute()
    steps = sorted((int(p.stem.removeprefix("sha256-")) for p in folder.glob("sha256-*.json")), reverse=True)
    for step in steps:
        if (folder / str(step)).is_dir() and _hashes(folder / str(step)) == _stored_hashes(folder, step):
            return step
        logging.warning("checkpoint of step %d in %s is damaged; looking for an older one", step, folder)
    if steps:
        raise StoredStateRefused(f"{folder}: the checkpoints of steps {steps} are damaged (SHA-256 differs); "
                                 "remove the run folder and train again")
    return None


def restore(folder, step: int, state, best):
    """The pytrees and facts saved at `step`.

    Args:
        folder: RUN/checkpoints.
        step: as given by `newest_step`.
        state: pytree with the shapes and dtypes to restore, of arrays or jax.ShapeDtypeStruct; None to leave it out.
        best: the same for the best weights.

    Returns:
        (state or None, best, progress).

    Raises:
        StoredStateRefused: what is stored has other names, shapes or dtypes.
    """
    folder = pathlib.Path(folder).absolute()
    wanted = {name: tree for name, tree in (("state", state), ("best", best)) if tree is not None}
    with _manager(folder) as manager:
        stored = manager.item_metadata(step)
        for name, tree in wanted.items():
            _compare(f"{folder}/{step}/{name}", _leaves(stored[name].tree), _leaves(tree))
        arguments = {name: ocp.args.StandardRestore(tree) for name, tree in wanted.items()}
        found = manager.restore(step, args=ocp.args.Composite(progress=ocp.args.JsonRestore(), **arguments))
    return found.get("state"), found["best"], found["progress"]


def _manager(folder):
    options = ocp.CheckpointManagerOptions(max_to_keep=KEPT, create=True, enable_async_checkpointing=False,
                                           cleanup_tmp_directories=True)
    names = ("state", "best", "progress")
    handlers = dict.fromkeys(names[:2], ocp.StandardCheckpointHandler()) | {names[2]: ocp.JsonCheckpointHandler()}
    return ocp.CheckpointManager(folder, options=options, item_handlers=handlers)


def _manifest(folder, step):
    return folder / f"sha256-{step}.json"


def _hashes(folder):
    found = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): files.sha256(p) for p in found}


def _stored_hashes(folder, step):
    """What `_hashes` was when the step was saved; None where that file is damaged itself."""
    try:
        return files.read_json(_manifest(folder, step))
    except ValueError:
        return None


def _leaves(tree):
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {_name(path): (tuple(leaf.shape), np.dtype(leaf.dtype).name) for path, leaf in paths}


def _name(path):
    return "/".join(str(getattr(k, "key", getattr(k, "name", getattr(k, "idx", k)))) for k in path)


def _compare(where, stored, asked):
    for name in sorted(stored.keys() | asked.keys()):
        if stored.get(name) != asked.get(name):
            raise StoredStateRefused(f"{where}: {name} is stored as {stored.get(name)}, but {asked.get(name)} is "
                                     "asked; use the config that the run was trained with")
