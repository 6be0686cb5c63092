"""Files that are either whole or absent: written beside their place, flushed to disk, then renamed."""

import contextlib
import csv
import hashlib
import json
import math
import os
import pathlib
import secrets

LONGEST_PART = 100  # bytes of a text that a file is named by; file systems take 255 for a whole name
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a text that begins so may be run by a spreadsheet
SEAL = "seal"  # of a JSON file: the hash of everything else in it


@contextlib.contextmanager
def atomic_path(path):
    """Yield a temporary path beside `path`; on success it takes the place of `path`, on an error it is removed.

    Raises:
        OSError: names `path`, whatever could not be done.
    """
    path = pathlib.Path(path)
    temporary = temporary_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(temporary)):
            error.filename = str(path)  # of a full disk nothing else says which file it was
        raise
    finally:
        temporary.unlink(missing_ok=True)


def temporary_beside(path):
    """A name beside `path` that nobody else makes; processes of several containers may have the same number."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp{path.suffix}")


def distinct(parts: list[str], taken=()) -> list[str]:
    """Parts of file names, all different: long ones are cut, and where two are then alike, later ones are numbered.

    Capitals do not tell them apart, as on some disks they do not.

    Args:
        parts: of which each is safe in a file name.
        taken: parts that other files have.
    """
    used = {name.casefold() for name in taken}
    names = []
    for part in parts:
        short = part.encode()[:LONGEST_PART].decode(errors="ignore")
        name = short
        number = 2
        while name.casefold() in used:
            name = f"{short}_{number}"
            number += 1
        used.add(name.casefold())
        names.append(name)
    return names


def require_writable(folder) -> None:
    """Find out before any work whether files can be made in a folder.

    Raises:
        OSError: they cannot; names the folder.
    """
    probe = temporary_beside(pathlib.Path(folder) / "probe")
    try:
        probe.touch()
    except OSError as error:
        error.filename = str(folder)
        raise
    finally:
        probe.unlink(missing_ok=True)


def write_text(path, text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path, value) -> None:
    """Write `value` as JSON with sorted keys; numbers that JSON does not know (NaN, infinity) become null."""
    write_text(path, json.dumps(to_json(value), indent=1, sort_keys=True) + "\n")


def write_sealed_json(path, value: dict) -> None:
    """The same with a hash of it all under SEAL, so that `read_json` notices a changed or damaged file."""
    value = json.loads(json.dumps(to_json(value)))  # as it will be read
    write_json(path, value | {SEAL: _seal_of(value)})


def read_json(path) -> dict:
    """The object stored in a JSON file.

    Raises:
        ValueError: it is no JSON, or no object, or its seal does not fit.
    """
    try:
        value = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError(f"holds {type(value).__name__} instead of an object")
    if SEAL in value:
        seal = value.pop(SEAL)
        if seal != _seal_of(value):
            raise ValueError("not what was written: it was changed or damaged")
    return value


def append_json_line(path, record: dict, synced: bool = True) -> None:
    """Add one line of JSON to a file, which need not exist.

    Args:
        path: the file.
        record: without NaN or infinity.
        synced: whether the line is on the disk when this returns.
    """
    line = json.dumps(record, allow_nan=False) + "\n"
    with open(path, "a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # a line that a kill cut off, which would swallow this one
                line = "\n" + line
        file.write(line.encode())
        file.flush()
        if synced:
            os.fsync(file.fileno())


def read_json_lines(path) -> list[dict]:
    """The objects in the lines of a file; a line that a crash cut off, or that is damaged, is left out."""
    path = pathlib.Path(path)
    if not path.is_file():
        return []
    records = []
    for line in path.read_bytes().splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            records.append(record)
    return records


def _seal_of(value) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def write_table(table, path, units: dict[str, str] | None = None) -> None:
    """Write a pandas table as Parquet; `units` (column -> unit) goes to the file's metadata under b'units'."""
    import pyarrow
    import pyarrow.parquet

    arrow = pyarrow.Table.from_pandas(table, preserve_index=False)
    metadata = arrow.schema.metadata or {}
    stored_units = json.dumps(units or {}).encode()
    arrow = arrow.replace_schema_metadata({**metadata, b"units": stored_units})
    with atomic_path(path) as temporary:
        pyarrow.parquet.write_table(arrow, temporary)


def read_units(path) -> dict[str, str]:
    """The units that `write_table` stored in a Parquet file."""
    import pyarrow.parquet

    return json.loads(pyarrow.parquet.read_schema(path).metadata.get(b"units", b"{}"))


def write_csv(table, path) -> None:
    """Write a pandas table as CSV; a text cell that a spreadsheet would run as a formula gets a leading apostrophe."""
    def harmless(value):
        if isinstance(value, str) and value.startswith(FORMULA):
            return "'" + value
        return value

    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table.columns)
        for row in table.itertuples(index=False, name=None):
            writer.writerow([harmless(value) for value in row])


def sha256(path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def to_json(value):
    """`value` as it comes back from a JSON file that `write_json` made of it."""
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if hasattr(value, "as_json"):
        return to_json(value.as_json())
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        return to_json(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
