import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import schema
from cellcycle_jax.counterfactual import changes, verdict
from cellcycle_jax.scoring.intervals import Interval, Resampling

DNA = schema.integrated("DNA")
AREA = schema.NUCLEAR_AREA
RESAMPLING = Resampling(0.95, 0)


def make(n=600, seed=0):
    """Cells of which those of the class have 1.5 times the DNA; their area tells nothing."""
    rng = np.random.default_rng(seed)
    of_class = rng.random(n) < 0.5
    table = pd.DataFrame({
        AREA: np.exp(rng.normal(5, 0.2, n)),
        "Nuclei_AreaShape_Perimeter": np.exp(rng.normal(4, 0.1, n)),
        DNA: np.exp(rng.normal(3, 0.2, n) + np.log(1.5) * of_class),
    })
    return table, of_class, np.array([f"w{k}" for k in rng.integers(0, 10, n)])


def moved_by(table, of_class, groups, factor):
    """All cells, with about `factor` times the DNA if moved into the class, and so much less if out of it."""
    into = ~of_class
    edited = table.copy()
    varied = factor * np.exp(np.random.default_rng(1).normal(0, 0.05, len(table)))
    edited[DNA] = table[DNA] * np.where(into, varied, 1 / varied)
    nearest = table.copy()
    nearest[:] = np.nan
    return changes.Moved(table, edited, nearest, into, groups)


def compared(factor):
    table, of_class, groups = make()
    scales = changes.scales(table, of_class, ("DNA",), ())
    moved = moved_by(table, of_class, groups, factor)
    return changes.compare(scales, table, of_class, groups, moved, RESAMPLING)


def test_a_cell_that_changes_as_much_as_the_classes_differ_counts_as_that():
    first = compared(1.5)[0]
    assert first.scale.column == DNA
    assert first.edited.value == pytest.approx(first.class_difference.value, rel=0.08)
    assert first.is_certain(0.95)
    assert first.nearest.low != first.nearest.low  # NaN: no real cell was given


def test_the_other_way_is_below_zero_and_not_certain():
    by_column = {one.scale.column: one for one in compared(1 / 1.5)}
    assert by_column[DNA].edited.value < -1
    assert not by_column[DNA].is_certain(0.95)


def test_an_edit_that_goes_too_far_bridges_no_more_than_all_and_the_rest_is_a_side_effect():
    first = compared(4.0)[0]
    assert first.bridged == first.class_difference.value
    assert first.side_effect == pytest.approx(first.edited.value - first.class_difference.value)


def test_a_family_is_represented_by_its_measurement_with_the_larger_difference():
    table, of_class, _ = make()
    table["Nuclei_AreaShape_Perimeter"] *= np.where(of_class, 0.5, 1)
    scales = {scale.family: scale for scale in changes.scales(table, of_class, ("DNA",), ())}
    size = scales["size of the nucleus"]
    assert size.column == "Nuclei_AreaShape_Perimeter"
    assert size.sign == -1
    assert size.towards_class(table)[of_class].mean() > 0 > size.towards_class(table)[~of_class].mean()


def test_a_measurement_that_no_validation_cell_has_differs_by_nothing_known():
    table, of_class, groups = make()
    scales = changes.scales(table, of_class, ("DNA",), ())
    without = table.copy()
    without[DNA] = np.nan
    changed = changes.compare(scales, without, of_class, groups, moved_by(without, of_class, groups, 1.5), RESAMPLING)
    of_dna = next(one for one in changed if one.scale.column == DNA)
    assert np.isnan(of_dna.class_difference.value) and np.isnan(of_dna.edited.value)
    assert not of_dna.is_certain(0.95)


def test_the_nearest_cell_is_of_the_same_field():
    scales = [changes.Scale("x", "x", False, 0.0, 1.0, 1.0)]
    cells = pd.DataFrame({"x": [0.0, 0.0, 0.0]})
    others = pd.DataFrame({"x": [0.1, 3.0, 2.0]})
    fields = np.array(["f1", "f2", "f3"])
    of_others = np.array(["f1", "f2", "f2"])
    assert changes.nearest_rows(cells, others, scales, fields, of_others).tolist() == [0, 2, -1]


def found(**changed):
    of = {
        "auroc": Interval(0.9, 0.85, 0.95),
        "crossing": Interval(0.97, 0.9, 1.0),
        "changed": compared(1.5),
        "n_cells": 100,
        "n_groups": 10,
        "level": 0.95,
    }
    return verdict.Found(**(of | changed))


def test_what_is_said_names_the_family_that_changed_most():
    said = verdict.sentence(found(), "G2")
    assert "brightness of the nucleus in DNA most" in said
    assert "more of it in G2" in said
    assert "side effect" not in said


def test_side_effects_are_said():
    assert "A side effect: the brightness of the nucleus in DNA" in verdict.sentence(found(changed=compared(8.0)), "G2")


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"auroc": Interval(0.52, 0.48, 0.56)}, "does not certainly tell the classes"),
        ({"auroc": Interval(0.9)}, "does not certainly tell the classes"),
        ({"crossing": Interval(0.2, 0.1, 0.3)}, "move 20 % (10 to 30) of the cells across"),
        ({"changed": compared(1 / 1.5)}, "nothing in which the classes certainly differ"),
    ],
)
def test_nothing_is_shown_where_there_is_nothing(changed, why):
    nothing = found(**changed)
    assert nothing.verdict is verdict.Verdict.NOTHING
    assert why in verdict.sentence(nothing, "G2")
