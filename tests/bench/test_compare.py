"""Two files of results side by side: what counts as slower, and what is refused."""

import copy
import json
import pathlib
import subprocess
import sys

import pytest

from bench import compare
from bench.compare import BETTER, SAME, UNDECIDED, WORSE, change_of, report

ROOT = pathlib.Path(__file__).parents[2]


def way(name, *values):
    return {"way": name, "on": "", "values": list(values), "median": sorted(values)[len(values) // 2]}


def table(*ways, **changed):
    return {"section": "Paper", "title": "Sorting", "unit": "sheets/s", "larger_is_better": True, "exact": False,
            "reference": "peer", "left_out": {}, "ways": list(ways)} | changed


def results(*tables, **changed):
    return {"schema": 1, "script": "bench/paper.py", "arguments": [], "commit": "0123456789abcdef", "modified": False,
            "date": "2026-01-01T00:00:00+00:00", "versions": {"Clock": "1"}, "tables": list(tables),
            "machine": {"system": "Linux", "processor": "P", "cores": 2, "memory_bytes": 100, "gpus": []}} | changed


@pytest.mark.parametrize("old, new, larger_is_better, word, reason", [
    ([10, 11, 12], [7, 8, 9], True, WORSE, "0.73 x (at most 0.90 x)"),
    ([10, 11, 12], [13, 22, 23], True, BETTER, "2.00 x (at least 1.08 x)"),
    ([10, 11, 12], [9, 9.5, 10], True, UNDECIDED, "rounds overlap"),
    ([10, 11, 12], [7, 8, 9], False, BETTER, "1.38 x (at least 1.11 x)"),
    ([10, 11, 12], [15, 22, 23], False, WORSE, "0.50 x (at most 0.80 x)"),
    ([10], [1], True, UNDECIDED, "one round has no range"),
    ([10, 11], [1, 2], None, UNDECIDED, "it only describes"),
    ([-2, -1], [1, 2], False, WORSE, ""),
])
def test_slower_is_only_what_lies_beyond_the_range_of_the_rounds(old, new, larger_is_better, word, reason):
    change = change_of(old, new, larger_is_better, exact=False)
    assert (change.word, change.reason) == (word, reason)


def test_scores_and_counts_differ_where_they_are_not_equal():
    assert change_of([0.5], [0.5], True, exact=True).word == SAME
    assert change_of([0.5], [0.25], True, exact=True).word == WORSE
    assert change_of([3], [0], False, exact=True).word == BETTER


def test_the_report_marks_what_got_slower_and_sums_it_up():
    old = results(table(way("peer", 10, 10, 10), way("ours", 20, 21, 22)))
    new = results(table(way("peer", 10, 10, 10), way("ours", 15, 16, 17)))
    text = report(old, new, as_ratios=False)
    assert "| ours | 21 | 20 to 22 | 16 | 15 to 17 | **slower** 0.76 x (at most 0.85 x) |" in text
    assert "slower: ours (Paper: Sorting)" in text
    assert "faster: none beyond the range of the rounds" in text
    assert "differ" not in text


def test_on_another_machine_the_ratios_to_the_reference_are_compared():
    """Half the speed on half the machine is no change; ours alone at half the speed is."""
    old = results(table(way("peer", 10, 20), way("ours", 30, 60), way("other", 10, 20)))
    slow = results(table(way("peer", 5, 10), way("ours", 15, 30), way("other", 2.5, 5)))
    slow["machine"]["processor"] = "Q"
    text = report(old, slow, as_ratios=False)
    assert "machines differ: processor: P then, Q now" in text
    assert "Absolute figures of different machines do not compare" in text
    assert "| ours | 3 | 3 to 3 | 3 | 3 to 3 | - rounds overlap |" in text
    assert "slower: other (Paper: Sorting)" in text


def test_versions_and_arguments_that_differ_are_told():
    new = results(table(way("peer", 10, 20)), versions={"Clock": "2"}, arguments=["--rounds", "3"])
    text = report(results(table(way("peer", 10, 20))), new, as_ratios=False)
    assert "versions differ: Clock: 1 then, 2 now" in text
    assert "arguments differ: '' then, '--rounds 3' now" in text


def test_a_little_more_memory_is_the_same_machine():
    old = results()
    new = copy.deepcopy(old)
    new["machine"]["memory_bytes"] = 102
    assert compare.machines_differ(old, new) == []
    new["machine"]["memory_bytes"] = 200
    assert compare.machines_differ(old, new) == ["memory_bytes: 100 then, 200 now"]


def test_ways_and_tables_that_are_in_one_file_only_are_listed():
    old = results(table(way("peer", 1, 2), way("gone", 1, 2)), table(way("peer", 1, 2), title="Folding"))
    new = results(table(way("peer", 1, 2), way("come", 1, 2), left_out={"gone": "no paper"}))
    text = report(old, new, as_ratios=False)
    assert "Only in the old file: gone (left out of the other: no paper)" in text
    assert "Only in the new file: come" in text
    assert "Only in the old file: Paper: Folding" in text


def test_without_the_reference_in_both_no_ratio_is_made_up():
    text = report(results(table(way("peer", 1, 2))), results(table(way("ours", 1, 2))), as_ratios=True)
    assert "'peer', which ratios are taken to, is not in both files" in text


def typed(*arguments):
    return subprocess.run([sys.executable, "bench/compare.py", *map(str, arguments)], cwd=ROOT, capture_output=True,
                          text=True)


def test_the_command_prints_the_report(tmp_path):
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    for path in paths:
        path.write_text(json.dumps(results(table(way("peer", 1, 2), way("ours", 1, 2)))))
    done = typed(*paths)
    assert done.returncode == 0, done.stderr
    assert "| ours | 1.5 | 1 to 2 | 1.5 | 1 to 2 | - rounds overlap |" in done.stdout


def test_bad_input_is_one_line_and_an_exit_code(tmp_path):
    good = tmp_path / "good.json"
    good.write_text(json.dumps(results()))
    other = tmp_path / "other.json"
    other.write_text(json.dumps(results(script="bench/other.py")))
    for files, reason in [((tmp_path / "none.json", good), "none.json: No such file or directory; allowed is"),
                          ((good, other), "other.json: of bench/other.py; allowed is one of bench/paper.py")]:
        done = typed(*files)
        assert done.returncode == 1
        assert reason in done.stderr and done.stderr.count("\n") == 1
        assert done.stdout == ""
