"""The data set of the worked example in docs/unnamed.md: DNA is brighter on the side that faces the Golgi.

    python -m experiments.unnamed_example --out=runs/example

Simulated fields without biology in which the two classes, drawn by a coin, differ in which side of the nucleus is
brighter, and in nothing that a column of the table holds; see unnamed_cues.py.
"""

import argparse
import pathlib

from experiments import unnamed_data
from experiments.unnamed_data import Case

FIELDS = 30
CASE = Case("nuclear side", 0.3, False, 1400, 77)


def main() -> None:
    """Write OUT/data."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/example", help="folder to write")
    parser.add_argument("--fields", type=int, default=FIELDS, help="how many are simulated")
    chosen = parser.parse_args()
    out = pathlib.Path(chosen.out)
    source = unnamed_data.fields_of(CASE, out, chosen.fields)
    print(f"wrote {unnamed_data.make_data(CASE, source, out, chosen.fields)}")


if __name__ == "__main__":
    main()
