"""The experiment on steps of integrated gradients, on networks whose maps are known."""

import dataclasses

import numpy as np
import pytest

from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.regions.explained_cells import STEPS
from experiments import map_steps
from tests.networks import network
from tests.weighed_network import SIDE, UPPER, make_cells, make_run

LABEL = [0, 1] * 24
ERRORS = ["median error of a map, %", "largest error of a map, %", "largest error of a region's share, points"]
GAP = "median gap to the margin, logits"


def test_of_a_linear_network_every_number_of_steps_is_exact():
    table = map_steps.compared(make_cells(make_run(UPPER), LABEL))
    assert table["steps"].tolist() == list(map_steps.STEPS)
    assert table[ERRORS].to_numpy().max() < 1e-3
    assert table[GAP].max() < 1e-5


def test_of_a_residual_network_the_errors_fall_to_those_of_the_reference():
    cells = make_cells(make_run(UPPER), LABEL)
    run = dataclasses.replace(cells.run, network=network("resnet", (SIDE, SIDE, 2)))
    logits = methods.logits_of(run.network, cells.images)
    # Labels that the network agrees with, so that there is a difference to share out.
    label = (logits[:, 1] - logits[:, 0] > np.median(logits[:, 1] - logits[:, 0])).astype(np.int32)
    crops = dataclasses.replace(cells.crops, label=label)
    table = map_steps.compared(dataclasses.replace(cells, run=run, crops=crops, logits=logits)).set_index("steps")
    for name in (ERRORS[0], GAP):
        assert table[name].is_monotonic_decreasing and table.loc[128, name] < table.loc[8, name] / 5
    assert table.loc[STEPS, ERRORS[0]] < 5
    assert table.loc[STEPS, ERRORS[2]] < 1


def test_the_error_is_relative_to_the_size_of_the_map():
    reference = np.zeros((2, 2, 2, 1), np.float32)
    reference[:, 0, 0] = 3
    reference[:, 0, 1] = 4
    maps = reference.copy()
    maps[1, 1, 1] = 1
    assert map_steps.relative_error(maps, reference) == pytest.approx([0, 0.2])
