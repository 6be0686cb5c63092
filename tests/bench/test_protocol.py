"""What scripts and workers of the benchmarks agree about: flags, and nothing but the standard library."""

import pathlib
import sys

import pytest

from bench import protocol
from tests.test_architecture import imports


def test_a_worker_takes_the_flags_that_it_names_with_its_own_defaults():
    parser = protocol.worker_parser("Worker.", model="small", batch=None, lr=0.5, channels_last=False, compile=None)
    assert vars(parser.parse_args([])) == {"model": "small", "batch": None, "lr": 0.5, "channels_last": False,
                                           "compile": None}
    given = parser.parse_args(["--model", "paper", "--batch", "7", "--lr", "0", "--channels-last", "--compile"])
    assert vars(given) == {"model": "paper", "batch": 7, "lr": 0.0, "channels_last": True, "compile": "default"}
    assert parser.parse_args(["--compile", "reduce-overhead"]).compile == "reduce-overhead"


@pytest.mark.parametrize("line", ["--dtype bfloat16", "--model large"])
def test_a_worker_refuses_other_flags_and_networks(line):
    with pytest.raises(SystemExit):
        protocol.worker_parser("Worker.", model="small").parse_args(line.split())


def test_the_protocol_needs_the_standard_library_only():
    assert {name.split(".")[0] for name in imports(pathlib.Path(protocol.__file__))} <= sys.stdlib_module_names
