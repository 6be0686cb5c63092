"""Fields that are damaged, odd or there twice, and values that are out of range."""

import re
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
import tifffile

from cellcycle_jax import files, schema
from cellcycle_jax.errors import EXIT_QUARANTINED, InputRefused, UsageError
from data_prep.dataset import same_cells
from data_prep.intensity import illumination
from data_prep.prepare import prepare
from tests.data_prep.small_preparation import small_config


@pytest.mark.usefixtures("unrendered")
def test_a_damaged_file_is_set_aside_by_name(some_fields, tmp_path):
    broken = sorted((some_fields / "fields").iterdir())[2]
    broken.write_bytes(broken.read_bytes()[:20000])
    assert prepare(small_config(), some_fields, tmp_path / "out") == EXIT_QUARANTINED
    made = files.read_json(tmp_path / "out" / "provenance.json")
    assert list(made["quarantined"]) == [broken.name.removesuffix(".ome.tif")]
    assert str(broken) in next(iter(made["quarantined"].values()))
    with pytest.raises(InputRefused, match=broken.name):
        prepare(small_config(), some_fields, tmp_path / "strict", strict=True)


def test_a_missing_channel_is_refused_with_what_there_is(some_fields, tmp_path):
    config = small_config()
    config.channels.markers = ("PH3",)
    with pytest.raises(InputRefused, match="PH3.*DNA, Golgi, EB1, CENPF"):
        prepare(config, some_fields, tmp_path / "out")


@pytest.mark.usefixtures("unrendered")
def test_channels_in_another_order_are_put_right_and_other_channels_set_aside(some_fields, tmp_path):
    paths = sorted((some_fields / "fields").iterdir())
    prepare(small_config(), some_fields, tmp_path / "straight")
    names = ["DNA", "Golgi", "EB1", "CENPF"]

    def rewrite(path, order, names):
        tifffile.imwrite(path, tifffile.imread(path)[order], ome=True, photometric="minisblack",
                         metadata={"axes": "CYX", "Channel": {"Name": names}, "PhysicalSizeX": 0.5,
                                   "PhysicalSizeXUnit": "µm"})

    rewrite(paths[3], [3, 1, 0, 2], ["CENPF", "Golgi", "DNA", "EB1"])
    assert prepare(small_config(), some_fields, tmp_path / "shuffled") == 0
    for split in schema.SPLITS:
        one, two = (tfds.builder_from_directory(tmp_path / o / "tfds/cells/2.0.0").as_data_source(split)
                    for o in ("straight", "shuffled"))
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a["image"], b["image"])
    rewrite(paths[3], [0, 1, 2, 3], [*names[:3], "PH3"])
    assert prepare(small_config(), some_fields, tmp_path / "other") == EXIT_QUARANTINED


@pytest.mark.usefixtures("unrendered")
def test_one_odd_first_file_does_not_decide_for_all(some_fields, tmp_path):
    first = sorted((some_fields / "fields").iterdir())[0]
    tifffile.imwrite(first, tifffile.imread(first)[:2], ome=True, photometric="minisblack",
                     metadata={"axes": "CYX", "Channel": {"Name": ["DNA", "PH3"]}, "PhysicalSizeX": 0.5,
                               "PhysicalSizeXUnit": "µm"})
    assert prepare(small_config(), some_fields, tmp_path / "out") == EXIT_QUARANTINED
    assert list(files.read_json(tmp_path / "out" / "provenance.json")["quarantined"]) == [
        first.name.removesuffix(".ome.tif")]


def test_fields_of_another_size_have_a_light_of_their_own(some_fields, tmp_path, monkeypatch):
    monkeypatch.setattr(illumination, "MIN_FIELDS", 3)
    paths = sorted((some_fields / "fields").iterdir())
    for path in paths[:3]:
        tifffile.imwrite(path, tifffile.imread(path)[:, :240, :224], ome=True, photometric="minisblack",
                         metadata={"axes": "CYX", "Channel": {"Name": ["DNA", "Golgi", "EB1", "CENPF"]},
                                   "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm"})
        labels = some_fields / "labels" / path.name.replace(".ome", "")
        tifffile.imwrite(labels, tifffile.imread(labels)[:, :240, :224], photometric="minisblack")
    assert prepare(small_config(), some_fields, tmp_path / "out") == 0
    assert files.read_json(tmp_path / "out" / "provenance.json")["light_not_estimated"] == []
    drawn = {p.name for p in (tmp_path / "out" / "qc").glob("illumination_*")}
    assert drawn == {"illumination_HeLa-P1_240x224.png", "illumination_HeLa-P1_256x256.png"}


def test_too_few_fields_for_the_light_are_told_and_no_light_is_drawn(some_fields, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(illumination, "MIN_FIELDS", 11)
    config = small_config()
    assert prepare(config, some_fields, tmp_path / "few") == 0
    assert files.read_json(tmp_path / "few" / "provenance.json")["light_not_estimated"] == ["HeLa-P1"]
    assert "light is not removed from plate HeLa-P1: fewer" in capsys.readouterr().err
    assert not list((tmp_path / "few" / "qc").glob("illumination_*"))
    config.illumination = "none"
    prepare(config, some_fields, tmp_path / "none")
    assert files.read_json(tmp_path / "none" / "provenance.json")["light_not_estimated"] == []
    assert "light is not removed" not in capsys.readouterr().err


def unchanged(image):
    return image


def turned(image):
    return np.rot90(image, 1, (-2, -1))


def upside_down(image):
    return np.rot90(image, 2, (-2, -1))


def mirrored(image):
    return image[..., ::-1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [([unchanged] * 4, "same image"), ([turned, upside_down, mirrored], "the same cells are in two splits")],
    ids=["copies", "turned and mirrored"],
)
def test_the_same_cells_under_two_names_are_refused(changes, words, some_fields, tmp_path):
    config = small_config()
    fields = sorted((some_fields / "fields").iterdir())
    for i, change in enumerate(changes):  # enough copies that one lands in another split
        name = fields[0].name.replace("A01_s1", f"H{i:02d}_s1")
        tifffile.imwrite(some_fields / "fields" / name, change(tifffile.imread(fields[0])), ome=True,
                         metadata={"axes": "CYX", "Channel": {"Name": ["DNA", "Golgi", "EB1", "CENPF"]},
                                   "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm"})
        labels = some_fields / "labels" / fields[0].name.replace(".ome", "")
        tifffile.imwrite(labels.with_name(name.replace(".ome", "")), change(tifffile.imread(labels)),
                         photometric="minisblack")
    with pytest.raises(InputRefused, match=words):
        prepare(config, some_fields, tmp_path / "out")


def test_cells_of_two_splits_are_compared_by_the_pictures_of_their_nuclei(simulated_fields, tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(same_cells, "refuse_shared", lambda *arguments: given.append(arguments))
    prepare(small_config(), simulated_fields, tmp_path / "data", keep=True)
    [(table, nucleus, pictures)] = given
    used = table[table[schema.REJECT_REASON] == ""]
    cell = used.iloc[0]
    own = [cell[schema.CELL_ID]]
    assert nucleus == "DNA"
    found = pictures.likeness(cell[schema.FIELD], own, cell[schema.FIELD], own, same_cells.TURNS[0])
    assert found == pytest.approx(1)


@pytest.mark.parametrize("missing", ["truth.parquet", "labels/HeLa_A01_s1.tif"])
def test_simulated_fields_without_their_answer_are_refused(simulated_fields, tmp_path, missing):
    folder = tmp_path / "fields"
    shutil.copytree(simulated_fields, folder)
    (folder / missing).unlink()
    with pytest.raises(InputRefused, match=f"{missing}: no such file.*--config.source=folder") as caught:
        prepare(small_config(), folder, tmp_path / "data")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path, value", [("source", "nowhere"), ("illumination", "magic"), ("crop.size_px", 30),
                                         ("segmentation.method", "x"), ("labels.method", "x"), ("split.by", "cell"),
                                         ("labels.abstain", 0.7), ("labels.classes", ("A", "A")),
                                         ("labels.classes", ("none", "G2")), ("labels.classes", ("G1", "no label")),
                                         ("labels.classes", ("G1", " ")), ("labels.classes", ("G1", "x" * 61)),
                                         ("split.fractions", (0.5, 0.5)), ("split.fractions", (0.9, 0.2, -0.1)),
                                         ("split.fractions", (0.8, 0.2, 0.2)), ("split.fractions", (1.0, 0.0, 0.0)),
                                         ("split.fractions", ("a", "b", "c")), ("labels.low_range", (1.2, 0.8)),
                                         ("labels.high_range", (2.0,)), ("labels.low_range", ("a", "b")),
                                         ("crop.um_per_px", -0.5),
                                         ("crop.cell_margin_um", -1.0),
                                         ("pixel_um", -0.5), ("pixel_um", float("nan")),
                                         ("segmentation.nucleus_diameter", -1.0), ("quality.min_area", -1.0),
                                         ("quality.max_area", 0.5), ("quality.max_area", np.inf),
                                         ("quality.min_solidity", 1.5),
                                         ("quality.min_focus", -1.0), ("quality.max_saturated", 2.0),
                                         ("quality.mitotic_brightness", 0.0), ("max_fields", -1), ("workers", -1),
                                         ("channels.markers", ("DNA",)), ("channels.stains", ("EB1", "EB1")),
                                         ("channels.stains", ("EB1", "CENPF"))])
def test_values_out_of_range_are_named_before_any_file_is_read(path, value, tmp_path):
    config = small_config()
    config.update_from_flattened_dict({path: value})
    with pytest.raises(UsageError, match=re.escape(f"config.{path}={value!r}; allowed: ")):
        prepare(config, tmp_path / "nowhere", tmp_path / "out")
