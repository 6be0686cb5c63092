"""Arithmetic of pooling windows: the four outputs of each from the 4 x 4 pixels below it, as products of matrices.

- Winograd's F(2 x 2, 3 x 3) (Lavin & Gray 2016, arXiv:1509.09308, section 4.1): 16 products instead of 36 for each pair
  of channels. Its tiles are the pooling windows.
- Directly, with few input channels: patches of nine pixels times the kernel, for each of the four outputs.

An image x [b, H, W, C], padded with zeros, has h = H // 2 times w = W // 2 windows. A kernel is [3, 3, C, D]. What
belongs to the four outputs of a window, row by row, is a list of four arrays [b, h, w, D]; squares of arrays, as `m`,
are lists of lists, m[i][j]. Everything stays in the precision that it comes in.
"""

import jax
import jax.numpy as jnp
import numpy as np

# Lavin & Gray 2016, section 4.1: outputs = A^T [(G k G^T) * (B^T d B)] A; the gradients below are its transposes.
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])


def outputs(x, kernel):
    """The four outputs of each window by Winograd: four [b, h, w, D]."""
    v, u = _transformed_input(_pixels(x)), _transformed_kernel(kernel)
    m = [[v[i][j] @ u[i, j] for j in range(4)] for i in range(4)]
    return sum(_both_axes(m, lambda a, b, c, d: (a + b + c, b - c - d)), ())


def direct_outputs(x, kernel):
    """As `outputs`, by patches."""
    return [patch @ kernel.reshape(-1, kernel.shape[-1]) for patch in _patches(_pixels(x), -1)]


def products_gradient(dz):
    """Gradient with respect to the 4 x 4 products, A dz A^T: m[i][j], each [b, h, w, D].

    Args:
        dz: gradient with respect to the four outputs, four [b, h, w, D].
    """
    return _both_axes((dz[:2], dz[2:]), lambda a, b: (a, a + b, a - b, -b))


def kernel_gradient(x, _, m):
    """Gradient with respect to the kernel, [3, 3, C, D], by Winograd: G^T [(B^T d B) * m] G, summed over windows.

    Args:
        x: [b, H, W, C].
        _: `dz`, which only `direct_kernel_gradient` needs.
        m: of `products_gradient`.
    """
    v = _transformed_input(_pixels(x, channels_last=False))
    c, d = x.shape[-1], m[0][0].shape[-1]
    du = jnp.stack([jnp.stack([v[i][j].reshape(c, -1) @ m[i][j].reshape(-1, d) for j in range(4)]) for i in range(4)])
    g = jnp.asarray(G, du.dtype)
    return jnp.einsum("ai,bj,abcd->ijcd", g, g, du)


def direct_kernel_gradient(x, dz, _):
    """As `kernel_gradient`, by patches; from `dz` instead of `m`."""
    c, d = x.shape[-1], dz[0].shape[-1]
    patches = _patches(_pixels(x, channels_last=False), 0)
    return sum(p.reshape(9 * c, -1) @ z.reshape(-1, d) for p, z in zip(patches, dz, strict=True)).reshape(3, 3, c, d)


def input_gradient(m, kernel, shape):
    """Gradient with respect to the image, by Winograd: B [(G k G^T) * m] B^T, windows that overlap added up.

    Args:
        m: of `products_gradient`.
        kernel: [3, 3, C, D].
        shape: (b, H, W, C) of the image and of what comes back.
    """
    u = _transformed_kernel(kernel)
    v = [[m[i][j] @ u[i, j].T for j in range(4)] for i in range(4)]
    d = _both_axes(v, lambda a, b, c, d: (a, b - c + d, b + c - a, -d))  # B v B^T

    def moved(x, down, right):
        return jnp.pad(x, ((0, 0), (down, 1 - down), (right, 1 - right), (0, 0)))

    pixels = jax.lax.optimization_barrier([[
        moved(d[i][j], 0, 0) + moved(d[i + 2][j], 1, 0) + moved(d[i][j + 2], 0, 1) + moved(d[i + 2][j + 2], 1, 1)
        for j in range(2)] for i in range(2)])
    b, h, w, c = shape
    x = jnp.stack([jnp.stack(row, 3) for row in pixels], 2).reshape(b, h // 2 * 2 + 2, w // 2 * 2 + 2, c)
    return x[:, 1 : h + 1, 1 : w + 1]


def _pixels(x, channels_last=True):
    """The 4 x 4 pixels that the four outputs of a window depend on: d[i][j], each [b, h, w, C].

    Not `channels_last`: each [C, b, h, w], from a copy of `x` in this order. Sums over windows want it.
    """
    b, height, width, c = x.shape
    h, w = height // 2, width // 2
    x = jnp.pad(x, ((0, 0), (1, 1 - height % 2), (1, 1 - width % 2), (0, 0))).reshape(b, h + 1, 2, w + 1, 2, c)
    if channels_last:
        return [[x[:, i // 2 : i // 2 + h, i % 2, j // 2 : j // 2 + w, j % 2] for j in range(4)] for i in range(4)]
    x = jax.lax.optimization_barrier(x.transpose(2, 4, 5, 0, 1, 3))
    return [[x[i % 2, j % 2, :, :, i // 2 : i // 2 + h, j // 2 : j // 2 + w] for j in range(4)] for i in range(4)]


def _patches(d, axis):
    """Of each of the four outputs the nine pixels below the kernel, one after the other along `axis`."""
    return [jnp.concatenate([d[a + i][b + j] for i in range(3) for j in range(3)], axis)
            for a in range(2) for b in range(2)]


def _rows(square, transform):
    """`transform` along the first axis of a square of arrays; what comes back has its axes swapped."""
    return [transform(*column) for column in zip(*square, strict=True)]


def _both_axes(square, transform):
    """`transform`, of one axis of a square of arrays, along both."""
    return _rows(_rows(square, transform), transform)


def _transformed_input(d):
    """B^T d B."""
    return _both_axes(d, lambda a, b, c, d: (a - c, b + c, c - b, b - d))


def _transformed_kernel(kernel):
    """G k G^T: [4, 4, C, D]."""
    g = jnp.asarray(G, kernel.dtype)
    return jnp.einsum("ai,bj,ijcd->abcd", g, g, kernel)
