"""What all fields of a folder have in common: their channels, by the files or by the config."""

import re

import numpy as np
import pytest
import tifffile

from cellcycle_jax.errors import InputRefused, UsageError
from configs import base
from data_prep.fields_to_cells import config_checks, preprocessing
from data_prep.sources import folder
from tests import foreign_writers as programs

PLANES = np.arange(40, dtype=np.uint16).reshape(2, 4, 5)


@pytest.fixture
def config():
    c = base.preparation()
    c.illumination = "none"
    return c


def ome(path, names, um=None):
    size = {"PhysicalSizeX": um, "PhysicalSizeY": um} if um else {}
    tifffile.imwrite(path, PLANES[: len(names)], ome=True, photometric="minisblack",
                     metadata={"axes": "CYX", "Channel": {"Name": names}} | size)


def channels_of(place, config, **asked):
    config_checks.refuse_values(config)
    return preprocessing.find_channels(folder.find_fields(place, config), config, **asked)[0]


def test_names_that_the_config_overrules_are_said_once(tmp_path, config, capsys):
    for name in "abc":
        ome(tmp_path / f"{name}.ome.tif", ["Fluo", "Fluo"])
    with pytest.raises(InputRefused, match="which the file names Fluo, Fluo; give one different name per channel"):
        channels_of(tmp_path, config)
    config.channel_names = ("DNA", "Golgi")
    assert channels_of(tmp_path, config) == ("DNA", "Golgi")
    said = capsys.readouterr().err
    assert said.count("note: by config.channel_names the channels are DNA, Golgi;") == 1 and "a.ome.tif itself" in said


def test_names_that_are_not_overruled_need_no_word(tmp_path, config, capsys):
    ome(tmp_path / "a.ome.tif", ["DNA", "Golgi"])
    config.channel_names = ("DNA", "Golgi")
    assert channels_of(tmp_path, config) == ("DNA", "Golgi") and capsys.readouterr().err == ""


def test_a_missing_channel_is_found_by_the_renaming_that_the_error_advises(tmp_path, config):
    ome(tmp_path / "a.ome.tif", ["DAPI", "Golgi"])
    with pytest.raises(InputRefused, match="no channel 'DNA' .config.channels.nucleus.* such as DAPI=DNA"):
        channels_of(tmp_path, config)
    config.channel_names = ("DAPI=DNA",)
    assert channels_of(tmp_path, config) == ("DNA", "Golgi")


def test_a_missing_channel_of_files_that_hold_one_is_found_by_the_code_that_the_error_advises(tmp_path, config):
    for channel, plane in zip(("w1", "w2"), PLANES, strict=True):
        tifffile.imwrite(tmp_path / f"a_{channel}.tif", plane)
    config.name_pattern = r"(?P<site>\w)_(?P<channel>w\d)"
    with pytest.raises(InputRefused, match="config.channel_codes, such as w1=DNA"):
        channels_of(tmp_path, config)
    config.channel_codes = ("w1=DNA", "w2=w2")
    assert channels_of(tmp_path, config) == ("DNA", "w2")


@pytest.mark.parametrize("name", ["Nuclei", "cells", "Image_1"])
def test_a_channel_called_as_our_columns_begin_is_refused_until_it_is_renamed(tmp_path, config, name):
    ome(tmp_path / "a.ome.tif", ["DNA", name])
    with pytest.raises(InputRefused, match=f"a.ome.tif: channel '{name}' .*config.channel_names"):
        channels_of(tmp_path, config)
    assert channels_of(tmp_path, config, stains_optional=True) == ("DNA", name)  # nothing is measured in it
    config.channel_names = (f"{name}=Actin",)
    assert channels_of(tmp_path, config) == ("DNA", "Actin")


@pytest.mark.parametrize("field, value", [("channel_names", ("DNA", "Nuclei")), ("channel_names", ("GFP=cells",)),
                                          ("channel_codes", ("1=DNA", "2=Truth")), ("rgb", ("DNA", "Image", ""))])
def test_a_reserved_name_in_the_config_is_refused_before_any_file_is_read(config, field, value):
    config[field] = value
    with pytest.raises(UsageError, match=f"config.{field}=.*begin with none of the words Nuclei, Cells"):
        config_checks.refuse_values(config)


def test_files_that_name_their_channels_otherwise_than_most_are_not_swapped_by_position(tmp_path, config):
    ome(tmp_path / "a.ome.tif", ["GFP", "DAPI"])
    ome(tmp_path / "b.ome.tif", ["DAPI", "GFP"])
    ome(tmp_path / "c.ome.tif", ["Far red", "Near red"])
    ome(tmp_path / "d.ome.tif", ["dapi", "gfp "])
    tifffile.imwrite(tmp_path / "e.tif", PLANES, photometric="minisblack")

    def read_all():
        found = folder.find_fields(tmp_path, config)
        seen = preprocessing.find_channels(found, config)
        made = preprocessing.Preprocessing(
            config, tmp_path, tmp_path, seen.channels, {}, own_channels=seen.own_channels
        )
        pixels = {}
        for file in found:
            try:
                pixels[file.field_id] = made.read(file).image.transpose(2, 0, 1)
            except InputRefused as error:
                assert re.search("GFP, DAPI, others DAPI, GFP|Far red, Near red, others DAPI, GFP", str(error))
                assert "such as config.channel_names=DAPI=DNA" in str(error)
        return pixels

    config.channel_names = ("DNA", "Golgi")
    pixels = read_all()
    assert sorted(pixels) == ["b", "d", "e"]
    np.testing.assert_array_equal(list(pixels.values()), [PLANES] * 3)
    (tmp_path / "e.tif").unlink()
    config.channel_names = ("DAPI=DNA", "GFP=Golgi", "Far red=Golgi", "Near red=DNA", "dapi=DNA", "gfp=Golgi")
    pixels = read_all()
    assert sorted(pixels) == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(pixels["a"], PLANES)  # Golgi, DNA: the order of the first file
    np.testing.assert_array_equal(pixels["b"], PLANES[::-1])


def test_a_size_in_an_unknown_unit_is_said_until_the_size_is_given(tmp_path, config, capsys):
    programs.ome_plane(PLANES[0], "1", "reference frame")(tmp_path)
    channels_of(tmp_path, config)
    said = capsys.readouterr().err
    assert said.count("'reference frame'") == 1 and "give config.pixel_um" in said
    config.pixel_um = 0.65
    channels_of(tmp_path, config)
    assert capsys.readouterr().err == ""
    (file,) = folder.find_fields(tmp_path, config)
    assert folder.read(file, config).pixel_um == 0.65
