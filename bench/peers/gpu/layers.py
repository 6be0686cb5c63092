"""Worker of bench/gpu.py: products of matrices, and layers with their gradients, in PyTorch, channels last, bfloat16.

python bench/peers/gpu/layers.py --networks paper,resnet,small [--size full]
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[3]))

import torch

from bench import flops
from bench.gpu_work import CHECKED, EFFORTS, EMPTY_LAYER, TF32_ERROR, attempt, worker_parser
from bench.peers.gpu.on_device import say_who
from bench.peers.torch_networks import chosen_device, finish
from bench.protocol import network_of
from bench.timed import rates_of

DTYPE = torch.bfloat16
SHARE_OF_A_ROUND = 0.25  # there are many layers
# name -> dtype, and precision of products as PyTorch calls it
PRECISIONS = {
    "bfloat16": (torch.bfloat16, "high"),
    "float32": (torch.float32, "high"),
    "float32, highest precision": (torch.float32, "highest"),
}


def matmul_rate(name, effort, device) -> dict:
    """The message of one precision: GFLOP/s of each round."""
    dtype, precision = PRECISIONS[name]
    torch.set_float32_matmul_precision(precision)
    torch.manual_seed(0)
    matrix = (torch.randn(effort.matrix, effort.matrix, device=device) / effort.matrix**0.5).to(dtype)

    def work(times):
        result = matrix
        for _ in range(times):
            result = result @ matrix
        finish(device)

    gflop = 2e-9 * effort.matrix**3
    tf32 = dtype == torch.float32 and rounds_to_tf32(device)
    values = [gflop * products for products in rates_of(work, effort.rounds, effort.seconds)]
    return {"kind": "rate", "library": "PyTorch", "precision": name, "size": effort.matrix, "tf32": tf32,
            "values": values}


def rounds_to_tf32(device) -> bool:
    """Whether a product of float32 matrices is only as exact as one of factors rounded to TF32."""
    left, right = torch.randn(2, CHECKED, CHECKED)
    exact = left.double() @ right.double()
    found = (left.to(device) @ right.to(device)).cpu().double()
    error = (found - exact).square().mean().sqrt() / exact.square().mean().sqrt()
    return bool(error > TF32_ERROR)


def convolution(layer, batch, device):
    """The three computations of a convolution, {direction: function}."""
    shape = (batch, layer.inputs, layer.size, layer.size)
    x = _random(shape, device).contiguous(memory_format=torch.channels_last)
    kernel = _random((layer.outputs, layer.inputs, layer.kernel, layer.kernel), device)
    kernel = kernel.contiguous(memory_format=torch.channels_last)
    dy = _random((batch, layer.outputs, layer.size, layer.size), device)
    dy = dy.contiguous(memory_format=torch.channels_last)
    padding = [layer.kernel // 2] * 2

    def gradient(of_input):
        return torch.ops.aten.convolution_backward(
            dy, x, kernel, None, [1, 1], padding, [1, 1], False, [0, 0], 1, [of_input, not of_input, False]
        )

    return {
        "forward": lambda: torch.nn.functional.conv2d(x, kernel, padding=padding),
        "input gradient": lambda: gradient(of_input=True),
        "weight gradient": lambda: gradient(of_input=False),
    }


def dense(layer, batch, device):
    """The three computations of a dense layer, {direction: function}."""
    x = _random((batch, layer.inputs), device)
    kernel = _random((layer.inputs, layer.outputs), device)
    dy = _random((batch, layer.outputs), device)
    return {
        "forward": lambda: x @ kernel,
        "input gradient": lambda: dy @ kernel.T,
        "weight gradient": lambda: x.T @ dy,
    }


def _random(shape, device):
    return torch.randn(shape, device=device).to(DTYPE)


def microseconds(function, effort, device) -> list[float]:
    """Of one call, a number a round; many calls are under way at a time."""

    def work(times):
        for _ in range(times):
            function()
        finish(device)

    return [1e6 / calls for calls in rates_of(work, effort.rounds, SHARE_OF_A_ROUND * effort.seconds)]


def time_of(network, layer, direction, function, effort, device) -> dict:
    """The message of one layer and direction; `layer` None for what computes nothing."""
    return {
        "kind": "layer",
        "library": "PyTorch",
        "network": network,
        "layer": layer.name if layer else EMPTY_LAYER,
        "direction": direction,
        "batch": effort.layer_batch,
        "gflop": layer.operations * effort.layer_batch / 1e9 if layer else 0.0,
        "values": microseconds(function, effort, device),
    }


def layers_of(name, effort, device):
    """Measure all layers of a network."""
    zero = torch.zeros((), device=device)
    attempt(EMPTY_LAYER, lambda: time_of(name, None, "", lambda: zero + 1, effort, device))
    for layer in flops.shapes(network_of(name)):
        make = convolution if layer.kernel else dense
        for direction, function in make(layer, effort.layer_batch, device).items():
            attempt(
                f"{layer.name}, {direction}",
                lambda layer=layer, direction=direction, function=function: time_of(
                    name, layer, direction, function, effort, device
                ),
            )


def main():
    """All precisions, then all layers."""
    parser = worker_parser(__doc__)
    parser.add_argument("--networks", required=True, help="separated by commas, as of protocol.network_of")
    given = parser.parse_args()
    effort = EFFORTS[given.size]
    device = chosen_device("auto")
    say_who(device)
    for name in PRECISIONS:
        attempt(f"matrices in {name}", lambda name=name: matmul_rate(name, effort, device))
    torch.set_float32_matmul_precision("high")
    for name in given.networks.split(","):
        layers_of(name, effort, device)


if __name__ == "__main__":
    main()
