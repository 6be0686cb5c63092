"""How many crops a second get a Grad-CAM map of each class, beside pytorch-grad-cam.

    python bench/gradcam.py [--networks paper,resnet] [--batch 128] [--ways ours,tuned] [--rounds 5] [--seconds 2]
        [--record] [--json FILE]

From crops float32 in host memory to maps of both classes there, 0 to 1 and at the size of the crop, a batch at a time,
with the same weights and crops. The table says how far the maps of pytorch-grad-cam are from ours at most. Peers that
are not installed are left out, and the table says so; bench/README.md says where results go.
"""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from bench.command_line import listed, script_parser
from bench.protocol import NETWORKS
from bench.results import Section, publish
from bench.surroundings import on_gpu
from bench.tables import of_workers
from bench.workers import OURS, PEERS, TUNED, Way, Worker, compare

STOCK = "pytorch-grad-cam"


def ways_of(name, batch, shared):
    """All ways to make maps of a network's crops by the name that `--ways` takes; `shared`: weights, crops, maps."""
    torch = ("peers/cam_torch.py", "--model", name, "--given", shared)
    ours = ("ours/cam.py", "--model", name, "--batch", batch)
    return {
        "stock": Way(STOCK, PEERS, torch),
        "tuned": Way(f"{STOCK}, memory kept", PEERS, torch, TUNED),
        "tuned-last": Way(f"{STOCK}, channels last, memory kept", PEERS, (*torch, "--channels-last"), TUNED),
        "ours-stock": Way("ours, memory not kept", OURS, ours),
        "ours-raw": Way("ours, maps as `explain` keeps them", OURS, (*ours, "--raw"), TUNED),
        "ours": Way("ours", OURS, ours, TUNED),
    }


def results_of(name, batch, chosen, rounds, seconds):
    """What a comparison of a network gives; weights, crops and our maps are made first."""
    with tempfile.TemporaryDirectory() as folder:
        shared = pathlib.Path(folder) / "shared.npz"
        ways = ways_of(name, batch, shared)
        made = ways["ours"]
        Worker(Way(made.name, made.python, (*made.command, "--save", shared), made.environment)).close()
        return compare([way for key, way in ways.items() if key in (chosen or ways)], rounds, seconds)


def table_of(name, batch, results):
    """The table of a network, and how far the maps are apart."""
    differences = {way: f"{told['difference']:.0e}" for way, told in results.told.items() if told}
    return of_workers(
        f"Network {name!r}, batches of {batch}, maps of both classes",
        "crops/s",
        results,
        reference=STOCK,
        columns={"largest difference from our maps (0 to 1)": differences},
    )


def main():
    """Measure and publish."""
    parser = script_parser(__doc__)
    parser.add_argument("--networks", type=listed(NETWORKS), default=["paper", "resnet"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--ways", type=listed(ways_of("paper", 0, "")), help="by default all")
    parser.add_argument("--seconds", type=float, default=2.0, help="that a way takes in a round")
    given = parser.parse_args()
    versions = {}
    parts = []
    for name in given.networks:
        results = results_of(name, given.batch, given.ways, given.rounds, given.seconds)
        parts.append(table_of(name, given.batch, results))
        versions |= results.versions()
    publish(given, Section("Grad-CAM on a GPU" if on_gpu() else "Grad-CAM", parts, versions))


if __name__ == "__main__":
    main()
