"""What finished fields are found again by, and what is added when they are read."""

import importlib
import pathlib
import sys

import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import crop_file, schema
from configs import base
from data_prep.fields_to_cells import label_store, work_folder
from data_prep.reading.field import FieldFile

CHANNELS = ("DNA", "Golgi", "CENPF")


def config(**changes):
    chosen = base.preparation()
    chosen.update_from_flattened_dict({"channels.stains": ("Golgi",), "channels.markers": ("CENPF",)} | changes)
    return chosen


def name(chosen=None, found=(), channels=CHANNELS, others=False):
    return work_folder.name_of(chosen or config(), list(found), channels, others)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "image.tif"
    path.write_text("pixels")
    return FieldFile((path,), "f1", cell_line="HeLa", plate="P1", well="A1", beside=(tmp_path / "cells.csv",))


AFTERWARDS = {
    "labels.method": "none", "labels.abstain": 0.2, "labels.classes": ("a", "b"), "labels.table": "t.csv",
    "labels.column": "x", "split.by": "well", "split.seed": 7, "split.fractions": (0.5, 0.25, 0.25),
    "quality.min_area": 0.1, "quality.max_saturated": 0.5, "quality.mitotic_brightness": 3.0, "reference.by": "plate",
    "reference.nucleus": "median", "workers": 3, "scheduler": "tcp://x:1", "max_fields": 9, "sidecar": "s.csv",
    "name_pattern": "x", "cell_line": "U2OS", "channels.markers": ("Golgi",),
}
BEFORE = {
    "source": "dsb2018", "channel_names": ("a",), "pixel_um": 0.3, "projection": "mean", "illumination": "none",
    "segmentation.method": "otsu", "segmentation.nucleus_diameter": 12.0, "crop.size_px": 96, "crop.um_per_px": 0.4,
    "crop.cell_margin_um": 3.0, "crop.assumed_um_per_px": 0.2, "channels.nucleus": "Golgi", "channels.stains": (),
}


@pytest.mark.parametrize("field", AFTERWARDS)
def test_labels_splits_and_bounds_go_on_from_the_same_fields(field, file):
    assert name(config(**{field: AFTERWARDS[field]}), [file]) == name(None, [file])


@pytest.mark.parametrize("field", BEFORE)
def test_what_finds_measures_or_cuts_starts_anew(field, file):
    assert name(config(**{field: BEFORE[field]}), [file]) != name(None, [file])


def test_other_channels_start_anew():
    assert len({name(), name(channels=CHANNELS[::-1]), name(others=True)}) == 3


def test_what_a_sidecar_says_of_a_field_does_not_start_it_anew(file):
    import dataclasses

    said = dataclasses.replace(file, well="B2", site="3", label="G2", cell_line="RPE1", extra=(("Drug", "x"),))
    assert name(None, [said]) == name(None, [file])
    assert name(None, [dataclasses.replace(file, plate="P2")]) != name(None, [file])  # its fields share their light
    assert name(None, [dataclasses.replace(file, pixel_um=0.2)]) != name(None, [file])


def test_a_changed_file_or_side_file_starts_the_work_anew(file, tmp_path):
    names = [name(None, [file])]
    for text in ("a", "ab"):
        (tmp_path / "cells.csv").write_text(text)
        names.append(name(None, [file]))
    (tmp_path / "image.tif").write_text("other pixels")
    names.append(name(None, [file]))
    assert len(set(names)) == 4 and name(None, [file]) == names[-1]


def test_changed_code_and_changed_names_of_columns_start_the_work_anew(tmp_path, monkeypatch):
    before = name()
    (tmp_path / "extract.py").write_text("one")
    monkeypatch.setattr(work_folder, "CODE", tmp_path)
    one = name()
    assert name() == one != before
    (tmp_path / "extract.py").write_text("two")
    two = name()
    (tmp_path / "schema.txt").write_text("")
    monkeypatch.setattr(work_folder.schema, "__file__", str(tmp_path / "schema.txt"))
    assert len({one, two, name()}) == 3


def rows(field_id, n):
    columns = {schema.CELL_ID: [f"{field_id}:{i}" for i in range(n)], schema.FIELD: field_id}
    columns |= dict.fromkeys(work_folder.SAID.values(), "old")
    return pd.DataFrame(columns | {"_crop_x": 1.0, "Metadata_Background_DNA": 3.0, "Nuclei_AreaShape_Area": 2.0})


def test_rows_come_back_in_order_with_what_is_known_now(tmp_path):
    files = [FieldFile((pathlib.Path("x"),), name, "HeLa", "P1", well, "s", "G2", extra=(("Drug", well),))
             for name, well in (("f2", "B2"), ("f1", "A1"), ("empty", "C3"))]
    for field, n in (("f1", 2), ("f2", 1), ("empty", 0)):
        assert not work_folder.is_kept(tmp_path, field)
        work_folder.keep(tmp_path, field, rows(field, n))
        assert work_folder.is_kept(tmp_path, field)
    found = work_folder.read(tmp_path, files)
    assert found[schema.CELL_ID].tolist() == ["f2:0", "f1:0", "f1:1"]
    assert found[schema.WELL].tolist() == found["Metadata_Drug"].tolist() == ["B2", "A1", "A1"]
    assert set(found[schema.FIELD_LABEL]) == {"G2"} and set(found[schema.PLATE]) == {"P1"}
    assert list(found.columns).index("Metadata_Drug") == list(found.columns).index("_crop_x") + 1
    assert work_folder.read(tmp_path, files[2:]).empty


@pytest.mark.parametrize("ending", [".parquet", ".npz", ".crops", ".labels", ".json"])
def test_a_field_of_which_a_byte_has_changed_is_not_finished(tmp_path, ending):
    shared = crop_file.Shared(np.ones(2, np.float32), 1, np.zeros((3, 2), np.float32), 0.5)
    pixels = np.random.default_rng(0).integers(0, 999, (2, 8, 8, 2), np.uint16)
    crop_file.write(tmp_path, "f1", ["f1:0", "f1:1"], pixels, np.zeros((2, 8, 8), np.uint8), shared)
    label_store.write(tmp_path, "f1", np.eye(8, dtype=np.int32), np.arange(2))
    work_folder.keep(tmp_path, "f1", rows("f1", 2))
    assert work_folder.is_kept(tmp_path, "f1")
    path = tmp_path / f"f1{ending}"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert not work_folder.is_kept(tmp_path, "f1")
    path.unlink()
    assert not work_folder.is_kept(tmp_path, "f1")


def test_whether_label_images_are_masks_is_part_of_the_name(tmp_path):
    named = [work_folder.name_of(base.preparation(), [FieldFile((tmp_path / "a.tif",), "a", labels_are_mask=masks)],
                                 ("DNA",), False) for masks in (False, True)]
    assert named[0] != named[1]


def test_many_fields_are_joined_as_few_are(tmp_path, monkeypatch):
    files = [FieldFile((pathlib.Path("x"),), f"f{i}") for i in range(7)]
    for file in files:
        work_folder.keep(tmp_path, file.field_id, rows(file.field_id, 2))
    together = work_folder.read(tmp_path, files)
    monkeypatch.setattr(work_folder, "BATCH", 2)
    pd.testing.assert_frame_equal(work_folder.read(tmp_path, files), together)


def test_all_work_folders_are_discarded_and_nothing_else(tmp_path):
    for folder in (".work-1", ".work-2", "tfds"):
        (tmp_path / folder).mkdir()
    work_folder.discard(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["tfds"]


@pytest.mark.parametrize("field, value", [
    ("segmentation.method", "own_code:f"), ("measurements", ("own_code:f",)), ("source", "own_package.own_source")])
def test_code_of_ones_own_decides_too(field, value, tmp_path, monkeypatch):
    (tmp_path / "own_package").mkdir()
    paths = [tmp_path / "own_code.py", tmp_path / "own_package" / "own_source.py"]
    for path in paths:
        path.write_text("def f(): ...")
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("own_code", "own_package.own_source"):
        importlib.import_module(module)
    chosen = config()
    chosen.update_from_flattened_dict({field: value})
    before = name(chosen)
    for path in paths:
        path.write_text("def f(): return 1")
    assert name(chosen) != before
    for module in ("own_code", "own_package", "own_package.own_source"):
        sys.modules.pop(module, None)
