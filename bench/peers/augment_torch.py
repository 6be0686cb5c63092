"""Worker: random changes of a batch of crops with PyTorch: affine_grid and grid_sample, on the device."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import torch
from torch.nn import functional

from bench.peers.affine import ROTATE_DEG, SHIFT
from bench.peers.torch_networks import about, chosen_device, finish
from bench.protocol import NETWORKS, serve, worker_parser


def draw_affine(batch, device):
    """Maps from the result to the source, f32 [B, 2, 3], in the units of affine_grid: a crop reaches from -1 to 1."""
    drawn = torch.rand(6, batch, device=device)
    angle = torch.deg2rad((2 * drawn[0] - 1) * ROTATE_DEG) + torch.floor(drawn[1] * 4) * torch.pi / 2
    cos, sin, mirror = torch.cos(angle), torch.sin(angle), 1 - 2 * torch.floor(drawn[2] * 2)
    shift = (2 * drawn[3:5] - 1) * 2 * SHIFT
    return torch.stack([cos * mirror, -sin, shift[0], sin * mirror, cos, shift[1]], -1).reshape(batch, 2, 3)


def main():
    """Warm up and serve."""
    given, network = worker_parser(__doc__, device="auto").parse_args(), NETWORKS["paper"]
    device = chosen_device(given.device)
    images = torch.rand(network.batch, network.channels, network.size, network.size, device=device)

    def work(batches):
        for _ in range(batches):
            grid = functional.affine_grid(draw_affine(network.batch, device), images.shape, align_corners=False)
            functional.grid_sample(images, grid, align_corners=False)
        finish(device)

    with torch.inference_mode():
        work(2)
        serve(work, items=network.batch, **about(device))


if __name__ == "__main__":
    main()
