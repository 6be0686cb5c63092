"""The command line as a user meets it: help, one-line errors, documented exit codes."""

import errno
import os
import pathlib
import subprocess
import sys

import pytest

import launch
from cellcycle_jax import files
from cellcycle_jax.errors import UsageError
from commands.run import MADE
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


CONFIG = """from configs import base

def get_config():
    c = base.{}()
    {}
    return c
"""


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
    code, said = run(capsys, "prepare", f"--config={path}", "--fields=nowhere", f"--out={tmp_path}/out")
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
    code, said = run(capsys, command, f"--config=configs/{config}.py", *flags)
    assert code == 2 and "this command needs one of base." in said.err and not list(tmp_path.iterdir())


@pytest.mark.parametrize("number, code, words", [
    (errno.ENOSPC, 7, "out.txt: the disk is full"), (errno.EACCES, 2, "out.txt: cannot be used"),
    (errno.EROFS, 2, "Read-only file system"), (errno.ENOTDIR, 2, "Not a directory"), (errno.EEXIST, 2, "File exists"),
])
def test_what_the_disk_refuses_is_one_line_and_anything_else_stays_a_bug(capsys, monkeypatch, number, code, words):
    def fail(number):
        raise OSError(number, os.strerror(number), "out.txt")

    monkeypatch.setitem(launch.COMMANDS, "report", (lambda arguments: fail(number), {}))
    found, said = run(capsys, "report")
    assert found == code and words in said.err and len(said.err.strip().splitlines()) == 1
    monkeypatch.setitem(launch.COMMANDS, "report", (lambda arguments: fail(errno.EIO), {}))
    with pytest.raises(OSError, match="Input/output error"):
        launch.main(["report"])


def test_a_file_in_the_place_of_the_run_folder_is_refused_before_any_compute(capsys, tmp_path, monkeypatch):
    from cellcycle_jax.training import loop

    monkeypatch.setattr(loop, "_train", lambda *_: pytest.fail("computed"))
    (tmp_path / "file").write_text("mine")
    for workdir in (tmp_path / "file", tmp_path / "file" / "run"):
        code, said = run(capsys, "train", f"--config={ROOT}/configs/default.py", f"--data={tmp_path}",
                         f"--workdir={workdir}")
        assert code == 2 and str(tmp_path / "file") in said.err and len(said.err.strip().splitlines()) == 1
    assert (tmp_path / "file").read_text() == "mine"


DEMO_FILES = ["fields/simulation.json", "data/provenance.json", "run/config.json"]


def demo(capsys, monkeypatch, out, *flags):
    """`demo` with steps that do nothing."""
    for command in set(launch.COMMANDS) - {"demo"}:
        flags_of = launch.COMMANDS[command][1]
        monkeypatch.setitem(launch.COMMANDS, command, (lambda arguments: 0, flags_of))
    monkeypatch.chdir(ROOT)
    return run(capsys, "demo", f"--out={out}", *flags)


def write_all(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")


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


def steps_that_do_nothing(monkeypatch, code=lambda command: 0):
    """The commands that are given, in a list; each leaves the file that shows its work and returns `code(command)`."""
    done = []
    for command in set(launch.COMMANDS) - {"demo", "run"}:
        def step(arguments, command=command):
            done.append(command)
            if command in MADE:
                folder = pathlib.Path(vars(arguments).get("workdir") or arguments.out)
                made = folder / pathlib.Path(*pathlib.Path(MADE[command]).parts[1:])
                made.parent.mkdir(parents=True, exist_ok=True)
                made.touch()
            return code(command)

        monkeypatch.setitem(launch.COMMANDS, command, (step, launch.COMMANDS[command][1]))
    monkeypatch.chdir(ROOT)
    return done


WHOLE = ["prepare", "train", "evaluate", "explain", "discover", "report"]


def whole_way(capsys, tmp_path, *flags, config="configs/data/simulated.py"):
    (tmp_path / "fields").mkdir(exist_ok=True)
    return run(capsys, "run", f"--config={config}", f"--fields={tmp_path}/fields", f"--out={tmp_path}/out", *flags)


def test_run_does_every_command_once_and_goes_on_where_it_stopped(capsys, monkeypatch, tmp_path):
    done = steps_that_do_nothing(monkeypatch, lambda command: 6 if command == "train" else 0)
    code, said = whole_way(capsys, tmp_path)
    assert code == 6 and done == WHOLE[:2] and "report.html" not in said.out
    done = steps_that_do_nothing(monkeypatch)
    code, said = whole_way(capsys, tmp_path)
    assert code == 0 and done == WHOLE[1:] and f"open {tmp_path}/out/run/report.html" in said.out
    assert f"$ python launch.py evaluate --workdir={tmp_path}/out/run" in said.out and "next:" not in said.out
    done = steps_that_do_nothing(monkeypatch)
    assert whole_way(capsys, tmp_path)[0] == 0 and done == []


@pytest.mark.parametrize("command", WHOLE)
def test_run_does_again_what_is_gone_and_all_that_follows(capsys, monkeypatch, tmp_path, command):
    steps_that_do_nothing(monkeypatch)
    whole_way(capsys, tmp_path)
    (tmp_path / "out" / MADE[command]).unlink()
    done = steps_that_do_nothing(monkeypatch)
    assert whole_way(capsys, tmp_path)[0] == 0 and done == WHOLE[WHOLE.index(command):]


def test_run_goes_on_with_more_workers_another_spelling_and_a_record_of_an_earlier_version(
    capsys, monkeypatch, tmp_path
):
    steps_that_do_nothing(monkeypatch)
    whole_way(capsys, tmp_path)
    state = tmp_path / "out" / "run.json"
    kept = files.read_json(state)
    del kept["asked"]["preparation"]["projection"], kept["asked"]["training"]["data"]["placement"]
    files.write_json(state, kept)
    done = steps_that_do_nothing(monkeypatch)
    code, said = whole_way(capsys, tmp_path, "--config.workers=1", f"--fields={tmp_path}/out/../fields")
    assert (code, done) == (0, []), said.err


@pytest.mark.parametrize("line, words", [
    ("c.model.filters = 0", "config.model.filters=0"), ("c.model.depth = 8", "config.model.depth=8 halves crops of"),
    ("c.data.channels = ('CENPF',)", "'CENPF' labels the cells"), ("c.data.chanels = 1", "--training="),
])
def test_run_checks_the_training_before_it_prepares(capsys, monkeypatch, tmp_path, line, words):
    (tmp_path / "mine.py").write_text(CONFIG.format("training", line))
    done = steps_that_do_nothing(monkeypatch)
    code, said = whole_way(capsys, tmp_path, f"--training={tmp_path}/mine.py")
    assert code == 2 and words in said.err and done == [] and "open" not in said.out


def test_run_goes_on_after_files_that_were_set_aside_and_says_so_at_the_end(capsys, monkeypatch, tmp_path):
    done = steps_that_do_nothing(monkeypatch, lambda command: 4 if command == "prepare" else 0)
    assert whole_way(capsys, tmp_path)[0] == 4 and done == WHOLE


@pytest.mark.parametrize("flags, words", [(["--config.crop.size_px=128"], "other preparation"),
                                          (["--training=configs/pretrained.py"], "other training")])
def test_run_does_not_mix_the_work_of_two_configs(capsys, monkeypatch, tmp_path, flags, words):
    steps_that_do_nothing(monkeypatch)
    assert whole_way(capsys, tmp_path)[0] == 0
    done = steps_that_do_nothing(monkeypatch)
    code, said = whole_way(capsys, tmp_path, *flags)
    assert code == 2 and words in said.err and "name a new --out" in said.err and done == []


def test_run_without_labels_ends_after_prepare(capsys, monkeypatch, tmp_path):
    done = steps_that_do_nothing(monkeypatch)
    code, said = whole_way(capsys, tmp_path, "--config.labels.method=none", "--config.channels.markers=")
    assert code == 0 and done == ["prepare"] and "without labels there is nothing to train" in said.out


@pytest.mark.parametrize("content", ["{", "[]", '{"asked": 1}'])
def test_a_damaged_record_of_run_is_refused(capsys, monkeypatch, tmp_path, content):
    steps_that_do_nothing(monkeypatch)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.json").write_text(content)
    code, said = whole_way(capsys, tmp_path)
    assert code == 5 and "run.json: damaged" in said.err


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
    steps_that_do_nothing(monkeypatch)
    code, said = run(capsys, command, *(flag.format(tmp_path) for flag in flags))
    assert code == 0 and words.format(tmp_path) in said.out


def test_from_another_folder_defaults_are_found_and_the_next_command_can_be_typed_there(capsys, monkeypatch, tmp_path):
    steps_that_do_nothing(monkeypatch)
    monkeypatch.chdir(tmp_path)
    code, said = run(capsys, "prepare", "--config=configs/data/simulated.py", f"--fields={tmp_path}", "--out=mine")
    assert code == 0 and f"python {ROOT}/launch.py train" in said.out


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
    code, told = run(capsys, *words)
    assert code == 2 and said in told.err and len(told.err.strip().splitlines()) == 1


def test_versions_are_said(capsys):
    import jax

    code, said = run(capsys, "--version")
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
    code, said = run(capsys, "predict", f"--fields={tmp_path}/typo", f"--out={tmp_path}/out", "--overwrite")
    assert code == 3 and "no such folder" in said.err
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


def test_data_sets_and_predictions_do_not_share_a_folder(capsys, tmp_path):
    predictions(tmp_path / "predicted")
    write_all(tmp_path / "data", ["provenance.json", "cells.parquet"])
    (tmp_path / "fields").mkdir()
    code, said = run(capsys, "predict", f"--fields={tmp_path}/fields", f"--out={tmp_path}/data", "--overwrite")
    assert code == 2 and "holds a data set" in said.err
    code, said = run(capsys, "prepare", "--config=configs/data/simulated.py", f"--fields={tmp_path}/fields",
                     f"--out={tmp_path}/predicted", "--overwrite")
    assert code == 2 and "holds predictions" in said.err


def test_an_output_whose_name_is_no_text_is_refused_before_the_work(capsys):
    code, said = run(capsys, "simulate", "--out=/tmp/M\udcfc")
    assert code == 2 and "/tmp/M\\udcfc: the name is no UTF-8" in said.err
