"""How much arithmetic a network is: floating-point operations of its convolutions and dense layers, from its shape.

A multiplication with its addition is two operations. Norms, activations, pooling and the optimiser are not counted:
they are a matter of memory, not of arithmetic. What a compiler reports is no replacement: XLA counts the body of a loop
once and calls into other libraries not at all.
"""

import dataclasses

from bench.protocol import CLASSES, SMALLEST_MAP, Network


@dataclasses.dataclass(frozen=True)
class Layer:
    """A convolution that keeps height and width, or a dense layer.

    Attributes:
        name: of the layer.
        size: height and width of its map, px; 1 for a dense layer.
        inputs: channels of the map, or units.
        outputs: filters, or units.
        kernel: height and width of the kernel, px; 0 for a dense layer.
    """

    name: str
    size: int
    inputs: int
    outputs: int
    kernel: int

    @property
    def operations(self) -> float:
        """Of the forward pass of one crop; its two gradients are as many each."""
        positions = self.size**2
        weights = max(1, self.kernel**2) * self.inputs * self.outputs
        return 2.0 * weights * positions


def shapes(network: Network) -> list[Layer]:
    """The layers of a network in order."""
    return {"nagao2020": _plain, "resnet": _residual}[network.architecture](network)


def layers(network: Network) -> dict[str, float]:
    """Operations of each layer in the forward pass of one crop, {layer: operations}, in order."""
    return {layer.name: layer.operations for layer in shapes(network)}


def forward(network: Network) -> float:
    """Operations of the forward pass of one crop."""
    return sum(layers(network).values())


def training(network: Network) -> float:
    """Operations of forward and backward pass of one crop.

    The gradients of weights and of inputs cost as much as the layer itself; the first layer's input needs none.
    """
    each = list(layers(network).values())
    return 3 * sum(each) - each[0]


def _dense(name, inputs, outputs):
    return Layer(name, 1, inputs, outputs, kernel=0)


def _plain(network):
    found = []
    size = network.size
    inputs = network.channels
    for stage in range(network.depth + 1):
        outputs = network.filters * 2**stage
        found.append(Layer(f"conv{stage + 1}", size, inputs, outputs, kernel=3))
        size //= 2
        inputs = outputs
    hidden = 2 * inputs
    return [*found, _dense("hidden", size**2 * inputs, hidden), _dense("head", hidden, CLASSES)]


def _residual(network):
    size = network.size // 2
    inputs = network.filters
    found = [Layer("stem", size, 4 * network.channels, inputs, kernel=3)]
    for stage in range(network.depth + 1):
        outputs = network.filters * 2**stage
        name = f"stage{stage + 1}"
        if stage and size > SMALLEST_MAP:
            size //= 2
        if inputs != outputs:
            found.append(Layer(f"{name} shortcut", size, inputs, outputs, kernel=1))
        found.append(Layer(f"{name} conv1", size, inputs, outputs, kernel=3))
        if stage == network.depth:
            found.append(Layer(f"{name} conv2", size, outputs, outputs, kernel=3))
        inputs = outputs
    return [*found, _dense("head", inputs, CLASSES)]
