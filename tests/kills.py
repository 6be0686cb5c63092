"""kill -9 of whole runs, again and again, as a user starts them: python -m tests.kills --count 20 --seed 0."""

import argparse
import logging
import os
import pathlib
import sys
import tempfile
import time

import numpy as np

from tests import tiny
from tests.soak_checkpoint import left
from tests.train_process import content, launch, scores

FLAGS = ("--config.train.steps=60", "--config.train.eval_every=5", "--config.train.checkpoint_every=3")
SAVES = 20  # of an undisturbed run, at least
PATIENCE_S = 300


def kills(root, seed: int, count: int) -> tuple[list[str], int, int]:
    """Kill runs at random moments and start them again until they are finished.

    Half of the kills are at a moment drawn evenly from the time that an undisturbed run takes, half of them in a save.

    Args:
        root: an empty folder.
        seed: of the moments.
        count: of kills.

    Returns:
        One line for each run that could not be continued or ended with other numbers than the undisturbed one, how
        many runs there were, and how many kills left an unfinished step.
    """
    rng, root = np.random.default_rng(seed), pathlib.Path(root)
    data = tiny.write_data(root / "data")
    _go_on(data, root / "first")  # compiles
    seconds = _go_on(data, root / "straight")
    failures, runs, done, in_saves = _differences(root / "first", root / "straight"), 0, 0, 0
    while done < count:
        workdir, runs = root / f"run{runs}", runs + 1
        before = set()
        while done < count and _kill(data, workdir, rng, seconds if done % 2 else None):
            after = {(path, path.stat().st_ino) for path in left(workdir / "checkpoints")}
            done, in_saves, before = done + 1, in_saves + (not after <= before), after
        try:
            _go_on(data, workdir)
            failures += _differences(workdir, root / "straight")
        except RuntimeError as error:
            failures.append(str(error))
    return failures, runs, in_saves


def _go_on(data, workdir):
    """Run to the end; the seconds it takes."""
    began, process = time.monotonic(), launch(data, workdir, *FLAGS)
    said = process.communicate(timeout=PATIENCE_S)[1]
    if process.returncode:
        raise RuntimeError(f"{workdir.name} ends with {process.returncode}: {said[-300:]}")
    return time.monotonic() - began


def _kill(data, workdir, rng, seconds):
    """Start a run and kill it within `seconds`, or in a save where that is None; False if it came to its end."""
    process = launch(data, workdir, *FLAGS)
    if seconds is None:
        _wait_for_saves(process, workdir / "checkpoints", rng.integers(1, SAVES // 2))
        time.sleep(rng.uniform(0, 0.02))
    else:
        time.sleep(rng.uniform(0, seconds))
    killed = process.poll() is None
    process.kill()
    process.communicate()
    return killed


def _wait_for_saves(process, folder, count):
    """Until so many saves have begun, or the process has ended."""
    seen = set()
    while len(seen) < count and process.poll() is None:
        seen |= {path.name.split(".")[0] for path in left(folder)}
        time.sleep(0.001)


def _differences(workdir, straight):
    """One line if a run does not hold, bit by bit, what the undisturbed one holds."""
    ours, theirs = ({name: array.tobytes() for name, array in content(folder).items()}
                    for folder in (workdir, straight))
    if ours != theirs:
        return [f"{workdir.name}: {sum(ours[name] != theirs.get(name) for name in ours)} arrays differ"]
    return [] if scores(workdir) == scores(straight) else [f"{workdir.name}: metrics differ"]


def main() -> int:
    """Print one line of a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CELLCYCLE_JAX_CACHE"] = f"{folder}/cache"
        failures, runs, in_saves = kills(folder, arguments.seed, arguments.count)
    print(f"| kill -9 in training | {arguments.count} kills of {runs} runs, {in_saves} of them in a save | "
          f"{len(failures)} failures | seed {arguments.seed} |")
    print(*failures, sep="\n", file=sys.stderr)
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
