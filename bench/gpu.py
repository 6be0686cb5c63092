"""What one GPU gives, within ten minutes: whether cohorts stay as they are, and how far training is from the targets.

    python bench/gpu.py [--seconds 540] [--parts cohorts,training] [--networks paper,resnet,small] [--size full]
        [--record] [--json FILE]

Cohorts of 8 and 35 models as grouped convolutions, as batched matrix products and one after another; training in
float32 and bfloat16 beside PyTorch; the rates of products of matrices; a stop and resume, bit by bit; Grad-CAM and
integrated gradients; each layer's forward pass and gradients beside PyTorch.

Each part is a process of its own, one at a time, what matters most first. What it measured is saved when it is done,
into FILE and as Markdown beside it; a part that fails is one line; one for which no time is left is left out. JAX with
CUDA, Flax and Optax have to be installed; PyTorch is asked where it is (PEERS_PYTHON, bench/peers/.venv, or this
Python). `--size small` runs through everything on a CPU, and its figures mean nothing.
"""

import dataclasses
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from bench import gpu_sections, results
from bench.command_line import listed, script_parser
from bench.gpu_parts import DEFAULT_SECONDS, Part, parts_of
from bench.gpu_process import measure
from bench.gpu_work import SIZES
from bench.protocol import NETWORKS
from bench.workers import OURS, PEERS

ROOT = pathlib.Path(__file__).parents[1]
SAVED = ROOT / "runs" / "bench" / "gpu" / "gpu.json"
NEEDED = ("jax", "flax", "optax")
NOT_NEEDED = ("tensorflow_datasets", "grain", "ml_collections")
NO_TORCH = "PyTorch is not installed; make it with `make peers`, or name a Python that has it in PEERS_PYTHON"


@dataclasses.dataclass
class Found:
    """All that parts have told.

    Attributes:
        measurements: messages, see `gpu_sections`.
        failures: {heading: {what was left out: why}}.
        versions: {library: version}.
        platform: that JAX runs on, '' before it is known.
    """

    measurements: list = dataclasses.field(default_factory=list)
    failures: dict = dataclasses.field(default_factory=dict)
    versions: dict = dataclasses.field(default_factory=dict)
    platform: str = ""

    def take(self, part: Part, messages, failure: str) -> None:
        """Add what a part has told; `failure` is why it did not come to its end, or ''."""
        device = ""
        for message in messages:
            if message["kind"] == "about":
                device = message["device"]
                self.versions |= message["versions"]
                if not part.is_peer:
                    self.platform = message["platform"]
            elif message["kind"] == "failed":
                self.leave_out(part, f"{part.title}: {message['what']}", message["reason"])
            else:
                self.measurements.append(message | {"on": device})
        if failure:
            self.leave_out(part, part.title, failure)

    def leave_out(self, part: Part, what: str, reason: str) -> None:
        """Note that something is missing, and why."""
        self.failures.setdefault(part.heading, {})[what] = reason
        say(f"left out: {what} ({reason})")

    def sections(self):
        """Sections of what is known by now."""
        return gpu_sections.sections_of(self.measurements, self.failures, self.versions)


def say(text) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def is_installed(name: str) -> bool:
    """Whether a package could be imported; it is not."""
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False


def python_with_torch() -> str:
    """A Python that has PyTorch: that of the peers, or this one; '' where neither has it."""
    program = "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)"
    for python in (PEERS, OURS):
        try:
            found = subprocess.run([python, "-c", program], capture_output=True).returncode == 0
        except OSError:
            found = False
        if found:
            return python
    return ""


def save(found, given) -> None:
    """Write what is known by now, as JSON and Markdown."""
    sections = found.sections()
    results.write(given, *sections)
    text = "\n".join(section.markdown() for section in sections)
    given.json.with_suffix(".md").write_text(text)


def run_all(parts, given, found) -> None:
    """Measure parts until the time is over.

    Raises:
        SystemExit: JAX has no GPU, and all would take hours.
    """
    deadline = time.monotonic() + given.seconds
    for number, part in enumerate(parts, start=1):
        left = deadline - time.monotonic()
        if left < part.needs_s:
            found.leave_out(part, part.title, f"needs about {part.needs_s:.0f} s, and {max(left, 0):.0f} s were left")
            continue
        say(f"[{left:.0f} s left] {number} of {len(parts)}: {part.title}")
        messages, failure = measure(part, part.limit(left))
        found.take(part, messages, failure)
        save(found, given)
        if given.size == "full" and found.platform == "cpu":
            raise SystemExit("bench/gpu.py: JAX finds only a CPU here; install jax[cuda12] or jax[cuda13] and look at "
                             "nvidia-smi, or try --size small")


def parse():
    """What the command line asks for."""
    parser = script_parser(__doc__, rounds=None)
    names = list(dict.fromkeys(part.name for part in parts_of("full", list(NETWORKS), "", "", "")))
    parser.add_argument("--seconds", type=float, default=DEFAULT_SECONDS, help="that all parts may take together")
    parser.add_argument("--parts", type=listed(names), default=names, help="by default all")
    parser.add_argument("--networks", type=listed(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--size", choices=SIZES, default="full")
    given = parser.parse_args()
    if given.json is None:
        SAVED.parent.mkdir(parents=True, exist_ok=True)
        given.json = SAVED
    return given


def main() -> int:
    """Measure, print, and say what decides about cohorts."""
    given = parse()
    missing = [name for name in NEEDED if not is_installed(name)]
    if missing:
        print(f"bench/gpu.py: {', '.join(missing)} not installed; allowed is a Python with jax[cuda12], flax and optax",
              file=sys.stderr)
        return 1
    absent = [name for name in NOT_NEEDED if not is_installed(name)]
    if absent:
        say(f"not installed, and not needed here: {', '.join(absent)}")
    torch = python_with_torch()
    found = Found()
    with tempfile.TemporaryDirectory() as programs:
        kept = os.environ.get("JAX_COMPILATION_CACHE_DIR") or str(SAVED.parent / "compiled")
        parts = parts_of(given.size, given.networks, torch, programs, kept)
        parts = [part for part in parts if part.name in given.parts]
        if not torch:
            say(NO_TORCH)
            for part in parts:
                if part.is_peer:
                    found.leave_out(part, part.title, NO_TORCH)
            parts = [part for part in parts if not part.is_peer]
        run_all(parts, given, found)
    for section in found.sections():
        print(section.markdown())
    print(gpu_sections.verdict(found.measurements))
    say(f"saved: {given.json} and {given.json.with_suffix('.md')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
