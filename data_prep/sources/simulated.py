"""Fields written by `launch.py simulate`, with the known answer beside them."""

import dataclasses
import pathlib

import numpy as np
import pandas as pd
import tifffile

from cellcycle_jax.errors import InputRefused
from data_prep.reading.field import FieldFile
from data_prep.sources import folder

read = folder.read
NAME_PATTERN = r"(?P<line>[^_/]+)_(?P<well>[A-P]\d\d)_s(?P<site>\d+)"


def find_fields(root, config) -> list[FieldFile]:
    """The fields in `root`/fields; each line was grown on a plate of its own.

    Raises:
        InputRefused: `root` is the folder fields itself, the known answer is not beside the fields, or as of `folder`.
    """
    root = pathlib.Path(root)
    is_inside = root.name == "fields" and not (root / "fields").is_dir()
    if is_inside and (root.parent / "truth.parquet").is_file():
        raise InputRefused(
            f"--fields={root}: that is inside of what `simulate` wrote; name {root.parent}, which also holds the known "
            "answer"
        )
    folder.set_unset(config, name_pattern=NAME_PATTERN)
    files = folder.find_fields(root / "fields", config)
    for path in (root / "truth.parquet", *(labels_path(root, file) for file in files)):
        if not path.is_file():
            raise InputRefused(
                f"{path}: no such file, where the known answer of simulated fields belongs; copy all that `simulate` "
                "wrote, or prepare fields without a known answer with --config.source=folder"
            )
    return [dataclasses.replace(file, plate=f"{file.cell_line}-P1") for file in files]


def truth(root) -> pd.DataFrame:
    """One row per simulated cell, as `data_prep.simulation.simulate` wrote it."""
    return pd.read_parquet(pathlib.Path(root) / "truth.parquet")


def labels_path(root, file: FieldFile) -> pathlib.Path:
    """Where the nuclei of a field are, as they were drawn."""
    return pathlib.Path(root) / "labels" / f"{file.field_id}.tif"


def truth_labels(root, file: FieldFile) -> np.ndarray:
    """Nuclei as they were drawn, i32 [H, W]; values are `cell_label` of the truth."""
    labels = tifffile.imread(labels_path(root, file))
    if labels.ndim == 3:  # nuclei come first
        labels = labels[0]
    return np.asarray(labels, np.int32)
