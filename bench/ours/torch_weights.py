"""Our parameters in the order and the layout of the same network in PyTorch (bench/peers/torch_networks.py)."""

import numpy as np

from bench.protocol import Network


def in_torch(network: Network, params) -> list[np.ndarray]:
    """What `Module.parameters()` lists there, from the parameters of our model of `network`."""
    found = {"nagao2020": _plain, "resnet": _residual}[network.architecture](network, params)
    return [np.ascontiguousarray(leaf, np.float32) for leaf in found]


def _plain(network, params):
    for i in range(network.depth + 1):
        yield from _convolution(params[f"convs_{i}"])
    side = network.size // 2 ** (network.depth + 1)
    kernel = np.asarray(params["hidden"]["kernel"])
    by_pixel = kernel.reshape(side, side, -1, kernel.shape[-1])  # there, a channel's pixels follow one another
    yield from (by_pixel.transpose(3, 2, 0, 1).reshape(kernel.shape[::-1]), params["hidden"]["bias"])
    yield from _dense(params["head"])


def _residual(network, params):
    kernel, bias = _convolution(params["first"])
    by_place = kernel.reshape(len(kernel), 4, -1, 3, 3)  # there, a channel's four pixels follow one another
    yield from (by_place.swapaxes(1, 2).reshape(kernel.shape), bias)
    for i in range(network.depth + 1):
        yield from _block(params[f"blocks_{i}"])
    yield from _dense(params["head"])


def _block(params):
    if "shortcut" in params:
        yield _kernel(params["shortcut"])
    for i in range(1, sum(name.startswith("conv") for name in params) + 1):
        yield from (params[f"norm{i}"]["scale"], params[f"norm{i}"]["bias"])
        yield from _convolution(params[f"conv{i}"])


def _convolution(params):
    return _kernel(params), params["bias"]


def _kernel(params):
    return np.asarray(params["kernel"]).transpose(3, 2, 0, 1)


def _dense(params):
    return np.asarray(params["kernel"]).T, params["bias"]
