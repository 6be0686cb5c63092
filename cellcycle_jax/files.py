"""Files that are either whole or absent: written beside their place, flushed to disk, then renamed; and locks."""

import contextlib
import csv
import hashlib
import json
import math
import os
import pathlib
import secrets
import socket

from cellcycle_jax.errors import UsageError


@contextlib.contextmanager
def replacing(path):
    """Yield a temporary path beside `path`; on success it takes the place of `path`, on an error it is removed."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _temporary(path):
    """A name beside `path` that nobody else makes; processes of several containers may have the same number."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp{path.suffix}")


@contextlib.contextmanager
def holding(path):
    """Hold the lock file `path`, in which host, process and batch job stand, for as long as the block runs.

    A lock whose process on this host is gone was left by a kill and is taken over. So is one of an earlier start of the
    job that this process belongs to. Any other of another host cannot be judged from here, so it counts as held.

    Raises:
        UsageError: another process holds the lock; it is named.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if _left_behind(found := _text(path)):
        _clear_away(path, found)
    own = " ".join([socket.gethostname(), str(os.getpid()), *_start_of_job()]) + "\n"
    try:
        with open(path, "x", encoding="utf-8") as file:  # fails where there is one, also if it came just now
            file.write(own)
    except FileExistsError:
        raise UsageError(f"{path.parent}: {holder(path) or 'another process'} works in this folder; wait for it, or "
                         f"remove {path} if it no longer runs") from None
    try:
        yield
    finally:
        if _text(path) == own:  # not where it was removed by hand and another process holds it now
            path.unlink(missing_ok=True)


def _text(path) -> str:
    """What stands in a lock, "" where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _clear_away(path, left: str) -> None:
    """Remove a lock in which `left` stands; of several processes that found it, one removes it, and no newer lock."""
    moved = _temporary(path)
    try:
        os.rename(path, moved)
    except FileNotFoundError:
        return  # another process was faster
    if _text(moved) == left:
        moved.unlink()
    else:
        os.replace(moved, path)  # another process was faster, and this is its own lock


def holder(path) -> str:
    """Process and host that hold the lock file `path`, in words; "" where nobody does."""
    text = _text(pathlib.Path(path))
    host, pid = (text.split() + ["", ""])[:2]
    return "" if not text or _left_behind(text) else f"process {pid or 'unknown'} on {host or 'an unknown host'}"


def _start_of_job() -> list[str]:
    """What a scheduler calls the batch job of this process, also when it starts it again, and which start this is."""
    if job := os.environ.get("SLURM_JOB_ID"):
        return [f"slurm-{job}", os.environ.get("SLURM_RESTART_COUNT", "0")]
    if job := os.environ.get("SKYPILOT_TASK_ID"):
        return [job, socket.gethostname()]  # each start is on new machines, and nothing counts them
    return []


def _left_behind(holder: str) -> bool:
    """Whether the process named in a lock is gone: it ran on this host, or in another start of this job."""
    host, pid, *start = [*holder.split(), "", ""][:4]
    own = _start_of_job()
    if own and start[:1] == own[:1] and start != own:
        return True  # schedulers start a job again when it has ended everywhere
    if host != socket.gethostname() or not pid.isdecimal():
        return False
    if int(pid) == os.getpid():
        return True  # of an earlier process with this number; a restarted container gives the same ones
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def write_text(path, text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path, value) -> None:
    """Write `value` as JSON with sorted keys; numbers that JSON does not know (NaN, infinity) become null."""
    write_text(path, json.dumps(plain(value), indent=1, sort_keys=True) + "\n")


def read_json(path):
    """The value stored in a JSON file."""
    return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))


def write_table(table, path, units: dict[str, str] | None = None) -> None:
    """Write a pandas table as Parquet; `units` (column -> unit) goes to the file's metadata under b'units'."""
    import pyarrow
    import pyarrow.parquet

    arrow = pyarrow.Table.from_pandas(table, preserve_index=False)
    arrow = arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), b"units": json.dumps(units or {}).encode()})
    with replacing(path) as temporary:
        pyarrow.parquet.write_table(arrow, temporary)


def read_units(path) -> dict[str, str]:
    """The units that `write_table` stored in a Parquet file."""
    import pyarrow.parquet

    return json.loads(pyarrow.parquet.read_schema(path).metadata.get(b"units", b"{}"))


def write_csv(table, path) -> None:
    """Write a pandas table as CSV; a text cell that a spreadsheet would run as a formula gets a leading apostrophe."""
    def harmless(value):
        return "'" + value if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value

    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table.columns)
        writer.writerows([harmless(value) for value in row] for row in table.itertuples(index=False, name=None))


def sha256(path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def plain(value):
    """`value` as it comes back from a JSON file that `write_json` made of it."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
