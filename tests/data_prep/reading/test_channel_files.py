"""A folder with a file per channel is not taken for so many fields without a word."""

import re

import numpy as np
import pytest
import tifffile

from configs import base
from configs.load import load
from data_prep.reading import channel_files
from data_prep.sources import folder

# Names of the files, and the tokens of the channels.
LAYOUTS = {
    "stains at the end": (["A01_s{s}_{c}.tif"], ["DAPI", "GFP"]),
    "stains in the middle": (["P7_{c}_{s}.tif"], ["Hoechst", "Cy5", "TRITC"]),
    "stains at the start": (["{c}-image{s}.tif"], ["dapi", "gfp"]),
    "stains as folders": (["{c}/image{s}.tif"], ["DAPI", "Actin"]),
    "stains as folders of a plate": (["P7/{c}/image{s}.tif"], ["DAPI", "Actin"]),
    "MetaXpress": (["P7_B03_s{s}_w{c}.TIF"], ["1", "2"]),
    "MetaMorph": (["P7_w{c}_s{s}.stk"], ["1", "2", "3"]),
    "Operetta": (["Images/r01c0{s}f01p01-ch{c}sk1fk1fl1.tiff"], ["1", "5"]),
    "Leica": (["slide/Series00{s}_ch0{c}.tif"], ["0", "1"]),
    "ImageJ's split channels": (["C{c}-cells{s}.tif"], ["1", "2", "3"]),
    "Micro-Manager": (["Pos{s}/img_channel00{c}_position00{s}_time000000000_z000.tif"], ["0", "1"]),
    "CellProfiler's example": (["AS_09125_05011{s}_D03f00d{c}.tif"], ["0", "1", "2"]),
    "several plates": (["p1/x{s}_{c}.tif", "p2/x{s}_{c}.tif"], ["GFP", "RFP"]),
    "two tokens": (["c2_cells{s}_c{c}.tif"], ["0", "1"]),
    "a stain in the name of the plate": (["DNA_damage_{s}_{c}.tif"], ["DAPI", "Lamin"]),
    "another stain's name in a word": (["TIGER_{s}_{c}.tif"], ["ER", "DNA"]),
}


def names_of(layout, fields=(1, 2, 3)):
    forms, channels = LAYOUTS[layout]
    return [form.format(s=s, c=c) for form in forms for s in fields for c in channels]


@pytest.fixture
def config():
    return base.preparation()


def write(place, names):
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(place / name, np.full((4, 5), 7, np.uint16))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_is_said_with_a_pattern_that_works(tmp_path, config, capsys, layout):
    names, channels = names_of(layout), LAYOUTS[layout][1]
    write(tmp_path / "fields", names)
    assert len(folder.find_fields(tmp_path / "fields", config)) == len(names)
    (said,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert any(name in said for name in names)
    (given,) = re.findall("--config.name_pattern='(.*?)'", said)
    (tmp_path / "mine.py").write_text("from configs import base\nget_config = base.preparation\n")
    config = load(tmp_path / "mine.py", [f"--config.name_pattern={given}"])
    found = folder.find_fields(tmp_path / "fields", config)
    assert len(found) == len(names) // len(channels)
    assert {len(file.channels) for file in found} == {len(channels)}
    assert {file.channels for file in found} == {tuple(sorted(found[0].channels))}
    assert capsys.readouterr().err == ""


def test_one_field_of_two_stains_is_enough(tmp_path, config, capsys):
    write(tmp_path, ["cells_DAPI.tif", "cells_GFP.tif"])
    folder.find_fields(tmp_path, config)
    assert "DAPI, GFP" in capsys.readouterr().err


@pytest.mark.parametrize("names", [
    ["a.tif", "b.tif", "c.tif"], ["A01_s1.tif", "A01_s2.tif"], ["cells_c1.tif", "cells_c2.tif"],
    [f"cells_w{i}_x{j}.tif" for i in range(1, 13) for j in (1, 2)],  # twelve wells
    [f"r0{i}c0{j}f01.tif" for i in (1, 2) for j in (1, 2, 3)],  # rows and columns
    [f"DAPI_{i}.tif" for i in range(9)], [f"{i}_DAPI.tif" for i in range(9)],
    ["x1_DAPI.tif", "x1_GFP.tif", *(f"other{i}.tif" for i in range(8))],
    [f"field{i}_z{j}.tif" for i in (1, 2) for j in (1, 2)], [f"field{i}_t{j}.tif" for i in (1, 2) for j in (1, 2)],
])
def test_other_folders_are_none(names):
    assert channel_files.find(names) is None


def test_with_a_pattern_nothing_is_guessed(tmp_path, config, capsys):
    write(tmp_path, names_of("stains at the end"))
    config.name_pattern = r"(?P<well>[A-P]\d\d)_(?P<site>.*)\.tif"
    folder.find_fields(tmp_path, config)
    assert capsys.readouterr().err == ""
