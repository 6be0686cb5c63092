"""Commands killed, interrupted, out of disk, given damaged files, again and again: what did harm?

    python bench/soak.py [--kills 20] [--prepares 20] [--interrupts 64] [--disks 48] [--damages 300] [--flips 200]
                         [--steps 20000] [--seed 0] [--record] [--json FILE]

Each line is the work of one script in tests/, which says what counts as harm. After a kill or a full disk the same
command has to come to the end that it would have come to, bit by bit. bench/README.md says where results go.
"""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import jax

from bench.command_line import script_parser
from bench.results import Section, publish
from bench.tables import Grid, Measure

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
HARM = Measure("failures", larger_is_better=False, form=".0f")
HOW_OFTEN = "how often"
DRAWN_FROM = "drawn from"


def grid_of(lines) -> Grid:
    """The table of the lines that scripts print: `| what | how often | N failures | drawn from |`."""
    rows = {}
    texts = {HOW_OFTEN: {}, DRAWN_FROM: {}}
    for line in lines:
        what, how_often, harm, drawn_from = (cell.strip() for cell in line.strip().strip("|").split("|"))
        rows[what,] = {HARM.name: int(harm.split()[0])}
        texts[HOW_OFTEN][what,] = how_often
        texts[DRAWN_FROM][what,] = drawn_from
    return Grid("Harm that was done", ("what",), (HARM,), rows, texts)


def main() -> int:
    """Do all, and publish the lines that they print."""
    parser = script_parser(__doc__, rounds=None)
    for name, (script, count) in SCRIPTS.items():
        parser.add_argument(f"--{name}", type=int, default=count, help=f"count of {script}; 0: left out")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    lines = []
    worst = 0
    for name, (script, _) in SCRIPTS.items():
        count = getattr(given, name)
        if not count:
            continue
        seed = [] if name in UNSEEDED else [f"--seed={given.seed}"]
        done = subprocess.run([sys.executable, "-m", script, f"--count={count}", *seed], cwd=ROOT,
                              stdout=subprocess.PIPE, text=True)
        lines += [line for line in done.stdout.splitlines() if line.startswith("| ")]
        worst = max(worst, abs(done.returncode))
    publish(given, Section("Soak", [grid_of(lines)], {"JAX": jax.__version__}))
    return worst


if __name__ == "__main__":
    sys.exit(main())
