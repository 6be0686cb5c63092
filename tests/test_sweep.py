"""Studies: which runs they have, what trains together, and that their table says what it should."""

import pathlib
import shutil

import jax
import numpy as np
import pandas as pd
import pytest

import launch
from cellcycle_jax import files, log, loop, run, schema, study, sweep, sweep_plan
from cellcycle_jax.errors import UsageError
from configs.load import load_study
from tests import tiny

pytestmark = pytest.mark.usefixtures("own_cache")
ROOT = pathlib.Path(__file__).parents[1]

STUDY = """
from cellcycle_jax.study import Table
from configs import base

TABLE = Table({table})


def get_config():
    c = base.training()
    c.update_from_flattened_dict({{"model.name": "nagao2020", "model.filters": 4, "model.depth": 1,
                                   "train.batch_size": 8, "train.steps": 12, "train.eval_every": 3,
                                   "train.checkpoint_every": 4, "evaluate.bootstraps": 50}})
    return c


def sweep(data):
    {sweep}
"""
CHANNELS = ("return [{'data.channels': chosen, 'seed': seed} for chosen in (('DNA',), ('Golgi',), data.channels) "
            "for seed in (0, 1)]")


def write_study(folder, sweep_body=CHANNELS, table="rows='channels shown', compare_with_last=True", name="mine"):
    path = folder / f"{name}.py"
    path.write_text(STUDY.format(sweep=sweep_body, table=table))
    return path


def write_data(folder):
    """The tiny data set with the table and the record that scores need."""
    tiny.write_data(folder, validation=32, test=16, unlabelled=2)
    rows = [row for split, n in (("train", 32), ("validation", 32), ("test", 16))
            for row in ({**e, "split": split} for e in tiny.examples(split, n, unlabelled=2))]
    rng = np.random.default_rng(0)
    label = np.array([row["label"] for row in rows])
    size = rng.normal(100 + 20 * label, 15)
    files.write_table(pd.DataFrame({
        schema.CELL_ID: [r["cell_id"] for r in rows], schema.FIELD: [r["field_id"] for r in rows],
        schema.GROUP: [r["group_id"] for r in rows], schema.CELL_LINE: [r["cell_line"] for r in rows],
        schema.SPLIT: [r["split"] for r in rows], schema.REJECT: "",
        schema.LABEL: np.where(label < 0, "", np.array(tiny.CLASSES)[label]),
        **{schema.reference_column(channel): 1.0 for channel in tiny.CHANNELS},
        schema.NUCLEAR_AREA: size, schema.integrated("DNA"): size * rng.normal(1, 0.2, len(rows)),
    }), folder / "cells.parquet")
    files.write_json(folder / "provenance.json", {
        "config": {"phase": {"method": "marker"}, "source": "simulated"}, "notes": [], "labels_are_intensity_of": ""})
    return folder


def command(capsys, *arguments):
    try:
        code = launch.main(["sweep", *map(str, arguments)])
    except SystemExit as stop:
        code = stop.code
    return code, capsys.readouterr()


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def done(data_dir, path, tmp_path_factory):
    """A study of six runs, trained as one program and scored on validation."""
    workdir = tmp_path_factory.mktemp("done")
    sweep.run_sweep(load_study(path), data_dir, workdir)
    return workdir


KNOWN = study.Data(("DNA", "Golgi", "EB1"), ("HeLa", "NIH3T3", "RPE1"))


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
])
def test_a_mistake_in_a_study_is_one_line(capsys, data_dir, tmp_path, body, words):
    path = write_study(tmp_path, body)
    code, said = command(capsys, f"--config={path}", f"--data={data_dir}", f"--workdir={tmp_path}/out")
    assert code == 2 and len(said.err.strip().splitlines()) == 1
    for word in words:
        assert word in said.err
    assert not list((tmp_path / "out").iterdir())


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


def test_the_command_line_narrows_but_does_not_change_what_the_study_sets(path, data_dir, tmp_path):
    chosen = load_study(ROOT / "experiments/channels.py", ["--config.data.channels=Golgi"])
    plan = sweep_plan.make_plan(chosen, data_dir, tmp_path)
    assert [m.name for m in plan.members] == ["Golgi_seed0", "Golgi_seed1", "Golgi_seed2"]
    with pytest.raises(UsageError, match="--config.seed: .* sets this field itself"):
        sweep_plan.make_plan(load_study(path, ["--config.seed=5"]), data_dir, tmp_path)


def test_a_sweep_leaves_what_is_promised(done):
    names = [f"{c}_seed{s}" for c in ("DNA", "Golgi", "DNA+Golgi") for s in (0, 1)]
    assert sorted(p.name for p in (done / "runs").iterdir()) == sorted(names)
    for name in names:
        assert run.load_run(done / "runs" / name, finished=True).step
    table = pd.read_parquet(done / "scores.parquet")
    assert table["run"].tolist() == [name for name in names for _ in range(3)]
    assert set(table["tested_on"]) == {"all lines", "HeLa", "RPE1"} and table["auroc"].notna().all()
    assert (table["auroc_low"] <= table["auroc"]).all() and set(table["split"]) == {"validation"}
    text = (done / "table.md").read_text()
    for word in ("| DNA + Golgi | 2 |", "baseline: area and DNA", "Validation chose the weights", "no biological",
                 "simulated", "Chance is 0.5 for AUROC"):
        assert word in text
    assert text == (done / "table_validation.md").read_text()
    assert (done / "figures" / "scores_validation.png").stat().st_size > 10_000
    stored = files.read_json(done / "sweep.json")
    assert list(stored["runs"]) == sorted(names) and stored["result"]["seconds"] > 0
    assert len([r for r in log.read(done) if r["event"] == "trained"]) == 1
    assert not list(done.glob("cohorts/*/checkpoints")) and not list(done.rglob(".lock"))


def test_the_table_is_the_mean_of_the_scores(done):
    table = pd.read_parquet(done / "scores.parquet")
    rows = files.read_json(done / "sweep.json")["result"]["results"]["all lines"]["rows"]
    for row, of in table[table["tested_on"] == "all lines"].groupby("row"):
        assert rows[row]["auroc"]["value"] == pytest.approx(of["auroc"].mean())
        assert rows[row]["auroc"]["lowest"] == of["auroc"].min() and rows[row]["auroc"]["highest"] == of["auroc"].max()


def test_what_is_finished_is_not_trained_again(done, path, data_dir, monkeypatch, capsys):
    monkeypatch.setattr(loop, "_train", lambda *_: pytest.fail("trained"))
    before = (done / "table.md").read_text()
    code, _ = command(capsys, f"--config={path}", f"--data={data_dir}", f"--workdir={done}")
    assert code == 0 and (done / "table.md").read_text() == before
    code, said = command(capsys, f"--config={path}", f"--data={data_dir}", f"--workdir={done}", "--index=3")
    assert code == 0 and "Golgi_seed1: finished at step 12" in said.out


def test_the_list_says_how_far_each_run_is(done, path, data_dir, tmp_path, capsys):
    code, said = command(capsys, f"--config={path}", f"--data={data_dir}", f"--workdir={done}", "--list")
    lines = said.out.splitlines()
    assert code == 0 and len(lines) == 8 and lines[-1] == "6 runs, trained as 1 program"
    assert lines[4].split() == ["3", "Golgi_seed1", "finished", "at", "step", "12", "data.channels=Golgi", "seed=1"]
    code, said = command(capsys, f"--config={path}", f"--data={data_dir}", f"--workdir={tmp_path}", "--list")
    assert said.out.count("not begun") == 6 and not list(tmp_path.iterdir())


@pytest.mark.parametrize("index", ["6", "-1", "x", ""])
def test_an_index_without_a_run_is_refused(done, path, data_dir, capsys, index):
    code, said = command(capsys, f"--config={path}", f"--data={data_dir}", f"--workdir={done}", f"--index={index}")
    assert code == 2 and said.err.strip().endswith("allowed: 0 to 5, see --list")


def test_a_run_by_index_equals_that_of_the_cohort(done, path, data_dir, tmp_path, capsys):
    flags = [f"--config={path}", f"--data={data_dir}", f"--workdir={tmp_path}"]
    assert command(capsys, *flags, "--index=2")[0] == 0
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["Golgi_seed0"] and not (tmp_path / "scores.csv").exists()
    alone, together = (run.load_run(folder / "runs" / "Golgi_seed0") for folder in (tmp_path, done))
    assert alone.step == together.step and alone.run_id == together.run_id
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), alone.variables, together.variables)


@pytest.mark.parametrize("change", ["study", "training", "data"])
def test_another_study_or_data_set_is_refused(done, path, data_dir, tmp_path, capsys, change):
    flags = {"study": write_study(tmp_path, name="other"), "training": path, "data": path}[change]
    if change == "data":
        data_dir = shutil.copytree(data_dir, tmp_path / "data")
        files.write_json(data_dir / "provenance.json", {"made_by": "another"})
    more = ["--config.train.steps=13"] if change == "training" else []
    code, said = command(capsys, f"--config={flags}", f"--data={data_dir}", f"--workdir={done}", *more)
    assert code == 5 and len(said.err.strip().splitlines()) == 1 and change in said.err
