"""The measurements that maps point at, of a run whose network is known."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import files, schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.errors import result_or_reason
from cellcycle_jax.explain.measurements import map_shortlist, shortlist, shortlist_comparison, surrogate
from cellcycle_jax.explain.regions import localisation
from cellcycle_jax.explain.regions.explained_cells import ExplainedCells, MapSums
from cellcycle_jax.runs.open_data import OpenData
from tests import planted, tiny
from tests.weighed_network import NUCLEUS, SIDE, UPPER, make_cells, make_crops, make_run

LOOKS = {"DNA": ("DNA", "nucleus"), "Golgi": ("Golgi", "organelle")}


def looking(network, monkeypatch, at=""):
    """Cells without labels whose maps hold more at one thing the higher their margin; "": nowhere."""
    margin, places = np.random.default_rng(0).normal(size=20), len(localisation.COMPARTMENTS)
    sums = np.ones((20, len(network.channels), places))
    if at:
        channel, place = LOOKS[at]
        sums[:, network.channels.index(channel), localisation.COMPARTMENTS.index(place)] += margin
    monkeypatch.setattr(ExplainedCells, "sums", {1: MapSums(sums, np.full((20, places), 1 / places), sums.sum(2))})
    crops = make_crops(np.full(20, schema.NO_LABEL), np.zeros((20, SIDE, SIDE, len(network.channels)), np.uint16))
    return ExplainedCells(network, crops, crops.image.astype(np.float32), np.stack([-margin, margin], axis=1))


def measured(folder, monkeypatch, cells, cell_lines=(), circular=""):
    """A run that reads the amount of DNA of a table of cells, whose crops are as bright as this says."""
    files.write_table(cells, folder / "cells.parquet", planted.UNITS)
    tiny.write_provenance(folder, labels_are_intensity_of=circular)
    shown = (cells[planted.DNA] / cells["Metadata_Reference_DNA"] / 250).to_numpy()
    label = pd.Index(planted.CLASSES).get_indexer(cells[schema.LABEL]).astype(np.int32)
    image = np.full((len(cells), SIDE, SIDE, 2), 100.0)
    image[..., 0] += 200 * np.log(shown)[:, None, None] + 700
    crops = make_crops(label, image.astype(np.uint16))
    crops = dataclasses.replace(crops, cell_id=cells[schema.CELL_ID].to_numpy(str), classes=planted.CLASSES,
                                stains=("Golgi",))

    def load(data_dir, split, final, pixels):
        # In another order than the table's, and without one cell.
        return crop_arrays.take(crops, np.flatnonzero(cells[schema.SPLIT] == split)[:0:-1])

    monkeypatch.setattr(crop_arrays, "load_crops", load)
    network = make_run(np.ones((SIDE, SIDE), bool), channel=0, folder=folder, cell_lines=cell_lines)
    return dataclasses.replace(network, classes=planted.CLASSES, markers=("CENPF",))


def test_the_answer_is_explained_by_the_measurement_that_it_follows(tmp_path, monkeypatch):
    cells = planted.make_cells(300)
    found, left = surrogate.explain_run(measured(tmp_path, monkeypatch, cells))
    assert found["steps"][0]["measurement"] == planted.DNA and len(found["steps"]) == 1
    assert found["r2"].value > 0.97
    validation = cells[cells[schema.SPLIT] == "validation"][schema.CELL_ID]
    assert found["n_cells"] == len(validation) - 1 and set(left[schema.CELL_ID]) < set(validation)


@pytest.mark.parametrize(("at", "first"), [("DNA", planted.DNA), ("Golgi", planted.GOLGI)])
def test_the_hint_is_what_can_be_measured_where_the_map_points(tmp_path, monkeypatch, at, first):
    network = measured(tmp_path, monkeypatch, planted.make_cells(300))
    found = map_shortlist.compare_with_others(looking(network, monkeypatch, at))
    names = [one["measurement"] for one in found["shortlist"]]
    assert names[0] == first and not any("EB1" in name or "CENPF" in name for name in names)
    assert found["other_lines"] is None


@pytest.mark.parametrize("classes", [2, 3])
def test_the_weights_of_the_hint_hold_no_label(classes):
    label = np.arange(48) % classes
    cells = make_cells(make_run(NUCLEUS, channel=0, classes=classes), label, NUCLEUS, channel=0)
    weights = map_shortlist.region_weights(cells)
    assert set(weights) == {
        (c, q) for c in ("DNA", "Golgi") for q in ("nucleus", "nuclear rim", "cell body", "background")
    }
    read = {("DNA", "nucleus"), ("DNA", "nuclear rim")}
    assert sum(weights[at] for at in read) == pytest.approx(1) and min(weights[at] for at in read) > 0.1
    assert max(weights[at] for at in set(weights) - read) < 1e-6
    for other in (np.zeros(48, np.int32), np.roll(cells.crops.label, 5)):
        crops = dataclasses.replace(cells.crops, label=other)
        assert map_shortlist.region_weights(dataclasses.replace(cells, crops=crops)) == weights


def test_cells_that_are_answered_alike_give_the_hint_no_weights():
    cells = make_cells(make_run(UPPER), [0, 1] * 8)
    assert map_shortlist.region_weights(dataclasses.replace(cells, logits=np.ones_like(cells.logits))) == {}


def test_the_brightness_that_made_the_labels_is_no_hint(tmp_path, monkeypatch):
    cells = planted.make_cells(300)
    runs = (measured(tmp_path, monkeypatch, cells, circular=channel) for channel in ("", "DNA"))
    at = {("DNA", "nucleus"): 1.0, ("Golgi", "organelle"): 1.0}
    monkeypatch.setattr(map_shortlist, "region_weights", lambda cells: at)
    plain, circular = (map_shortlist.compare_with_others(looking(network, monkeypatch, "DNA")) for network in runs)
    for found in (plain, circular):  # pointed at in both
        assert found["shortlist"][0]["measurement"] == planted.DNA
    assert (plain["circular"], circular["circular"]) == ("", "DNA")
    lists = {}
    monkeypatch.setattr(
        shortlist_comparison, "compare", lambda listed, of, *rest: lists.update(by_map=listed.by_map, of=of) or {}
    )
    for network, kept in ((measured(tmp_path, monkeypatch, cells, circular=c), c == "") for c in ("", "DNA")):
        map_shortlist.compare_with_others(looking(network, monkeypatch, "DNA"))
        assert (planted.DNA in lists["by_map"], planted.DNA in lists["of"]) == (kept, kept)
        assert lists["by_map"]  # without the DNA something else follows the answer, though nothing beyond the DNA does
    words, _ = surrogate.explain_run(measured(tmp_path, monkeypatch, cells, circular="DNA"))
    assert words["steps"][0]["measurement"] == planted.DNA  # no label enters there


def test_other_cell_lines_are_scored_where_they_hold_both_classes(tmp_path, monkeypatch):
    monkeypatch.setattr(shortlist, "LEAST_CORRELATION", 0.0)  # the network follows the DNA alone, and a pair takes two
    cells = planted.make_cells(900, lines=("HeLa", "RPE1"))
    network = measured(tmp_path, monkeypatch, cells, ("HeLa",))
    found = map_shortlist.compare_with_others(looking(network, monkeypatch, "DNA"))
    assert found["other_lines"]["map"].value == 0.5  # three times as large: all are called one class
    cells.loc[(cells[schema.CELL_LINE] == "RPE1") & (cells[schema.LABEL] == "G2"), schema.LABEL] = ""
    network = measured(tmp_path, monkeypatch, cells, ("HeLa",))
    without = map_shortlist.compare_with_others(looking(network, monkeypatch, "DNA"))
    assert without["other_lines"] is None and without["map"] is not None


def test_a_map_that_names_no_place_hints_at_nothing(tmp_path, monkeypatch):
    network = measured(tmp_path, monkeypatch, planted.make_cells(300))
    found = map_shortlist.compare_with_others(looking(network, monkeypatch))
    assert found["shortlist"] == [] and "fewer than two families" in found["verdict"] and found["map"] is None


def test_area_alone_explains_little_and_makes_no_pair(tmp_path, monkeypatch):
    whole = planted.make_cells(300)
    kept = [c for c in whole if c.startswith("Metadata") or c == schema.NUCLEAR_AREA]
    network = measured(tmp_path, monkeypatch, whole)
    files.write_table(whole[kept], tmp_path / "cells.parquet")
    assert surrogate.explain_run(network)[0]["r2"].value < 0.5
    found = map_shortlist.compare_with_others(looking(network, monkeypatch, "DNA"))
    assert [one["measurement"] for one in found["shortlist"]] in ([], [schema.NUCLEAR_AREA])
    assert "fewer than two families" in found["verdict"]


def test_validation_cells_of_one_group_and_absent_tables_are_reasons(tmp_path, monkeypatch):
    cells = planted.make_cells(300)
    cells.loc[cells[schema.SPLIT] == "validation", schema.GROUP] = "one"
    network = measured(tmp_path, monkeypatch, cells)
    found, why = result_or_reason(surrogate.explain_run, network)
    assert found is None and "two groups" in why
    (tmp_path / "cells.parquet").unlink()
    network = dataclasses.replace(network, data=OpenData(tmp_path))  # opened again: nothing is read yet
    found, why = result_or_reason(map_shortlist.compare_with_others, looking(network, monkeypatch, "DNA"))
    assert found is None and "cells.parquet: no such file" in why
