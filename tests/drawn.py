"""Drawn cells of which every area, place and brightness is known."""

import numpy as np

from cellcycle_jax.explain.edits.edits import Cell
from cellcycle_jax.schema import Compartment as C

EVERY = int(C.NUCLEUS | C.OTHER_NUCLEI | C.ORGANELLE | C.BODY | C.DEBRIS)
NUCLEUS, STAIN, CYTOPLASM = 0.5, 1.5, 0.2
PIECES = ((14.0, 44.0, 3.0), (24.0, 52.0, 2.0), (40.0, 50.0, 3.5))  # row, column, radius, px of a crop of 64


def disc(size, y, x, radius):
    """A disc with an outline blurred by about a pixel, as by a lens; half bright at its radius."""
    rows, columns = np.mgrid[:size, :size]
    return 1 / (1 + np.exp(np.clip((np.hypot(rows - y, columns - x) - radius) / 0.4, -50, 50)))


def cell(size=64, places=PIECES, present=EVERY, noise=0.0, cytoplasm=CYTOPLASM):
    """A nucleus off the centre, a neighbour that touches the body, pieces of a stain in an even cytoplasm."""
    s = size / 64
    nucleus, neighbour = disc(size, 30 * s, 26 * s, 12 * s), disc(size, 58 * s, 58 * s, 7 * s)
    body = np.hypot(*(np.mgrid[:size, :size] - 31.5 * s)) < 29 * s
    stain = sum((disc(size, y * s, x * s, r * s) for y, x, r in places), np.zeros((size, size)))
    body &= neighbour < 0.5
    other = body * cytoplasm * (1 - nucleus)
    image = np.stack([NUCLEUS * nucleus + neighbour, other + STAIN * stain, other], -1)
    image += np.random.default_rng(0).normal(scale=noise, size=image.shape) if noise else 0
    bits = sum((mask > 0.5) * int(bit) for mask, bit in
               ((nucleus, C.NUCLEUS), (neighbour, C.OTHER_NUCLEI), (stain, C.ORGANELLE), (body, C.BODY)))
    return Cell(image.astype(np.float32), bits.astype(np.uint8), present, 0, 1)
