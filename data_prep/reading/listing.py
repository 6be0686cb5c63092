"""Which files below a folder count: one rule for fields and label images, described in docs/data.md.

Links to files and folders are followed, each real one once. Hidden entries, links that lead nowhere, and folders
that this program has written are left out, and what is left out is said.
"""

import collections
import contextlib
import dataclasses
import os
import pathlib
import re
import sys
import unicodedata

from cellcycle_jax.errors import InputRefused

# Beside all that begins with a dot: what systems and stores put among a user's files, in lower case.
HIDDEN = {"__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "@eadir", "#recycle", "@recycle",
          "system volume information", "lost+found"}
# A folder that holds all files of one of these was written by this program.
MARKS = ({"provenance.json", "cells.parquet"}, {"predict.json", "cells.parquet"}, {"config.json", "metrics.jsonl"},
         {"config.json", "checkpoints"}, {"predictor.json", "weights.npz"}, {"sweep.json", "runs"})
UNFINISHED = ".work-"  # the beginning of what lies in a folder that this program was interrupted in
WRITTEN = {"qc", "overlays", "tfds", "figures", "explain", "features", "predictor", "runs"}  # folders inside of those

_UNDECODED = re.compile("[\udc80-\udcff]")  # how Python stands in for bytes of a path that are no UTF-8

NOWHERE = "links lead nowhere"
TWICE = "links lead to files or folders that are read already"
OURS = "folders were written by this program"
UNSEEN = "files or folders are hidden"
CLOSED = "folders cannot be opened"
NO_FILES = "are pipes, sockets or devices"  # to read one could wait for ever


@dataclasses.dataclass
class Listing:
    """The files below a folder that count, sorted, and what is left out: {why: paths}."""

    files: list[pathlib.Path]
    left_out: dict[str, list[pathlib.Path]]


def list_files(folder: pathlib.Path, endings: tuple[str, ...]) -> Listing:
    """All files below `folder` that count.

    Args:
        folder: itself may be hidden, and a link.
        endings: of files that are said to be left out where they are hidden, in lower case.
    """
    listing = Listing([], collections.defaultdict(list))
    read = {os.path.realpath(folder)}
    pending = collections.deque([folder])
    linked_folders = collections.deque()
    linked_files = []
    while pending or linked_folders:  # links come last, so that a folder is read under its own name where it has one
        here = pending.popleft() if pending else linked_folders.popleft()
        if here != folder and here.is_symlink() and not _is_new(here, read):
            listing.left_out[TWICE].append(here)
            continue
        for entry in _entries(here, here == folder, endings, listing.left_out):
            path = here / entry.name
            if not entry.is_dir():
                files = linked_files if entry.is_symlink() else listing.files
                files.append(path)
            elif entry.is_symlink():
                linked_folders.append(path)
            elif _is_new(path, read):
                pending.append(path)
            else:
                listing.left_out[TWICE].append(path)
    _add_linked(linked_files, read, listing)
    listing.files.sort()
    return listing


def _add_linked(linked_files, read, listing):
    """Add the files that are reached by links of their own, each once, unless they lie in a folder that is read."""
    added = set()
    for path in linked_files:
        real = os.path.realpath(path)
        if real in added or os.path.dirname(real) in read:
            listing.left_out[TWICE].append(path)
        else:
            listing.files.append(path)
        added.add(real)


def _is_new(folder, read):
    """Whether a folder is none of those read; from now on it is one."""
    real = os.path.realpath(folder)
    new = real not in read
    read.add(real)
    return new


def _entries(here, is_root, endings, left_out):
    """The files and folders in a folder that count; the others are noted in `left_out`."""
    try:
        entries = sorted(os.scandir(here), key=lambda entry: entry.name)
    except OSError:
        left_out[CLOSED].append(here)
        return []
    ours = _is_ours(entries)
    if ours and not is_root:
        left_out[OURS].append(here)
        return []
    counted = []
    for entry in entries:
        path = here / entry.name
        if entry.name.startswith(".") or entry.name.lower() in HIDDEN:
            if os.path.isdir(path) or (entry.name.lower().endswith(endings) and os.path.exists(path)):
                left_out[UNSEEN].append(path)
        elif entry.is_symlink() and not os.path.exists(path):
            left_out[NOWHERE].append(path)
        elif ours and entry.name in WRITTEN and entry.is_dir():
            left_out[OURS].append(path)
        elif not entry.is_dir() and not entry.is_file():
            left_out[NO_FILES].append(path)
        else:
            counted.append(entry)
    return counted


def _is_ours(entries) -> bool:
    """Whether this program has written the folder with these entries."""
    names = set()
    for entry in entries:
        names.add(entry.name)
        if entry.name.startswith(UNFINISHED):
            return True
    return any(mark <= names for mark in MARKS)


def say(listing: Listing) -> None:
    """Print what is left out, and which names are no text: how many of each kind, and the first."""
    undecoded = [path for path in listing.files if _UNDECODED.search(str(path))]
    if undecoded:
        print(f"note: {len(undecoded)} files have names that are not UTF-8; "
              f"such bytes are written as in {readable(str(undecoded[0]))}", file=sys.stderr)
    for why, paths in listing.left_out.items():
        say_left_out(paths, why, "warning" if why in (NOWHERE, CLOSED) else "note")


def say_left_out(paths, why: str, word: str = "note") -> None:
    """Print how many files are left out and which is the first; nothing where none is."""
    if paths:
        first = readable(str(min(paths)))
        print(f"{word}: {len(paths)} {why} and are left out (first: {first})", file=sys.stderr)


def text_of(path: pathlib.Path, folder: pathlib.Path) -> str:
    """The path below `folder` as a text by which it is compared and named; see `readable`."""
    return readable(path.relative_to(folder).as_posix())


def readable(text: str) -> str:
    """A path as text that can be written anywhere, in composed Unicode (NFC), whatever the form that it is stored in.

    A byte that is no UTF-8, such as a letter of Latin-1, becomes a percent sign and two hexadecimal digits.
    """
    plain = _UNDECODED.sub(lambda match: f"%{ord(match[0]) - 0xDC00:02X}", text)
    return unicodedata.normalize("NFC", plain)


@contextlib.contextmanager
def readable_errors():
    """Turn the error of what is refused in the block into text that can be written anywhere."""
    try:
        yield
    except InputRefused as error:
        raise InputRefused(readable(str(error))) from error
