"""Arithmetic of pooling windows: the four outputs of each from the 4 x 4 pixels below it, as products of matrices.

- Winograd's F(2 x 2, 3 x 3) (Lavin & Gray 2016, arXiv:1509.09308, section 4.1): 16 products instead of 36 for each pair
  of channels. Its tiles are the pooling windows.
- Directly, with few input channels: patches of nine pixels times the kernel, for each of the four outputs.

An image x [b, H, W, C], padded with zeros, has h = H // 2 times w = W // 2 windows. A kernel is [3, 3, C, D]. What
belongs to the four outputs of a window, row by row, is a list of four arrays [b, h, w, D]; squares of arrays, as `m`,
are lists of lists, m[i][j]. Everything stays in the precision that it comes in.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

# Lavin & Gray 2016, section 4.1: outputs = A^T [(G k G^T) * (B^T d B)] A; the gradients below are its transposes.
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])


def outputs(x, kernel):
    """The four outputs of each window by Winograd: four [b, h, w, D]."""
    v = _both_axes(_pixels(x), _input_transform)
    u = _transformed_kernel(kernel)
    m = _square(4, lambda i, j: v[i][j] @ u[i, j])
    top, bottom = _both_axes(m, _output_transform)
    return *top, *bottom


def direct_outputs(x, kernel):
    """As `outputs`, by patches."""
    matrix = kernel.reshape(-1, kernel.shape[-1])
    return [patch @ matrix for patch in _patches(_pixels(x), -1)]


def products_gradient(dz):
    """Gradient with respect to the 4 x 4 products, A dz A^T: m[i][j], each [b, h, w, D].

    Args:
        dz: gradient with respect to the four outputs, four [b, h, w, D].
    """
    return _both_axes((dz[:2], dz[2:]), _output_transform_transposed)


def kernel_gradient(x, _, m):
    """Gradient with respect to the kernel, [3, 3, C, D], by Winograd: G^T [(B^T d B) * m] G, summed over windows.

    Args:
        x: [b, H, W, C].
        _: `dz`, which only `direct_kernel_gradient` needs.
        m: of `products_gradient`.
    """
    v = _both_axes(_pixels(x, channels_last=False), _input_transform)
    c = x.shape[-1]
    d = m[0][0].shape[-1]
    products = _square(4, lambda i, j: v[i][j].reshape(c, -1) @ m[i][j].reshape(-1, d))
    du = _stacked(products, 0, 0)
    g = jnp.asarray(G, du.dtype)
    return jnp.einsum("ai,bj,abcd->ijcd", g, g, du)


def direct_kernel_gradient(x, dz, _):
    """As `kernel_gradient`, by patches; from `dz` instead of `m`."""
    c = x.shape[-1]
    d = dz[0].shape[-1]
    patches = _patches(_pixels(x, channels_last=False), 0)
    total = 0
    for patch, gradient in zip(patches, dz, strict=True):
        total = total + patch.reshape(9 * c, -1) @ gradient.reshape(-1, d)
    return total.reshape(3, 3, c, d)


def input_gradient(m, kernel, shape):
    """Gradient with respect to the image, by Winograd: B [(G k G^T) * m] B^T, windows that overlap added up.

    Args:
        m: of `products_gradient`.
        kernel: [3, 3, C, D].
        shape: (b, H, W, C) of the image and of what comes back.
    """
    u = _transformed_kernel(kernel)
    v = _square(4, lambda i, j: m[i][j] @ u[i, j].T)
    d = _both_axes(v, _input_transform_transposed)

    def moved(x, down, right):
        return jnp.pad(x, ((0, 0), (down, 1 - down), (right, 1 - right), (0, 0)))

    def overlap(i, j):
        """Pixel i, j of each 2 x 2: the sum over the four windows whose 4 x 4 pixels, 2 px apart, hold it."""
        total = moved(d[i][j], 0, 0)
        total += moved(d[i + 2][j], 1, 0)
        total += moved(d[i][j + 2], 0, 1)
        total += moved(d[i + 2][j + 2], 1, 1)
        return total

    pixels = jax.lax.optimization_barrier(_square(2, overlap))
    b, h, w, c = shape
    x = _stacked(pixels, 2, 3).reshape(b, h // 2 * 2 + 2, w // 2 * 2 + 2, c)
    return x[:, 1 : h + 1, 1 : w + 1]


def _pixels(x, channels_last=True):
    """The 4 x 4 pixels that the four outputs of a window depend on: d[i][j], each [b, h, w, C].

    Not `channels_last`: each [C, b, h, w], from a copy of `x` in this order. Sums over windows want it.
    """
    b, height, width, c = x.shape
    h = height // 2
    w = width // 2
    x = jnp.pad(x, ((0, 0), (1, 1 - height % 2), (1, 1 - width % 2), (0, 0)))
    x = x.reshape(b, h + 1, 2, w + 1, 2, c)
    if channels_last:
        return _square(4, lambda i, j: x[:, i // 2 : i // 2 + h, i % 2, j // 2 : j // 2 + w, j % 2])
    x = jax.lax.optimization_barrier(x.transpose(2, 4, 5, 0, 1, 3))
    return _square(4, lambda i, j: x[i % 2, j % 2, :, :, i // 2 : i // 2 + h, j // 2 : j // 2 + w])


def _patches(d, axis):
    """Of each of the four outputs the nine pixels below the kernel, one after the other along `axis`."""
    patches = []
    for i, j in itertools.product(range(2), repeat=2):
        below = d[i][j : j + 3] + d[i + 1][j : j + 3] + d[i + 2][j : j + 3]
        patches.append(jnp.concatenate(below, axis))
    return patches


def _square(size, entry):
    """A square of arrays, a list of rows; entry(i, j) makes the array in row i and column j."""
    rows = []
    for i in range(size):
        rows.append([entry(i, j) for j in range(size)])
    return rows


def _stacked(square, row_axis, column_axis):
    """A square of arrays as one array: the columns along `column_axis` first, then the rows along `row_axis`."""
    rows = [jnp.stack(row, column_axis) for row in square]
    return jnp.stack(rows, row_axis)


def _both_axes(square, transform):
    """`transform`, which maps the arrays along one axis of a square, along both axes."""
    return _rows(_rows(square, transform), transform)


def _rows(square, transform):
    """`transform` along the first axis of a square of arrays; what comes back has its axes swapped."""
    return [transform(*column) for column in zip(*square, strict=True)]


def _transformed_kernel(kernel):
    """G k G^T: [4, 4, C, D]."""
    g = jnp.asarray(G, kernel.dtype)
    return jnp.einsum("ai,bj,ijcd->abcd", g, g, kernel)


def _input_transform(a, b, c, d):
    """B^T times (a, b, c, d)."""
    return a - c, b + c, c - b, b - d


def _input_transform_transposed(a, b, c, d):
    """B times (a, b, c, d)."""
    return a, b - c + d, b + c - a, -d


def _output_transform(a, b, c, d):
    """A^T times (a, b, c, d)."""
    return a + b + c, b - c - d


def _output_transform_transposed(a, b):
    """A times (a, b)."""
    return a, a + b, a - b, -b
