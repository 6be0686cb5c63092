"""Worker of bench/gpu.py: forward pass and both gradients of each layer of a network, alone, in bfloat16.

    python bench/ours/gpu/layers.py --network paper [--size full]

A row that computes nothing shows what starting a program takes: shorter layers are not resolved.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[3]))

import jax
import jax.numpy as jnp

from bench import flops
from bench.gpu_work import EFFORTS, EMPTY_LAYER, attempt, worker_parser
from bench.ours.gpu.on_device import say_who
from bench.protocol import network_of
from bench.timed import rates_of
from cellcycle_jax.models.cpu.convolve import convolve

DTYPE = "bfloat16"
SHARE_OF_A_ROUND = 0.25  # there are many layers


def dense(x, kernel):
    """f32 [B, inputs], f32 [inputs, outputs] -> f32 [B, outputs]."""
    return x @ kernel


def directions(function):
    """The three computations of a layer by name, `(x, kernel, dy) -> array`."""

    def input_gradient(x, kernel, dy):
        _, backward = jax.vjp(lambda x: function(x, kernel), x)
        return backward(dy)[0]

    def weight_gradient(x, kernel, dy):
        _, backward = jax.vjp(lambda kernel: function(x, kernel), kernel)
        return backward(dy)[0]

    return {
        "forward": lambda x, kernel, dy: function(x, kernel),
        "input gradient": input_gradient,
        "weight gradient": weight_gradient,
    }


def operands_of(layer, batch):
    """Input, kernel and gradient of the output, random."""
    if layer.kernel:
        map_shape = (batch, layer.size, layer.size)
        kernel_shape = (layer.kernel, layer.kernel, layer.inputs, layer.outputs)
    else:
        map_shape = (batch,)
        kernel_shape = (layer.inputs, layer.outputs)
    keys = jax.random.split(jax.random.key(0), 3)
    return (
        jax.random.normal(keys[0], (*map_shape, layer.inputs), DTYPE),
        jax.random.normal(keys[1], kernel_shape, DTYPE),
        jax.random.normal(keys[2], (*map_shape, layer.outputs), DTYPE),
    )


def microseconds(program, operands, effort) -> list[float]:
    """Of one call of a compiled program, a number a round; many calls are under way at a time."""

    def work(times):
        for _ in range(times):
            result = program(*operands)
        result.block_until_ready()

    return [1e6 / calls for calls in rates_of(work, effort.rounds, SHARE_OF_A_ROUND * effort.seconds)]


def time_of(given, layer, direction, function) -> dict:
    """The message of one layer and direction."""
    effort = EFFORTS[given.size]
    operands = operands_of(layer, effort.layer_batch)
    return {
        "kind": "layer",
        "library": "JAX",
        "network": given.network,
        "layer": layer.name,
        "direction": direction,
        "batch": effort.layer_batch,
        "gflop": layer.operations * effort.layer_batch / 1e9,
        "values": microseconds(jax.jit(function), operands, effort),
    }


def time_of_nothing(given) -> dict:
    """The message of a program that adds one number to another."""
    effort = EFFORTS[given.size]
    values = microseconds(jax.jit(lambda x: x + 1), (jnp.zeros(()),), effort)
    return {"kind": "layer", "library": "JAX", "network": given.network, "layer": EMPTY_LAYER, "direction": "",
            "batch": effort.layer_batch, "gflop": 0.0, "values": values}


def main():
    """All layers."""
    given = worker_parser(__doc__).parse_args()
    say_who(given.size)
    attempt(EMPTY_LAYER, lambda: time_of_nothing(given))
    for layer in flops.shapes(network_of(given.network)):
        function = convolve if layer.kernel else dense
        for direction, computed in directions(function).items():
            attempt(f"{layer.name}, {direction}",
                    lambda layer=layer, name=direction, computed=computed: time_of(given, layer, name, computed))


if __name__ == "__main__":
    main()
