"""How bright a cell is in all its stains: crops whose brightness is known, and what is said of it."""

import types

import numpy as np
import pytest

from cellcycle_jax import schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.checks import cell_light
from cellcycle_jax.explain.checks.check import Evidence
from cellcycle_jax.scoring.intervals import Interval
from configs.base import training
from tests.weighed_network import NUCLEUS, make_crops, make_run, pictures

ABOUT = {"n_groups": 16, "group_by": "field", "classes": ["a", "b"], "limits": training().explain.limits.to_dict()}
NOT_READ = Interval(0.0, -0.02, 0.02).as_json() | {"class": 1}
UNSURE = Interval(0.0, -0.3, 0.3).as_json() | {"class": 1}


def result(middle, share, network=0.99):
    best = Interval(0.95, 0.9, 0.97)
    channels = [{"channel": name, "class_auroc": score} for name, score in (("DNA", best), ("Golgi", middle))]
    channels.append({"channel": "EB1", "class_auroc": Interval(0.5, 0.45, 0.55)})
    return {"can_arise": True, "why": "", "channels": channels, "class_auroc": middle,
            "network_auroc": Interval(network, network, network), "share": share,
            "within_class": Interval(0.0, -0.1, 0.1)}


@pytest.mark.parametrize(
    ("middle", "share", "answer"),
    [
        (Interval(0.5, 0.45, 0.55), UNSURE, "passed"),  # DNA alone is brighter, as of more DNA
        (Interval(0.9, 0.85, 0.95), NOT_READ, "unknown"),  # as brightness measures light badly, little is certain
        (Interval(0.7, 0.6, 0.799), UNSURE, "passed"),  # as of structures
        (Interval(0.7, 0.6, 0.8), NOT_READ, "unknown"),
        (Interval(0.7, 0.59, 0.8), NOT_READ, "passed"),  # it may not tell the class, and is not read
        (Interval(0.7, 0.59, 0.8), UNSURE, "unknown"),
    ],
)
def test_the_channel_in_the_middle_counts(middle, share, answer):
    judgement = cell_light.judge(result(middle, share), ABOUT)
    assert (judgement.answer, judgement.alarm) == (answer, False), judgement.sentence
    assert "DNA 0.95 (0.90 to 0.97), Golgi " in judgement.sentence
    assert bool(judgement.remedy) == (answer == "unknown")


def test_of_a_network_that_tells_little_a_light_that_tells_little_is_enough():
    light = Interval(0.66, 0.62, 0.7)
    assert cell_light.judge(result(light, UNSURE), ABOUT).answer == "passed"
    judgement = cell_light.judge(result(light, UNSURE, network=0.75), ABOUT)
    assert judgement.answer == "unknown" and "thicker" in judgement.sentence


def test_one_channel_cannot_be_asked_and_a_missing_class_costs_the_trust():
    crops = types.SimpleNamespace(channels=("DNA", "CENPF"), markers=("CENPF",))
    evidence = types.SimpleNamespace(compared=types.SimpleNamespace(crops=crops))
    judgement = cell_light.judge(cell_light.ask(evidence), ABOUT)
    assert judgement.answer == "impossible" and "With one channel" in judgement.sentence
    judgement = cell_light.judge({"can_arise": True, "why": "cells are of one class"}, ABOUT)
    assert judgement.answer == "unknown" and "cells are of one class" in judgement.sentence and judgement.remedy


def test_brightness_is_the_lower_quartile_over_the_nucleus(monkeypatch):
    bits = np.zeros((2, 8, 8), np.uint8)
    bits[0, 2:6, 2:6] = int(schema.Compartment.NUCLEUS)
    bits[1, :, :4] = int(schema.Compartment.BODY)  # of this cell no nucleus is known
    images = np.full((2, 8, 8, 2), 7.0, np.float32)
    images[0, 2:6, 2:6, 0] = np.arange(16).reshape(4, 4)
    images[1, :, :4, 1] = 3.0
    block = types.SimpleNamespace(compartments=bits)
    monkeypatch.setattr(cell_light.camera_pixels, "blocks", lambda crops: [block])
    monkeypatch.setattr(cell_light.camera_pixels, "camera_units", lambda crops: images)
    np.testing.assert_allclose(cell_light.brightness(block), [[3.75, 7.0], [7.0, 3.0]])


@pytest.mark.parametrize(
    ("brighter", "answer"),
    [
        ((0, 1, 2), "unknown"),  # light, or thicker cells
        ((0, 1), "unknown"),  # most channels
        ((1,), "passed"),  # a structure, which the network reads in its own stain
    ],
)
def test_cells_that_are_brighter_in_most_channels_are_not_passed(brighter, answer, monkeypatch):
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 480)
    image = pictures(label, NUCLEUS, channels=3).astype(float)
    for channel in {*brighter} - {1}:
        image[..., channel] += 200 * label[:, None, None] * NUCLEUS
    crops = make_crops(label, image.round().astype(np.uint16), fields=16)
    monkeypatch.setattr(crop_arrays, "load_crops", lambda folder, split, final, pixels: crops)
    run = make_run(NUCLEUS, channels=3)
    judgement = cell_light.judge(cell_light.ask(Evidence(types.SimpleNamespace(run=run))), ABOUT)
    assert (judgement.answer, judgement.alarm) == (answer, False), judgement.sentence
