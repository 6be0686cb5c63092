"""Damage is what a decoding package raises; what our own code raises is a mistake of ours and passes through."""

from xml.etree import ElementTree

import imagecodecs
import numpy as np
import pytest
import tifffile

from cellcycle_jax.errors import InputRefused, UsageError
from data_prep.reading import damage, field, formats, picture, raster, tiff


def raised(function, *arguments):
    with pytest.raises(Exception) as caught:
        function(*arguments)
    return caught.value


@pytest.mark.parametrize("function, content", [(ElementTree.fromstring, "<a><b></a>"),
                                               (imagecodecs.png_decode, b"no picture at all"),
                                               (tifffile.TiffFile, __file__)])
def test_what_a_decoding_package_raises_is_damage(function, content):
    assert damage.is_damage(raised(function, content))


@pytest.mark.parametrize("function, arguments", [
    (tiff._check_kind, (object(), "a.tif", False)),  # AttributeError
    (picture.refuse_large, (None, "a.tif")),  # TypeError
    (field.field_of, (None, [[1, "a"]], (), None)),  # raised by NumPy, which our own code called
])
def test_what_our_own_code_raises_is_none(function, arguments):
    assert not damage.is_damage(raised(function, *arguments))


def test_damage_is_refused_in_one_line():
    with pytest.raises(InputRefused) as caught, damage.damage_refused("a.xml", "not XML", "copy it again"):
        ElementTree.fromstring("<a>\n<b></a>")
    assert str(caught.value) == "a.xml: not XML (ParseError: mismatched tag: line 2, column 5); copy it again"


@pytest.mark.parametrize("error", [UsageError("a.xml: as it was"), InputRefused("a.xml: as it was")])
def test_what_is_refused_already_keeps_its_words(error):
    with pytest.raises(type(error), match="^a.xml: as it was$"), damage.damage_refused("a.xml", "x", "y"):
        raise error


@pytest.mark.parametrize("name, broken, image", [
    ("a.tif", "data_prep.reading.tiff.type_bits", np.ones((4, 5), np.uint16)),
    ("a.png", "data_prep.reading.raster.type_bits", np.ones((4, 5), np.uint16)),
    ("a.ome.tif", "data_prep.reading.calibration.differ", np.ones((4, 5), np.uint16)),
])
def test_a_mistake_of_ours_is_never_called_damage_of_a_file(tmp_path, monkeypatch, name, broken, image):
    path = tmp_path / name
    if name.endswith("png"):
        path.write_bytes(imagecodecs.png_encode(image))
    else:
        metadata = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
        tifffile.imwrite(path, image, ome=name.endswith("ome.tif"), metadata=metadata, photometric="minisblack")
    formats.read_picture(path)
    monkeypatch.setattr(broken, None)
    with pytest.raises(TypeError):
        formats.read_picture(path)


def test_a_codec_that_refuses_is_damage(tmp_path):
    (tmp_path / "a.bmp").write_bytes(b"BM" + bytes(100))
    with pytest.raises(InputRefused, match="a.bmp: damaged"):
        raster.read_bmp(tmp_path / "a.bmp")
