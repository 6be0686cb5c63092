"""The TFDS builder: one example per accepted cell, three splits, array_record, no TensorFlow.

Any `tfds` reader opens the result: `tfds.builder_from_directory("DATA/tfds/cells/1.0.0").as_data_source("train")`.
"""

import contextlib
import io
import pathlib
import shutil

import numpy as np
import tensorflow_datasets as tfds

from cellcycle_jax import schema

VERSION = "1.0.0"


class Cells(tfds.core.GeneratorBasedBuilder):
    """Single-cell crops with compartments, labels and what makes fields comparable."""

    VERSION = tfds.core.Version(VERSION)
    pkg_dir_path = pathlib.Path(__file__).parent

    def __init__(self, *, crop_shape, metadata, examples, **kwargs):
        """Prepare to write.

        Args:
            crop_shape: (S, S, C).
            metadata: vocabulary for the reader: channels, classes, marker, nucleus, stains, group_by.
            examples: {split: function that yields (key, example)}.
            **kwargs: of the library's builder.
        """
        self._shape, self._metadata, self._examples = tuple(crop_shape), metadata, examples
        super().__init__(**kwargs)

    def _info(self):
        size, channels = self._shape[0], self._shape[2]
        tensor = tfds.features.Tensor
        features = {
            "image": tensor(shape=self._shape, dtype=np.uint16, encoding="bytes"),
            "image_scale": tensor(shape=(channels,), dtype=np.float32),
            "compartments": tensor(shape=(size, size), dtype=np.uint8, encoding="zlib"),
            "compartments_present": tensor(shape=(), dtype=np.uint8),
            "label": tensor(shape=(), dtype=np.int64),
            "norm": tensor(shape=(channels, len(schema.NORM_FIELDS)), dtype=np.float32),
            "um_per_px": tensor(shape=(), dtype=np.float32),
            **{name: tfds.features.Text() for name in schema.EXAMPLE_TEXTS},
        }
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features), metadata=tfds.core.MetadataDict(self._metadata),
            description="Single-cell crops from fluorescence microscope fields, prepared by cellcycle_jax.")

    def _split_generators(self, dl_manager):
        return {split: examples() for split, examples in self._examples.items()}

    def _generate_examples(self):
        raise NotImplementedError("examples are given to the constructor")


def write(folder, crop_shape, metadata, examples) -> pathlib.Path:
    """Write the data set below `folder`; what an interrupted write left behind is removed first.

    Returns:
        The folder of the finished data set.
    """
    folder = pathlib.Path(folder)
    shutil.rmtree(folder / "cells", ignore_errors=True)
    builder = Cells(crop_shape=crop_shape, metadata=metadata, examples=examples, data_dir=folder,
                    file_format="array_record")
    tfds.disable_progress_bar()  # a bar per split and shard says less than the caller's one
    with contextlib.redirect_stdout(io.StringIO()):
        builder.download_and_prepare()
    shutil.rmtree(folder / "downloads", ignore_errors=True)  # the library makes it, nothing is ever put there
    return folder / "cells" / VERSION
