import dataclasses
import functools

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cellcycle_jax import files, schema
from cellcycle_jax.dataset import crop_arrays, tfds_reader
from cellcycle_jax.errors import InputRefused, UsageError
from cellcycle_jax.explain import command
from cellcycle_jax.explain import passport as passport_module
from cellcycle_jax.explain.checks import shortcut_check
from tests import tiny
from tests.explained import SIDE, make_crops, make_run


@pytest.fixture(scope="module", autouse=True)
def few_cells_are_enough():
    """Regions are named though 20 cells do not show that the score is high enough."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passport_module, "LEAST_AUROC", 0.5)
        yield


@pytest.fixture(scope="module")
def explained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "load_run", make_run)
        patch.setattr(crop_arrays, "load_crops", lambda folder, split, final, pixels: make_crops())
        tiny.write_provenance(folder, label_doubts=["Few cells of G2."])
        assert command.run_explain(folder) == folder / "explain"
    return folder


def test_maps_on_disk(explained):
    stored = np.load(explained / "explain" / "maps.npz")
    assert stored["maps"].shape == (20, 2, 8, 8) and stored["maps"].dtype == np.float32
    assert stored["mean"].shape == (2, 8, 8)
    assert stored["classes"].tolist() == ["G1/S", "G2"] and str(stored["tap"]) == "last"
    np.testing.assert_allclose(stored["prob"].sum(1), 1, rtol=1e-5)
    assert len(set(stored["cell_id"].tolist())) == 20


def test_stain_that_tells_the_class_is_where_the_model_looks(explained):
    summary = files.read_json(explained / "explain" / "summary.json")
    assert summary["step"] == 30 and summary["run_id"] == "a1b2c3"
    assert "at the Golgi" in summary["sentences"]["G2"]
    assert "in the nucleus" in summary["sentences"]["G1/S"]
    assert any("covers 4 x 4 px of the crop of 32 x 32 px, 2.0 µm" in note for note in summary["notes"])


def test_attribution_has_a_row_per_cell_class_and_place(explained):
    table = pd.read_parquet(explained / "explain" / "attribution.parquet")
    assert len(table) == 20 * 2 * 5
    parts = table.groupby([schema.CELL_ID, "class"])[["relevance_share", "area_share", "hit"]].sum()
    np.testing.assert_allclose(parts, 1)
    golgi = table[table["compartment"] == "organelle"]
    np.testing.assert_allclose(golgi["area_share"], 36 / SIDE**2)  # 8 x 8 px less the outline


def test_pictures_are_drawn(explained):
    names = sorted(path.name for path in (explained / "figures").glob("*.png"))
    assert names == ["edits.png", "faithfulness.png", "gradcam_g1-s.png", "gradcam_g2.png", "gradcam_mean.png",
                     "region_shares.png"]
    for name in names:
        assert Image.open(explained / "figures" / name).size[0] > 800


def stored(folder):
    return {path.name: path.read_bytes() for part in ("explain", "figures") for path in (folder / part).iterdir()}


def test_the_passport_says_where_it_looks_and_what_it_stands_on(explained):
    passport = files.read_json(explained / "explain" / "passport.json")
    assert passport["regions"][0].startswith("at the Golgi, channel Golgi: 56 %") and len(passport["regions"]) == 2
    said = {check["name"]: check["answer"] for check in passport["checks"]}
    assert said["the labels are not in doubt"] == "unknown"
    assert ("Not known: the labels are not in doubt. Few cells of G2. Cells whose labels are beyond that doubt would "
            "tell.") in passport["verdict"]
    assert said["score above chance"] == "passed" and said["networks with other seeds give similar maps"] == "unknown"
    # Only the nucleus is outlined, so neither surroundings nor brightness can be exchanged.
    assert passport["status"] == "caution" and said["does not use the brightness of the field"] == "unknown"
    assert "without any channel of the cell's own" in passport["verdict"][-1]  # fields of one class
    brightness = ("Not known: does not use the brightness of the field. Brightness was not exchanged: the body of the "
                  "cell is not known. Several fields, each with more cells of both classes, would tell.")
    assert brightness in passport["verdict"]
    assert passport["step"] == 30 and passport["run_id"] == "a1b2c3" and passport["n_cells"] == 20
    assert "cells.parquet: no such file" in passport["verdict"][2]  # the checks before it are told all the same


def test_where_holds_all_of_the_difference(explained):
    table = pd.read_csv(explained / "explain" / "region_shares.csv")
    assert table["share"].sum() == pytest.approx(1) and set(table["class"]) == {"G2"}
    assert table[table["channel"] == "Golgi"]["share"].sum() == pytest.approx(1, abs=0.01)
    found = files.read_json(explained / "explain" / "checks.json")
    assert set(found) >= {"score", "channel_importance", "faithfulness", "randomisation", "edits", "shortcuts",
                          "surrogate", "shortlist"}
    assert found["surrogate"] is None


def test_same_run_gives_the_same_files_and_nothing_of_an_earlier_one_stays(explained, monkeypatch):
    first = stored(explained)
    monkeypatch.setattr(command, "load_run", make_run)
    monkeypatch.setattr(crop_arrays, "load_crops", lambda folder, split, final, pixels: make_crops())
    for name in ("explain/residuals.csv", "figures/residuals.png", "figures/gradcam_other.png"):
        files.write_text(explained / name, "of an earlier call")
    command.run_explain(explained)
    again = stored(explained)
    assert set(again) == set(first) and len(first) == 12
    assert [name for name in first if first[name] != again[name]] == []


def other(seed=1, run_id="b2c3d4", crop_px=SIDE, seen=("DNA", "Golgi"), **of_data):
    """A run beside that of `make_run`."""
    network = make_run("x", seen)
    network.config.seed = seed
    network.config.data.update(of_data)
    return dataclasses.replace(network, run_id=run_id, crop_px=crop_px)


@pytest.mark.parametrize(("changed", "why"), [
    ({"seen": ("DNA", "CENPF")}, "differs in channels;"), ({"mask": "cell"}, "differs in mask;"),
    ({"scale": "nucleus_max"}, "differs in scale;"), ({"crop_px": 2 * SIDE}, "differs in crop size;"),
    ({"mask": "cell", "scale": "nucleus_max"}, "differs in mask, scale;"),
    ({"run_id": "a1b2c3"}, "is the run that is explained;"),
    ({"seed": 0}, r"has the same seed \(0\) and the same labels"),
])
def test_another_run_that_tells_nothing_of_seed_or_labels_is_refused(changed, why):
    with pytest.raises(UsageError, match=f"--others=x: {why}.* give a run that differs in its seed or labels only"):
        command._comparable(other(**changed), make_run("y"), "x")


@pytest.mark.parametrize("changed", [{}, {"labels": "permuted"}, {"seed": 0, "labels": "permuted"}])
def test_another_seed_and_permuted_labels_are_compared(changed):
    found = other(**changed)
    assert command._comparable(found, make_run("y"), "x") is found


def test_only_the_cells_that_are_explained_are_held_in_memory(tmp_path, monkeypatch):
    tiny.write_data(tmp_path, train=8, validation=40)
    monkeypatch.setattr(command, "load_run", make_run)
    few = functools.partial(shortcut_check.ask_for_shortcuts, per_class=6)
    monkeypatch.setattr(shortcut_check, "ask_for_shortcuts", few)
    load, read, counted, made = crop_arrays.load_crops, tfds_reader.read_pixels, [], []
    monkeypatch.setattr(tfds_reader, "read_pixels", lambda pixels: counted.append(len(pixels)) or read(pixels))
    for whole in (False, True):
        if whole:
            monkeypatch.setattr(crop_arrays, "load_crops", lambda folder, split, final, pixels: load(folder, split))
        command.run_explain(tmp_path)
        made.append(stored(tmp_path))
        if not whole:
            # Maps; training and validation cells asked for shortcuts; their fields; then some at a time the compared
            # cells as they are (a batch is filled up to 64); those of training and these for the sharpness of pictures,
            # and for how bright they are; those of training for the place of a mark, and both at that place; for leaks
            # these with those of training, and without them.
            assert counted == [20, 6, 6, 8, 16, 64, 8, 40, 8, 40, 8, 8, 40, 40, 8, 40]
    assert len(made[0]) == 12 and made[0] == made[1]


def test_limits_can_be_changed_for_a_call_and_stand_in_the_passport(tmp_path, monkeypatch):
    tiny.write_data(tmp_path, train=8, validation=40)
    monkeypatch.setattr(command, "load_run", make_run)
    few = functools.partial(shortcut_check.ask_for_shortcuts, per_class=6)
    monkeypatch.setattr(shortcut_check, "ask_for_shortcuts", few)
    changes = {"explain.limits.region_share": 0.9, "explain.cells_per_class": 8}
    passport = files.read_json(command.run_explain(tmp_path, changes=changes) / "passport.json")
    assert passport["limits"]["region_share"] == 0.9 and passport["regions"] == []
    assert passport["n_cells"] == 16
    with pytest.raises(UsageError, match="explain.limits.region_share"):
        command.run_explain(tmp_path, changes={"explain.limits.region_share": -1.0})


def test_cells_of_which_nothing_is_known_are_explained_as_far_as_can_be(tmp_path, monkeypatch):
    """One class, one group, no stain and no outline: nothing is certain, and nothing breaks."""
    crops = make_crops()
    same = {name: np.full(len(crops), "one") for name in ("group_id", "field_id", "well", "plate", "cell_line")}
    crops = dataclasses.replace(crops, **same, stains=(), label=np.ones(len(crops), np.int32),
                                compartments_present=np.zeros(len(crops), np.uint8))
    monkeypatch.setattr(command, "load_run", make_run)
    monkeypatch.setattr(crop_arrays, "load_crops", lambda folder, split, final, pixels: crops)
    tiny.write_provenance(tmp_path)
    passport = files.read_json(command.run_explain(tmp_path) / "passport.json")
    assert passport["status"] == "caution" and passport["regions"] == []
    said = {check["name"]: check["answer"] for check in passport["checks"]}
    for name in ("score above chance", "removing what the map marks changes the prediction"):
        assert said[name] == "unknown"
    assert "failed" not in said.values()
    assert "Which regions it uses cannot be said" in passport["verdict"][1]
    assert not (tmp_path / "figures" / "region_shares.png").exists()


def test_without_labels_there_is_nothing_to_explain(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "load_run", make_run)
    monkeypatch.setattr(crop_arrays, "load_crops", lambda folder, split, final, pixels: make_crops(labelled=False))
    with pytest.raises(InputRefused, match="no labelled cell"):
        command.run_explain(tmp_path)
