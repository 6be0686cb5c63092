"""Studies: which runs they have, what trains together, and that their table says what it should."""

import concurrent.futures
import dataclasses
import os
import pathlib
import shutil
import signal
import threading

import jax
import numpy as np
import pandas as pd
import pytest

import launch
from cellcycle_jax import (
    allowed,
    checkpoint,
    cohort,
    data,
    feed,
    files,
    log,
    loop,
    metrics,
    model_input,
    records,
    run,
    schema,
    statistics,
    steps,
    study,
    sweep,
    sweep_plan,
    sweep_scores,
)  # fmt: skip
from cellcycle_jax.errors import EXIT_PREEMPTED, UsageError
from cellcycle_jax.report import sweep_figures, sweep_table
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
    code, said = command(capsys, f"--config={path}", f"--data={data_dir}", f"--workdir={tmp_path}/new", "--list")
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


def test_a_damaged_record_of_a_study_is_refused(path, data_dir, tmp_path, capsys):
    for content in ('{"study": "mi', "[]", "{}"):
        (tmp_path / "sweep.json").write_text(content)
        code, said = command(capsys, f"--config={path}", f"--data={data_dir}", f"--workdir={tmp_path}")
        assert code == 5 and "sweep.json: damaged" in said.err and len(said.err.strip().splitlines()) == 1


@pytest.mark.parametrize("name, contents", [
    ("cohorts/6_runs/cohort.json", ('{"members": {', "[]", '{"members": [], "run_id": ""}')),
    ("runs/DNA_seed0/diverged.json", ("", "[]", '{"step": null}')),
])
@pytest.mark.parametrize("more", [[], ["--list"]])
def test_a_damaged_record_below_a_study_is_refused(path, data_dir, tmp_path, capsys, name, contents, more):
    (tmp_path / name).parent.mkdir(parents=True)
    for content in contents:
        (tmp_path / name).write_text(content)
        code, said = command(capsys, f"--config={path}", f"--data={data_dir}", f"--workdir={tmp_path}", *more)
        assert code == 5 and f"{name}: damaged" in said.err and len(said.err.strip().splitlines()) == 1
        assert ("remove" in said.err or "--workdir" in said.err) and not (tmp_path / ".lock").exists()


def test_tasks_that_start_at_once_leave_one_record_of_the_study(path, data_dir, tmp_path, monkeypatch):
    plan, gate = sweep_plan.make_plan(load_study(path), data_dir, tmp_path), threading.Barrier(4)
    monkeypatch.setattr(os, "fsync", lambda _: gate.wait(60))  # all have written and none has moved its file yet
    with concurrent.futures.ThreadPoolExecutor(4) as pool:  # of one process number, as in containers
        assert list(pool.map(sweep._claim, [plan] * 4)) == [None] * 4
    (left,) = tmp_path.iterdir()
    assert files.read_json(left) == files.plain(sweep_plan.identity(plan))
    before = left.stat()
    sweep._claim(plan)
    assert left.stat() == before


def interrupt(monkeypatch, at):
    """Dispatch steps one by one, and send SIGTERM to this process when the first batch of step `at` is drawn."""
    drawn, sent = steps.batch_indices, []

    def draw(seed, step, n, batch, count):
        if step == at and not sent:
            sent.append(os.kill(os.getpid(), signal.SIGTERM))
        return drawn(seed, step, n, batch, count)

    monkeypatch.setattr(steps, "batch_indices", draw)
    monkeypatch.setattr(loop, "DISPATCH_SECONDS", 0.0)


@pytest.fixture(scope="module")
def continued(data_dir, path, tmp_path_factory):
    """The study of `done`, stopped at step 6, then one run trained by --index, then all the rest."""
    workdir, flags = tmp_path_factory.mktemp("continued"), ["sweep", f"--config={path}", f"--data={data_dir}"]
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, at=6)
        with pytest.raises(SystemExit) as stop:
            launch.main([*flags, f"--workdir={workdir}"])
    assert stop.value.code == EXIT_PREEMPTED
    (cohort,) = workdir.glob("cohorts/*")
    assert checkpoint.newest_step(cohort / "checkpoints") == 7 and not list(workdir.glob("runs/*"))
    assert launch.main([*flags, f"--workdir={workdir}", "--index=2"]) == 0
    log.append(workdir / "runs" / "Golgi_seed0", {"event": "mine", "step": 0})
    listed = sweep_plan.listing(sweep_plan.make_plan(load_study(path), data_dir, workdir))
    assert launch.main([*flags, f"--workdir={workdir}"]) == 0
    return workdir, listed


def test_a_sweep_goes_on_to_the_same_bits(continued, done):
    for name in ("DNA_seed0", "DNA+Golgi_seed1"):
        one, other = (run.load_run(folder / "runs" / name).variables for folder in (continued[0], done))
        jax.tree.map(np.testing.assert_array_equal, one, other)


def test_a_run_finished_by_index_stays_as_it_is_and_the_begun_cohort_goes_on(continued, done):
    workdir, listed = continued
    assert listed.count("begun") == 5 and "Golgi_seed0      finished at step 12" in listed
    assert [p.name for p in workdir.glob("cohorts/*")] == [p.name for p in done.glob("cohorts/*")]
    assert {"event": "mine", "step": 0} in log.read(workdir / "runs" / "Golgi_seed0")
    trained = [(len(r["runs"]), r["seconds"] > 0) for r in log.read(workdir) if r["event"] == "trained"]
    assert trained == [(6, True), (1, True), (6, True)]


def test_a_run_that_another_process_trains_is_waited_for(path, data_dir, tmp_path, capsys):
    (tmp_path / "runs" / "DNA_seed1").mkdir(parents=True)
    (tmp_path / "runs" / "DNA_seed1" / ".lock").write_text("another-host 7\n")
    flags = [f"--config={path}", f"--data={data_dir}", f"--workdir={tmp_path}"]
    code, said = command(capsys, *flags)
    assert code == 2 and "process 7 on another-host trains this run" in said.err
    (tmp_path / ".lock").write_text("another-host 7\n")
    code, said = command(capsys, *flags, "--index=0")
    assert code == 2 and "process 7 on another-host trains all runs" in said.err


def test_what_cannot_be_one_program_is_several(path, data_dir, tmp_path):
    body = ("return [{'model.filters': filters, 'seed': seed} for filters in (4, 5) for seed in (0, 1)] + "
            "[{'model.depth': 0}]")
    plan = sweep_plan.make_plan(load_study(write_study(tmp_path, body)), data_dir, tmp_path)
    assert list(plan.records) == ["filters=4_seed0", "filters=4_seed1", "filters=5_seed0", "filters=5_seed1", "depth=0"]
    found = sweep_plan.programs(plan, dict.fromkeys(plan.records, ("not begun", 0)))
    assert [names for _, names in found] == [["filters=4_seed0", "filters=4_seed1"],
                                             ["filters=5_seed0", "filters=5_seed1"], ["depth=0"]]
    assert [folder is None for folder, _ in found] == [False, False, True]
    begun = {**dict.fromkeys(plan.records, ("not begun", 0)), "filters=4_seed0": ("begun", 4),
             "filters=5_seed0": ("finished", 12)}
    assert [names for _, names in sweep_plan.programs(plan, begun)] == [
        ["filters=4_seed0"], ["filters=4_seed1"], ["filters=5_seed1"], ["depth=0"]]
    assert sweep_plan.listing(plan).endswith("5 runs, trained as 3 programs")


def test_channels_in_another_order_are_a_program_of_their_own(data_dir, tmp_path):
    body = ("return [{'data.channels': chosen, 'seed': seed} for chosen in (('Golgi', 'DNA'), ('DNA',), "
            "('DNA', 'Golgi')) for seed in (0, 1)]")
    plan = sweep_plan.make_plan(load_study(write_study(tmp_path, body)), data_dir, tmp_path)
    found = [names for _, names in sweep_plan.programs(plan, dict.fromkeys(plan.records, ("not begun", 0)))]
    assert found == [["Golgi+DNA_seed0", "Golgi+DNA_seed1"],
                     ["DNA_seed0", "DNA_seed1", "DNA+Golgi_seed0", "DNA+Golgi_seed1"]]
    splits = [data.load_crops(data_dir, split) for split in ("train", "validation")]
    configs = {member.name: member.config for member in plan.members}
    shown = [cohort.all_channels([cohort.make_member(n, configs[n], *splits) for n in names], tiny.CHANNELS)
             for names in found]
    assert shown == [("Golgi", "DNA"), ("DNA", "Golgi")]
    assert sweep_plan.listing(plan).endswith("6 runs, trained as 2 programs")


def test_what_a_late_program_cannot_do_is_refused_before_the_first(data_dir, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(loop, "_train", lambda *_: pytest.fail("trained"))
    body = ("return [{'seed': 0}, {'seed': 1}] + [{'data.placement': 'host', 'seed': seed} for seed in (0, 1)]")
    flags = [f"--config={write_study(tmp_path, body)}", f"--data={data_dir}", f"--workdir={tmp_path}/out"]
    code, said = command(capsys, *flags)
    assert code == 2 and len(said.err.strip().splitlines()) == 1 and "placement='host': 2 runs" in said.err
    assert "--index" in said.err and command(capsys, *flags, "--list")[0] == 0
    body = "return [{'data.mask': mask} for mask in ('none', 'own')]"
    monkeypatch.setitem(model_input.MASKS, "own", schema.Compartment(4))  # crops of tests do not know it
    monkeypatch.setattr(allowed, "ALLOWED", [one for one in allowed.ALLOWED if one[0] != "data.mask"])
    code, said = command(capsys, f"--config={write_study(tmp_path, body)}", *flags[1:])
    assert code == 3 and "data.mask='own'" in said.err


@pytest.fixture(scope="module")
def diverged(data_dir, tmp_path_factory):
    """Two rates of learning, one of which is far too high."""
    workdir = tmp_path_factory.mktemp("diverged")
    body = "return [{'optimizer.learning_rate': rate} for rate in (1e-3, 1e30)]"
    path = write_study(workdir, body, "rows='learning rate'")
    assert launch.main(["sweep", f"--config={path}", f"--data={data_dir}", f"--workdir={workdir}/sweep"]) == 0
    return path, workdir / "sweep"


def test_a_run_that_diverges_is_told_and_the_other_finishes(diverged, data_dir, capsys, monkeypatch):
    path, workdir = diverged
    (bad,) = workdir.glob("runs/*/diverged.json")
    step = files.read_json(bad)["step"]
    assert bad.parent.name == "learning_rate=1e+30" and 1 <= step <= 12
    assert f"Diverged and left out: learning_rate=1e+30 (step {step})" in (workdir / "table.md").read_text()
    assert pd.read_parquet(workdir / "scores.parquet")["run"].unique().tolist() == ["learning_rate=0.001"]
    monkeypatch.setattr(loop, "_train", lambda *_: pytest.fail("trained again"))
    flags = [f"--config={path}", f"--data={data_dir}", f"--workdir={workdir}"]
    assert f"diverged at step {step}" in command(capsys, *flags, "--list")[1].out
    code, said = command(capsys, *flags, "--index=1")
    assert code == 6 and f"diverged at step {step}" in said.err
    assert command(capsys, *flags)[0] == 0


def test_a_run_that_diverges_alone_is_told_and_kept_in_mind(diverged, data_dir, tmp_path, capsys):
    path, together = diverged
    flags = [f"--config={path}", f"--data={data_dir}", f"--workdir={tmp_path}"]
    assert command(capsys, *flags, "--index=1")[0] == 6
    found = [files.read_json(p)["step"] for f in (tmp_path, together) for p in f.glob("runs/*/diverged.json")]
    assert found[0] == found[1]


def test_the_test_split_is_opened_by_final_alone(done, path, data_dir, tmp_path, monkeypatch, capsys):
    workdir, opened, load = shutil.copytree(done, tmp_path / "sweep"), [], data.load_crops

    def watched(data_dir, split, final=False, **options):
        opened.append((split, final))
        return load(data_dir, split, final, **options)

    monkeypatch.setattr(data, "load_crops", watched)
    flags = [f"--config={path}", f"--data={data_dir}", f"--workdir={workdir}"]
    assert command(capsys, *flags)[0] == 0 and set(opened) == {("train", False), ("validation", False)}
    assert not [r for r in log.read(workdir / "runs" / "DNA_seed0") if "event" in r]
    code, said = command(capsys, *flags, "--final", "--index=0")
    assert code == 2 and "without --index" in said.err
    assert command(capsys, *flags, "--final")[0] == 0 and ("test", True) in opened
    for folder in (workdir / "runs").iterdir():
        (event,) = [r for r in log.read(folder) if "event" in r]
        assert event["event"] == "final_opened" and event["split"] == "test" and event["step"]
    assert set(pd.read_parquet(workdir / "scores.parquet")["split"]) == {"test"}
    assert (workdir / "table_validation.md").read_text() == (done / "table.md").read_text()
    assert "Validation chose" not in (workdir / "table.md").read_text()


def test_pixels_that_do_not_fit_are_read_batch_by_batch(done, path, data_dir, monkeypatch):
    plan = sweep_plan.make_plan(load_study(path), data_dir, done)
    read, _ = sweep_scores.predict(plan, plan.members[:2], "validation")
    monkeypatch.setattr(feed, "free_memory", lambda: (0.0, 0.0))
    left, _ = sweep_scores.predict(plan, plan.members[:2], "validation")
    assert isinstance(read.crops.image, np.ndarray) and isinstance(left.crops.image, records.StoredPixels)
    jax.tree.map(np.testing.assert_array_equal, left.probs, read.probs)


def planted(rows):
    """Predictions with known scores: cells of two lines and six fields, each with both classes."""
    crops = tiny.crops(24, "validation")
    sure = np.where(crops.label == 1, 0.75, 0.25)  # of which 1 minus each is exact
    wrong = np.where(crops.cell_line == "HeLa", sure, 1 - sure)
    half = np.where(np.arange(24) < 12, sure, 0.5)
    probs = {name: np.stack([1 - p, p], 1) for name, p in (("a", sure), ("b", wrong), ("c", half))}
    return sweep_scores.Tested("validation", crops, probs, rows, "good")


def test_the_scores_of_planted_predictions_are_known():
    found = sweep_scores.score(planted({"mixed": ["a", "b"], "good": ["a"]}), {"a": ["a"], "b": ["b"]},
                               ("auroc", "balanced_accuracy"), 200, 0.95)
    assert list(found) == ["all lines", "HeLa", "RPE1"]
    every, rpe1 = found["all lines"], found["RPE1"]
    assert every["runs"]["b"]["auroc"]["value"] == 0.5 and every["rows"]["mixed"]["auroc"]["value"] == 0.75
    mixed = rpe1["rows"]["mixed"]["auroc"]  # one run knows all, the other everything the wrong way round
    assert (mixed["value"], mixed["low"], mixed["high"], mixed["lowest"], mixed["highest"]) == (0.5, 0.5, 0.5, 0, 1)
    lead = rpe1["differences"]["mixed"]["auroc"]
    assert (lead["value"], lead["low"], lead["high"]) == (-0.5, -0.5, -0.5) and "good" not in rpe1["differences"]
    assert found["HeLa"]["differences"]["mixed"]["auroc"]["value"] == 0
    assert (every["n_cells"], every["n_groups"], rpe1["n_cells"], rpe1["n_groups"]) == (24, 6, 12, 6)


def test_means_and_differences_are_of_the_same_resamples():
    tested = planted({})
    label, groups = tested.crops.label, tested.crops.group_id
    rows = {"mixed": ["b", "c"], "good": ["a"]}
    found = statistics.means_with_intervals(label, tested.probs, rows, groups, 60, 0.9, 3, ("auroc",), "good")
    counts, member = statistics.cluster_bootstrap_counts(groups, 60, 3)
    drawn = [metrics.auroc(label, tested.probs[name], counts[:, member]) for name in "abc"]
    expected = statistics.interval((drawn[1] + drawn[2]) / 2 - drawn[0], 0.9)
    lead = found["difference", "mixed", "auroc"]
    assert (lead["low"], lead["high"]) == pytest.approx(expected) and lead["low"] < lead["value"] < lead["high"]


def result_of(tested, scores, **options):
    names = {row: of for row, of in tested.rows.items()}
    found = sweep_scores.score(tested, {n: [n] for of in names.values() for n in of}, scores, 50, 0.95)
    return {"split": "validation", "rows": "trained on", "scores": scores, "reference": tested.reference,
            "confidence": 0.95, "classes": tiny.CLASSES, "group_by": "field", "results": found, "members": names,
            "diverged": {}, "notes": ["a note"], "seconds": 7.0} | options


def test_a_matrix_says_which_line_was_trained_on():
    tested = planted({"HeLa": ["b"], "good": ["a"]})
    result = result_of(tested, ("auroc",), columns="cell lines",
                       trained_on={"HeLa": ["HeLa"], "good": ["HeLa", "RPE1"]})
    text = sweep_table.markdown("mine", result)
    assert "| HeLa | 1.000 (1.000 to 1.000), 1.000 to 1.000 | 0.000 (0.000 to 0.000), 0.000 to 0.000 * |" in text
    assert text.count(" * |") == 1 and "tested on RPE1 (12 cells, 6 groups)" in text
    figure = sweep_figures.draw(result)["auroc"]
    said = [t.get_text() for t in figure.axes[0].texts]
    assert said[:2] == ["1.000\n1.000–1.000", "0.000\n0.000–0.000"] and len(figure.axes[0].patches) == 1


def test_a_line_without_a_class_has_a_dash_and_is_named():
    tested = planted({"HeLa": ["b"], "good": ["a"]})
    kept = np.flatnonzero((tested.crops.cell_line == "HeLa") | (tested.crops.label == 0))
    tested = dataclasses.replace(tested, crops=data.take(tested.crops, kept),
                                 probs={name: prob[kept] for name, prob in tested.probs.items()})
    for columns, said in (("cell lines", True), ("scores", False)):
        result = result_of(tested, ("auroc",), columns=columns, trained_on={"HeLa": ["HeLa"], "good": ["HeLa", "RPE1"]})
        text = sweep_table.markdown("mine", result)
        assert ("RPE1 without G2. A score" in text) == said and "nan" not in text and "not known" not in text
        assert ("to 1.000 | - * |" in text and "to 1.000 | - |" in text) == said
        sweep_figures.draw(result)


def test_a_table_of_scores_has_seeds_and_differences():
    tested = planted({"mixed": ["a", "b"], "good": ["a"]})
    result = result_of(tested, ("auroc",), columns="scores", trained_on={"mixed": ["HeLa"], "good": ["HeLa"]},
                       diverged={"x": 3})
    text = sweep_table.markdown("mine", result)
    assert "| mixed | 2 | 0.750 (" in text and "0.500 to 1.000 | -0.250 (" in text and "x (step 3)" in text
    figure = sweep_figures.draw(result)["scores"]
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["mixed", "good"] and len(figure.axes) == 2
