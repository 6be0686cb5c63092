"""Fields to data set, on simulated fields whose answer is known."""


import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import tensorflow_datasets as tfds
import tifffile

from cellcycle_jax import crop_file, files, schema
from configs import base
from data_prep.fields_to_cells import one_field
from data_prep.fields_to_cells.preprocessing import Preprocessing
from data_prep.prepare import prepare
from data_prep.sources import source_of
from tests.data_prep.small_preparation import small_config


@pytest.fixture(scope="module")
def cells(prepared):
    return pd.read_parquet(prepared / "cells.parquet")


@pytest.fixture(scope="module")
def truth(simulated_fields):
    return pd.read_parquet(simulated_fields / "truth.parquet")


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
