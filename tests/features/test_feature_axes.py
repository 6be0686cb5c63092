import numpy as np
import pytest

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused
from cellcycle_jax.features import feature_axes
from tests.planted import CLASSES, DNA, GOLGI, UNITS, make_cells, split


def test_the_line_and_distance_of_four_points_by_hand():
    points = np.array([[0.0, 0.0], [0.0, 1.0], [2.0, 0.0], [2.0, 1.0]])
    line = feature_axes.DecisionLine.fit(points, np.array([False, False, True, True]))
    assert line.coefficients[1] == pytest.approx(0, abs=1e-9)
    assert -line.intercept / line.coefficients[0] == pytest.approx(1)
    np.testing.assert_allclose(line.distance(np.array([[1.0, 5.0], [3.0, 0.0]])), [0, 2], atol=1e-9)  # sd of u is 1


def test_the_best_cut_lies_midway():
    assert feature_axes.best_cut(np.array([4.0, 1.0, 2.0, 8.0]), np.array([True, False, False, True])) == 3.0


def test_test_cells_are_turned_away():
    with pytest.raises(ValueError, match="train split"):
        feature_axes.place(make_cells(), [], CLASSES, "train")


def test_rejected_cells_are_turned_away():
    cells = split(make_cells(), "train").assign(**{schema.REJECT_REASON: "border"})
    with pytest.raises(ValueError, match="only accepted"):
        feature_axes.place(cells, [], CLASSES, "train")


def test_one_class_alone_is_refused():
    cells = split(make_cells(), "train")
    with pytest.raises(InputRefused, match="both classes"):
        feature_axes.place(cells[cells[schema.LABEL] == "G2"], [], CLASSES, "train")


def test_one_line_keeps_its_units_and_a_zero_has_no_logarithm():
    cells = split(make_cells(), "train")
    dna, golgi = feature_axes.learn_axes(cells, [DNA, GOLGI], UNITS)
    assert (dna.unit, golgi.unit) == ("relative to field", "um^2")
    np.testing.assert_array_equal(golgi.show([3.0, 4.0], ["HeLa", "RPE1"]), [3, 4])
    np.testing.assert_allclose(golgi.linear(np.array([np.e, 0.0])), [1, np.nan])


def test_several_lines_are_divided_by_their_medians_an_unknown_one_by_that_of_all():
    axis = feature_axes.FeatureAxis(GOLGI, True, True, {"HeLa": 2.0, "RPE1": 4.0}, 3.0, "")
    np.testing.assert_allclose(axis.show(np.array([8.0, 8.0, 9.0]), ["HeLa", "RPE1", "U2OS"]), [4, 2, 3])
    cells = make_cells(lines=("HeLa", "RPE1")).assign(Golgi_AreaShape_Falling=lambda rows: -rows[GOLGI])
    rising, falling = feature_axes.learn_axes(cells, [GOLGI, "Golgi_AreaShape_Falling"], UNITS)
    assert rising.divide and rising.medians["HeLa"] == cells[cells[schema.CELL_LINE] == "HeLa"][GOLGI].median()
    assert not falling.divide and falling.unit == "difference from line median"


def test_a_constant_or_mostly_missing_measurement_has_no_axis():
    cells = split(make_cells(), "train")
    cells[GOLGI] = cells[GOLGI].where(np.arange(len(cells)) % 2 == 0)
    assert feature_axes.learn_axes(cells, [GOLGI, "Nuclei_AreaShape_EulerNumber"], UNITS) == []


def test_of_several_classes_all_but_the_last_are_taken_together():
    assert feature_axes.negative(["G1/S", "G2"]) == "G1/S"
    assert feature_axes.negative(["G1", "S", "G2"]) == "not G2"
