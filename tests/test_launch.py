"""The command line as a user meets it: help, one-line errors, documented exit codes."""

import pathlib
import subprocess
import sys

import pytest

import launch
from configs import base
from configs.load import fields, load

ROOT = pathlib.Path(__file__).parents[1]


def run(capsys, *arguments):
    try:
        code = launch.main(list(arguments))
    except SystemExit as stop:
        code = stop.code
    return code, capsys.readouterr()


@pytest.mark.parametrize("command", launch.COMMANDS)
def test_every_command_explains_itself(capsys, command):
    code, said = run(capsys, command, "--help")
    assert code == 0
    for flag in launch.COMMANDS[command][1]:
        assert f"--{flag}" in said.out


@pytest.mark.parametrize("arguments, code, words", [
    (["simulate", "--out=x", "--config.efects.marker=0"], 2, ["config.efects.marker", "effects.marker"]),
    (["simulate", "--out=x", "--config.fields_per_line=many"], 2, ["fields_per_line", "many", "int"]),
    (["simulate", "--out=x", "--config.nuisance.touching=7"], 2, ["touching", "7"]),
    (["simulate", "--out=x", "--config=nowhere.py"], 2, ["nowhere.py"]),
    (["simulate", "--out=x", "--fields=y"], 2, ["--fields=y"]),
    (["prepare", "--config=configs/data/simulated.py", "--fields=nowhere", "--out=x"], 3, ["nowhere"]),
    (["train", "--config=configs/default.py", "--data=nowhere", "--workdir=x"], 3, ["--data=nowhere"]),
    (["evaluate", "--workdir=nowhere"], 3, ["nowhere"]),
    (["evaluate", "--workdir=tests"], 5, ["tests", "launch.py train"]),
    (["report", "--workdir=tests"], 5, ["tests"]),
    (["evaluate", "--workdir=tests", "--finale"], 2, ["--finale"]),
])
def test_mistakes_end_with_one_line_and_the_documented_code(capsys, tmp_path, monkeypatch, arguments, code, words):
    monkeypatch.chdir(ROOT)
    arguments = [a.replace("=x", f"={tmp_path}/x") if a in ("--out=x", "--workdir=x") else a for a in arguments]
    got, said = run(capsys, *arguments)
    assert got == code
    assert len(said.err.strip().splitlines()) == 1
    for word in words:
        assert word in said.err


def test_a_config_mistake_is_told_fast_and_without_jax(tmp_path):
    script = "import launch, sys; code = launch.main(sys.argv[1:]); print(code, 'jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script, "train", "--config=configs/default.py", "--data=x",
                           f"--workdir={tmp_path}", "--config.train.step=5"], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["2", "False"]
    assert "nearest: config.train.steps" in done.stderr


def test_values_take_the_type_of_the_default():
    given = ["--config.data.channels=DNA,Golgi", "--config.optimizer.learning_rate=1",
             "--config.train.balance=false", "--config.train.steps=7"]
    config = load(ROOT / "configs/default.py", given)
    assert config.data.channels == ("DNA", "Golgi") and config.optimizer.learning_rate == 1.0
    assert config.train.balance is False and config.train.steps == 7
    assert load(ROOT / "configs/default.py", ["--config.data.channels=('DNA',)"]).data.channels == ("DNA",)
    assert load(ROOT / "configs/default.py", ["--config.data.channels=DNA"]).data.channels == ("DNA",)


def config_files():
    return [p for p in sorted((ROOT / "configs").rglob("*.py")) if p.stem not in ("__init__", "base", "load")]


@pytest.mark.parametrize("path", config_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_config_files_change_fields_of_base_and_add_none(path):
    found = fields(load(path))
    kinds = [fields(make()) for make in (base.simulation, base.preparation, base.training)]
    assert any(found.keys() == kind.keys() for kind in kinds)


def test_every_field_of_base_says_what_it_means():
    for line in (ROOT / "configs/base.py").read_text().splitlines():
        if line.strip().startswith("c.") and "ConfigDict()" not in line:
            assert "#" in line, line
