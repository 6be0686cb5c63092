"""Worker: products of square matrices, the most arithmetic that the device gives; an item is 10^9 operations.

    python bench/ours/matmul.py [--dtype bfloat16] [--size 4096]

What it says and is told stands in bench/protocol.py.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import jax

from bench.ours.networks import about
from bench.protocol import serve, worker_parser


def main():
    """Warm up and serve."""
    parser = worker_parser(__doc__, dtype="float32")
    parser.add_argument("--size", type=int, default=4096)
    given = parser.parse_args()
    shape = (given.size, given.size)
    matrix = jax.random.normal(jax.random.key(0), shape, given.dtype) / given.size**0.5  # products keep their size
    product = jax.jit(lambda a, b: a @ b)

    def work(times):
        result = matrix
        for _ in range(times):
            result = product(result, matrix)
        result.block_until_ready()

    work(2)
    serve(work, items=2e-9 * given.size**3, **about())


if __name__ == "__main__":
    main()
