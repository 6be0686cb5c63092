"""`launch.py counterfactual` on a small run."""

import pandas as pd
import pytest

import launch
from cellcycle_jax import files
from cellcycle_jax.runs import trained_run
from cellcycle_jax.training import loop
from configs import base


def train(prepared, folder, seed=0, channels=()):
    """A small network, trained for a few steps."""
    config = base.training()
    config.seed = seed
    config.data.channels = channels
    config.model.filters = 4
    config.train.steps = 60
    config.train.eval_every = 60
    config.train.checkpoint_every = 60
    loop.train(config, prepared, folder)
    return folder


@pytest.fixture(scope="module")
def folders(prepared, tmp_path_factory):
    """A run, one with another seed, and one that sees other channels."""
    return (
        train(prepared, tmp_path_factory.mktemp("run")),
        train(prepared, tmp_path_factory.mktemp("other"), seed=1),
        train(prepared, tmp_path_factory.mktemp("dna"), channels=("DNA",)),
    )


@pytest.fixture(scope="module")
def asked(folders):
    run, other, _ = folders
    assert launch.main(["counterfactual", f"--workdir={run}", f"--others={other}"]) == 0
    return files.read_json(run / "counterfactual" / "counterfactual.json")["results"][0]


def test_only_rightly_called_validation_cells_are_moved(asked, folders):
    cells = pd.read_csv(folders[0] / "counterfactual" / "cells.csv")
    run = trained_run.load_run(folders[0])
    crops = run.data.crops("validation")
    predicted = run.predict_logits(crops).argmax(1)
    row_of_cell = {cell: row for row, cell in enumerate(crops.cell_id)}
    rows = [row_of_cell[cell] for cell in cells["Metadata_CellID"]]
    assert (predicted[rows] == crops.label[rows]).all()
    assert asked["n_cells"] == len(cells)
    assert asked["crossing"]["value"] == pytest.approx(cells["crosses"].mean())


def test_the_nearest_real_cell_is_of_the_other_class_and_the_same_field(asked, folders):
    cells = pd.read_csv(folders[0] / "counterfactual" / "cells.csv", keep_default_na=False)
    crops = trained_run.load_run(folders[0]).data.crops("validation")
    label = dict(zip(crops.cell_id, crops.label, strict=True))
    field = dict(zip(crops.cell_id, crops.field_id, strict=True))
    cells = cells[cells["nearest_real_cell"] != ""]
    assert len(cells)
    for cell, near in zip(cells["Metadata_CellID"], cells["nearest_real_cell"], strict=True):
        assert field[cell] == field[near]
        assert label[cell] != label[near]


def test_the_other_network_is_asked_about_the_same_cells(asked):
    assert len(asked["crossing_of_others"]) == 1


def test_the_page_shows_what_was_said(asked, folders):
    assert launch.main(["report", f"--workdir={folders[0]}"]) == 0
    assert asked["sentence"] in (folders[0] / "report.html").read_text(encoding="utf-8")


def test_a_run_that_sees_other_channels_is_no_other_seed(folders, capsys):
    assert launch.main(["counterfactual", f"--workdir={folders[0]}", f"--others={folders[2]}"]) == 3
    assert "sees other channels" in capsys.readouterr().err
