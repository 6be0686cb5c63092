"""Published archives, made small here, become folders that our sources read."""

import subprocess
import sys

import imageio.v3 as iio
import numpy as np
import pandas as pd
import pytest
import tifffile

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused
from configs import base
from data_prep.sources import dsb2018, fucci_hacat, published

TRACKMATE = """<TrackMate><Model><AllSpots>
<SpotsInFrame frame="0"><Spot ID="7" FRAME="0" POSITION_X="5.44" POSITION_Y="2.72"/>
<Spot ID="8" FRAME="0" POSITION_X="1" POSITION_Y="1"/></SpotsInFrame>
<SpotsInFrame frame="1"><Spot ID="9" FRAME="1" POSITION_X="5.44" POSITION_Y="2.72"/></SpotsInFrame></AllSpots>
<AllTracks><Track TRACK_ID="3"><Edge SPOT_SOURCE_ID="7" SPOT_TARGET_ID="9"/></Track></AllTracks></Model></TrackMate>"""


def test_the_movie_of_hacat_cells(tmp_path):
    archive, out = tmp_path / "archive", tmp_path / "out"
    archive.mkdir()
    movie = np.arange(2 * 3 * 12 * 16, dtype=np.uint16).reshape(2, 3, 12, 16)
    labels = np.zeros((2, 12, 16), np.uint16)
    labels[:, 4:7, 8:13] = 5
    tifffile.imwrite(archive / "downscaled_hacat.ome.tif", movie, metadata={"axes": "TCYX"})
    tifffile.imwrite(archive / "labels.tif", labels)
    with pytest.raises(InputRefused, match="merged_linked.ome.xml: no such file"):
        published.repack_fucci_hacat(archive, out)
    (archive / "merged_linked.ome.xml").write_text(TRACKMATE)
    published.repack_fucci_hacat(archive, out)
    spots = pd.read_csv(out / fucci_hacat.SPOTS)
    assert spots[["id", "frame", "track_id"]].to_numpy().tolist() == [[7, 0, 3], [9, 1, 3]]  # 8 is in no track
    config = base.preparation()
    first, second = fucci_hacat.find_fields(out, config)
    np.testing.assert_array_equal(fucci_hacat.read(second, config).image, np.moveaxis(movie[1, :2], 0, -1))
    found = fucci_hacat.labels(first, config)
    assert fucci_hacat.objects(first, found, config)[schema.TRACK].tolist() == ["tree3"]


def test_the_data_science_bowl_without_what_is_bright_coloured_or_from_bbbc039(tmp_path):
    archive, out = tmp_path / "stage1_train", tmp_path / "out"
    dark = np.zeros((9, 9, 4), np.uint8)
    dark[2, 2] = dark[5, 5] = (90, 90, 90, 255)
    coloured = dark.copy()
    coloured[2, 2] = (90, 20, 90, 255)
    images = {"a": dark, "bright": 255 - dark, "coloured": coloured, "other": np.zeros((520, 696, 4), np.uint8)}
    for name, image in images.items():
        (archive / name / "images").mkdir(parents=True)
        (archive / name / "masks").mkdir()
        iio.imwrite(archive / name / "images" / f"{name}.png", image)
    for number, place in {"x": (5, 5), "b": (2, 2)}.items():
        mask = np.zeros((9, 9), np.uint8)
        mask[place] = 255
        iio.imwrite(archive / "a" / "masks" / f"{number}.png", mask)
    published.repack_dsb2018(archive, out)
    assert [p.name for p in (out / "images").iterdir()] == [p.name for p in (out / "labels").iterdir()] == ["a.png"]
    labels = iio.imread(out / "labels" / "a.png")
    assert labels[2, 2] == 1 and labels[5, 5] == 2 and (labels > 0).sum() == 2  # by rank of b, x
    config = base.preparation()
    (field,) = dsb2018.find_fields(out, config)
    np.testing.assert_array_equal(dsb2018.read(field, config).image[..., 0], dark[..., 0])


def test_a_folder_that_is_no_archive_is_one_line(tmp_path):
    done = subprocess.run([sys.executable, "-m", "data_prep.sources.published", "dsb2018", tmp_path, tmp_path / "out"],
                          capture_output=True, text=True)
    assert done.returncode == 3 and "name the folder stage1_train" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
