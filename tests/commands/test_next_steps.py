"""What each command says to type next."""

import pytest

from tests.typed_commands import ROOT, commands_that_do_nothing, typed


@pytest.mark.parametrize("command, flags, words", [
    ("simulate", ["--out={0}/mine"], "next: python launch.py prepare --config=configs/data/simulated.py "
                                     "--fields={0}/mine --out=data/mine"),
    ("prepare", ["--config=configs/data/simulated.py", "--fields={0}", "--out={0}/mine"],
     "look at {0}/mine/qc, then: python launch.py train --config=configs/default.py --data={0}/mine "
     "--workdir=runs/mine"),
    ("train", ["--config=configs/default.py", "--data={0}", "--workdir={0}/r"],
     "next: python launch.py evaluate --workdir={0}/r"),
    ("evaluate", ["--workdir={0}"], "next: python launch.py explain --workdir={0}"),
    ("evaluate", ["--workdir={0}", "--final"], "next: python launch.py report --workdir={0}"),
    ("explain", ["--workdir={0}"], "next: python launch.py discover --workdir={0}"),
    ("discover", ["--workdir={0}"], "next: python launch.py report --workdir={0}"),
    ("report", ["--workdir={0}"], "open {0}/report.html"),
    ("predict", ["--fields={0}", "--out={0}/p"], "look at {0}/p/overlays"),
])
def test_each_command_ends_with_the_next_one_to_type(capsys, monkeypatch, tmp_path, command, flags, words):
    commands_that_do_nothing(monkeypatch)
    code, said = typed(capsys, command, *(flag.format(tmp_path) for flag in flags))
    assert code == 0 and words.format(tmp_path) in said.out


def test_from_another_folder_defaults_are_found_and_the_next_command_can_be_typed_there(capsys, monkeypatch, tmp_path):
    commands_that_do_nothing(monkeypatch)
    monkeypatch.chdir(tmp_path)
    code, said = typed(capsys, "prepare", "--config=configs/data/simulated.py", f"--fields={tmp_path}", "--out=mine")
    assert code == 0 and f"python {ROOT}/launch.py train" in said.out
