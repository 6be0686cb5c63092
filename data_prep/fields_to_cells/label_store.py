"""The label image of a finished field in the work folder, FIELD.labels: figures show what was found in the field."""

import pathlib
import zipfile

import imagecodecs
import numpy as np

from cellcycle_jax import files
from cellcycle_jax.errors import StoredStateRefused

LEVEL = 1  # of Zstandard; a field of 2048 x 2048 px takes some 30 kB and a few milliseconds


def write(folder, field_id: str, labels: np.ndarray, numbers: np.ndarray) -> None:
    """Write FIELD.labels, whole or not at all.

    Args:
        folder: the work folder.
        field_id: name of the field.
        labels: i32 [H, W], 0 is background.
        numbers: integers [n + 1], what each label is called in ids; see `label_numbers.small`.
    """
    small_type = np.min_scalar_type(labels.max(initial=0))
    packed = imagecodecs.zstd_encode(labels.astype(small_type).tobytes(), LEVEL)
    path = _path(folder, field_id)
    with files.atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(
            file,
            packed=np.frombuffer(packed, np.uint8),
            dtype=np.array(small_type.str),
            shape=np.array(labels.shape, np.int64),
            numbers=numbers,
        )


def read(folder, field_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels i32 [H, W] and numbers [n + 1] of a field, as they were written.

    Raises:
        StoredStateRefused: the file is missing or damaged.
    """
    path = _path(folder, field_id)
    try:
        with np.load(path, allow_pickle=False) as stored:
            unpacked = imagecodecs.zstd_decode(stored["packed"].tobytes())
            flat = np.frombuffer(unpacked, np.dtype(str(stored["dtype"])))
            labels = flat.reshape(stored["shape"]).astype(np.int32)
            return labels, stored["numbers"]
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, imagecodecs.ZstdError) as error:
        raise StoredStateRefused(
            f"{path}: not readable as the labels of a field ({type(error).__name__}: {error}); find them again"
        ) from None


def _path(folder, field_id):
    return pathlib.Path(folder) / f"{field_id}.labels"
