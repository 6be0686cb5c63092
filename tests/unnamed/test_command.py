"""`launch.py unnamed` on a small run: what it leaves, and that it says the same again from the stored networks."""

import json

import numpy as np
import pandas as pd
import pytest

import launch
from cellcycle_jax import files
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.errors import InputRefused
from cellcycle_jax.runs import trained_run
from cellcycle_jax.training import loop
from cellcycle_jax.unnamed import halves, parts
from configs import base


@pytest.fixture(scope="module")
def run_folder(prepared, tmp_path_factory):
    """A small network, trained for a few steps."""
    config = base.training()
    config.model.filters = 4
    config.train.steps = 60
    config.train.eval_every = 60
    config.train.checkpoint_every = 60
    folder = tmp_path_factory.mktemp("run")
    loop.train(config, prepared, folder)
    return folder


@pytest.fixture(scope="module")
def asked(run_folder):
    assert launch.main(["unnamed", f"--workdir={run_folder}"]) == 0
    return files.read_json(run_folder / "unnamed" / "unnamed.json")


def test_the_shares_add_up_and_a_sentence_says_what_they_mean(asked):
    result = asked["results"][0]
    total = sum(result["shares"][part]["value"] for part in parts.PARTS)
    assert total == pytest.approx(1)
    assert result["class"] == "G2" and "G2" in result["sentence"]


def test_each_cell_line_has_shares_of_its_own(asked):
    of_lines = asked["results"][0]["cell_lines"]
    assert set(of_lines) == {"HeLa", "NIH3T3"}
    for shares in of_lines.values():
        assert sum(shares[part]["value"] for part in parts.PARTS) == pytest.approx(1)


def test_each_labelled_validation_cell_has_a_row(asked, run_folder):
    run = trained_run.load_run(run_folder)
    cells = pd.read_csv(run_folder / "unnamed" / "cells.csv")
    crops = run.data.crops("validation")
    assert set(cells["Metadata_CellID"]) == set(crops.cell_id[crops.label >= 0])


def test_the_networks_share_no_cell(asked, run_folder):
    first, second = [
        set(json.loads((run_folder / "unnamed" / "networks" / name / "groups.json").read_text())["trained_on"])
        for name in ("half_1", "half_2")
    ]
    run = trained_run.load_run(run_folder)
    assert first | second == set(run.data.crops("train").group_id) and not first & second


def test_asked_again_it_says_the_same(asked, run_folder):
    before = (run_folder / "unnamed" / "unnamed.json").read_bytes()
    assert launch.main(["unnamed", f"--workdir={run_folder}"]) == 0
    assert (run_folder / "unnamed" / "unnamed.json").read_bytes() == before


def test_networks_of_another_training_are_made_again(run_folder):
    asked_before = (run_folder / "unnamed" / "unnamed.json").read_bytes()
    path = run_folder / "unnamed" / "networks" / "half_1" / "groups.json"
    record = files.read_json(path)
    files.write_json(path, record | {"training": record["training"] | {"seed": 99}})
    (path.parent / "left_behind").touch()
    assert launch.main(["unnamed", f"--workdir={run_folder}"]) == 0
    assert files.read_json(path) == record
    assert not (path.parent / "left_behind").exists()
    assert (run_folder / "unnamed" / "unnamed.json").read_bytes() == asked_before


def test_a_network_is_trained_for_as_many_steps_as_the_run(run_folder, asked):
    run = trained_run.load_run(run_folder)
    for name in ("half_1", "half_2", "half_2_other"):
        network = trained_run.load_run(run_folder / "unnamed" / "networks" / name, data=run.data)
        assert network.step == run.config.train.steps, name


def test_the_page_shows_what_was_said(asked, run_folder):
    assert launch.main(["report", f"--workdir={run_folder}"]) == 0
    assert asked["results"][0]["sentence"] in (run_folder / "report.html").read_text(encoding="utf-8")


def test_groups_are_halved_within_cell_lines(run_folder):
    crops = trained_run.load_run(run_folder).data.crops("train")
    first, second = halves.halve(crops, seed=0)
    for line in np.unique(crops.cell_line):
        of_line = np.unique(crops.group_id[crops.cell_line == line])
        in_first = np.isin(of_line, first).sum()
        assert abs(2 * in_first - len(of_line)) <= 1


def test_three_groups_cannot_be_halved(run_folder):
    crops = trained_run.load_run(run_folder).data.crops("train")
    few = crop_arrays.take(crops, np.isin(crops.group_id, np.unique(crops.group_id)[:3]))
    with pytest.raises(InputRefused, match="3 groups cannot be halved"):
        halves.halve(few, seed=0)
