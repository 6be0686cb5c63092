import numpy as np
import pytest

from cellcycle_jax.report import explain_figures, figures

DOSES = (-0.2, 0.0, 0.2)


def made(words, slope, sure=True):
    def value(v):
        return {"value": v, "low": v - 0.1, "high": v + 0.1, "dropped": 0}

    steps = [{"dose": d, "realised": 0.9 * d, "margin": value(10 * slope * d), "probability": value(0.0)}
             for d in DOSES]
    return {"edit": words, "words": words, "channel": "DNA", "n_cells": 1234, "n_groups": 6, "left_out": {},
            "doses": steps, "slope": value(slope), "monotone": sure}


@pytest.fixture(scope="module")
def figure():
    nothing = made("Golgi area", 0) | {"n_cells": 0, "doses": [], "slope": None, "monotone": False}
    rows = [made("Nuclear area", -0.5), made("DNA brightness", 0.02, sure=False), nothing]
    return explain_figures.dose_response(rows, "G2", "1,234 cells", 0.95)


def test_each_edit_has_a_panel_with_the_doses_as_reached(figure):
    panels = [ax for ax in figure.axes if ax.get_visible()]
    assert len(panels) == 3
    curve = panels[0].lines[-1]
    np.testing.assert_allclose(curve.get_xdata(), [-18, 0, 18], atol=1e-9)
    np.testing.assert_allclose(curve.get_ydata(), [1, 0, -1], atol=1e-9)


def test_the_band_is_the_interval(figure):
    (band,) = figure.axes[0].collections
    corners = band.get_paths()[0].vertices
    assert corners[:, 1].max() == pytest.approx(1.1) and corners[:, 1].min() == pytest.approx(-1.1)


def test_panels_share_a_scale_and_say_how_many_cells_and_what_slope(figure):
    assert len({ax.get_ylim() for ax in figure.axes}) == 1
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert "1,234 cells" in titles[0] and "-0.500 logits per +10 %" in titles[0] and "not told" not in titles[0]
    assert "not told from none" in titles[1]
    assert "0 cells" in titles[2] and not figure.axes[2].collections
    assert "G2" in figure.get_supylabel() and "95 %" in figure.get_supxlabel()


def test_what_is_not_told_from_none_differs_in_colour_and_in_marker(figure):
    sure, unsure = (figure.axes[i].lines[-1] for i in (0, 1))
    assert (sure.get_color(), sure.get_marker()) == (figures.RED, "o")
    assert (unsure.get_color(), unsure.get_marker()) == (figures.BLUE, "s")


def test_more_edits_than_fit_a_row_wrap():
    figure = explain_figures.dose_response([made(str(i), 0.1) for i in range(5)], "G2", "", 0.95)
    assert [ax.get_visible() for ax in figure.axes] == [True] * 5 + [False] * 3
