"""How many crops a second training sees, beside PyTorch and Keras, and which share of the device's arithmetic that is.

    python bench/train.py [--networks paper,resnet,small] [--batches 89,256] [--ways ours,torch-tuned] [--rounds 5]
        [--seconds 2] [--record] [--json FILE]

Crops lie on the device and are shown as they are; Keras' `model.fit` gets arrays in memory, as most would call it.
Operations are those of the layers' shapes (`flops.py`, a convolution counted directly), for all ways alike; their share
is of what products of 4096 x 4096 matrices reach in the same rounds. A way of ours with learning rate 0 keeps its first
weights: what skips dead activations would otherwise get faster as they die. Memory kept: glibc keeps freed memory for
the next step, as `runtime.keep_freed_memory` has it; on a CPU ours does, and divides a batch over the cores
(`runtime.divide_cpu`), unless it says otherwise. On a GPU, bfloat16 joins float32. Peers that are not installed are
left out, and the table says so; bench/README.md says where results go.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import numpy as np

from bench import flops
from bench.command_line import listed, numbers, script_parser
from bench.protocol import NETWORKS
from bench.results import Section, publish
from bench.surroundings import on_gpu
from bench.tables import Text, markdown_table, of_workers, shown, shown_range
from bench.workers import OURS, PEERS, TUNED, Way, compare

TITLES = {"paper": "The paper's network", "resnet": "The residual network", "small": "The small network"}
BATCHES = {"paper": (89, 256), "resnet": (32,), "small": (64,)}
GPU_BATCHES = BATCHES | {"resnet": (32, 1024)}  # small ones do not fill it


def cpu_ways(torch, keras, ours):
    """The ways on a CPU by the name that `--ways` takes, from the commands of the workers."""
    last = (*torch, "--channels-last")
    kept = (*ours, "--keep-memory")
    return {
        "torch": Way("PyTorch", PEERS, torch),
        "torch-last": Way("PyTorch, channels last", PEERS, last),
        "torch-tuned": Way("PyTorch, channels last, memory kept", PEERS, last, TUNED),
        "torch-compiled": Way("PyTorch, compiled, channels last, memory kept", PEERS, (*last, "--compile"), TUNED),
        "keras": Way("Keras", PEERS, keras),
        "keras-tuned": Way("Keras, memory kept", PEERS, keras, TUNED),
        "ours-stock": Way("ours, memory not kept", OURS, ours),
        "ours-undivided": Way("ours, one device", OURS, kept, {"JAX_NUM_CPU_DEVICES": "1"}),
        "ours-frozen": Way("ours, learning rate 0", OURS, (*kept, "--lr", 0)),
        "ours": Way("ours", OURS, kept),
    }


def gpu_ways(torch, keras, ours):
    """As `cpu_ways`, on a GPU."""
    last = (*torch, "--channels-last")
    return {
        "torch-last": Way("PyTorch, channels last", PEERS, last),
        "torch-compiled": Way("PyTorch, compiled, channels last", PEERS, (*last, "--compile")),
        "torch-bf16": Way("PyTorch, channels last, bf16", PEERS, (*last, "--bf16")),
        "torch-best": Way("PyTorch, compiled, channels last, bf16", PEERS, (*last, "--bf16", "--compile")),
        "torch-graphs": Way("PyTorch, compiled, CUDA graphs, channels last, bf16", PEERS,
                            (*last, "--bf16", "--compile", "reduce-overhead")),
        "keras-bf16": Way("Keras, bf16", PEERS, (*keras, "--bf16")),
        "ours-f32": Way("ours, float32", OURS, ours),
        "ours-frozen": Way("ours, bfloat16, learning rate 0", OURS, (*ours, "--dtype", "bfloat16", "--lr", 0)),
        "ours": Way("ours, bfloat16", OURS, (*ours, "--dtype", "bfloat16")),
    }


def ways_of(name, batch, gpu):
    """All ways to train a network in batches, and the one that ours is held against."""
    common = ("--model", name, "--batch", batch)
    commands = [(script, *common) for script in ("peers/train_torch.py", "peers/train_keras.py", "ours/train.py")]
    ways = gpu_ways(*commands) if gpu else cpu_ways(*commands)
    return ways, ways["torch-best" if gpu else "torch-tuned"].name


def measure(name, batch, gpu, given):
    """Tables and text of one network and batch, and {library: version}."""
    dtype = "bfloat16" if gpu else "float32"
    matmul = Way(f"matmul {dtype}", OURS, ("ours/matmul.py", "--dtype", dtype))
    ways, reference = ways_of(name, batch, gpu)
    chosen = [ways[key] for key in given.ways or ways]
    results = compare([matmul, *chosen], given.rounds, given.seconds)
    work = flops.training(NETWORKS[name]) / 1e9
    note = f"{work:.3g} GFLOP a crop."
    columns = {}
    limit = results.rates.pop(matmul.name, None)
    if limit:
        note += f" Products of matrices in {dtype}: {np.median(limit):,.0f} GFLOP/s ({shown_range(limit)})."
        columns["of that"] = shares_of(limit, results.rates, work)
    title = f"{TITLES[name]}, batches of {batch}"
    table = of_workers(title, "crops/s", results, reference=reference, columns=columns, note=note)
    texts = [beside(table, ways["ours"].name), alive(results)]
    return [table, *(Text(text) for text in texts if text)], results.versions()


def shares_of(limit, rates, work):
    """{way: share of the GFLOP/s `limit` [rounds] that its crops/s are, each of `work` GFLOP}."""
    shares = {}
    for way, of_rounds in rates.items():
        shares[way] = f"{np.median(np.array(of_rounds) * work / limit):.1%}"
    return shares


def beside(table, ours) -> str:
    """How many times as fast as each peer `ours` was; '' without one of them."""
    if ours not in table.values:
        return ""
    rows = []
    for way in table.values:
        if not way.startswith("ours"):
            ratios = table.ratios(ours, way)
            rows.append((way, shown(np.median(ratios)), shown_range(ratios)))
    return markdown_table(("beside", f"{ours}: times as fast", "over the rounds"), rows) if rows else ""


def alive(results) -> str:
    """Share of activations that were not zero at the end, by layer."""
    lines = []
    for way, told in results.told.items():
        if "density" in told:
            shares = ", ".join(f"{layer} {share:.0%}" for layer, share in told["density"].items())
            lines.append(f"- {way}: {shares}")
    return "\n".join(["Activations that were not zero at the end\n", *lines]) if lines else ""


def main():
    """Measure and publish."""
    gpu = on_gpu()
    parser = script_parser(__doc__)
    parser.add_argument("--networks", type=listed(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--batches", type=numbers, help="crops in a step, of all networks; by default what is usual")
    parser.add_argument("--ways", type=listed(ways_of("paper", 0, gpu)[0]), help="by default all")
    parser.add_argument("--seconds", type=float, default=2.0, help="that a way takes in a round")
    given = parser.parse_args()
    batches = GPU_BATCHES if gpu else BATCHES
    versions = {}
    parts = []
    for name in given.networks:
        for batch in given.batches or batches[name]:
            of_network, found = measure(name, batch, gpu, given)
            parts += of_network
            versions |= found
    publish(given, Section("Training on a GPU" if gpu else "Training", parts, versions))


if __name__ == "__main__":
    main()
