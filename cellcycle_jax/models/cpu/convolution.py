"""Convolution 3 x 3 with relu and max-pooling, as one operation that a CPU can train through quickly.

A convolution writes every pixel although three of four are thrown away by the pooling. Here a few images at a time are
convolved, pooled and given up, so that what is between input and output stays in the cache. Which of the four outputs
of a window won is all that is kept for the gradient, one byte per window.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from cellcycle_jax.models.cpu.convolve import (
    by_neighbours,
    convolve,
    input_gradient,
    kernel_gradient,
    kernel_gradient_by_patches,
)

OUTPUTS = 2**18  # values of the convolution at a time: 1 MiB, about half of what a core's own cache holds
DEAD = 4  # "winner" of a window whose four outputs relu makes zero


class Convolution(nn.Module):
    """Kernel and bias of a convolution 3 x 3, with the names, shapes and first values that `nn.Conv` gives them.

    Attributes:
        filters: channels D of the output.
        dtype: what they are computed with in; they are stored as float32, or float64 with 'float64'.
    """

    filters: int
    dtype: str

    @nn.compact
    def __call__(self, channels: int):
        """Kernel [3, 3, channels, D] and bias [D]."""
        wide = jnp.promote_types(self.dtype, "float32")
        shape = (3, 3, channels, self.filters)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape, wide)
        bias = self.param("bias", nn.initializers.zeros, (self.filters,), wide)
        return kernel.astype(self.dtype), bias.astype(self.dtype)


def conv_relu(x, kernel, bias):
    """relu(convolve(x, kernel) + bias): f32 [B, h, w, C], [3, 3, C, D], [D] -> f32 [B, h, w, D]."""
    return jax.nn.relu(convolve(x, kernel) + bias)


@jax.custom_vjp
def conv_relu_pool(x, kernel, bias):
    """`conv_relu` and max-pooling; a few images at a time on a CPU, and as XLA does it elsewhere.

    Of outputs of a window that are equal the first gets the whole gradient.

    Args:
        x: f32 [B, h, w, C].
        kernel: f32 [3, 3, C, D].
        bias: f32 [D].

    Returns:
        f32 [B, h // 2, w // 2, D].
    """
    y, _ = _forward(x, kernel, bias)
    return y


def _forward(x, kernel, bias):
    y, winner = jax.lax.platform_dependent(x, kernel, bias, cpu=by_groups, default=at_once)
    return y, (x, kernel, winner)


def _backward(residuals, dy):
    return jax.lax.platform_dependent(*residuals, dy, cpu=gradients_by_groups, default=gradients_at_once)


conv_relu_pool.defvjp(_forward, _backward)


def at_once(x, kernel, bias):
    """What `conv_relu_pool` gives, and u8 [B, h // 2, w // 2, D], which output of each window won, or `DEAD`."""
    return _pooled(convolve(x, kernel), bias)


def gradients_at_once(x, kernel, winner, dy):
    """Gradients with respect to x, kernel and bias.

    Args:
        x: f32 [B, h, w, C].
        kernel: f32 [3, 3, C, D].
        winner: u8 [B, h // 2, w // 2, D], from `at_once` or `by_groups`.
        dy: f32 [B, h // 2, w // 2, D], gradient with respect to the output.

    Returns:
        Arrays of the shapes of x, kernel and bias.
    """
    dz = _output_gradient(winner, dy, x.shape)
    _, backward = jax.vjp(convolve, x, kernel)
    return *backward(dz), _bias_gradient(winner, dy)


def by_groups(x, kernel, bias):
    """As `at_once`, a few images at a time."""
    return _map_groups(lambda z: _pooled(z, bias), x, kernel)


def conv_relu_pool_and_mean(x, kernel, bias):
    """`conv_relu_pool`, and the mean of `conv_relu` over each image, f32 [B, D]; not to be trained through."""

    def both(z):
        activation = jax.nn.relu(z + bias)
        mean = activation.mean((1, 2), dtype=jnp.promote_types(bias.dtype, "float32"))
        return _pooled(z, bias)[0], mean

    return jax.lax.platform_dependent(
        x,
        kernel,
        cpu=lambda x, kernel: _map_groups(both, x, kernel),
        default=lambda x, kernel: both(convolve(x, kernel)),
    )


def _map_groups(function, x, kernel):
    """`function` of the convolution's output, a few images at a time: pytree of arrays [B, ...]."""
    wide = jnp.promote_types(x.dtype, "float32")

    def of_group(group):
        return function(by_neighbours(group.astype(wide), kernel.astype(wide)))

    groups = jax.lax.map(jax.vmap(of_group), _grouped(x, kernel.shape[3]))
    return _joined(groups, len(x))


def gradients_by_groups(x, kernel, winner, dy):
    """As `gradients_at_once`, a few images at a time."""
    wide = jnp.promote_types(x.dtype, "float32")
    groups = _grouped((x, winner, dy), kernel.shape[3])
    devices = groups[0].shape[1]
    kernel_gradient_of = kernel_gradient if devices == 1 else kernel_gradient_by_patches

    def gradients(group):
        x, winner, dy = group
        dy = dy.astype(wide)
        dz = _output_gradient(winner, dy, x.shape)
        dx = input_gradient(kernel.astype(wide), dz).astype(kernel.dtype)
        return (kernel_gradient_of(x.astype(wide), dz, size=3), _bias_gradient(winner, dy)), dx

    def add(total, group):
        new, dx = jax.vmap(gradients)(group)
        return jax.tree.map(jnp.add, total, new), dx

    zeros = (
        jnp.zeros((devices, *kernel.shape), wide),
        jnp.zeros((devices, dy.shape[-1]), wide),
    )
    (dkernel, dbias), dx = jax.lax.scan(add, zeros, groups)
    dkernel = dkernel.sum(0).astype(kernel.dtype)
    dbias = dbias.sum(0).astype(kernel.dtype)
    return _joined(dx, len(x)), dkernel, dbias


def _pooled(z, bias):
    """The largest output of each window after bias and relu, [B, h // 2, w // 2, D], and which of the four it is."""
    batch, height, width, filters = z.shape
    h = height // 2
    w = width // 2
    windows = z[:, : 2 * h, : 2 * w].reshape(batch, h, 2, w, 2, filters)
    first, second, third, fourth = (windows[:, :, i, :, j] for i in range(2) for j in range(2))
    top = jnp.maximum(jnp.maximum(first, second), jnp.maximum(third, fourth))
    winner = jnp.where(third == top, 2, 3)
    winner = jnp.where(second == top, 1, winner)
    winner = jnp.where(first == top, 0, winner)
    y = top + bias
    winner = jnp.where(y > 0, winner, DEAD)
    return jax.nn.relu(y).astype(bias.dtype), winner.astype(jnp.uint8)


def _output_gradient(winner, dy, image_shape):
    """Gradient with respect to the convolution's output, [B, H, W, D]: in each window all of `dy` where it won.

    Args:
        winner: u8 [B, h, w, D].
        dy: f32 [B, h, w, D].
        image_shape: (B, H, W, C), H one of 2 h and 2 h + 1, and W alike.
    """
    batch, h, w, filters = dy.shape
    place = jnp.arange(4, dtype=winner.dtype).reshape(2, 1, 2, 1)
    won = winner[:, :, None, :, None] == place
    dz = jnp.where(won, dy[:, :, None, :, None], 0).reshape(batch, 2 * h, 2 * w, filters)
    return jnp.pad(dz, ((0, 0), (0, image_shape[1] - 2 * h), (0, image_shape[2] - 2 * w), (0, 0)))


def _bias_gradient(winner, dy):
    return jnp.where(winner < DEAD, dy, 0).sum((0, 1, 2))


def _grouped(tree, filters: int):
    """Arrays [B, ...] as [G, n, s, ...]: on each of n devices s images at a time, filled up with zeros.

    The images of a device stay together: a loop over groups of neighbours would take each from one device, and all
    others would wait for it. Inside `shard_map` the batch lies whole on one device; otherwise it is assumed to be
    divided over all devices of JAX, where their number divides it.
    """
    shape = jax.tree.leaves(tree)[0].shape
    devices = jax.device_count()
    if jax.sharding.get_abstract_mesh().manual_axes or shape[0] % devices:
        devices = 1
    own = shape[0] // devices
    size = group_size(own, shape[1] * shape[2] * filters)

    def grouped(x):
        x = x.reshape(devices, own, *x.shape[1:])
        padding = [(0, 0)] * x.ndim
        padding[1] = (0, -own % size)
        x = jnp.pad(x, padding)
        return x.reshape(devices, -1, size, *x.shape[2:]).swapaxes(0, 1)

    return jax.tree.map(grouped, tree)


def _joined(tree, n):
    """The reverse of `_grouped`, of the first n images."""

    def joined(x):
        groups, devices, size = x.shape[:3]
        x = x.swapaxes(0, 1).reshape(devices, groups * size, *x.shape[3:])
        return x[:, : n // devices].reshape(n, *x.shape[2:])

    return jax.tree.map(joined, tree)


def group_size(images: int, outputs: int) -> int:
    """Images at a time: about `OUTPUTS` outputs, and as few images as can be added to fill up the last group.

    Args:
        images: of a device.
        outputs: values of the convolution of one image.
    """
    most = max(1, min(images, OUTPUTS // outputs))
    sizes = np.arange(most, most // 2, -1)
    added = -images % sizes
    return int(sizes[added.argmin()])
