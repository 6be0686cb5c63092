"""Worker of bench/gpu.py: training of several models as one program, in one of three forms.

    python bench/ours/gpu/cohort.py --network small --form grouped [--members 8,35] [--dtype float32] [--size full]

grouped: side by side as `launch.py sweep` trains them; `jax.vmap` makes their convolutions grouped ones. patches: the
same with convolutions as products of matrices, which `jax.vmap` makes batched ones. alone: one model; several one after
another see as many crops a second, starting each not counted.
"""

import contextlib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[3]))

from bench.command_line import numbers
from bench.gpu_work import EFFORTS, attempt, worker_parser
from bench.ours import patches
from bench.ours.gpu.on_device import peak_bytes, say_who
from bench.ours.training import Setup, Training
from bench.protocol import network_of
from bench.timed import rates_of

FORMS = {
    "alone": contextlib.nullcontext,
    "grouped": contextlib.nullcontext,
    "patches": patches.in_place_of_convolutions,
}


def rate(given, members) -> dict:
    """The message of so many models: models x crops a second of each round."""
    effort = EFFORTS[given.size]
    batch = network_of(given.network).batch
    setup = Setup(given.network, batch, dtype=given.dtype, members=members, by_host=False)
    with FORMS[given.form]():
        training = Training(setup)
        steps = rates_of(training.run, effort.rounds, effort.seconds)
    return {
        "kind": "cohort",
        "network": given.network,
        "form": given.form,
        "members": members,
        "batch": batch,
        "dtype": given.dtype,
        "values": [step * batch * members for step in steps],
        "peak_bytes": peak_bytes(),
    }


def main():
    """All numbers of models, rising, so that the memory of each is the peak of the process when it is done."""
    parser = worker_parser(__doc__)
    parser.add_argument("--form", choices=FORMS, required=True)
    parser.add_argument("--members", type=numbers, default=[8, 35])
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    given = parser.parse_args()
    say_who(given.size)
    for members in [1] if given.form == "alone" else sorted(given.members):
        attempt(f"{members} models, {given.form}", lambda members=members: rate(given, members))


if __name__ == "__main__":
    main()
