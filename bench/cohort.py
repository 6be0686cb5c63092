"""How much faster several models are trained side by side, or as one program, than one after another.

    python bench/cohort.py [--networks small,resnet] [--members 7] [--rounds 5] [--seconds 2] [--record] [--json FILE]

An item is a crop seen by a model. Models one after another see as many crops a second as one model alone does, which is
what is timed for them; starting each is not counted. On a CPU `sweep` trains side by side in processes, each on a core;
what the last of them cost, where cores do not divide the number of models, is not counted. As one program the host
starts model by model, or all models run at once; their steps are in a loop inside the program
(`model_sharding.choose_layout`). On a GPU 35 models join 7. bench/README.md says where results go.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from bench.command_line import listed, numbers, script_parser
from bench.protocol import NETWORKS
from bench.results import Section, publish
from bench.surroundings import on_gpu
from bench.tables import of_workers
from bench.workers import OURS, TUNED, Way, compare


def ways_of(name, members, gpu):
    """The ways to train so many models; the others are compared with the first."""
    command = ("ours/train.py", "--model", name)
    together = (*command, "--members", members)
    ways = [Way("one after another", OURS, command, TUNED)]
    if not gpu:
        ways.append(Way("side by side in processes", OURS, ("ours/side_by_side.py", "--model", name), TUNED))
    ways += [
        Way("one program, model by model", OURS, (*together, "--by-host", "yes"), TUNED),
        Way("one program, side by side", OURS, (*together, "--by-host", "no"), TUNED),
    ]
    return ways


def main():
    """Measure and publish."""
    gpu = on_gpu()
    parser = script_parser(__doc__)
    parser.add_argument("--networks", type=listed(NETWORKS), default=["small", "resnet"])
    parser.add_argument("--members", type=numbers, default=[7, 35] if gpu else [7])
    parser.add_argument("--seconds", type=float, default=2.0, help="that a way takes in a round")
    given = parser.parse_args()
    versions = {}
    parts = []
    for name in given.networks:
        for members in given.members:
            results = compare(ways_of(name, members, gpu), given.rounds, given.seconds)
            title = f"{members} models of the network {name!r}, batches of {NETWORKS[name].batch}"
            parts.append(of_workers(title, "models x crops/s", results))
            versions |= results.versions()
    publish(given, Section("Cohorts on a GPU" if gpu else "Cohorts", parts, versions))


if __name__ == "__main__":
    main()
