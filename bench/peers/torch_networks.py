"""The networks that are compared, in PyTorch: the same layers and parameters as in cellcycle_jax/models."""

import torch
from torch import nn

from bench.protocol import CLASSES, DROPOUT, EPSILON, SMALLEST_MAP, group_size, network_of


def build(name: str) -> nn.Module:
    """The network called `name`: f32 [B, K, S, S] -> logits [B, P]."""
    network = network_of(name)
    return {"nagao2020": plain, "resnet": residual}[network.architecture](network)


def plain(network):
    """Convolutions with pooling, flattened."""
    parts, inputs, size = [], network.channels, network.size
    for stage in range(network.depth + 1):
        outputs = network.filters * 2**stage
        parts += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        inputs, size = outputs, size // 2
    hidden = 2 * inputs
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(size**2 * inputs, hidden), nn.ReLU(), nn.Dropout(DROPOUT),
                         nn.Linear(hidden, CLASSES))


def residual(network):
    """Residual blocks, averaged."""
    size, inputs = network.size // 2, network.filters
    parts = [nn.PixelUnshuffle(2), nn.Conv2d(4 * network.channels, inputs, 3, padding=1), nn.ReLU()]
    for stage in range(network.depth + 1):
        outputs, halve = network.filters * 2**stage, stage > 0 and size > SMALLEST_MAP
        parts.append(Block(inputs, outputs, 2 if stage == network.depth else 1, halve))
        inputs, size = outputs, size // 2 if halve else size
    return nn.Sequential(*parts, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(DROPOUT),
                         nn.Linear(inputs, CLASSES))


class Block(nn.Module):
    """x + convolutions of relu(GroupNorm(x)); the shortcut is linear."""

    def __init__(self, inputs, outputs, convolutions, halve):
        super().__init__()
        self.pool = nn.AvgPool2d(2) if halve else nn.Identity()
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()
        branch = []
        for width in [inputs] + [outputs] * (convolutions - 1):
            branch += [nn.GroupNorm(width // group_size(width), width, EPSILON), nn.ReLU(),
                       nn.Conv2d(width, outputs, 3, padding=1)]
        self.branch = nn.Sequential(*branch)

    def forward(self, x):
        """f32 [B, d, h, w] -> f32 [B, D, h or h // 2, w or w // 2]."""
        x = self.pool(x)
        return self.shortcut(x) + self.branch(x)


def chosen_device(name: str) -> torch.device:
    """The device called `name`; 'auto': a GPU where there is one. Float32 products may use a GPU's tensor cores."""
    torch.set_float32_matmul_precision("high")  # as JAX does by default
    torch.backends.cudnn.benchmark = True
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def about(device: torch.device) -> dict:
    """What kind of device it is, and the version, for `protocol.serve`."""
    return {"device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            "versions": {"PyTorch": torch.__version__}}


def finish(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
