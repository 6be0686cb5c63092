"""A seeded sample of the loops that `make soak` runs in full: kills, Ctrl-C, full disks, damaged files."""

import collections
import math
import pathlib
import re

import numpy as np
import pytest

from tests import full_disks, interrupts, mutations, prepare_kills, small_way

slow = pytest.mark.slow


@slow
def test_a_data_set_whose_making_was_killed_is_that_of_an_undisturbed_command(tmp_path):
    failures, made = prepare_kills.kills(tmp_path, seed=0, count=3)
    assert failures == [] and made >= 1


@slow
def test_ctrl_c_ends_commands_and_they_go_on(tmp_path):
    commands = ("prepare", "train", "evaluate", "report")
    # How promptly is a matter of `make soak`: on a busy machine it says nothing of the command.
    failures, ends, _ = interrupts.interrupts(tmp_path, seed=0, count=4, commands=commands, prompt_s=math.inf)
    assert failures == [] and ends["was done already"] < 4


@slow
def test_a_full_disk_is_one_line_and_the_command_goes_on_with_room(tmp_path):
    if not full_disks.possible():
        pytest.skip("no name space of one's own here, in which a small disk could be made")
    failures, met = full_disks.full_disks(tmp_path, seed=0, count=4, commands=("prepare", "train", "simulate"))
    assert failures == [] and met >= 2


@slow
def test_damaged_files_are_refused_or_change_nothing(tmp_path):
    failures, codes = mutations.mutations(tmp_path, seed=0, count=18)
    assert failures == [] and codes["5"] >= 5


@pytest.mark.parametrize("code, running, said, took, harm", [
    (130, True, "train: stopped by Ctrl-C", 0.3, None),
    (130, True, "train: stopped after step 3, state saved\n", 9.0, None),
    (130, True, "train: stopped by Ctrl-C", 2.5, "took 2.5 s to end"),
    (130, True, "Traceback (most recent call last)", 0.3, "a traceback, code 130"),
    (1, True, "x", 0.3, "ends with 1: ['x']"),
    (0, True, "", 9.0, None),
    (130, False, "", 0.1, "130 without Ctrl-C"),
])
def test_what_counts_as_harm_of_ctrl_c(code, running, said, took, harm):
    assert interrupts._judged(code, running, said, took, prompt_s=2.0)[1] == harm


@pytest.mark.parametrize("code, said, harm", [
    (5, "evaluate: cells.parquet: damaged", None),
    (5, "something", "5 without a line"),
    ("KeyError", "KeyError: x", "ends with KeyError: KeyError: x"),
    (0, "", "another result, without a word"),
])
def test_what_counts_as_harm_of_damage(tmp_path, code, said, harm):
    for name, text in (("straight", "1"), ("turn", "2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result").write_text(text)
    found = mutations._harm(code, said, (5,), "result", small_way.places(tmp_path / "straight"), tmp_path / "turn")
    assert found == harm


def test_damage_changes_a_file_in_every_way(tmp_path):
    rng, kinds, path = np.random.default_rng(0), collections.Counter(), tmp_path / "a"
    for _ in range(60):
        path.write_bytes(bytes(range(1, 201)))
        kinds[re.sub(r"\d+", "", mutations.damage(path, rng))] += 1
        assert path.read_bytes() != bytes(range(1, 201))
    assert len(kinds) == 4


def test_another_record_of_a_data_set_is_noticed(tmp_path, monkeypatch):
    """So the kills above can fail."""
    monkeypatch.setattr(prepare_kills, "_cells", lambda data, split: "")
    for name, text in (("a", "1"), ("b", "2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cells.parquet").write_text(text)
        (tmp_path / name / ".lock").write_text(name)
    one, other = (prepare_kills._contents(pathlib.Path(tmp_path / name)) for name in "ab")
    assert {key for key in one if one[key] != other[key]} == {"cells.parquet"}
