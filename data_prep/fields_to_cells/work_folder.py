"""The folder in which finished fields wait for the others: OUT/.work-<hash>; of each a table of rows, crops and labels.

FIELD.json is written last and holds the hashes of the files of a field: what is damaged is not finished. The folder's
name is a hash of what finding, measuring and cutting read, and of nothing else. So other labels, another split or
another quality bound go on from the same finished fields. What a field's name or a sidecar says of it is therefore not
taken from there but added when the rows are read.
"""

import hashlib
import importlib.metadata
import json
import pathlib
import shutil

import pandas as pd

from cellcycle_jax import crop_file, extensions, files, schema
from cellcycle_jax.schema import Working
from data_prep.reading.field import FieldFile
from data_prep.sources import is_own

CODE = pathlib.Path(__file__).parents[1]
PREFIX = ".work-"
ENDINGS = (".parquet", ".npz", ".crops", ".labels")  # of the files of a field
# Fields and sections of the config that decide what is found, measured and cut in a field; all others come after.
READ = (
    "source",
    "channel_names",
    "channel_codes",
    "pixel_um",
    "projection",
    "rgb",
    "illumination",
    "segmentation",
    "measurements",
    "crop",
)
ROLES = ("nucleus", "stains")  # of config.channels; markers label the cells, later
# What is known of a field before it is read and has no part in that, by attribute of `FieldFile`.
SAID = {
    "well": schema.WELL,
    "plate": schema.PLATE,
    "cell_line": schema.CELL_LINE,
    "site": schema.SITE,
    "time": schema.TIME,
    "label": schema.FIELD_LABEL,
}
PACKAGES = ("numpy", "scipy", "scikit-image", "tifffile", "imagecodecs")  # that read, find and measure
BATCH = 200  # tables of fields joined at a time


def name_of(config, field_files: list[FieldFile], channels, others_left_out: bool) -> str:
    """The name of the work folder: the same fields, treated alike by the same code, are found again under it.

    Args:
        config: preparation config.
        field_files: of all fields.
        channels: of all fields, in order.
        others_left_out: whether a field may have others.
    """
    values = config.to_dict()
    decisive = {}
    for name in READ:
        decisive[name] = values[name]
    for role in ROLES:
        decisive[role] = values["channels"][role]
    fields = [_described(file) for file in field_files]
    described = json.dumps([decisive, channels, others_left_out, fields], sort_keys=True)
    digest = hashlib.sha256(described.encode())
    shared_code = (pathlib.Path(schema.__file__), pathlib.Path(crop_file.__file__))
    for module in (*sorted(CODE.rglob("*.py")), *shared_code):
        digest.update(module.read_bytes())
    for path in _own_parts(config):
        digest.update(extensions.code_of(path))
    for package in PACKAGES:
        digest.update(f"{package} {importlib.metadata.version(package)}".encode())
    return f"{PREFIX}{digest.hexdigest()[:12]}"


def _own_parts(config) -> list[str]:
    """Paths of the modules outside the repository that find, measure or read."""
    own = [path for path in (config.segmentation.method, *config.measurements) if extensions.is_own(path)]
    if is_own(config.source):
        own.append(config.source)
    return own


def _described(file) -> list:
    """What a field is read from, with size and time of each file. The plate counts: its fields share their light."""
    states = []
    for path in (*file.paths, file.labels_path, *file.beside):
        if path and path.exists():
            state = path.stat()
            states.append((str(path), state.st_size, state.st_mtime_ns))
    return [
        file.field_id,
        file.plate,
        file.channels,
        file.part,
        file.pixel_um,
        file.labels_are_mask,
        states,
    ]


def keep(folder, field_id: str, rows: pd.DataFrame) -> None:
    """Write the rows of a field, whose crops are there: from now on it is finished."""
    files.write_table(rows, _path(folder, field_id))
    files.write_json(_path(folder, field_id, ".json"), _hashes(folder, field_id))


def is_kept(folder, field_id: str) -> bool:
    """Whether a field is finished, and its files are as they were written."""
    marker = _path(folder, field_id, ".json")
    try:
        return marker.exists() and files.read_json(marker) == _hashes(folder, field_id)
    except (ValueError, OSError):
        return False


def _hashes(folder, field_id) -> dict[str, str]:
    """SHA-256 of each file of a field that is there, by its ending."""
    hashes = {}
    for ending in ENDINGS:
        path = _path(folder, field_id, ending)
        if path.exists():
            hashes[ending] = files.sha256(path)
    return hashes


def _path(folder, field_id, ending=".parquet"):
    return pathlib.Path(folder) / f"{field_id}{ending}"


def read(folder, field_files: list[FieldFile]) -> pd.DataFrame:
    """The rows of finished fields, in the order of `field_files`, with what is known of each field.

    Where no field holds an object, a table without rows: of measurements it has no columns either.
    """
    batches = []
    for start in range(0, len(field_files), BATCH):
        tables = []
        for file in field_files[start : start + BATCH]:
            rows = _rows_of(folder, file)
            if len(rows):
                tables.append(rows)
        if tables:
            batches.append(pd.concat(tables, ignore_index=True))
    if batches:
        return pd.concat(batches, ignore_index=True)
    return _rows_of(folder, field_files[0]) if field_files else pd.DataFrame()


def _rows_of(folder, file) -> pd.DataFrame:
    """The rows of a field with what is known of it: well, plate, line, ..., and further columns of a sidecar."""
    rows = pd.read_parquet(_path(folder, file.field_id))
    for attribute, column in SAID.items():
        rows[column] = getattr(file, attribute)
    position = rows.columns.get_loc(Working.CROP_X) + 1 if len(rows.columns) else 0
    for name, value in file.extra:
        rows.insert(position, f"Metadata_{name}", value)
        position += 1
    return rows


def discard(out, kept=None) -> None:
    """Remove all work folders in `out`, of earlier configs too, but for `kept`, the path of one."""
    for folder in pathlib.Path(out).glob(f"{PREFIX}*"):
        if folder != kept:
            shutil.rmtree(folder)
