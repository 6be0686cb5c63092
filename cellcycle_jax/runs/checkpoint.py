"""Checkpoints of a run: what to continue from and the weights that are kept, in one step folder, checked by SHA-256.

The only file that touches orbax. Orbax makes a step appear whole or not at all, but restores flipped bytes silently, so
a manifest (checkpoint_manifest.py) is written after it. A step without one was never finished; a step that differs from
it in any byte, or by a file more or less, is damaged and never used.

With several processes all of them call `save`, `newest_step` and `restore`, on one folder that all see; the first one
writes and removes, the others wait for it.
"""

import logging
import os
import pathlib
import re
import shutil

import jax
import numpy as np

from cellcycle_jax import files, old_names, stored_config
from cellcycle_jax.devices import mesh
from cellcycle_jax.errors import StoredStateRefused
from cellcycle_jax.runs import checkpoint_manifest

KEPT = 2  # steps kept, so that one is left if the newest is damaged
TEMPORARY = ".orbax-checkpoint-tmp"  # in the name of each folder that orbax has not finished


def save(folder, step: int, state, best, progress: dict, facts: dict | None = None) -> None:
    """Save one step, then remove all but the newest `KEPT`; newer steps, damaged and trained anew, go too.

    Args:
        folder: RUN/checkpoints.
        step: steps done.
        state: pytree of arrays to continue from, numpy or jax, on any devices of any processes.
        best: pytree of the kept weights, likewise.
        progress: JSON-able facts of the loop.
        facts: JSON-able, what the arrays mean (classes, channels, ...); `restore` compares them.

    Raises:
        OSError: it could not be written, for example to a full disk; older steps are as they were.
    """
    folder = pathlib.Path(folder).absolute()
    # On the host, where only the first process writes: the step has no trace of the devices it was made on.
    trees = {"state": on_host(state), "best": on_host(best)}
    if mesh.first_process():
        _sweep(folder)
        _remove(folder, step)
    mesh.barrier("checkpoint swept")
    try:
        _write(folder / str(step), trees)
        if mesh.first_process():
            checkpoint_manifest.write(folder, step, _kinds(trees), facts or {}, progress)
    except Exception as error:
        if mesh.first_process():
            _sweep(folder)  # what is half written may be what fills the disk
        code = re.search(r"os_error_code='(\d+)'", str(error))  # TensorStore gives a full disk as a ValueError
        if code:
            raise OSError(int(code[1]), os.strerror(int(code[1])), str(folder)) from error
        raise
    if mesh.first_process():
        finished = checkpoint_manifest.steps(folder)
        newest = [done for done in finished if done <= step][:KEPT]
        for done in finished:
            if done not in newest:
                _remove(folder, done)
    mesh.barrier("checkpoint saved")


def newest_step(folder) -> int | None:
    """The step to continue from: the newest one that is as it was written; None where no step was ever finished.

    Raises:
        StoredStateRefused: there are finished steps, and all of them are damaged; or processes see different steps.
    """
    folder = pathlib.Path(folder).absolute()
    whole, damaged = checkpoint_manifest.newest_whole(folder)
    if whole is not None:
        _require_agreement(folder, whole)
    else:
        _require_agreement(folder, -2 if damaged else -1)
    for step, damage in damaged.items():
        logging.warning("checkpoint of step %d in %s is damaged (%s); looking for an older one", step, folder, damage)
    if whole is None and damaged:
        raise _all_damaged(folder, damaged)
    return whole


def verified_step(folder) -> int | None:
    """The step that a finished run is read from: its newest one; None where no step was ever finished.

    Raises:
        StoredStateRefused: it is damaged. An older one would be read without a word of what is lost.
    """
    folder = pathlib.Path(folder).absolute()
    whole, damaged = checkpoint_manifest.newest_whole(folder)
    if damaged and whole is None:
        raise _all_damaged(folder, damaged)
    if damaged:
        step, damage = next(iter(damaged.items()))
        raise StoredStateRefused(f"{folder}: the checkpoint of step {step} is damaged ({damage}); run the same "
                                 f"`launch.py train` command again: it resumes from step {whole}, which is whole")
    return whole


def restore(folder, step: int, state, best, facts: dict | None = None):
    """The pytrees and facts saved at `step`.

    Args:
        folder: RUN/checkpoints.
        step: as given by `newest_step` or `verified_step`.
        state: pytree with the shapes and dtypes to restore, of arrays or jax.ShapeDtypeStruct; None to leave it out.
        best: the same for the kept weights.
        facts: as given to `save`; None to take what is there.

    Returns:
        (state or None, best or None, progress); arrays are numpy's, bit by bit those saved.

    Raises:
        StoredStateRefused: the step is damaged, or was saved with other facts, names, shapes or dtypes.
    """
    folder = pathlib.Path(folder).absolute()
    damage = checkpoint_manifest.damage(folder, step)
    if damage:
        raise StoredStateRefused(f"{folder}: the checkpoint of step {step} is damaged ({damage})")
    stored = checkpoint_manifest.read(folder, step)
    where = f"{folder}/{step}"
    if facts is not None:
        checkpoint_manifest.compare(where, _facts_of_today(stored["facts"]), stored_config.flat(files.to_json(facts)))
    wanted = {}
    if state is not None:
        wanted["state"] = state
    if best is not None:
        wanted["best"] = best
    kinds = {}
    for name, kind in stored["arrays"].items():
        if name.split("/")[0] in wanted:
            kinds[name] = tuple(kind)
    checkpoint_manifest.compare(where, kinds, _kinds(wanted))
    # Numpy leaves ask for numpy arrays; jax ones would ask for the devices that the step was saved on.
    templates = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), wanted)
    trees = _read(folder / str(step), templates)
    return trees.get("state"), trees.get("best"), stored["progress"]


def _facts_of_today(facts) -> dict:
    """Stored facts, those of members of a cohort too, with the values that they have today."""
    renamed = {}
    for name, value in stored_config.flat(facts).items():
        field = f"data.{name.rpartition('.')[2]}"
        renamed[name] = old_names.value_of_today(field, value)
    return renamed


def on_host(tree):
    """A pytree of arrays as numpy's, each one whole; where processes hold parts of it, all of them call this."""
    def whole(leaf):
        if isinstance(leaf, jax.Array) and not (leaf.is_fully_addressable or leaf.is_fully_replicated):
            from jax.experimental import multihost_utils

            return multihost_utils.process_allgather(leaf, tiled=True)
        return leaf

    return jax.device_get(jax.tree.map(whole, tree))


def _write(path, trees):
    import orbax.checkpoint as ocp  # tenths of a second, for which the first training step need not wait

    arguments = _arguments(ocp.args.StandardSave, trees)
    level = logging.getLogger("absl").level
    logging.getLogger("absl").setLevel(logging.CRITICAL)  # of an error that is raised it shows the traceback, twice
    try:
        with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
            checkpointer.save(path, args=arguments)
    finally:
        logging.getLogger("absl").setLevel(level)


def _read(path, templates):
    import orbax.checkpoint as ocp

    arguments = _arguments(ocp.args.StandardRestore, templates)
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        return checkpointer.restore(path, args=arguments)


def _arguments(kind, trees):
    """What orbax takes to save or restore several pytrees, by `kind` each."""
    import orbax.checkpoint as ocp

    of_trees = {name: kind(tree) for name, tree in trees.items()}
    return ocp.args.Composite(**of_trees)


def _sweep(folder):
    """Remove what a save that was killed has left: unfinished folders, and steps that have no manifest."""
    if not folder.is_dir():
        return
    finished = checkpoint_manifest.steps(folder)
    for path in sorted(folder.iterdir()):
        unfinished = path.name.isdecimal() and int(path.name) not in finished
        if path.is_dir() and (unfinished or TEMPORARY in path.name):
            logging.warning("%s: left by a save that did not finish; removed", path)
            shutil.rmtree(path)
        elif path.name.startswith(f".{checkpoint_manifest.PREFIX}"):
            path.unlink()


def _remove(folder, step):
    """Remove a step, its manifest first: a kill in between leaves a step that was never finished, not a damaged one."""
    checkpoint_manifest.path_of(folder, step).unlink(missing_ok=True)
    if (folder / str(step)).is_dir():
        shutil.rmtree(folder / str(step))


def _require_agreement(folder, step):
    steps = mesh.allgather(np.int32(step)).tolist()
    if len(set(steps)) > 1:
        raise StoredStateRefused(f"{folder}: the processes find different newest steps there ({steps}; -1 none, -2 "
                                 "damaged); put the run folder where all of them see the same files")


def _all_damaged(folder, damaged):
    damages = "; ".join(f"step {step}: {damage}" for step, damage in damaged.items())
    return StoredStateRefused(f"{folder}: all checkpoints are damaged ({damages}); remove this folder and run the same "
                              "`launch.py train` command again, which starts from the beginning")


def _kinds(tree):
    """{name of a leaf: (shape, dtype)}, as a manifest holds them."""
    kinds = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        kinds[name] = (list(leaf.shape), np.dtype(leaf.dtype).name)
    return kinds
