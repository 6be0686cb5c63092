"""Manners on the terminal: the nearest of what exists, and warnings of libraries as one sentence."""

import collections
import contextlib
import difflib
import sys
import traceback
import warnings


def nearest(word: str, known, head: str = "") -> str:
    """'; nearest: NAME' for the name that is most like a mistyped word, "" where none is.

    Args:
        word: what was typed.
        known: the names that there are.
        head: what is written before the name.
    """
    found = difflib.get_close_matches(word, list(known), 1, 0.4)
    return f"; nearest: {head}{found[0]}" if found else ""


@contextlib.contextmanager
def collected_warnings():
    """Say at the end, in one sentence for each library, how often it warned, instead of each warning as it comes."""
    counts, first = collections.Counter(), {}

    def collect(message, category, filename, lineno, file=None, line=None):
        library = _library(filename)
        counts[library] += 1
        first.setdefault(library, f"{category.__name__}: {' '.join(str(message).split())[:150]}")

    with warnings.catch_warnings():
        warnings.showwarning = collect
        try:
            yield
        finally:
            for library, count in counts.items():
                times = "once" if count == 1 else f"{count} times"
                print(f"note: {library} warned {times} ({first[library]})", file=sys.stderr)


def _library(filename: str) -> str:
    """The package that a file is part of."""
    parts = filename.replace("\\", "/").split("/")
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1].removesuffix(".py")
    return parts[-1].removesuffix(".py")


def end_line(error: BaseException) -> None:
    """Let progress bars that an error has left end their line, so that what is said next stands on its own."""
    traceback.clear_frames(error.__traceback__)
