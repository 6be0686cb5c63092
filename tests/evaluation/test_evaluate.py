"""What evaluate says of its scores."""

import dataclasses
import types

import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import schema
from cellcycle_jax.evaluation import evaluate
from cellcycle_jax.scoring import holm
from cellcycle_jax.scoring.intervals import Interval, Resampling
from configs import base
from tests import tiny

CLASSES = ("G1/S", "G2")


def run_on(data_dir):
    return types.SimpleNamespace(data_dir=data_dir, config=base.training(), channels=("DNA",))


def test_groups_without_a_label_do_not_count_towards_an_interval(tmp_path):
    run = run_on(tiny.write_data(tmp_path))
    five_groups = tiny.crops(20, "validation", unlabelled=8)  # four cells each, two groups without any label
    assert [said for said in evaluate.caveats(run, five_groups, "validation") if said.startswith("With 3 groups")]
    four = tiny.crops(20, "validation", unlabelled=4)
    assert not [said for said in evaluate.caveats(run, four, "validation") if "there is no interval" in said]


def test_plates_that_are_too_few_to_leave_out_are_said(tmp_path):
    run = run_on(tiny.write_data(tmp_path))
    crops = tiny.crops(20, "validation")
    said = "from plate to plate is not in the intervals; that takes 4 plates in each split."
    assert not [limit for limit in evaluate.caveats(run, crops, "validation") if said in limit]  # one plate
    plates = np.array([f"P{index % 3}" for index in range(20)])
    several = dataclasses.replace(crops, plate=plates)
    [limit] = [limit for limit in evaluate.caveats(run, several, "validation") if said in limit]
    assert limit.startswith("The cells of HeLa are of 3 plates: how far scores differ")
    by_plate = dataclasses.replace(several, group_by="plate")
    assert not [limit for limit in evaluate.caveats(run, by_plate, "validation") if said in limit]


def test_doubts_of_the_labels_are_said_with_every_score(tmp_path):
    tiny.write_provenance(tmp_path, label_doubts=["Plate P has one hump."])
    said = evaluate.caveats(run_on(tmp_path), tiny.crops(20, "validation"), "validation")
    assert "Labels are in doubt: Plate P has one hump." in said


def test_leads_are_corrected_for_all_rivals_and_said_where_they_are_not_certain(capsys):
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 240)
    rows = pd.DataFrame({schema.FIELD: np.arange(240) // 30, schema.GROUP: np.arange(240) // 30})

    def guess(strength):
        second = np.clip(0.5 + strength * (label - 0.5) + rng.normal(0, 0.2, 240), 0.01, 0.99)
        return np.stack([1 - second, second], 1)

    own = guess(0.5)
    rivals = {"nuclear_area": guess(0.2), "integrated_dna": guess(0.45)}
    resampling = Resampling(0.95)
    found = evaluate.compare(rows, np.arange(240), label, own, rivals, resampling)
    of_each = []
    corrected = []
    for name, rival in rivals.items():
        for metric in ("balanced_accuracy", "auroc"):
            of_each.append(resampling.differences(label, own, rival, rows[schema.GROUP], (metric,))[metric].p)
            corrected.append(found["differences"][name][metric].p)
    assert corrected == pytest.approx(holm.corrected_p(of_each))
    result = found | {"split": "validation", "interval_level": 0.95, "notes": []}
    evaluate._say(result)
    said = capsys.readouterr().out
    assert "The lead over nuclear_area" not in said
    p = found["differences"]["integrated_dna"]["balanced_accuracy"].p
    assert f"The lead over integrated_dna in balanced accuracy cannot be told from none (p = {p:.3f}" in said


def test_the_terminal_says_what_the_scores_cannot_show(capsys):
    score = Interval(0.9, 0.8, 0.95)
    scores = {"balanced_accuracy": score, "auroc": score}
    result = {"split": "test", "interval_level": 0.95, "n_cells": 40, "n_fields": 8, "n_groups": 8, "model": scores,
              "baselines": {}, "differences": {}, "notes": ["Labels are pseudo-labels.", "One seed."]}
    evaluate._say(result)
    said = capsys.readouterr().out.splitlines()
    assert "model           0.900 (0.800 to 0.950)    0.900 (0.800 to 0.950)" in said
    assert said[-3:] == ["- Labels are pseudo-labels.", "- One seed.", ""]


def predictions(label):
    return pd.DataFrame({
        "label": label,
        "predicted": ["G1/S", "G2", "G2", "G2", "G1/S", "G1/S"],
        "prob_G1/S": 0.5,
        "prob_G2": 0.5,
        "confidence": [0.9, 0.8, 0.6, 0.7, 0.99, 0.95],
    })


def test_what_the_network_says_of_cells_without_a_label_is_said():
    assert evaluate.without_label(predictions(["G1/S", "G2", "", "", "", "G1/S"]), CLASSES) == [
        "3 of 6 cells have no label, so no score is of them. The network calls 67% of them G2, with a median "
        "confidence of 0.70; of those with a label 33%, with 0.90."
    ]
    assert evaluate.without_label(predictions(["G1/S", "G2"] * 3), CLASSES) == []
