"""What a script found, as Markdown in its section and as JSON that can be read again."""

import argparse
import json
import sys

import pytest

from bench import results, surroundings
from bench.command_line import script_parser
from bench.results import Section, UnreadableResults, document, load, publish, record, save
from bench.tables import Table

TABLE = Table("Sorting", "sheets/s", {"ours": [1.0, 2.0, 3.0]})
SECTION = Section("Paper", [TABLE], {"Clock": "1"})


@pytest.fixture(autouse=True)
def typed(monkeypatch, tmp_path):
    """The command line of a script, and other places than those of the repository."""
    monkeypatch.setattr(sys, "argv", ["bench/paper.py", "--rounds", "3", "--record", "--json", "out.json"])
    monkeypatch.setattr(results, "RESULTS", tmp_path / "RESULTS.md")
    monkeypatch.setattr(results, "RECORDED", tmp_path / "results")
    monkeypatch.setattr(surroundings, "accelerators", lambda: [])


def test_a_document_says_what_was_measured_where_and_when():
    found = document([SECTION])
    assert found["schema"] == 1
    assert (found["script"], found["arguments"]) == ("bench/paper.py", ["--rounds", "3"])
    assert set(found["machine"]) == {"system", "processor", "cores", "memory_bytes", "gpus"}
    assert found["machine"]["cores"] >= 1 and found["machine"]["processor"]
    assert found["versions"] == {"Clock": "1"}
    assert found["tables"][0]["section"] == "Paper"
    assert found["tables"][0]["ways"][0]["values"] == [1.0, 2.0, 3.0]


def test_the_commit_is_that_of_the_repository_and_none_outside_one(monkeypatch, tmp_path):
    monkeypatch.setattr(surroundings, "ROOT", tmp_path)
    assert surroundings.commit() == {"commit": None, "modified": None}


def test_what_is_saved_is_loaded_again(tmp_path):
    save(tmp_path / "paper.json", [SECTION])
    assert load(tmp_path / "paper.json")["tables"] == document([SECTION])["tables"]
    assert [path.name for path in tmp_path.iterdir()] == ["paper.json"]


def test_record_writes_the_section_and_json_of_the_same_values(tmp_path, capsys):
    publish(argparse.Namespace(record=True, json=tmp_path / "elsewhere.json"), SECTION)
    assert "| ours | 2 | 1 to 3 |" in (tmp_path / "RESULTS.md").read_text()
    assert "`python bench/paper.py --rounds 3` on" in capsys.readouterr().out
    for path in (tmp_path / "results" / "paper.json", tmp_path / "elsewhere.json"):
        assert load(path)["tables"][0]["ways"][0]["median"] == 2.0


def test_without_record_nothing_is_written(tmp_path):
    publish(argparse.Namespace(record=False, json=None), SECTION)
    assert not list(tmp_path.iterdir())


def test_a_gpu_has_a_file_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(surroundings, "accelerators", lambda: ["A card"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    publish(argparse.Namespace(record=True, json=None), SECTION)
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["paper-gpu.json"]


def test_a_section_takes_the_place_of_the_one_before_it(tmp_path):
    path = tmp_path / "RESULTS.md"
    for text in ("## One\n\nold\n", "## Two\n\nkept\n", "## One\n\nnew\n"):
        record(text, path)
    assert path.read_text() == "# Results\n\n## One\n\nnew\n\n## Two\n\nkept\n"


def test_a_recorded_command_names_no_folder_and_no_destination(monkeypatch):
    typed = ["--record", "--json=x/y.json", "--out=/home/me/x", "a/b", "-n=1"]
    monkeypatch.setattr(sys, "argv", ["bench/paper.py", *typed])
    assert document([SECTION])["arguments"] == ["--out=DIR", "DIR", "-n=1"]


@pytest.mark.parametrize("text, reason", [
    (None, "No such file or directory; allowed is a file that a script of bench/ wrote"),
    ("{", "not JSON"),
    ("[]", "no field 'schema'"),
    ('{"schema": 99}', "schema 99; allowed is 1"),
    ('{"schema": 1}', "the file lacks script, arguments"),
])
def test_a_file_that_no_script_wrote_is_refused_in_one_line(tmp_path, text, reason):
    path = tmp_path / "given.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UnreadableResults) as refused:
        load(path)
    assert str(refused.value).startswith(f"{path}: ") and reason in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("change, reason", [
    (lambda found: found["tables"][0].pop("unit"), "a table lacks unit"),
    (lambda found: found["tables"][0]["ways"][0].pop("median"), "a way of 'Sorting' lacks median"),
    (lambda found: found["tables"][0]["ways"][0].update(values=[]), "'ours' of 'Sorting' has no values"),
])
def test_a_file_that_lacks_something_is_refused_and_what_is_named(tmp_path, change, reason):
    found = document([SECTION])
    change(found)
    path = tmp_path / "given.json"
    path.write_text(json.dumps(found))
    with pytest.raises(UnreadableResults, match=reason):
        load(path)


@pytest.mark.parametrize("line", ["--rounds 0", "--json no/such/folder/x.json", "--json x.md"])
def test_a_command_line_that_could_not_be_followed_is_refused_before_anything_is_measured(line, capsys):
    with pytest.raises(SystemExit):
        script_parser("Paper.").parse_args(line.split())
    assert "allowed is" in capsys.readouterr().err
