"""How much arithmetic a network is: floating-point operations of its convolutions and dense layers, from its shape.

A multiplication with its addition is two operations. Norms, activations, pooling and the optimiser are not counted:
they are a matter of memory, not of arithmetic. What a compiler reports is no replacement: XLA counts the body of a loop
once and calls into other libraries not at all.
"""

from bench.protocol import CLASSES, SMALLEST_MAP, Network


def layers(network: Network) -> dict[str, float]:
    """Operations of each layer in the forward pass of one crop, {layer: operations}, in order."""
    return {"nagao2020": _plain, "resnet": _residual}[network.architecture](network)


def forward(network: Network) -> float:
    """Operations of the forward pass of one crop."""
    return sum(layers(network).values())


def training(network: Network) -> float:
    """Operations of forward and backward pass of one crop.

    The gradients of weights and of inputs cost as much as the layer itself; the first layer's input needs none.
    """
    each = list(layers(network).values())
    return 3 * sum(each) - each[0]


def _convolution(size, inputs, outputs, kernel=3):
    return 2.0 * kernel**2 * inputs * outputs * size**2


def _plain(network):
    found, size, inputs = {}, network.size, network.channels
    for stage in range(network.depth + 1):
        outputs = network.filters * 2**stage
        found[f"conv{stage + 1}"] = _convolution(size, inputs, outputs)
        size, inputs = size // 2, outputs
    hidden = 2 * inputs
    return found | {"hidden": 2.0 * size**2 * inputs * hidden, "head": 2.0 * hidden * CLASSES}


def _residual(network):
    size, inputs = network.size // 2, network.filters
    found = {"stem": _convolution(size, 4 * network.channels, inputs)}
    for stage in range(network.depth + 1):
        outputs, name = network.filters * 2**stage, f"stage{stage + 1}"
        if stage and size > SMALLEST_MAP:
            size //= 2
        if inputs != outputs:
            found[f"{name} shortcut"] = _convolution(size, inputs, outputs, kernel=1)
        found[f"{name} conv1"] = _convolution(size, inputs, outputs)
        if stage == network.depth:
            found[f"{name} conv2"] = _convolution(size, outputs, outputs)
        inputs = outputs
    return found | {"head": 2.0 * inputs * CLASSES}
