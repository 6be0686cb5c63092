"""What a property alone may tell: areas under the ROC curve whose distances between classes are known."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.attribution.methods import margins
from cellcycle_jax.explain.checks import by_itself
from cellcycle_jax.explain.checks.compared_cells import ComparedCells
from cellcycle_jax.explain.regions.explained_cells import resampling_of
from cellcycle_jax.scoring.intervals import Interval
from tests.weighed_network import NUCLEUS, make_crops, make_run, pictures


@pytest.mark.parametrize(
    ("low", "allowed"),
    [
        (0.5, 0.5),  # of a network that may know nothing, any property explains all
        (0.4, 0.5),
        (0.8413, 0.7580),  # Phi(1), so Phi(0.7)
        (0.6915, 0.6368),  # Phi(0.5), so Phi(0.35)
        (0.99, 0.8),
        (1.0, 0.8),
    ],
)
def test_seven_tenths_of_the_distance_between_the_classes_are_too_much(low, allowed):
    assert by_itself.most_allowed(Interval(low + 0.001, low, 1.0)) == pytest.approx(allowed, abs=1e-4)


def test_without_an_interval_nothing_is_allowed():
    assert by_itself.most_allowed(Interval(0.9)) == 0.5


@pytest.mark.parametrize("classes", [2, 3])
def test_the_network_is_scored_by_its_own_output(classes, monkeypatch):
    rng = np.random.default_rng(0)
    label = rng.integers(0, classes, 240)
    crops = make_crops(label, pictures(label, NUCLEUS), classes=classes)
    logits = rng.normal(size=(240, classes)) + np.eye(classes)[label]
    compared = ComparedCells(crops, np.asarray(margins(logits), np.float64))
    monkeypatch.setattr(crop_arrays, "load_crops", lambda folder, split, final, pixels: crops)
    score = by_itself.auroc_of_network(compared, resampling_of(make_run(NUCLEUS, classes=classes)))
    prob = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = roc_auc_score(label, prob[:, 1] if classes == 2 else prob, multi_class="ovr")
    assert score.value == pytest.approx(expected, abs=1e-9) and score.is_known
