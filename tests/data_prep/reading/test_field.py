import struct

import imagecodecs
import numpy as np
import pytest
import tifffile

from cellcycle_jax.errors import InputRefused
from data_prep.reading.field import FieldFile, read_field

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
    monkeypatch.setattr("data_prep.reading.picture.MAX_BYTES", 1000)
    with pytest.raises(InputRefused, match="declares"):
        read_field(write(tmp_path / "a.tif", stack[0]), ("DNA",))


def test_same_pixels_have_the_same_hash_in_another_container(tmp_path, stack):
    one = read_field(write(tmp_path / "a.tif", stack[0]), ("DNA",))
    tifffile.imwrite(tmp_path / "b.tif", stack[0], compression="lzw")
    two = read_field(FieldFile((tmp_path / "b.tif",), "b"), ("DNA",))
    assert one.sha256 == two.sha256
    assert one.sha256 != read_field(write(tmp_path / "c.tif", stack[1]), ("DNA",)).sha256


def png(path, image):
    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(image)))
    return FieldFile((path,), path.stem)


GOLDEN = {"u1": [0, 1, 254, 255], "u2": [0, 4095, 4096, 65535], "i2": [0, 1, 300, 32767], "u4": [0, 1, 4095, 65535],
          "i4": [0, 1, 4095, 65535], "f2": [-1.5, 0, 0.25, 65504], "f4": [-1e30, 0, 1e-30, 1e30],
          "f8": [-2.5, 0, 1e-3, 1e6]}


@pytest.mark.parametrize("dtype", GOLDEN)
def test_values_of_every_number_type_are_kept_as_they_are(tmp_path, dtype):
    image = np.array(GOLDEN[dtype], dtype).reshape(2, 2)
    field = read_field(write(tmp_path / "a.tif", image), ("DNA",))
    assert field.image.dtype == (np.float32 if dtype[0] == "f" else np.uint16)
    np.testing.assert_array_equal(field.image[..., 0], image.astype(field.image.dtype))
    assert (np.diff(field.image.ravel()) > 0).all()
    assert field.bit_depth == {"u1": 8, "u2": 16, "i2": 15, "u4": 32, "i4": 31, "f2": 16, "f4": 32, "f8": 64}[dtype]


@pytest.mark.parametrize("image, word", [(np.array([[0, 65536]], np.uint32), "uint32 pixels from 0 to 65536"),
                                         (np.array([[-1, 5]], np.int16), "int16 pixels from -1 to 5"),
                                         (np.array([[1e300, 5]]), "2 pixels are NaN, infinite or too"),
                                         (np.array([[True, False]]), "1 bits per pixel"),
                                         (np.array([[1j, 0]], np.complex64), "complex64")])
def test_numbers_that_do_not_fit_are_refused(tmp_path, image, word):
    with pytest.raises(InputRefused, match=f"a.tif: .*{word}"):
        read_field(write(tmp_path / "a.tif", np.repeat(image, 2, 0)), ("DNA",))


def test_twelve_bits_are_never_stretched(tmp_path):
    image = np.array([[0, 4095], [17, 2048]], np.uint16)
    field = read_field(write(tmp_path / "a.ome.tif", image, axes="YX", SignificantBits=12), ("DNA",))
    np.testing.assert_array_equal(field.image[..., 0], image)
    assert field.bit_depth == 12


def test_planes_of_different_number_types_keep_their_values(tmp_path):
    write(tmp_path / "a.tif", np.full((3, 4), 7, np.uint8))
    write(tmp_path / "b.tif", np.full((3, 4), 60000, np.uint16))
    field = read_field(FieldFile((tmp_path / "a.tif", tmp_path / "b.tif"), "f", channels=("DNA", "Golgi")))
    assert field.image[0, 0].tolist() == [7, 60000] and field.bit_depth == 16 and field.path.endswith("a.tif")


@pytest.fixture
def colour():
    """[H, W, 4]: red, green, blue, opacity."""
    return np.dstack([np.full((6, 7), v, np.uint8) for v in (10, 20, 30, 255)])


def test_colours_are_stains_where_the_config_says_so(tmp_path, colour):
    for file in (png(tmp_path / "a.png", colour), png(tmp_path / "b.png", colour[..., :3])):
        field = read_field(file, rgb=("DNA", "Golgi", ""))
        assert field.channels == ("DNA", "Golgi") and field.image[0, 0].tolist() == [10, 20]
        assert read_field(file, ("DNA",), rgb=("", "", "DNA")).image[0, 0].tolist() == [30]
    tifffile.imwrite(tmp_path / "c.tif", colour[..., :3], photometric="rgb")
    assert read_field(FieldFile((tmp_path / "c.tif",), "c"), rgb=("A", "B", "C")).image[0, 0].tolist() == [10, 20, 30]
    with pytest.raises(InputRefused, match="a.png: colour .*config.rgb"):
        read_field(FieldFile((tmp_path / "a.png",), "a"), ("DNA",))


def test_one_stain_saved_in_colour(tmp_path, colour):
    file = png(tmp_path / "a.png", colour)
    as_channel = FieldFile(file.paths, "a", channels=("DNA",))
    assert read_field(as_channel, rgb=("", "Golgi", "DNA")).image[0, 0].tolist() == [30]
    with pytest.raises(InputRefused, match="one grey plane that shows DNA"):
        read_field(as_channel, rgb=("Golgi", "", ""))
    png(tmp_path / "a.png", np.dstack([colour[..., 1]] * 3))  # grey
    assert read_field(as_channel).image[0, 0].tolist() == [20]
    assert read_field(file, rgb=("DNA", "", "")).image[0, 0].tolist() == [20]


@pytest.mark.parametrize("dtype, top", [("u1", 255), ("u2", 65535)])
def test_png_keeps_values(tmp_path, dtype, top):
    image = np.random.default_rng(0).integers(0, top, (9, 11), endpoint=True).astype(dtype)
    field = read_field(png(tmp_path / "a.png", image), ("DNA",))
    np.testing.assert_array_equal(field.image[..., 0], image)
    assert field.bit_depth == image.itemsize * 8


def test_bmp_keeps_values_and_a_short_one_is_refused(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (9, 11)).astype(np.uint8)
    path = tmp_path / "a.bmp"
    path.write_bytes(imagecodecs.bmp_encode(image))
    file = FieldFile((path,), "a")
    np.testing.assert_array_equal(read_field(file, ("DNA",)).image[..., 0], image)
    whole = path.read_bytes()
    for length in range(0, len(whole), len(whole) // 20):
        path.write_bytes(whole[:length])
        with pytest.raises(InputRefused, match="a.bmp"):
            read_field(file, ("DNA",))


def test_a_png_that_is_cut_or_changed_is_refused_or_read_right(tmp_path):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 4000, (30, 40)).astype(np.uint16)
    file = png(tmp_path / "a.png", image)
    whole = file.path.read_bytes()
    for i in range(60):
        content = bytearray(whole[: len(whole) * i // 20]) if i < 20 else bytearray(whole)
        if i >= 20:
            content[rng.integers(len(content))] ^= 1 << rng.integers(8)
        file.path.write_bytes(bytes(content))
        try:
            np.testing.assert_array_equal(read_field(file, ("DNA",)).image[..., 0], image)
        except InputRefused as error:
            assert "a.png" in str(error) and "\n" not in str(error)


def test_png_kinds_whose_values_are_not_intensities_are_refused(tmp_path):
    file = png(tmp_path / "a.png", np.zeros((4, 4), np.uint8))
    head = bytearray(file.path.read_bytes())
    for bits, kind, word in ((8, 3, "palette"), (1, 0, "bits per pixel|damaged")):
        head[24:26] = bits, kind
        file.path.write_bytes(bytes(head))
        with pytest.raises(InputRefused, match=word):
            read_field(file, ("DNA",))


def test_a_png_that_declares_too_much_is_refused_before_decoding(tmp_path):
    file = png(tmp_path / "a.png", np.zeros((4, 4), np.uint8))
    content = bytearray(file.path.read_bytes())
    content[16:24] = struct.pack(">II", 100_000, 100_000)
    file.path.write_bytes(bytes(content))
    with pytest.raises(InputRefused, match="a.png: declares 9.3 GiB"):
        read_field(file, ("DNA",))


def test_all_files_of_a_field_together_are_limited(tmp_path, monkeypatch, stack):
    paths = []
    for i in range(3):
        paths.append(write(tmp_path / f"{i}.tif", stack[0]).path)
    monkeypatch.setattr("data_prep.reading.picture.MAX_BYTES", 10_000)  # two of them are 8000
    with pytest.raises(InputRefused, match="0.tif and the other files of field 'f': declares"):
        read_field(FieldFile(tuple(paths), "f", channels=("A", "B", "C")))
