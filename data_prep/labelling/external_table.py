"""A table made elsewhere (a human's scores, tracks, a treatment per well) joined to the cells.

The table's columns say what a row belongs to: one cell by its id, the cell at a place of a field, or all cells of a
field, well or plate. All its other columns come along as Metadata_<column>.
"""

import math
import pathlib
import re
import sys
import unicodedata

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused
from cellcycle_jax.schema import Working
from data_prep.measurement.columns import beside
from data_prep.reading import sidecar, tables

# Column of the table, without Metadata_ and in any case -> column of the cells.
KEYS = {
    "cellid": schema.CELL_ID,
    "field": schema.FIELD,
    "plate": schema.PLATE,
    "well": schema.WELL,
    "site": schema.SITE,
    "cellline": schema.CELL_LINE,
    "line": schema.CELL_LINE,
}
PLACE = {
    "centrey": schema.CENTRE_Y,
    "y": schema.CENTRE_Y,
    "centrex": schema.CENTRE_X,
    "x": schema.CENTRE_X,
}
# What later steps write; a column of that name would be lost.
RESERVED = schema.METADATA - {schema.TRACK}
LOOSE = {schema.PLATE, schema.WELL, schema.SITE}  # A1 and A01 are the same
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d+)?([eE][+-]?\d{1,2})?")


def join(cells: pd.DataFrame, path, folder=".") -> pd.DataFrame:
    """The cells with the columns of the table at `path`.

    Rows with a place (field, y, x; px) belong to the cell whose centre is nearest, at most half a nuclear diameter
    away, so that objects found by another program find theirs. Plates, wells and sites are the same where they differ
    in leading zeros and case only.

    Args:
        cells: all objects, with Metadata_ columns and _area_px.
        path: CSV or Parquet, as it stands or below `folder`. A row without a cell, and a cell without a row, is no
            error; none at all is.

    Raises:
        InputRefused: unreadable, no key, a key twice, a column that the cells have already, a place that is no number,
            or no row fits.
    """
    path = _located(path, folder)
    table = _read(path)
    keys, places, added = _columns(table, cells, path)
    table = table.rename(columns=keys | places | added)
    key_columns = list(dict.fromkeys(keys.values()))
    table[key_columns] = table[key_columns].apply(_texts)
    has_place = set(places.values()) == {schema.CENTRE_Y, schema.CENTRE_X} and schema.FIELD in table
    if has_place:
        matched_by = [schema.CELL_ID]
        shown_by = [schema.FIELD, schema.CENTRE_Y, schema.CENTRE_X]
        table = table.assign(**{schema.CELL_ID: _nearest(table, cells, path)})
    else:
        matched_by = key_columns
        shown_by = key_columns
    marks = _marks(table, matched_by)
    cell_marks = _marks(cells, matched_by)
    fits = marks.isin(cell_marks)
    is_repeated = marks.duplicated()
    if has_place:
        is_repeated &= fits  # rows without a cell have no id to repeat
    repeated = table[is_repeated]
    if len(repeated):
        example = _example(repeated, matched_by)
        raise InputRefused(f"{path}: {example} stands there twice (repeated rows: {len(repeated)}); keep one of each")
    _report_rows_without_cell(table, fits, shown_by, cells, path)
    values = table.loc[fits, list(added.values())].set_axis(marks[fits])
    values = values.reindex(cell_marks).set_axis(cells.index)
    return beside(cells, values)


def columns_of(path, folder=".") -> set[str]:
    """The columns that `join` would add to the cells: Metadata_<column> of all that say no place.

    Raises:
        InputRefused: the table at `path`, as it stands or below `folder`, cannot be read.
    """
    table = _read(_located(path, folder))
    _, _, others = _by_use(table)
    return {_metadata_name(column) for column in others}


def _located(path, folder) -> pathlib.Path:
    """The path as it stands where it is a file, else below the folder."""
    path = pathlib.Path(path)
    if path.is_file():
        return path
    return pathlib.Path(folder) / path


def _report_rows_without_cell(table, fits, shown_by, cells, path):
    """Say on the terminal how many rows fit no cell; none that fits is refused."""
    if not fits.any():
        raise InputRefused(f"{path}: no row fits a cell by {', '.join(shown_by)}: "
                           f"{_example(table, shown_by)} there, {_example(cells, shown_by)} in the fields")
    if not fits.all():
        example = _example(table[~fits], shown_by)
        print(f"note: {(~fits).sum()} of {len(table)} rows of {path} fit no cell, e.g. {example}", file=sys.stderr)


def _by_use(table):
    """Columns of the table: {key: column of the cells}, {place: column of the cells}, and a list of all others."""
    keys = {}
    places = {}
    others = []
    for column in table.columns:
        name = _plain(column)
        if name in KEYS:
            keys[column] = KEYS[name]
        elif name in PLACE:
            places[column] = PLACE[name]
        else:
            others.append(column)
    return keys, places, others


def _columns(table, cells, path):
    """Columns of the table -> those of the cells: keys, places, and those to be added."""
    keys, places, others = _by_use(table)
    if not keys or not others:
        raise InputRefused(f"{path}: columns {', '.join(table.columns)}; "
                           f"allowed: some of {', '.join(KEYS)}, or field, y and x, to say where a row belongs, "
                           "and at least one column more")
    located = keys | places
    if len(set(located.values())) < len(located):
        raise InputRefused(f"{path}: two of the columns {', '.join(located)} say the same; keep one")
    added = {column: _metadata_name(column) for column in others}
    for name in added.values():
        if name in RESERVED or name in cells.columns:
            raise InputRefused(f"{path}: the cells have a column {name} already; rename it in the table")
    if len(set(added.values())) < len(added):
        raise InputRefused(f"{path}: two of the columns {', '.join(others)} say the same; keep one")
    return keys, places, added


def _metadata_name(column) -> str:
    return f"Metadata_{column.removeprefix('Metadata_')}"


def _read(path):
    """The table, indexed by where rows stand in it, the header being row 1."""
    if path.suffix.lower() == ".parquet":
        return _parquet(path)
    texts = tables.read(path, "config.labels.table")
    if texts.columns.empty:
        raise _unreadable(path, "it is empty")
    tables.refuse_same_columns(texts.columns, path)
    for name in texts.columns:
        if _plain(name) not in KEYS | PLACE:
            texts[name] = _typed(texts[name])
    return texts


def _typed(texts):
    """Numbers where all texts of a column are numbers as one writes them; else the texts, missing where empty.

    So 01, TRUE and a bar code of 20 digits stay what they are. Keys are never numbers, as a field 01 is not 1, nor are
    places, which may have decimal commas. Only an empty cell is missing: a class may be called None, a well NA.
    """
    texts = texts.mask(texts == "")
    are_numbers = all(_NUMBER.fullmatch(text) for text in texts.dropna())
    return pd.to_numeric(texts) if are_numbers else texts


def _parquet(path):
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError, ImportError) as error:
        lines = str(error).splitlines()
        reason = lines[0] if lines else type(error).__name__
        raise _unreadable(path, reason) from None
    table = table.reset_index(drop=table.index.names == [None])
    table.columns = table.columns.map(str)
    table.index = range(2, len(table) + 2)
    return table


def _unreadable(path, reason):
    return InputRefused(f"{path}: cannot be read as CSV or Parquet ({reason}); "
                        "give config.labels.table a table with a header")


def _texts(column):
    """Keys as text, "" for none: a Parquet file may hold numbers, which are read as 1.0 beside empty cells."""
    return pd.Series([_text(value) for value in column], column.index, dtype=object)


def _text(value):
    if pd.isna(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return unicodedata.normalize("NFC", str(value))


def _marks(table, columns):
    """One text per row, equal where all `columns` are."""
    marks = pd.Series("", table.index)
    for name in columns:
        column = table[name].astype(str)
        if name in LOOSE:
            column = column.map({text: sidecar.same(text) for text in column.unique()})
        marks = marks + "\0" + column
    return marks


def _number(value):
    """A number of a Parquet file, or a text with a point or a decimal comma; NaN for none."""
    if isinstance(value, str):
        return tables.number(value)
    return float(value) if pd.api.types.is_number(value) and not pd.isna(value) else math.nan


def _plain(column):
    return column.removeprefix("Metadata_").replace("_", "").replace(" ", "").lower()


def _nearest(table, cells, path):
    """For each row the id of the nearest cell of its field; "" without one near enough, or where another is nearer."""
    columns = [schema.CENTRE_Y, schema.CENTRE_X]
    places = pd.DataFrame(index=table.index)
    for name in columns:
        places[name] = np.array([_number(value) for value in table[name]], np.float64)
    is_wrong = ~np.isfinite(places.to_numpy())
    if is_wrong.any():
        row, column = np.argwhere(is_wrong)[0]
        value = str(table[columns[column]].iloc[row])
        raise InputRefused(f"{path}: column {'yx'[column]}, row {table.index[row]}: {value!r}; "
                           "allowed: a number, px in the field; correct it or delete the row")
    reach_px = float(np.sqrt(cells[Working.AREA_PX].median() / np.pi))
    cell_of_row = pd.Series("", table.index)
    for field, rows in places.groupby(table[schema.FIELD]):
        candidates = cells[cells[schema.FIELD] == field]
        if candidates.empty:
            continue
        distance, nearest = cKDTree(candidates[columns]).query(rows)
        cell_ids = candidates[schema.CELL_ID].to_numpy()[nearest]
        matches = pd.DataFrame({"cell": cell_ids, "distance": distance}, rows.index)
        matches = matches[distance <= reach_px].sort_values("distance").drop_duplicates("cell")
        cell_of_row[matches.index] = matches["cell"]
    return cell_of_row


def _example(table, columns):
    if table.empty:
        return "nothing"
    return ", ".join(map(str, table[columns].iloc[0]))
