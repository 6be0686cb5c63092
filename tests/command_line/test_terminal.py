"""Manners on the terminal."""

import io
import os
import warnings

import pytest
from tqdm import tqdm

from cellcycle_jax.command_line import terminal


@pytest.mark.parametrize("word, said", [("reprot", "; nearest: report"), ("evalute", "; nearest: evaluate"),
                                        ("xyzzy", "")])
def test_the_nearest_name_is_named_where_one_is_near(word, said):
    assert terminal.nearest(word, ["evaluate", "report", "train"]) == said


def test_a_stream_without_a_reader_loses_what_is_written_and_raises_nothing():
    readable, writable = os.pipe()
    stream = terminal.Outliving(io.TextIOWrapper(io.FileIO(writable, "w"), encoding="utf-8", line_buffering=True))
    print("read", file=stream)
    assert os.read(readable, 100) == b"read\n"
    os.close(readable)
    for _ in range(3):
        print("lost" * 10_000, file=stream, flush=True)
    assert stream.fileno() == writable and not stream.closed
    stream.close()


def test_warnings_of_a_library_become_one_sentence_and_ours_are_counted_apart(capsys):
    with terminal.collected_warnings():
        for number in range(3):
            warnings.warn_explicit(f"old\nthing {number}", DeprecationWarning, "/x/site-packages/orbax/a.py", number)
        warnings.warn_explicit("once", UserWarning, "/x/site-packages/jax.py", 1)
        assert capsys.readouterr().err == ""
    said = capsys.readouterr().err.splitlines()
    assert said == ["note: orbax warned 3 times (DeprecationWarning: old thing 0)",
                    "note: jax warned once (UserWarning: once)"]


def test_warnings_are_said_after_an_error_too(capsys):
    with pytest.raises(ValueError), terminal.collected_warnings():
        warnings.warn_explicit("old", UserWarning, "/x/site-packages/flax/a.py", 1)
        raise ValueError
    assert capsys.readouterr().err == "note: flax warned once (UserWarning: old)\n"


def test_an_error_does_not_stand_on_the_line_of_a_bar(capsys):
    def works():
        for _ in tqdm(range(3), desc="fields"):
            raise ValueError

    try:
        works()
    except ValueError as error:
        terminal.end_line(error)
    assert capsys.readouterr().err.endswith("\n")
