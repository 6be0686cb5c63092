"""Runs killed and checkpoints damaged, again and again: what did harm?

    python bench/soak.py [--kills 20] [--flips 200] [--seed 0] [--record]

Kills: `launch.py train` on tiny data, kill -9 at random moments and in saves, started again until it is finished; its
final arrays and scores must be those of an undisturbed run, bit by bit. Bytes: each must be noticed, and the other step
must be offered. `--record` puts the table into bench/RESULTS.md.
"""

import argparse
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import jax

from bench.turns import publish

ROOT = pathlib.Path(__file__).parents[1]


def main() -> int:
    """Do both, and publish the lines that they print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--flips", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", action="store_true", help="put the table into bench/RESULTS.md")
    given = parser.parse_args()
    commands = [["tests.kills", f"--count={given.kills}"], ["tests.flips", f"--count={given.flips}"]]
    found = [subprocess.run([sys.executable, "-m", *command, f"--seed={given.seed}"], cwd=ROOT, stdout=subprocess.PIPE,
                            text=True) for command in commands]
    lines = "".join(done.stdout for done in found)
    publish("Soak", {"JAX": jax.__version__}, "| what | how often | harm | drawn from |\n| --- | --- | --- | --- |\n"
            f"{lines}", given.record)
    return max(done.returncode for done in found)


if __name__ == "__main__":
    sys.exit(main())
