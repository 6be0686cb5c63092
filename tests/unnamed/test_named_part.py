"""What measurements explain of an output whose parts are known."""

import numpy as np
import pytest

from cellcycle_jax.scoring.intervals import Resampling
from cellcycle_jax.unnamed import named_part, parts

N = 1600
GROUPS = 20


def drawn(seed=0, named=1.0, unnamed=0.0, error=0.0, interaction=0.0):
    """Outputs of two networks for cells of two classes, whose properties the table measures with an error.

    Returns:
        class bool [N], groups text [N], and for each network an `UnseenCells`.
    """
    rng = np.random.default_rng(seed)
    of_class = rng.random(N) < 0.5
    groups = np.char.add("field", rng.integers(0, GROUPS, N).astype(str))
    measured_property = of_class + rng.normal(size=N)
    other_property = rng.normal(size=N)
    hidden = of_class + rng.normal(size=N)
    table = np.column_stack([measured_property, other_property]) + error * rng.normal(size=(N, 2))
    table = np.column_stack([table, rng.normal(size=(N, 8))])
    signal = named * measured_property + unnamed * hidden + interaction * measured_property * (other_property > 0)
    networks = []
    for _ in range(2):
        output = signal + 0.3 * rng.normal(size=N)
        embeddings = np.column_stack([measured_property, other_property, hidden]) @ rng.normal(size=(3, 12))
        embeddings = embeddings + 0.1 * rng.normal(size=(N, 12))
        networks.append(named_part.UnseenCells(named_part.held(output), embeddings, table, groups))
    return of_class, groups, networks


def unnamed_share(of_class, groups, networks):
    output = np.array([cells.output for cells in networks])
    explained = np.array([named_part.predict(cells, 0) for cells in networks])
    outputs = parts.Outputs(output, explained, explained)
    return parts.shares(outputs, of_class, groups, groups, Resampling(0.95))[parts.UNNAMED]


def test_of_a_property_that_the_table_holds_nothing_is_left():
    assert abs(unnamed_share(*drawn()).value) < 0.02


def test_a_property_that_the_table_measures_badly_still_has_a_name():
    share = unnamed_share(*drawn(error=0.7))
    assert abs(share.value) < 0.08


def test_an_interaction_of_measurements_has_a_name():
    assert abs(unnamed_share(*drawn(interaction=1.0)).value) < 0.06


@pytest.mark.parametrize("unnamed", [0.5, 1.0, 2.0])
def test_the_share_of_a_property_that_the_table_lacks_is_found(unnamed):
    # The table tells the class, so of the hidden property's difference of 1 it predicts cov / var = 0.25 / 1.25.
    truth = 0.8 * unnamed / (1 + unnamed)
    share = unnamed_share(*drawn(unnamed=unnamed))
    assert share.value == pytest.approx(truth, abs=0.08)
    assert share.low > 0.1


def test_a_hidden_property_is_not_called_a_bad_measurement_of_another():
    share = unnamed_share(*drawn(named=0.0, unnamed=1.0, error=0.5))
    by_class = 0.25 / (1.25 + 0.5**2)  # what the table predicts of it, as it tells the class
    assert share.high > 1 - by_class / named_part.LEAST_RELIABILITY
    assert share.value < 1 - by_class + 0.05


def test_a_cell_is_predicted_by_fits_that_have_not_seen_its_group():
    of_class, groups, networks = drawn()
    cells = networks[0]
    inside = groups == groups[0]
    changed = cells.output.copy()
    changed[inside] += 100.0 * np.random.default_rng(1).normal(size=inside.sum())
    fit, others = next(fold for fold in named_part.group_folds(groups) if inside[fold[1]].any())
    assert not set(groups[fit]) & set(groups[others])
