"""Known data sets as they are published, where the folder of real images lies beside the checkout."""

import numpy as np
import pandas as pd
import pytest
import tensorflow_datasets as tfds

from cellcycle_jax import files, schema
from configs.data import dsb2018 as dsb2018_config
from configs.data import fucci_hacat as fucci_config
from configs.data import ht29_ph3 as ht29_config
from configs.data import jump as jump_config
from configs.data import nf1 as nf1_config
from data_prep.prepare import prepare
from data_prep.sources import dsb2018, folder, fucci_hacat

pytestmark = pytest.mark.slow


def prepared(config, folder, out):
    config.workers = 1
    assert prepare(config, folder, out) == 0
    return pd.read_parquet(out / "cells.parquet"), files.read_json(out / "provenance.json")


def test_jump_is_one_field_of_three_files_at_its_pixel_size(shared_data, tmp_path):
    config = jump_config.get_config()
    file, = folder.find_fields(shared_data / "jump_cellpainting", config)
    field = folder.read(file, config)
    assert set(field.channels) == {"DNA", "AGP", "RNA"} and field.image.shape == (1080, 1080, 3)
    assert field.pixel_um == 0.598 and (field.well, field.site) == ("r01c01", "01")
    cells, made = prepared(jump_config.get_config(), shared_data / "jump_cellpainting", tmp_path)
    whole = cells[~cells[schema.REJECT_REASON].isin(["small", "ragged"])]
    assert 180 <= len(whole) <= 215  # about 197 by its description
    assert 80 < cells.loc[cells[schema.REJECT_REASON] == "", schema.NUCLEAR_AREA].median() < 250  # um^2
    assert (cells["Cells_AreaShape_ObjectArea_AGP"] > 0).mean() > 0.9
    assert made["by_split"] == {"train": {"no label": made["n_used"]}}


def test_nf1_fields_have_the_cells_that_their_description_says(shared_data, tmp_path):
    published = shared_data / "nf1_schwann_cellpainting"
    config = nf1_config.get_config()
    found = folder.find_fields(published, config)
    assert [(f.well, f.site) for f in found] == [("B7", "3"), ("D6", "2"), ("D7", "1")]
    assert folder.read(found[0], config).channels == ("DNA", "GFP", "RFP")
    cells, _ = prepared(nf1_config.get_config(), published, tmp_path)
    counts = cells[cells[schema.REJECT_REASON] != "small"].groupby(schema.FIELD).size()
    assert counts.min() >= 15 and counts.max() <= 70  # about 25 to 60
    assert cells.groupby(schema.WELL)[schema.SPLIT].nunique().max() == 1


def test_ht29_mitosis_is_labelled_by_its_marker_which_is_never_shown(shared_data, tmp_path):
    published = shared_data / "ht29_ph3_examplehuman"
    config = ht29_config.get_config()
    assert folder.read(folder.find_fields(published, config)[0], config).channels == ("DNA", "PH3", "cell")
    cells, made = prepared(ht29_config.get_config(), published, tmp_path)
    positive = cells[cells[schema.LABEL] == "M"]
    assert 14 <= len(positive) <= 26  # some 20 of about 303
    assert positive["Nuclei_Intensity_MeanIntensity_PH3"].min() > 5 * cells[cells[schema.LABEL] == "not M"][
        "Nuclei_Intensity_MeanIntensity_PH3"].quantile(0.99)
    assert made["markers"] == ["PH3"] and any("share a field" in note for note in made["notes"])
    metadata = tfds.builder_from_directory(tmp_path / "tfds" / "cells" / "2.0.0").info.metadata
    assert list(metadata["markers"]) == ["PH3"]


def test_dsb2018_is_grouped_by_picture_size(shared_data):
    config = dsb2018_config.get_config()
    found = dsb2018.find_fields(shared_data / "dsb2018_fluorescence", config)
    assert pd.Series([f.plate for f in found]).value_counts().to_dict() == {
        "256x256": 50, "603x1272": 4, "1040x1388": 1}
    field = dsb2018.read(found[0], config)
    assert field.channels == ("DNA",) and field.image.dtype == np.uint16 and field.image.max() <= 255


def test_fucci_phases_follow_the_tracks(shared_data, tmp_path):
    cells, made = prepared(fucci_config.get_config(), shared_data / "fucci_hacat", tmp_path)
    assert len(cells) == 810
    assert cells.groupby(schema.TRACK)[schema.SPLIT].nunique().max() == 1
    assert cells[schema.TRACK].nunique() == 5 and any("different tracks" in note for note in made["notes"])
    area = cells.groupby(schema.LABEL)[schema.NUCLEAR_AREA].median()
    assert area["S/G2/M"] > 1.1 * area["G1"]  # nuclei grow along the cycle
    frame = cells[schema.FIELD].str[1:].astype(int)
    assert frame.min() == 0 and frame.max() == 120
    early, late = cells[frame < 10], cells[frame >= 110]
    assert len(late) > len(early)  # the colony grows


def test_fucci_label_images_are_taken_as_they_are(shared_data):
    config = fucci_config.get_config()
    file = fucci_hacat.find_fields(shared_data / "fucci_hacat", config)[0]
    labels = fucci_hacat.labels(file, config)
    assert labels.max() == 4 and labels.shape == (256, 256)
    known = fucci_hacat.objects(file, labels, config)
    # Centres in um: (51.5, 68.9), (60.5, 89.1), (63.5, 57.2), (69.1, 74.8), each beside a spot of spots.csv.
    assert known[schema.TRACK].tolist() == ["tree1", "tree3", "tree0", "tree2"]
