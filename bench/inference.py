"""How many crops a second a trained network classifies, beside PyTorch.

    python bench/inference.py [--networks paper,resnet] [--batch 128] [--ways ours,torch-tuned] [--rounds 5]
        [--seconds 2] [--record] [--json FILE]

From crops in host memory to probabilities or logits there, a batch at a time. Ours is the step of `launch.py evaluate`
and `predict`: it starts from stored integers and also gives the embeddings that these commands keep, unless the table
says `logits only`. PyTorch starts from float32. Peers that are not installed are left out, and the table says so;
bench/README.md says where results go.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from bench import flops
from bench.command_line import listed, script_parser
from bench.protocol import NETWORKS
from bench.results import Section, publish
from bench.surroundings import on_gpu
from bench.tables import of_workers
from bench.workers import OURS, PEERS, TUNED, Way, compare


def cpu_ways(torch, ours):
    """The ways on a CPU by the name that `--ways` takes, from the commands of the workers."""
    last = (*torch, "--channels-last")
    return {
        "torch-tuned": Way("PyTorch, channels last, memory kept", PEERS, last, TUNED),
        "torch": Way("PyTorch", PEERS, torch),
        "torch-last": Way("PyTorch, channels last", PEERS, last),
        "torch-compiled": Way("PyTorch, compiled, channels last, memory kept", PEERS, (*last, "--compile"), TUNED),
        "ours-stock": Way("ours, memory not kept", OURS, ours),
        "ours-undivided": Way("ours, logits only, one device", OURS, (*ours, "--logits"),
                              TUNED | {"JAX_NUM_CPU_DEVICES": "1"}),
        "ours-logits": Way("ours, logits only", OURS, (*ours, "--logits"), TUNED),
        "ours": Way("ours", OURS, ours, TUNED),
    }


def gpu_ways(torch, ours):
    """As `cpu_ways`, on a GPU."""
    last = (*torch, "--channels-last")
    half = (*ours, "--dtype", "bfloat16")
    return {
        "torch-best": Way("PyTorch, compiled, channels last, bf16", PEERS, (*last, "--bf16", "--compile")),
        "torch-last": Way("PyTorch, channels last", PEERS, last),
        "torch-compiled": Way("PyTorch, compiled, channels last", PEERS, (*last, "--compile")),
        "torch-bf16": Way("PyTorch, channels last, bf16", PEERS, (*last, "--bf16")),
        "ours-f32": Way("ours, float32", OURS, ours),
        "ours-logits": Way("ours, bfloat16, logits only", OURS, (*half, "--logits")),
        "ours": Way("ours, bfloat16", OURS, half),
    }


def ways_of(name, batch, gpu):
    """All ways to classify with a network; the others are compared with the first."""
    common = ("--model", name, "--batch", batch)
    torch = ("peers/infer_torch.py", *common)
    ours = ("ours/infer.py", *common)
    return gpu_ways(torch, ours) if gpu else cpu_ways(torch, ours)


def main():
    """Measure and publish."""
    gpu = on_gpu()
    parser = script_parser(__doc__)
    parser.add_argument("--networks", type=listed(NETWORKS), default=["paper", "resnet"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--ways", type=listed(ways_of("paper", 0, gpu)), help="by default all")
    parser.add_argument("--seconds", type=float, default=2.0, help="that a way takes in a round")
    given = parser.parse_args()
    versions = {}
    parts = []
    for name in given.networks:
        ways = ways_of(name, given.batch, gpu)
        chosen = [way for key, way in ways.items() if key in (given.ways or ways)]
        results = compare(chosen, given.rounds, given.seconds)
        title = f"Network {name!r}, batches of {given.batch}"
        note = f"{flops.forward(NETWORKS[name]) / 1e9:.3g} GFLOP a crop."
        parts.append(of_workers(title, "crops/s", results, note=note))
        versions |= results.versions()
    publish(given, Section("Inference on a GPU" if gpu else "Inference", parts, versions))


if __name__ == "__main__":
    main()
