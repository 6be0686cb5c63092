"""Convolution that keeps height and width, with gradients that a CPU computes as quickly as the values.

XLA's fast convolution for CPUs multiplies matrices that have a column for each channel of the output. What makes it
quick was measured with JAX 0.10 on cores with AVX-512, whose instructions take 16 numbers at once:

- **Enough columns.** With 16 columns each operation takes twice as long as with 32, with 8 four times. A kernel that is
  widened to make two or four neighbours of a row at once has two or four times as many columns, for a third or the half
  more operations.
- **Columns in whole instructions.** 56 columns take twice as long for each operation as 64, so zeros are added.
- **Few channels of the input**, below 8, are gathered from several neighbours too.
- **Axes in order.** XLA brings a convolution whose axes are in an order of their own, as that of a weight gradient,
  into the order that its fast code takes, but not in the body of a `while`: there a step of the residual network (64
  px, 16 filters, batch 32) took 26 times as long. So the gradients bring their axes into this order by themselves.
"""

import jax
import jax.numpy as jnp

LAYOUT = ("NHWC", "HWIO", "NHWC")  # axes of images, kernels and outputs
LANES = 16  # columns that an instruction takes at once
ENOUGH_COLUMNS = 24  # from which one output is computed at a time, filled up to a multiple of `LANES`
MOST_NEIGHBOURS = 4  # more cost more operations than they save
FEWEST_CHANNELS = 8  # of the input; below it neighbours are gathered


@jax.custom_vjp
def convolve(x, kernel):
    """Convolution with stride 1 and padding 'SAME'; on a CPU as the head of this file says, elsewhere as XLA does it.

    Args:
        x: f32 [B, h, w, C].
        kernel: f32 [k, k, C, D], k odd.

    Returns:
        f32 [B, h, w, D].
    """
    return jax.lax.platform_dependent(x, kernel, cpu=by_neighbours, default=by_xla)


def _forward(x, kernel):
    return convolve(x, kernel), (x, kernel)


def _backward(residuals, dy):
    return jax.lax.platform_dependent(*residuals, dy, cpu=_gradients_in_order, default=_gradients_by_xla)


convolve.defvjp(_forward, _backward)


def in_flax(x, kernel, *_, **__):
    """`convolve` as `nn.Conv` calls it, for its `conv_general_dilated`; stride 1 and padding 'SAME' only."""
    return convolve(x, kernel)


def by_xla(x, kernel):
    """What `convolve` gives, as XLA does it."""
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=LAYOUT)


def by_neighbours(x, kernel):
    """What `convolve` gives, with as many columns as make XLA's products quick."""
    size, _, channels, filters = kernel.shape
    neighbours = neighbours_at_once(x.shape[2], filters)
    if size == 1:
        return by_xla(x, kernel)
    if neighbours == 1:
        filled_up = jnp.pad(kernel, ((0, 0), (0, 0), (0, 0), (0, -filters % LANES)))
        return by_xla(x, filled_up)[..., :filters]
    if size == 3 and channels < FEWEST_CHANNELS:
        return _gathered(x, kernel, neighbours)
    return _strided(x, kernel, neighbours)


def neighbours_at_once(width: int, filters: int) -> int:
    """Outputs of a row to compute at once: as few as make `ENOUGH_COLUMNS`, 1, 2 or 4, and a divisor of `width`."""
    neighbours = 1
    while neighbours < MOST_NEIGHBOURS and neighbours * filters < ENOUGH_COLUMNS:
        if width % (2 * neighbours):
            break
        neighbours *= 2
    return neighbours


def _strided(x, kernel, neighbours):
    """A kernel that is wider by `neighbours` - 1, moved on by `neighbours`: its outputs are those of so many pixels."""
    batch, height, width, _ = x.shape
    size, _, channels, filters = kernel.shape
    columns = size + neighbours - 1
    wide = _side_by_side(kernel, neighbours, first=0, columns=columns)
    margin = size // 2
    y = jax.lax.conv_general_dilated(
        x,
        wide.reshape(size, columns, channels, neighbours * filters),
        window_strides=(1, neighbours),
        padding=((margin, margin), (margin, margin)),
        dimension_numbers=LAYOUT,
    )
    return y.reshape(batch, height, width, filters)


def _gathered(x, kernel, neighbours):
    """A convolution 3 x 3 in which `neighbours` pixels of a row count as one with so many times the channels.

    The pixels that the outputs of such a block depend on lie in it, in the block before it and in the one after it.
    """
    batch, height, width, channels = x.shape
    filters = kernel.shape[3]
    of_blocks = _side_by_side(kernel, neighbours, first=neighbours - 1, columns=3 * neighbours)
    of_blocks = of_blocks.reshape(3, 3, neighbours * channels, neighbours * filters)
    blocks = x.reshape(batch, height, width // neighbours, neighbours * channels)
    return by_xla(blocks, of_blocks).reshape(batch, height, width, filters)


def _side_by_side(kernel, neighbours, first, columns):
    """The kernel for each of `neighbours` outputs of a row, among the columns of pixels that all of them depend on.

    Args:
        kernel: f32 [k, k, C, D].
        first: column of pixels that the kernel of the first output begins at.
        columns: of pixels.

    Returns:
        f32 [k, columns, C, neighbours, D].
    """
    size = kernel.shape[1]
    moved = []
    for output in range(neighbours):
        before = first + output
        after = columns - before - size
        moved.append(jnp.pad(kernel, ((0, 0), (before, after), (0, 0), (0, 0))))
    return jnp.stack(moved, 3)


def _gradients_in_order(x, kernel, dy):
    return input_gradient(kernel, dy), kernel_gradient(x, dy, kernel.shape[0])


def input_gradient(kernel, dy):
    """Gradient of `convolve` with respect to x, f32 [B, h, w, C], from that of its output, f32 [B, h, w, D]."""
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    return by_neighbours(dy, turned)


def kernel_gradient(x, dy, size: int):
    """Gradient of `convolve` with respect to a kernel of this size, f32 [size, size, C, D]."""
    filters = dy.shape[3]
    if x.shape[3] < FEWEST_CHANNELS and filters > LANES:
        return kernel_gradient_by_patches(x, dy, size)
    if filters > LANES:
        dy = jnp.pad(dy, ((0, 0), (0, 0), (0, 0), (0, -filters % LANES)))
    margin = size // 2
    gradient = jax.lax.conv_general_dilated(
        x.transpose(3, 1, 2, 0),
        dy.transpose(1, 2, 0, 3),
        window_strides=(1, 1),
        padding=((margin, margin), (margin, margin)),
        dimension_numbers=LAYOUT,
    )
    return gradient[..., :filters].transpose(1, 2, 0, 3)


def kernel_gradient_by_patches(x, dy, size):
    """As `kernel_gradient`, as one product of matrices: what each weight was multiplied with, times the gradients.

    It is quicker for few channels, and a compiler that divides a batch over devices can divide it.
    """
    batch, height, width, channels = x.shape
    filters = dy.shape[3]
    margin = size // 2
    planes = jnp.pad(x.transpose(3, 0, 1, 2), ((0, 0), (0, 0), (margin, margin), (margin, margin)))
    patches = []
    for i in range(size):
        for j in range(size):
            patches.append(planes[:, :, i : i + height, j : j + width])
    multiplied = jnp.stack(patches).reshape(size * size * channels, batch * height * width)
    return (multiplied @ dy.reshape(-1, filters)).reshape(size, size, channels, filters)


def _gradients_by_xla(x, kernel, dy):
    _, backward = jax.vjp(by_xla, x, kernel)
    return backward(dy)
