"""Real fields (BBBC039: U2OS, Hoechst), where the folder of real images lies beside the checkout."""

import numpy as np
import pandas as pd
import pytest
from skimage.io import imread
from skimage.measure import label

from cellcycle_jax import files, schema
from configs.data import bbbc039
from data_prep.prepare import prepare
from data_prep.segmentation.segment import segment_nuclei

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(shared_data):
    return shared_data / "bbbc039_u2os_hoechst"


def matches(truth, found, iou=0.5):
    """Number of pairs with an overlap above `iou`; above one half a pair is unique."""
    counts = np.zeros((truth.max() + 1, found.max() + 1))
    np.add.at(counts, (truth.ravel(), found.ravel()), 1)
    union = counts.sum(1, keepdims=True) + counts.sum(0, keepdims=True) - counts
    return int((counts[1:, 1:] > iou * union[1:, 1:]).sum())


def test_segmentation_finds_the_annotated_nuclei(folder):
    hits = annotated = found = 0
    for path in sorted((folder / "images").glob("*.tif"))[::12]:
        mask = label(imread(folder / "masks" / f"{path.stem}.png")[..., 0], connectivity=1)
        labels = segment_nuclei(imread(path))
        hits, annotated, found = hits + matches(mask, labels), annotated + mask.max(), found + labels.max()
    assert 2 * hits / (annotated + found) > 0.90  # of all 84 fields 0.94; plain smoothing, Otsu and watershed 0.87


def test_the_same_setting_serves_other_microscopes(shared_data):
    folder = shared_data / "dsb2018_fluorescence"
    if not folder.is_dir():
        pytest.skip("DSB 2018 is not here")
    hits = annotated = found = 0
    for path in sorted((folder / "images").glob("*.png"))[::4]:
        mask = imread(folder / "labels" / path.name).astype(int)
        labels = segment_nuclei(imread(path)[..., 0])
        hits, annotated, found = hits + matches(mask, labels), annotated + mask.max(), found + labels.max()
    assert 2 * hits / (annotated + found) > 0.83  # of all 55 images 0.84; plain smoothing, Otsu and watershed 0.57


@pytest.fixture(scope="module")
def prepared_real(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("bbbc039")
    config = bbbc039.get_config()
    config.max_fields = 24
    assert prepare(config, folder / "images", out) == 0
    return out


def test_dna_content_has_its_two_peaks(prepared_real):
    cells = pd.read_parquet(prepared_real / "cells.parquet")
    content = cells[schema.LABEL_SCORE].dropna()
    density, edges = np.histogram(content, bins=np.arange(0.5, 2.6, 0.1))
    centres = (edges[:-1] + edges[1:]) / 2
    assert abs(centres[density.argmax()] - 1) < 0.1
    upper = centres > 1.5
    assert abs(centres[upper][density[upper].argmax()] - 1.95) < 0.15
    counts = cells[schema.LABEL].value_counts()
    assert 2 < counts["2N"] / counts["4N"] < 5  # 3.2 from the annotated nuclei of all fields


def test_wells_are_never_divided_and_lengths_stay_in_px(prepared_real):
    cells = pd.read_parquet(prepared_real / "cells.parquet")
    assert cells.groupby(schema.WELL)[schema.SPLIT].nunique().max() == 1
    assert files.read_units(prepared_real / "cells.parquet")[schema.NUCLEAR_AREA] == "px^2"
    assert files.read_json(prepared_real / "provenance.json")["um_per_px"] is None
