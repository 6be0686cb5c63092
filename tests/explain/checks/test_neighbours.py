"""What nearby cells share: patches that lie elsewhere in each field, and networks that read them or do not."""

import dataclasses
import types

import numpy as np
import pytest

from cellcycle_jax import schema
from cellcycle_jax.explain.checks import neighbours, nuisances
from cellcycle_jax.explain.checks.compared_cells import ComparedCells
from cellcycle_jax.scoring.intervals import Interval
from configs.base import training
from tests.explain.checks.test_nuisances import ABOUT, SIDE, table

FIELDS = 40
OF_EACH = 60


@dataclasses.dataclass(frozen=True)
class Cells:
    """The part of `Crops` that is read."""

    cell_id: np.ndarray
    field_id: np.ndarray
    group_id: np.ndarray
    label: np.ndarray
    classes: tuple = ("a", "b")


def in_patch(cells, rng):
    """Whether each cell lies in a patch that lies elsewhere in each field."""
    middle = rng.uniform(0, SIDE, (FIELDS, 2))[np.repeat(np.arange(FIELDS), OF_EACH)]
    return np.hypot(*(cells[[schema.CENTRE_Y, schema.CENTRE_X]].to_numpy() - middle).T) < 0.35 * SIDE


def asked(share_in_patch, of_patch, of_class, unlabelled=0.0):
    """What is found where the second class has a share in patches and 1 - share elsewhere.

    Margins are of_patch in patches, plus of_class in cells of the second class, plus noise. Half of the fields are of
    training.
    """
    rng = np.random.default_rng(0)
    cells = table(rng, FIELDS, OF_EACH)
    inside = in_patch(cells, rng)
    label = (rng.random(len(cells)) < np.where(inside, share_in_patch, 1 - share_in_patch)).astype(np.int32)
    margin = of_patch * inside + of_class * label + rng.normal(0, 0.3, len(cells))
    label[rng.random(len(cells)) < unlabelled] = schema.NO_LABEL
    fields = cells[schema.FIELD].to_numpy(str)
    crops = Cells(cells[schema.CELL_ID].to_numpy(str), fields, fields, label)
    half = len(cells) // 2
    parts = {"train": slice(0, half), "validation": slice(half, None)}

    def of_split(split):
        rows = parts[split]
        return Cells(crops.cell_id[rows], fields[rows], fields[rows], label[rows])

    run = types.SimpleNamespace(data=types.SimpleNamespace(cells=cells), crops_of_lines=of_split, config=training())
    run.config.seed = 0
    rows = np.arange(half, len(cells))[label[half:] != schema.NO_LABEL]
    compared = ComparedCells(
        Cells(crops.cell_id[rows], fields[rows], fields[rows], label[rows]),
        np.column_stack([-margin, margin])[rows],
    )
    return neighbours.ask(types.SimpleNamespace(cells=types.SimpleNamespace(run=run), compared=compared))


@pytest.mark.parametrize(
    ("share_in_patch", "of_patch", "of_class", "answer"),
    [
        (0.9, 1.0, 0.0, "failed"),  # it is all that is read
        (0.9, 1.0, 1.0, "failed"),  # it is read beside the class
        (0.9, 0.0, 1.0, "passed"),  # cells of a class lie together, and each is read by itself, as of clones
        (0.5, 1.0, 1.0, "passed"),  # it is read and does not tell the class
        (0.5, 0.0, 1.0, "passed"),
    ],
)
def test_a_patch_that_tells_the_class_and_is_read_is_found(share_in_patch, of_patch, of_class, answer):
    judgement = neighbours.judge(asked(share_in_patch, of_patch, of_class), ABOUT)
    assert (judgement.answer, judgement.alarm) == (answer, False), judgement.sentence


def test_cells_without_a_label_are_no_neighbours():
    found = asked(0.9, 1.0, 0.0, unlabelled=0.5)
    assert neighbours.judge(found, ABOUT).answer == "failed" and found["class_auroc"].value > 0.7


def test_position_does_not_tell_a_patch_that_lies_elsewhere_in_each_field():
    rng = np.random.default_rng(0)
    cells = table(rng, FIELDS, OF_EACH)
    label = in_patch(cells, rng).astype(int)
    prob = nuisances.class_probabilities(nuisances.position(cells), label, nuisances.position(cells), 2)[:, 1]
    assert abs(prob[label == 1].mean() - prob[label == 0].mean()) < 0.05


def test_classes_nearby_are_counted_less_those_of_the_other_cells_of_the_field():
    # Six cells in a row, and one that is alone in its field.
    places = np.column_stack([np.zeros(7), [0.0, 1, 2.1, 3.3, 10, 11, 0]])
    label = np.array([1, 1, 1, 0, 0, 0, 1])
    fields = np.array(["f"] * 6 + ["g"])
    nearby = neighbours.classes_nearby(places, label, fields, 2).reshape(7, 2, 2)
    # Of the first, the three nearest are 1, 1 and 0, and of all five others two are of the second class.
    np.testing.assert_allclose(nearby[0, 0], [1 / 3 - 3 / 5, 2 / 3 - 2 / 5])
    np.testing.assert_allclose(nearby[5, 0], [2 / 3 - 2 / 5, 1 / 3 - 3 / 5])
    np.testing.assert_allclose(nearby[:6, 1], 0)  # five others are all others
    np.testing.assert_array_equal(nearby[6], 0)
    np.testing.assert_array_equal(neighbours.classes_nearby(places[:3], label[:3], fields[:3], 2), 0)  # of one class


def test_fields_of_one_class_hold_nothing_to_read():
    judgement = neighbours.judge({"can_arise": False, "why": ""}, ABOUT)
    assert judgement.answer == "impossible" and "of one class" in judgement.sentence


def test_cells_whose_places_are_not_known_cost_the_trust():
    cells = table(np.random.default_rng(0), 2, 3).drop(columns=schema.CENTRE_Y)
    names = cells[schema.CELL_ID].to_numpy(str)
    crops = Cells(names, names, names, np.array([0, 1] * 3))
    run = types.SimpleNamespace(
        data=types.SimpleNamespace(cells=cells), crops_of_lines=lambda split: crops, config=training()
    )
    compared = ComparedCells(crops, np.zeros((6, 2)))
    found = neighbours.ask(types.SimpleNamespace(cells=types.SimpleNamespace(run=run), compared=compared))
    judgement = neighbours.judge(found, ABOUT)
    assert judgement.answer == "unknown" and "cells lie is not known" in judgement.sentence and judgement.remedy


def test_a_share_that_is_not_certain_is_not_passed():
    row = {"class_auroc": Interval(0.9, 0.8, 0.95), "share": Interval(0.0, -0.3, 0.3).as_json() | {"class": 1},
           "within_class": Interval(0.0, -0.1, 0.1), "can_arise": True, "why": ""}
    assert neighbours.judge(row, ABOUT).answer == "unknown"
