"""What the workers of bench/gpu.py of this project have in common: what they run on, and the memory of the device."""

import sys

import flax
import jax

from bench.protocol import say


def say_who(size: str) -> None:
    """Tell on what JAX runs, and which versions; the first message of a worker.

    Args:
        size: of `gpu_work.SIZES`.

    Raises:
        SystemExit: the full size on a CPU, which would take hours.
    """
    device = jax.devices()[0]
    versions = {"JAX": jax.__version__, "Flax": flax.__version__}
    say({"kind": "about", "platform": device.platform, "device": device.device_kind, "versions": versions})
    if size == "full" and device.platform == "cpu":
        sys.exit("JAX finds only a CPU here")


def peak_bytes() -> int | None:
    """The most memory that arrays of this process have taken of the first device; None where it does not say."""
    told = jax.local_devices()[0].memory_stats() or {}
    return told.get("peak_bytes_in_use")
