"""Any folder of TIFF or OME-TIFF files, one field per file.

What the names say comes from `config.name_pattern`, a regular expression searched in the path below the folder with
named groups line, plate, well, site; where it names lines and no plates, each line is a plate of its own. Without a
pattern, the sub-folder is the plate and the file is its own well.
"""

import pathlib
import re

from cellcycle_jax.errors import InputRefused, UsageError
from data_prep.fields import Field, FieldFile, read_field

SUFFIXES = (".tif", ".tiff")
GROUPS = {"line", "plate", "well", "site"}


def find_fields(folder, config) -> list[FieldFile]:
    """All fields below `folder`, sorted by path.

    Raises:
        InputRefused: no such folder, no TIFF in it, or a name that the pattern does not fit.
        UsageError: a pattern that is no regular expression or has unknown groups.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise InputRefused(f"--fields={folder}: no such folder; name the folder that holds the TIFF files")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    if not paths:
        raise InputRefused(f"--fields={folder}: no {' or '.join(SUFFIXES)} file in it")
    pattern = _pattern(config.name_pattern)
    found = [_field_file(path, path.relative_to(folder), pattern, config.cell_line) for path in paths]
    first = {}
    for file in found:
        if (other := first.setdefault(file.field_id, file)) is not file:
            raise InputRefused(f"{file.path} and {other.path} are both field {file.field_id!r}; rename one of them")
    return found


def read(file: FieldFile, config) -> Field:
    """The field in `file`; see `data_prep.fields.read_field`."""
    return read_field(file, config.channel_names, config.pixel_um or None)


def _pattern(text):
    if not text:
        return None
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise UsageError(f"config.name_pattern={text!r}: not a regular expression ({error})") from None
    if unknown := set(pattern.groupindex) - GROUPS:
        allowed = ", ".join(sorted(GROUPS))
        raise UsageError(f"config.name_pattern: unknown group {sorted(unknown)[0]!r}; allowed: {allowed}")
    return pattern


def _field_file(path, relative, pattern, cell_line):
    stem = re.sub(r"(\.ome)?\.tiff?$", "", relative.as_posix(), flags=re.IGNORECASE)
    field_id = stem.replace("/", "_")
    if pattern is None:
        return FieldFile((path,), field_id, cell_line, relative.parent.as_posix().strip("."), field_id, "")
    match = pattern.search(relative.as_posix())
    if match is None:
        raise InputRefused(f"{path}: the name does not fit config.name_pattern={pattern.pattern!r}; "
                           "change the pattern or leave the file out")
    said = match.groupdict(default="")
    line = said.get("line") or cell_line
    return FieldFile((path,), field_id, line, said.get("plate", line if "line" in said else ""),
                     said.get("well") or field_id, said.get("site", ""))
