import pathlib

import numpy as np
import pytest

from cellcycle_jax.devices import runtime
from tests import kills


@pytest.mark.slow
def test_a_run_that_is_killed_ends_with_the_bits_of_one_that_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv(runtime.CACHE_VARIABLE, str(tmp_path / "cache"))  # a kill may leave half of a program
    failures, runs, in_saves = kills.kills(tmp_path, seed=0, count=2)
    assert failures == [] and runs >= 1 and in_saves <= 2


@pytest.mark.parametrize("change, said", [(0, []), (1e-7, ["run: 1 arrays differ"])])
def test_another_last_bit_is_noticed(monkeypatch, change, said):
    """So the test above can fail."""
    held = {"run": {"a": np.float32([1 + change])}, "straight": {"a": np.float32([1])}}
    monkeypatch.setattr(kills, "content", lambda folder: held[folder.name])
    monkeypatch.setattr(kills, "scores", lambda folder: [])
    assert kills._differences(pathlib.Path("run"), pathlib.Path("straight")) == said
