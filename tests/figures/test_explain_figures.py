import numpy as np
import pytest

from cellcycle_jax.figures import explain_figures, style
from cellcycle_jax.scoring.intervals import Interval

DOSES = (-0.2, 0.0, 0.2)


def made(words, slope, sure=True):
    def value(v):
        return Interval(v, v - 0.1, v + 0.1, dropped=0)

    steps = [{"dose": d, "realised": 0.9 * d, "margin": value(10 * slope * d), "probability": value(0.0)}
             for d in DOSES]
    return {"edit": words, "words": words, "channel": "DNA", "n_cells": 1234, "n_groups": 6, "left_out": {},
            "doses": steps, "slope": value(slope), "certain": sure}


@pytest.fixture(scope="module")
def figure():
    nothing = made("Golgi area", 0) | {"n_cells": 0, "doses": [], "slope": None, "certain": False}
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
    assert "interval includes 0" in titles[1]
    assert "0 cells" in titles[2] and not figure.axes[2].collections
    assert "G2" in figure.get_supylabel() and "95 %" in figure.get_supxlabel()


def test_what_is_not_told_from_none_differs_in_colour_and_in_marker(figure):
    sure, unsure = (figure.axes[i].lines[-1] for i in (0, 1))
    assert (sure.get_color(), sure.get_marker()) == (style.RED, "o")
    assert (unsure.get_color(), unsure.get_marker()) == (style.BLUE, "s")


def test_more_edits_than_fit_a_row_wrap():
    figure = explain_figures.dose_response([made(str(i), 0.1) for i in range(5)], "G2", "", 0.95)
    assert [ax.get_visible() for ax in figure.axes] == [True] * 5 + [False] * 3


ABOUT = {"channels": ["DNA", "Golgi"], "stain": "Golgi", "interval_level": 0.9, "classes": ["G1/S", "G2"]}


def place(compartment, channel, share, area=0.1, of="G2", low=None):
    return {"class": of, "channel": channel, "compartment": compartment, "share": share, "area_share": area,
            "read": 0.2, "low": share - 0.05 if low is None else low, "high": share + 0.1 if low is None else low}


REGIONS = [place("background", "DNA", 0.1, 0.3), place("nucleus", "DNA", 0.6, 0.2), place("organelle", "Golgi", -0.4),
          place("organelle outline", "DNA", 0.3)]


def widths(ax):
    return [bar.get_width() for bar in ax.patches]


def labels(ax):
    return [text.get_text() for text in ax.get_yticklabels()]


def test_places_stand_in_the_order_of_how_much_they_carry_to_either_side():
    (ax,) = explain_figures.region_shares(REGIONS, ABOUT, "1,234 cells").axes
    assert labels(ax) == ["nucleus, DNA", "Golgi, Golgi", "Golgi outline, DNA", "background, DNA"]
    np.testing.assert_allclose(widths(ax), [60, -40, 30, 10])
    np.testing.assert_allclose([bar.get_y() + bar.get_height() / 2 for bar in ax.patches], range(4))
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first on top
    colours = [bar.get_facecolor() for bar in ax.patches]
    assert colours[0] == colours[2] == colours[3] != colours[1]


def test_each_bar_has_the_tick_of_its_area_and_its_interval():
    (ax,) = explain_figures.region_shares(REGIONS, ABOUT, "").axes
    ticks = [line for line in ax.lines if line.get_marker() == "|"]
    np.testing.assert_allclose([t.get_xdata()[0] for t in ticks], [20, 10, 10, 30])
    np.testing.assert_allclose([t.get_ydata()[0] for t in ticks], range(4))
    circles = [line for line in ax.lines if line.get_marker() == "o"]
    np.testing.assert_allclose([c.get_xdata()[0] for c in circles], 20)
    spreads = [line.get_xdata() for line in ax.lines if line.get_marker() == "None" and line.get_linewidth() == 1.4]
    np.testing.assert_allclose(spreads, [[55, 70], [-45, -30], [25, 40], [5, 20]])
    assert "90 % interval" in ax.get_xlabel() and "G2" in ax.get_title(loc="left")


def test_a_place_without_an_interval_has_none_drawn():
    rows = [place("nucleus", "DNA", 0.6, low=float("nan")), place("background", "DNA", 0.4)]
    (ax,) = explain_figures.region_shares(rows, ABOUT, "").axes
    assert len(ax.patches) == 2
    assert len([line for line in ax.lines if line.get_linewidth() == 1.4 and line.get_marker() == "None"]) == 1


def test_the_least_of_many_places_are_left_out():
    rows = [place("nucleus", f"C{i}", 0.01 * i) for i in range(explain_figures.MOST + 5)]
    (ax,) = explain_figures.region_shares(rows, ABOUT | {"channels": [f"C{i}" for i in range(19)]}, "").axes
    assert len(ax.patches) == explain_figures.MOST
    assert labels(ax)[0] == "nucleus, C18" and labels(ax)[-1] == "nucleus, C5"


def test_of_three_classes_each_has_its_panel():
    rows = [place("nucleus", "DNA", share, of=name) for name, share in (("G1", 0.6), ("S", 0.2), ("G2", -0.3))]
    rows.append(place("background", "DNA", 0.9, of="S"))
    figure = explain_figures.region_shares(rows, ABOUT | {"classes": ["G1", "S", "G2"]}, "head")
    assert [[round(w) for w in widths(ax)] for ax in figure.axes] == [[60], [90, 20], [-30]]
    assert [ax.get_title(loc="left").split()[2] for ax in figure.axes] == ["G1", "S", "G2"]


def curve(fill, measure, order, height):
    return [{"fill": fill, "measure": measure, "order": order, "fraction": f, "probability": height + f}
            for f in (0.0, 0.5, 1.0)]


@pytest.fixture(scope="module")
def drawn():
    heights = iter(np.arange(0, 4, 0.1))
    found = {method: {"points": [point for fill in ("zero", "road") for measure in ("deletion", "insertion")
                                 for order in ("map", "control")
                                 for point in curve(fill, measure, order, next(heights))]}
             for method in ("integrated_gradients", "grad_cam")}
    return explain_figures.curves(found, "40 cells")


def test_each_fill_and_measure_has_a_panel_with_a_line_for_each_method_and_order(drawn):
    assert [ax.get_title(loc="left") for ax in drawn.axes] == [
        "Deletion, fill: zero",
        "Deletion, fill: road",
        "Insertion, fill: zero",
        "Insertion, fill: road",
    ]
    starts = [[round(float(line.get_ydata()[0]), 1) for line in ax.lines] for ax in drawn.axes]
    # Heights were given out by method, fill, measure and order, 0.1 apart.
    assert starts == [[0.0, 0.1, 0.8, 0.9], [0.4, 0.5, 1.2, 1.3], [0.2, 0.3, 1.0, 1.1], [0.6, 0.7, 1.4, 1.5]]
    np.testing.assert_allclose(drawn.axes[0].lines[0].get_xdata(), [0, 50, 100])


def test_methods_differ_in_colour_and_the_moved_map_is_dashed(drawn):
    lines = drawn.axes[0].lines
    assert lines[0].get_color() == lines[1].get_color() != lines[2].get_color() == lines[3].get_color()
    assert [line.is_dashed() for line in lines] == [False, True, False, True]
    words = [text.get_text() for text in drawn.axes[0].get_legend().get_texts()]
    assert words == ["integrated gradients", "integrated gradients, moved", "grad cam", "grad cam, moved"]
    assert [ax.get_legend() is None for ax in drawn.axes] == [False, True, True, True]
