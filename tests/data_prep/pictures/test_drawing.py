"""What pictures for the eye have to show, read back from their pixels."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from data_prep.pictures import drawing


def test_stains_that_are_bright_in_one_place_do_not_burn_out_to_white():
    tints = drawing.composite(np.ones((1, 1, 2)), np.zeros(2), np.ones(2))[0, 0]
    alone = [drawing.composite(np.eye(2)[None, None, i], np.zeros(2), np.ones(2))[0, 0] for i in range(2)]
    assert tints == pytest.approx(1 - (1 - alone[0]) * (1 - alone[1]))
    half = drawing.composite(np.full((1, 1, 3), 0.5), np.zeros(3), np.ones(3))[0, 0]
    assert half.max() < 0.85  # added, it would be 0.98


def test_each_stain_is_stretched_by_its_own_percentiles():
    image = np.array([[[10.0, 1000.0], [20.0, 3000.0], [30.0, 5000.0]]])
    picture = drawing.composite(image, np.array([10.0, 1000.0]), np.array([30.0, 5000.0]))
    np.testing.assert_array_equal(picture[0, 0], 0)
    first = drawing.composite(image[..., :1], np.array([10.0]), np.array([30.0]))
    assert first[0, 2] == pytest.approx(drawing._TINTS[0]) and first[0, 1] == pytest.approx(first[0, 2] / 2)


def test_a_contact_sheet_says_which_colour_is_which_stain(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    crops = np.random.default_rng(0).random((3, 16, 16, 2)).astype(np.float32)
    drawing.contact_sheet(crops, [1, 2, 3], ["DNA", "Golgi"], "title", np.nan, tmp_path / "sheet.png")
    (key,) = drawn[0].legends
    named = dict(zip([t.get_text() for t in key.get_texts()], [h.get_color() for h in key.legend_handles], strict=True))
    assert named == {"DNA": drawing._TINTS[0], "Golgi": drawing._TINTS[1]}
