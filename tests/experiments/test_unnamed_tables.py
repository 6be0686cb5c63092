"""What the study of what has no name counts."""

import pytest

from cellcycle_jax.unnamed.verdict import Verdict
from experiments import unnamed_data, unnamed_tables


def found(cue="nuclear side", channel="DNA", family="side of a stain", unnamed=0.5, gain=0.45, auroc=0.9, **case):
    interval = {"value": unnamed, "low": unnamed - 0.05, "high": unnamed + 0.05}
    named = {"value": 1 - unnamed, "low": 0.9 - unnamed, "high": 1.1 - unnamed}
    none = {"value": 0.0, "low": -0.01, "high": 0.01}
    shares = {"named": named, "nuisance": none, "unnamed": interval, "named_with_half": named, "repeated": interval}
    proposals = [{"name": "a", "family": family}, {"name": "b", "family": "grain"}]
    said = {"cue": cue, "strength": 0.4, "beside_dna": False, "cells": 2400, "seed": 0} | case
    return {
        "case": said,
        "auroc": [{"value": auroc, "low": auroc - 0.05, "high": auroc + 0.05}] * 2,
        "auroc_of_table": 0.51,
        "shares": shares,
        "channels": [channel],
        "regions": ["nucleus"],
        "proposals": proposals,
        "gain": {"value": gain, "low": gain - 0.1, "high": gain + 0.1},
        "without": {arm: [["a", family], ["b", "grain"]] for arm in unnamed_tables.ARMS},
        "table_only": {"named": {"value": 1.0}, "nuisance": none, "unnamed": none},
    }


def test_a_hit_is_counted_and_a_miss_is_not():
    hit = unnamed_tables.row_of(found(), 0.1)
    miss = unnamed_tables.row_of(found(channel="EB1", family="spacing", gain=0.1), 0.1)
    assert hit["verdict"] == str(Verdict.UNNAMED)
    assert hit["channel"] and hit["region"] and hit["first"] and hit["gain"] == pytest.approx(0.9)
    assert not (miss["channel"] or miss["first"] or miss["among three"]) and miss["gain"] == pytest.approx(0.2)


def test_networks_near_chance_have_not_learnt():
    assert unnamed_tables.row_of(found(), 0.1)["learnt"]
    assert not unnamed_tables.row_of(found(auroc=0.62), 0.1)["learnt"]


def test_networks_that_tell_no_more_than_the_table_have_not_learnt_what_has_no_name():
    told_by_table = found(beside_dna=True) | {"auroc_of_table": 0.88}
    assert not unnamed_tables.row_of(told_by_table, 0.1)["learnt"]
    assert unnamed_tables.row_of(told_by_table | {"auroc_of_table": 0.8}, 0.1)["learnt"]


def test_sorts():
    assert unnamed_tables.row_of(found(cue=unnamed_data.NULL), 0.1)["sort"] == "nothing"
    assert unnamed_tables.row_of(found(cue=unnamed_data.NULL, beside_dna=True), 0.1)["sort"] == "named"
    assert unnamed_tables.row_of(found(cue="Golgi area"), 0.1)["sort"] == "named"


def test_the_tables_count_data_sets_and_leave_out_those_that_could_not_be_made():
    table = unnamed_tables.table_of([found(), found(family="spacing"), {"case": {}, "refused": "why"}])
    assert "1 of 2" in unnamed_tables.names(table) and "2 of 2" in unnamed_tables.verdicts(table)


def test_each_seed_has_every_cue_and_every_named_one():
    cases = unnamed_data.cases(2)
    assert len({case.name for case in cases}) == len(cases) == 66


def test_a_paired_difference_is_that_of_the_discordant_pairs():
    # By hand: (20.5 - 10.5) / 102 = 0.098, half = 1.96 * sqrt((31 / 102 - 0.098^2) / 102) = 0.105.
    assert unnamed_tables.paired_difference(20, 10, 100) == "+10 points (-1 to +20)"
    assert unnamed_tables.paired_difference(0, 0, 80).startswith("+0 points")
