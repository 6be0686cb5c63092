"""Runs of a study that diverge: they are told and left out, and the others finish."""

import pandas as pd
import pytest

import launch
from cellcycle_jax import files
from cellcycle_jax.training import loop
from tests.study_runs import command, write_study


@pytest.fixture(scope="module")
def diverged(study_data, tmp_path_factory):
    """Two rates of learning, one of which is far too high."""
    workdir = tmp_path_factory.mktemp("diverged")
    body = "return [{'optimizer.learning_rate': rate} for rate in (1e-3, 1e30)]"
    path = write_study(workdir, body, "rows='learning rate'")
    flags = [f"--config={path}", f"--data={study_data}", f"--workdir={workdir}/sweep", "--workers=1"]
    assert launch.main(["sweep", *flags]) == 0
    return path, workdir / "sweep"


def test_a_run_that_diverges_is_told_and_the_other_finishes(diverged, study_data, capsys, monkeypatch):
    path, workdir = diverged
    (bad,) = workdir.glob("runs/*/diverged.json")
    step = files.read_json(bad)["step"]
    assert bad.parent.name == "learning_rate=1e+30" and 1 <= step <= 12
    assert f"Diverged and left out: learning_rate=1e+30 (step {step})" in (workdir / "table.md").read_text()
    assert pd.read_parquet(workdir / "scores.parquet")["run"].unique().tolist() == ["learning_rate=0.001"]
    monkeypatch.setattr(loop, "_train", lambda *_: pytest.fail("trained again"))
    flags = [f"--config={path}", f"--data={study_data}", f"--workdir={workdir}"]
    assert f"diverged at step {step}" in command(capsys, *flags, "--list")[1].out
    code, said = command(capsys, *flags, "--index=1")
    assert code == 6 and f"diverged at step {step}" in said.err
    assert command(capsys, *flags)[0] == 0


def test_a_run_that_diverges_alone_is_told_and_kept_in_mind(diverged, study_data, tmp_path, capsys):
    path, together = diverged
    flags = [f"--config={path}", f"--data={study_data}", f"--workdir={tmp_path}"]
    assert command(capsys, *flags, "--index=1")[0] == 6
    found = [files.read_json(p)["step"] for f in (tmp_path, together) for p in f.glob("runs/*/diverged.json")]
    assert found[0] == found[1]
