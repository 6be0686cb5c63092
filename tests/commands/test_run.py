"""`run`: every command once, going on where it stopped, and no mixture of two configs."""

import pytest

from cellcycle_jax import files
from commands.run import MADE
from tests.typed_commands import CONFIG, commands_that_do_nothing, typed

WHOLE = ["prepare", "train", "evaluate", "explain", "discover", "report"]


def whole_way(capsys, tmp_path, *flags, config="configs/data/simulated.py"):
    (tmp_path / "fields").mkdir(exist_ok=True)
    return typed(capsys, "run", f"--config={config}", f"--fields={tmp_path}/fields", f"--out={tmp_path}/out", *flags)


def test_run_does_every_command_once_and_goes_on_where_it_stopped(capsys, monkeypatch, tmp_path):
    done = commands_that_do_nothing(monkeypatch, lambda command: 6 if command == "train" else 0)
    code, said = whole_way(capsys, tmp_path)
    assert code == 6 and done == WHOLE[:2] and "report.html" not in said.out
    done = commands_that_do_nothing(monkeypatch)
    code, said = whole_way(capsys, tmp_path)
    assert code == 0 and done == WHOLE[1:] and f"open {tmp_path}/out/run/report.html" in said.out
    assert f"$ python launch.py evaluate --workdir={tmp_path}/out/run" in said.out and "next:" not in said.out
    done = commands_that_do_nothing(monkeypatch)
    assert whole_way(capsys, tmp_path)[0] == 0 and done == []


@pytest.mark.parametrize("command", WHOLE)
def test_run_does_again_what_is_gone_and_all_that_follows(capsys, monkeypatch, tmp_path, command):
    commands_that_do_nothing(monkeypatch)
    whole_way(capsys, tmp_path)
    (tmp_path / "out" / MADE[command]).unlink()
    done = commands_that_do_nothing(monkeypatch)
    assert whole_way(capsys, tmp_path)[0] == 0 and done == WHOLE[WHOLE.index(command):]


def test_run_goes_on_with_more_workers_another_spelling_and_a_record_of_an_earlier_version(
    capsys, monkeypatch, tmp_path
):
    commands_that_do_nothing(monkeypatch)
    whole_way(capsys, tmp_path)
    state = tmp_path / "out" / "run.json"
    kept = files.read_json(state)
    del kept["asked"]["preparation"]["projection"], kept["asked"]["training"]["data"]["placement"]
    files.write_json(state, kept)
    done = commands_that_do_nothing(monkeypatch)
    code, said = whole_way(capsys, tmp_path, "--config.workers=1", f"--fields={tmp_path}/out/../fields")
    assert (code, done) == (0, []), said.err


@pytest.mark.parametrize("line, words", [
    ("c.model.filters = 0", "config.model.filters=0"), ("c.model.depth = 8", "config.model.depth=8 halves crops of"),
    ("c.data.channels = ('CENPF',)", "'CENPF' labels the cells"), ("c.data.chanels = 1", "--training="),
])
def test_run_checks_the_training_before_it_prepares(capsys, monkeypatch, tmp_path, line, words):
    (tmp_path / "mine.py").write_text(CONFIG.format("training", line))
    done = commands_that_do_nothing(monkeypatch)
    code, said = whole_way(capsys, tmp_path, f"--training={tmp_path}/mine.py")
    assert code == 2 and words in said.err and done == [] and "open" not in said.out


def test_run_goes_on_after_files_that_were_set_aside_and_says_so_at_the_end(capsys, monkeypatch, tmp_path):
    done = commands_that_do_nothing(monkeypatch, lambda command: 4 if command == "prepare" else 0)
    assert whole_way(capsys, tmp_path)[0] == 4 and done == WHOLE


@pytest.mark.parametrize("flags, words", [(["--config.crop.size_px=128"], "other preparation"),
                                          (["--training=configs/pretrained.py"], "other training")])
def test_run_does_not_mix_the_work_of_two_configs(capsys, monkeypatch, tmp_path, flags, words):
    commands_that_do_nothing(monkeypatch)
    assert whole_way(capsys, tmp_path)[0] == 0
    done = commands_that_do_nothing(monkeypatch)
    code, said = whole_way(capsys, tmp_path, *flags)
    assert code == 2 and words in said.err and "name a new --out" in said.err and done == []


def test_run_without_labels_ends_after_prepare(capsys, monkeypatch, tmp_path):
    done = commands_that_do_nothing(monkeypatch)
    code, said = whole_way(capsys, tmp_path, "--config.labels.method=none", "--config.channels.markers=")
    assert code == 0 and done == ["prepare"] and "without labels there is nothing to train" in said.out


@pytest.mark.parametrize("content", ["{", "[]", '{"asked": 1}'])
def test_a_damaged_record_of_run_is_refused(capsys, monkeypatch, tmp_path, content):
    commands_that_do_nothing(monkeypatch)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.json").write_text(content)
    code, said = whole_way(capsys, tmp_path)
    assert code == 5 and "run.json: damaged" in said.err
