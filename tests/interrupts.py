"""Ctrl-C in every command at random moments: python -m tests.interrupts --count 40 --seed 0."""

import argparse
import collections
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

import numpy as np

from tests import small_way

EXIT_INTERRUPTED = 130
PROMPT_S = 2.0  # within which what has nothing to save ends
COMMANDS = ("simulate", "prepare", "train", "evaluate", "explain", "discover", "report", "predict")


def interrupts(
    root, seed: int, count: int, commands=COMMANDS, prompt_s: float = PROMPT_S
) -> tuple[list[str], dict[str, int], float]:
    """Press Ctrl-C once at a random moment of a command, each command in its turn, then do it again to its end.

    Args:
        root: an empty folder.
        seed: of the moments.
        count: of commands.
        commands: those that take turns.
        prompt_s: within which one without anything to save has to end.

    Returns:
        One line for each command that ended otherwise than promised, how many ended in which way, and the longest time
        that one without anything to save took to end, s.
    """
    rng, root = np.random.default_rng(seed), pathlib.Path(root)
    straight = small_way.go_all(root / "straight", "report")
    failures, ends, slowest = [], collections.Counter(), 0.0
    for number in range(count):
        command = commands[number % len(commands)]
        where = _copied(straight, root / f"turn{number}", command)
        process = small_way.start(small_way.words(command, **where))
        _wait_until_it_listens(process)
        began = time.monotonic()
        time.sleep(rng.uniform(0, 8 if command in ("train", "explain") else 4))
        running = process.poll() is None
        pressed = time.monotonic()
        if running:
            os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=small_way.PATIENCE_S)
        took = time.monotonic() - pressed
        end, harm = _judged(process.returncode, running, said, took, prompt_s)
        ends[end] += 1
        if harm:
            failures.append(f"{command} after {pressed - began:.2f} s: {harm}\n{said}")
        elif end == "ended at once":
            slowest = max(slowest, took)
        failures += _goes_on(command, where) if process.returncode else []
        shutil.rmtree(root / f"turn{number}")
    return failures, ends, slowest


def _wait_until_it_listens(process):
    """Wait until the thread that hears of Ctrl-C runs; before that, Python itself is only starting."""
    threads = pathlib.Path(f"/proc/{process.pid}/task")
    while process.poll() is None and len(list(threads.iterdir())) < 2:
        time.sleep(0.01)


def _copied(straight, folder, command):
    """Places with what a command reads, and nothing of what it writes."""
    where = small_way.places(folder)
    folder.mkdir()
    for name in {"simulate": (), "prepare": ("fields",), "train": ("data",), "predict": ("fields", "run")}.get(
        command, ("data", "run")
    ):
        shutil.copytree(straight[name], where[name])
    return where


def _judged(code, running, said, took, prompt_s):
    """(how it ended, what is wrong with that or None)."""
    lines = [line for line in said.replace("\r", "\n").splitlines() if line.strip() and "%|" not in line]
    if "Traceback" in said:
        return "traceback", f"a traceback, code {code}"
    if code == 0:
        return "was done already", None
    if code != EXIT_INTERRUPTED:
        return "another code", f"ends with {code}: {lines[-1:]}"
    if not running:
        return "another code", "130 without Ctrl-C"
    if any("state saved" in line for line in lines):
        return "saved", None
    if took > prompt_s:
        return "late", f"took {took:.1f} s to end"
    return "ended at once", None


def _goes_on(command, where):
    """What is wrong with the same command, given again."""
    words = small_way.words(command, **where)
    try:
        small_way.go(words)
    except RuntimeError as error:
        return [f"again: {error}"]
    return []


def main() -> int:
    """Print one line of a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        failures, ends, slowest = interrupts(folder, given.seed, given.count)
    how = ", ".join(f"{n} {end}" for end, n in ends.items())
    print(f"| Ctrl-C | {given.count} commands: {how}; the slowest in {slowest:.1f} s | {len(failures)} failures | "
          f"seed {given.seed} |")
    print(*failures, sep="\n", file=sys.stderr)
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
