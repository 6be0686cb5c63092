"""The crops of one field in a work folder, written by preparation and read by whatever goes on from there.

FIELD.crops holds the cells one after another, each compressed by itself, so that any one of them can be read without
the others. FIELD.npz says where each lies and what all cells of the field share.
"""

import dataclasses
import pathlib
import zipfile

import numpy as np

from cellcycle_jax import files
from cellcycle_jax.errors import StoredStateRefused

LEVEL = 1  # of Zstandard: a third smaller, in a tenth of a millisecond a cell


@dataclasses.dataclass(frozen=True)
class Shared:
    """What the crops of a field have in common.

    Attributes:
        image_scale: f32 [C], pixel value = stored * image_scale + an offset that field_stats share.
        present: which bits of the compartments are known.
        field_stats: f32 [3, C], background, median and spread of the field.
        um_per_px: of the crops, NaN where unknown.
    """

    image_scale: np.ndarray
    present: int
    field_stats: np.ndarray
    um_per_px: float


@dataclasses.dataclass(frozen=True)
class FieldCrops:
    """Where the crops of a field lie: n cells of S x S px and C channels.

    Attributes:
        path: FIELD.crops.
        cell_id: text [n].
        ends: i64 [n + 1], bytes of the file before each cell, and of all.
        cell_shape: (S, S, C).
        shared: what all cells have in common.
    """

    path: pathlib.Path
    cell_id: np.ndarray
    ends: np.ndarray
    cell_shape: tuple[int, int, int]
    shared: Shared

    def places(self) -> dict[str, int]:
        """Cell id -> its number in the file."""
        cell_ids = self.cell_id.tolist()
        return dict(zip(cell_ids, range(len(cell_ids)), strict=True))

    def read(self, numbers) -> tuple[np.ndarray, np.ndarray]:
        """Image u16 [m, S, S, C] and compartments u8 [m, S, S] of some cells, in that order.

        Raises:
            StoredStateRefused: the file is missing or damaged.
        """
        numbers = list(numbers)
        side = self.cell_shape[0]
        image = np.empty((len(numbers), *self.cell_shape), np.uint16)
        compartments = np.empty((len(numbers), side, side), np.uint8)
        import imagecodecs  # like writing, needed only where such files are; all others of this room come without

        try:
            with open(self.path, "rb") as file:
                for row, number in enumerate(numbers):
                    start = self.ends[number]
                    file.seek(start)
                    packed = file.read(self.ends[number + 1] - start)
                    stored = np.frombuffer(imagecodecs.zstd_decode(packed), np.uint8)
                    image_bytes = image[row].nbytes
                    image[row] = stored[:image_bytes].view(np.uint16).reshape(self.cell_shape)
                    compartments[row] = stored[image_bytes:].reshape(side, side)
        except (OSError, ValueError, imagecodecs.ZstdError) as error:
            raise _refused(self.path, error) from None
        return image, compartments


def write(folder, field_id: str, cell_id, image, compartments, shared: Shared) -> None:
    """Write FIELD.crops and FIELD.npz, each whole or not at all.

    Args:
        folder: the work folder.
        field_id: name of the field.
        cell_id: [n] texts.
        image: u16 [n, S, S, C].
        compartments: u8 [n, S, S].
        shared: of all cells.
    """
    import imagecodecs

    folder = pathlib.Path(folder)
    ends = [0]
    with files.atomic_path(folder / f"{field_id}.crops") as temporary, open(temporary, "wb") as file:
        for pixels, bits in zip(image, compartments, strict=True):
            packed = imagecodecs.zstd_encode(pixels.tobytes() + bits.tobytes(), LEVEL)
            file.write(packed)
            ends.append(ends[-1] + len(packed))
    with files.atomic_path(folder / f"{field_id}.npz") as temporary:
        np.savez(
            temporary,
            cell_id=np.array(cell_id, str),
            ends=np.array(ends, np.int64),
            cell_shape=np.array(image.shape[1:], np.int64),
            image_scale=shared.image_scale,
            present=np.uint8(shared.present),
            field_stats=shared.field_stats,
            um_per_px=np.float32(shared.um_per_px),
        )


def index(folder, field_id: str) -> FieldCrops:
    """Where the crops of a field lie, from FIELD.npz.

    Raises:
        StoredStateRefused: the file is missing or damaged.
    """
    path = pathlib.Path(folder) / f"{field_id}.npz"
    try:
        with np.load(path, allow_pickle=False) as stored:
            shared = Shared(
                image_scale=stored["image_scale"],
                present=int(stored["present"]),
                field_stats=stored["field_stats"],
                um_per_px=float(stored["um_per_px"]),
            )
            cell_shape = tuple(int(n) for n in stored["cell_shape"])
            return FieldCrops(
                path=path.with_name(f"{field_id}.crops"),
                cell_id=stored["cell_id"],
                ends=stored["ends"],
                cell_shape=cell_shape,
                shared=shared,
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise _refused(path, error) from None


def _refused(path, error):
    return StoredStateRefused(
        f"{path}: not readable as crops of a field ({type(error).__name__}: {error}); cut them again"
    )
