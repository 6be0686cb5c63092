"""OME-TIFF data sets of several files, and several pictures in one file."""

import numpy as np
import pytest
import tifffile

from cellcycle_jax.errors import InputRefused
from configs import base
from data_prep.sources import folder

OME = {"axes": "CYX", "Channel": {"Name": ["DNA", "Golgi"]}}


@pytest.fixture
def config():
    return base.preparation()


def ome_set(root, stack, own, tiffs):
    """Files of one OME data set: `tiffs` is [(file name, plane number, picture number)]; `own` the names to write."""
    pictures = sorted({picture for _, _, picture in tiffs})
    images = ""
    for picture in pictures:
        planes = "".join(f'<TiffData FirstC="{c}" IFD="0" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{name}</UUID>'
                         "</TiffData>" for name, c, p in tiffs if p == picture)
        images += (f'<Image ID="Image:{picture}"><Pixels ID="Pixels:{picture}" DimensionOrder="XYZCT" Type="uint16" '
                   'SizeX="5" SizeY="4" SizeC="2" SizeZ="1" SizeT="1"><Channel ID="Channel:0" Name="DNA"/>'
                   f'<Channel ID="Channel:1" Name="Golgi"/>{planes}</Pixels></Image>')
    for (name, *_), plane in zip(tiffs, stack, strict=True):
        if name in own:
            xml = (f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{name}">{images}'
                   "</OME>")
            tifffile.imwrite(root / name, plane, metadata=None, description=xml.encode())


def test_an_ome_set_of_several_files_is_one_field(tmp_path, config):
    stack = np.arange(40, dtype=np.uint16).reshape(2, 4, 5)
    ome_set(tmp_path, stack, ("a_c0.ome.tif", "a_c1.ome.tif"), [("a_c0.ome.tif", 0, 0), ("a_c1.ome.tif", 1, 0)])
    (file,) = folder.find_fields(tmp_path, config)
    field = folder.read(file, config)
    assert field.field_id == "a_c0" and field.channels == ("DNA", "Golgi")
    np.testing.assert_array_equal(field.image, stack.transpose(1, 2, 0))
    (tmp_path / "a_c1.ome.tif").unlink()
    (file,) = folder.find_fields(tmp_path, config)
    with pytest.raises(InputRefused, match="planes lie in .a_c1.ome.tif., which is missing"):
        folder.read(file, config)


def test_an_ome_set_of_several_positions_is_a_field_each(tmp_path, config):
    stack = np.arange(80, dtype=np.uint16).reshape(4, 4, 5)
    names = [f"pos{p}_c{c}.ome.tif" for p in (0, 1) for c in (0, 1)]
    ome_set(tmp_path, stack, names, [(name, i % 2, i // 2) for i, name in enumerate(names)])
    found = folder.find_fields(tmp_path, config)
    assert [f.field_id for f in found] == ["pos0_c0", "pos1_c0"]
    np.testing.assert_array_equal(folder.read(found[1], config).image, stack[2:].transpose(1, 2, 0))


def test_an_ome_file_that_was_renamed_is_read(tmp_path, config):
    tifffile.imwrite(tmp_path / "a.ome.tif", np.ones((2, 4, 5), np.uint16), ome=True, metadata=OME,
                     photometric="minisblack")
    (tmp_path / "a.ome.tif").rename(tmp_path / "b.ome.tif")
    (file,) = folder.find_fields(tmp_path, config)
    assert folder.read(file, config).channels == ("DNA", "Golgi")


def test_several_pictures_in_one_ome_file_are_a_field_each(tmp_path, config):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        for value in (1, 2):
            writer.write(np.full((2, 4, 5), value, np.uint16), photometric="minisblack", metadata=OME)
    found = folder.find_fields(tmp_path, config)
    assert [(f.field_id, f.part) for f in found] == [("a_p1", 0), ("a_p2", 1)]
    assert [int(folder.read(f, config).image.max()) for f in found] == [1, 2]
    assert [f.well for f in found] == ["a_p1", "a_p2"]


def test_a_file_of_a_set_is_not_taken_for_one_channel(tmp_path, config):
    names = ("a_c0.ome.tif", "a_c1.ome.tif")
    ome_set(tmp_path, np.ones((2, 4, 5), np.uint16), names, [(names[0], 0, 0), (names[1], 1, 0)])
    config.name_pattern = r"(?P<site>[^_/]+)_c(?P<channel>\d)"
    (file,) = folder.find_fields(tmp_path, config)
    with pytest.raises(InputRefused, match="holds 2 channels, but its name stands for 0 alone"):
        folder.read(file, config)
