"""The parts of bench/gpu.py in the order in which they are measured: what matters most first."""

import dataclasses
import os

from bench import gpu_sections
from bench.workers import OURS, TERSE

PATIENCE = 4  # times as long as a part needs
DEFAULT_SECONDS = 540  # of ten minutes; the rest is for starting and writing
FORMS = ("alone", "grouped", "patches")
MEMBERS = {"full": "8,35", "small": "2,3"}
BATCHES = {"resnet": 1024}  # where that of the network does not fill a GPU
OTHER_BATCHES = {"paper": 256, "resnet": 32}  # measured last
FIRST_OF_COHORTS = ("small", "resnet", "paper")
# Either makes XLA take kernels that add in a fixed order; versions differ in which they know.
DETERMINISTIC_FLAGS = ("--xla_gpu_deterministic_ops=true", "--xla_gpu_exclude_nondeterministic_ops=true")
WITHOUT_KEPT_PROGRAMS = {"JAX_ENABLE_COMPILATION_CACHE": "false"}
TWO_PROCESSES = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # of which the first is still there


@dataclasses.dataclass(frozen=True)
class Part:
    """What one process measures.

    Attributes:
        name: by which `--parts` chooses it; several parts share one.
        heading: of the section that it belongs to.
        title: for people.
        python: that runs it.
        command: script below bench/, then its arguments.
        needs_s: about how long it takes; it is not begun with less, and ended after `PATIENCE` times as much.
        environments: variables to add; the next ones are tried where XLA does not know a flag of the ones before.
    """

    name: str
    heading: str
    title: str
    python: str
    command: tuple
    needs_s: float
    environments: tuple = ({},)

    def limit(self, left: float) -> float:
        """Seconds that it may take of those that are left: one part that hangs must not take the time of all."""
        return min(left, PATIENCE * self.needs_s) if self.needs_s else left

    @property
    def is_peer(self) -> bool:
        """Whether it needs PyTorch."""
        return self.command[0].startswith("peers/")


def parts_of(size, networks, torch: str, programs: str, kept: str) -> list[Part]:
    """All parts in order.

    Args:
        size: of `gpu_work.SIZES`.
        networks: names in protocol.NETWORKS.
        torch: a Python that has PyTorch.
        programs: an empty folder, for the compiled programs that the two processes of a resumed training share.
        kept: folder in which all other processes keep compiled programs.
    """
    making = _Making(size, torch, {**TERSE, **_one_gpu(), **_kept(kept)})
    of_cohorts = [name for name in FIRST_OF_COHORTS if name in networks]
    parts = [making.rates()]
    if of_cohorts:
        parts += making.cohorts(of_cohorts[0], needs_s=40)
    for name in networks:
        parts += making.training(name, BATCHES.get(name) if size == "full" else None)
    for name in of_cohorts[1:2]:
        parts += making.cohorts(name, needs_s=45)
    resumed = next((name for name in ("resnet", "small", "paper") if name in networks), None)
    if resumed:
        parts.append(making.resume(resumed, "deterministic flag, compiled programs shared", _kept(programs), True))
    parts += [making.attribution(name) for name in networks if name != "small" or len(networks) == 1]
    parts += [making.layers(name) for name in networks]
    parts.append(making.peer_layers(networks))
    if resumed:
        parts.append(making.resume(resumed, "deterministic flag alone", WITHOUT_KEPT_PROGRAMS, True))
        parts.append(making.resume(resumed, "neither", WITHOUT_KEPT_PROGRAMS, False))
    if size == "full":
        for name in of_cohorts[2:]:
            parts += making.cohorts(name, needs_s=60)
        for name, batch in OTHER_BATCHES.items():
            if name in networks:
                parts += making.training(name, batch)
        for name in of_cohorts[:1]:
            parts += making.cohorts(name, needs_s=40, dtype="bfloat16")
    return parts


@dataclasses.dataclass(frozen=True)
class _Making:
    """Makes parts of one size.

    Attributes:
        size: of `gpu_work.SIZES`.
        torch: a Python that has PyTorch.
        environment: of every part.
    """

    size: str
    torch: str
    environment: dict

    def rates(self):
        return self._part("rates", gpu_sections.RATES, "products of matrices, JAX", "ours/gpu/rates.py", (), 15)

    def cohorts(self, network, needs_s, dtype="float32"):
        parts = []
        for form in FORMS:
            title = f"cohorts of {network!r} in {dtype}, {gpu_sections.FORMS[form]}"
            arguments = ("--network", self._name(network), "--form", form, "--members", MEMBERS[self.size],
                         "--dtype", dtype)
            parts.append(self._part("cohorts", gpu_sections.COHORTS, title, "ours/gpu/cohort.py", arguments, needs_s))
        return parts

    def training(self, network, batch):
        arguments = ("--network", self._name(network))
        in_batches = ""
        if batch:
            arguments += ("--batch", batch)
            in_batches = f", batches of {batch}"
        parts = []
        for library, script, needs_s in (("JAX", "ours/gpu/training.py", 25), ("PyTorch", "peers/gpu/training.py", 30)):
            title = f"training of {network!r}{in_batches}, {library}"
            parts.append(self._part("training", gpu_sections.TRAINING, title, script, arguments, needs_s))
        return parts

    def attribution(self, network):
        arguments = ("--network", self._name(network))
        title = f"attribution, {network!r}"
        return self._part("attribution", gpu_sections.ATTRIBUTION, title, "ours/gpu/attribution.py", arguments, 20)

    def layers(self, network):
        arguments = ("--network", self._name(network))
        title = f"layers of {network!r}, JAX"
        return self._part("layers", gpu_sections.LAYERS, title, "ours/gpu/layers.py", arguments, 20)

    def peer_layers(self, networks):
        arguments = ("--networks", ",".join(self._name(name) for name in networks))
        title = "products of matrices and layers, PyTorch"
        return self._part("layers", gpu_sections.LAYERS, title, "peers/gpu/layers.py", arguments, 20)

    def resume(self, network, condition, variables, deterministic):
        """A part that stops and resumes; with a flag that XLA may call by either of two names."""
        arguments = ("--network", self._name(network), "--condition", condition)
        title = f"stop and resume of {network!r}, {condition}"
        part = self._part("resume", gpu_sections.RESUMING, title, "ours/gpu/resume.py", arguments, 40)
        flags = DETERMINISTIC_FLAGS if deterministic else ("",)
        environments = []
        for flag in flags:
            both = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
            environments.append({**self.environment, **TWO_PROCESSES, **variables, "XLA_FLAGS": both})
        return dataclasses.replace(part, environments=tuple(environments))

    def _part(self, name, heading, title, script, arguments, needs_s):
        python = self.torch if script.startswith("peers/") else OURS
        command = (script, *map(str, arguments), "--size", self.size)
        needs_s = needs_s if self.size == "full" else 0
        return Part(name, heading, title, python, command, needs_s, (self.environment,))

    def _name(self, network):
        return network if self.size == "full" else f"tiny-{network}"


def _kept(folder):
    """Variables that have JAX keep every compiled program in a folder."""
    return {
        "JAX_COMPILATION_CACHE_DIR": folder,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
    }


def _one_gpu():
    """Variables for one GPU, the first, and nearly all of its memory, unless the user says otherwise.

    One process at a time has it, and libraries want some memory besides that of JAX.
    """
    wanted = {"CUDA_VISIBLE_DEVICES": "0", "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.85"}
    return {name: value for name, value in wanted.items() if name not in os.environ}
