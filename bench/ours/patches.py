"""Convolution as products of matrices: an experiment that decides how cohorts compute on a GPU.

`jax.vmap` over models turns a convolution into a grouped one, for which GPU libraries may have no quick code. Here the
k x k neighbourhood of each pixel becomes a row of a matrix, so that `jax.vmap` gives batched products of matrices. The
price is memory: a patch is k * k times as large as its pixel.
"""

import contextlib
from unittest import mock

import jax
import jax.numpy as jnp

from cellcycle_jax.models import nagao2020
from cellcycle_jax.models.cpu import convolution
from cellcycle_jax.models.cpu import convolve as cpu_convolve

IMAGE_AND_PIXELS = (0, 1, 2)  # axes of an activation [B, h, w, C] that the weights share


def patches_of(x, size: int):
    """The neighbourhood of each pixel, zero outside the image, as its channels.

    Args:
        x: f32 [B, h, w, C].
        size: of the neighbourhood, px, odd.

    Returns:
        f32 [B, h, w, size * size * C]; rows, then columns, then channels, as a kernel's entries lie.
    """
    half = size // 2
    height, width = x.shape[1:3]
    padded = jnp.pad(x, ((0, 0), (half, half), (half, half), (0, 0)))
    shifted = []
    for row in range(size):
        for column in range(size):
            shifted.append(padded[:, row : row + height, column : column + width])
    return jnp.concatenate(shifted, axis=-1)


@jax.custom_vjp
def convolve(x, kernel):
    """What `models.cpu.convolve.convolve` gives, as a product of patches with the kernel.

    The gradient makes the patches again: kept, they would take k * k times the memory of the activation.

    Args:
        x: f32 [B, h, w, C].
        kernel: f32 [k, k, C, D], k odd.

    Returns:
        f32 [B, h, w, D].
    """
    matrix = kernel.reshape(-1, kernel.shape[-1])
    return patches_of(x, len(kernel)) @ matrix


def _forward(x, kernel):
    return convolve(x, kernel), (x, kernel)


def _backward(residuals, dy):
    x, kernel = residuals
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    dkernel = jnp.tensordot(patches_of(x, len(kernel)), dy, (IMAGE_AND_PIXELS, IMAGE_AND_PIXELS))
    return convolve(dy, turned), dkernel.reshape(kernel.shape)


convolve.defvjp(_forward, _backward)


@jax.custom_vjp
def conv_relu_pool(x, kernel, bias):
    """`convolution.conv_relu_pool` as it is on a GPU, on every device."""
    return convolution.at_once(x, kernel, bias)[0]


def _pool_forward(x, kernel, bias):
    y, winner = convolution.at_once(x, kernel, bias)
    return y, (x, kernel, winner)


def _pool_backward(residuals, dy):
    return convolution.gradients_at_once(*residuals, dy)


conv_relu_pool.defvjp(_pool_forward, _pool_backward)


@contextlib.contextmanager
def in_place_of_convolutions():
    """Have our architectures compute with patches whatever is traced meanwhile."""
    with (
        mock.patch.object(cpu_convolve, "convolve", convolve),
        mock.patch.object(convolution, "convolve", convolve),
        mock.patch.object(nagao2020, "conv_relu_pool", conv_relu_pool),
    ):
        yield
