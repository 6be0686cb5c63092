"""Cells as they lie on disk, read by tensorflow-datasets without TensorFlow. The only file that touches it."""

import dataclasses
from typing import Any

import numpy as np
import tqdm

from cellcycle_jax.errors import StoredStateRefused

PIXELS = ("image", "compartments")  # what can stay on disk until it is asked for
CHUNK = 256  # cells read at a time
SLOW = 20_000  # cells that take long enough to show how far reading is


@dataclasses.dataclass(frozen=True)
class StoredPixels:
    """Pixels of some cells that stay on disk: indexed by rows like an array, read when made into one."""

    source: Any  # random access to the records
    folder: Any  # DATA/tfds/cells/VERSION
    split: str
    name: str  # a name of PIXELS
    rows: np.ndarray  # i64 [N]
    cell_shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, ...) as of the array that this stands for."""
        return (len(self.rows), *self.cell_shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the array that this stands for."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows) -> "StoredPixels":
        return dataclasses.replace(self, rows=self.rows[rows])

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return read_pixels(self)[self.name].astype(dtype or self.dtype, copy=False)


def read_pixels(pixels: StoredPixels) -> dict[str, np.ndarray]:
    """All PIXELS of these cells, from one reading of their records.

    Raises:
        StoredStateRefused: a record is damaged.
    """
    if not len(pixels.rows):
        return {pixels.name: np.zeros(pixels.shape, pixels.dtype)}
    examples = readable(pixels.folder, pixels.split, lambda: pixels.source.__getitems__(pixels.rows.tolist()))
    return {name: np.stack([example[name] for example in examples]) for name in PIXELS}


def readable(folder, split: str, read):
    """What `read` returns.

    Raises:
        StoredStateRefused: it raised anything; names the split.
    """
    try:
        return read()
    except Exception as error:  # what a damaged file raises differs between tfds, array_record and protobuf
        reason = " ".join(str(error).split())[:200]
        raise StoredStateRefused(f"{folder}: split {split!r} cannot be read ({type(error).__name__}: {reason}); "
                                 "run `launch.py prepare` again") from error


def read_split(folder, split: str, pixels: bool) -> tuple[dict, dict]:
    """Columns and metadata of a split.

    Args:
        folder: DATA/tfds/cells/VERSION.
        split: its name.
        pixels: whether to read PIXELS into memory; else they are StoredPixels.

    Returns:
        {feature: array [N, ...]} with text as str, and the metadata as stored.

    Raises:
        Whatever tensorflow-datasets, array_record or protobuf raise for a damaged file.
    """
    builder, source = _open(folder, split)
    features = builder.info.features
    kept = [name for name in features if pixels or name not in PIXELS]
    columns = {name: _column(features[name], len(source)) for name in kept}
    rows = range(0, len(source), CHUNK)
    for start in tqdm.tqdm(rows, f"read {split}", unit_scale=CHUNK, disable=len(source) < SLOW):
        for row, example in enumerate(source.__getitems__(list(range(start, min(start + CHUNK, len(source))))), start):
            for name in kept:
                value = example[name]
                columns[name][row] = value.decode() if isinstance(value, bytes) else value
    columns = {name: values.astype(str) if values.dtype == object else values for name, values in columns.items()}
    for name in PIXELS if not pixels else ():
        feature = features[name]
        columns[name] = StoredPixels(source, folder, split, name, np.arange(len(source)), feature.shape,
                                     np.dtype(feature.np_dtype))
    return columns, dict(builder.info.metadata)


def pixel_bytes(folder, split: str) -> int:
    """Bytes of all PIXELS of a split in memory, without reading them."""
    builder, source = _open(folder, split)
    features = builder.info.features
    return len(source) * sum(int(np.prod(features[n].shape)) * np.dtype(features[n].np_dtype).itemsize for n in PIXELS)


def _open(folder, split):
    import tensorflow_datasets as tfds  # takes a second, which commands that read no crops need not wait for

    builder = tfds.builder_from_directory(folder)
    if split not in builder.info.splits:
        raise KeyError(f"splits found: {', '.join(builder.info.splits)}")
    return builder, builder.as_data_source(split)


def _column(feature, length):
    text = np.dtype(feature.np_dtype).kind in "OSU"
    return np.zeros((length, *feature.shape), object if text else feature.np_dtype)
