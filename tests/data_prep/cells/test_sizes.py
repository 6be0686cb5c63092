"""Crops and pixel sizes held against the nuclei that were found."""

import numpy as np
import pandas as pd
import pytest
import tifffile

from cellcycle_jax import crop_file, files, schema
from configs import base
from data_prep.cells import sizes
from data_prep.fields_to_cells import all_fields
from data_prep.prepare import prepare


def config(**changes):
    chosen = base.preparation()
    chosen.update_from_flattened_dict({"labels.method": "none", "illumination": "none", "workers": 1} | changes)
    return chosen


@pytest.mark.parametrize(("pixel_um", "changes", "crop_px", "reach_px"), [
    (0.5, {}, 1.0, 16.0),
    (0.25, {}, 0.5, 32.0),
    (0.25, {"crop.um_per_px": 0.0}, 1.0, 32.0),
    (None, {"crop.assumed_um_per_px": -1.0}, 1.0, 16.0),  # as all fields without a pixel size were cut before
    (None, {"crop.assumed_um_per_px": 0.1}, 0.2, 80.0),
    (0.5, {"crop.assumed_um_per_px": 0.1}, 1.0, 16.0),  # what the file says goes before
])
def test_the_scale_of_crops_and_bodies(pixel_um, changes, crop_px, reach_px):
    found = sizes.scale_of(pixel_um, config(**changes).crop)
    assert (found.crop_px, found.reach_px) == pytest.approx((crop_px, reach_px))


def table(diameter, n=100, extent=None, known=True, border=()):
    extent = np.full(n, diameter * 2.0) if extent is None else np.asarray(extent, float)
    on_border = np.isin(np.arange(n), border)
    reason = np.where(on_border, "border", "")
    return pd.DataFrame({schema.NUCLEAR_AREA: np.pi / 4 * diameter**2, schema.REJECT_REASON: reason,
                         "_border": on_border, "_extent_px": extent, "_pixel_size_known": known}, range(n))


def test_usual_nuclei_in_usual_crops_need_no_word():
    for diameter in (4.01, 16, 31.9):
        assert sizes.notes(table(diameter), config()) == []


@pytest.mark.parametrize("diameter", [3.9, 40.1])
def test_a_median_nucleus_of_an_unusual_size_asks_for_the_pixel_size(diameter):
    said = sizes.notes(table(diameter, extent=[30] * 100), config())
    assert len(said) == 1 and f"{diameter:.3g} um across" in said[0] and "config.pixel_um" in said[0]


def test_nuclei_larger_than_their_crop_are_counted_and_the_size_that_holds_them_is_named():
    fits, too_large = np.full(100, 64.0), np.where(np.arange(100) < 2, 65.0, 30.0)
    assert sizes.notes(table(16, extent=fits), config()) == []
    said, = sizes.notes(table(16, extent=too_large), config())
    assert said.startswith("2% of the nuclei are larger than their crop of 64 px") and "config.crop.size_px=" in said
    wanted = int(said.split("config.crop.size_px=")[1].split()[0])
    assert wanted % 8 == 0
    assert sizes.notes(table(16, extent=too_large), config(**{"crop.size_px": wanted})) == []
    assert sizes.notes(table(16, extent=too_large, border=(0, 1)), config()) == []  # cut off by the field, not the crop


def test_a_crop_that_could_not_be_asked_for_is_not_advised():
    said = " ".join(sizes.notes(table(16, extent=np.full(100, 5000.0)), config()))
    assert "the pixel size is right" in said and "size_px=" not in said


def test_a_scale_that_the_user_assumes_says_how_large_nuclei_are_by_it():
    across_30_px = table(30, known=False, extent=[32] * 100)
    (said,) = sizes.notes(across_30_px, config(**{"crop.assumed_um_per_px": 0.325}))
    assert "as if one were 0.325 um, at which the median nucleus is 9.8 um across" in said


def test_without_a_pixel_size_lengths_in_px_are_no_um():
    said = sizes.notes(table(210, known=False, extent=[32] * 100), config(**{"crop.assumed_um_per_px": 0.0762}))
    assert len(said) == 1 and "as if one were 0.0762 um" in said[0] and "Lengths are in px" in said[0]
    assert sizes.notes(table(60, known=False, extent=[50] * 100), config(**{"crop.assumed_um_per_px": -1.0})) == []


def write_fields(folder, radius, n=4, side=700, **of_file):
    """Fields of nine discs of a radius in px, without a pixel size unless `of_file` says it."""
    folder.mkdir()
    y, x = np.mgrid[:side, :side]
    for number in range(n):
        rng = np.random.default_rng(number)
        image = rng.normal(200, 4, (side, side))
        for i in range(9):
            cy, cx = side // 6 + (i // 3) * side // 3 + rng.uniform(-8, 8), side // 6 + (i % 3) * side // 3
            image += 3000 * (np.hypot(y - cy, x - cx) < radius)
        tifffile.imwrite(folder / f"f{number}.tif", image.astype(np.uint16), **of_file)


@pytest.mark.parametrize("radius", [12, 30, 90])
def test_where_um_are_unknown_crops_show_the_cell_as_the_default_does(radius, tmp_path):
    write_fields(tmp_path / "fields", radius, side=max(700, 16 * radius))
    chosen = config(**{"channel_names": ("DNA",)})
    found = all_fields.process_fields(chosen, tmp_path / "fields", tmp_path)
    assumed = found.preprocessing.config.crop.assumed_um_per_px
    assert assumed == pytest.approx(sizes.TYPICAL_DIAMETER_UM / (2 * radius), rel=0.05)
    assert chosen.crop.assumed_um_per_px == 0  # the caller's config is its own
    used = found.table[found.table[schema.REJECT_REASON] == ""]
    assert len(used) >= 30
    stored = crop_file.index(found.preprocessing.crops, used[schema.FIELD].iloc[0])
    _, compartments = stored.read([0])
    across = np.sqrt(4 / np.pi * (compartments[0] & int(schema.Compartment.NUCLEUS) > 0).sum())
    assert across == pytest.approx(32, rel=0.06)  # 16 um at 0.5 um per px
    body = (compartments[0] & int(schema.Compartment.BODY) > 0).sum()
    assert np.sqrt(4 / np.pi * body) == pytest.approx(64, rel=0.06)  # 8 um more on each side
    assert np.isnan(stored.shared.um_per_px)  # it is not known all the same
    assert any("as if one were" in note for note in found.notes)


def test_a_wrong_pixel_size_and_small_crops_are_said_where_the_data_set_is_made(tmp_path, capsys):
    write_fields(tmp_path / "fields", 40)
    out = tmp_path / "out"
    prepare(config(**{"channel_names": ("DNA",), "pixel_um": 0.65}), tmp_path / "fields", out)
    said = capsys.readouterr().err
    notes = files.read_json(out / "provenance.json")["notes"]
    assert "The median nucleus is 5" in said and "look whether the pixel size is right" in said
    assert "of the nuclei are larger than their crop of 64 px" in said
    assert sum("larger than their crop" in note or "median nucleus" in note for note in notes) == 2


def test_the_measured_scale_is_kept_with_the_data_set(tmp_path):
    write_fields(tmp_path / "fields", 50)
    prepare(config(**{"channel_names": ("DNA",)}), tmp_path / "fields", tmp_path / "out")
    kept = files.read_json(tmp_path / "out" / "provenance.json")["config"]["crop"]["assumed_um_per_px"]
    assert kept == pytest.approx(0.16, rel=0.05)
