"""kill -9 of `prepare`, again and again: python -m tests.prepare_kills --count 12 --seed 0."""

import argparse
import dataclasses
import hashlib
import os
import pathlib
import signal
import sys
import tempfile
import time

import numpy as np

from cellcycle_jax import schema
from cellcycle_jax.dataset.crop_arrays import load_crops
from tests import small_way

LATE_S = 5  # within which workers whose command was killed have to be gone


def kills(root, seed: int, count: int) -> tuple[list[str], int]:
    """Kill `prepare` at random moments and start it again until it is finished.

    Every other kill is of the command alone, the others of its workers too.

    Args:
        root: an empty folder.
        seed: of the moments.
        count: of kills.

    A kill after the last file, while the work folder is removed, finds a finished data set, compared as it is.

    Returns:
        One line for each data set that does not hold what that of an undisturbed command does, and for each worker
        that went on; and how many data sets were made.
    """
    rng, root = np.random.default_rng(seed), pathlib.Path(root)
    fields = small_way.places(root)["fields"]
    small_way.go(small_way.words("simulate", fields=fields))
    began = time.monotonic()
    small_way.go(small_way.words("prepare", fields=fields, data=root / "straight"))
    seconds = time.monotonic() - began
    failures, made, done = [], 0, 0
    while done < count:
        data, made = root / f"data{made}", made + 1
        while done < count and _kill(fields, data, rng.uniform(0, seconds), group=done % 2 == 0, failures=failures):
            done += 1
        try:
            if not (data / "provenance.json").exists():
                small_way.go(small_way.words("prepare", fields=fields, data=data))
                failures += [f"{data.name}: {left.name} was left" for left in data.glob(".work-*")]
        except RuntimeError as error:
            failures.append(str(error))
            continue
        differing = sorted(set(_contents(data).items()) ^ set(_contents(root / "straight").items()))
        failures += [f"{data.name}: {name} differs" for name, _ in differing]
    return failures, made


def _kill(fields, data, seconds, group, failures) -> bool:
    """Start the command and kill it within `seconds`; False if it was finished before."""
    process = small_way.start(small_way.words("prepare", fields=fields, data=data))
    time.sleep(seconds)
    killed = process.poll() is None
    if killed:
        (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
    process.communicate()
    if killed:
        failures += [f"{data.name}: a worker went on" for _ in _still_there(process.pid)]
    elif process.returncode:
        failures.append(f"prepare ends with {process.returncode}")
    return killed and not (data / "provenance.json").exists()


def _still_there(group):
    """Processes of a group that do not end by themselves."""
    until = time.monotonic() + LATE_S
    while (alive := _members(group)) and time.monotonic() < until:
        time.sleep(0.1)
    return alive


def _members(group) -> list[int]:
    """Processes of a group that still run."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(status[2]) == group and status[0] != "Z":
            found.append(int(folder.name))
    return found


def _contents(data) -> dict[str, str]:
    """SHA-256 of every file of a data set but the shards; of these, that of the cells as they are read.

    The order of the fields in a record is not the same each time that one is written.
    """
    found = {}
    for path in sorted(pathlib.Path(data).rglob("*")):
        name = str(path.relative_to(data))
        own = not name.startswith((".work-", ".lock")) and ".array_record" not in name
        if path.is_file() and own:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found | {f"cells of {split}": _cells(data, split) for split in schema.SPLITS}


def _cells(data, split) -> str:
    crops = load_crops(data, split, final=True)
    digest = hashlib.sha256()
    for field in dataclasses.fields(crops):
        value = getattr(crops, field.name)
        digest.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
    return digest.hexdigest()


def main() -> int:
    """Print one line of a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        failures, made = kills(folder, given.seed, given.count)
    print(f"| kill -9 in prepare | {given.count} kills of {made} data sets | {len(failures)} failures | "
          f"seed {given.seed} |")
    print(*failures, sep="\n", file=sys.stderr)
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
