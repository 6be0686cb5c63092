"""Where crops lie: on the devices, in the memory of the computer, or on disk, by how much of each is free."""

import jax

from cellcycle_jax import machine
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.devices import mesh

# What config.data.placement may be. 'device': all cells on every device, batches gathered there. 'host': in the memory
# of the computer, 'disk': in the files of the data set; batches are made by Grain in the background and sent.
PLACEMENTS = ("auto", "device", "host", "disk")
SHARE = 0.4  # of the free memory that crops may take; the rest is for the model, its gradients and copies


def place(asked: str, needed: int) -> str:
    """`choose_placement` by the memory that is free now, the least of all processes, which all of them call."""
    device_free, host_free = mesh.allreduce_min(*free_memory())
    return choose_placement(asked, needed, device_free, host_free)


def read_if_they_fit(crops: crop_arrays.Crops) -> crop_arrays.Crops:
    """The crops with their pixels in memory, or as they are: then these are read from disk, batch by batch."""
    if place("auto", crops.pixel_bytes) == "disk":
        return crops
    return crop_arrays.in_memory(crops)


def choose_placement(asked: str, needed: int, device_free: float, host_free: float) -> str:
    """Where crops go: what is asked for, or the fastest place that holds them.

    Args:
        asked: a name of PLACEMENTS.
        needed: bytes of the crops.
        device_free: bytes free on each device.
        host_free: bytes free in the memory of the computer.
    """
    if asked != "auto":
        return asked
    if needed > SHARE * host_free:
        return "disk"
    if needed > SHARE * device_free:
        return "host"
    return "device"


def free_memory() -> tuple[float, float]:
    """Free bytes of the smallest device of this process, and of the memory that this process may take."""
    host = float(machine.free_memory())
    of_devices = []
    for device in jax.local_devices():
        stats = device.memory_stats() or {}
        if "bytes_limit" in stats:
            of_devices.append(stats["bytes_limit"] - stats.get("bytes_in_use", 0))
    return min(of_devices, default=host), host  # devices of a CPU share its memory, and crops in it
