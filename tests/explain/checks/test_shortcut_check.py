"""What a run is asked about shortcuts."""

import dataclasses

import numpy as np
import pytest

from cellcycle_jax import schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.checks import camera_pixels, class_shares, shortcut_check, shortcuts
from cellcycle_jax.schema import Compartment
from cellcycle_jax.scoring.intervals import Interval
from tests import tiny
from tests.weighed_network import CORNER, NUCLEUS, SIDE, make_crops, make_run, pictures


def asked(network, monkeypatch, where=CORNER, n=96, **of_crops):
    """What `ask_for_shortcuts` finds in cells of both splits that are told by their Golgi at `where`."""
    label = np.arange(n) % 2
    crops = make_crops(label, pictures(label, where), **of_crops)
    monkeypatch.setattr(crop_arrays, "load_crops", lambda folder, split, final, pixels: crops)
    return shortcut_check.ask_for_shortcuts(network)


def test_surroundings_that_tell_the_class_are_found_and_those_that_do_not_are_not(monkeypatch):
    of_both = [asked(make_run(where), monkeypatch, where)["surroundings"] for where in (CORNER, NUCLEUS)]
    bad, good = (found["transferred_share"] for found in of_both)
    assert bad["value"] == pytest.approx(1, abs=0.15) and class_shares.is_certain(Interval.of(bad), 0.1)
    assert good["value"] == pytest.approx(0, abs=0.02) and not class_shares.is_certain(Interval.of(good), 0.1)


def test_what_cannot_be_asked_is_none(monkeypatch):
    nucleus = int(Compartment.NUCLEUS)
    assert asked(make_run(CORNER, mask="cell"), monkeypatch)["surroundings"] is None
    assert asked(make_run(CORNER), monkeypatch, present=nucleus)["surroundings"] is None
    found = asked(make_run(CORNER), monkeypatch, fields=1)
    assert found["brightness"] is None and found["n_groups"] == 1 and found["surroundings"] is not None
    assert found["brightness_why"] == "all cells are of one field"
    nucleus_max = asked(make_run(CORNER, scale="nucleus_max"), monkeypatch)
    assert nucleus_max["brightness"] is None and "own brightest pixel" in nucleus_max["brightness_why"]
    unknown = asked(make_run(CORNER), monkeypatch, present=nucleus)
    assert unknown["brightness"] is None and unknown["brightness_why"] == "the body of the cell is not known"
    with monkeypatch.context() as patched:
        patched.setattr(shortcuts, "LEAST_CELLS", 6)
        small = asked(make_run(CORNER), monkeypatch, n=48)  # 6 cells in each field
    assert small["brightness"] is None and "(more than 6) are fewer than two" in small["brightness_why"]
    found = asked(make_run(CORNER), monkeypatch)
    assert found["brightness"]["value"] == pytest.approx(0, abs=0.2) and found["brightness_why"] == ""
    assert found["one_class_fields"] is False and found["scale"] == "reference"


def lit_fields(n=192, fields=8, labelled=2):
    """Crops of fields of one class each, brighter by half with class 1; `labelled` cells of each have a label."""
    of = np.arange(n) % fields
    crops = make_crops(of % 2, pictures(of % 2, np.ones((SIDE, SIDE), bool)), fields=fields)
    names = np.array([f"f{k}" for k in of])
    label = np.where(np.arange(n) < labelled * fields, crops.label, schema.NO_LABEL).astype(np.int32)
    return dataclasses.replace(crops, field_id=names, group_id=names, label=label)


def loaded(crops, monkeypatch):
    """Have the first half of every field stand for the training split, the other for validation."""
    half = np.arange(len(crops)) // 8 % 2
    fields = np.char.add(crops.field_id, np.array(["t", "v"])[half])
    crops = dataclasses.replace(crops, field_id=fields, group_id=fields)

    def load(folder, split, final, pixels):
        return crop_arrays.take(crops, half == (split != "train"))

    monkeypatch.setattr(crop_arrays, "load_crops", load)


def test_the_brightness_of_a_field_is_that_of_all_its_cells_and_few_are_in_memory(monkeypatch):
    network, seen, levels = make_run(NUCLEUS), [], shortcuts.crop_levels
    monkeypatch.setattr(shortcuts, "crop_levels", lambda cells: seen.append(len(cells.label)) or levels(cells))
    loaded(lit_fields(), monkeypatch)  # 12 cells in each of 16 fields, one of them labelled
    found = shortcut_check.ask_for_shortcuts(network)
    assert found["n_cells"] == 16 and seen == [96, 96] and found["one_class_fields"] is None
    assert found["brightness"]["value"] == pytest.approx(1, abs=0.1) and found["brightness"]["low"] > 0.7
    seen.clear()
    monkeypatch.setattr(camera_pixels, "BLOCK", 60)
    assert shortcut_check.ask_for_shortcuts(network)["brightness"] == found["brightness"] and seen == [60, 36] * 2
    seen.clear()
    monkeypatch.setattr(shortcut_check, "PER_FIELD", 5)
    assert shortcut_check.ask_for_shortcuts(network)["brightness"]["value"] == pytest.approx(1, abs=0.1)
    assert seen == [40, 40]
    loaded(
        crop_arrays.take(lit_fields(), np.arange(192) < 176), monkeypatch
    )  # 10 others in the first half of the fields only
    assert shortcut_check.ask_for_shortcuts(network)["brightness"] is not None
    monkeypatch.setattr(shortcuts, "LEAST_CELLS", 12)
    assert shortcut_check.ask_for_shortcuts(network)["brightness"] is None


def test_cells_of_validation_are_told_from_those_of_training(monkeypatch):
    """The network knows its training cells by their corner, three times as bright as that of validation cells."""
    label = np.arange(192) % 2
    parts = {split: make_crops(label, pictures(times * label, CORNER)) for split, times in (("train", 3),
                                                                                            ("validation", 1))}
    monkeypatch.setattr(crop_arrays, "load_crops", lambda folder, split, final, pixels: parts[split])
    found = shortcut_check.ask_for_shortcuts(make_run(CORNER))["surroundings"]
    # both splits' corners over validation cells' own
    assert found["transferred_share"]["value"] == pytest.approx(2, abs=0.3)


def test_groups_are_resampled_and_fields_have_their_brightness(monkeypatch):
    label = np.arange(96) % 2
    crops = make_crops(label, pictures(label, CORNER))
    monkeypatch.setattr(crop_arrays, "load_crops", lambda folder, split, final, pixels: crops)
    crops = dataclasses.replace(crops, group_id=np.full(96, "one"))
    found = shortcut_check.ask_for_shortcuts(make_run(CORNER))
    assert np.isnan(found["surroundings"]["transferred_share"]["low"]) and found["n_groups"] == 1
    assert found["brightness"] is not None and np.isnan(found["brightness"]["low"])


def test_no_more_cells_are_asked_than_are_wanted(monkeypatch):
    asked(make_run(CORNER), monkeypatch)
    assert shortcut_check.ask_for_shortcuts(make_run(CORNER, mask="cell"), 20)["n_cells"] == 40  # of two classes


def test_tiny_data_set_has_crops_that_can_be_asked(tmp_path):
    tiny.write_data(tmp_path, train=24, validation=16, size=SIDE)
    network = dataclasses.replace(make_run(NUCLEUS, channel=0, folder=tmp_path), classes=tiny.CLASSES)
    found = shortcut_check.ask_for_shortcuts(network)
    assert found["n_cells"] == 40 and found["n_groups"] == 10
    assert found["surroundings"]["intact"].value == 1
    assert found["surroundings"]["transferred_share"]["value"] == pytest.approx(0, abs=0.1)
