"""What a study is: its runs and their names, and that a mistake in one is told in a line."""

import pathlib

import pytest

from cellcycle_jax.studies import study
from configs.load import load_study
from tests.study_runs import STUDY, command, write_data, write_study

ROOT = pathlib.Path(__file__).parents[2]
KNOWN = study.Data(("DNA", "Golgi", "EB1"), ("HeLa", "NIH3T3", "RPE1"))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


def test_the_channel_study_has_all_choices_and_seeds():
    found = study.members(load_study(ROOT / "experiments/channels.py"), KNOWN)
    assert [m.name for m in found[::3]] == [
        "DNA_seed0", "Golgi_seed0", "EB1_seed0", "DNA+Golgi_seed0", "DNA+EB1_seed0", "Golgi+EB1_seed0",
        "DNA+Golgi+EB1_seed0"]
    assert len(found) == 21 and found[10].name == "DNA+Golgi_seed1" and found[10].row == "DNA+Golgi"
    assert found[10].config.data.channels == ("DNA", "Golgi") and found[10].config.seed == 1


def test_the_line_study_has_each_alone_all_but_each_and_all():
    chosen = load_study(ROOT / "experiments/cell_lines.py")
    found = study.members(chosen, KNOWN)
    assert [m.name for m in found[::3]] == ["HeLa_seed0", "NIH3T3_seed0", "RPE1_seed0", "all-but-HeLa_seed0",
                                            "all-but-NIH3T3_seed0", "all-but-RPE1_seed0", "all_seed0"]
    assert found[9].config.data.cell_lines == ("NIH3T3", "RPE1") and found[-1].row == "all"
    two = study.members(chosen, study.Data(("DNA",), ("HeLa", "RPE1")))
    assert [m.name for m in two[::3]] == ["HeLa_seed0", "RPE1_seed0", "all_seed0"]
    assert len(study.members(chosen, study.Data(("DNA",), ("HeLa",)))) == 3


def test_names_are_safe_unique_and_stable(tmp_path):
    body = "return [{'data.channels': (name,)} for name in ('a/b', 'a b', '.c', 'DNA', 'dna', 'x' * 300)]"
    found = [m.name for m in study.members(load_study(write_study(tmp_path, body)), KNOWN)]
    assert len({name.casefold() for name in found}) == 6 and found[2] == "_c" and max(map(len, found)) <= 80
    assert all(name == pathlib.PurePath(name).name and not name.startswith(".") for name in found)
    assert found == [m.name for m in study.members(load_study(write_study(tmp_path, body)), KNOWN)]


@pytest.mark.parametrize("body, words", [
    ("return [{'data.chanels': ('DNA',)}]", ["config.data.chanels: no such field", "nearest: config.data.channels"]),
    ("return [{'seed': 'one'}]", ["run 0", "config.seed='one'", "allowed: int"]),
    ("return [{'seed': 1}, {'seed': 1}]", ["seed1 twice", "runs 0 and 1"]),
    ("return []", ["gives no run"]),
    ("return [3]", ["run 0", "is int"]),
    ("return data.colours", ["line 17", "colours"]),
    ("return [{'seed': -1}]", ["config.seed=-1"]),
    ("return [{'data.channels': ('CENPF',)}]", ["CENPF", "never shown"]),
    ("return [{'data.channels': ()}, {'data.channels': data.channels}]", ["DNA+Golgi twice", "runs 0 and 1"]),
    ("return [{'data.cell_lines': lines} for lines in (('HeLa',), ('RPE1', 'HeLa'), ())]", ["runs 1 and 2"]),
])
def test_a_mistake_in_a_study_is_one_line(capsys, data_dir, tmp_path, body, words):
    path = write_study(tmp_path, body)
    code, said = command(capsys, f"--config={path}", f"--data={data_dir}", f"--workdir={tmp_path}/out")
    assert code == 2 and len(said.err.strip().splitlines()) == 1
    for word in words:
        assert word in said.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text, words", [
    ("from configs.default import get_config", "has no sweep(data)"),
    ("from configs.default import get_config\n\ndef sweep(data): return []", "has no TABLE"),
    (STUDY.format(sweep="return []", table="rows='x', scores=('auc',)"), "'auc' is no score"),
    (STUDY.format(sweep="return []", table="rows='x', columns='wells'"), "allowed: scores, cell lines"),
])
def test_a_file_that_is_no_study_is_one_line(capsys, tmp_path, text, words):
    (tmp_path / "mine.py").write_text(text)
    code, said = command(capsys, f"--config={tmp_path}/mine.py", f"--data={tmp_path}", f"--workdir={tmp_path}/out")
    assert code == 2 and len(said.err.strip().splitlines()) == 1 and words in said.err
