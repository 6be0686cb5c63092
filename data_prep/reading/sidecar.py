"""A table beside the fields (CSV) that says what file names do not."""

import collections
import dataclasses
import pathlib
import re
import sys

import pandas as pd

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused
from data_prep.reading import tables
from data_prep.reading.calibration import ALLOWED_UM, is_usual
from data_prep.reading.field import FieldFile
from data_prep.reading.listing import readable, text_of

KEYS = ("plate", "well", "site")
LAST_ROW = 32  # of a plate of 1,536 wells
# Names of columns, and of the fields of `FieldFile` that they fill.
TEXTS = {"line": "cell_line", "plate": "plate", "well": "well", "site": "site", "label": "label"}
KNOWN = {"file", "pixel_um", *TEXTS}
TAKEN = {name.removeprefix("Metadata_").lower() for name in schema.METADATA}


def add(files: list[FieldFile], folder: pathlib.Path, name: str) -> list[FieldFile]:
    """The fields that the table lists, with what it says of them; the terminal names rows and fields without the other.

    A row is for the field with its `file` (path inside the folder, file name or field_id) or, in a table without that
    column, for all fields with its plate, well and site. Columns line, plate, well, site, label and pixel_um fill what
    names leave open; all others become `FieldFile.extra`. A field without a row is left out.

    Raises:
        InputRefused: no such table or none that can be read, rows that contradict a name or each other, a path that
            leads out of the folder, no field listed.
    """
    path = folder / name
    table = read(path)
    rows = table.to_dict("index")  # {number of the row: {column: text}}
    keys = _keys(files, table)
    if "file" not in table and not keys:
        raise InputRefused(f"{path}: no column says which field a row is for; allowed: file, or those of "
                           f"{', '.join(KEYS)} that the names of the files say")
    matches = _by_file(files, rows, folder, path) if "file" in table else _by_keys(files, rows, keys)
    unused = []
    numbers_of = collections.defaultdict(list)
    for number, matching in matches.items():
        if not matching:
            unused.append(number)
        for file in matching:
            numbers_of[file.field_id].append(number)
    listed = []
    missing = []
    for file in files:
        if file.field_id in numbers_of:
            numbers = numbers_of[file.field_id]
            _refuse_several(file, numbers, rows, path)
            listed.append(_filled(file, numbers[0], rows[numbers[0]], path))
        else:
            missing.append(file)
    if not listed:
        raise InputRefused(f"{path}: no row is for a field of {folder} (first row: {_words(table.iloc[0])}; "
                           f"first field: {files[0].field_id}); correct the table")
    _warn(path, table.loc[unused], missing)
    return listed


def _keys(files, columns) -> list[str]:
    """Which of plate, well and site both the table and the names of the files give."""
    keys = []
    for key in KEYS:
        is_in_names = any(getattr(file, key) for file in files)
        if is_in_names and key in columns:
            keys.append(key)
    return keys


def read(path: pathlib.Path) -> pd.DataFrame:
    """The table beside the fields, as `tables.read` gives it; names of columns as of `_columns`.

    Raises:
        InputRefused: what `tables.read` refuses, no rows, two columns of one name, a column of our own tables.
    """
    table = tables.read(path, "config.sidecar")
    table.columns = _columns(table.columns, path)
    tables.refuse_same_columns(table.columns, path)
    if table.empty:
        raise InputRefused(f"{path}: no rows below the names of the columns")
    return table


def same(text: str) -> str:
    """A form in which texts that mean the same place are equal: B3, b03, B - 03 and r02c03; 1 and 01."""
    joined = re.sub(r"^([A-Za-z]{1,2})\s*-\s*(\d+)$", r"\1\2", text.strip())
    short = re.sub(r"(?<![\d.,])0+(?=\d)", "", joined).casefold()
    numbered = re.fullmatch(r"r(\d+)c(\d+)", short)
    if numbered and 0 < int(numbered[1]) <= LAST_ROW:
        return _letters(int(numbered[1])) + numbered[2]
    return short


def _letters(row):
    """The letters of a row of a plate, from 1: a to z, then aa to af."""
    return chr(ord("a") + row - 1) if row <= 26 else f"a{chr(ord('a') + row - 27)}"


def _columns(names, path):
    """The names of the columns without Metadata_, those that have a meaning here in lower case."""
    columns = []
    for name in names:
        name = name.removeprefix("Metadata_")
        lower = name.lower()
        if lower in KNOWN:
            name = lower
        if name not in KNOWN and (lower in TAKEN or lower.startswith(("background_", "reference_"))):
            raise InputRefused(f"{path}: column {name!r} has the name of one that prepare writes; rename it")
        columns.append(name)
    return columns


def _by_file(files, rows, folder, path):
    """{number of a row: the field that its column `file` names, or all fields in that file; [] for none}."""
    fields_named = collections.defaultdict(dict)  # name or path: {field_id: file}
    for file in files:
        fields_named[file.field_id][file.field_id] = file
        for image in file.paths:
            fields_named[text_of(image, folder)][file.field_id] = file
            fields_named[readable(image.name)][file.field_id] = file
    matches = {}
    for number, row in rows.items():
        text = row["file"].replace("\\", "/")
        parts = pathlib.PureWindowsPath(text)
        if parts.drive or parts.root or ".." in parts.parts:
            raise InputRefused(f"{path}: row {number}: file {text!r} is not inside {folder}; "
                               "allowed: paths inside the folder of fields, file names, field_ids")
        matching = list(fields_named.get(parts.as_posix(), {}).values())
        if len({file.paths for file in matching}) > 1:
            raise InputRefused(f"{path}: row {number}: {text!r} is the name of {len(matching)} files "
                               f"({matching[0].path} and {matching[1].path}); write the path inside the folder")
        matches[number] = matching
    return matches


def _by_keys(files, rows, keys):
    """{number of a row: the fields with its plate, well and site}."""
    fields_at = collections.defaultdict(list)
    for file in files:
        fields_at[_place(vars(file), keys)].append(file)
    return {number: fields_at.get(_place(row, keys), []) for number, row in rows.items()}


def _place(texts, keys):
    """Plate, well and site of a field or a row, {key: text}, in a form that can be compared."""
    return tuple(same(texts[key]) for key in keys)


def _refuse_several(file, numbers, rows, path):
    """Refuse two rows for a field, unless they are for single channels of it and say the same."""
    first = rows[numbers[0]] | {"file": ""}
    names = set()
    for number in numbers:
        name = rows[number].get("file")
        if name in names or rows[number] | {"file": ""} != first:
            raise InputRefused(
                f"{path}: rows {numbers[0]} and {numbers[1]} are both for field {file.field_id!r} "
                f"({file.path.name}); delete one of them"
            )
        names.add(name)


def _filled(file, number, row, path):
    """The field with what its name leaves open; `row` {column: text} stands in the table at `number`."""
    values = {}
    for column, attribute in TEXTS.items():
        in_table = row.get(column, "")
        in_name = getattr(file, attribute)
        if in_table and in_name and same(in_table) != same(in_name):
            raise InputRefused(
                f"{path}: row {number}: {column} is {in_table!r}, but the name of {file.path} says {in_name!r}; "
                "correct one of them"
            )
        values[attribute] = in_name or in_table
    if size := row.get("pixel_um"):
        values["pixel_um"] = _pixel_um(size, number, path)
    extra = tuple((name, text) for name, text in row.items() if name not in KNOWN)
    return dataclasses.replace(file, **values, extra=extra)


def _pixel_um(text, number, path):
    value = tables.number(text)
    if not is_usual(value):
        least, most = ALLOWED_UM
        raise InputRefused(f"{path}: row {number}: pixel_um is {text!r}; allowed: {least:g} to {most:g} um per px")
    return value


def _words(row):
    return ", ".join(f"{name} {text!r}" for name, text in row.items() if name in ("file", *KEYS) and text)


def _warn(path, unused, missing):
    """Print how many rows are for no field, and how many fields have no row."""
    if len(unused):
        print(f"warning: {len(unused)} rows of {path} are for no field "
              f"(first: row {unused.index[0]}, {_words(unused.iloc[0])})", file=sys.stderr)
    if missing:
        print(
            f"warning: {len(missing)} fields have no row in {path} and are left out (first: {missing[0].path})",
            file=sys.stderr,
        )
