"""TIFF files as laboratories have them, whole and damaged."""

import collections

import numpy as np
import pytest
import tifffile

from cellcycle_jax.errors import InputRefused
from data_prep.reading import tiff
from data_prep.reading.tiff import read_tiff

NAMES = ["DNA", "Golgi"]
OME = {"axes": "CYX", "Channel": {"Name": NAMES}, "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm"}


@pytest.fixture
def stack():
    rng = np.random.default_rng(0)
    return (rng.integers(0, 40, (2, 48, 64)) + 100 * np.arange(64)).astype(np.uint16)


def test_imagej_hyperstack_gives_channels_planes_and_pixel_size(tmp_path, stack):
    deep = np.stack([stack, stack + 1, stack + 2])
    tifffile.imwrite(tmp_path / "a.tif", deep, imagej=True, resolution=(4, 4), metadata={"axes": "ZCYX", "unit": "um"})
    picture = read_tiff(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.stack, deep.transpose(1, 0, 2, 3))
    assert picture.pixel_um == 0.25 and picture.channels == () and picture.bits == 16


@pytest.mark.parametrize("unit", ["inch", "pixel", "cm"])
def test_imagej_units_that_say_nothing_of_the_microscope_are_not_used(tmp_path, stack, unit):
    tifffile.imwrite(tmp_path / "a.tif", stack[0], imagej=True, resolution=(72, 72), metadata={"unit": unit})
    assert read_tiff(tmp_path / "a.tif").pixel_um is None


@pytest.mark.parametrize("dpi", [72, 96, 300])
@pytest.mark.parametrize("unit", ["INCH", "CENTIMETER"])
def test_dots_per_inch_are_no_pixel_size(tmp_path, stack, dpi, unit):
    tifffile.imwrite(tmp_path / "a.tif", stack[0], resolution=(dpi, dpi), resolutionunit=unit)
    assert read_tiff(tmp_path / "a.tif").pixel_um is None


def test_metaseries_calibration_is_read(tmp_path, stack):
    def write(name, state):
        props = {"spatial-calibration-state": ("bool", state), "spatial-calibration-x": ("float", "0.65"),
                 "spatial-calibration-y": ("float", "0.65"), "spatial-calibration-units": ("string", "um")}
        said = "".join(f'<prop id="{k}" type="{t}" value="{v}"/>' for k, (t, v) in props.items())
        tifffile.imwrite(tmp_path / name, stack[0], software="MetaSeries", metadata=None,
                         description=f"<MetaData><PlaneInfo>{said}</PlaneInfo></MetaData>")
        return read_tiff(tmp_path / name).pixel_um

    assert write("a.tif", "on") == 0.65
    assert write("b.tif", "off") is None


def test_rows_of_pages_are_channels_or_planes_as_asked(tmp_path, stack):
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    assert read_tiff(tmp_path / "a.tif").stack.shape == (2, 1, 48, 64)
    assert read_tiff(tmp_path / "a.tif", pages="Z").stack.shape == (1, 2, 48, 64)


def test_bigtiff_tiles_and_predictors_give_the_same_pixels(tmp_path, stack):
    for i, kind in enumerate([{"bigtiff": True}, {"tile": (16, 16)}, {"compression": "lzw", "predictor": True},
                              {"compression": "zstd"}, {"byteorder": ">"}, {"rowsperstrip": 5}]):
        tifffile.imwrite(tmp_path / f"{i}.tif", stack, photometric="minisblack", **kind)
        np.testing.assert_array_equal(read_tiff(tmp_path / f"{i}.tif").stack[:, 0], stack)


@pytest.mark.parametrize("options, word", [({"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)},
                                            "palette"), ({"photometric": "miniswhite"}, "inverted"),
                                           ({"photometric": "cielab"}, "colours are CIELAB"),
                                           ({"photometric": "minisblack", "compression": "jpeg"}, "JPEG")])
def test_kinds_whose_values_are_not_intensities_are_refused(tmp_path, options, word):
    shape = (20, 20, 3) if options["photometric"] == "cielab" else (20, 20)
    tifffile.imwrite(tmp_path / "a.tif", np.zeros(shape, np.uint8), **options)
    with pytest.raises(InputRefused, match=f"a.tif: .*{word}"):
        read_tiff(tmp_path / "a.tif")


def test_time_series_and_several_pictures_are_refused_but_thumbnails_are_not(tmp_path, stack):
    tifffile.imwrite(tmp_path / "t.ome.tif", stack, ome=True, metadata={"axes": "TYX"})
    with pytest.raises(InputRefused, match="one time point per file"):
        read_tiff(tmp_path / "t.ome.tif")
    for name, second in (("two", stack), ("thumb", stack[:, ::4, ::4])):
        with tifffile.TiffWriter(tmp_path / f"{name}.ome.tif", ome=True) as writer:
            writer.write(stack, photometric="minisblack", metadata=OME)
            writer.write(second, photometric="minisblack", metadata=OME | {"Channel": {"Name": ["A", "B"]}})
    with pytest.raises(InputRefused, match="holds 2 pictures"):
        read_tiff(tmp_path / "two.ome.tif")
    assert read_tiff(tmp_path / "two.ome.tif", part=1).channels == ("A", "B")
    np.testing.assert_array_equal(read_tiff(tmp_path / "thumb.ome.tif").stack[:, 0], stack)


def test_significant_bits_come_from_the_metadata_else_from_the_number_type(tmp_path, stack):
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, ome=True, photometric="minisblack",
                     metadata=OME | {"SignificantBits": 12})
    assert read_tiff(tmp_path / "a.ome.tif").bits == 12
    for dtype, bits in (("u1", 8), ("u2", 16), ("i2", 15), ("u4", 32), ("f4", 32), ("f2", 16)):
        tifffile.imwrite(tmp_path / "b.tif", stack[0].astype(dtype))
        assert read_tiff(tmp_path / "b.tif").bits == bits


def test_a_link_out_of_the_folder_in_the_metadata_is_refused(tmp_path, stack):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, stack, ome=True, photometric="minisblack", metadata=OME)
    xml = tifffile.tiffcomment(path)
    for name in ("../b.ome.tif", "/b.ome.tif", "..\\\\b.ome.tif"):
        uuid = f'<UUID FileName="{name}">urn:uuid:0</UUID>'
        tifffile.tiffcomment(path, xml.replace('PlaneCount="2"/>', f'PlaneCount="2">{uuid}</TiffData>').encode())
        with pytest.raises(InputRefused, match="files of the same folder"):
            read_tiff(path)


def test_entities_in_the_metadata_are_refused(tmp_path, stack):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, stack, ome=True, photometric="minisblack", metadata=OME)
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    xml = tifffile.tiffcomment(path)
    tifffile.tiffcomment(path, xml.replace("<OME", f"{bomb}<OME", 1).encode())
    with pytest.raises(InputRefused, match="entities"):
        read_tiff(path)


KINDS = {"ome": {"ome": True, "metadata": OME}, "lzw": {"compression": "lzw"}, "deflate": {"compression": "zlib"},
         "tiled": {"tile": (16, 16), "compression": "zlib"}, "big": {"bigtiff": True, "compression": "zlib"},
         "strips": {"rowsperstrip": 8}}


@pytest.fixture
def whole(tmp_path, stack):
    """{kind: content of a file}."""
    found = {}
    for kind, options in KINDS.items():
        path = tmp_path / ("a.ome.tif" if kind == "ome" else f"{kind}.tif")
        tifffile.imwrite(path, stack, photometric="minisblack", **options)
        found[kind] = path.read_bytes()
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_anywhere_is_read_right_or_refused(tmp_path, stack, whole, kind):
    refused, path = 0, tmp_path / "cut.tif"
    for share in np.arange(0, 1, 0.05):
        path.write_bytes(whole[kind][: int(len(whole[kind]) * share)])
        try:
            np.testing.assert_array_equal(read_tiff(path).stack[:, 0], stack)
        except InputRefused:
            refused += 1
    assert refused == 20


def mutants(folder, whole, stack, count, seed=0):
    """How many of `count` files with a few bytes changed were refused, read right, or read with other pixels.

    Deflate carries a checksum. Plain and LZW data do not: a changed pixel in them cannot be told from a measured one.
    """
    rng, path, outcome = np.random.default_rng(seed), folder / "mutant.tif", collections.Counter()
    kinds = list(whole)
    for i in range(count):
        content = bytearray(whole[kinds[i % len(kinds)]])
        head = rng.random() < 0.5  # half of them where the structure is
        for place in rng.integers(0, min(len(content), 600) if head else len(content), rng.integers(1, 4)):
            content[place] = rng.integers(0, 256)
        path.write_bytes(bytes(content))
        try:
            image = read_tiff(path).stack
        except InputRefused as error:
            assert "\n" not in str(error)
            outcome["refused"] += 1
        else:
            assert image.shape == (2, 1, 48, 64)
            outcome["right" if (image[:, 0] == stack).all() else f"other pixels, {kinds[i % len(kinds)]}"] += 1
    return outcome


def test_damaged_files_are_read_or_refused_and_raise_nothing_else(tmp_path, stack, whole):
    outcome = mutants(tmp_path, whole, stack, 200)
    assert sum(outcome.values()) == 200 and outcome["refused"] > 100
    assert set(outcome) <= {"refused", "right", *(f"other pixels, {kind}" for kind in ("ome", "lzw", "strips"))}


def test_a_file_that_calls_every_plane_opacity_is_refused(tmp_path, stack):
    path = tmp_path / "a.tif"
    pixels = np.moveaxis(stack, 0, -1)
    tifffile.imwrite(path, pixels, photometric="minisblack", planarconfig="contig", extrasamples=["assocalpha"])
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags[338].overwrite((1, 2))
    with pytest.raises(InputRefused, match="a.tif: the file calls every plane opacity; export"):
        read_tiff(path)


def test_a_plane_whose_samples_have_several_types_is_refused(tmp_path, stack):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(stack[0], photometric="minisblack", metadata={"axes": "CYX"})
        pixels = np.stack([stack[1]] * 3, axis=-1)
        writer.write(pixels, photometric="rgb", metadata=None)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[1].tags[258].overwrite((16, 16, 8))
        file.pages[0].tags[277].overwrite(1)
    with tifffile.TiffFile(path) as file:
        assert not isinstance(file.pages[1].bitspersample, int)
        with pytest.raises(InputRefused, match="a.tif: pixels of an unknown number type"):
            tiff._check_plane(file.pages[1], 1, path)
