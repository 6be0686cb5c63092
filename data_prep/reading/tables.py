"""Tables that a user hands in: one reader for all of them, however a spreadsheet wrote them."""

import codecs
import csv
import io
import math
import pathlib
import re
import sys
import unicodedata

import numpy as np
import pandas as pd

from cellcycle_jax.errors import InputRefused

SEPARATORS = ",;\t"
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_OTHER_FORMATS = {
    b"PK\x03\x04": "an Excel or OpenDocument workbook",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"PAR1": "a Parquet file",
}
_TO_DO = "save it as 'CSV UTF-8' and name that in"


def read(path: pathlib.Path, what: str) -> pd.DataFrame:
    """A text table: commas, semicolons or tabs; UTF-8 or UTF-16, with or without a byte order mark, or Windows-1252.

    Empty rows are left out, and so are columns without a name, which is said on the terminal where they hold something.
    That a table is no Unicode is said there too, since its letters are then a guess.

    Args:
        path: the file.
        what: the flag or config field that names it, for the error.

    Returns:
        Texts without spaces around them, "" for an empty cell, in composed Unicode (NFC), indexed by where rows stand
        in the table, the header being row 1. Two columns may have one name.

    Raises:
        InputRefused: no such file, another format, a row with more cells than the header, a quote that is not closed.
    """
    text = _text(path, what)
    first, _, below = text.partition("\n")
    excel = re.fullmatch(r'"?sep=(.)"?\s*', first)  # how Excel notes the separator
    if excel:
        text = below
        separator = excel[1]
    else:
        separator = _separator(text)
    try:
        lines = list(csv.reader(io.StringIO(text), delimiter=separator, strict=True))
    except csv.Error as error:
        raise InputRefused(f"{path}: is no CSV ({error}); {_TO_DO} {what}") from None
    columns = _stripped(lines[0]) if lines else []
    while columns and not columns[-1]:  # a spreadsheet's empty columns
        columns.pop()
    rows = {}
    for number, line in enumerate(lines[1:], start=2):
        cells = _stripped(line)
        if any(cells[len(columns):]):
            raise InputRefused(f"{path}: row {number} has {len(cells)} cells, the first row {len(columns)}; correct it")
        if any(cells):
            filled_up = cells + [""] * len(columns)
            rows[number] = filled_up[: len(columns)]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns, dtype=str)
    return _without_unnamed(table, path)


def _without_unnamed(table, path) -> pd.DataFrame:
    """The table without the columns that have no name; those of them that hold something are named on the terminal."""
    has_name = table.columns != ""
    is_filled = (table != "").to_numpy().any(axis=0)
    filled = np.flatnonzero(is_filled & ~has_name) + 1
    if len(filled):
        print(f"note: {path}: column {', '.join(map(str, filled))} has no name and is left out", file=sys.stderr)
    return table.loc[:, has_name].copy()


def refuse_same_columns(names, path: pathlib.Path) -> None:
    """Refuse a table of which two columns have one name.

    Raises:
        InputRefused: names the column.
    """
    names = list(names)
    for name in names:
        if names.count(name) > 1:
            raise InputRefused(f"{path}: two columns are named {name!r}; rename or delete one of them")


def number(text: str) -> float:
    """The number in a cell, with a point or a decimal comma; NaN where it holds none."""
    if "_" in text:  # which Python takes for a separator of thousands
        return math.nan
    try:
        return float(text if "." in text else text.replace(",", "."))
    except ValueError:
        return math.nan


def _stripped(cells):
    return [cell.strip() for cell in cells]


def _text(path, what):
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputRefused(f"{path}: cannot be read ({error.strerror}); name a table in {what}") from None
    for magic, kind in _OTHER_FORMATS.items():
        if content.startswith(magic):
            raise InputRefused(f"{path}: is {kind}; allowed: text with commas, semicolons or tabs; {_TO_DO} {what}")
    encoding = _encoding(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding.startswith("utf-16"):
            raise InputRefused(f"{path}: is damaged ({error.reason}); {_TO_DO} {what}") from None
        text = _guessed(content, path)
    if "\0" in text:
        raise InputRefused(f"{path}: is no text; allowed: text with commas, semicolons or tabs; {_TO_DO} {what}")
    composed = unicodedata.normalize("NFC", text)
    return composed.replace("\r\n", "\n").replace("\r", "\n")


def _guessed(content, path):
    """A text that is no Unicode, in the most likely encoding."""
    try:
        text = content.decode("cp1252")
        encoding = "Windows-1252"
    except UnicodeDecodeError:
        text = content.decode("latin-1")
        encoding = "Latin-1"
    print(
        f"note: {path} is not UTF-8; it is read as {encoding}; if letters come out wrong, save it as 'CSV UTF-8'",
        file=sys.stderr,
    )
    return text


def _encoding(content):
    """The encoding by the byte order mark, or by the zero byte beside each ASCII letter of UTF-16 without one."""
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return encoding
    if len(content) % 2 == 0 and content[1:2] == b"\0" and content[:1] != b"\0":
        return "utf-16-le"
    if len(content) % 2 == 0 and content[:1] == b"\0" and content[1:2] != b"\0":
        return "utf-16-be"
    return "utf-8"


def _separator(text):
    """The one that gives most rows as many cells as the header, if those are several; else the one with the most cells.

    Of two that fit as well, the one that comes first in the header: with decimal commas, a comma may fit by chance.
    """
    lines = text.splitlines()[:50]
    in_order = sorted(SEPARATORS, key=(text + SEPARATORS).find)

    def fit(separator):
        rows = list(filter(any, csv.reader(lines, delimiter=separator)))
        width = len(rows[0]) if rows else 0
        as_wide = sum(len(row) == width for row in rows)
        return as_wide if width > 1 else 0, width

    try:
        return max(in_order, key=fit)
    except csv.Error:  # a quote that is not closed, which reading refuses
        return SEPARATORS[0]
