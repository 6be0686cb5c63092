"""The zoo of confounds: what is planted, and how what was found is judged again."""

import json

import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import schema
from configs.base import training
from experiments import confounds, field_edits, planted_data, trust_zoo
from experiments.confounds import CLEAN, CONFOUNDS
from experiments.field_edits import MARKER, Field

SIDE = 200
WEIGHTS = "the map depends on the trained weights"


def make_field(order=0.75, seed=0):
    """A field of 30 nuclei of noise, those of every third cell of G2 and bright in the marker."""
    rng = np.random.default_rng(seed)
    image = rng.normal(1000, 50, (4, SIDE, SIDE))
    nuclei = np.zeros((SIDE, SIDE), int)
    rows = []
    for number in range(30):
        y, x = 15 + 33 * (number // 6) + rng.integers(0, 6), 15 + 33 * (number % 6) + rng.integers(0, 6)
        nuclei[y - 5 : y + 6, x - 5 : x + 6] = number + 1
        is_second = number % 3 == 0
        image[:3, y - 5 : y + 6, x - 5 : x + 6] += 500
        image[MARKER, y - 5 : y + 6, x - 5 : x + 6] += 2000 if is_second else 200
        rows.append({"cell_label": number + 1, "centre_y_px": y, "centre_x_px": x,
                     "class_name": "G2" if is_second else "G1/S"})
    return Field("HeLa_A01_s1", image, nuclei, pd.DataFrame(rows), order)


def edited(kinds, kind, order=0.75):
    field = make_field(order)
    before = field.image.copy()
    planted = kinds[kind]
    classes = planted.edit(field, planted.strengths[-1], np.random.default_rng(1))
    return field, before, classes


UNCHANGED = {"crowding", "crowding, mostly", "contact inhibition", "all cues", "DNA", "size", "Golgi", "plus ends"}


@pytest.mark.parametrize(("kinds", "kind"), [(kinds, kind) for kinds in (CONFOUNDS, CLEAN) for kind in kinds],
                         ids=[*CONFOUNDS, *CLEAN])
def test_a_field_is_edited_and_its_cells_get_labels_that_follow(kinds, kind):
    field, before, classes = edited(kinds, kind)
    assert np.isfinite(field.image).all()
    assert np.array_equal(field.image, before) == (kind in UNCHANGED)
    if kind != "marker that follows DNA":
        np.testing.assert_array_equal(field.image[MARKER], before[MARKER])
    if classes is None:
        assert kind.startswith("leak") or kinds is CLEAN
    else:
        assert len(classes) == 30 and set(classes) <= {"a", "b", ""}
    if kinds[kind].one_class_wells:
        assert set(classes) - {""} == {"b"} and set(edited(kinds, kind, 0.25)[2]) - {""} == {"a"}
    again = edited(kinds, kind)
    np.testing.assert_array_equal(field.image, again[0].image)


def test_a_confound_of_fields_touches_the_second_half_alone_and_mixes_the_classes():
    for kind in ("gain of field", "noise of field", "focus of field", "one stain of field"):
        first, before, classes_of_first = edited(CONFOUNDS, kind, 0.25)
        np.testing.assert_array_equal(first.image, before)
        _, _, classes_of_second = edited(CONFOUNDS, kind, 0.75)
        assert (classes_of_first == "a").mean() > 0.6 and (classes_of_second == "b").mean() > 0.6


def test_what_leaks_is_a_fraction_of_the_marker():
    field, before, _ = edited(CONFOUNDS, "leak into Golgi")
    leaked = field.image[field_edits.GOLGI] - before[field_edits.GOLGI]
    expected = 0.08 * (before[MARKER] - np.percentile(before[MARKER], 5))
    np.testing.assert_allclose(leaked, expected, atol=1e-9)


def test_positions_and_neighbours_make_the_labels():
    field, _, classes = edited(CONFOUNDS, "ramp")
    np.testing.assert_array_equal(classes == "b", field.centres[:, 1] > SIDE / 2)
    rise = field.image[0][:, -20:].mean() - make_field().image[0][:, -20:].mean()
    assert rise == pytest.approx(0.3 * make_field().span(0), rel=0.1)
    field, _, classes = edited(CONFOUNDS, "crowding")
    distance = np.hypot(*(field.centres[:, None] - field.centres[None]).transpose(2, 0, 1))
    number = (distance <= field_edits.NEAR_PX).sum(1) - 1
    assert set(number[classes == "b"]) <= set(range(2, 30)) and set(number[classes == ""]) <= {1}


def test_contact_leaves_out_cells_of_the_second_class_where_it_is_full():
    field, _, classes = edited(CLEAN, "contact inhibition")
    truth = field.cells["class_name"].to_numpy()
    np.testing.assert_array_equal(classes[truth == "G1/S"], "a")
    assert 0 < (classes == "b").sum() < (truth == "G2").sum()


def test_cases_have_names_of_their_own_and_a_part_of_them_is_of_all_sorts():
    listed = planted_data.cases(2)
    assert len({case.name for case in listed}) == len(listed) == 2 * len(planted_data.cases(1))
    assert [case.seed for case in listed] == sorted(case.seed for case in listed)
    first = listed[:40]
    assert 4 <= sum(case.clean for case in first) <= 16 and len({case.kind for case in first}) > 20
    tellable = [kind for kind, planted in CONFOUNDS.items() if planted.tellable]
    assert len(tellable) >= 14
    assert sum(not planted.tuned for planted in CONFOUNDS.values()) > len(CONFOUNDS) / 2


def row(status="no_alarm", share=0.0, low=-0.02, high=0.02, score=0.9, **more):
    """What is kept of a case, with a share of the brightness of the field."""
    def interval(value, low, high):
        return {"value": value, "low": low, "high": high, "dropped": 0}

    def of_class(*bounds):
        return interval(*bounds) | {"class": 1}

    nothing = {"class_auroc": interval(0.5, 0.45, 0.55), "share": of_class(0.0, -0.02, 0.02),
               "within_class": interval(0.0, -0.02, 0.02)}
    limits = training().explain.limits.to_dict()
    return {
        "case": {"kind": "gain of field", "clean": False, "strength": 0.3, "mask": "none", "seed": 0},
        "status": status,
        "answers": dict.fromkeys([*(check.name for check in trust_zoo.JUDGED), WEIGHTS], "passed"),
        "alarms": [],
        "why_no_channels": "",
        "about": {"classes": ["a", "b"], "mask": "none", "kept_weights": "last", "limits": limits, "n_cells": 200,
                  "n_groups": 14, "group_by": "field"},
        "results": {
            "score": interval(score, score - 0.05, 0.95),
            "shortcuts": {
                "surroundings": {
                    **{name: interval(0.9, 0.8, 0.95) for name in ("intact", "cell", "around")},
                    "changed": {"value": 0.1, "low": 0.05, "high": 0.2, "n_cells": 200},
                    "transferred_share": of_class(0.0, -0.02, 0.02) | {"unmoved": False},
                },
                "outline": None,
                "brightness": of_class(share, low, high) | {"unmoved": False},
                "brightness_why": "",
                "one_class_fields": False,
                "scale": "reference",
            },
            "within_fields": {"between_fields": of_class(0.0, -0.02, 0.02), "n_fields": 14, "n_groups_of_both": 14,
                              "one_class": [], "batch": {}},
            "nuisances": {kind: {"result": nothing, "why": "", "can_arise": True} for kind in ("position", "crowding")},
            "bleed_through": {"markers": []},
            "picture_quality": nothing | {"channels": []},
        },
        "confound_removed": None,
    } | more


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "no_alarm"),
        ({"share": 0.5, "low": 0.4, "high": 0.6}, "shortcut"),
        ({"share": 0.2, "low": 0.0, "high": 0.4}, "caution"),
        ({"score": 0.54}, "chance"),
        ({"why_no_channels": "too many"}, "caution"),
    ],
)
def test_what_is_stored_is_judged_by_the_checks_of_today(changes, status):
    stored = json.loads(json.dumps(row(status="stale", **changes)))
    assert trust_zoo.judged(stored)["status"] == status


@pytest.mark.parametrize(
    ("score", "fall", "used"),
    [(0.9, (0.3, 0.2, 0.4), True), (0.9, (0.1, -0.01, 0.2), False), (0.54, (0.3, 0.2, 0.4), False), (0.9, None, True)],
)
def test_a_confound_is_used_where_the_score_falls_without_it(score, fall, used):
    removed = None
    if fall is not None:
        bounds = [{"value": value, "low": value - 0.1, "high": value + 0.1} for value in (score, score - fall[0])]
        removed = {"with_confound": bounds[0], "without": bounds[1],
                   "fall": dict(zip(("value", "low", "high"), fall, strict=True))}
    found = trust_zoo.judged(json.loads(json.dumps(row(score=score, confound_removed=removed))))
    assert found["used"] is used
    assert np.isnan(found["without"]) if removed is None else found["without"] == pytest.approx(score - fall[0])


def test_cells_are_found_again_in_the_unedited_field_by_their_places():
    def places(rows):
        return pd.DataFrame(rows, columns=[schema.FIELD, schema.CENTRE_Y, schema.CENTRE_X])

    wanted = places([("b", 10, 10), ("a", 50, 50), ("a", 10, 10), ("c", 1, 1)])
    others = places([("a", 11, 12), ("a", 80, 80), ("b", 13, 14), ("a", 53, 55)])
    rows, same = trust_zoo.same_cells(wanted, others)
    assert dict(zip(rows, same, strict=True)) == {2: 0, 0: 2}  # (50, 50) is 5.8 px away, and of c there is no cell


def test_beside_biology_cells_keep_a_label_that_agrees_with_their_truth():
    field, before, classes = edited(CONFOUNDS, "one stain of field, beside biology")
    alone, _, of_confound = edited(CONFOUNDS, "one stain of field")
    np.testing.assert_array_equal(field.image, alone.image)
    truth = np.where(field.cells["class_name"] == "G2", "b", "a")
    np.testing.assert_array_equal(classes, np.where(of_confound == truth, truth, ""))
    assert set(classes) == {"a", "b", ""}
    assert CONFOUNDS["one stain of field, beside biology"].effects == confounds.ALL_CUES


def test_an_answer_about_the_map_is_kept():
    stored = row()
    stored["answers"][WEIGHTS] = "failed"
    found = trust_zoo.judged(stored)
    assert found["status"] == "caution" and found["because"] == WEIGHTS


def test_tables_count_networks_that_use_what_was_planted():
    shortcut = row(share=0.5, low=0.4, high=0.6)
    unused = row(score=0.54)
    clean = row()
    clean["case"] = clean["case"] | {"kind": "all cues", "clean": True}
    refused = {"case": row()["case"], "refused": "InputRefused: x"}
    text = trust_zoo.tables([shortcut, shortcut, unused, clean, refused])
    assert "| gain of field | 2 | 0 | 0 |" in text and "| all cues | 0 | 0 | 1 |" in text
    assert "Not learnt, so not counted: 1 (gain of field)." in text
    assert "Of the 2 that data can tell from biology 2 are called shortcuts" in text
    assert "in sight while the checks were made 0 of 0, of other kinds 2 of 2." in text


def test_a_patch_lies_elsewhere_in_each_field_and_weakens_what_is_in_it():
    field, before, classes = edited(CONFOUNDS, "bleached patch")
    dark = np.percentile(before[0], 5)
    weaker = (field.image[0] - dark) < 0.7 * (before[0] - dark)
    y, x = field.centres.astype(int).T
    is_in = weaker[y, x]
    assert 0.05 < weaker.mean() < 0.4 and 3 < is_in.sum() < 27
    assert (classes[is_in] == "b").mean() > 0.6 and (classes[~is_in] == "a").mean() > 0.6
    other = make_field()
    before = other.image.copy()
    CONFOUNDS["bleached patch"].edit(other, 0.4, np.random.default_rng(2))
    assert not np.array_equal(weaker, (other.image[0] - dark) < 0.7 * (before[0] - dark))


def test_light_of_cells_brightens_all_stains_of_the_second_class_alone():
    field, before, classes = edited(CONFOUNDS, "light of cell")
    y, x = field.centres.astype(int).T
    for channel in field_edits.SHOWN:
        dark = np.percentile(before[channel], 5)
        times = (field.image[channel][y, x] - dark) / (before[channel][y, x] - dark)
        np.testing.assert_allclose(times[classes == "b"], 1.6, atol=0.02)
        np.testing.assert_allclose(times[classes == "a"], 1.0, atol=0.02)
