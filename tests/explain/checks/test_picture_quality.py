"""Cells whose pictures are noisier or out of focus, and structures that are finer in one stain alone."""

import dataclasses
import types

import numpy as np
import pytest
from scipy import ndimage

from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.checks import picture_quality
from cellcycle_jax.explain.checks.check import Evidence
from cellcycle_jax.scoring.intervals import Interval
from configs.base import training
from tests.weighed_network import NUCLEUS, SIDE, make_crops, make_run

ABOUT = {"n_groups": 16, "group_by": "field", "classes": ["a", "b"], "limits": training().explain.limits.to_dict()}
BRIGHT = 200  # counts that the network reads in the nucleus of class 1


def textures(rng, n, channels):
    """Smooth random patterns of 400 counts, f64 [n, S, S, K]."""
    fields = ndimage.gaussian_filter(rng.normal(size=(n, SIDE, SIDE, channels)), (0, 1.0, 1.0, 0))
    return 400 * (1 + 0.4 * fields / fields.std())


def noisy(image, rng):
    return image + rng.normal(0, 60, image.shape)


def blurred(image, rng):
    return ndimage.gaussian_filter(image, (0, 1.0, 1.0, 0))


def noisy_in_one_stain(image, rng):
    changed = image.copy()
    changed[..., 1] = noisy(image[..., 1], rng)
    return changed


def brighter(image, rng):
    return 2 * image


def unchanged(image, rng):
    return image


def crops_of(change, channels=3, n=480, markers=()):
    """Cells of 16 fields, of which those of class 1 are changed; the network reads the brightness of their nuclei."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, n)
    image = textures(rng, n, channels) + rng.normal(0, 8, (n, SIDE, SIDE, channels))
    image[label == 1] = change(image[label == 1], rng)
    image[..., 1] += BRIGHT * label[:, None, None] * NUCLEUS
    crops = make_crops(label, (image + 500).clip(0).round().astype(np.uint16), fields=16)
    stats = crops.intensity_stats.copy()
    stats[..., :2] = 500
    return dataclasses.replace(crops, intensity_stats=stats, markers=markers)


def judged(crops, monkeypatch):
    monkeypatch.setattr(crop_arrays, "load_crops", lambda folder, split, final, pixels: crops)
    run = make_run(NUCLEUS, channel=1, channels=len(crops.channels) - len(crops.markers))
    found = picture_quality.ask(Evidence(types.SimpleNamespace(run=run)))
    return found, picture_quality.judge(found, ABOUT)


@pytest.mark.parametrize("change", [noisy, blurred])
def test_pictures_that_are_noisier_or_softer_in_every_channel_are_no_biology_for_certain(change, monkeypatch):
    found, judgement = judged(crops_of(change), monkeypatch)
    assert judgement.answer == "unknown" and not judgement.alarm
    assert "out of focus" in judgement.sentence and "equally sharp" in judgement.remedy
    assert found["class_auroc"].low > 0.8


@pytest.mark.parametrize("change", [unchanged, noisy_in_one_stain])
def test_one_stain_that_becomes_finer_is_biology(change, monkeypatch):
    found, judgement = judged(crops_of(change), monkeypatch)
    assert judgement.answer == "passed", judgement.sentence
    best = found["channels"][0]
    if change is noisy_in_one_stain:
        assert best["channel"] == "Golgi" and best["class_auroc"].low > 0.8
    assert found["class_auroc"].high < 0.65


def test_of_two_channels_the_weaker_counts_and_a_marker_is_none_of_them(monkeypatch):
    found, judgement = judged(crops_of(noisy_in_one_stain, channels=2), monkeypatch)
    assert judgement.answer == "passed" and len(found["channels"]) == 2
    found, _ = judged(crops_of(noisy, channels=3, markers=("Tubulin",)), monkeypatch)
    assert {row["channel"] for row in found["channels"]} == {"DNA", "Golgi"}


def test_brightness_does_not_count_as_fineness_and_an_empty_channel_says_nothing():
    plain = crops_of(unchanged)
    signal = plain.image.astype(float) - 500
    twice = dataclasses.replace(plain, image=(2 * signal + 500).clip(0).round().astype(np.uint16))
    dim = (signal > -200).all((1, 2, 3))  # cells of which nothing is cut off at 0
    difference = picture_quality.fineness(twice)[dim] - picture_quality.fineness(plain)[dim]
    np.testing.assert_allclose(difference, 0, atol=0.01)
    empty = plain.image.copy()
    empty[..., 0] = 500
    values = picture_quality.fineness(dataclasses.replace(plain, image=empty))
    np.testing.assert_array_equal(values[:, 0], 0)
    assert np.isfinite(values).all()


WIDE = Interval(0.0, -0.5, 0.5)
SMALL = Interval(0.0, -0.02, 0.02)
TELLS = Interval(0.9, 0.8, 0.95)


def judge_of(aurocs, share):
    """The judgement of areas under the ROC curve by channel, best first, and a share."""
    results = {"channels": [{"channel": "DNA", "class_auroc": auroc} for auroc in aurocs],
               "class_auroc": aurocs[len(aurocs) // 2], "share": share.as_json() | {"class": 1},
               "within_class": Interval(0.0, -0.1, 0.1)}
    return picture_quality.judge(results, ABOUT)


@pytest.mark.parametrize(
    ("auroc", "share", "answer"),
    [
        (Interval(0.8, 0.7, 0.9), SMALL, "unknown"),  # read better than it is measured
        (Interval(0.6, 0.6, 0.7), SMALL, "unknown"),
        (Interval(0.65, 0.599, 0.7), SMALL, "passed"),
        (Interval(0.65, 0.55, 0.75), Interval(0.3, 0.2, 0.4), "failed"),
        (Interval(0.5, 0.4, 0.599), WIDE, "passed"),
        (Interval(0.5, 0.4, 0.6), WIDE, "unknown"),
    ],
)
def test_where_a_channel_tells_the_class_the_middle_one_decides(auroc, share, answer):
    judgement = judge_of([TELLS, auroc], share)
    assert judgement.answer == answer and not judgement.alarm
    assert bool(judgement.remedy) == (answer == "unknown")


@pytest.mark.parametrize(
    ("best", "answer"),
    [(Interval(0.75, 0.7, 0.799), "passed"), (Interval(0.75, 0.7, 0.8), "unknown"), (Interval(0.7), "unknown")],
)
def test_what_tells_the_class_no_better_than_structures_do_is_passed(best, answer):
    assert judge_of([best, Interval(0.7, 0.65, 0.75)], WIDE).answer == answer


def test_cells_of_one_class_are_not_asked():
    judgement = picture_quality.judge({"why": "labelled cells of training are of one class"}, ABOUT)
    assert judgement.answer == "unknown" and "of one class" in judgement.sentence and judgement.remedy
