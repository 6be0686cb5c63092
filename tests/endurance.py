"""Many steps without a pause, on every core: does the process live? python -m tests.endurance --count 20000.

Devices of a CPU that wait for each other in a sum, with too many steps under way, end the process; it took one to two
thousand steps. Therefore a child trains, and there is nothing to see on one device.
"""

import argparse
import os
import subprocess
import sys

import jax

from bench.ours.training import Setup, Training
from cellcycle_jax.devices import runtime

REFUSED = 2  # exit code, as of a wrong flag; a child that fails otherwise ends with 1 or by a signal


def train(count: int) -> int:
    """Train in this process, which may end; the number of devices is printed before."""
    runtime.prepare()
    print(jax.device_count(), flush=True)
    if jax.device_count() == 1:
        print("endurance needs several devices, which wait for each other, and found 1; give the process 2 cores or "
              "more, and XLA_FLAGS that leave the number of devices open", file=sys.stderr)
        return REFUSED
    training = Training(Setup("small", 64))
    training.run(count)
    assert training.state.step.tolist() == [count]
    return 0


def watch(count: int) -> int:
    """Have a child train, and print one line of a Markdown table."""
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}  # the devices of accelerators do not wait like this
    environment.pop("JAX_NUM_CPU_DEVICES", None)
    child = subprocess.run([sys.executable, "-m", "tests.endurance", "--train", f"--count={count}"], env=environment,
                           capture_output=True, text=True)
    if child.returncode == REFUSED:
        print(child.stderr.splitlines()[-1], file=sys.stderr)
        return REFUSED
    failed = int(child.returncode != 0)
    print(f"| steps of training without a pause | {count} steps on {child.stdout.strip() or 'an unknown number of'} "
          f"devices | {failed} failures | |")
    if failed:
        print(f"{child.stderr[-2000:]}\nthe process that trained ended with {child.returncode}", file=sys.stderr)
    return failed


def main() -> int:
    """Train in a child, or be the child."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--train", action="store_true", help="train in this process, as the child does")
    given = parser.parse_args()
    return (train if given.train else watch)(given.count)


if __name__ == "__main__":
    sys.exit(main())
