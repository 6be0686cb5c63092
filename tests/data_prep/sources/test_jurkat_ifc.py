"""Tiles of an imaging flow cytometer: drawn ones with known answers, and the published ones where they are at hand."""

import numpy as np
import pandas as pd
import pytest
import tifffile

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused
from configs.data import jurkat_ifc as config_file
from data_prep.prepare import prepare
from data_prep.sources import jurkat_ifc

TILE = jurkat_ifc.TILE


def tile(rng, radius, background=680.0, centre=(20, 20)):
    """A cell as a disc with a dark rim and a mottled inside, on a background with noise."""
    y, x = np.mgrid[:TILE, :TILE]
    r = np.hypot(y - centre[0], x - centre[1])
    signal = np.where(r < radius, rng.normal(0, 60, (TILE, TILE)), 0) - 150.0 * (np.abs(r - radius + 1) < 1.2)
    return background + signal + rng.normal(0, 4, (TILE, TILE))


def test_outline_of_a_drawn_cell_is_found_on_any_background():
    rng = np.random.default_rng(0)
    tiles = np.stack([tile(rng, radius, background) for radius in (9, 12, 15) for background in (600.0, 680.0, 720.0)])
    areas = jurkat_ifc.outlines(tiles.astype(np.float32)).sum(axis=(1, 2)).reshape(3, 3)
    for radius, found in zip((9, 12, 15), areas, strict=True):
        assert found == pytest.approx(np.full(3, np.pi * (radius + 3.2) ** 2), rel=0.1)  # blur 2 px, growth 1


def test_of_two_objects_the_one_in_the_middle_is_the_cell_and_neighbouring_tiles_do_not_matter():
    rng = np.random.default_rng(1)
    tiles = np.stack([tile(rng, 10), tile(rng, 10)])
    tiles[0, :4, :4] += 100  # debris in a corner
    masks = jurkat_ifc.outlines(tiles.astype(np.float32))
    assert not masks[0, :9, :9].any() and masks[0, 20, 20]
    alone = jurkat_ifc.outlines(tiles[1:].astype(np.float32))[0]
    assert (masks[1] != alone).mean() < 0.01  # only the noise level is shared


def test_the_padding_at_the_end_of_a_montage_does_not_count_as_background():
    rng = np.random.default_rng(4)
    tiles = np.stack([tile(rng, 10, 700) for _ in range(6)]).astype(np.float32)
    padded = np.concatenate([tiles, np.zeros((30, TILE, TILE), np.float32)])
    masks = jurkat_ifc.outlines(padded)
    np.testing.assert_array_equal(masks[:6], jurkat_ifc.outlines(tiles))
    assert not masks[6:].any()
    assert not jurkat_ifc.outlines(padded[6:]).any()


def test_montages_may_have_numbers_for_names(tmp_path):
    path = tmp_path / "cells.csv"
    path.write_text("experiment,phase,montage,tile_row,tile_col\n01,G1,1,0,3\n")
    assert jurkat_ifc._cells(path).iloc[0].tolist() == ["01", "G1", "1", 0, 3]


@pytest.fixture
def montages(tmp_path):
    """Two phases of 6 columns in one experiment; the third tile of the second column of G1 is empty."""
    rng = np.random.default_rng(2)
    rows = []
    for phase, radius in (("G1", 10), ("G2", 13)):
        folder = tmp_path / "ifc" / "Experiment_1" / phase
        folder.mkdir(parents=True)
        planes = np.zeros((3, 4 * TILE, 6 * TILE))
        for row in range(4):
            for column in range(6):
                here = slice(row * TILE, (row + 1) * TILE), slice(column * TILE, (column + 1) * TILE)
                planes[(0, *here)] = tile(rng, radius, 670 + 10 * column)
                planes[(1, *here)] = tile(rng, radius, 27)
                planes[(2, *here)] = 32 + 100 * (planes[(0, *here)] > 720)
                if (phase, row, column) != ("G1", 2, 1):
                    rows.append(("Experiment_1", phase, "CP1_cols00-05", row, column))
        for plane, head in zip(planes, jurkat_ifc.FILES.values(), strict=True):
            tifffile.imwrite(folder / f"{head}_CP1_cols00-05.tif", np.clip(plane, 0, 65535).astype(np.uint16))
    names = ["experiment", "phase", "montage", "tile_row", "tile_col"]
    pd.DataFrame(rows, columns=names).to_csv(tmp_path / "ifc" / "cells.csv", index=False)
    return tmp_path / "ifc"


def test_a_crop_is_its_tile_with_the_background_put_to_one_level(montages, tmp_path):
    config = config_file.get_config()
    config.workers = 1
    assert prepare(config, montages, tmp_path / "out") == 0
    cells = pd.read_parquet(tmp_path / "out" / "cells.parquet")
    assert len(cells) == 47 and (cells[schema.REJECT_REASON] == "").all()
    assert cells[schema.LABEL].value_counts().to_dict() == {"G2": 24, "G1": 23}
    assert cells.groupby(schema.LABEL)[schema.FIELD].nunique().to_dict() == {"G1": 3, "G2": 3}
    file = jurkat_ifc.find_fields(montages, config_file.get_config())[1]  # columns 2 and 3 of G1
    image = jurkat_ifc.read(file, None).image
    assert image.shape == (4 * TILE + 2, 2 * TILE + 2, 3)
    for left in (1, 1 + TILE):  # backgrounds of 690 and 700
        assert np.median(image[1:1 + TILE, left:left + 2, 0]) == pytest.approx(jurkat_ifc.LEVEL, abs=2)
    known = jurkat_ifc.objects(file, jurkat_ifc.labels(file, None), None)
    assert known.loc[1].tolist() == [21.0, 21.0] and known.loc[4].tolist() == [61.0, 61.0]


def test_empty_tiles_hold_no_cell(montages):
    files = jurkat_ifc.find_fields(montages, config_file.get_config())
    labels = jurkat_ifc.labels(files[0], None)
    assert set(np.unique(labels)) == {0, 1, 2, 3, 4, 5, 7, 8}  # tile 6 is row 2, column 1


def test_a_missing_channel_is_named(montages):
    next(montages.rglob("Ch6_*.tif")).unlink()
    with pytest.raises(InputRefused, match="Ch6_CP1.*no such file, though Ch3_"):
        jurkat_ifc.find_fields(montages, config_file.get_config())


def test_a_montage_that_is_cut_short_is_named(montages):
    path = next(montages.rglob("Ch3_*.tif"))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputRefused, match="Ch3_CP1_cols00-05.tif: ") as caught:
        jurkat_ifc.find_fields(montages, config_file.get_config())
    assert "\n" not in str(caught.value)


def test_the_list_of_cells_is_watched_for_changes(montages):
    for file in jurkat_ifc.find_fields(montages, config_file.get_config()):
        assert file.beside == (montages / "cells.csv",)


@pytest.mark.slow
def test_the_published_cells_are_all_found_once(shared_data):
    files = jurkat_ifc.find_fields(shared_data / "jurkat_ifc_cellcycle", config_file.get_config())
    wanted = [f for f in files if (f.plate, f.label) in (("Experiment_1", "G1"), ("Experiment_1", "G2"))]
    assert len(wanted) == 20  # 19 columns each, in blocks of two
    counts = {"G1": [], "G2": []}
    for file in wanted:
        labels = jurkat_ifc.labels(file, None)
        areas = np.bincount(labels.ravel())[1:]
        counts[file.label] += areas[areas > 0].tolist()
    assert [len(v) for v in counts.values()] == [570, 570]  # by the data's description
    assert min(map(min, counts.values())) > 150
    assert np.median(counts["G2"]) > 1.1 * np.median(counts["G1"])  # cells grow; and this is known without the DNA
