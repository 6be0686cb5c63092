"""New fields are treated as those of training were."""

import shutil

import numpy as np
import pandas as pd
import pytest
import tifffile

from cellcycle_jax import files, schema
from cellcycle_jax.dataset import cell_table
from cellcycle_jax.errors import InputRefused, UsageError
from cellcycle_jax.prediction import prediction_summary
from configs import base
from data_prep import new_fields
from data_prep.pictures import drawing, overlay
from data_prep.segmentation import segment


@pytest.fixture(scope="module")
def trained(prepared):
    """The preparation config of a data set, as it is frozen into a run."""
    return files.read_json(prepared / "provenance.json")["config"]


def reading(trained, **fields):
    asked = base.preparation()
    asked.update_from_flattened_dict({"workers": 1, **fields})
    return new_fields.reading_config(trained, asked, list(fields))


def test_all_but_reading_is_as_in_training(trained):
    changed = {**trained, "crop": {**trained["crop"], "size_px": 96}, "projection": "mean"}
    config = reading(changed, pixel_um=0.65, source="folder")
    assert config.crop.size_px == 96 and config.pixel_um == 0.65 and config.source == "folder"
    assert config.name_pattern == "" and config.channels.stains == ("Golgi", "EB1")
    assert config.projection == "mean" and reading(changed, projection="max").projection == "max"
    assert config.channels.markers == ()


def test_what_the_model_was_trained_with_is_not_changed(trained):
    with pytest.raises(UsageError, match="config.crop.size_px.*treated as those of training.*name_pattern"):
        reading(trained, **{"crop.size_px": 32})


@pytest.fixture
def dna_only(simulated_fields, tmp_path):
    """Eight fields of which only DNA and Golgi were taken."""
    folder = tmp_path / "new"
    folder.mkdir()
    for path in sorted((simulated_fields / "fields").glob("HeLa*"))[:8]:
        tifffile.imwrite(folder / path.name.replace(".ome", ""), tifffile.imread(path)[:2], photometric="minisblack")
    return folder


def test_fields_without_the_marker_and_without_a_stain_that_is_not_shown(trained, dna_only, tmp_path):
    config = reading(trained, channel_names=("DNA", "Golgi"), pixel_um=0.5)
    gathered = new_fields.extract(config, dna_only, tmp_path, ("DNA", "Golgi"))
    table = new_fields.table_of(gathered)
    assert not [c for c in table if c.startswith(("_", "Truth_"))]
    assert "Cells_AreaShape_ObjectArea_EB1" not in table
    needed = {"Cells_AreaShape_ObjectArea_Golgi", schema.reference_column("DNA"), schema.REJECT_REASON}
    assert needed <= set(table.columns)
    assert len(list(gathered.preprocessing.crops.glob("*.npz"))) == 8
    gathered.discard()
    assert not list(tmp_path.glob(".work-*"))


def test_fields_of_the_data_set_are_known_again_by_their_pixels(trained, prepared, simulated_fields, tmp_path):
    folder = tmp_path / "again"
    folder.mkdir()
    of_split = files.read_json(prepared / "provenance.json")["splits_of_pictures"]
    table = cell_table.load_cells(prepared)
    names = sorted(table[schema.FIELD].unique())[:4]
    for number, name in enumerate(names):
        shutil.copy(simulated_fields / "fields" / f"{name}.ome.tif", folder / f"renamed{number}.ome.tif")
    changed = tifffile.imread(folder / "renamed3.ome.tif")
    tifffile.imwrite(folder / "renamed3.ome.tif", changed + np.uint16(1), ome=True, photometric="minisblack",
                     metadata={"axes": "CYX", "Channel": {"Name": ["DNA", "Golgi", "EB1", "CENPF"]}})
    gathered = new_fields.extract(reading(trained, pixel_um=0.5), folder, tmp_path, ("DNA", "Golgi"))
    pictures = new_fields.pictures_of(gathered)
    gathered.discard()
    assert set(pictures) == {f"renamed{number}" for number in range(4)}
    for number, name in enumerate(names[:3]):
        [split] = table[table[schema.FIELD] == name][schema.SPLIT].unique()
        assert of_split[pictures[f"renamed{number}"]] == [split]
    assert pictures["renamed3"] not in of_split
    known = prediction_summary.known_fields(pictures, of_split)
    assert sorted(sum(known.values(), [])) == ["renamed0", "renamed1", "renamed2"]


def test_channels_that_nobody_needs_may_differ_from_field_to_field(trained, dna_only, tmp_path):
    path = sorted(dna_only.iterdir())[0]
    planes = tifffile.imread(path)
    ome = {"axes": "CYX", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm"}
    for one in sorted(dna_only.iterdir()):
        names = ["DNA", "Golgi", "Actin"] if one == path else ["DNA", "Golgi"]
        pixels = tifffile.imread(one)
        tifffile.imwrite(one.with_suffix(".ome.tif"), np.concatenate([pixels, pixels[:1]])[: len(names)], ome=True,
                         photometric="minisblack", metadata=ome | {"Channel": {"Name": names}})
        one.unlink()
    gathered = new_fields.extract(reading(trained), dna_only, tmp_path, ("DNA",))
    assert not gathered.quarantined and gathered.preprocessing.channels == ("DNA", "Golgi")
    field = gathered.preprocessing.read(gathered.found[0])
    np.testing.assert_array_equal(field.image, np.moveaxis(planes, 0, -1))


@pytest.mark.parametrize("own, wanted", [(["Fluo", "Fluo"], ("DNA", "Golgi")), (["DAPI", "Golgi"], ("DAPI=DNA",)),
                                         (["DAPI", "Cells"], ("DNA", "Golgi"))])
def test_channels_of_new_fields_are_renamed_whatever_their_files_say(trained, dna_only, tmp_path, capsys, own, wanted):
    for path in sorted(dna_only.iterdir()):
        tifffile.imwrite(path.with_suffix(".ome.tif"), tifffile.imread(path), ome=True, photometric="minisblack",
                         metadata={"axes": "CYX", "Channel": {"Name": own}, "PhysicalSizeX": 0.5})
        path.unlink()
    gathered = new_fields.extract(reading(trained, channel_names=wanted), dna_only, tmp_path, ("DNA", "Golgi"))
    assert gathered.preprocessing.channels == ("DNA", "Golgi") and not gathered.quarantined
    assert capsys.readouterr().err.count("note: by config.channel_names the channels are DNA, Golgi") == 1


def test_a_channel_that_the_model_sees_must_be_there(trained, dna_only, tmp_path):
    config = reading(trained, channel_names=("DNA", "Golgi"), pixel_um=0.5)
    with pytest.raises(InputRefused, match="no channel 'EB1' .shown to the model.; the file has DNA, Golgi"):
        new_fields.extract(config, dna_only, tmp_path, ("DNA", "EB1"))


@pytest.mark.parametrize("numbers, dtype", [((1, 2, 3), np.int32), ((7, 3, 4_000_000_000), np.uint32)])
def test_overlay_outlines_each_object_in_the_colour_of_its_class(tmp_path, numbers, dtype):
    labels = np.zeros((200, 200), dtype)
    for number, corner in zip(numbers, (20, 80, 140), strict=True):
        labels[corner:corner + 30, corner:corner + 30] = number
    image = labels > 0
    rows = pd.DataFrame({schema.CELL_ID: [f"f:{number}" for number in numbers], "decision": ["G1", "G2", ""],
                         schema.REJECT_REASON: ["", "", "border"]})
    field = drawing.SegmentedField(image.astype(np.float32), labels, 0.5)
    overlay.overlay(field, rows, ("G1", "G2"), "f: DNA", "", tmp_path / "f.png")
    import matplotlib.image

    drawn = matplotlib.image.imread(tmp_path / "f.png")[..., :3]
    for colour, corner in (("#0072B2", 20), ("#D55E00", 80), (overlay.EXCLUDED, 140)):
        wanted = np.array([int(colour[i:i + 2], 16) for i in (1, 3, 5)]) / 255
        y, x = np.nonzero(np.abs(drawn - wanted).max(axis=-1) < 0.02)
        above = y < 0.93 * drawn.shape[0]  # the legend lies below the picture
        assert above.sum() > 300
        scale = drawn.shape[1] / 200
        assert x[above].min() == pytest.approx(corner * scale, abs=0.05 * drawn.shape[1])


def test_an_overlay_shows_what_was_found_and_no_field_is_segmented_again(trained, dna_only, tmp_path, monkeypatch):
    segmented = []

    def counted(*arguments):
        segmented.append(find(*arguments))
        return segmented[-1]

    find = segment.segment_nuclei
    monkeypatch.setattr(segment, "segment_nuclei", counted)
    config = reading(trained, channel_names=("DNA", "Golgi"), pixel_um=0.5, max_fields=2)
    processed = new_fields.extract(config, dna_only, tmp_path, ("DNA", "Golgi"))
    assert len(segmented) == 2
    drawn = []
    monkeypatch.setattr(overlay, "overlay", lambda field, *_: drawn.append(field.labels))
    overlay.draw_all(processed.table.assign(decision=""), processed, ("G1", "G2"), [], tmp_path / "overlays")
    assert len(segmented) == 2
    for labels, found in zip(drawn, segmented, strict=True):
        np.testing.assert_array_equal(labels, found)


def test_what_a_config_file_sets_in_vain_is_said(trained, capsys):
    asked = base.preparation()
    asked.update_from_flattened_dict({"pixel_um": 0.65, "crop.size_px": 96, "channels.nucleus": "DNA"})
    new_fields.say_what_is_not_read(trained, asked, base.preparation())
    assert "note: crop.size_px in the config is ignored" in capsys.readouterr().err
    new_fields.say_what_is_not_read(trained, base.preparation(), base.preparation())
    assert capsys.readouterr().err == ""
