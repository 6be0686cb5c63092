import dataclasses

import flax.linen as nn
import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import files, schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.errors import InputRefused, ResourceMissing, StoredStateRefused, UsageError
from cellcycle_jax.explain import command
from cellcycle_jax.explain.checks import all_checks, shortcut_check, shortcuts
from cellcycle_jax.explain.measurements import shortlist
from cellcycle_jax.explain.regions import class_difference, localisation
from cellcycle_jax.runs import trained_run
from cellcycle_jax.schema import Compartment
from configs.base import training
from tests import planted, tiny

SIDE = 16
UPPER = np.broadcast_to(np.arange(SIDE)[:, None] < SIDE // 2, (SIDE, SIDE))
NUCLEUS = np.zeros((SIDE, SIDE), bool)
NUCLEUS[1:7, 4:12] = True
CORNER = np.zeros((SIDE, SIDE), bool)
CORNER[-2:, -2:] = True  # out of reach of the cell
CHANNELS = ("DNA", "Golgi", "Tubulin")


class Weighed(nn.Module):
    """A weight for every pixel, channel and class."""

    classes: int

    @nn.compact
    def __call__(self, image, train):
        x = self.perturb("last", image)
        return nn.Dense(self.classes, name="head")(x.reshape(len(x), -1)), {"last": x}


def make_run(where, channel=1, channels=2, classes=2, folder="", **of_data):
    """A run whose logit of class p is p times the mean of one channel over some places, bool [S, S]."""
    weights = np.zeros((*where.shape, channels, classes), np.float32)
    weights[where, channel] = np.arange(classes) / where.sum()
    variables = {"params": {"head": {"kernel": weights.reshape(-1, classes), "bias": np.zeros(classes, np.float32)}}}
    config = training()
    config.data.mask, config.evaluate.bootstraps = "none", 100
    config.data.update(of_data)
    names = CHANNELS[:channels] if channels < 4 else tuple(f"C{k}" for k in range(channels))
    return trained_run.Run(
        folder,
        config,
        Weighed(classes),
        variables,
        30,
        "a1b2c3",
        folder,
        names,
        tuple(f"class{p}" for p in range(classes)),
        (),
        SIDE,
    )


def make_crops(label, image, present=int(Compartment.NUCLEUS | Compartment.BODY), fields=8, classes=2):
    """Crops of cells whose body is the upper half; `fields` fields hold all classes alike."""
    n, of = len(label), np.arange(len(label)) // 6 % fields
    text = {name: np.full(n, name) for name in schema.EXAMPLE_TEXTS} | {
        "cell_id": np.array([f"cell{i}" for i in range(n)]), "group_id": np.array([f"f{k}" for k in of]),
        "field_id": np.array([f"f{k}" for k in of])}  # fmt: skip
    bits = UPPER * int(Compartment.BODY) | NUCLEUS * int(Compartment.NUCLEUS)
    channels = image.shape[-1]
    return crop_arrays.Crops(
        image=image, image_scale=np.ones((n, channels), np.float32),
        compartments=np.tile(np.broadcast_to(bits, (SIDE, SIDE)).astype(np.uint8), (n, 1, 1)),
        compartments_present=np.full(n, present, np.uint8), label=np.asarray(label, np.int32),
        norm=np.tile(np.float32([100, 100, 5, 200]), (n, channels, 1)), um_per_px=np.full(n, 0.5, np.float32), **text,
        channels=CHANNELS[:channels] if channels < 4 else tuple(f"C{k}" for k in range(channels)),
        classes=tuple(f"class{p}" for p in range(classes)), markers=(), nucleus="DNA", stains=(), group_by="field",
    )  # fmt: skip


def pictures(label, where, channel=1, channels=2, noise=20.0):
    """u16 [N, S, S, K]: one channel is brighter by 200 with each class over `where`, the rest is noise about 400."""
    rng = np.random.default_rng(0)
    image = rng.normal(400, noise, (len(label), SIDE, SIDE, channels))
    image[..., channel] += 200 * np.asarray(label)[:, None, None] * where
    return image.clip(0).astype(np.uint16)


def make_cells(network, label, where=UPPER, channel=1, **of_crops):
    """Cells as the network sees them."""
    crops = make_crops(label, pictures(label, where, channel, len(network.channels)),
                       classes=len(network.classes), **of_crops)
    images = network.images(crops)
    return all_checks.Explained(
        network, crops, images, all_checks.methods.logits_of(network.model, network.variables, images)
    )


def test_cells_are_drawn_per_class_and_repeatably():
    label = np.array([0] * 50 + [1] * 3 + [schema.NO_LABEL] * 9)
    rows = all_checks.pick(label, 2, 10, np.random.default_rng(1))
    assert np.bincount(label[rows]).tolist() == [10, 3] and (np.diff(rows) > 0).all()
    assert rows.tolist() == all_checks.pick(label, 2, 10, np.random.default_rng(1)).tolist()
    assert rows.tolist() != all_checks.pick(label, 2, 10, np.random.default_rng(2)).tolist()


def test_the_few_are_balanced_and_no_class_is_left_out():
    network = make_run(UPPER, classes=3)
    cells = make_cells(network, [0] * 70 + [1] * 25 + [2] * 5)
    few = cells.few
    assert sorted(np.bincount(few.crops.label).tolist()) == [5, 17, 18]
    assert len(few.crops) == all_checks.TESTED and len(set(few.crops.cell_id)) == all_checks.TESTED
    at = [cells.crops.cell_id.tolist().index(name) for name in few.crops.cell_id]
    np.testing.assert_array_equal(few.images, cells.images[at])
    np.testing.assert_array_equal(few.logits, cells.logits[at])
    assert max(at[: few.crops.label.tolist().index(1)]) > 30  # not the first of each class


def test_fewer_cells_than_are_tested_are_all_taken():
    cells = make_cells(make_run(UPPER), [0, 1] * 4)
    assert cells.few is cells


def test_runs_on_permuted_labels_are_told_from_other_seeds():
    """The other seed is the same network; the one on permuted labels reads the other half of the crop."""
    cells = make_cells(make_run(UPPER), [0, 1] * 8)
    permuted, seed = make_run(~UPPER, labels="permuted"), make_run(UPPER)
    seed.config.seed = 1
    found = all_checks.sane(cells, [permuted, seed])["integrated_gradients"]
    assert next(row for row in found["seeds"] if row["measure"] == "spearman")["value"] == pytest.approx(1)
    assert len(found["labels"]) == 1 and found["labels"][0]["strength"]["value"] < 0.9
    alone = all_checks.sane(cells)["integrated_gradients"]
    assert alone["seeds"] is None and alone["labels"] is None


def test_of_two_classes_the_last_is_explained_and_of_more_each():
    assert all_checks.explained_classes(("G1/S", "G2")) == [1]
    assert all_checks.explained_classes(("G1", "S", "G2")) == [0, 1, 2]


@pytest.mark.parametrize("classes", [2, 3])
def test_what_one_channel_tells_in_one_half_is_found_there_alone(classes):
    cells = make_cells(make_run(UPPER, classes=classes), np.arange(48) % classes)
    table = all_checks.where(cells)
    told = {f"class{p}" for p in all_checks.explained_classes(range(classes))}
    assert told - ({"class1"} if classes == 3 else set()) <= set(table["class"]) <= told
    assert set(table["channel"]) == {"DNA", "Golgi"} and list(table.columns) == list(class_difference.COLUMNS)
    for name, part in table.groupby("class"):
        if classes == 3 and name == "class1":
            continue  # its margin is that of no weight: 1 less the mean of 0 and 2
        assert part["share"].sum() == pytest.approx(1)
        assert part["area_share"].sum() == pytest.approx(1)
        golgi = part[part["channel"] == "Golgi"].set_index("compartment")["share"]
        assert golgi["background"] == pytest.approx(0, abs=1e-6)  # the lower half
        assert golgi[["nucleus", "nuclear rim", "cell body"]].sum() == pytest.approx(1)
        assert part[part["channel"] == "DNA"]["share"].abs().max() < 1e-6


def test_the_network_and_not_the_picture_says_where_it_is_read():
    label = np.arange(48) % 2
    network = make_run(NUCLEUS, channel=0)
    table = all_checks.where(make_cells(network, label, np.ones((SIDE, SIDE), bool), channel=0))  # bright all over
    dna = table[table["channel"] == "DNA"].set_index("compartment")["share"]
    assert dna["background"] == pytest.approx(0, abs=1e-6) and dna["cell body"] == pytest.approx(0, abs=1e-6)
    assert dna["nucleus"] + dna["nuclear rim"] == pytest.approx(1)


def test_the_score_is_that_channels():
    found = all_checks.of_channels(make_cells(make_run(UPPER), np.arange(48) % 2))
    auroc = found["shapley"]["auroc"]
    assert found["channels"] == ["DNA", "Golgi"] and found["why"] == ""
    assert auroc["value"][0] == pytest.approx(0, abs=1e-9)
    assert auroc["value"][1] == pytest.approx(auroc["all"] - auroc["none"]) and auroc["all"] == 1
    assert auroc["value"][1] > 0.3 and auroc["share"] == pytest.approx([0, 1])
    for by in ("mean", "shuffle"):
        assert found["occlusion"][by]["auroc"][0] == 0 < 0.3 < found["occlusion"][by]["auroc"][1]
        assert found["occlusion"][by]["margin"][0] == pytest.approx(0, abs=1e-5)


def test_integrated_gradients_of_channels_add_up_to_the_margin_of_each_class():
    cells = make_cells(make_run(UPPER), [0, 0, 1] * 8)
    margin = cells.logits[:, 1] - cells.logits[:, 0]
    means = [margin[cells.crops.label == p].mean() - margin.mean() for p in (0, 1)]
    assert means[0] < -0.2 < 0.4 < means[1]
    np.testing.assert_allclose(
        all_checks.of_channels(cells)["integrated_gradients"], [[0, m] for m in means], atol=1e-4
    )


def test_channels_are_shuffled_within_fields_and_groups_are_resampled():
    """The stain of each field tells the class of all its cells: another cell of the field has it just as well."""
    label = np.arange(48) // 6 % 2
    cells = make_cells(make_run(UPPER), label)
    crops = dataclasses.replace(cells.crops, group_id=np.full(48, "well"))
    found = all_checks.of_channels(dataclasses.replace(cells, crops=crops))
    assert found["alone"] == 0 and found["shapley"] is None
    assert "under the ROC curve 1.00 without any channel of the cell's own, 1.00 with all" in found["why"]
    assert found["occlusion"]["shuffle"]["auroc"] == pytest.approx([0, 0], abs=1e-9)
    field = crops.field_id.copy()
    field[0] = "own"
    crops = dataclasses.replace(crops, field_id=field)
    assert all_checks.of_channels(dataclasses.replace(cells, crops=crops))["alone"] == 1


def test_shapley_values_of_one_group_have_no_interval():
    cells = make_cells(make_run(UPPER), np.arange(48) % 2)
    crops = dataclasses.replace(cells.crops, group_id=np.full(48, "well"))
    auroc = all_checks.of_channels(dataclasses.replace(cells, crops=crops))["shapley"]["auroc"]
    assert auroc["value"][1] == pytest.approx(0.5, abs=0.15) and np.isnan(auroc["low"]).all()


def test_of_one_cell_no_channel_can_be_shuffled_and_the_rest_is_told():
    found = all_checks.of_channels(make_cells(make_run(UPPER), [1]))
    assert found["shapley"] is None and found["occlusion"]["shuffle"] is None and found["alone"] == 1
    assert found["why"].count("one cell alone") == 1 and len(found["occlusion"]["mean"]["margin"]) == 2
    assert np.isnan(found["integrated_gradients"][0]).all() and np.isfinite(found["integrated_gradients"][1]).all()
    found = all_checks.of_channels(make_cells(make_run(UPPER, channel=4, channels=9), [1], channel=4))
    assert "9 channels" in found["why"] and "one cell alone" in found["why"]


def test_one_channel_has_it_all():
    cells = make_cells(make_run(UPPER, channel=0, channels=1), np.arange(48) % 2, channel=0)
    auroc = all_checks.of_channels(cells)["shapley"]["auroc"]
    assert auroc["value"] == pytest.approx([auroc["all"] - auroc["none"]])
    assert all_checks.where(cells)["share"].sum() == pytest.approx(1)


def test_nine_channels_are_too_many_for_shapley_but_not_for_the_rest():
    network = make_run(UPPER, channel=4, channels=9)
    found = all_checks.of_channels(make_cells(network, np.arange(24) % 2, channel=4))
    assert found["shapley"] is None and "9 channels" in found["why"]
    assert np.argmax(found["occlusion"]["shuffle"]["auroc"]) == 4 and len(found["occlusion"]["mean"]["margin"]) == 9
    assert command._shares(pd.DataFrame(columns=list(class_difference.COLUMNS)), found, "class1") == {}


def test_cells_of_one_class_have_no_difference_to_share_out():
    cells = make_cells(make_run(UPPER), np.ones(12, int))
    table, found = all_checks.where(cells), all_checks.of_channels(cells)
    assert table.empty and list(table.columns) == list(class_difference.COLUMNS)
    assert np.isnan(found["shapley"]["auroc"]["value"]).all()
    assert command._shares(table, found, "class1") == {}  # not a number leads no channel


def test_shares_are_those_of_the_class_that_is_asked_for():
    table = pd.DataFrame({"class": ["a", "a", "b", "b", "b"], "channel": ["DNA", "Golgi", "DNA", "Golgi", "DNA"],
                          "share": [0.9, 0.1, 0.25, 0.25, 0.5]})  # fmt: skip
    assert command._shares(table, {}, "b") == {"DNA": 0.75, "Golgi": 0.25}
    assert command._shares(table, {}, "c") == {}  # those of another class would say nothing of it
    found = {"channels": ["DNA", "Golgi"], "shapley": {"auroc": {"value": [0.1, 0.3]}}}
    assert command._shares(table.iloc[:0], found, "b") == {"DNA": 0.1, "Golgi": 0.3}


def asked(network, monkeypatch, where=CORNER, n=96, **of_crops):
    """What `asked_for_shortcuts` finds in cells of both splits that are told by their Golgi at `where`."""
    label = np.arange(n) % 2
    crops = make_crops(label, pictures(label, where), **of_crops)
    monkeypatch.setattr(crop_arrays, "load_crops", lambda folder, split, pixels: crops)
    return shortcut_check.asked_for_shortcuts(network)


def test_surroundings_that_tell_the_class_are_found_and_those_that_do_not_are_not(monkeypatch):
    bad, good = (asked(make_run(where), monkeypatch, where)["surroundings"]["carried"] for where in (CORNER, NUCLEUS))
    assert bad["value"] == pytest.approx(1, abs=0.15) and shortcuts.is_shortcut("surroundings", bad)
    assert good["value"] == pytest.approx(0, abs=0.02) and not shortcuts.is_shortcut("surroundings", good)


def test_what_cannot_be_asked_is_none(monkeypatch):
    nucleus = int(Compartment.NUCLEUS)
    assert asked(make_run(CORNER, mask="cell"), monkeypatch)["surroundings"] is None
    assert asked(make_run(CORNER), monkeypatch, present=nucleus)["surroundings"] is None
    found = asked(make_run(CORNER), monkeypatch, fields=1)
    assert found["brightness"] is None and found["n_groups"] == 1 and found["surroundings"] is not None
    assert found["brightness_why"] == "all cells are of one field"
    own_max = asked(make_run(CORNER, scale="own_max"), monkeypatch)
    assert own_max["brightness"] is None and "own brightest pixel" in own_max["brightness_why"]
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
    monkeypatch.setattr(
        crop_arrays, "load_crops", lambda folder, split, pixels: crop_arrays.take(crops, half == (split != "train"))
    )


def test_the_brightness_of_a_field_is_that_of_all_its_cells_and_few_are_in_memory(monkeypatch):
    network, seen, levels = make_run(NUCLEUS), [], shortcuts.crop_levels
    monkeypatch.setattr(shortcuts, "crop_levels", lambda cells: seen.append(len(cells.label)) or levels(cells))
    loaded(lit_fields(), monkeypatch)  # 12 cells in each of 16 fields, one of them labelled
    found = shortcut_check.asked_for_shortcuts(network)
    assert found["n_cells"] == 16 and seen == [96, 96] and found["one_class_fields"] is None
    assert found["brightness"]["value"] == pytest.approx(1, abs=0.1) and found["brightness"]["low"] > 0.7
    seen.clear()
    monkeypatch.setattr(shortcut_check, "BLOCK", 60)
    assert shortcut_check.asked_for_shortcuts(network)["brightness"] == found["brightness"] and seen == [60, 36] * 2
    seen.clear()
    monkeypatch.setattr(shortcut_check, "PER_FIELD", 5)
    assert shortcut_check.asked_for_shortcuts(network)["brightness"]["value"] == pytest.approx(1, abs=0.1)
    assert seen == [40, 40]
    loaded(
        crop_arrays.take(lit_fields(), np.arange(192) < 176), monkeypatch
    )  # 10 others in the first half of the fields only
    assert shortcut_check.asked_for_shortcuts(network)["brightness"] is not None
    monkeypatch.setattr(shortcuts, "LEAST_CELLS", 12)
    assert shortcut_check.asked_for_shortcuts(network)["brightness"] is None


def test_cells_of_validation_are_told_from_those_of_training(monkeypatch):
    """The network knows its training cells by their corner, three times as bright as that of validation cells."""
    label = np.arange(192) % 2
    parts = {split: make_crops(label, pictures(times * label, CORNER)) for split, times in (("train", 3),
                                                                                            ("validation", 1))}
    monkeypatch.setattr(crop_arrays, "load_crops", lambda folder, split, pixels: parts[split])
    found = shortcut_check.asked_for_shortcuts(make_run(CORNER))["surroundings"]
    assert found["carried"]["value"] == pytest.approx(2, abs=0.3)  # both splits' corners over validation cells' own


def test_groups_are_resampled_and_fields_have_their_brightness(monkeypatch):
    label = np.arange(96) % 2
    crops = make_crops(label, pictures(label, CORNER))
    monkeypatch.setattr(crop_arrays, "load_crops", lambda folder, split, pixels: crops)
    crops = dataclasses.replace(crops, group_id=np.full(96, "one"))
    found = shortcut_check.asked_for_shortcuts(make_run(CORNER))
    assert np.isnan(found["surroundings"]["carried"]["low"]) and found["n_groups"] == 1
    assert found["brightness"] is not None and np.isnan(found["brightness"]["low"])


def test_no_more_cells_are_asked_than_are_wanted(monkeypatch):
    asked(make_run(CORNER), monkeypatch)
    assert shortcut_check.asked_for_shortcuts(make_run(CORNER, mask="cell"), 20)["n_cells"] == 40  # of two classes


def test_a_batch_is_asked_for_where_it_holds_several_groups(monkeypatch):
    label = np.arange(96) % 2
    crops = make_crops(label, pictures(label, CORNER))
    of_class = np.array([f"group{p}{i % 3}" for i, p in enumerate(label)])
    crops = dataclasses.replace(crops, group_id=of_class, well=of_class, plate=np.array(["P1", "P2"])[label])
    monkeypatch.setattr(crop_arrays, "load_crops", lambda folder, split, pixels: crops)
    found = shortcut_check.asked_for_shortcuts(make_run(CORNER, mask="cell"))["batch"]
    assert found["cell line"] is None  # one only
    assert found["plate"]["value"] == 1  # every group of a plate is of its class
    assert found["well"] is None  # each is a group of its own, so nothing is known of it


def test_wells_of_one_name_on_two_plates_are_two_wells(monkeypatch):
    """The class goes with well A1 on one plate and with A2 on the other."""
    label, plate = np.arange(96) % 2, np.arange(96) // 2 % 2
    crops = make_crops(label, pictures(label, CORNER))
    crops = dataclasses.replace(
        crops, plate=np.array(["P1", "P2"])[plate], well=np.array(["A1", "A2"])[(label + plate) % 2],
        group_id=np.array([f"group{k}" for k in 4 * (np.arange(96) // 12) + 2 * label + plate]))  # fmt: skip
    monkeypatch.setattr(crop_arrays, "load_crops", lambda folder, split, pixels: crops)
    found = shortcut_check.asked_for_shortcuts(make_run(CORNER, mask="cell"))["batch"]
    assert found["well"]["value"] == 1 and found["plate"]["value"] < 0.6


@pytest.mark.parametrize("error", [InputRefused, StoredStateRefused, UsageError])
def test_a_check_that_cannot_be_made_has_a_reason(error):
    def refused(what):
        raise error(f"no {what}")

    assert all_checks.or_why(refused, "cells") == (None, "no cells")
    assert all_checks.or_why(len, "cells") == (5, "")


def test_other_errors_are_not_hidden():
    def broken(error):
        raise error

    for error in (ValueError("bug"), ResourceMissing("no memory")):
        with pytest.raises(type(error)):
            all_checks.or_why(broken, error)


LOOKS = {"DNA": ("DNA", "nucleus"), "Golgi": ("Golgi", "second stain")}


def looking(network, monkeypatch, at=""):
    """Cells without labels whose maps hold more at one thing the higher their margin; "": nowhere."""
    margin, places = np.random.default_rng(0).normal(size=20), len(localisation.COMPARTMENTS)
    sums = np.ones((20, len(network.channels), places))
    if at:
        channel, place = LOOKS[at]
        sums[:, network.channels.index(channel), localisation.COMPARTMENTS.index(place)] += margin
    monkeypatch.setattr(all_checks.Explained, "sums", {1: (sums, np.full((20, places), 1 / places), sums.sum(2))})
    crops = make_crops(np.full(20, schema.NO_LABEL), np.zeros((20, SIDE, SIDE, len(network.channels)), np.uint16))
    return all_checks.Explained(network, crops, crops.image.astype(np.float32), np.stack([-margin, margin], axis=1))


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

    def load(data_dir, split, pixels):
        # In another order than the table's, and without one cell.
        return crop_arrays.take(crops, np.flatnonzero(cells[schema.SPLIT] == split)[:0:-1])

    monkeypatch.setattr(crop_arrays, "load_crops", load)
    network = make_run(np.ones((SIDE, SIDE), bool), channel=0, folder=folder, cell_lines=cell_lines)
    return dataclasses.replace(network, classes=planted.CLASSES, markers=("CENPF",))


def test_the_answer_is_explained_by_the_measurement_that_it_follows(tmp_path, monkeypatch):
    cells = planted.make_cells(300)
    found, left = all_checks.in_words(measured(tmp_path, monkeypatch, cells))
    assert found["steps"][0]["measurement"] == planted.DNA and len(found["steps"]) == 1
    assert found["r2"]["value"] > 0.97
    validation = cells[cells[schema.SPLIT] == "validation"][schema.CELL_ID]
    assert found["n_cells"] == len(validation) - 1 and set(left[schema.CELL_ID]) < set(validation)


@pytest.mark.parametrize(("at", "first"), [("DNA", planted.DNA), ("Golgi", planted.GOLGI)])
def test_the_hint_is_what_can_be_measured_where_the_map_points(tmp_path, monkeypatch, at, first):
    network = measured(tmp_path, monkeypatch, planted.make_cells(300))
    found = all_checks.hinted(looking(network, monkeypatch, at))
    names = [one["measurement"] for one in found["shortlist"]]
    assert names[0] == first and not any("EB1" in name or "CENPF" in name for name in names)
    assert found["other_lines"] is None


@pytest.mark.parametrize("classes", [2, 3])
def test_the_weights_of_the_hint_hold_no_label(classes):
    label = np.arange(48) % classes
    cells = make_cells(make_run(NUCLEUS, channel=0, classes=classes), label, NUCLEUS, channel=0)
    weights = all_checks._weights(cells)
    assert set(weights) == {
        (c, q) for c in ("DNA", "Golgi") for q in ("nucleus", "nuclear rim", "cell body", "background")
    }
    read = {("DNA", "nucleus"), ("DNA", "nuclear rim")}
    assert sum(weights[at] for at in read) == pytest.approx(1) and min(weights[at] for at in read) > 0.1
    assert max(weights[at] for at in set(weights) - read) < 1e-6
    for other in (np.zeros(48, np.int32), np.roll(cells.crops.label, 5)):
        crops = dataclasses.replace(cells.crops, label=other)
        assert all_checks._weights(dataclasses.replace(cells, crops=crops)) == weights


def test_cells_that_are_answered_alike_give_the_hint_no_weights():
    cells = make_cells(make_run(UPPER), [0, 1] * 8)
    assert all_checks._weights(dataclasses.replace(cells, logits=np.ones_like(cells.logits))) == {}


def test_the_brightness_that_made_the_labels_is_no_hint(tmp_path, monkeypatch):
    cells = planted.make_cells(300)
    runs = (measured(tmp_path, monkeypatch, cells, circular=channel) for channel in ("", "DNA"))
    at = {("DNA", "nucleus"): 1.0, ("Golgi", "second stain"): 1.0}
    monkeypatch.setattr(all_checks, "_weights", lambda cells: at)
    plain, circular = (all_checks.hinted(looking(network, monkeypatch, "DNA")) for network in runs)
    for found in (plain, circular):  # pointed at in both
        assert found["shortlist"][0]["measurement"] == planted.DNA
    assert (plain["circular"], circular["circular"]) == ("", "DNA")
    lists = {}
    monkeypatch.setattr(shortlist, "compare", lambda listed, of, *rest: lists.update(by_map=listed, of=of) or {})
    for network, kept in ((measured(tmp_path, monkeypatch, cells, circular=c), c == "") for c in ("", "DNA")):
        all_checks.hinted(looking(network, monkeypatch, "DNA"))
        assert (planted.DNA in lists["by_map"], planted.DNA in lists["of"]) == (kept, kept)
        assert lists["by_map"]  # without the DNA something else follows the answer, though nothing beyond the DNA does
    words, _ = all_checks.in_words(measured(tmp_path, monkeypatch, cells, circular="DNA"))
    assert words["steps"][0]["measurement"] == planted.DNA  # no label enters there


def test_other_cell_lines_are_scored_where_they_hold_both_classes(tmp_path, monkeypatch):
    monkeypatch.setattr(shortlist, "LEAST", 0.0)  # the network follows the DNA alone, and a pair takes two
    cells = planted.make_cells(900, lines=("HeLa", "RPE1"))
    network = measured(tmp_path, monkeypatch, cells, ("HeLa",))
    found = all_checks.hinted(looking(network, monkeypatch, "DNA"))
    assert found["other_lines"]["map"]["value"] == 0.5  # three times as large: all are called one class
    cells.loc[(cells[schema.CELL_LINE] == "RPE1") & (cells[schema.LABEL] == "G2"), schema.LABEL] = ""
    network = measured(tmp_path, monkeypatch, cells, ("HeLa",))
    without = all_checks.hinted(looking(network, monkeypatch, "DNA"))
    assert without["other_lines"] is None and without["map"] is not None


def test_a_map_that_names_no_place_hints_at_nothing(tmp_path, monkeypatch):
    network = measured(tmp_path, monkeypatch, planted.make_cells(300))
    found = all_checks.hinted(looking(network, monkeypatch))
    assert found["shortlist"] == [] and "fewer than two families" in found["verdict"] and found["map"] is None


def test_area_alone_explains_little_and_makes_no_pair(tmp_path, monkeypatch):
    whole = planted.make_cells(300)
    kept = [c for c in whole if c.startswith("Metadata") or c == schema.NUCLEAR_AREA]
    network = measured(tmp_path, monkeypatch, whole)
    files.write_table(whole[kept], tmp_path / "cells.parquet")
    assert all_checks.in_words(network)[0]["r2"]["value"] < 0.5
    found = all_checks.hinted(looking(network, monkeypatch, "DNA"))
    assert [one["measurement"] for one in found["shortlist"]] in ([], [schema.NUCLEAR_AREA])
    assert "fewer than two families" in found["verdict"]


def test_validation_cells_of_one_group_and_absent_tables_are_reasons(tmp_path, monkeypatch):
    cells = planted.make_cells(300)
    cells.loc[cells[schema.SPLIT] == "validation", schema.GROUP] = "one"
    network = measured(tmp_path, monkeypatch, cells)
    found, why = all_checks.or_why(all_checks.in_words, network)
    assert found is None and "two groups" in why
    (tmp_path / "cells.parquet").unlink()
    found, why = all_checks.or_why(all_checks.hinted, looking(network, monkeypatch, "DNA"))
    assert found is None and "cells.parquet: no such file" in why


def test_tiny_data_set_has_crops_that_can_be_asked(tmp_path):
    tiny.write_data(tmp_path, train=24, validation=16, size=SIDE)
    network = dataclasses.replace(make_run(NUCLEUS, channel=0, folder=tmp_path), classes=tiny.CLASSES)
    found = shortcut_check.asked_for_shortcuts(network)
    assert found["n_cells"] == 40 and found["n_groups"] == 10
    assert found["surroundings"]["intact"]["value"] == 1
    assert found["surroundings"]["carried"]["value"] == pytest.approx(0, abs=0.1)
    assert found["batch"]["plate"] is None and found["batch"]["cell line"]["value"] == pytest.approx(0.5)
