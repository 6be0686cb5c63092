"""Many steps without a pause, on every core: does the process live? python -m tests.endurance --count 20000.

Devices of a CPU that wait for each other in a sum, with too many steps under way, end the process; it took one to two
thousand steps.
"""

import argparse
import subprocess
import sys

STEPS = """
from bench.ours.training import Setup, Training
from cellcycle_jax import runtime
runtime.prepare()
training = Training(Setup("small", 64))
training.run({count})
import jax
assert training.state.step.tolist() == [{count}]
print(jax.device_count())
"""


def main() -> int:
    """Train, and print one line of a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20000)
    count = parser.parse_args().count
    done = subprocess.run([sys.executable, "-c", STEPS.format(count=count)], capture_output=True, text=True)
    failed = done.returncode != 0
    print(f"| steps of training without a pause | {count} steps on {done.stdout.strip() or 'several'} devices | "
          f"{int(failed)} failures | |")
    if failed:
        print(done.stderr[-2000:], file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
