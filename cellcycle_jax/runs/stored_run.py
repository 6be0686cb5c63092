"""A run folder read back: its config, and the cells of its data set, each table and split of them read once."""

import dataclasses
import functools
import pathlib

import pandas as pd
from ml_collections import ConfigDict

from cellcycle_jax.dataset import cell_table, crop_arrays
from cellcycle_jax.errors import StoredStateRefused
from cellcycle_jax.runs import run_record


class RunData:
    """The cells of a run's data set, but for those of the locked test split."""

    def __init__(self, data_dir: pathlib.Path, cell_lines):
        """Nothing is read yet; of all cell lines where `cell_lines` is empty."""
        self._data_dir = data_dir
        self._cell_lines = cell_lines
        self._crops = {}

    def crops(self, split: str) -> crop_arrays.Crops:
        """All crops of the training or validation split; their pixels stay on disk.

        Raises:
            StoredStateRefused: the data set is missing, incomplete or damaged.
        """
        if split not in self._crops:
            self._crops[split] = crop_arrays.load_crops(self._data_dir, split, pixels=False)
        return self._crops[split]

    def crops_of_lines(self, split: str) -> crop_arrays.Crops:
        """Those of `crops` that are of the run's cell lines."""
        return crop_arrays.take_lines(self.crops(split), self._cell_lines)

    @functools.cached_property
    def cells(self) -> pd.DataFrame:
        """Accepted cells of all cell lines: the rows of cells.parquet.

        Raises:
            StoredStateRefused: the table is missing or damaged.
        """
        return cell_table.unlocked(cell_table.load_cells(self._data_dir))


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredRun:
    """What RUN/config.json says of a run."""

    workdir: pathlib.Path
    config: ConfigDict  # the training config
    run_id: str
    data_dir: pathlib.Path
    channels: tuple[str, ...]  # what the model sees, in order
    classes: tuple[str, ...]
    markers: tuple[str, ...]
    crop_px: int  # side of the crops that the model was trained on

    @functools.cached_property
    def data(self) -> RunData:
        """The cells of the run's data set."""
        return RunData(self.data_dir, self.config.data.cell_lines)


def open_run(workdir) -> StoredRun:
    """The run in `workdir`, without its weights; `trained_run.load_run` reads these too.

    Raises:
        StoredStateRefused: there is no run, its record is damaged, or its data set is gone or was prepared again.
    """
    return of_record(workdir, run_record.read(workdir))


def of_record(workdir, record: dict) -> StoredRun:
    """The run of a record that `run_record.read` returned; errors as of `open_run`."""
    _require_data(record, workdir)
    return StoredRun(
        workdir=pathlib.Path(workdir),
        config=ConfigDict(record["training"]),
        run_id=record["run_id"],
        data_dir=pathlib.Path(record["data_dir"]),
        channels=tuple(record["channels"]),
        classes=tuple(record["classes"]),
        markers=tuple(record["markers"]),
        crop_px=record["crop_px"],
    )


def _require_data(record, workdir) -> None:
    """Refuse to continue without the data set of a run, and say how to name the folder to which it was moved."""
    folder = record["data_dir"]
    if not crop_arrays.is_data_set(folder):
        raise StoredStateRefused(f"{folder}: the data set of {workdir} is not there; if it was moved, say where: "
                                 f"`launch.py evaluate --workdir={workdir} --data=DIR`")
    if crop_arrays.identity(folder) != record["data_sha256"]:
        raise StoredStateRefused(f"{folder}: is not the data set that {workdir} was trained on, so its splits may "
                                 "differ; say where that one is with --data=DIR, or train again")
