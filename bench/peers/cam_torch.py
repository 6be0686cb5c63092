"""Worker: Grad-CAM of both classes with pytorch-grad-cam, crops and maps in host memory, a batch at a time.

    python bench/peers/cam_torch.py --model paper --given FILE [--channels-last]

FILE (.npz), from bench/ours/cam.py, holds weights and crops, and maps: at the end it tells how far its own are from
them. What it says and is told stands in bench/protocol.py.
"""

import importlib.metadata
import pathlib
import sys
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import numpy as np
import torch

try:
    import torchvision  # noqa: F401
except RuntimeError:
    # The package index has it for CUDA only, which does not load beside a PyTorch for CPUs. pytorch-grad-cam imports
    # names from it that Grad-CAM does not use.
    for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional"):
        sys.modules[name] = unittest.mock.MagicMock()
import pytorch_grad_cam
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from bench.peers.torch_networks import about, build, chosen_device
from bench.protocol import CLASSES, serve, worker_parser


def last_activation(module):
    """What follows the last convolution: the last relu in front of the flattening."""
    layers = list(module)
    flat = next(i for i, layer in enumerate(layers) if isinstance(layer, torch.nn.Flatten))
    return [layer for layer in layers[:flat] if isinstance(layer, torch.nn.ReLU)][-1]


def load(module, given):
    """Put the weights of FILE into a module.

    Raises:
        ValueError: they are of another network.
    """
    for i, parameter in enumerate(module.parameters()):
        weight = torch.from_numpy(given[f"weight{i}"])
        if weight.shape != parameter.shape:
            raise ValueError(f"weight {i}: found {tuple(weight.shape)}, expected {tuple(parameter.shape)}")
        parameter.data.copy_(weight)


def main():
    """Warm up and serve."""
    parser = worker_parser(__doc__, model="paper", channels_last=False, device="auto")
    parser.add_argument("--given", required=True)
    asked = parser.parse_args()
    given, device = np.load(asked.given), chosen_device(asked.device)
    layout = torch.channels_last if asked.channels_last else torch.contiguous_format
    module = build(asked.model).eval()
    load(module, given)
    module = module.to(device, memory_format=layout)
    images = torch.from_numpy(given["images"].transpose(0, 3, 1, 2).copy()).contiguous(memory_format=layout)
    cam = pytorch_grad_cam.GradCAM(module, [last_activation(module)])

    def once():
        return [cam(images, [ClassifierOutputTarget(p)] * len(images)) for p in range(CLASSES)]

    def work(batches):
        for _ in range(batches):
            once()

    def tell():
        return {"difference": float(np.abs(np.stack(once(), 1) - given["maps"]).max())}

    work(3)
    own = about(device)
    own["versions"]["pytorch-grad-cam"] = importlib.metadata.version("grad-cam")
    serve(work, items=len(images), tell=tell, **own)


if __name__ == "__main__":
    main()
