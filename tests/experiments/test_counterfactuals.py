"""What the study of counterfactuals counts."""

from experiments import counterfactuals
from experiments.unnamed_data import NULL


def interval(value, half=0.1):
    return {"value": value, "low": value - half, "high": value + half}


def family(name, difference, edited):
    return {
        "family": name,
        "measurement": name,
        "class_difference": interval(difference),
        "edited": interval(edited),
        "nearest": interval(difference),
    }


def found(cue="nuclear area", first="size of the nucleus", verdict="shown", crossing=1.0, seed=40):
    return {
        "case": {"cue": cue, "strength": 0.0, "beside_dna": False, "cells": 1400, "seed": seed},
        "verdict": verdict,
        "crossing": interval(crossing),
        "crossing_of_others": [interval(0.9)],
        "families": [family("not certain", 0.05, 2.0), family(first, 1.0, 1.2), family("other", 1.0, 0.5)],
    }


def test_the_first_family_that_certainly_changed_is_compared_with_the_planted_one():
    right = counterfactuals.row_of(found())
    wrong = counterfactuals.row_of(found(first="texture of the nucleus in DNA"))
    assert right["first"] == "size of the nucleus" and right["right"]
    assert not wrong["right"]


def test_of_null_data_nothing_is_right():
    assert not counterfactuals.row_of(found(cue=NULL))["right"]


def test_the_table_counts_what_is_shown_and_leaves_out_what_could_not_be_made():
    rows = [
        found(),
        found(crossing=0.5, first="other"),
        found(cue=NULL, verdict="nothing to show"),
        {"case": {}, "refused": "why"},
    ]
    text = counterfactuals.tables(rows)
    of_area, of_null = text.splitlines()[2:]
    assert "75 % (50)" in of_area and "90 % (90)" in of_area and "1 of 2" in of_area
    assert "1 of 1" in of_null


def test_seeds_of_other_studies_are_not_met_again():
    seeds = {case.seed for case in counterfactuals.cases(10)}
    assert min(seeds) >= counterfactuals.FIRST_SEED > 26 + 13
    names = [case.name for case in counterfactuals.cases(10)]
    assert len(set(names)) == len(names) == 60
