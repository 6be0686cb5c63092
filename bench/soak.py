"""Commands killed, interrupted, out of disk, given damaged files, again and again: what did harm?

    python bench/soak.py [--kills 20] [--prepares 20] [--interrupts 64] [--disks 48] [--damages 300] [--flips 200]
                         [--steps 20000] [--seed 0] [--record]

Each line is the work of one script in tests/, which says what counts as harm. After a kill or a full disk the same
command has to come to the end that it would have come to, bit by bit. `--record` puts the table into bench/RESULTS.md.
"""

import argparse
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import jax

from bench.turns import publish

ROOT = pathlib.Path(__file__).parents[1]
# Option -> script, how often by default.
SCRIPTS = {
    "kills": ("tests.kills", 20),
    "prepares": ("tests.prepare_kills", 20),
    "interrupts": ("tests.interrupts", 64),
    "disks": ("tests.full_disks", 48),
    "damages": ("tests.mutations", 300),
    "flips": ("tests.flips", 200),
    "steps": ("tests.endurance", 20000),
}
UNSEEDED = ("steps",)


def main() -> int:
    """Do all, and publish the lines that they print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, (script, count) in SCRIPTS.items():
        parser.add_argument(f"--{name}", type=int, default=count, help=f"count of {script}; 0: left out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", action="store_true", help="put the table into bench/RESULTS.md")
    given = parser.parse_args()
    lines, worst = "", 0
    for name, (script, _) in SCRIPTS.items():
        count = getattr(given, name)
        if not count:
            continue
        seed = [] if name in UNSEEDED else [f"--seed={given.seed}"]
        done = subprocess.run([sys.executable, "-m", script, f"--count={count}", *seed], cwd=ROOT,
                              stdout=subprocess.PIPE, text=True)
        lines, worst = lines + done.stdout, max(worst, abs(done.returncode))
    publish("Soak", {"JAX": jax.__version__}, "| what | how often | harm | drawn from |\n| --- | --- | --- | --- |\n"
            f"{lines}", given.record)
    return worst


if __name__ == "__main__":
    sys.exit(main())
