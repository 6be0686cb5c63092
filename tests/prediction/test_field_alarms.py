import dataclasses

import numpy as np
import pytest

from cellcycle_jax import schema
from cellcycle_jax.prediction import field_alarms
from tests.prediction.test_novelty import CHANNELS, objects


@pytest.fixture(scope="module")
def fields():
    return field_alarms.fit_fields(objects(), CHANNELS)


def judged(rows, fields, unlike=()):
    """Alarms of a table in which the cells at `unlike` are unlike training."""
    rows = rows.reset_index(drop=True).assign(novelty=0.5, novelty_cause="")
    rows.loc[list(unlike), ["novelty", "novelty_cause"]] = 2.0, "nuclear area"
    return field_alarms.judge_fields(fields, rows)


def test_fields_like_those_of_training_raise_nothing(fields):
    assert judged(objects(seed=5), fields) == []


@pytest.mark.parametrize("columns, kind, sentence", [
    ({schema.reference_column("DNA"): 10.0}, "stain_strength", "DNA stain: 10 above background, training fields "),
    ({"Metadata_Background_Golgi": 900.0}, "contrast", "Golgi contrast: stain over background "),
    ({schema.PIXEL_SIZE: 1.0}, "pixel_size", "pixel size: 1 um per px, training fields 0.5 um per px"),
    ({schema.PIXEL_SIZE: np.nan}, "pixel_size", "pixel size: unknown, training fields 0.5 um per px"),
    ({schema.CELL_LINE: "RPE1"}, "cell_line", "cell line: RPE1, trained on HeLa"),
])
def test_what_is_unlike_about_a_field_is_said(fields, columns, kind, sentence):
    found = [alarm for alarm in judged(objects(40, fields=2, **columns), fields) if alarm.kind == kind]
    assert [alarm.field_id for alarm in found] == ["f00", "f01"]
    assert all(alarm.sentence.startswith(sentence) and not alarm.note for alarm in found)


def test_what_is_not_known_is_a_note(fields):
    (line,) = judged(objects(20, fields=1, **{schema.CELL_LINE: ""}), fields)
    assert line.note and line.sentence == "cell line: unknown, trained on HeLa"
    (few,) = judged(objects(9, fields=1), fields)
    assert few.note and few.kind == "few_cells" and few.value == 9


def test_a_pixel_size_that_training_did_not_know_is_an_alarm():
    unknown = field_alarms.fit_fields(objects().drop(columns=schema.PIXEL_SIZE), CHANNELS)
    (alarm,) = judged(objects(20, fields=1), unknown)
    assert alarm.sentence == "pixel size: 0.5 um per px, unknown in training"
    assert judged(objects(20, fields=1, **{schema.PIXEL_SIZE: np.nan}), unknown) == []


def test_many_unlike_cells_make_a_field_unlike_and_few_do_not(fields):
    rows = objects(20, fields=1)
    assert judged(rows, fields, unlike=range(5)) == []
    (alarm,) = judged(rows, fields, unlike=range(6))
    assert alarm.kind == "crops" and alarm.value == 0.3
    assert alarm.sentence == "cells: 6 of 20 are unlike those of training, mostly by nuclear area"
    assert [a.kind for a in judged(rows.iloc[:9], fields, unlike=range(9))] == ["few_cells", "crops"]
    assert [a.kind for a in judged(rows.iloc[:1], fields, unlike=[0])] == ["few_cells"]  # one of one may be chance


def test_rejected_objects_do_not_count(fields):
    rows = objects(30, fields=1)
    rows.loc[:19, schema.REJECT_REASON] = "border"
    assert judged(rows, fields, unlike=range(20)) == []


def test_fields_of_which_no_reference_is_known_raise_no_alarm_of_stain(fields):
    rows = objects(20, fields=1, **{schema.reference_column(c): np.nan for c in CHANNELS})
    assert judged(rows, fields) == []
    assert dataclasses.asdict(fields)["pixel_um"] == [0.5, 0.5]


def test_only_shown_channels_are_compared():
    assert set(field_alarms.fit_fields(objects(100), ("Golgi",)).reference) == {"Golgi"}


def test_a_field_without_any_object_is_not_overlooked(fields):
    rows = objects(20, fields=1).assign(novelty=0.5, novelty_cause="")
    (alarm,) = field_alarms.judge_fields(fields, rows, ("f00", "empty"))
    assert (alarm.field_id, alarm.value, alarm.note) == ("empty", 0, True)
