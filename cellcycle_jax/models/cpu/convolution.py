"""Convolution 3 x 3 with relu and max-pooling, as one operation that a CPU can train through quickly.

XLA's own weight gradient of a convolution is 5 to 9 times slower on a CPU than matrix products over patches, and its
convolutions write every pixel although three of four are thrown away by the pooling. Here few images at a time, so that
what is between input and output stays in the cache, become products of matrices whose rows are the pooling windows
(`models.cpu.winograd`), so the pooling is a maximum of four arrays.

Which of the four won is all that is kept for the gradient, one byte per window.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from cellcycle_jax.models.cpu import winograd

WINDOWS = 2048  # pooling windows at a time
FEWEST_CHANNELS = 8  # of the input, for Winograd; below it the products would be too small, and patches are taken
DEAD = 4  # "winner" of a window whose four outputs relu makes zero
LAYOUT = ("NHWC", "HWIO", "NHWC")  # axes of images, kernels and outputs


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


@jax.custom_vjp
def convolve(x, kernel):
    """Convolution that keeps height and width, as XLA does it; trained through as quickly inside a loop as outside.

    XLA brings a convolution whose axes are in an order of their own, as that of a weight gradient, into the order that
    its fast CPU code takes, but not in the body of a `while`: there a step of the residual network (64 px, 16 filters,
    batch 32) took 26 times as long. So on a CPU the gradients bring their axes into this order by themselves.

    Args:
        x: f32 [B, h, w, C].
        kernel: f32 [k, k, C, D], k odd.

    Returns:
        f32 [B, h, w, D].
    """
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=LAYOUT)


def _convolve_forward(x, kernel):
    return convolve(x, kernel), (x, kernel)


def _convolve_backward(residuals, dy):
    def ordered(x, kernel, dy):
        k = kernel.shape[0] // 2
        dkernel = jax.lax.conv_general_dilated(
            x.transpose(3, 1, 2, 0),
            dy.transpose(1, 2, 0, 3),
            window_strides=(1, 1),
            padding=((k, k), (k, k)),
            dimension_numbers=LAYOUT,
        )
        turned = kernel[::-1, ::-1].swapaxes(2, 3)
        return convolve(dy, turned), dkernel.transpose(1, 2, 0, 3)

    def by_xla(x, kernel, dy):
        _, backward = jax.vjp(convolve.__wrapped__, x, kernel)
        return backward(dy)

    return jax.lax.platform_dependent(*residuals, dy, cpu=ordered, default=by_xla)


convolve.defvjp(_convolve_forward, _convolve_backward)


def in_flax(x, kernel, *_, **__):
    """`convolve` as `nn.Conv` calls it, for its `conv_general_dilated`; stride 1 and padding 'SAME' only."""
    return convolve(x, kernel)


def conv_relu(x, kernel, bias):
    """relu(convolve(x, kernel) + bias): f32 [B, h, w, C], [3, 3, C, D], [D] -> f32 [B, h, w, D]."""
    return jax.nn.relu(convolve(x, kernel) + bias)


@jax.custom_vjp
def conv_relu_pool(x, kernel, bias):
    """`conv_relu` and max-pooling; by pooling windows, a few images at a time, on a CPU, and as XLA does it elsewhere.

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
    y, winner = jax.lax.platform_dependent(x, kernel, bias, cpu=by_windows, default=by_xla)
    return y, (x, kernel, winner)


def _backward(residuals, dy):
    return jax.lax.platform_dependent(*residuals, dy, cpu=gradients_by_windows, default=gradients_by_xla)


conv_relu_pool.defvjp(_forward, _backward)


def by_xla(x, kernel, bias):
    """What `conv_relu_pool` gives, and u8 [B, h // 2, w // 2, D], which output of each window won, or `DEAD`."""
    z = convolve(x, kernel)
    h = z.shape[1] // 2 * 2
    w = z.shape[2] // 2 * 2
    four_outputs = (
        z[:, 0:h:2, 0:w:2],
        z[:, 0:h:2, 1:w:2],
        z[:, 1:h:2, 0:w:2],
        z[:, 1:h:2, 1:w:2],
    )
    return _largest(four_outputs, bias)


def gradients_by_xla(x, kernel, winner, dy):
    """Gradients with respect to x, kernel and bias.

    Args:
        x: f32 [B, h, w, C].
        kernel: f32 [3, 3, C, D].
        winner: u8 [B, h // 2, w // 2, D], from `by_xla` or `by_windows`.
        dy: f32 [B, h // 2, w // 2, D], gradient with respect to the output.

    Returns:
        Arrays of the shapes of x, kernel and bias.
    """
    dz = _output_gradients(winner, dy)
    b, h, w, d = dy.shape
    top = jnp.stack(dz[:2], 3)
    bottom = jnp.stack(dz[2:], 3)
    dz = jnp.stack([top, bottom], 2).reshape(b, 2 * h, 2 * w, d)
    dz = jnp.pad(dz, ((0, 0), (0, x.shape[1] - 2 * h), (0, x.shape[2] - 2 * w), (0, 0)))
    _, backward = jax.vjp(convolve, x, kernel)
    return *backward(dz), _bias_gradient(winner, dy)


def by_windows(x, kernel, bias):
    """As `by_xla`, a few images at a time."""
    wide = jnp.promote_types(x.dtype, "float32")
    few = kernel.shape[2] < FEWEST_CHANNELS
    outputs = winograd.direct_outputs if few else winograd.outputs

    def pooled(x):
        four_outputs = outputs(x.astype(wide), kernel.astype(wide))
        return _largest(four_outputs, bias)

    groups = jax.lax.map(jax.vmap(pooled), _grouped(x))
    return _joined(groups, len(x))


def gradients_by_windows(x, kernel, winner, dy):
    """As `gradients_by_xla`, a few images at a time."""
    wide = jnp.promote_types(x.dtype, "float32")
    few = kernel.shape[2] < FEWEST_CHANNELS
    kernel_gradient = winograd.direct_kernel_gradient if few else winograd.kernel_gradient

    def gradients(group):
        x, winner, dy = group
        x = x.astype(wide)
        dy = dy.astype(wide)
        dz = _output_gradients(winner, dy)
        m = jax.lax.optimization_barrier(winograd.products_gradient(dz))
        dx = winograd.input_gradient(m, kernel.astype(wide), x.shape).astype(kernel.dtype)
        return (kernel_gradient(x, dz, m), _bias_gradient(winner, dy)), dx

    def add(total, group):
        new, dx = jax.vmap(gradients)(group)
        return jax.tree.map(jnp.add, total, new), dx

    groups = _grouped((x, winner, dy))
    devices = groups[0].shape[1]
    zeros = (
        jnp.zeros((devices, *kernel.shape), wide),
        jnp.zeros((devices, dy.shape[-1]), wide),
    )
    (dkernel, dbias), dx = jax.lax.scan(add, zeros, groups)
    dkernel = dkernel.sum(0).astype(kernel.dtype)
    dbias = dbias.sum(0).astype(kernel.dtype)
    return _joined(dx, len(x)), dkernel, dbias


def _largest(z, bias):
    """Of the four outputs of each window, arrays [..., D], the largest after bias and relu, and which it is."""
    top = functools.reduce(jnp.maximum, z)
    winner = jnp.where(z[2] == top, 2, 3)
    winner = jnp.where(z[1] == top, 1, winner)
    winner = jnp.where(z[0] == top, 0, winner)
    y = top + bias
    winner = jnp.where(y > 0, winner, DEAD)
    return jax.nn.relu(y).astype(bias.dtype), winner.astype(jnp.uint8)


def _output_gradients(winner, dy):
    """Gradient with respect to each of the four outputs of a window: all of `dy` where it won, else zero."""
    return [jnp.where(winner == i, dy, 0) for i in range(4)]


def _bias_gradient(winner, dy):
    return jnp.where(winner < DEAD, dy, 0).sum((0, 1, 2))


def _grouped(tree):
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
    size = _group_size((own, *shape[1:]))

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


def _group_size(shape):
    """Images at a time: about `WINDOWS` windows, and as few images as can be added to fill up the last group."""
    images, height, width = shape[:3]
    most = max(1, min(images, 4 * WINDOWS // (height * width)))
    sizes = np.arange(most, most // 2, -1)
    added = -images % sizes
    return int(sizes[added.argmin()])
