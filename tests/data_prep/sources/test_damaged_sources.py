"""Small drawn folders in the layout of published data sets, with damage."""

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from cellcycle_jax.errors import InputRefused
from configs.data import dsb2018 as dsb2018_config
from configs.data import fucci_hacat as fucci_config
from data_prep.sources import dsb2018, fucci_hacat


@pytest.fixture
def colony(tmp_path):
    tifffile.imwrite(tmp_path / fucci_hacat.STACK, np.ones((3, 2, 8, 9), np.uint16), photometric="minisblack")
    tifffile.imwrite(tmp_path / fucci_hacat.LABELS, np.ones((3, 8, 9), np.uint16), photometric="minisblack")
    (tmp_path / fucci_hacat.SPOTS).write_text("frame,position_y,position_x,track_id\n")
    return tmp_path


def test_frames_of_a_colony_are_one_place_at_several_times(colony):
    found = fucci_hacat.find_fields(colony, fucci_config.get_config())
    assert [(f.field_id, f.well, f.time) for f in found] == [(f"t00{t}", "colony", f"t00{t}") for t in range(3)]
    assert found[0].beside == (colony / fucci_hacat.LABELS, colony / fucci_hacat.SPOTS)


@pytest.mark.parametrize("content", [b"", b"no picture", b"II*\0" + bytes(range(200))])
def test_a_stack_that_cannot_be_read_is_named(colony, content):
    (colony / fucci_hacat.STACK).write_bytes(content)
    with pytest.raises(InputRefused, match=f"{fucci_hacat.STACK}: .*download it again") as caught:
        fucci_hacat.find_fields(colony, fucci_config.get_config())
    assert "\n" not in str(caught.value)


def test_one_damaged_picture_is_found_without_a_plate_and_refused_when_read(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png"):
        iio.imwrite(tmp_path / "images" / name, np.full((6, 7, 4), 9, np.uint8))
    (tmp_path / "images" / "b.png").write_bytes((tmp_path / "images" / "b.png").read_bytes()[:20])
    config = dsb2018_config.get_config()
    whole, damaged = dsb2018.find_fields(tmp_path, config)
    assert (whole.plate, damaged.plate) == ("6x7", "") and dsb2018.read(whole, config).image.max() == 9
    with pytest.raises(InputRefused, match="b.png: not a readable PNG"):
        dsb2018.read(damaged, config)
