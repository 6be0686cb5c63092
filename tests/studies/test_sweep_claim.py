"""Whose the folder of a study is: that of one study, whose record is whole, and of one process at a time."""

import concurrent.futures
import os
import threading

from cellcycle_jax import files
from cellcycle_jax.studies import sweep, sweep_plan
from configs.load import load_study
from tests.study_runs import command


def test_a_damaged_record_of_a_study_is_refused(study_path, study_data, tmp_path, capsys):
    for content in ('{"study": "mi', "[]", "{}"):
        (tmp_path / "sweep.json").write_text(content)
        code, said = command(capsys, f"--config={study_path}", f"--data={study_data}", f"--workdir={tmp_path}")
        assert code == 5 and "sweep.json: damaged" in said.err and len(said.err.strip().splitlines()) == 1


def test_tasks_that_start_at_once_leave_one_record_of_the_study(study_path, study_data, tmp_path, monkeypatch):
    plan, gate = sweep_plan.make_plan(load_study(study_path), study_data, tmp_path), threading.Barrier(4)
    monkeypatch.setattr(os, "fsync", lambda _: gate.wait(60))  # all have written and none has moved its file yet
    with concurrent.futures.ThreadPoolExecutor(4) as pool:  # of one process number, as in containers
        assert list(pool.map(sweep._claim, [plan] * 4)) == [None] * 4
    (left,) = tmp_path.iterdir()
    assert files.read_json(left) == files.to_json(sweep_plan.identity(plan))
    before = left.stat()
    sweep._claim(plan)
    assert left.stat() == before


def test_a_run_that_another_process_trains_is_waited_for(study_path, study_data, tmp_path, capsys):
    (tmp_path / "runs" / "DNA_seed1").mkdir(parents=True)
    (tmp_path / "runs" / "DNA_seed1" / ".lock").write_text("another-host 7\n")
    flags = [f"--config={study_path}", f"--data={study_data}", f"--workdir={tmp_path}"]
    code, said = command(capsys, *flags)
    assert code == 2 and "process 7 on another-host trains this run" in said.err
    (tmp_path / ".lock").write_text("another-host 7\n")
    code, said = command(capsys, *flags, "--index=0")
    assert code == 2 and "process 7 on another-host trains all runs" in said.err
