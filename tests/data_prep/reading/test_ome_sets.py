"""OME-TIFF data sets of several files, and several pictures in one file."""

import numpy as np
import pytest
import tifffile

from cellcycle_jax.errors import InputRefused
from configs import base
from data_prep.reading.tiff import read_tiff
from data_prep.sources import folder
from tests import foreign_writers as programs

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


@pytest.mark.parametrize("names, reduced, fields", [
    (("cells", "thumbnail"), False, ["a"]), (("cells", "Label image"), False, ["a"]),
    (("cells", "cells"), False, ["a"]),
    (("cells", "other"), True, ["a"]), (("cells", "other"), False, ["a_p1", "a_p2"]),
    (("", ""), False, ["a_p1", "a_p2"]),
])
def test_smaller_copies_are_no_fields_and_that_is_said(tmp_path, config, capsys, names, reduced, fields):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        for name, image in zip(names, (np.full((8, 10), 7, np.uint16), np.full((4, 5), 9, np.uint16)), strict=True):
            kind = 1 if reduced and image[0, 0] == 9 else 0
            writer.write(image, subfiletype=kind, metadata={"axes": "YX", "Name": name, "Channel": {"Name": ["DNA"]}})
    found = folder.find_fields(tmp_path, config)
    assert [f.field_id for f in found] == fields
    assert folder.read(found[0], config).image.max() == 7
    assert ("1 pictures are thumbnails, labels or overviews" in capsys.readouterr().err) is (len(fields) == 1)


@pytest.mark.parametrize("name", ["macro", "label"])
def test_fields_of_one_size_are_fields_whatever_they_are_called(tmp_path, config, name):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        for _ in range(2):
            writer.write(np.ones((4, 5), np.uint16),
                         metadata={"axes": "YX", "Name": name, "Channel": {"Name": ["DNA"]}})
    assert len(folder.find_fields(tmp_path, config)) == 2


@pytest.mark.parametrize("names", [("Stitched", "Stitched"), ("BrdU label 1h", "BrdU label 2h")])
def test_fields_of_nearly_one_size_are_fields_whatever_they_are_called(tmp_path, config, names):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        for name, height in zip(names, (40, 41), strict=True):
            writer.write(np.ones((height, 50), np.uint16),
                         metadata={"axes": "YX", "Name": name, "Channel": {"Name": ["DNA"]}})
    assert len(folder.find_fields(tmp_path, config)) == 2


def scans_and_thumbnail(root):
    """A set of three files, each of which describes all: two scans of 40 x 50 px, and a thumbnail of 4 x 5 px."""
    pictures = [("a.ome.tif", "scan 1", 10), ("b.ome.tif", "scan 2", 10), ("c.ome.tif", "thumbnail", 1)]
    images = "".join(
        f'<Image ID="Image:{i}" Name="{called}"><Pixels ID="Pixels:{i}" DimensionOrder="XYZCT" Type="uint16" '
        f'SizeX="{5 * scale}" SizeY="{4 * scale}" SizeC="1" SizeZ="1" SizeT="1"><Channel ID="Channel:{i}:0" '
        f'Name="DNA"/><TiffData IFD="0" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{name}</UUID></TiffData>'
        "</Pixels></Image>" for i, (name, called, scale) in enumerate(pictures))
    for value, (name, _, scale) in enumerate(pictures):
        xml = (f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{name}">{images}</OME>')
        plane = np.full((4 * scale, 5 * scale), value, np.uint16)
        tifffile.imwrite(root / name, plane, metadata=None, description=xml.encode())


def test_a_thumbnail_in_a_file_of_its_own_is_left_out_and_counted_once(tmp_path, config, capsys):
    scans_and_thumbnail(tmp_path)
    found = folder.find_fields(tmp_path, config)
    assert [int(folder.read(file, config).image.max()) for file in found] == [0, 1]
    said = capsys.readouterr().err
    assert "note: 1 pictures are thumbnails" in said and "c.ome.tif, picture 3)" in said


def test_files_of_one_name_in_two_folders_are_refused_and_never_read_one_for_the_other(tmp_path, config):
    for number, place in enumerate(("DAPI", "GFP")):
        (tmp_path / place).mkdir()
        name = "img.ome.tif"
        ome_set(tmp_path / place, [np.full((4, 5), number, np.uint16)], (name,), [(name, number, 0)])
        planes = "".join(
            f'<TiffData FirstC="{c}" IFD="0" PlaneCount="1"><UUID FileName="{folder_}/{name}">urn:uuid:{folder_}'
            "</UUID></TiffData>" for c, folder_ in enumerate(("DAPI", "GFP")))
        xml = tifffile.tiffcomment(tmp_path / place / name)
        start, end = xml.index("<TiffData"), xml.rindex("</TiffData>") + len("</TiffData>")
        xml = (xml[:start] + planes + xml[end:]).replace(f'UUID="urn:uuid:{name}"', f'UUID="urn:uuid:{place}"')
        tifffile.tiffcomment(tmp_path / place / name, xml)
    for file in folder.find_fields(tmp_path, config):
        with pytest.raises(InputRefused, match="DAPI/img.ome.tif. and .GFP/img.ome.tif., of which one folder"):
            folder.read(file, config)


@pytest.mark.parametrize("place", ["C:\\scans\\", "C:\\Bob's scans\\", "/home/o'neil/"])
def test_a_set_whose_metadata_name_the_folder_where_it_was_made_is_read_where_it_lies_now(tmp_path, config, place):
    names = ("a_c0.ome.tif", "a_c1.ome.tif")
    planes = np.arange(40, dtype=np.uint16).reshape(2, 4, 5)
    ome_set(tmp_path, planes, names, [(names[0], 0, 0), (names[1], 1, 0)])
    for name in names:
        xml = tifffile.tiffcomment(tmp_path / name)
        tifffile.tiffcomment(tmp_path / name, xml.replace('FileName="', f'FileName="{place}'))
    (file,) = folder.find_fields(tmp_path, config)
    np.testing.assert_array_equal(folder.read(file, config).image, planes.transpose(1, 2, 0))


def test_a_file_of_a_set_is_not_taken_for_one_channel(tmp_path, config):
    names = ("a_c0.ome.tif", "a_c1.ome.tif")
    ome_set(tmp_path, np.ones((2, 4, 5), np.uint16), names, [(names[0], 0, 0), (names[1], 1, 0)])
    config.name_pattern = r"(?P<site>[^_/]+)_c(?P<channel>\d)"
    (file,) = folder.find_fields(tmp_path, config)
    with pytest.raises(InputRefused, match="holds 2 channels, but its name stands for 0 alone"):
        folder.read(file, config)


PLANES = np.arange(40, dtype=np.uint16).reshape(2, 4, 5)


def only_field(place, config):
    (file,) = folder.find_fields(place, config)
    return folder.read(file, config)


@pytest.mark.parametrize("made", [programs.companion_set, programs.ome_set])
def test_a_set_that_one_file_describes_is_one_field(tmp_path, config, made):
    first = made(PLANES, ["DNA", "Golgi"], 0.4)(tmp_path)
    (file,) = folder.find_fields(tmp_path, config)
    assert file.path == first and [path.name for path in file.beside] == [first.name.replace("_0", "_1")]
    field = folder.read(file, config)
    assert field.channels == ("DNA", "Golgi") and field.pixel_um == 0.4
    np.testing.assert_array_equal(field.image, PLANES.transpose(1, 2, 0))


@pytest.mark.parametrize("name", ["cells.companion.ome", "cells_1.tiff"])
def test_a_set_without_one_of_its_files_is_refused_by_its_name_and_read_when_it_is_back(tmp_path, config, name):
    programs.companion_set(PLANES, ["DNA", "Golgi"])(tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).unlink()
    for file in folder.find_fields(tmp_path, config):
        with pytest.raises(InputRefused, match=f"'{name}'.*copy .* into the same folder"):
            folder.read(file, config)
    (tmp_path / name).write_bytes(content)
    np.testing.assert_array_equal(only_field(tmp_path, config).image, PLANES.transpose(1, 2, 0))


def test_files_whose_description_is_lost_are_read_by_a_pattern_that_says_their_channels(tmp_path, config):
    programs.companion_set(PLANES, ["DNA", "Golgi"])(tmp_path)
    (tmp_path / "cells.companion.ome").unlink()
    config.name_pattern = r"(?P<site>cells)_(?P<channel>\d)"
    field = only_field(tmp_path, config)
    assert field.channels == ("0", "1")
    np.testing.assert_array_equal(field.image, PLANES.transpose(1, 2, 0))


def test_a_file_that_another_one_describes_is_no_field_even_if_it_says_nothing(tmp_path, config):
    programs.ome_set(PLANES, ["DNA", "Golgi"])(tmp_path)
    tifffile.imwrite(tmp_path / "cells_1.ome.tiff", PLANES[1], ome=False, metadata=None)
    np.testing.assert_array_equal(only_field(tmp_path, config).image, PLANES.transpose(1, 2, 0))


def test_a_position_is_read_where_the_files_of_another_are_missing(tmp_path, config):
    stack = np.arange(80, dtype=np.uint16).reshape(4, 4, 5)
    names = [f"pos{p}_c{c}.ome.tif" for p in (0, 1) for c in (0, 1)]
    ome_set(tmp_path, stack, names, [(name, i % 2, i // 2) for i, name in enumerate(names)])
    (tmp_path / names[0]).unlink()
    lost, whole = folder.find_fields(tmp_path, config)
    np.testing.assert_array_equal(folder.read(whole, config).image, stack[2:].transpose(1, 2, 0))
    with pytest.raises(InputRefused, match="planes lie in 'pos0_c0.ome.tif', which is missing"):
        folder.read(lost, config)


def test_positions_of_micro_manager_in_one_file_are_a_field_each(tmp_path, config):
    stack = np.arange(80, dtype=np.uint16).reshape(2, 2, 4, 5)
    programs.micro_manager(stack, ["DNA", "Golgi"])(tmp_path)
    found = folder.find_fields(tmp_path, config)
    assert [file.part for file in found] == [0, 1]
    for file, image in zip(found, stack, strict=True):
        np.testing.assert_array_equal(folder.read(file, config).image, image.transpose(1, 2, 0))


def test_each_file_of_a_set_gives_the_picture_that_it_is_part_of(tmp_path):
    stack = np.arange(80, dtype=np.uint16).reshape(4, 4, 5)
    names = [f"pos{p}_c{c}.ome.tif" for p in (0, 1) for c in (0, 1)]
    ome_set(tmp_path, stack, names[:1], [(name, i % 2, i // 2) for i, name in enumerate(names)])
    only = f'<BinaryOnly MetadataFile="{names[0]}" UUID="urn:uuid:{names[0]}"/>'
    for name, plane in zip(names[1:], stack[1:], strict=True):
        xml = programs.ome_xml([], name, only).encode()
        tifffile.imwrite(tmp_path / name, plane, metadata=None, description=xml)
    for i, name in enumerate(names[1:], start=1):
        np.testing.assert_array_equal(read_tiff(tmp_path / name).stack[:, 0], stack[:2] if i < 2 else stack[2:])
    found = folder.find_fields(tmp_path, base.preparation())
    assert [(file.field_id, file.part) for file in found] == [("pos0_c0", 0), ("pos1_c0", 1)]
    np.testing.assert_array_equal(folder.read(found[1], base.preparation()).image, stack[2:].transpose(1, 2, 0))
