"""Manners on the terminal: the nearest of what exists, warnings of libraries as one sentence, readers that go away."""

import collections
import contextlib
import difflib
import os
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
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.4)
    return f"; nearest: {head}{matches[0]}" if matches else ""


class Outliving:
    """A text stream whose reader may go away: what is written after that is lost, and no error.

    So a command whose output is piped to `head`, or to a `tee` that Ctrl-C has ended, comes to its own end.
    """

    def __init__(self, stream):
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, if anybody reads."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._let_go()
            return len(text)

    def flush(self) -> None:
        """Flush, if anybody reads."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._let_go()

    def _let_go(self):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name):
        """Whatever else a stream has."""
        return getattr(self._stream, name)


def outlive_readers() -> None:
    """Let this process go on when nobody reads its output any more."""
    if sys.stdout:
        sys.stdout = Outliving(sys.stdout)
    if sys.stderr:
        sys.stderr = Outliving(sys.stderr)


@contextlib.contextmanager
def collected_warnings():
    """Say at the end, in one sentence for each library, how often it warned, instead of each warning as it comes."""
    counts = collections.Counter()
    first = {}

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
