import imagecodecs
import numpy as np
import pytest
import tifffile

from cellcycle_jax import crop_file, schema
from cellcycle_jax.errors import InputRefused
from configs import base
from data_prep.fields_to_cells import one_field, preprocessing
from data_prep.reading import label_images
from data_prep.sources import folder

SHAPE = (12, 20)


@pytest.fixture
def config():
    c = base.preparation()
    c.channel_names = ("DNA",)
    c.labels_folder = "masks"
    return c


@pytest.fixture
def numbered():
    """Two nuclei that touch, 3 and 900, and one that lies alone, 7."""
    image = np.zeros(SHAPE, np.uint16)
    image[1:5, 1:5], image[1:5, 5:9], image[8:11, 12:16] = 3, 900, 7
    return image


def png(path, image):
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(image)))
    return path


def field(path, shape=SHAPE):
    path.parent.mkdir(exist_ok=True, parents=True)
    tifffile.imwrite(path, np.ones(shape, np.uint16))
    return path


def test_nuclei_keep_their_numbers(tmp_path, numbered):
    for name, image in (("a.png", numbered), ("b.tif", numbered.astype(np.uint32) * 4_000_000),
                        ("c.tif", numbered.astype(np.float32))):
        png(tmp_path / name, image) if name.endswith("png") else tifffile.imwrite(tmp_path / name, image)
        found = label_images.read(tmp_path / name)
        assert found.dtype.kind in "ui"
        np.testing.assert_array_equal(found, image)


def placed(numbers, dtype):
    """A label image with these numbers, each in two pieces."""
    image = np.zeros(SHAPE, dtype)
    for i, number in enumerate(numbers):
        image[2 * i:2 * i + 1, 2:6] = image[2 * i:2 * i + 1, 12:15] = number
    return image


@pytest.mark.parametrize("numbers, dtype", [((7,), "u1"), ((3, 250), "u1"), ((70000,), "u4"), ((4_000_000_000,), "u4"),
                                            ((4_000_000_000, 1), "u4"), ((2**63 + 11,), "u8"), ((7, 2**53), "f8"),
                                            ((70000,), "f4"), ((5,), "i2")])
def test_odd_numbers_are_those_of_the_table(tmp_path, numbers, dtype):
    """Whatever the numbers are, and in however many pieces: they stand in the ids, and crops show their nuclei."""
    image = np.repeat(np.repeat(placed(numbers, dtype), 8, 0), 8, 1)  # nuclei large enough to be measured
    (tmp_path / "masks").mkdir()
    tifffile.imwrite(tmp_path / "masks" / "x_label.tif", image)
    tifffile.imwrite(tmp_path / "x.tif", np.where(image > 0, 900, 100).astype(np.uint16))
    c = base.preparation()
    c.update_from_flattened_dict({"channel_names": ("DNA",), "labels_folder": "masks", "illumination": "none"})
    (file,) = folder.find_fields(tmp_path, c)
    rows = one_field.extract_field(file, preprocessing.Preprocessing(c, tmp_path, tmp_path, ("DNA",), {}))
    assert sorted(rows[schema.CELL_ID]) == sorted(f"x:{number}" for number in numbers)
    areas = {f"x:{number}": (image == number).sum() for number in numbers}
    assert dict(zip(rows[schema.CELL_ID], rows["Nuclei_AreaShape_Area"], strict=True)) == areas
    crops = crop_file.index(tmp_path, "x")
    _, compartments = crops.read(range(len(crops.cell_id)))
    for cell, bits in zip(crops.cell_id, compartments, strict=True):
        assert 0 < (bits & schema.Compartment.NUCLEUS > 0).sum() <= areas[cell]


def test_numbers_beyond_those_of_a_float_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full(SHAPE, 2.0**60))
    with pytest.raises(InputRefused, match="a.tif: float64 values .*allowed: whole numbers"):
        label_images.read(tmp_path / "a.tif")


def images(place, *values):
    """Label images each with the numbers listed, of u16."""
    paths = []
    for i, numbers in enumerate(values):
        tifffile.imwrite(place / f"{i}.tif", placed(numbers, np.uint16))
        paths.append(place / f"{i}.tif")
    return paths


@pytest.mark.parametrize("values, masks", [
    ([(255,), (255,)], True), ([(1,)], True), ([(255,)], True), ([(7,), (7,), ()], True),
    ([(1,), (255,), (255,)], False), ([(7,)], False), ([(7,), (3,)], False), ([(255,), (255,), (1, 2)], False),
    ([(1,), (1, 2)], False),
    ([()], False),
])
def test_masks_are_told_from_numbers_by_the_whole_set(tmp_path, values, masks):
    assert label_images.are_masks(images(tmp_path, *values)) is masks


def test_a_mask_among_images_that_number_their_nuclei_is_refused(tmp_path):
    numbered, mask, one = images(tmp_path, (1, 2, 3), (255, 255, 255), (1,))
    assert not label_images.are_masks([numbered, mask, one])
    assert label_images.read(numbered).max() == 3 and label_images.read(one).max() == 1
    with pytest.raises(InputRefused, match="1.tif: the one number 255 for 6 separate regions, as in a mask"):
        label_images.read(mask)


def test_images_of_one_bit_are_masks_and_damaged_ones_say_nothing(tmp_path):
    tifffile.imwrite(tmp_path / "bit.tif", placed((1,), bool), photometric="minisblack")
    (tmp_path / "damaged.tif").write_bytes(b"II*")
    assert label_images.are_masks([tmp_path / "damaged.tif", tmp_path / "bit.tif"])


def test_one_nucleus_alone_in_a_field_keeps_its_number_beside_other_fields(tmp_path, config, capsys):
    for name, numbers in (("x", (1, 2)), ("y", (255,))):
        field(tmp_path / f"{name}.tif")
        (tmp_path / "masks").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / "masks" / f"{name}.tif", placed(numbers, np.uint8))
    _, alone = folder.find_fields(tmp_path, config)
    assert np.unique(folder.labels(alone, config)).tolist() == [0, 255] and capsys.readouterr().err == ""


def test_label_images_beside_fields_are_no_fields_even_if_nobody_asks_for_them(tmp_path, numbered, capsys):
    field(tmp_path / "x.tif")
    png(tmp_path / "x_cp_masks.png", numbered)
    tifffile.imwrite(tmp_path / "x_labels.tif", numbered)
    (file,) = folder.find_fields(tmp_path, base.preparation())
    assert file.path.name == "x.tif"
    assert "2 files have the names of label images" in capsys.readouterr().err


@pytest.mark.parametrize("value", [1, 255])
def test_pieces_of_a_mask_are_nuclei(tmp_path, numbered, value):
    mask = np.where(numbered > 0, value, 0).astype(np.uint8)
    path = png(tmp_path / "a.png", mask)
    found = label_images.read(path, mask=True)
    assert label_images.are_masks([path]) and found.max() == 2 and (found > 0).sum() == (mask > 0).sum()
    tifffile.imwrite(tmp_path / "b.tif", mask > 0, photometric="minisblack")
    np.testing.assert_array_equal(label_images.read(tmp_path / "b.tif"), found)


def test_red_holds_numbers_that_distant_nuclei_may_share(tmp_path, numbered):
    red = np.where(numbered == 900, 2, numbered > 0).astype(np.uint8)
    colour = np.dstack([red, 0 * red, 0 * red, 255 + 0 * red])
    found = label_images.read(png(tmp_path / "a.png", colour))
    assert found.max() == 3 and len({found[2, 2], found[2, 6], found[9, 13]}) == 3
    grey = label_images.read(png(tmp_path / "b.png", np.dstack([red] * 3)))
    assert grey.max() == 2  # a number per nucleus: 1 is one nucleus in two pieces


@pytest.mark.parametrize("image, word", [
    (np.dstack([np.eye(12, 20), 2 * np.eye(12, 20), 0 * np.eye(12, 20)]).astype(np.uint8), "colours stand for nuclei"),
    (np.full(SHAPE, 0.5, np.float32), "whole numbers"), (np.full(SHAPE, -1, np.int16), "whole numbers"),
    (np.full(SHAPE, np.nan, np.float32), "whole numbers"), (np.zeros((2, *SHAPE), np.uint8), "2 planes"),
])
def test_what_is_no_label_image_is_refused(tmp_path, image, word):
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb" if image.shape[-1] == 3 else "minisblack")
    with pytest.raises(InputRefused, match=f"a.tif: .*{word}"):
        label_images.read(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["x.png", "x_cp_masks.png", "x_Label.png", "x_labels.png", "x_mask.png", "x_seg.png",
                                  "x.ome_masks.png", "p1_x.png", "p1/x.png", "p1/x_masks.png"])
def test_label_images_are_found_by_name_and_are_no_fields(tmp_path, config, numbered, name):
    field(tmp_path / "p1" / "x.ome.tif")
    png(tmp_path / "masks" / name, numbered)
    (file,) = folder.find_fields(tmp_path, config)
    assert file.labels_path == tmp_path / "masks" / name and file.field_id == "p1_x"
    assert set(np.unique(folder.labels(file, config))) == {0, 3, 7, 900}


def test_label_images_beside_the_fields_need_a_suffix(tmp_path, config, numbered):
    config.labels_folder = "."
    field(tmp_path / "x.tif")
    tifffile.imwrite(tmp_path / "x_cp_masks.tif", numbered)
    (file,) = folder.find_fields(tmp_path, config)
    assert file.path.name == "x.tif" and set(np.unique(folder.labels(file, config))) == {0, 3, 7, 900}


def test_a_folder_elsewhere_and_one_that_holds_the_fields(tmp_path, config, numbered):
    field(tmp_path / "all" / "images" / "x.tif")
    png(tmp_path / "labels" / "x.png", numbered)
    png(tmp_path / "all" / "x_mask.png", numbered)
    for place in (tmp_path / "labels", tmp_path / "all"):
        config.labels_folder = str(place)
        (file,) = folder.find_fields(tmp_path / "all" / "images", config)
        assert file.labels_path.parent == place


def test_one_folder_written_in_two_ways_is_one_folder(tmp_path, config, numbered, monkeypatch):
    field(tmp_path / "fields" / "x.tif")
    png(tmp_path / "fields" / "masks" / "x.png", numbered)
    tifffile.imwrite(tmp_path / "fields" / "masks" / "y.tif", numbered)
    monkeypatch.chdir(tmp_path)
    for place in (str(tmp_path / "fields" / "masks"), "../fields/masks/"):
        config.labels_folder = place
        (file,) = folder.find_fields("fields", config)
        assert file.field_id == "x" and set(np.unique(folder.labels(file, config))) == {0, 3, 7, 900}


def test_a_field_without_a_label_image_is_set_aside_when_read(tmp_path, config, numbered, capsys):
    field(tmp_path / "x.tif")
    field(tmp_path / "y.tif")
    png(tmp_path / "masks" / "x.png", np.uint8(numbered > 0))
    one, two = folder.find_fields(tmp_path, config)
    said = capsys.readouterr().err
    assert "1 fields have no label image" in said and "y.tif" in said and said.count("nuclei that touch") == 1
    assert folder.labels(one, config).max() == 2
    with pytest.raises(InputRefused, match="y.tif: no label image for field 'y'"):
        folder.labels(two, config)
    config.labels_folder = ""
    assert folder.labels(two, config) is None


def test_label_images_that_fit_two_fields_or_are_two_for_one_are_refused(tmp_path, config, numbered):
    for plate in ("p1", "p2"):
        field(tmp_path / plate / "x.tif")
    png(tmp_path / "masks" / "x.png", numbered)
    with pytest.raises(InputRefused, match=r"x.png is the label image of both .*p1/x.tif and .*p2/x.tif"):
        folder.find_fields(tmp_path, config)
    (tmp_path / "masks" / "x.png").unlink()
    png(tmp_path / "masks" / "p1" / "x.png", numbered)
    png(tmp_path / "masks" / "p1" / "x_mask.png", numbered)
    with pytest.raises(InputRefused, match="are both the label image of .*p1/x.tif"):
        folder.find_fields(tmp_path, config)


def test_a_folder_without_label_images_is_refused(tmp_path, config):
    field(tmp_path / "x.tif")
    with pytest.raises(InputRefused, match="masks: no such folder"):
        folder.find_fields(tmp_path, config)
    (tmp_path / "masks").mkdir()
    with pytest.raises(InputRefused, match="holds no label image for a field .*x.tif"):
        folder.find_fields(tmp_path, config)


def test_both_unicode_forms_of_a_name_are_the_same_field(tmp_path, config, numbered):
    field(tmp_path / "Zelle_e\u0301.tif")
    png(tmp_path / "masks" / "Zelle_\u00e9_mask.png", numbered)
    (file,) = folder.find_fields(tmp_path, config)
    assert file.labels_path.name.endswith("_mask.png")


def test_label_images_are_listed_by_the_same_rule_as_fields(tmp_path, config, numbered, capsys):
    field(tmp_path / "fields" / "x.tif")
    png(tmp_path / "store" / "x.png", numbered)
    png(tmp_path / "masks" / "@eaDir" / "x.png", numbered)
    png(tmp_path / "masks" / "._x.png", numbered)
    (tmp_path / "masks" / "x_mask.png").symlink_to("../store/x.png")
    (tmp_path / "masks" / "y.png").symlink_to("nowhere")
    config.labels_folder = str(tmp_path / "masks")
    (file,) = folder.find_fields(tmp_path / "fields", config)
    assert file.labels_path == tmp_path / "masks" / "x_mask.png"
    assert "1 links lead nowhere" in capsys.readouterr().err


def test_label_images_that_are_reached_in_two_ways_are_no_fields(tmp_path, config, numbered):
    field(tmp_path / "fields" / "x.tif")
    (tmp_path / "store").mkdir()
    tifffile.imwrite(tmp_path / "store" / "x.tif", numbered)
    (tmp_path / "fields" / "masks").symlink_to("../store")
    for place in ("../store", "masks"):
        config.labels_folder = place
        (file,) = folder.find_fields(tmp_path / "fields", config)
        assert file.path.parent.name == "fields" and file.labels_path.name == "x.tif"
