"""Runs killed, checkpoints damaged, steps without a pause, again and again: what did harm?

    python bench/soak.py [--kills 20] [--flips 200] [--steps 20000] [--seed 0] [--record]

Kills: `launch.py train` on tiny data, kill -9 at random moments and in saves, started again until it is finished; its
final arrays and scores must be those of an undisturbed run, bit by bit. Bytes: each must be noticed, and the other step
must be offered. Steps: the small network, on all cores. `--record` puts the table into bench/RESULTS.md.
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
    """Do all, and publish the lines that they print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--flips", type=int, default=200)
    parser.add_argument("--steps", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", action="store_true", help="put the table into bench/RESULTS.md")
    given = parser.parse_args()
    commands = [["tests.kills", f"--count={given.kills}", f"--seed={given.seed}"],
                ["tests.flips", f"--count={given.flips}", f"--seed={given.seed}"],
                ["tests.endurance", f"--count={given.steps}"]]
    found = [subprocess.run([sys.executable, "-m", *command], cwd=ROOT, stdout=subprocess.PIPE,
                            text=True) for command in commands]
    lines = "".join(done.stdout for done in found)
    publish("Soak", {"JAX": jax.__version__}, "| what | how often | harm | drawn from |\n| --- | --- | --- | --- |\n"
            f"{lines}", given.record)
    return max(done.returncode for done in found)


if __name__ == "__main__":
    sys.exit(main())
