"""A data set of noise on disk, in the format of `launch.py prepare`, without fields."""

import pathlib

import numpy as np

from cellcycle_jax import files, schema
from data_prep.dataset import tfds_builder

METADATA = {"classes": ["G1/S", "G2"], "markers": [], "group_by": "field"}


def write_made(folder, network, counts) -> pathlib.Path:
    """Write DATA/tfds/cells/2.0.0 below `folder` and return `folder`.

    Args:
        folder: DATA.
        network: `protocol.Network` that the crops are made for.
        counts: {split: number of cells}.
    """
    folder = pathlib.Path(folder)
    files.write_json(folder / "provenance.json", {"made_by": "bench"})
    names = [f"channel{i}" for i in range(network.channels)]
    metadata = METADATA | {"channels": names, "nucleus": names[0], "stains": names[1:]}
    tfds_builder.write(
        folder / "tfds",
        (network.size, network.size, network.channels),
        metadata,
        {split: _cells(network, split, n) for split, n in counts.items()},
    )
    return folder


def _cells(network, split, n):
    return tfds_builder.Cells([f"{split}-{i}" for i in range(n)], lambda i: _cell(network, split, i))


def _cell(network, split, i):
    """Twelve bits of noise in every pixel; a round nucleus in a square cell."""
    rng, size = np.random.default_rng(i), network.size
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    nucleus, body = y**2 + x**2 < (size / 4) ** 2, abs(x) < size / 3
    compartments = nucleus * int(schema.Compartment.NUCLEUS) + body * int(schema.Compartment.BODY)
    texts = dict.fromkeys(schema.EXAMPLE_TEXTS, f"{split}-{i // 16}") | {"cell_id": f"{split}-{i}"}
    return texts | {
        "image": rng.integers(0, 4096, (size, size, network.channels), np.uint16),
        "image_scale": np.ones(network.channels, np.float32),
        "compartments": compartments.astype(np.uint8),
        "compartments_present": np.uint8(schema.Compartment.NUCLEUS | schema.Compartment.BODY),
        "label": i % 2,
        "intensity_stats": np.tile(np.float32([0, 0, 1, 4095]), (network.channels, 1)),
        "um_per_px": np.float32(0.5),
    }
