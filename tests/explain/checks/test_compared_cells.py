"""Margins that are odd are held within fences, and all others are as they are."""

import types

import numpy as np

from cellcycle_jax.explain.checks import compared_cells


def test_an_odd_field_is_held_and_all_others_are_as_they_are():
    rng = np.random.default_rng(0)
    label = np.arange(400) % 2
    margin = np.where(label, 10.0, -12.0) + rng.uniform(-1, 1, 400)
    margin[:30] *= 20
    margins = np.column_stack([-margin, margin])
    cells = compared_cells.ComparedCells(types.SimpleNamespace(label=label), margins)
    np.testing.assert_array_equal(cells.margins[30:], margins[30:])
    assert -16 < cells.margins[:30, 1].min() < -12 and 10 < cells.margins[:30, 1].max() < 14
    changed = np.full_like(margins, 1e6)
    np.testing.assert_array_equal(cells.held(changed).max(0), cells.margins.max(0))


def test_the_fences_are_tukeys_of_the_class_that_lies_farthest_out():
    margins = np.concatenate([np.arange(5.0), 10 + np.arange(5.0)])[:, None]
    low, high = compared_cells.fences(margins, np.repeat([0, 1], 5))
    assert (low, high) == (1 - 3, 13 + 3)  # quartiles 1 and 3, 11 and 13
