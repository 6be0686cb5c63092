"""What PyTorch's workers of bench/gpu.py have in common: what they run on, and the memory of the device."""

import torch

from bench.peers.torch_networks import about
from bench.protocol import say


def say_who(device: torch.device) -> None:
    """Tell on what PyTorch runs, and its version; the first message of a worker."""
    say({"kind": "about", "platform": device.type, **about(device)})


def peak_bytes(device: torch.device) -> int | None:
    """The most memory that tensors have taken since the count began; None on a CPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
