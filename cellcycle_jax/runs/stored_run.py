"""A run folder read back: its config, and its data set, opened."""

import dataclasses
import pathlib

from ml_collections import ConfigDict

from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.errors import StoredStateRefused
from cellcycle_jax.runs import run_record
from cellcycle_jax.runs.open_data import OpenData


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredRun:
    """What RUN/config.json says of a run."""

    workdir: pathlib.Path
    config: ConfigDict  # the training config
    run_id: str
    data: OpenData
    channels: tuple[str, ...]  # what the model sees, in order
    classes: tuple[str, ...]
    markers: tuple[str, ...]
    crop_px: int  # side of the crops that the model was trained on

    @property
    def data_dir(self) -> pathlib.Path:
        """The folder of the data set."""
        return self.data.folder

    def crops_of_lines(self, split: str, final: bool = False) -> crop_arrays.Crops:
        """The crops of a split that are of the run's cell lines; arguments as of `crop_arrays.load_crops`."""
        return crop_arrays.take_lines(self.data.crops(split, final), self.config.data.cell_lines)


def open_run(workdir) -> StoredRun:
    """The run in `workdir`, without its weights; `trained_run.load_run` reads these too.

    Raises:
        StoredStateRefused: there is no run, its record is damaged, or its data set is gone or was prepared again.
    """
    return of_record(workdir, run_record.read(workdir))


def of_record(workdir, record: dict, data: OpenData | None = None) -> StoredRun:
    """The run of a record that `run_record.read` returned, on its data set if that is open; errors as of `open_run`."""
    data = data or OpenData(record["data_dir"])
    _require_data(record, data.folder, workdir)
    return StoredRun(
        workdir=pathlib.Path(workdir),
        config=ConfigDict(record["training"]),
        run_id=record["run_id"],
        data=data,
        channels=tuple(record["channels"]),
        classes=tuple(record["classes"]),
        markers=tuple(record["markers"]),
        crop_px=record["crop_px"],
    )


def _require_data(record, folder, workdir) -> None:
    """Refuse to continue without the data set of a run, and say how to name the folder to which it was moved."""
    if not crop_arrays.is_data_set(folder):
        raise StoredStateRefused(f"{folder}: the data set of {workdir} is not there; if it was moved, say where: "
                                 f"`launch.py evaluate --workdir={workdir} --data=DIR`")
    if crop_arrays.identity(folder) != record["data_sha256"]:
        raise StoredStateRefused(f"{folder}: is not the data set that {workdir} was trained on, so its splits may "
                                 "differ; say where that one is with --data=DIR, or train again")
