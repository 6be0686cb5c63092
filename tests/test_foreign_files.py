"""Files as other programs write them are read as what they are, through the door of users' files."""

import numpy as np
import pytest

from data_prep.reading.formats import read_picture
from tests.foreign_files import FILES, LABELS


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
