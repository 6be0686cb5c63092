"""What the system refuses, room on a disk, memory or a path, as one line: which, how much is free, and what to do."""

import errno
import pathlib
import re
import shutil

from cellcycle_jax import machine
from cellcycle_jax.errors import ResourceMissing, UsageError, UserError

UNUSABLE_PATH = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)
MIB = 2**20
GIB = 2**30


def explained(error: BaseException, output: str = "") -> UserError | None:
    """The error that a user can act on; None where it is none of the system's.

    Args:
        error: what was raised.
        output: the folder that the command writes to, for errors that name no file; "" if it has none.
    """
    if isinstance(error, UserError):
        return error
    if isinstance(error, OSError):
        return _of_path(error, output)
    if isinstance(error, MemoryError):
        return _of_memory(str(error))
    text = str(error)
    if "RESOURCE_EXHAUSTED" in text:  # of XLA; the runtime's own class may not even be imported here
        return _of_memory(text)
    if "No space left on device" in text:  # of libraries that write in C++
        return _full(output)
    if "Disk quota exceeded" in text:
        return _quota(output)
    return None


def _of_path(error, output):
    path = str(error.filename or output or "output")
    if error.errno == errno.ENOSPC:
        return _full(path)
    if error.errno == errno.EDQUOT:
        return _quota(path)
    if error.errno == errno.ENOMEM:
        return _of_memory("")
    if error.errno in UNUSABLE_PATH:
        return UsageError(f"{path}: cannot be used ({error.strerror}); name another path, or change its permissions")
    return None


def _full(path):
    free = _free_bytes(path)
    return ResourceMissing(f"{path or 'output'}: the disk is full{free}; free some space and run again")


def _quota(path):
    return ResourceMissing(
        f"{path or 'output'}: your quota of this disk is used up, of bytes or of files; "
        "remove some of yours (the command quota says how much there is), and run again"
    )


def _free_bytes(path) -> str:
    """How much room there is at a path, or at the nearest folder above it that is there, in words."""
    path = pathlib.Path(path or ".").absolute()
    for folder in (path, *path.parents):
        if folder.is_dir():
            return f" ({shutil.disk_usage(folder).free / MIB:,.1f} MiB free in {folder})"
    return ""


def _of_memory(text):
    """`text` may say how much was requested."""
    size = re.search(r"\d[\d,.]* ?(?:bytes|[KMGTPE]i?B)", text)
    requested = f" ({size[0]} asked for)" if size else ""
    free = machine.free_memory() / GIB
    return ResourceMissing(
        f"memory does not suffice{requested}, {free:.1f} GiB are free; "
        "close other programs or ask for more memory, or use smaller batches or fields, or fewer workers"
    )
