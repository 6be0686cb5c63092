"""cells.parquet: one row per object found, and its measurements made comparable between fields."""

import pathlib

import numpy as np
import pandas as pd

from cellcycle_jax import files, old_names, schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.errors import StoredStateRefused

_TEXTS = [
    schema.CELL_ID,
    schema.FIELD,
    schema.CELL_LINE,
    schema.GROUP,
    schema.SPLIT,
    schema.LABEL,
    schema.REJECT_REASON,
]
_REFERENCE = schema.reference_column("")


def regrouped(cells: pd.DataFrame, unit: str) -> pd.DataFrame:
    """The table with plates or wells in Metadata_Group, as `crop_arrays.regrouped` names them."""
    if unit == "plate":
        return cells.assign(**{schema.GROUP: cells[schema.PLATE]})
    if unit == "well":
        return cells.assign(**{schema.GROUP: schema.well_group(cells[schema.PLATE], cells[schema.WELL])})
    return cells


def load_cells(data_dir) -> pd.DataFrame:
    """Read DATA/cells.parquet.

    Args:
        data_dir: a folder that `prepare` made.

    Returns:
        One row per object, the rejected ones too; a missing text is "".

    Raises:
        StoredStateRefused: the file is missing, damaged or changed, lacks a column, or names a cell twice.
    """
    path = pathlib.Path(data_dir) / "cells.parquet"
    if not path.is_file():
        raise StoredStateRefused(f"{path}: no such file; run prepare, or give --data the folder that it made")
    recorded = crop_arrays.recorded_sha256(data_dir, path.name)
    if recorded and files.sha256(path) != recorded:
        raise StoredStateRefused(
            f"{path}: not as prepare wrote it (its SHA-256 is not that of provenance.json); "
            "bring it back from a copy, or run prepare again"
        )
    try:
        cells = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises many kinds for damaged bytes; all of them mean the same to the user
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise StoredStateRefused(f"{path}: not readable as Parquet ({reason}); run prepare again") from None
    if schema.REJECT_REASON not in cells:
        cells = cells.rename(columns=old_names.column_of_today)
    missing = pd.Index(_TEXTS).difference(cells.columns, sort=False)
    if len(missing):
        raise StoredStateRefused(f"{path}: column {missing[0]} is missing ({len(missing)} in all); run prepare again")
    cells[_TEXTS] = cells[_TEXTS].fillna("")
    cell_ids = cells[schema.CELL_ID]
    repeated = cell_ids[cell_ids.duplicated()]
    if len(repeated):
        raise StoredStateRefused(f"{path}: cell {repeated.iloc[0]!r} has more than one row; run prepare again")
    return cells


def units(data_dir, columns) -> dict[str, str]:
    """{measurement: its unit} of those `columns` of `load_cells` that have one."""
    stored = files.read_units(pathlib.Path(data_dir) / "cells.parquet")
    units_of_today = {old_names.column_of_today(column): unit for column, unit in stored.items()}
    known = units_of_today | stored
    return {column: known[column] for column in columns if column in known}


def unlocked(cells: pd.DataFrame, final: bool = False) -> pd.DataFrame:
    """Rows of the accepted cells of the splits one may look at: train and validation, and test only if `final`."""
    accepted = cells[schema.REJECT_REASON] == ""
    visible = cells[schema.SPLIT].isin(schema.SPLITS)
    if not final:
        visible &= cells[schema.SPLIT] != "test"
    return cells[accepted & visible]


def rows_by_id(cells: pd.DataFrame, cell_ids) -> pd.DataFrame:
    """Rows of `cells` in the order of `cell_ids`, with a fresh index.

    Raises:
        StoredStateRefused: a cell is not in the table, so the table and the caller's data do not belong together.
    """
    cell_ids = list(cell_ids)
    rows = pd.Index(cells[schema.CELL_ID]).get_indexer(cell_ids)
    absent = np.flatnonzero(rows < 0)
    if len(absent):
        raise StoredStateRefused(
            f"cells.parquet: cell {cell_ids[absent[0]]!r} is not in the table ({len(absent)} in all); "
            "the table and the data set were made by different runs, run prepare again"
        )
    return cells.iloc[rows].reset_index(drop=True)


def measured_channels(columns) -> list[str]:
    """The channels that a table has measurements of, markers too: those with a reference column."""
    return [column.removeprefix(_REFERENCE) for column in columns if column.startswith(_REFERENCE)]


def measurements(cells: pd.DataFrame, channels, markers, nucleus: str | None = None) -> list[str]:
    """Names of the numeric measurements made from `channels`, never from a marker.

    Args:
        cells: the table.
        channels: channels whose measurements are wanted.
        markers: channels that label the cells; a column with such a name anywhere is left out, so that a measurement
            of two channels (a correlation with the marker) is left out as well.
        nucleus: channel that the shape of the nucleus counts as measured from; None: the shape is always in.
    """
    measured = measured_channels(cells.columns)
    names = []
    for column in schema.feature_columns(cells.columns):
        if not pd.api.types.is_numeric_dtype(cells[column]):
            continue
        if any(f"_{marker}_" in f"_{column}_" for marker in markers):
            continue
        channel = schema.feature_channel(column, measured) or nucleus
        if channel is None or channel in channels:
            names.append(column)
    return names


def label_intensity(data_dir) -> str:
    """The channel of whose measured intensity the labels were made, "" where they come from elsewhere.

    Raises:
        StoredStateRefused: the data set has no provenance.json.
    """
    return crop_arrays.provenance(data_dir).get("labels_are_intensity_of", "")


def is_intensity_of(column: str, channel: str) -> bool:
    """Whether a measurement column is an intensity of `channel`; of "" none is."""
    return bool(channel) and "_Intensity_" in column and column.endswith(f"_{channel}")


def relative_features(cells: pd.DataFrame, columns) -> pd.DataFrame:
    """Measurements of which every intensity is divided by the field's reference, so that stainings compare.

    An integrated intensity over the reference of the DNA channel is in px of G1-typical DNA: the field's G1 peak lies
    at the plate's median nuclear area. Where a reference is unknown or not positive, the intensity is NaN.

    Args:
        cells: the table, with Metadata_Reference_<channel>.
        columns: measurement columns wanted; those without `_Intensity_` in the name are passed through.

    Returns:
        float64 table [N, len(columns)] with the index of `cells`.

    Raises:
        StoredStateRefused: a column, or the reference of an intensity's channel, is not in the table.
    """
    measured = measured_channels(cells.columns)
    result = {}
    for column in columns:
        if column not in cells.columns:
            raise StoredStateRefused(f"cells.parquet: column {column} is missing; run prepare again")
        values = cells[column].to_numpy(np.float64, na_value=np.nan)
        if "_Intensity_" in column:
            channel = schema.feature_channel(column, measured)
            if channel is None:
                raise StoredStateRefused(f"cells.parquet: no {_REFERENCE}* column fits {column}; run prepare again")
            reference = cells[schema.reference_column(channel)].to_numpy(np.float64, na_value=np.nan)
            values = values / np.where(reference > 0, reference, np.nan)
        result[column] = values
    return pd.DataFrame(result, index=cells.index)


def pixel_size(rows) -> pd.Series:
    """Scale of each row's field, um per px, NaN where unknown."""
    if schema.PIXEL_SIZE in rows:
        return rows[schema.PIXEL_SIZE].astype(float)
    return pd.Series(np.nan, rows.index)
