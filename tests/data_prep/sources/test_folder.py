"""Folders as microscopes write them."""

import os
import re
import shutil

import imagecodecs
import numpy as np
import pytest
import tifffile

from cellcycle_jax.errors import InputRefused, UsageError
from configs import base
from data_prep.fields_to_cells import config_checks
from data_prep.reading import field, names
from data_prep.sources import folder
from tests import foreign_writers as programs

OME = {"axes": "CYX", "Channel": {"Name": ["DNA", "Golgi"]}}


@pytest.fixture
def config():
    return base.preparation()


def write(path, value=1, shape=(4, 5)):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, np.full(shape, value, np.uint16))


def per_channel(root, config, z=(1, 2), sites=(1, 2), channels=(1, 2)):
    """Pixels say where they are from: 100 * site + 10 * channel + plane."""
    for s in sites:
        for c in channels:
            for plane in z:
                write(root / f"P1_B03_s{s}_w{c}_z{plane}.tif", 100 * s + 10 * c + plane)
    config.name_pattern = r"(?P<plate>[^_/]+)_(?P<well>[A-P]\d\d)_s(?P<site>\d+)_w(?P<channel>\d)_z(?P<z>\d+)"
    config.channel_codes = ("2=DNA", "1=Golgi")
    return folder.find_fields(root, config)


def test_files_of_one_channel_and_plane_become_one_field(tmp_path, config):
    found = per_channel(tmp_path, config, z=(1, 2, 10))
    assert [(f.field_id, f.plate, f.well, f.site) for f in found] == [("P1_B03_s1", "P1", "B03", "1"),
                                                                       ("P1_B03_s2", "P1", "B03", "2")]
    assert [p.name for p in found[0].paths[:3]] == [f"P1_B03_s1_w2_z{z}.tif" for z in (1, 2, 10)]
    field = folder.read(found[1], config)
    assert field.channels == ("DNA", "Golgi") and field.image.shape == (4, 5, 2)
    assert field.image[0, 0].tolist() == [230, 220]  # the brightest is plane 10
    config.projection = "mean"
    assert folder.read(found[1], config).image[0, 0].tolist() == [224, 214]  # (1 + 2 + 10) / 3 is 4.3


def test_channels_that_are_not_asked_for_are_left_out_and_told(tmp_path, config, capsys):
    write(tmp_path / "P1_B03_s1_w7_z1.tif")
    assert len(per_channel(tmp_path, config)) == 2
    assert "1 files are of channels that config.channel_codes does not list" in capsys.readouterr().err
    config.channel_codes = ("ch1=DNA",)
    with pytest.raises(InputRefused, match="matches '1'; config.channel_codes has ch1"):
        folder.find_fields(tmp_path, config)


def test_without_codes_what_the_group_matches_is_the_name(tmp_path, config):
    for name in ("Golgi", "DNA"):
        write(tmp_path / f"a_{name}.tif")
    config.name_pattern = r"(?P<site>[^/]+)_(?P<channel>\w+)\.tif"
    (file,) = folder.find_fields(tmp_path, config)
    assert folder.read(file, config).channels == ("DNA", "Golgi") and file.well == "sa"


def test_a_field_that_lacks_a_channel_is_refused_alone_with_what_it_lacks(tmp_path, config):
    per_channel(tmp_path, config)
    for z in (1, 2):
        (tmp_path / f"P1_B03_s2_w1_z{z}.tif").unlink()
    one, two = folder.find_fields(tmp_path, config)
    channels = folder.read(one, config).channels
    with pytest.raises(InputRefused, match="field 'P1_B03_s2' has no Golgi, only DNA; most fields have DNA, Golgi"):
        field.in_order(folder.read(two, config), channels)


def test_a_missing_plane_and_planes_of_another_size_are_refused(tmp_path, config):
    per_channel(tmp_path, config, z=(1, 2, 3))
    (tmp_path / "P1_B03_s2_w1_z3.tif").unlink()
    write(tmp_path / "P1_B03_s1_w1_z2.tif", shape=(4, 6))
    one, two = folder.find_fields(tmp_path, config)
    with pytest.raises(InputRefused, match="w1_z2.tif: height and width 4 x 6, but .*w2_z1.tif .* 4 x 5"):
        folder.read(one, config)
    with pytest.raises(InputRefused, match=r"differ in z planes \(DNA 3, Golgi 2\)"):
        folder.read(two, config)


def test_one_plane_of_a_channel_beside_a_stack_of_another_is_fine(tmp_path, config):
    per_channel(tmp_path, config, z=(1, 2, 3), sites=(1,))
    for z in (2, 3):
        (tmp_path / f"P1_B03_s1_w1_z{z}.tif").unlink()
    (file,) = folder.find_fields(tmp_path, config)
    assert folder.read(file, config).image[0, 0].tolist() == [123, 111]


def test_stacks_in_files_of_one_channel(tmp_path, config):
    for c in (1, 2):
        tifffile.imwrite(tmp_path / f"a_w{c}.tif", np.stack([np.full((4, 5), 10 * c + z, np.uint16) for z in range(3)]),
                         photometric="minisblack")
    config.name_pattern = r"(?P<site>\w)_w(?P<channel>\d)"
    (file,) = folder.find_fields(tmp_path, config)
    assert folder.read(file, config).image[0, 0].tolist() == [12, 22]


def test_planes_of_all_channels_in_files_of_their_own(tmp_path, config):
    for z in (1, 2):
        tifffile.imwrite(tmp_path / f"a_z{z}.tif", np.stack([np.full((4, 5), 10 * c + z, np.uint16) for c in (1, 2)]),
                         photometric="minisblack")
    config.name_pattern, config.channel_names = r"(?P<site>\w)_z(?P<z>\d)", ("DNA", "Golgi")
    (file,) = folder.find_fields(tmp_path, config)
    assert folder.read(file, config).image[0, 0].tolist() == [12, 22]


def test_two_files_for_one_plane_are_refused_with_both_names(tmp_path, config):
    per_channel(tmp_path, config)
    write(tmp_path / "copy" / "P1_B03_s1_w1_z1.tif")
    with pytest.raises(InputRefused, match="copy/P1_B03_s1_w1_z1.tif .*are both plate P1, well B03, site 1, ch"):
        folder.find_fields(tmp_path, config)


def test_several_channels_in_a_file_whose_name_stands_for_one_are_refused(tmp_path, config):
    tifffile.imwrite(tmp_path / "a_w1.ome.tif", np.ones((2, 4, 5), np.uint16), ome=True, metadata=OME,
                     photometric="minisblack")
    config.name_pattern = r"(?P<site>\w)_w(?P<channel>\d)"
    (file,) = folder.find_fields(tmp_path, config)
    with pytest.raises(InputRefused, match="holds 2 channels, but its name stands for 1 alone"):
        folder.read(file, config)


def test_time_points_are_fields_of_one_well(tmp_path, config):
    for t in (1, 2):
        write(tmp_path / f"pos3_t{t}.tif", t)
    config.name_pattern = r"pos(?P<site>\d+)(?P<time>_t\d+)"
    found = folder.find_fields(tmp_path, config)
    assert [f.field_id for f in found] == ["pos3_t1", "pos3_t2"] and {f.well for f in found} == {"pos3"}
    config.name_pattern = r"(?P<channel>pos)(?P<site>\d+)_t(?P<time>\d+)"
    found = folder.find_fields(tmp_path, config)
    assert [f.field_id for f in found] == ["s3_t1", "s3_t2"] and {f.well for f in found} == {"s3"}


def test_a_folder_s_name_is_the_label_of_its_fields(tmp_path, config):
    for name in ("G1", "G2"):
        write(tmp_path / name / "a.tif")
    config.name_pattern = "(?P<label>G[12])/"
    assert [f.label for f in folder.find_fields(tmp_path, config)] == ["G1", "G2"]


def test_files_that_do_not_fit_are_left_out_and_told_unless_none_fits(tmp_path, config, capsys):
    for name in ("B03_s1.tif", "overview.tif", "B03_s1_mask.tif"):
        write(tmp_path / name)
    config.name_pattern = r"(?P<well>[A-P]\d\d)_s(?P<site>\d+)\."
    assert [f.field_id for f in folder.find_fields(tmp_path, config)] == ["B03_s1"]
    assert "1 files do not fit config.name_pattern and are left out (first: " in capsys.readouterr().err
    config.name_pattern = r"(?P<well>X\d\d)"
    with pytest.raises(InputRefused, match="B03_s1.tif: the name does not fit .*nor does any of the 2 files"):
        folder.find_fields(tmp_path, config)


@pytest.mark.parametrize("pattern, word", [("(", "not a regular expression"), ("(?P<row>.)", "unknown group 'row'"),
                                           ("(?P<channel>.)", "distinguished")])
def test_patterns_that_cannot_work_are_refused(tmp_path, config, pattern, word):
    write(tmp_path / "a.tif")
    config.name_pattern = pattern
    with pytest.raises(UsageError, match=word):
        folder.find_fields(tmp_path, config)


def test_channels_named_twice_are_refused(tmp_path, config):
    config.channel_names = ("DNA", "Golgi")
    with pytest.raises(UsageError, match="config.channel_names=.*use channel_codes"):
        per_channel(tmp_path, config)


@pytest.mark.parametrize("path, value", [("projection", "sum"), ("rgb", ("DNA",)), ("rgb", ("", "", "")),
                                         ("rgb", ("A", "A", "")), ("channel_codes", ("1",)),
                                         ("channel_codes", ("1=A", "1=B")), ("channel_codes", ("1=A", "2=A")),
                                         ("channel_codes", ("=A",)), ("channel_codes", (1,))])
def test_values_that_cannot_work_are_named(config, path, value):
    config.update({path: value})
    with pytest.raises(UsageError, match=re.escape(f"config.{path}={value!r}; allowed: ")):
        config_checks.refuse_values(config)


def test_two_fields_of_one_name_are_refused(tmp_path, config):
    write(tmp_path / "a" / "b.tif")
    write(tmp_path / "a_b.tif")
    with pytest.raises(InputRefused, match="are both field 'a_b'"):
        folder.find_fields(tmp_path, config)


@pytest.mark.parametrize("name, word", [("x.nd2", "found 2 .nd2 files: export them as OME-TIFF"),
                                        ("x.CZI", "found 2 .czi files"), ("x.jpg", "JPEG"), ("x.txt", "in it$")])
def test_folders_of_other_files_are_refused_with_what_to_do(tmp_path, config, name, word):
    (tmp_path / name).write_text("")
    (tmp_path / f"2{name}").write_text("")
    with pytest.raises(InputRefused, match=word):
        folder.find_fields(tmp_path, config)


def test_previews_beside_tiffs_are_left_out_and_a_folder_of_png_is_read(tmp_path, config, capsys):
    image = np.arange(20, dtype=np.uint16).reshape(4, 5) * 3000
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(image))
    config.channel_names = ("DNA",)
    (file,) = folder.find_fields(tmp_path, config)
    np.testing.assert_array_equal(folder.read(file, config).image[..., 0], image)
    write(tmp_path / "b.tif")
    assert [f.path.name for f in folder.find_fields(tmp_path, config)] == ["b.tif"]
    assert "1 files are taken for previews" in capsys.readouterr().err


def test_files_of_a_microscope_s_own_format_beside_tiffs_are_told(tmp_path, config, capsys):
    write(tmp_path / "a.tif")
    (tmp_path / "b.nd2").touch()
    assert len(folder.find_fields(tmp_path, config)) == 1
    assert "1 files are in a microscope's own format" in (said := capsys.readouterr().err) and "b.nd2" in said


def test_damaged_files_are_found_quietly_and_refused_when_read(tmp_path, config, capsys):
    (tmp_path / "a.ome.tif").write_bytes(b"II*\0" + bytes(range(200)))
    (file,) = folder.find_fields(tmp_path, config)
    with pytest.raises(InputRefused, match="a.ome.tif"):
        folder.read(file, config)
    assert capsys.readouterr().err == ""


def test_a_field_id_of_many_long_folders_is_cut_and_stays_unique(tmp_path, config):
    deep = tmp_path / ("\u00e4" * 100) / ("b" * 100)
    for name in ("one.tif", "two.tif"):
        write(deep / name)
    ids = [f.field_id for f in folder.find_fields(tmp_path, config)]
    assert len(set(ids)) == 2
    for field_id in ids:
        (tmp_path / f".{field_id}.parquet.1234567.tmp.parquet").touch()  # as the longest name made of it
    assert names._safe(ids[0]) == ids[0] and names._safe("short_1.2") == "short_1.2"


def test_long_groups_make_a_field_id_that_a_file_can_have(tmp_path, config):
    write(tmp_path / ("p" * 90) / ("w" * 90) / f"t{'0' * 90}_c1.tif")
    config.name_pattern = r"(?P<plate>p+)/(?P<well>w+)/t(?P<time>\d+)_c(?P<channel>\d)"
    (file,) = folder.find_fields(tmp_path, config)
    assert len(file.field_id) <= names.MAX_NAME and file.time == "0" * 90


def test_the_time_in_a_name_is_kept(tmp_path, config):
    for time in (1, 2):
        write(tmp_path / f"B03_t{time}.tif")
    config.name_pattern = r"(?P<well>B\d\d)_t(?P<time>\d)"
    assert [(f.well, f.time) for f in folder.find_fields(tmp_path, config)] == [("B03", "1"), ("B03", "2")]


def test_a_plate_that_is_a_link_into_a_store_is_read_under_the_name_of_the_link(tmp_path, config):
    write(tmp_path / "fields" / "plate1" / "a.tif")
    write(tmp_path / "store" / "p2" / "b.tif")
    (tmp_path / "fields" / "plate2").symlink_to("../store/p2")
    found = folder.find_fields(tmp_path / "fields", config)
    assert [(f.field_id, f.plate) for f in found] == [("plate1_a", "plate1"), ("plate2_b", "plate2")]


def as_bytes(*parts):
    return b"/".join(os.fsencode(part) for part in parts)


@pytest.fixture
def latin(tmp_path):
    """Plates Platte_\xfc1 and Platte_\xe91 in Latin-1, with a field a.tif each; and a file \xb5.tif."""
    write(tmp_path / "a.tif")
    for name in (b"Platte_\xfc1", b"Platte_\xe91"):
        os.mkdir(as_bytes(tmp_path, name))
        shutil.copy(tmp_path / "a.tif", as_bytes(tmp_path, name, b"a.tif"))
    os.rename(tmp_path / "a.tif", as_bytes(tmp_path, b"\xb5.tif"))
    return tmp_path


def test_names_that_are_not_utf_8_are_taken_as_texts_that_differ_and_are_said(latin, config, capsys):
    found = folder.find_fields(latin, config)
    assert [(f.field_id, f.plate, f.well) for f in found] == [
        ("Platte__E91_a", "Platte_%E91", "Platte__E91_a"), ("Platte__FC1_a", "Platte_%FC1", "Platte__FC1_a"),
        ("_B5", "", "_B5")]
    assert "3 files have names that are not UTF-8" in capsys.readouterr().err
    config.channel_names = ("DNA",)
    for file in found:
        folder.read(file, config).path.encode()
    config.name_pattern = "(?P<plate>Platte_%..1)/(?P<well>a)"
    assert {f.plate for f in folder.find_fields(latin, config)} == {"Platte_%E91", "Platte_%FC1"}


def test_what_is_wrong_with_a_file_whose_name_is_not_utf_8_can_be_written(latin, config):
    for file in folder.find_fields(latin, config):
        file.path.write_bytes(b"II*\0 damaged")
        with pytest.raises(InputRefused, match="%(E9|FC|B5)") as caught:
            folder.read(file, config)
        str(caught.value).encode()
        config.labels_folder = "labels"
        with pytest.raises(InputRefused, match="no label image for field") as caught:
            folder.labels(file, config)
        str(caught.value).encode()
        config.labels_folder = ""


def test_two_names_that_are_the_same_text_are_refused_with_both(tmp_path, config):
    write(tmp_path / "Z\u00e9.tif")
    write(tmp_path / "Ze\u0301.tif")
    with pytest.raises(InputRefused, match="are both field 'Z\u00e9'; rename one of them"):
        folder.find_fields(tmp_path, config)


def test_a_pattern_fits_both_unicode_forms(tmp_path, config):
    for name in ("Z\u00e9_1.tif", "Ze\u0301_2.tif"):
        write(tmp_path / name)
    for pattern in ("(?P<line>Z\u00e9)_(?P<site>.)", "(?P<line>Ze\u0301)_(?P<site>.)"):
        config.name_pattern = pattern
        assert [f.cell_line for f in folder.find_fields(tmp_path, config)] == ["Z\u00e9"] * 2


def test_results_written_among_the_fields_are_no_fields(tmp_path, config, capsys):
    write(tmp_path / "a.tif")
    for name in ("provenance.json", "cells.parquet", "qc/outlines.tif"):
        write(tmp_path / "out" / name)
    assert [f.field_id for f in folder.find_fields(tmp_path, config)] == ["a"]
    assert "1 folders were written by this program and are left out" in capsys.readouterr().err


def test_stacks_of_metamorph_and_zeiss_are_fields(tmp_path, config):
    programs.stk(np.ones((1, 4, 5), np.uint16))(tmp_path)
    programs.lsm(np.ones((3, 4, 5), np.uint16))(tmp_path)
    found = folder.find_fields(tmp_path, config)
    assert [f.field_id for f in found] == ["cells", "plate_w1DAPI_s1"]
    config.channel_names = ("DNA",)
    assert folder.read(found[1], config).pixel_um == 0.65


@pytest.mark.parametrize("made", [programs.stk(np.ones((2, 4, 5), np.uint16), milliseconds=5000),
                                  programs.lsm(np.ones((3, 4, 5), np.uint16), times=2)])
def test_time_series_of_metamorph_and_zeiss_are_refused(tmp_path, config, made):
    made(tmp_path)
    (file,) = folder.find_fields(tmp_path, config)
    with pytest.raises(InputRefused, match="export one time point per file"):
        folder.read(file, config)
