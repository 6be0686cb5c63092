"""Fields to data set, on simulated fields whose answer is known."""

import re
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import tensorflow_datasets as tfds
import tifffile
from matplotlib.figure import Figure

from cellcycle_jax import crop_file, files, openings, schema
from cellcycle_jax.errors import EXIT_QUARANTINED, InputRefused, UsageError
from configs import base
from configs.data import simulated
from data_prep.fields_to_cells import all_fields, one_field
from data_prep.fields_to_cells.preprocessing import Preprocessing
from data_prep.intensity import illumination
from data_prep.labelling import marker_cut
from data_prep.prepare import few_cells, prepare
from data_prep.sources import source_of


@pytest.fixture(scope="module")
def cells(prepared):
    return pd.read_parquet(prepared / "cells.parquet")


@pytest.fixture(scope="module")
def truth(simulated_fields):
    return pd.read_parquet(simulated_fields / "truth.parquet")


def small_config():
    config = simulated.get_config()
    config.workers = 1
    config.split.fractions = (0.5, 0.2, 0.3)
    return config


@pytest.fixture
def unrendered(monkeypatch):
    """Pictures, which take half of the time of `prepare`, are not saved; for tests that say nothing of them."""
    monkeypatch.setattr(Figure, "savefig", lambda *_, **__: None)


def test_nearly_every_whole_cell_is_found_once(cells, truth):
    inside = truth[~truth["border"] & (truth["class_name"] != "mitotic")]
    found = cells[cells["Truth_cell_label"] > 0].groupby([schema.FIELD, "Truth_cell_label"]).size()
    once = [found.get((f, c), 0) == 1 for f, c in zip(inside["field_id"], inside["cell_label"], strict=True)]
    assert np.mean(once) > 0.95


def test_mitotic_cells_are_set_aside(cells):
    mitotic = cells[cells[schema.TRUE_PHASE] == schema.TRUE_MITOTIC]
    assert (mitotic[schema.REJECT_REASON] != "").mean() > 0.8
    assert (cells[schema.REJECT_REASON] == "mitotic").sum() >= 3
    wrongly = cells[(cells[schema.REJECT_REASON] == "mitotic") & cells[schema.TRUE_PHASE].isin(["G1/S", "G2"])]
    assert len(wrongly) <= 0.02 * len(cells)


def test_marker_labels_agree_with_the_true_phase(cells):
    used = cells[(cells[schema.REJECT_REASON] == "") & cells[schema.TRUE_PHASE].isin(["G1/S", "G2"])]
    labelled = used[used[schema.LABEL] != ""]
    assert (labelled[schema.LABEL] == labelled[schema.TRUE_PHASE]).mean() >= 0.97
    assert 1 - len(labelled) / len(used) <= 0.15


def test_measurements_follow_the_truth(cells):
    used = cells[(cells[schema.REJECT_REASON] == "") & (cells["Truth_cell_label"] > 0)]
    assert used[schema.NUCLEAR_AREA].corr(used["Truth_nuclear_area_um2"]) > 0.9
    ratio = used[schema.NUCLEAR_AREA] / used["Truth_nuclear_area_um2"]
    assert ratio.median() == pytest.approx(1, abs=0.1)
    dna = used[schema.integrated("DNA")] / used[schema.reference_column("DNA")]
    assert dna.corr(used["Truth_dna_stain"], method="spearman") > 0.85
    assert used["Cells_Distance_Spread_Golgi"].corr(used["Truth_golgi_scatter_um"], method="spearman") > 0.6
    assert used["Cells_Number_SpotDensity_EB1"].corr(used["Truth_plus_end_density_per_um2"], method="spearman") > 0.5


def test_units_stand_in_the_file(prepared):
    units = files.read_units(prepared / "cells.parquet")
    assert units[schema.NUCLEAR_AREA] == "um^2" and units["Cells_Distance_Spread_Golgi"] == "um"
    assert not [c for c in pyarrow.parquet.read_schema(prepared / "cells.parquet").names if c.startswith("_")]


def test_a_plain_tfds_reader_opens_the_data_set(prepared, cells):
    builder = tfds.builder_from_directory(prepared / "tfds" / "cells" / "2.0.0")
    assert list(builder.info.metadata["channels"]) == ["DNA", "Golgi", "EB1", "CENPF"]
    used = cells[cells[schema.REJECT_REASON] == ""].set_index(schema.CELL_ID)
    seen = set()
    for split in schema.SPLITS:
        for example in builder.as_data_source(split):
            row = used.loc[example["cell_id"].decode()]
            assert row[schema.SPLIT] == split and row[schema.GROUP] == example["group_id"].decode()
            classes = [*builder.info.metadata["classes"], ""]
            assert classes[example["label"]] == row[schema.LABEL]
            seen.add(row.name)
    assert seen == set(used.index)


def test_crop_shows_the_cell_that_its_row_measures(prepared, cells):
    builder = tfds.builder_from_directory(prepared / "tfds" / "cells" / "2.0.0")
    rows = cells.set_index(schema.CELL_ID)
    for example in list(builder.as_data_source("validation"))[:20]:
        row = rows.loc[example["cell_id"].decode()]
        own = example["compartments"] & schema.Compartment.NUCLEUS > 0
        assert own.sum() * 0.25 == pytest.approx(row[schema.NUCLEAR_AREA], rel=1e-6)  # 0.5 um per px
        signal = example["image"][..., 0][own].astype(float) - row["Metadata_Background_DNA"]
        assert signal.sum() == pytest.approx(row[schema.integrated("DNA")], rel=0.01)
        np.testing.assert_allclose(example["intensity_stats"][:, 3], [row[schema.reference_column(c)] for c in
                                                           ("DNA", "Golgi", "EB1", "CENPF")], rtol=1e-5)


@pytest.mark.usefixtures("unrendered")
def test_result_does_not_depend_on_the_number_of_processes(simulated_fields, prepared, tmp_path, cells):
    assert prepare(small_config(), simulated_fields, tmp_path) == 0  # one process; the fixture used two
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "cells.parquet"), cells)


def test_doubts_of_the_labels_are_written_down(prepared):
    made = files.read_json(prepared / "provenance.json")
    assert made["intervals_by"] == "field"  # each line has one plate, with one field in a well
    doubtful = [plate for plate, cut in made["cuts"].items() if marker_cut.humps(cut) is marker_cut.Humps.PERHAPS_TWO]
    about_plates = [doubt for doubt in made["label_doubts"] if "is not certain to show two humps" in doubt]
    assert doubtful and [doubt.split("'")[1] for doubt in about_plates] == doubtful  # 114 cells on each plate
    few = [doubt for doubt in made["label_doubts"] if "has few cells of a class" in doubt]
    assert sorted(about_plates + few) == sorted(made["label_doubts"])


@pytest.mark.usefixtures("unrendered")
def test_where_no_marker_shows_two_humps_all_is_refused_with_the_histogram(simulated_fields, tmp_path, monkeypatch):
    monkeypatch.setattr(marker_cut, "FLAT_VALLEY", 0.0)  # no valley is one
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **_: drawn.append(path.name))
    config = small_config()
    with pytest.raises(InputRefused, match="CENPF of plate 'HeLa-P1' shows no two humps .*: none of its") as refused:
        prepare(config, simulated_fields, tmp_path)
    assert f"Look at {tmp_path / 'qc' / 'marker_cuts.png'}" in str(refused.value)
    assert "labels.one_hump='label' if you know that there are two classes" in str(refused.value)
    assert drawn == ["marker_cuts.png"]
    assert not (tmp_path / "provenance.json").exists()
    config.labels.one_hump = "label"
    assert prepare(config, simulated_fields, tmp_path) == 0
    made = files.read_json(tmp_path / "provenance.json")
    about_plates = [doubt for doubt in made["label_doubts"] if "shows no two humps" in doubt]
    assert [doubt.split("'")[1] for doubt in about_plates] == sorted(made["cuts"])


@pytest.mark.usefixtures("unrendered")
def test_fields_that_were_opened_as_test_fields_are_known_when_they_are_dealt_out_anew(simulated_fields, tmp_path):
    config = small_config()
    prepare(config, simulated_fields, tmp_path)
    first = files.read_json(tmp_path / "provenance.json")
    openings.add(tmp_path, "run1", 30, first["splits_of_pictures"])
    config.split.seed = 1
    prepare(config, simulated_fields, tmp_path, overwrite=True)
    second = files.read_json(tmp_path / "provenance.json")
    was_test = {field for field, splits in first["splits_of_pictures"].items() if splits == ["test"]}
    is_test = {field for field, splits in second["splits_of_pictures"].items() if splits == ["test"]}
    assert was_test - is_test and is_test - was_test
    assert [note for note in second["notes"] if note.startswith("Since then its fields were dealt out anew: ")] == [
        f"Since then its fields were dealt out anew: {len(was_test - is_test)} that were test fields are in train or "
        f"validation now, and {len(is_test - was_test)} of {len(is_test)} test fields were in train or validation then."
    ]


def test_few_cells_of_a_class_in_a_split_are_a_doubt():
    table = pd.DataFrame({
        schema.REJECT_REASON: [""] * 30 + ["border"] * 20,
        schema.LABEL: ["A"] * 10 + ["B"] * 9 + ["A"] * 11 + ["B"] * 20,
        schema.SPLIT: ["train"] * 19 + ["validation"] * 5 + ["test"] * 6 + ["train"] * 20,
    })
    few = "The {} split has few cells of a class ({}): what holds for so few may hold for no others."
    assert few_cells(table, ("A", "B")) == [
        few.format("train", "B 9"),
        few.format("validation", "A 5, B 0"),
        few.format("test", "A 6, B 0"),
    ]


def test_pictures_and_labels_table_are_there(prepared):
    names = {p.name for p in (prepared / "qc").iterdir()}
    assert {"marker_cuts.png", "outlines_HeLa-P1.png", "illumination_HeLa-P1.png", "contact_G1_S.png", "contact_G2.png",
            "labels.csv"} <= names


def test_every_plate_with_enough_fields_has_its_light_removed(prepared):
    assert files.read_json(prepared / "provenance.json")["light_not_estimated"] == []


def test_a_dim_channel_beside_a_bright_one_keeps_its_grey_levels(tmp_path):
    y, x = np.mgrid[:96, :96] - 48
    nucleus = np.hypot(y, x) < 12
    rng = np.random.default_rng(0)
    planes = np.stack([nucleus * 30000 + rng.normal(100, 5, x.shape), rng.uniform(0.002, 0.05, x.shape),
                       rng.uniform(-3, 7, x.shape)]).astype(np.float32)
    names = ["DNA", "Golgi", "ER"]
    tifffile.imwrite(tmp_path / "f.ome.tif", planes, ome=True, photometric="minisblack",
                     metadata={"axes": "CYX", "Channel": {"Name": names}})
    config = base.preparation()
    config.crop.assumed_um_per_px = 0.5
    preprocessing = Preprocessing(config, tmp_path, tmp_path, tuple(names), {})
    file, = source_of(config.source).find_fields(tmp_path, config)
    rows = one_field.extract_field(file, preprocessing)
    found = crop_file.index(tmp_path, rows[schema.FIELD].iloc[0])
    image, _ = found.read([0])
    size, (y, x) = config.crop.size_px, np.round(rows[["_crop_y", "_crop_x"]].to_numpy()[0]).astype(int)
    half = min(size, 64) // 2  # around the middle of the crop, inside the field
    seen = image[0, size // 2 - half:size // 2 + half, size // 2 - half:size // 2 + half]
    pixels = seen * found.shared.image_scale + rows[[f"Metadata_Background_{c}" for c in names]].to_numpy()[0]
    wanted = planes[:, y - half:y + half, x - half:x + half].transpose(1, 2, 0)
    for c, step in enumerate(np.ptp(planes, axis=(1, 2)) / 65535):
        np.testing.assert_allclose(pixels[..., c] - found.shared.field_stats[0, c], wanted[..., c], atol=2 * step)


def test_finished_data_set_is_not_overwritten_unasked(prepared, simulated_fields):
    with pytest.raises(UsageError, match="--overwrite"):
        prepare(small_config(), simulated_fields, prepared)


@pytest.fixture
def some_fields(simulated_fields, tmp_path):
    """A copy of the fields of one line, to damage."""
    folder = tmp_path / "copy"
    for part in ("fields", "labels"):
        (folder / part).mkdir(parents=True)
        for path in sorted((simulated_fields / part).glob("HeLa*")):
            shutil.copy(path, folder / part)
    shutil.copy(simulated_fields / "truth.parquet", folder)
    return folder


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


@pytest.mark.usefixtures("unrendered")
def test_interrupted_run_goes_on_where_it_was(some_fields, tmp_path, monkeypatch):
    calls, real = [], all_fields.extract_field

    def failing(file, preprocessing):
        calls.append(file.field_id)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(file, preprocessing)

    monkeypatch.setattr(all_fields, "extract_field", failing)
    with pytest.raises(KeyboardInterrupt):
        prepare(small_config(), some_fields, tmp_path / "out")
    assert not (tmp_path / "out" / "provenance.json").exists()
    assert prepare(small_config(), some_fields, tmp_path / "out") == 0
    assert len(calls) == 11  # ten fields, one of them interrupted and done again
    prepare(small_config(), some_fields, tmp_path / "straight")
    pd.testing.assert_frame_equal(*(pd.read_parquet(tmp_path / o / "cells.parquet") for o in ("out", "straight")))


@pytest.mark.usefixtures("unrendered")
def test_corrections_by_hand_outlive_another_preparation(some_fields, tmp_path):
    out = tmp_path / "out"
    sheet = out / "qc" / "labels.csv"
    prepare(small_config(), some_fields, out)
    before = pd.read_csv(sheet, keep_default_na=False)
    moved, gone = before[schema.CELL_ID][before[schema.LABEL] == "G1/S"].head(2)
    before["Corrected_Label"] = before[schema.CELL_ID].map({moved: "G2", gone: "reject"}).fillna("")
    before.to_csv(sheet, index=False)
    with pytest.raises(UsageError, match="holds 2 corrections"):
        prepare(small_config(), some_fields, out, overwrite=True)
    for _ in range(2):  # the second time from what the first wrote
        assert prepare(small_config(), some_fields, out, labels_csv=sheet, overwrite=True) == 0
        after = pd.read_csv(sheet, keep_default_na=False).set_index(schema.CELL_ID)
        assert after["Corrected_Label"][after["Corrected_Label"] != ""].to_dict() == {moved: "G2", gone: "reject"}
        cells = pd.read_parquet(out / "cells.parquet").set_index(schema.CELL_ID)
        assert cells.loc[moved, schema.LABEL] == "G2" and cells.loc[gone, schema.REJECT_REASON] == "by_hand"


def test_a_bad_table_of_corrections_is_told_before_any_field_is_read(tmp_path):
    with pytest.raises(InputRefused, match="none.csv.*--labels"):
        prepare(small_config(), tmp_path / "nowhere", tmp_path / "out", labels_csv=tmp_path / "none.csv")


def test_nothing_unfinished_is_left_behind(some_fields, tmp_path):
    old = tmp_path / "out" / ".work-of-another-config"
    old.mkdir(parents=True)
    (old / "field.npz").write_text("")
    prepare(small_config(), some_fields, tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"cells.parquet", "tfds", "qc", "provenance.json"}
    assert [p.name for p in (tmp_path / "out" / "tfds").iterdir()] == ["cells"]


@pytest.mark.usefixtures("unrendered")
def test_kept_fields_serve_another_split_and_other_labels_without_being_read_again(some_fields, tmp_path, monkeypatch):
    out = tmp_path / "out"
    prepare(small_config(), some_fields, out, keep=True)
    first = pd.read_parquet(out / "cells.parquet")
    assert len(list(out.glob(".work-*"))) == 1
    monkeypatch.setattr(one_field.measure, "measure_cells", lambda *_: pytest.fail("a field was measured again"))
    changed = small_config()
    changed.split.seed, changed.labels.abstain, changed.quality.min_solidity = 5, 0.2, 0.95
    prepare(changed, some_fields, out, overwrite=True)
    second = pd.read_parquet(out / "cells.parquet")
    pd.testing.assert_series_equal(first[schema.NUCLEAR_AREA], second[schema.NUCLEAR_AREA])
    assert (first[schema.SPLIT] != second[schema.SPLIT]).any()
    assert (first[schema.REJECT_REASON] != second[schema.REJECT_REASON]).any()
    assert not list(out.glob(".work-*"))


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


@pytest.mark.parametrize("missing", ["truth.parquet", "labels/HeLa_A01_s1.tif"])
def test_simulated_fields_without_their_answer_are_refused(simulated_fields, tmp_path, missing):
    folder = tmp_path / "fields"
    shutil.copytree(simulated_fields, folder)
    (folder / missing).unlink()
    with pytest.raises(InputRefused, match=f"{missing}: no such file.*--config.source=folder") as caught:
        prepare(small_config(), folder, tmp_path / "data")
    assert "\n" not in str(caught.value)
