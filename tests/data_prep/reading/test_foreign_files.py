"""Files as other programs write them are read as what they are, through the door of users' files."""

import numpy as np
import pytest

from cellcycle_jax.errors import InputRefused
from configs import base
from data_prep.fields_to_cells import all_fields, config_checks
from data_prep.reading.formats import read_picture
from data_prep.sources import folder
from tests import foreign_writers as programs
from tests.foreign_files import FILES, LABELS, RAMP, SMALL, png, raw, written
from tests.raw_tiff import SHORT


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_of_another_program_is_read_as_it_is(tmp_path, file):
    picture = read_picture(file.write(tmp_path))
    np.testing.assert_array_equal(picture.stack, file.stack)
    assert picture.stack.dtype.itemsize == file.stack.dtype.itemsize and not picture.colour
    assert picture.channels == file.channels
    assert picture.pixel_um == (file.pixel_um and pytest.approx(file.pixel_um, rel=1e-6))
    assert (file.remark in picture.remark) if file.remark else picture.remark == ""


@pytest.mark.parametrize("file", LABELS, ids=lambda file: file.name)
def test_a_label_image_is_what_is_stored_in_it(tmp_path, file):
    picture = read_picture(file.write(tmp_path), labels=True)
    np.testing.assert_array_equal(picture.stack[0, 0], file.stack)
    assert picture.stack.shape[:2] == (1, 1) and not picture.colour


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_folder_with_a_file_of_another_program_is_a_field(tmp_path, file):
    file.write(tmp_path)
    config = base.preparation()
    config.channel_names = tuple(f"stain{i}" for i in range(len(file.stack)))
    config_checks.refuse_values(config)
    (found,) = folder.find_fields(tmp_path, config)
    field = folder.read(found, config)
    np.testing.assert_array_equal(field.image, file.stack.max(axis=1).transpose(1, 2, 0))
    assert field.channels == config.channel_names and field.own_channels == file.channels
    assert field.pixel_um == (file.pixel_um and pytest.approx(file.pixel_um, rel=1e-6))


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("file", [*FILES, *LABELS], ids=lambda file: file.name)
def test_a_damaged_file_of_another_program_is_read_or_refused_in_a_line_and_raises_nothing_else(tmp_path, file, labels):
    rng, path = np.random.default_rng(0), file.write(tmp_path)
    whole = path.read_bytes()
    for _ in range(20):
        content = bytearray(whole)
        for place in rng.integers(0, min(len(content), 900), 3):
            content[place] = rng.integers(0, 256)
        path.write_bytes(bytes(content[: rng.integers(0, len(content) + 1)] if rng.random() < 0.2 else content))
        try:
            read_picture(path, labels=labels)
        except InputRefused as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("write, word", [
    (programs.palette_tiff(SMALL, RAMP[:, ::-1]), "palette"),  # falling
    (programs.palette_tiff(SMALL, RAMP * [[1], [0], [0]]), "palette"),  # red
    (png(SMALL, RAMP[:, ::-1] // 257), "palette"),
    (raw([SMALL], t262=(SHORT, [0])), "inverted grey"),
])
def test_a_field_that_is_shown_otherwise_is_refused_until_it_is_saved_as_grey(tmp_path, write, word):
    path = write(tmp_path)
    with pytest.raises(InputRefused, match=f"{word}.*save it "):
        read_picture(path)
    numbers = read_picture(path, labels=True).stack[0, 0]  # which ImageJ keeps when its table is set to Grays
    path.unlink()
    np.testing.assert_array_equal(read_picture(raw([numbers])(tmp_path)).stack[0, 0], SMALL)


@pytest.mark.parametrize("layout", ["contig", "separate"])
def test_colours_are_stains_however_they_are_stored(tmp_path, layout):
    colours = np.stack([SMALL, SMALL[::-1], SMALL[:, ::-1]])
    image = colours if layout == "separate" else np.moveaxis(colours, 0, -1)
    written(image, photometric="rgb", planarconfig=layout, metadata=None)(tmp_path)
    config = base.preparation()
    config.rgb = ("DNA", "Golgi", "EB1")
    (file,) = folder.find_fields(tmp_path, config)
    field = folder.read(file, config)
    np.testing.assert_array_equal(field.image, np.moveaxis(colours, 0, -1))
    assert field.channels == ("DNA", "Golgi", "EB1")


def test_fields_of_several_programs_are_one_data_set(tmp_path):
    rows, columns = np.mgrid[:120, :120]
    discs = sum(((rows - y) ** 2 + (columns - x) ** 2 < 100) * 90 for y, x in ((30, 30), (30, 90), (80, 60)))
    image = (discs + 20 + np.random.default_rng(0).integers(0, 3, (120, 120))).astype(np.uint8)
    wide = image.astype(np.uint16) * 20
    made = {"imagej": programs.imagej(wide, unit="micron"), "palette": programs.palette_tiff(image, RAMP),
            "stk": programs.stk(wide[np.newaxis], x=(1, 2))}
    for name, write in made.items():
        (tmp_path / "fields" / name).mkdir(parents=True)
        write(tmp_path / "fields" / name)
    config = base.preparation()
    config.update_from_flattened_dict({"channel_names": ("DNA",), "pixel_um": 0.5, "illumination": "none", "workers": 1,
                                       "labels.method": "none"})
    table = all_fields.process_fields(config, tmp_path / "fields", tmp_path / "out").table
    assert table.groupby("Metadata_Plate").size().to_dict() == {"imagej": 3, "palette": 3, "stk": 3}
