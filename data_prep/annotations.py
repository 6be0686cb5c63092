"""A table made elsewhere (a human's scores, tracks, a treatment per well) joined to the cells.

The table's columns say what a row belongs to: one cell by its id, the cell at a place of a field, or all cells of a
field, well or plate. All its other columns come along as Metadata_<column>.
"""

import pathlib

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused

# Column of the table, without Metadata_ and in any case -> column of the cells.
KEYS = {"cellid": schema.CELL_ID, "field": schema.FIELD, "plate": schema.PLATE, "well": schema.WELL,
        "site": schema.SITE, "cellline": schema.CELL_LINE, "line": schema.CELL_LINE}
# What later steps write; a column of that name would be lost.
RESERVED = {name for name in vars(schema).values() if isinstance(name, str) and name.startswith("Metadata_")}
RESERVED -= {schema.TRACK}
PLACE = {"centrey": schema.CENTRE_Y, "y": schema.CENTRE_Y, "centrex": schema.CENTRE_X, "x": schema.CENTRE_X}


def join(cells: pd.DataFrame, path, folder=".") -> pd.DataFrame:
    """The cells with the columns of the table at `path`.

    Rows with a place (field, y, x; px) belong to the cell whose centre is nearest, at most half a nuclear diameter
    away, so that objects found by another program find theirs.

    Args:
        cells: all objects, with Metadata_ columns and _area_px.
        path: CSV or Parquet, as it stands or below `folder`. A row without a cell, and a cell without a row, is no
            error; none at all is.

    Raises:
        InputRefused: unreadable, no key, a key twice, a column that the cells have already, or no row fits.
    """
    path = pathlib.Path(path)
    path = path if path.is_file() else pathlib.Path(folder) / path
    table = _read(path)
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
    table = table.rename(columns=keys | place | named)
    if set(place.values()) == {schema.CENTRE_Y, schema.CENTRE_X} and schema.FIELD in table:
        table = _by_place(table, cells)
        keys = {schema.CELL_ID: schema.CELL_ID}
    on = list(dict.fromkeys(keys.values()))
    twice = table[table.duplicated(on)]
    if len(twice):
        raise InputRefused(f"{path}: {_example(twice, on)} stands there twice ({len(twice)} in all); keep one row of "
                           "each")
    joined = cells.merge(table[[*on, *named.values()]], how="left", on=on, validate="many_to_one")
    if joined[list(named.values())].isna().all(axis=None):
        raise InputRefused(f"{path}: no row fits a cell by {', '.join(on)}: {_example(table, on)} there, "
                           f"{_example(cells, on)} in the fields")
    joined.index = cells.index
    return joined


def _read(path):
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, sep=None, engine="python", encoding="utf-8-sig", dtype=_texts(path))
    except (OSError, ValueError, ImportError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputRefused(f"{path}: cannot be read as CSV or Parquet ({reason}); give config.phase.table a table "
                           "with a header") from None


def _texts(path):
    """Keys stay text: a site 01 is not 1."""
    header = pd.read_csv(path, sep=None, engine="python", encoding="utf-8-sig", nrows=0).columns
    return {c: str for c in header if _plain(c) in KEYS}


def _plain(column):
    return column.removeprefix("Metadata_").replace("_", "").replace(" ", "").lower()


def _by_place(table, cells):
    """The rows with the id of the nearest cell of their field; rows without one near enough are dropped."""
    reach = float(np.sqrt(cells["_area_px"].median() / np.pi))
    parts = []
    for field, rows in table.groupby(schema.FIELD):
        here = cells[cells[schema.FIELD] == field]
        if here.empty:
            continue
        centres = [schema.CENTRE_Y, schema.CENTRE_X]
        distance, nearest = cKDTree(here[centres]).query(rows[centres])
        rows = rows.assign(**{schema.CELL_ID: here[schema.CELL_ID].to_numpy()[nearest], "_far": distance})
        parts.append(rows[distance <= reach].sort_values("_far").drop_duplicates(schema.CELL_ID))
    return pd.concat(parts) if parts else table.assign(**{schema.CELL_ID: ""}).iloc[:0]


def _example(table, columns):
    return "nothing" if table.empty else ", ".join(map(str, table[columns].iloc[0]))
