"""Names of files as microscopes write them, with the patterns of docs/data.md."""

import pathlib
import re

import pytest

from configs import base
from data_prep.reading import names
from data_prep.sources import folder
from tests.data_prep.sources.test_folder import write

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "data.md").read_text()
ROWS = re.findall(r"^\| ([^|]+?) \| `([^|]+\.(?:tiff?|stk))` \| `(.+?)` \|$", PAGE, re.MULTILINE | re.IGNORECASE)
LAYOUTS = {layout: pattern for layout, _, pattern in ROWS}


@pytest.fixture
def config():
    return base.preparation()


def places(root, config, layout, names):
    """{field_id: (plate, well, site, channels)} of files of these names under a pattern of the page."""
    for value, name in enumerate(names):
        write(root / name, value)
    config.name_pattern = LAYOUTS[layout]
    return {f.field_id: (f.plate, f.well, f.site, f.channels) for f in folder.find_fields(root, config)}


def test_every_layout_of_the_page_fits_its_example():
    assert len(ROWS) == 8
    for _, example, pattern in ROWS:
        assert names.compile_pattern(pattern).search(example)["channel"]


def test_imagexpress(tmp_path, config):
    names = [f"2024-03-01/P7_{well}_s{site}_w{w}{rest}" for well in ("B03", "H12") for site in (1, 12)
             for w, rest in ((1, "4E1A0B52-77AC-4D0E-9F0B-1F0A8A6F3C11.tif"), (2, ".TIF"),
                             (1, "_thumb0C9E1F5A-1B7D-4C8E-8A55-3D2F1B0A9C77.tif"))]
    found = places(tmp_path, config, "ImageXpress", names)
    assert found["P7_B03_s12"] == ("P7", "B03", "12", ("1", "2")) and len(found) == 4
    names = [f"P7/TimePoint_{t}/ZStep_{z}/P7_B03_w{w}.tif" for t in (1, 2) for z in (1, 2) for w in (1, 2)]
    found = places(tmp_path / "z", config, "ImageXpress", names)
    assert found["P7_B03_t2"] == ("P7", "B03", "", ("1", "1", "2", "2")) and len(found) == 2


def test_metamorph(tmp_path, config):
    names = [f"day1/P7{thumb}_w{channel}_s{site}.{ending}" for site in (1, 12) for channel in ("1DAPI", "2GFP")
             for thumb, ending in (("", "STK"), ("_thumb", "TIF"))]
    found = places(tmp_path, config, "MetaMorph", names)
    assert found["P7_s12"] == ("P7", "P7_s12", "12", ("1", "2")) and len(found) == 2


def test_operetta_and_opera_phenix(tmp_path, config):
    names = [f"BR1/Images/r02c03f0{f}p0{p}-ch{c}sk1fk1fl1.tiff" for f in (1, 2) for p in (1, 2, 3) for c in (1, 5)]
    found = places(tmp_path, config, "Operetta, Opera Phenix, JUMP", [*names, "BR1/Images/Index.tiff"])
    assert found["BR1_r02c03_s01_t1"] == ("BR1", "r02c03", "01", ("1", "1", "1", "5", "5", "5")) and len(found) == 2


def test_jump(tmp_path, config):
    config.channel_codes = ("5=DNA", "2=AGP")
    names = [f"BR00117035__2021/Images/r01c01f01p01-ch{c}sk1fk1fl1.tiff" for c in range(1, 9)]
    found = places(tmp_path, config, "Operetta, Opera Phenix, JUMP", names)
    assert found == {"BR00117035__2021_r01c01_s01_t1": ("BR00117035__2021", "r01c01", "01", ("DNA", "AGP"))}


def test_yokogawa(tmp_path, config):
    names = [f"AssayPlate_{well}_T000{t}F001L01A0{c}Z0{z}C0{c}.tif" for well in ("B03", "C04") for t in (1, 2)
             for z in (1, 2) for c in (1, 2)]
    found = places(tmp_path, config, "Yokogawa CV7000, CV8000", names)
    assert len(found) == 4
    assert found["AssayPlate_B03_s001_t0002"] == ("AssayPlate", "B03", "001", ("01", "01", "02", "02"))


def test_incell(tmp_path, config):
    names = [f"plateA/{well}(fld {f} wv {c} - {c}{z}).tif" for well in ("B - 03", "C - 11") for f in (1, 12)
             for c, z in (("DAPI", ""), ("FITC", " z 1"), ("FITC", " z 2"))]
    found = places(tmp_path, config, "InCell", names)
    assert found["plateA_B_-_03_s12"] == ("plateA", "B - 03", "12", ("DAPI", "FITC", "FITC")) and len(found) == 4


def test_leica_and_zeiss(tmp_path, config):
    names = [f"slide 2/Series0{s}_z{z:02}_ch0{c}.tif" for s in (1, 2) for z in range(3) for c in (0, 1)]
    found = places(tmp_path, config, "Leica LAS (exported)", names)
    assert found["slide_2_sSeries01"] == ("slide 2", "slide_2_sSeries01", "Series01", ("00",) * 3 + ("01",) * 3)
    names = [f"exp_s{s}z{z}c{c}_ORG.tif" for s in (1, 2) for z in (1, 2) for c in (1, 2)]
    assert len(places(tmp_path / "zen", config, "Zeiss ZEN (exported)", names)) == 2


def test_micro_manager(tmp_path, config):
    names = [f"run/Pos{p}/img_channel00{c}_position00{p}_time000000000_z00{z}.tif" for p in (0, 1) for c in (0, 1)
             for z in (0, 1)]
    found = places(tmp_path, config, "Micro-Manager (one file per plane)", names)
    assert found["run_s000_t000000000"][2:] == ("000", ("000", "000", "001", "001")) and len(found) == 2
