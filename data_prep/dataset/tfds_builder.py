"""The TFDS builder: one example per accepted cell, three splits, array_record, no TensorFlow.

Any `tfds` reader opens the result: `tfds.builder_from_directory("DATA/tfds/cells/2.0.0").as_data_source("train")`.

Cells are written in the order of a hash of their ids, as the library's own writer orders them. That writer first keeps
a whole split in memory, and beyond 1,000 MiB asks for TensorFlow; here the ids are ordered before, so each cell is read
when it is its turn and a data set of any size takes the memory of a few hundred cells.
"""

import dataclasses
import hashlib
import pathlib
import shutil
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow_datasets as tfds
from tqdm import tqdm

from cellcycle_jax import schema

FILE_FORMAT = "array_record"
BATCH = 256  # cells in memory at a time
SHARD_BYTES = 256 * 2**20  # of pixels, before they are compressed, in one file
UNFINISHED = ".unfinished"  # folder in which a data set is written before it is moved to its place


@dataclasses.dataclass(frozen=True)
class Cells:
    """The cells of one split: the id of each, and what is stored of any one of them by its position."""

    ids: Sequence[str]
    example: Callable[[int], dict]


class Builder(tfds.core.GeneratorBasedBuilder):
    """Single-cell crops with compartments, labels and what makes fields comparable."""

    VERSION = tfds.core.Version(schema.DATA_SET_VERSION)
    name = "cells"
    pkg_dir_path = pathlib.Path(__file__).parent

    def __init__(self, *, crop_shape, metadata, **kwargs):
        """Describe the data set.

        Args:
            crop_shape: (S, S, C).
            metadata: vocabulary for the reader: channels, classes, marker, nucleus, stains, group_by.
            **kwargs: of the library's builder.
        """
        self._shape = tuple(crop_shape)
        self._metadata = metadata
        super().__init__(**kwargs)

    def _info(self):
        size, _, channels = self._shape
        tensor = tfds.features.Tensor
        features = {
            "image": tensor(shape=self._shape, dtype=np.uint16, encoding="bytes"),
            "image_scale": tensor(shape=(channels,), dtype=np.float32),
            "compartments": tensor(shape=(size, size), dtype=np.uint8, encoding="zlib"),
            "compartments_present": tensor(shape=(), dtype=np.uint8),
            "label": tensor(shape=(), dtype=np.int64),
            "intensity_stats": tensor(shape=(channels, len(schema.INTENSITY_STATS)), dtype=np.float32),
            "um_per_px": tensor(shape=(), dtype=np.float32),
        }
        for name in schema.EXAMPLE_TEXTS:
            features[name] = tfds.features.Text()
        info = self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features),
            metadata=tfds.core.MetadataDict(self._metadata),
            description="Single-cell crops from fluorescence microscope fields, prepared by cellcycle_jax.",
        )
        # The library would look for the data set among those that it publishes, and leave an empty folder in TMPDIR.
        info.initialize_from_bucket = lambda: None
        return info

    def _split_generators(self, dl_manager):
        raise NotImplementedError("cells are given to `write`")

    def _generate_examples(self):
        raise NotImplementedError("cells are given to `write`")


def write(folder, crop_shape, metadata, splits: dict[str, Cells]) -> pathlib.Path:
    """Write the data set below `folder`; what an interrupted write left behind is removed first.

    Args:
        folder: receives cells/VERSION.
        crop_shape: (S, S, C).
        metadata: vocabulary for the reader, see `Builder`.
        splits: name of the split -> its cells, at least one.

    Returns:
        The folder of the finished data set.
    """
    finished = pathlib.Path(folder) / "cells"
    unfinished = pathlib.Path(folder) / UNFINISHED
    shutil.rmtree(finished, ignore_errors=True)
    shutil.rmtree(unfinished, ignore_errors=True)
    builder = Builder(
        crop_shape=crop_shape,
        metadata=metadata,
        data_dir=unfinished,
        file_format=FILE_FORMAT,
    )
    (unfinished / "cells" / schema.DATA_SET_VERSION).mkdir(parents=True)
    cell_bytes = 2 * int(np.prod(crop_shape))
    writer = tfds.core.SequentialWriter(
        builder.info,
        max_examples_per_shard=max(1, SHARD_BYTES // cell_bytes),
        file_format=FILE_FORMAT,
    )
    writer.initialize_splits(list(splits))
    total = sum(len(cells.ids) for cells in splits.values())
    with tqdm(total=total, desc="cells to data set", unit="cell") as bar:
        for split, cells in splits.items():
            order = stored_order(cells.ids, split)
            for start in range(0, len(order), BATCH):
                batch = [cells.example(position) for position in order[start : start + BATCH]]
                writer.add_examples({split: batch})
                bar.update(len(batch))
    writer.close_all()
    (unfinished / "cells").rename(finished)
    shutil.rmtree(unfinished)
    return finished / schema.DATA_SET_VERSION


def stored_order(ids: Sequence[str], split: str) -> list[int]:
    """Positions of the cells of a split in the order in which they are stored: by a hash of split and id.

    The MD5 of the salt (the split's name) followed by the key is what the library's own writer orders by.
    """
    hashes = []
    for cell in ids:
        salted = split + cell.replace("\\", "/")
        hashes.append(hashlib.md5(salted.encode()).digest())
    return sorted(range(len(ids)), key=hashes.__getitem__)
