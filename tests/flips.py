"""Checkpoints with one byte changed: is it always noticed? python -m tests.flips --count 200 --seed 0."""

import argparse
import logging
import pathlib
import shutil
import sys
import tempfile

import jax
import numpy as np

from cellcycle_jax.errors import StoredStateRefused
from cellcycle_jax.runs import checkpoint
from tests.checkpoint_process import FACTS, tree


def flips(folder, state, best, seed: int, count: int) -> list[str]:
    """Change one byte at a time in a copy of a checkpoints folder, and name the changes that did harm.

    Half of the bytes are drawn evenly from all bytes, half from files drawn evenly, so that small files are met too.

    Args:
        folder: RUN/checkpoints with at least one whole step and nothing damaged; left as it is.
        state, best: what `checkpoint.restore` is asked for.
        seed: of what is drawn.
        count: how many bytes.

    Returns:
        One line for each change after which the damaged step was offered or restored, or an array differed.
    """
    rng, failures = np.random.default_rng(seed), []
    with tempfile.TemporaryDirectory() as scratch:
        copy = pathlib.Path(shutil.copytree(folder, pathlib.Path(scratch) / "checkpoints"))
        paths = sorted(path for path in copy.rglob("*") if path.is_file() and path.stat().st_size)
        sizes = np.array([path.stat().st_size for path in paths])
        saved = {step: checkpoint.restore(copy, step, state, best) for step in _steps(copy)}
        for number in range(count):
            path = paths[rng.choice(len(paths), p=sizes / sizes.sum() if number % 2 else None)]
            place, change = int(rng.integers(path.stat().st_size)), int(rng.integers(1, 256))
            _flip(path, place, change)
            harm = _harm(copy, _step_of(path.relative_to(copy)), saved, state, best)
            if harm:
                failures.append(f"{path.relative_to(copy)}, byte {place} xor {change}: {harm}")
            _flip(path, place, change)
    return failures


def _flip(path, place, change):
    content = bytearray(path.read_bytes())
    content[place] ^= change
    path.write_bytes(content)


def _steps(folder):
    return {int(path.name) for path in folder.iterdir() if path.is_dir()}


def _step_of(path):
    """The step that a file belongs to: STEP/... or sha256-STEP.json."""
    return int(path.parts[0].removeprefix("sha256-").removesuffix(".json"))


def _harm(folder, damaged, saved, state, best):
    """What went wrong with step `damaged`; None if it was noticed, and the others are as they were."""
    try:
        checkpoint.restore(folder, damaged, state, best)
        return f"step {damaged} is restored"
    except StoredStateRefused:
        pass
    except Exception as error:  # not what a user is to see
        return f"step {damaged} ends in {type(error).__name__}"
    whole = max(saved.keys() - {damaged}, default=None)
    try:
        offered = checkpoint.newest_step(folder)
    except StoredStateRefused:
        return None if whole is None else f"step {whole} is not offered"
    if offered != whole:
        return f"step {offered} is offered"
    if not _equal(checkpoint.restore(folder, offered, state, best), saved[offered]):
        return f"step {offered} is restored with other values"
    return None


def _equal(one, other):
    """Whether two restored steps are the same bit by bit."""
    if jax.tree.structure(one) != jax.tree.structure(other):
        return False
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)


def main() -> int:
    """Save two steps, change their bytes, print one line of a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # one for each damaged step
    with tempfile.TemporaryDirectory() as folder:
        for step in (1, 2):
            checkpoint.save(folder, step, tree(step), tree(-step), {"step": step}, FACTS)
        failures = flips(folder, tree(0), tree(0), arguments.seed, arguments.count)
    print(f"| a byte of a checkpoint changed | {arguments.count} runs | {len(failures)} failures | "
          f"seed {arguments.seed} |")
    print(*failures, sep="\n", file=sys.stderr)
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
