"""Cells as they lie on disk, read by tensorflow-datasets without TensorFlow. The only file that touches it."""

import dataclasses
from typing import Any

import numpy as np

from cellcycle_jax.errors import StoredStateRefused

PIXELS = ("image", "compartments")  # what can stay on disk until it is asked for
CHUNK = 256  # cells read at a time
ALIGNMENT = 64  # bytes; arrays that begin at a multiple of it are taken by devices of a CPU as they are
SLOW = 20_000  # cells that take long enough to show how far reading is


@dataclasses.dataclass(frozen=True)
class Records:
    """The records of a split as bytes, by their number, and what is read out of them.

    Pixels and the rest are decoded apart: a command that needs no pixels decodes none.

    Attributes:
        source: random access to the serialized records.
        pixels: PIXELS as a FeaturesDict of tensorflow-datasets.
        rest: all other features likewise.
    """

    source: Any
    pixels: Any
    rest: Any

    def __len__(self) -> int:
        return len(self.source)

    def read(self, rows, features) -> list[dict]:
        """Some records, `features` of them: `pixels` or `rest`."""
        return [features.deserialize_example_np(record) for record in self.source.__getitems__(list(rows))]


@dataclasses.dataclass(frozen=True)
class KeptPixels:
    """Pixels of a split in memory, of each cell from when it was first asked for.

    Attributes:
        arrays: a name of PIXELS -> array [N, ...] of all cells; memory is taken as it is filled.
        is_read: bool [N], which cells are there.
    """

    arrays: dict[str, np.ndarray]
    is_read: np.ndarray


@dataclasses.dataclass(frozen=True)
class StoredPixels:
    """Pixels of some cells that stay on disk: indexed by rows like an array, read when made into one.

    Attributes:
        records: of the split.
        folder: DATA/tfds/cells/VERSION.
        split: its name.
        name: a name of PIXELS.
        rows: i64 [N], numbers of the records.
        cell_shape: of the pixels of one cell.
        dtype: of the pixels.
        kept: where those are kept that were read; None: nowhere.
    """

    records: Records
    folder: Any
    split: str
    name: str
    rows: np.ndarray
    cell_shape: tuple[int, ...]
    dtype: np.dtype
    kept: KeptPixels | None = None

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


def room_to_keep(pixels: StoredPixels) -> KeptPixels:
    """Room for the pixels of a whole split, none of which is read yet."""
    n = len(pixels.records)
    return KeptPixels(_arrays_for(pixels.records, n), np.zeros(n, bool))


def _arrays_for(stored: Records, n: int) -> dict[str, np.ndarray]:
    """Zeros in the place of the PIXELS of n cells."""
    arrays = {}
    for name in PIXELS:
        feature = stored.pixels[name]
        arrays[name] = aligned_zeros((n, *feature.shape), feature.np_dtype)
    return arrays


def read_pixels(pixels: StoredPixels) -> dict[str, np.ndarray]:
    """All PIXELS of these cells, from one reading of those of their records that are not kept from an earlier one.

    Nobody may write to them: of a whole split they are what is kept.

    Raises:
        StoredStateRefused: a record is damaged.
    """
    kept = pixels.kept
    if kept is None:
        return _decoded(pixels)
    missing = np.unique(pixels.rows[~kept.is_read[pixels.rows]])
    if len(missing):
        for name, array in _decoded(dataclasses.replace(pixels, rows=missing)).items():
            kept.arrays[name][missing] = array
        kept.is_read[missing] = True
    if np.array_equal(pixels.rows, np.arange(len(kept.is_read))):
        return kept.arrays
    arrays = _arrays_for(pixels.records, len(pixels.rows))
    for name, array in arrays.items():
        np.take(kept.arrays[name], pixels.rows, axis=0, out=array, mode="clip")  # any other mode makes a copy first
    return arrays


def _decoded(pixels: StoredPixels) -> dict[str, np.ndarray]:
    """All PIXELS of these cells, from disk."""
    stored = pixels.records
    n = len(pixels.rows)
    arrays = _arrays_for(stored, n)
    for start in _chunks(n, "read pixels"):
        rows = pixels.rows[start : start + CHUNK].tolist()
        examples = readable(pixels.folder, pixels.split, lambda rows=rows: stored.read(rows, stored.pixels))
        for row, example in enumerate(examples, start):
            for name in PIXELS:
                arrays[name][row] = example[name]
    return arrays


def _chunks(n: int, title: str):
    """Numbers of the first cell of each chunk of n cells; a bar shows how far they are where that takes long."""
    import tqdm  # comes with tensorflow-datasets, without which nothing is read here

    return tqdm.tqdm(range(0, n, CHUNK), title, unit_scale=CHUNK, disable=n < SLOW)


def aligned_zeros(shape, dtype) -> np.ndarray:
    """Zeros that begin at a multiple of `ALIGNMENT` bytes in memory."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    buffer = np.zeros(size + ALIGNMENT, np.uint8)
    first = -buffer.ctypes.data % ALIGNMENT
    return buffer[first : first + size].view(dtype).reshape(shape)


def readable(folder, split: str, read):
    """What `read` returns.

    Raises:
        StoredStateRefused: it raised anything; names the split.
    """
    try:
        return read()
    except Exception as error:  # what a damaged file raises differs between tfds, array_record and protobuf
        reason = " ".join(str(error).split())[:200]
        raise StoredStateRefused(
            f"{folder}: split {split!r} cannot be read ({type(error).__name__}: {reason}); "
            "run `launch.py prepare` again"
        ) from error


def read_split(folder, split: str) -> tuple[dict, dict]:
    """Columns and metadata of a split; pixels stay on disk.

    Args:
        folder: DATA/tfds/cells/VERSION.
        split: its name.

    Returns:
        {feature: array [N, ...]} with text as str and PIXELS as StoredPixels, and the metadata as stored.

    Raises:
        Whatever tensorflow-datasets, array_record or protobuf raise for a damaged file.
    """
    records, metadata = _open(folder, split)
    n = len(records)
    columns = {}
    for name, feature in records.rest.items():
        is_text = np.dtype(feature.np_dtype).kind in "OSU"
        columns[name] = np.zeros((n, *feature.shape), object if is_text else feature.np_dtype)
    for start in _chunks(n, f"read {split}"):
        rows = range(start, min(start + CHUNK, n))
        for row, example in zip(rows, records.read(rows, records.rest), strict=True):
            for name, value in example.items():
                columns[name][row] = value.decode() if isinstance(value, bytes) else value
    for name, values in columns.items():
        if values.dtype == object:
            columns[name] = values.astype(str)
    for name in PIXELS:
        feature = records.pixels[name]
        dtype = np.dtype(feature.np_dtype)
        columns[name] = StoredPixels(records, folder, split, name, np.arange(n), feature.shape, dtype)
    return columns, metadata


def _open(folder, split):
    """The records of a split, and the metadata of the data set."""
    import tensorflow_datasets as tfds  # takes a second, which commands that read no crops need not wait for

    builder = tfds.builder_from_directory(folder)
    if split not in builder.info.splits:
        raise KeyError(f"splits found: {', '.join(builder.info.splits)}")
    source = builder.as_data_source(split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)
    features = dict(builder.info.features.items())
    pixels = {}
    for name in PIXELS:
        pixels[name] = features.pop(name)
    records = Records(source, tfds.features.FeaturesDict(pixels), tfds.features.FeaturesDict(features))
    return records, dict(builder.info.metadata)
