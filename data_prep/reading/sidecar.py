"""A table beside the fields (CSV) that says what file names do not."""

import collections
import dataclasses
import pathlib
import re
import sys
from typing import NamedTuple

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused
from data_prep.reading import tables
from data_prep.reading.calibration import ALLOWED_UM, is_usual
from data_prep.reading.field import FieldFile
from data_prep.reading.listing import readable, text_of

KEYS = ("plate", "well", "site")
LAST_ROW = 32  # of a plate of 1,536 wells
TEXTS = {"line": "cell_line", "plate": "plate", "well": "well", "site": "site", "label": "label"}  # column: FieldFile's
KNOWN = {"file", "pixel_um", *TEXTS}
TAKEN = {name.removeprefix("Metadata_").lower() for name in schema.METADATA}


class Row(NamedTuple):
    """A row of the table: where it stands in it, and {column: text}."""

    number: int
    cells: dict[str, str]


def add(files: list[FieldFile], folder: pathlib.Path, name: str) -> list[FieldFile]:
    """The fields that the table lists, with what it says of them; what is not listed is said on the terminal.

    A row is for the field with its `file` (path inside the folder, file name or field_id) or, in a table without that
    column, for all fields with its plate, well and site. Columns line, plate, well, site, label and pixel_um fill what
    names leave open; all others become `FieldFile.extra`. A field without a row is left out.

    Raises:
        InputRefused: no such table or none that can be read, rows that contradict a name or each other, a path that
            leads out of the folder, no field listed.
    """
    path = folder / name
    rows = read(path)
    columns = rows[0].cells
    keys = [key for key in KEYS if key in columns and any(getattr(file, key) for file in files)]
    if "file" not in columns and not keys:
        raise InputRefused(f"{path}: no column says which field a row is for; allowed: file, or those of "
                           f"{', '.join(KEYS)} that the names of the files say")
    matches = _by_file(files, rows, folder, path) if "file" in columns else _by_keys(files, rows, keys)
    of_field = collections.defaultdict(list)
    for row, found in zip(rows, matches, strict=True):
        for file in found:
            of_field[file.field_id].append(row)
    listed = [_filled(file, _only(file, of_field[file.field_id], path), path) for file in files
              if file.field_id in of_field]
    if not listed:
        raise InputRefused(f"{path}: no row is for a field of {folder} (first row: {_words(rows[0])}; first field: "
                           f"{files[0].field_id}); correct the table")
    _tell(path, [row for row, found in zip(rows, matches, strict=True) if not found],
          [file for file in files if file.field_id not in of_field])
    return listed


def read(path: pathlib.Path) -> list[Row]:
    """The rows of a table beside the fields; see `tables.read`.

    Raises:
        InputRefused: what `tables.read` refuses, no rows, two columns of one name, a column of our own tables.
    """
    table = tables.read(path, "config.sidecar")
    names = _columns(table.columns, path)
    if not table.rows:
        raise InputRefused(f"{path}: no rows below the names of the columns")
    return [Row(row.number, dict(zip(names, row.cells, strict=True))) for row in table.rows]


def same(text: str) -> str:
    """A form in which texts that mean the same place are equal: B3, b03, B - 03 and r02c03; 1 and 01."""
    joined = re.sub(r"^([A-Za-z]{1,2})\s*-\s*(\d+)$", r"\1\2", text.strip())
    short = re.sub(r"(?<![\d.,])0+(?=\d)", "", joined).casefold()
    numbered = re.fullmatch(r"r(\d+)c(\d+)", short)
    return f"{_letters(int(numbered[1]))}{numbered[2]}" if numbered and 0 < int(numbered[1]) <= LAST_ROW else short


def _letters(row):
    """The letters of a row of a plate, from 1: a to z, then aa to af."""
    return chr(ord("a") + row - 1) if row <= 26 else f"a{chr(ord('a') + row - 27)}"


def _columns(names, path):
    names = [name.removeprefix("Metadata_") for name in names]
    names = [name.lower() if name.lower() in KNOWN else name for name in names]
    for i, name in enumerate(names):
        inner = name.lower()
        if name in names[:i]:
            raise InputRefused(f"{path}: two columns are named {name!r}; rename one of them")
        if name not in KNOWN and (inner in TAKEN or inner.startswith(("background_", "reference_"))):
            raise InputRefused(f"{path}: column {name!r} has the name of one that prepare writes; rename it")
    return names


def _by_file(files, rows, folder, path):
    """For each row the field that its column `file` names, or the pictures of that file; [] for none."""
    known = collections.defaultdict(dict)
    for file in files:
        for one in file.paths:
            for text in (text_of(one, folder), readable(one.name), file.field_id):
                known[text][file.field_id] = file
    found = []
    for row in rows:
        text = row.cells["file"].replace("\\", "/")
        parts = pathlib.PureWindowsPath(text)
        if parts.drive or parts.root or ".." in parts.parts:
            raise InputRefused(f"{path}: row {row.number}: file {text!r} is not inside {folder}; "
                               "allowed: paths inside the folder of fields, file names, field_ids")
        matching = list(known.get(parts.as_posix(), {}).values())
        if len({file.paths for file in matching}) > 1:
            raise InputRefused(f"{path}: row {row.number}: {text!r} is the name of {len(matching)} files "
                               f"({matching[0].path} and {matching[1].path}); write the path inside the folder")
        found.append(matching)
    return found


def _by_keys(files, rows, keys):
    """For each row the fields with its plate, well and site."""
    known = collections.defaultdict(list)
    for file in files:
        known[tuple(same(getattr(file, key)) for key in keys)].append(file)
    return [known.get(tuple(same(row.cells[key]) for key in keys), []) for row in rows]


def _only(file, rows, path):
    """What the table says of a field; rows for its single channels may repeat it."""
    names = {row.cells.get("file") for row in rows}
    values = {tuple((k, v) for k, v in row.cells.items() if k != "file") for row in rows}
    if len(rows) > 1 and (len(names) < len(rows) or len(values) > 1):
        raise InputRefused(f"{path}: rows {rows[0].number} and {rows[1].number} are both for field {file.field_id!r} "
                           f"({file.path.name}); delete one of them")
    return rows[0]


def _filled(file, row, path):
    """The field with what its name leaves open."""
    new = {}
    for column, attribute in TEXTS.items():
        told, said = row.cells.get(column, ""), getattr(file, attribute)
        if told and said and same(told) != same(said):
            raise InputRefused(f"{path}: row {row.number}: {column} is {told!r}, but the name of {file.path} says "
                               f"{said!r}; correct one of them")
        new[attribute] = said or told
    if size := row.cells.get("pixel_um"):
        new["pixel_um"] = _number(size, row, path)
    extra = tuple((name, text) for name, text in row.cells.items() if name not in KNOWN)
    return dataclasses.replace(file, **new, extra=extra)


def _number(text, row, path):
    value = tables.number(text)
    if not is_usual(value):
        least, most = ALLOWED_UM
        raise InputRefused(f"{path}: row {row.number}: pixel_um is {text!r}; allowed: {least:g} to {most:g} um per px")
    return value


def _words(row):
    return ", ".join(f"{name} {text!r}" for name, text in row.cells.items() if name in ("file", *KEYS) and text)


def _tell(path, unused, missing):
    if unused:
        print(f"warning: {len(unused)} rows of {path} are for no field (first: row {unused[0].number}, "
              f"{_words(unused[0])})", file=sys.stderr)
    if missing:
        print(f"warning: {len(missing)} fields have no row in {path} and are left out (first: "
              f"{missing[0].path})", file=sys.stderr)
