"""Position and crowding: what they are, and networks that read them or do not."""

import types

import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import schema
from cellcycle_jax.explain.checks import nuisances
from cellcycle_jax.explain.checks.compared_cells import ComparedCells
from cellcycle_jax.scoring.intervals import Interval
from configs.base import training

LIMITS = training().explain.limits.to_dict()
ABOUT = {"n_groups": 16, "group_by": "field", "classes": ["a", "b"], "limits": LIMITS}
SIDE = 512


def table(rng, fields, of_each):
    """Cells at random places of fields."""
    n = fields * of_each
    return pd.DataFrame({
        schema.CELL_ID: [f"cell{i}" for i in range(n)],
        schema.FIELD: np.repeat([f"f{k}" for k in range(fields)], of_each),
        schema.CENTRE_Y: rng.uniform(0, SIDE, n),
        schema.CENTRE_X: rng.uniform(0, SIDE, n),
    })


def asked(label_of, margin_of, fields=40, of_each=60):
    """What is found of cells whose label and margin are made of their table; half of the fields are of training."""
    rng = np.random.default_rng(0)
    cells = table(rng, fields, of_each)
    label = label_of(cells, rng)
    margin = margin_of(cells, label, rng)

    def crops_of(rows):
        return types.SimpleNamespace(
            cell_id=cells[schema.CELL_ID].to_numpy(str)[rows],
            group_id=cells[schema.FIELD].to_numpy(str)[rows],
            label=label[rows],
            classes=("a", "b"),
        )

    half = len(cells) // 2
    of_training, of_validation = slice(0, half), slice(half, None)
    run = types.SimpleNamespace(
        data=types.SimpleNamespace(cells=cells),
        crops_of_lines=lambda split: {"train": crops_of(of_training)}[split],
        config=training(),
    )
    run.config.seed = 0
    compared = ComparedCells(crops_of(of_validation), np.column_stack([-margin, margin])[of_validation])
    return nuisances.ask(types.SimpleNamespace(cells=types.SimpleNamespace(run=run), compared=compared))


def by_chance(cells, rng):
    return rng.integers(0, 2, len(cells))


def by_half(cells, rng):
    return (cells[schema.CENTRE_X].to_numpy() > SIDE / 2).astype(int)


def mostly_by_half(cells, rng):
    return (rng.random(len(cells)) < np.where(by_half(cells, rng), 0.8, 0.2)).astype(int)


def by_crowding(cells, rng):
    nearest = nuisances.crowding(cells)[:, 0]
    return (rng.random(len(cells)) < np.where(nearest < np.median(nearest), 0.8, 0.2)).astype(int)


def read_cell(cells, label, rng):
    return label + rng.normal(0, 0.5, len(cells))


def read_ramp(cells, label, rng):
    return cells[schema.CENTRE_X].to_numpy() / SIDE + rng.normal(0, 0.1, len(cells))


def read_crowding(cells, label, rng):
    return -nuisances.crowding(cells)[:, 0] + rng.normal(0, 0.2, len(cells))


@pytest.mark.parametrize(
    ("label_of", "margin_of", "position", "crowding"),
    [
        (by_chance, read_cell, ("passed", False), ("passed", False)),
        (mostly_by_half, read_cell, ("passed", False), ("passed", False)),  # it follows the class and is not read
        (by_chance, read_ramp, ("passed", False), ("passed", False)),  # it is read and does not tell the class
        (by_half, read_ramp, ("failed", True), ("passed", False)),
        (mostly_by_half, read_ramp, ("failed", True), ("passed", False)),
        (by_crowding, read_cell, ("passed", False), ("passed", False)),  # as cells that do not divide where it is full
        (by_crowding, read_crowding, ("passed", False), ("failed", False)),
    ],
)
def test_what_follows_the_class_and_is_read_is_found(label_of, margin_of, position, crowding):
    found = asked(label_of, margin_of)
    for judge, expected in ((nuisances.judge_position, position), (nuisances.judge_crowding, crowding)):
        judgement = judge(found, ABOUT)
        assert (judgement.answer, judgement.alarm) == expected, judgement.sentence


def test_position_is_relative_to_the_field_and_crowding_counts_cells():
    cells = pd.DataFrame({
        schema.FIELD: ["a"] * 4 + ["b"],
        schema.CENTRE_Y: [0.0, 0.0, 0.0, 100.0, 7.0],
        schema.CENTRE_X: [0.0, 10.0, 100.0, 50.0, 7.0],
    })
    where = nuisances.position(cells)
    np.testing.assert_allclose(where[0], [-1, -1, np.sqrt(2)])
    np.testing.assert_allclose(where[3], [1, 0, 1])
    crowded = nuisances.crowding(cells)
    np.testing.assert_allclose(np.expm1(crowded[0, :3]), [10, 100, np.hypot(100, 50)])
    # To the nearest it is 10, 10, 90 and 108 px, median 50: cell 3 has none within 100 px and all within 200 px.
    np.testing.assert_allclose(crowded[3, 3:] ** 2, [0, 3])
    assert crowded[4, 0] == crowded[:, 2].max() and (crowded[4, 3:] == 0).all()  # alone: as far as any is


def result(auroc, share, within):
    row = {"class_auroc": auroc, "share": share.as_json() | {"class": 1}, "within_class": within}
    return {name: {"result": row, "why": "", "can_arise": True} for name in nuisances.KINDS}


NOT_READ = Interval(0.0, -0.02, 0.02)
READ = Interval(0.3, 0.2, 0.4)
UNSURE = Interval(0.0, -0.3, 0.3)


@pytest.mark.parametrize(
    ("auroc", "share", "within", "answer", "alarm"),
    [
        (Interval(0.5, 0.45, 0.55), UNSURE, UNSURE, "passed", False),
        (Interval(0.5, 0.45, 0.6), UNSURE, UNSURE, "unknown", False),  # it may tell the class, and may be read
        (Interval(0.9, 0.8, 0.95), NOT_READ, UNSURE, "passed", False),
        (Interval(0.9, 0.8, 0.95), READ, UNSURE, "failed", True),
        (Interval(0.9, 0.8, 0.95), UNSURE, READ, "failed", True),
        (Interval(0.6, 0.501, 0.7), READ, READ, "failed", True),
        (Interval(0.599, 0.501, 0.7), READ, READ, "unknown", False),
        (Interval(0.9, 0.5, 1.0), READ, READ, "unknown", False),
        (Interval(1.0, 0.97, 1.0), Interval(np.nan), UNSURE, "unknown", False),
    ],
)
def test_it_takes_both_to_fail_and_one_for_certain_to_pass(auroc, share, within, answer, alarm):
    found = result(auroc, share, within)
    judgement = nuisances.judge_position(found, ABOUT)
    assert (judgement.answer, judgement.alarm) == (answer, alarm)
    assert bool(judgement.remedy) == (answer == "unknown")
    crowding = nuisances.judge_crowding(found, ABOUT)
    assert crowding.answer == answer and not crowding.alarm


def asked_of_table(cells):
    run = types.SimpleNamespace(data=types.SimpleNamespace(cells=cells))
    return nuisances.ask(types.SimpleNamespace(cells=types.SimpleNamespace(run=run)))


def test_cells_whose_places_are_not_known_cost_the_trust():
    cells = table(np.random.default_rng(0), 3, 4)
    for unknown in (cells.drop(columns=schema.CENTRE_Y), cells.assign(**{schema.CENTRE_X: np.nan})):
        judgement = nuisances.judge_position(asked_of_table(unknown), ABOUT)
        assert judgement.answer == "unknown" and "cells lie is not known" in judgement.sentence and judgement.remedy


def test_pictures_of_one_cell_each_have_no_places():
    judgement = nuisances.judge_crowding(asked_of_table(table(np.random.default_rng(0), 9, 1)), ABOUT)
    assert judgement.answer == "impossible" and "each field holds one cell" in judgement.sentence
