"""That a test split was opened is not forgotten when fields are dealt out anew."""

import pytest

from cellcycle_jax import files, openings

FIRST = {"a": ["train"], "b": ["train"], "c": ["validation"], "d": ["test"], "e": ["test"]}


def test_openings_are_read_back_in_order_with_the_splits_of_their_time(tmp_path):
    assert openings.read(tmp_path) == []
    openings.add(tmp_path, "run1", 30, FIRST)
    openings.add(tmp_path, "run2", 60, FIRST)
    openings.add(tmp_path, "run2", 60, {"a": ["test"]})
    found = openings.read(tmp_path)
    assert [(one["run_id"], one["step"]) for one in found] == [("run1", 30), ("run2", 60), ("run2", 60)]
    assert [one["splits_of_pictures"] for one in found] == [FIRST, FIRST, {"a": ["test"]}]
    stored = files.read_json_lines(tmp_path / "openings.jsonl")
    assert ["splits_of_pictures" in line for line in stored] == [True, False, True]


def test_how_often_and_by_how_many_runs_is_said(tmp_path):
    assert openings.in_words([]) == []
    openings.add(tmp_path, "run1", 30, FIRST)
    [said] = openings.in_words(openings.read(tmp_path))
    assert said.startswith("The test split in this folder was opened once before, by one run, last on 2")
    openings.add(tmp_path, "run1", 30, FIRST)
    openings.add(tmp_path, "run2", 30, FIRST)
    [said] = openings.in_words(openings.read(tmp_path))
    assert "opened 3 times before, by 2 runs" in said


def test_fields_that_were_dealt_out_anew_are_counted(tmp_path):
    openings.add(tmp_path, "run1", 30, FIRST)
    anew = {"a": ["test"], "b": ["train"], "c": ["test"], "d": ["train"], "e": ["test"], "new": ["test"]}
    said = openings.carried_on(tmp_path, anew)
    assert len(said) == 2 and said[1] == (
        "Since then its fields were dealt out anew: 1 that were test fields are in train or validation now, and 2 of 4 "
        "test fields were in train or validation then."
    )


@pytest.mark.parametrize("now", [FIRST, {"new": ["test"], "d": ["test"]}])
def test_where_nothing_changed_sides_no_more_is_said_than_that_it_was_opened(tmp_path, now):
    openings.add(tmp_path, "run1", 30, FIRST)
    assert len(openings.carried_on(tmp_path, now)) == 1
    assert openings.carried_on(tmp_path / "other", now) == []


def test_a_data_set_that_cannot_be_written_to_opens_all_the_same(tmp_path, capsys):
    openings.add(tmp_path / "gone", "run1", 30, FIRST)
    assert "gone/openings.jsonl: the opening of the test split is not written down" in capsys.readouterr().err


def test_a_line_that_was_cut_off_loses_no_other(tmp_path):
    openings.add(tmp_path, "run1", 30, FIRST)
    with open(tmp_path / "openings.jsonl", "a") as file:
        file.write('{"time": "2031')
    openings.add(tmp_path, "run2", 60, FIRST)
    assert [one["run_id"] for one in openings.read(tmp_path)] == ["run1", "run2"]
