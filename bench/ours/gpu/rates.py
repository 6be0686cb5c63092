"""Worker of bench/gpu.py: products of square matrices in each precision, the most arithmetic that the device gives.

    python bench/ours/gpu/rates.py [--size full]

Whether a GPU rounds factors to TF32 is seen from how far a product is from that in float64, not assumed.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[3]))

import jax
import numpy as np

from bench.gpu_work import CHECKED, EFFORTS, TF32_ERROR, attempt, worker_parser
from bench.ours.gpu.on_device import say_who
from bench.timed import rates_of

# name -> dtype, and precision of products as JAX takes it (None: what training uses)
PRECISIONS = {
    "bfloat16": ("bfloat16", None),
    "float32": ("float32", None),
    "float32, highest precision": ("float32", "highest"),
}


def product_in(precision):
    """A compiled product of two matrices."""
    return jax.jit(lambda a, b: jax.numpy.matmul(a, b, precision=precision))


def rounds_to_tf32(precision) -> bool:
    """Whether a product of float32 matrices is only as exact as one of factors rounded to TF32."""
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, CHECKED, CHECKED)).astype(np.float32)
    exact = left.astype(np.float64) @ right
    found = np.asarray(product_in(precision)(left, right), np.float64)
    error = np.sqrt(np.mean((found - exact) ** 2) / np.mean(exact**2))
    return bool(error > TF32_ERROR)


def rate(name, effort) -> dict:
    """The message of one precision: GFLOP/s of each round."""
    dtype, precision = PRECISIONS[name]
    shape = (effort.matrix, effort.matrix)
    matrix = jax.random.normal(jax.random.key(0), shape, dtype) / effort.matrix**0.5  # products keep their size
    product = product_in(precision)

    def work(times):
        result = matrix
        for _ in range(times):
            result = product(result, matrix)
        result.block_until_ready()

    gflop = 2e-9 * effort.matrix**3
    tf32 = dtype == "float32" and rounds_to_tf32(precision)
    values = [gflop * products for products in rates_of(work, effort.rounds, effort.seconds)]
    return {"kind": "rate", "library": "JAX", "precision": name, "size": effort.matrix, "tf32": tf32, "values": values}


def main():
    """All precisions."""
    given = worker_parser(__doc__).parse_args()
    say_who(given.size)
    for name in PRECISIONS:
        attempt(f"matrices in {name}", lambda name=name: rate(name, EFFORTS[given.size]))


if __name__ == "__main__":
    main()
