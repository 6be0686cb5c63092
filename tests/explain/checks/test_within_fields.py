"""What lies between fields, and the batches that tell the class without any image."""

import dataclasses
import types

import numpy as np
import pytest

from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.checks import within_fields
from cellcycle_jax.explain.checks.check import Evidence
from cellcycle_jax.scoring.intervals import Interval
from configs.base import training
from tests.weighed_network import CORNER, make_crops, make_run, pictures

ABOUT = {"n_groups": 14, "group_by": "field", "classes": ["a", "b"], "limits": training().explain.limits.to_dict()}


def asked(crops, monkeypatch):
    monkeypatch.setattr(crop_arrays, "load_crops", lambda folder, split, final, pixels: crops)
    return within_fields.ask(Evidence(types.SimpleNamespace(run=make_run(CORNER))))


def test_a_network_that_reads_the_cell_passes_and_one_that_reads_the_light_of_the_field_is_an_alarm(monkeypatch):
    rng = np.random.default_rng(0)
    fields = 16
    field = np.repeat(np.arange(fields), 40)
    label = (rng.random(len(field)) < np.where(field % 2, 0.8, 0.2)).astype(int)
    for seen, answer, alarm in ((label, "passed", False), (field % 2, "failed", True)):
        crops = make_crops(label, pictures(seen, CORNER))
        names = np.char.add("f", field.astype(str))
        crops = dataclasses.replace(crops, field_id=names, group_id=names)
        judgement = within_fields.judge(asked(crops, monkeypatch), ABOUT)
        assert (judgement.answer, judgement.alarm) == (answer, alarm), judgement.sentence


def test_where_each_field_and_well_holds_one_class_no_data_can_tell(monkeypatch):
    label = np.arange(96) % 2
    of_class = np.array([f"group{p}{i % 3}" for i, p in enumerate(label)])
    crops = make_crops(label, pictures(label, CORNER))
    crops = dataclasses.replace(crops, group_id=of_class, field_id=of_class, well=of_class)
    found = asked(crops, monkeypatch)
    assert found["one_class"] == ["field", "well"]
    judgement = within_fields.judge(found, ABOUT)
    assert judgement.answer == "unknown" and not judgement.alarm
    assert judgement.sentence.startswith("Each field and well holds labelled cells of one class")
    assert judgement.remedy == "Fields that hold labelled cells of both classes would tell."


def test_one_field_shares_nothing_and_few_mixed_fields_tell_nothing(monkeypatch):
    label = np.arange(96) % 2
    one = make_crops(label, pictures(label, CORNER), fields=1)
    assert within_fields.judge(asked(one, monkeypatch), ABOUT).answer == "impossible"
    crops = make_crops(label, pictures(label, CORNER), fields=16)
    mixed = np.isin(crops.field_id, ["f0", "f1", "f2"])
    crops = crop_arrays.take(crops, np.flatnonzero(mixed | (crops.label == 1)))
    found = asked(crops, monkeypatch)
    assert found["n_groups_of_both"] == 3
    judgement = within_fields.judge(found, ABOUT)
    assert judgement.answer == "unknown" and "at least 4 groups (field)" in judgement.remedy


def results(share, **batch):
    return {"between_fields": share.as_json() | {"class": 1}, "n_fields": 14, "n_groups_of_both": 14, "one_class": [],
            "batch": batch}


@pytest.mark.parametrize(
    ("share", "answer", "alarm"),
    [
        (Interval(0.01, -0.04, 0.05), "passed", False),
        (Interval(0.3, 0.1, 0.5), "failed", False),
        (Interval(0.7, 0.5, 0.9), "failed", False),
        (Interval(0.7, 0.501, 0.9), "failed", True),
        (Interval(0.1, -0.1, 0.3), "unknown", False),
    ],
)
def test_it_is_an_alarm_only_where_most_lies_between_fields_for_certain(share, answer, alarm):
    judgement = within_fields.judge(results(share), ABOUT)
    assert (judgement.answer, judgement.alarm) == (answer, alarm)
    assert bool(judgement.remedy) == (answer == "unknown")


def test_a_batch_that_predicts_the_class_is_told_and_costs_nothing_where_cells_of_a_field_are_told_apart():
    share = Interval(0.01, -0.04, 0.05)
    told = within_fields.judge(results(share, plate=Interval(0.7, 0.65, 0.75), well=Interval(0.9, 0.3, 1.0)), ABOUT)
    assert told.answer == "passed" and "The plate alone" in told.sentence and "0.70 (0.65 to 0.75)" in told.sentence
    silent = within_fields.judge(results(share, plate=Interval(0.59, 0.55, 0.63), well=None), ABOUT)
    assert "alone" not in silent.sentence


def test_a_batch_is_asked_for_where_it_holds_several_groups(monkeypatch):
    label = np.arange(96) % 2
    crops = make_crops(label, pictures(label, CORNER))
    of_class = np.array([f"group{p}{i % 3}" for i, p in enumerate(label)])
    crops = dataclasses.replace(crops, group_id=of_class, well=of_class, plate=np.array(["P1", "P2"])[label])
    found = asked(crops, monkeypatch)["batch"]
    assert found["cell line"] is None  # one only
    assert found["plate"].value == 1  # every group of a plate is of its class
    assert found["well"] is None  # each is a group of its own, so nothing is known of it


def test_wells_of_one_name_on_two_plates_are_two_wells(monkeypatch):
    """The class goes with well A1 on one plate and with A2 on the other."""
    label, plate = np.arange(96) % 2, np.arange(96) // 2 % 2
    crops = make_crops(label, pictures(label, CORNER))
    crops = dataclasses.replace(
        crops,
        plate=np.array(["P1", "P2"])[plate],
        well=np.array(["A1", "A2"])[(label + plate) % 2],
        group_id=np.array([f"group{k}" for k in 4 * (np.arange(96) // 12) + 2 * label + plate]),
    )
    found = asked(crops, monkeypatch)["batch"]
    assert found["well"].value == 1 and found["plate"].value < 0.6
