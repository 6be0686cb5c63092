"""Scores of the runs of a study, from predictions whose scores are known."""

import numpy as np
import pytest

from cellcycle_jax.evaluation import evaluate
from cellcycle_jax.scoring import holm, intervals, jackknife, metrics
from cellcycle_jax.studies import sweep_scores
from tests.study_runs import planted_predictions


def test_the_scores_of_planted_predictions_are_known():
    resampling = intervals.Resampling(0.95, evaluate.RESAMPLING_SEED)
    tested = planted_predictions({"mixed": ["a", "b"], "good": ["a"]})
    found = sweep_scores.score(tested, {"a": ["a"], "b": ["b"]}, ("auroc", "balanced_accuracy"), resampling)
    assert list(found) == ["all lines", "HeLa", "RPE1"]
    every, rpe1 = found["all lines"], found["RPE1"]
    assert every["runs"]["b"]["auroc"].value == 0.5 and every["rows"]["mixed"]["auroc"]["value"] == 0.75
    mixed = rpe1["rows"]["mixed"]["auroc"]  # one run knows all, the other everything the wrong way round
    assert (mixed["value"], mixed["lowest"], mixed["highest"]) == (0.5, 0, 1) and mixed["low"] < 0.5 < mixed["high"]
    lead = rpe1["differences"]["mixed"]["auroc"]
    assert lead.value == -0.5 and np.isnan(lead.low) and "good" not in rpe1["differences"]
    assert found["HeLa"]["differences"]["mixed"]["auroc"].value == 0
    assert (every["n_cells"], every["n_groups"], rpe1["n_cells"], rpe1["n_groups"]) == (24, 6, 12, 6)


def test_differences_are_corrected_for_all_rows_and_scores():
    tested = planted_predictions({"c": ["c"], "mixed": ["b", "c"], "good": ["a"]})
    noise = np.random.default_rng(0).uniform(-0.45, 0.45, 24)
    for name, prob in tested.probs.items():
        moved = np.clip(prob[:, 1] + noise * (name != "a"), 0.01, 0.99)
        tested.probs[name] = np.stack([1 - moved, moved], 1)
    resampling = intervals.Resampling(0.95, 0)
    names = ("auroc", "balanced_accuracy")
    crops = tested.crops
    raw = resampling.mean_scores(crops.label, tested.probs, tested.rows, crops.group_id, names, "good")
    found = sweep_scores.score(tested, {}, names, resampling)["all lines"]["differences"]
    rows = [(row, metric) for row in ("c", "mixed") for metric in names]
    of_each = [raw["difference", row, metric].p for row, metric in rows]
    assert np.isfinite(of_each).all()
    assert [found[row][metric].p for row, metric in rows] == pytest.approx(holm.corrected_p(of_each))


def test_means_and_differences_are_without_the_same_groups():
    tested = planted_predictions({})
    label, groups = tested.crops.label, tested.crops.group_id
    rows = {"mixed": ["b", "c"], "good": ["a"]}
    found = intervals.Resampling(0.9, 3).mean_scores(label, tested.probs, rows, groups, ("auroc",), "good")
    _, member = np.unique(groups, return_inverse=True)
    weights = np.concatenate([np.ones((1, len(label))), np.arange(6)[:, None] != member]).astype(float)
    of = [metrics.auroc(label, tested.probs[name], weights) for name in "abc"]
    leads = (of[1] + of[2]) / 2 - of[0]
    expected = jackknife.interval(leads[0], leads[1:], jackknife.Strata.of(member, label), 0.9)
    lead = found["difference", "mixed", "auroc"]
    assert (lead.low, lead.high) == pytest.approx(expected) and lead.low < lead.value < lead.high
