"""The command line as a user meets it: help, one-line errors, documented exit codes."""

import errno
import os
import pathlib
import subprocess
import sys

import pytest

import launch
from cellcycle_jax.errors import UsageError
from commands.command_table import COMMANDS
from configs import base
from configs.load import fields, load
from tests.typed_commands import CONFIG, typed, write_all

ROOT = pathlib.Path(__file__).parents[1]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(capsys, command):
    code, said = typed(capsys, command, "--help")
    assert code == 0
    for flag in COMMANDS[command].flags:
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
    got, said = typed(capsys, *arguments)
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
             "--config.train.balance_classes=false", "--config.train.steps=7"]
    config = load(ROOT / "configs/default.py", given)
    assert config.data.channels == ("DNA", "Golgi") and config.optimizer.learning_rate == 1.0
    assert config.train.balance_classes is False and config.train.steps == 7
    assert load(ROOT / "configs/default.py", ["--config.data.channels=('DNA',)"]).data.channels == ("DNA",)
    assert load(ROOT / "configs/default.py", ["--config.data.channels=DNA"]).data.channels == ("DNA",)


@pytest.mark.parametrize("text, names", [("405,488", ("405", "488")), ("(405, 'GFP')", ("405", "GFP")),
                                         ("01,02", ("01", "02")), ("405", ("405",)), ("1.5,2", ("1.5", "2")),
                                         ("True,False", ("True", "False")), ("'GFP', 'DNA'", ("GFP", "DNA")),
                                         ("GFP, DNA", ("GFP", "DNA"))])
def test_names_that_are_numbers_are_texts(text, names):
    config = load(ROOT / "configs/data/nf1.py", [f"--config.channels.stains={text}"], base.preparation)
    assert config.channels.stains == names


@pytest.mark.parametrize("kind, field, value, allowed", [
    (base.training, "data.channels", "([1],)", "texts"),
    (base.training, "data.cell_lines", "(1.5,)", "texts"),
    (base.preparation, "split.fractions", "('a',1,2)", "numbers"),
    (base.simulation, "cells_per_field", "('a',1)", "numbers"), (base.simulation, "nuisance.blur_um", "a,b", "numbers"),
])
def test_elements_of_another_type_are_refused(kind, field, value, allowed):
    path = {base.training: "default.py", base.preparation: "data/nf1.py", base.simulation: "simulate.py"}[kind]
    with pytest.raises(UsageError, match=f"config.{field}.*allowed: {allowed}"):
        load(ROOT / "configs" / path, [f"--config.{field}={value}"], kind)


NO_CONFIGS = ("__init__", "base", "load", "old_fields")


def config_files():
    return [p for p in sorted((ROOT / "configs").rglob("*.py")) if p.stem not in NO_CONFIGS]


@pytest.mark.parametrize("path", config_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_config_files_change_fields_of_base_and_add_none(path):
    found = fields(load(path))
    kinds = [fields(make()) for make in (base.simulation, base.preparation, base.training)]
    assert any(found.keys() == kind.keys() for kind in kinds)


@pytest.mark.parametrize("kind, line, words", [
    ("preparation", "c.labels.metod = 'marker'",
     ["line 5", "config.labels.metod: no such field; nearest: config.labels.method"]),
    ("preparation", "c.fase.method = 'marker'", ["line 5", "fase", "nearest: config.labels.method"]),
    ("preparation", "c.labels.abstain = 'low'", ["line 5", "abstain", "float"]),
    ("preparation", "c.labels.abstain = = 1", ["line 5", "invalid syntax"]),
    ("preparation", "import no_such_package", ["line 5", "no_such_package"]),
    ("preparation", "return 1 / 0", ["line 5", "ZeroDivisionError"]),
    ("preparation", "return 3", ["get_config() returns int"]),
    ("preparatoin", "", ["line 4", "preparatoin"]),
    ("training", "", ["base.training()", "needs one of base.preparation()"]),
    ("preparation", "c.unlock(); c.colour = 1", ["config.colour: no such field"]),
    ("preparation", "c.unlock(); del c.labels.abstain", ["config.labels.abstain: is missing"]),
])
def test_a_mistake_inside_a_config_file_is_one_line_with_its_place(capsys, tmp_path, kind, line, words):
    path = tmp_path / "mine.py"
    path.write_text(CONFIG.format(kind, line))
    code, said = typed(capsys, "prepare", f"--config={path}", "--fields=nowhere", f"--out={tmp_path}/out")
    assert code == 2 and len(said.err.strip().splitlines()) == 1
    for word in [str(path), *words]:
        assert word in said.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command, config", [("train", "data/simulated"), ("prepare", "default"),
                                             ("simulate", "default")])
def test_a_config_of_another_command_is_refused(capsys, tmp_path, monkeypatch, command, config):
    monkeypatch.chdir(ROOT)
    flags = {"train": ["--data=tests", f"--workdir={tmp_path}"], "prepare": ["--fields=tests", f"--out={tmp_path}"],
             "simulate": [f"--out={tmp_path}"]}[command]
    code, said = typed(capsys, command, f"--config=configs/{config}.py", *flags)
    assert code == 2 and "this command needs one of base." in said.err and not list(tmp_path.iterdir())


@pytest.mark.parametrize("number, code, words", [
    (errno.ENOSPC, 7, "out.txt: the disk is full"), (errno.EACCES, 2, "out.txt: cannot be used"),
    (errno.EROFS, 2, "Read-only file system"), (errno.ENOTDIR, 2, "Not a directory"), (errno.EEXIST, 2, "File exists"),
])
def test_what_the_disk_refuses_is_one_line_and_anything_else_stays_a_bug(capsys, monkeypatch, number, code, words):
    def fail(number):
        raise OSError(number, os.strerror(number), "out.txt")

    monkeypatch.setattr(launch, "run_command", lambda arguments: fail(number))
    found, said = typed(capsys, "report", "--workdir=run")
    assert found == code and words in said.err and len(said.err.strip().splitlines()) == 1
    monkeypatch.setattr(launch, "run_command", lambda arguments: fail(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        launch.main(["report", "--workdir=run"])


def test_a_file_in_the_place_of_the_run_folder_is_refused_before_any_compute(capsys, tmp_path, monkeypatch):
    from cellcycle_jax.training import loop

    monkeypatch.setattr(loop, "_train", lambda *_: pytest.fail("computed"))
    (tmp_path / "file").write_text("mine")
    for workdir in (tmp_path / "file", tmp_path / "file" / "run"):
        code, said = typed(capsys, "train", f"--config={ROOT}/configs/default.py", f"--data={tmp_path}",
                         f"--workdir={workdir}")
        assert code == 2 and str(tmp_path / "file") in said.err and len(said.err.strip().splitlines()) == 1
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("words, said", [
    (["prepair"], "no such command; nearest: prepare"),
    (["evaluate", "--workdr=x"], "--workdr=x: evaluate takes no such flag; nearest: --workdir"),
    (["train", "--config=configs/default.py", "--data=x", "--workdir=x", "--config.train.step=5"], "train.steps"),
    (["train", "--config=configs/default.py", "--data=", "--workdir=x"], "--data= is empty; write a value behind it"),
    (["evaluate", "x"], "x: evaluate takes no such argument; flags are written --name=value"),
    (["--verison"], "--verison: no such flag; nearest: --version"),
    (["--fields=x", "prepare"], "--fields=x: flags stand behind the command: launch.py prepare --fields=x"),
    (["demo", "--config.x=1"], "demo takes no config; it has configs of its own"),
    (["evaluate", "--workdir=x", "--config.train.steps=5"], "evaluate takes no config; it works with that of the run"),
    ([], "name a command: simulate, prepare"),
])
def test_what_is_mistyped_is_answered_with_the_nearest(capsys, monkeypatch, words, said):
    monkeypatch.chdir(ROOT)
    code, told = typed(capsys, *words)
    assert code == 2 and said in told.err and len(told.err.strip().splitlines()) == 1


def test_versions_are_said(capsys):
    import jax

    code, said = typed(capsys, "--version")
    assert code == 0 and f"jax {jax.__version__}" in said.out and f"Python {sys.version_info[0]}" in said.out


def test_every_field_of_base_says_what_it_means():
    for line in (ROOT / "configs/base.py").read_text().splitlines():
        if line.strip().startswith("c.") and "Config()" not in line:
            assert "#" in line, line


def predictions(folder):
    """A folder with what finished predictions leave, and an overlay."""
    write_all(folder, ["predict.json", "cells.parquet", "overlays/a.png"])
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_predictions_stay_until_there_are_new_ones(capsys, tmp_path):
    before = predictions(tmp_path / "out")
    code, said = typed(capsys, "predict", f"--fields={tmp_path}/typo", f"--out={tmp_path}/out", "--overwrite")
    assert code == 3 and "no such folder" in said.err
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


def test_data_sets_and_predictions_do_not_share_a_folder(capsys, tmp_path):
    predictions(tmp_path / "predicted")
    write_all(tmp_path / "data", ["provenance.json", "cells.parquet"])
    (tmp_path / "fields").mkdir()
    code, said = typed(capsys, "predict", f"--fields={tmp_path}/fields", f"--out={tmp_path}/data", "--overwrite")
    assert code == 2 and "holds a data set" in said.err
    code, said = typed(capsys, "prepare", "--config=configs/data/simulated.py", f"--fields={tmp_path}/fields",
                     f"--out={tmp_path}/predicted", "--overwrite")
    assert code == 2 and "holds predictions" in said.err


def test_an_output_whose_name_is_no_text_is_refused_before_the_work(capsys):
    code, said = typed(capsys, "simulate", "--out=/tmp/M\udcfc")
    assert code == 2 and "/tmp/M\\udcfc: the name is no UTF-8" in said.err
