import numpy as np
import pytest
import tifffile

from cellcycle_jax.errors import InputRefused
from data_prep.fields import FieldFile, read_field

NAMES = ("DNA", "Golgi", "CENPF")


def write(path, image, **metadata):
    tifffile.imwrite(path, image, ome=path.name.endswith(".ome.tif"), metadata=metadata or None, compression="zlib",
                     photometric="minisblack")
    return FieldFile((path,), path.stem)


@pytest.fixture
def stack():
    return np.random.default_rng(0).integers(0, 4000, (3, 40, 50)).astype(np.uint16)


def test_ome_gives_names_and_pixel_size_and_pixels_unchanged(tmp_path, stack):
    file = write(tmp_path / "a.ome.tif", stack, axes="CYX", Channel={"Name": list(NAMES)}, PhysicalSizeX=250.0,
                 PhysicalSizeXUnit="nm")
    field = read_field(file)
    assert field.channels == NAMES
    assert field.pixel_um == pytest.approx(0.25)
    np.testing.assert_array_equal(field.image, stack.transpose(1, 2, 0))


def sized(path, stack, x, y, unit_y="µm"):
    return write(path, stack, axes="CYX", Channel={"Name": list(NAMES)}, PhysicalSizeX=x, PhysicalSizeXUnit="µm",
                 PhysicalSizeY=y, PhysicalSizeYUnit=unit_y)


def test_pixels_that_are_not_square_are_refused(tmp_path, stack):
    with pytest.raises(InputRefused, match="a.ome.tif: a pixel is 0.5 um wide and 0.52 um high"):
        read_field(sized(tmp_path / "a.ome.tif", stack, 0.5, 0.52))
    assert read_field(sized(tmp_path / "b.ome.tif", stack, 0.5, 502.0, "nm")).pixel_um == 0.5


def test_a_pixel_size_that_disagrees_with_the_file_is_refused_with_both(tmp_path, stack):
    file = sized(tmp_path / "a.ome.tif", stack, 0.5, 0.5)
    assert read_field(file, pixel_um=0.503).pixel_um == 0.5
    with pytest.raises(InputRefused, match="pixel_um says 0.65, the file says 0.5"):
        read_field(file, pixel_um=0.65)


def test_plain_tiff_takes_names_and_size_from_the_caller(tmp_path, stack):
    field = read_field(write(tmp_path / "a.tif", stack[0]), ("DNA",), 0.5)
    assert field.channels == ("DNA",) and field.pixel_um == 0.5 and field.image.shape == (40, 50, 1)


def test_z_stack_becomes_its_maximum_projection(tmp_path, stack):
    deep = np.stack([stack, stack + 7])  # Z, C, Y, X
    file = write(tmp_path / "z.ome.tif", deep, axes="ZCYX", Channel={"Name": list(NAMES)})
    np.testing.assert_array_equal(read_field(file).image, (stack + 7).transpose(1, 2, 0))


def test_names_that_disagree_with_the_file_are_refused_with_both(tmp_path, stack):
    file = write(tmp_path / "a.ome.tif", stack, axes="CYX", Channel={"Name": list(NAMES)})
    with pytest.raises(InputRefused, match="(?s)Golgi, DNA, CENPF.*DNA, Golgi, CENPF"):
        read_field(file, ("Golgi", "DNA", "CENPF"))


def test_unnamed_channels_are_not_guessed(tmp_path, stack):
    with pytest.raises(InputRefused, match="channel_names"):
        read_field(write(tmp_path / "a.tif", stack), ())


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.97])
def test_file_cut_short_is_refused(tmp_path, stack, share):
    file = write(tmp_path / "a.ome.tif", stack, axes="CYX", Channel={"Name": list(NAMES)})
    content = file.path.read_bytes()
    file.path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputRefused, match="a.ome.tif"):
        read_field(file, NAMES)


def test_nan_is_refused_with_its_count(tmp_path):
    image = np.ones((20, 20), np.float32)
    image[3, 4:6] = np.nan
    with pytest.raises(InputRefused, match="2 pixels"):
        read_field(write(tmp_path / "a.tif", image), ("DNA",))


def test_colour_pictures_are_refused(tmp_path):
    path = tmp_path / "rgb.tif"
    tifffile.imwrite(path, np.zeros((20, 20, 3), np.uint8), photometric="rgb")
    with pytest.raises(InputRefused, match="RGB"):
        read_field(FieldFile((path,), "rgb"), ("DNA",))


def test_declared_size_is_checked_before_decoding(tmp_path, monkeypatch, stack):
    monkeypatch.setattr("data_prep.picture.MAX_BYTES", 1000)
    with pytest.raises(InputRefused, match="declares"):
        read_field(write(tmp_path / "a.tif", stack[0]), ("DNA",))


def test_same_pixels_have_the_same_hash_in_another_container(tmp_path, stack):
    one = read_field(write(tmp_path / "a.tif", stack[0]), ("DNA",))
    tifffile.imwrite(tmp_path / "b.tif", stack[0], compression="lzw")
    two = read_field(FieldFile((tmp_path / "b.tif",), "b"), ("DNA",))
    assert one.sha256 == two.sha256
    assert one.sha256 != read_field(write(tmp_path / "c.tif", stack[1]), ("DNA",)).sha256
