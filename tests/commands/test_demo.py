"""`demo` replaces what a demo made and nothing else."""

import pytest

import launch
from tests.typed_commands import ROOT, typed, write_all

DEMO_FILES = ["fields/simulation.json", "data/provenance.json", "run/config.json"]


def demo(capsys, monkeypatch, out, *flags):
    """`demo` with commands that do nothing and leave nothing."""
    really = launch.run_command

    def pretend(arguments):
        return really(arguments) if arguments.command == "demo" else 0

    monkeypatch.setattr(launch, "run_command", pretend)
    monkeypatch.chdir(ROOT)
    return typed(capsys, "demo", f"--out={out}", *flags)


@pytest.mark.parametrize("data", ["data/provenance.json", "data/tfds/cells/x", "data/.work-1/x"])
def test_a_demo_is_replaced_only_when_asked(capsys, monkeypatch, tmp_path, data):
    write_all(tmp_path, ["fields/simulation.json", data])
    (tmp_path / "run").mkdir()
    code, said = demo(capsys, monkeypatch, tmp_path)
    assert code == 2 and "--overwrite" in said.err and (tmp_path / data).exists()
    assert demo(capsys, monkeypatch, tmp_path, "--overwrite")[0] == 0
    assert not any((tmp_path / name).exists() for name in (DEMO_FILES[0], data, "run"))


@pytest.mark.parametrize("foreign", ["fields", "data", "run"])
def test_overwriting_a_demo_leaves_folders_of_others(capsys, monkeypatch, tmp_path, foreign):
    write_all(tmp_path, [name for name in DEMO_FILES if not name.startswith(foreign)] + [f"{foreign}/thesis.txt"])
    code, said = demo(capsys, monkeypatch, tmp_path, "--overwrite")
    assert code == 2 and f"{tmp_path / foreign}: not made by a demo" in said.err
    assert len([p for p in tmp_path.rglob("*") if p.is_file()]) == 3
