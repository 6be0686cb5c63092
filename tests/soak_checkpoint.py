"""kill -9 while a checkpoint is saved, again and again: python -m tests.soak_checkpoint --kills 50 --seed 0."""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

from cellcycle_jax.errors import StoredStateRefused
from cellcycle_jax.runs import checkpoint
from tests.checkpoint_process import tree

ROOT = pathlib.Path(__file__).parents[1]
PATIENCE_S = 60  # for the process to start and save


def kills(folder, seed: int, count: int) -> tuple[list[str], int]:
    """Let a process save step after step and kill it in the middle; the next one goes on in the same folder.

    Args:
        folder: empty.
        seed: of the moments.
        count: of processes.

    Returns:
        One line for each kill after which a step that was saved is lost or other than saved, and how many kills left
        something unfinished behind.
    """
    rng, failures, unfinished, said = np.random.default_rng(seed), [], 0, 0
    folder = pathlib.Path(folder)
    for number in range(count):
        said = _save_until_killed(folder, said + 1, int(rng.integers(1, 4)), rng.uniform(0, 0.2))
        unfinished += len(left(folder)) > 0
        harm = _harm(folder, said)
        if harm:
            failures.append(f"kill {number}: {harm}")
        said = checkpoint.newest_step(folder) or 0
    return failures, unfinished


def _save_until_killed(folder, first, steps, delay_s):
    """Kill the process `delay_s` after it began the save that follows its first `steps`; the last step it printed."""
    command = [sys.executable, "-m", "tests.checkpoint_process", "on_and_on", str(folder), str(first)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    said = first - 1
    for _ in range(steps):
        said = int(process.stdout.readline())
    end = time.monotonic() + PATIENCE_S
    while not any(path.name.startswith(f"{said + 1}.") for path in folder.iterdir()) and time.monotonic() < end:
        time.sleep(0.001)
    time.sleep(delay_s)
    process.kill()
    rest = process.communicate()[0].split()
    return int(rest[-1]) if rest else said


def left(folder):
    """Folders that are no finished step."""
    return [path for path in folder.glob("*") if path.is_dir() and not (folder / f"sha256-{path.name}.json").is_file()]


def _harm(folder, said):
    """What is wrong with the newest step, when `said` was the last one to be reported as saved."""
    try:
        step = checkpoint.verified_step(folder)
    except StoredStateRefused as error:
        return str(error)
    if step not in (said, said + 1):  # a step may be whole without a word of it
        return f"step {said} was saved, {step} is the newest"
    state, best, progress = checkpoint.restore(folder, step, tree(0), tree(0))
    for found, value in ((state, step), (best, -step)):
        if any(found[name].tobytes() != array.tobytes() for name, array in tree(value).items()):
            return f"step {step} holds other arrays"
    return None if progress == {"step": step} else f"step {step} holds {progress}"


def main() -> int:
    """Print one line of a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        failures, unfinished = kills(folder, arguments.seed, arguments.kills)
    print(f"| kill -9 while saving | {arguments.kills} runs, {unfinished} of them left an unfinished step | "
          f"{len(failures)} failures | seed {arguments.seed} |")
    print(*failures, sep="\n", file=sys.stderr)
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
