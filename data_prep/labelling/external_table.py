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
KEYS = {"cellid": schema.CELL_ID, "field": schema.FIELD, "plate": schema.PLATE, "well": schema.WELL,
        "site": schema.SITE, "cellline": schema.CELL_LINE, "line": schema.CELL_LINE}
# What later steps write; a column of that name would be lost.
RESERVED = schema.METADATA - {schema.TRACK}
LOOSE = {schema.PLATE, schema.WELL, schema.SITE}  # A1 and A01 are the same
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d+)?([eE][+-]?\d{1,2})?")
PLACE = {"centrey": schema.CENTRE_Y, "y": schema.CENTRE_Y, "centrex": schema.CENTRE_X, "x": schema.CENTRE_X}


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
    path = pathlib.Path(path)
    path = path if path.is_file() else pathlib.Path(folder) / path
    table = _read(path)
    keys, place, named = _columns(table, cells, path)
    table = table.rename(columns=keys | place | named)
    on = where = list(dict.fromkeys(keys.values()))
    table[on] = table[on].apply(_texts)
    if set(place.values()) == {schema.CENTRE_Y, schema.CENTRE_X} and schema.FIELD in table:
        on, where = [schema.CELL_ID], [schema.FIELD, schema.CENTRE_Y, schema.CENTRE_X]
        table = table.assign(**{schema.CELL_ID: _nearest(table, cells, path)})
    marks, known = _marks(table, on), _marks(cells, on)
    fits = marks.isin(known)
    twice = table[marks.duplicated() & (fits | (on == where))]
    if len(twice):
        raise InputRefused(f"{path}: {_example(twice, on)} stands there twice ({len(twice)} in all); keep one row of "
                           "each")
    _tell(table, fits, where, cells, path)
    told = table.loc[fits, list(named.values())].set_axis(marks[fits]).reindex(known)
    return beside(cells, told.set_axis(cells.index))


def columns_of(path, folder=".") -> set[str]:
    """The columns that `join` would add to the cells: Metadata_<column> of all that say no place.

    Raises:
        InputRefused: the table at `path`, as it stands or below `folder`, cannot be read.
    """
    path = pathlib.Path(path)
    table = _read(path if path.is_file() else pathlib.Path(folder) / path)
    told = [c for c in table.columns if _plain(c) not in KEYS and _plain(c) not in PLACE]
    return {f"Metadata_{c.removeprefix('Metadata_')}" for c in told}


def _tell(table, fits, where, cells, path):
    """Say on the terminal how many rows fit no cell; none that fits is refused."""
    if not fits.any():
        raise InputRefused(f"{path}: no row fits a cell by {', '.join(where)}: {_example(table, where)} there, "
                           f"{_example(cells, where)} in the fields")
    if not fits.all():
        print(f"note: {(~fits).sum()} of {len(table)} rows of {path} fit no cell, e.g. "
              f"{_example(table[~fits], where)}", file=sys.stderr)


def _columns(table, cells, path):
    """Columns of the table -> those of the cells: keys, places, and the rest."""
    keys = {c: KEYS[_plain(c)] for c in table.columns if _plain(c) in KEYS}
    place = {c: PLACE[_plain(c)] for c in table.columns if _plain(c) in PLACE}
    told = [c for c in table.columns if c not in keys and c not in place]
    if not keys or not told:
        raise InputRefused(f"{path}: columns {', '.join(table.columns)}; allowed: some of {', '.join(KEYS)}, or field, "
                           "y and x, to say where a row belongs, and at least one column more")
    if len(set(keys.values()) | set(place.values())) < len(keys | place):
        raise InputRefused(f"{path}: two of the columns {', '.join(keys | place)} say the same; keep one")
    named = {c: f"Metadata_{c.removeprefix('Metadata_')}" for c in told}
    if taken := [c for c in named.values() if c in RESERVED or c in cells.columns]:
        raise InputRefused(f"{path}: the cells have a column {taken[0]} already; rename it in the table")
    if len(set(named.values())) < len(named):
        raise InputRefused(f"{path}: two of the columns {', '.join(told)} say the same; keep one")
    return keys, place, named


def _read(path):
    """The table, indexed by where rows stand in it, the header being row 1."""
    if path.suffix.lower() == ".parquet":
        return _parquet(path)
    table = tables.read(path, "config.phase.table")
    if not table.columns:
        raise _unreadable(path, "it is empty")
    if twice := [name for name in table.columns if table.columns.count(name) > 1]:
        raise InputRefused(f"{path}: two columns are named {twice[0]!r}; rename one of them")
    cells, numbers = [row.cells for row in table.rows], [row.number for row in table.rows]
    texts = pd.DataFrame(cells, numbers, table.columns, dtype=str)
    return texts.apply(lambda column: column if _plain(column.name) in KEYS | PLACE else _typed(column))


def _typed(texts):
    """Numbers where all texts of a column are numbers as one writes them; else the texts, missing where empty.

    So 01, TRUE and a bar code of 20 digits stay what they are. Keys are never numbers, as a field 01 is not 1, nor are
    places, which may have decimal commas. Only an empty cell is missing: a class may be called None, a well NA.
    """
    told = texts.mask(texts == "")
    return pd.to_numeric(told) if told.dropna().map(lambda text: bool(_NUMBER.fullmatch(text))).all() else told


def _parquet(path):
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError, ImportError) as error:
        raise _unreadable(path, (str(error).splitlines() or [type(error).__name__])[0]) from None
    table = table.reset_index(drop=table.index.names == [None])
    return table.set_axis(table.columns.map(str), axis=1).set_axis(range(2, len(table) + 2), axis=0)


def _unreadable(path, reason):
    return InputRefused(f"{path}: cannot be read as CSV or Parquet ({reason}); give config.phase.table a table with a "
                        "header")


def _texts(column):
    """Keys as text, "" for none: a Parquet file may hold numbers, which are read as 1.0 beside empty cells."""
    return pd.Series([_text(value) for value in column], column.index, dtype=object)


def _text(value):
    if pd.isna(value):
        return ""
    whole = isinstance(value, float) and value.is_integer()
    return unicodedata.normalize("NFC", str(int(value) if whole else value))


def _marks(table, columns):
    """One text per row, equal where all `columns` are."""
    marks = pd.Series("", table.index)
    for name in columns:
        column = table[name].astype(str)
        same = {text: sidecar.same(text) if name in LOOSE else text for text in column.unique()}
        marks = marks + "\0" + column.map(same)
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
    centres = [schema.CENTRE_Y, schema.CENTRE_X]
    numbers = {name: [_number(value) for value in table[name]] for name in centres}
    places = pd.DataFrame(numbers, table.index, dtype=np.float64)
    if (wrong := ~np.isfinite(places)).any(axis=None):
        row, column = np.argwhere(wrong.to_numpy())[0]
        raise InputRefused(f"{path}: column {'yx'[column]}, row {table.index[row]}: "
                           f"{str(table[centres[column]].iloc[row])!r}; "
                           "allowed: a number, px in the field; correct it or delete the row")
    reach = float(np.sqrt(cells[Working.AREA_PX].median() / np.pi))
    found = pd.Series("", table.index)
    for field, rows in places.groupby(table[schema.FIELD]):
        here = cells[cells[schema.FIELD] == field]
        if here.empty:
            continue
        distance, nearest = cKDTree(here[centres]).query(rows)
        near = pd.DataFrame({"cell": here[schema.CELL_ID].to_numpy()[nearest], "far": distance}, rows.index)
        kept = near[distance <= reach].sort_values("far").drop_duplicates("cell")
        found[kept.index] = kept["cell"]
    return found


def _example(table, columns):
    return "nothing" if table.empty else ", ".join(map(str, table[columns].iloc[0]))
