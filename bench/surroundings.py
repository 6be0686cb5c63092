"""Where a benchmark ran: commit, machine and GPUs."""

import functools
import os
import pathlib
import platform
import subprocess

ROOT = pathlib.Path(__file__).parents[1]
PROCESSORS = pathlib.Path("/proc/cpuinfo")


def commit() -> dict:
    """{"commit": hash, "modified": whether files differ from it}; both None outside a repository or without git."""
    found = _output(["git", "-C", str(ROOT), "rev-parse", "HEAD"])
    if not found:
        return {"commit": None, "modified": None}
    changed = _output(["git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no"])
    return {"commit": found[0], "modified": bool(changed)}


def machine() -> dict:
    """What decides how fast a program is here: system, processor, cores, memory in bytes, names of the GPUs."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "gpus": accelerators(),
    }


def in_words(versions: dict[str, str], timed: str) -> str:
    """Kind of machine, what was timed, and {library: version}, for a heading in Markdown."""
    cores = f"{os.cpu_count()} shared cores ({platform.machine()}, noisy)"
    libraries = ", ".join(f"{name} {version}" for name, version in versions.items())
    return ", ".join([cores, *accelerators(), timed]) + f"; {libraries}"


@functools.cache
def accelerators() -> list[str]:
    """Names of the machine's NVIDIA GPUs, without loading a library that would take their memory."""
    return _output(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"])


def on_gpu() -> bool:
    """Whether the machine has a GPU that is not hidden from the workers."""
    return bool(accelerators()) and os.environ.get("CUDA_VISIBLE_DEVICES") != ""


def _processor():
    """Model of the processor, as Linux names it; elsewhere what Python knows."""
    try:
        lines = PROCESSORS.read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def _output(command) -> list[str]:
    """Lines that a command prints; [] where it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return done.stdout.splitlines()
