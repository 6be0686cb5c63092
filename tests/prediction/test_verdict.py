"""What is said of the worth of a network with each prediction, and when it decides nothing."""

import pytest

from cellcycle_jax.prediction.verdict import summary_of, verdict_of

CLASSES = ("G1/S", "G2")


def validation(value=0.9, low=0.85, high=0.95, groups=12):
    return {"balanced_accuracy": {"value": value, "low": low, "high": high}, "n_cells": 1234, "n_groups": groups}


def explained(status):
    return {"status": status, "sentence": "What the passport says first."}


@pytest.mark.parametrize(("status", "withhold"), [("no_alarm", False), ("caution", False), ("shortcut", True),
                                                  ("chance", True)])
def test_the_passport_decides_whether_predictions_are_decisions(status, withhold):
    found = verdict_of(explained(status), validation(), CLASSES)
    assert (found.status, found.withhold) == (status, withhold)
    assert "What the passport says first. Balanced accuracy 0.90 on 1,234 validation cells" in found.words
    assert found.words.startswith(f"verdict on this network: {status.replace('_', ' ')}. ")


def test_without_a_passport_that_is_said():
    found = verdict_of(None, validation(), CLASSES)
    assert (found.status, found.withhold) == ("not explained", False)
    assert "Whether it uses the cell was not tested (`launch.py explain`)" in found.sentence


@pytest.mark.parametrize("passport", [None, explained("no_alarm"), explained("caution")])
def test_a_score_that_cannot_be_told_from_chance_withholds_whatever_the_passport_says(passport):
    found = verdict_of(passport, validation(0.55, 0.5, 0.6), CLASSES)
    assert found.withhold and found.status == "chance"
    assert "(0.50 to 0.60), which cannot be distinguished" in found.sentence
    assert not verdict_of(passport, validation(0.55, 0.501, 0.6), CLASSES).withhold


def test_chance_depends_on_the_number_of_classes():
    three = ("G1", "S", "G2")
    assert not verdict_of(None, validation(0.45, 0.4, 0.5), three).withhold
    assert verdict_of(None, validation(0.35, 0.3, 0.4), three).withhold


def test_too_few_groups_for_an_interval_are_named():
    for passport in (None, explained("caution")):
        found = verdict_of(passport, validation(1.0, None, None, groups=3), CLASSES)
        assert "of 3 groups: too few to distinguish it from chance" in found.sentence and not found.withhold


@pytest.mark.parametrize("value, cells, withhold", [(0.5, 17, True), (0.6, 17, True), (0.9, 17, False),
                                                    (0.6, 1000, False), (0.4, 1000, True), (1.0, 0, True)])
def test_without_an_interval_a_score_at_chance_withholds_even_if_each_cell_counted(value, cells, withhold):
    known = validation(value, None, None, groups=2) | {"n_cells": cells}
    found = verdict_of(explained("no_alarm"), known, CLASSES)
    assert found.withhold is withhold and (found.status == "chance") is withhold


def test_a_predictor_keeps_the_first_sentence_and_the_score():
    checks = [{"name": "score above chance", "sentence": "AUROC 0.9."}, {"name": "other", "sentence": "x"}]
    passport = {"status": "caution", "verdict": ["With caution.", "It looks here."], "checks": checks, "step": 60,
                "run_id": "a", "region_shares": []}
    assert summary_of(passport) == {"status": "caution", "sentence": "With caution.", "score": "AUROC 0.9.",
                                    "step": 60, "run_id": "a"}


@pytest.mark.parametrize("status", ["no_alarm", None])
def test_without_a_labelled_validation_cell_nothing_is_decided(status):
    scores = validation(None, None, None) | {"n_cells": 0, "n_groups": 0}
    verdict = verdict_of(explained(status) if status else None, scores, CLASSES)
    assert verdict.withhold and "not known, since no validation cell has a label" in verdict.words
