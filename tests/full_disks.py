"""Disks that are full, in every command: python -m tests.full_disks --count 24 --seed 0.

Each command writes to a small file system in memory, made in a name space of its own, which root or a kernel that lets
users have name spaces allows. Where neither is the case, nothing is tried, which is said.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np

from tests import small_way

FULL = 7  # exit code
MIB = 2**20
PAGE = 4096  # bytes that a file in memory takes at least, and whole ones of which it takes
# command -> what it writes to, and what of that it finds there
WRITES = {"simulate": ("fields", False), "prepare": ("data", False), "train": ("run", False), "evaluate": ("run", True),
          "explain": ("run", True), "discover": ("run", True), "report": ("run", True), "predict": ("predicted", False)}
# Runs a command on a file system of $2 bytes, then again with room; prints both exit codes and what was said.
SCRIPT = """
set -e
mount -t tmpfs -o size=$2 tmpfs "$1"
[ -z "$3" ] || cp -r "$3"/. "$1"
shift 3
set +e
"$@" > /dev/null 2> "$OUT/said"; first=$?
again=0
if [ $first = 7 ]; then mount -o remount,size=2g "$SMALL"; "$@" > /dev/null 2> "$OUT/again"; again=$?; fi
echo $first $again
"""


def possible() -> bool:
    """Whether a small file system can be made here."""
    if not shutil.which("unshare"):
        return False
    words = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def full_disks(root, seed: int, count: int, commands=tuple(WRITES)) -> tuple[list[str], int]:
    """Give each command in its turn too little room, then enough.

    Args:
        root: an empty folder.
        seed: of how much room there is.
        count: of commands.
        commands: those that take turns.

    Returns:
        One line for each that did not end with code 7 and one line with the path and the free MiB, or did not come to
        its end afterwards; and how many met a full disk.
    """
    rng, root = np.random.default_rng(seed), pathlib.Path(root)
    straight = small_way.go_all(root / "straight", "predict")
    failures, met = [], 0
    for number in range(count):
        command = commands[number % len(commands)]
        name, goes_on = WRITES[command]
        before = _size(straight[name]) if goes_on else 0
        share = rng.uniform(0.0, 0.05 if goes_on else 0.9)  # what is added to a run is small beside it
        room = before + int(share * max(_size(straight[name]), 2 * MIB))
        first, again, said = _tried(command, straight, name, room, goes_on, root / f"turn{number}")
        met += first == FULL
        lines = [line for line in said.replace("\r", "\n").splitlines() if line.strip() and "%|" not in line]
        told = [line for line in lines if line.startswith(f"{command}: ")]
        where = f"{command} with {room / MIB:.1f} MiB"
        if first not in (0, FULL):
            failures.append(f"{where}: ends with {first}: {lines[-1:]}")
        elif first == FULL and (len(told) != 1 or "MiB free" not in told[0] or "Traceback" in said):
            failures.append(f"{where}: said {lines[-3:]}")
        elif again:
            failures.append(f"{where}: ends with {again} once there is room")
    return failures, met


def _tried(command, straight, name, room, goes_on, scratch):
    """Exit codes with too little and with enough room, and what was said the first time."""
    small, out = scratch / name, scratch / "out"
    small.mkdir(parents=True)
    out.mkdir()
    words = small_way.words(command, **straight | {name: str(small)})
    start = straight[name] if goes_on else ""
    apart = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-c", SCRIPT, "bash"]
    command = [*apart, str(small), str(max(room, 4096)), start, sys.executable, "launch.py", *words]
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "2", "SMALL": str(small), "OUT": str(out)}
    found = subprocess.run(command, cwd=small_way.ROOT, capture_output=True, text=True, check=False, env=environment,
                           timeout=small_way.PATIENCE_S)
    said = (out / "said").read_text() if (out / "said").exists() else found.stderr
    codes = found.stdout.split() or ["-1", "-1"]
    return int(codes[0]), int(codes[1]), said


def _size(folder) -> int:
    """Bytes that the files of a folder take in memory."""
    total = 0
    for path in pathlib.Path(folder).rglob("*"):
        if path.is_file():
            total += -(-path.stat().st_size // PAGE) * PAGE
    return total


def main() -> int:
    """Print one line of a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if not possible():
        print("| full disk | not tried: no name space of one's own here | | |")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        failures, met = full_disks(folder, given.seed, given.count)
    print(f"| full disk | {given.count} commands, {met} of them met it | {len(failures)} failures | "
          f"seed {given.seed} |")
    print(*failures, sep="\n", file=sys.stderr)
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
