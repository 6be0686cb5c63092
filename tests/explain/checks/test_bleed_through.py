"""Leaks of a known fraction, and patterns that two channels truly share."""

import dataclasses
import types

import numpy as np
import pytest
from scipy import ndimage

from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.checks import bleed_through
from cellcycle_jax.explain.checks.check import Evidence
from cellcycle_jax.scoring.intervals import Interval, Resampling
from configs.base import training
from tests.weighed_network import NUCLEUS, SIDE, make_crops, make_run

RESAMPLING = Resampling(level=0.99, seed=0)
ABOUT = {"n_groups": 16, "group_by": "field", "classes": ["a", "b"], "limits": training().explain.limits.to_dict()}
DNA, GOLGI, MARKER = range(3)


def textures(rng, n):
    """Smooth random patterns f64 [n, S, S] about 1, none below 0."""
    fields = ndimage.gaussian_filter(rng.normal(size=(n, SIDE, SIDE)), (0, 1.2, 1.2))
    return np.maximum(1 + fields / fields.std(axis=(1, 2), keepdims=True), 0)


def marked(leak=0.0, shared=0.0, low=100, n=320, seed=0):
    """Crops of two channels and a marker, of which class 1 has about 1,000 counts.

    Args:
        leak: fraction of the marker's picture that is in Golgi.
        shared: share of the DNA's pattern that the marker follows.
        low: counts of the marker in class 0.
        n: cells.
        seed: of all that is drawn.
    """
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 2
    amount = (np.where(label, 1000, low) * rng.lognormal(0, 0.4, n))[:, None, None]
    dna, golgi, own = (textures(rng, n) for _ in range(3))
    dna *= np.where(label, 1.4, 1.0)[:, None, None]  # DNA grows with the class too
    marker = amount * (shared * dna + (1 - shared) * own) * NUCLEUS
    pictures = [400 * dna * NUCLEUS, 300 * golgi + leak * marker, marker]
    image = np.stack(pictures, -1) + 500 + rng.normal(0, 8, (n, SIDE, SIDE, 3))
    crops = make_crops(label, image.clip(0).round().astype(np.uint16), fields=16)
    stats = crops.intensity_stats.copy()
    stats[..., bleed_through.BACKGROUND] = 500
    return dataclasses.replace(crops, channels=("DNA", "Golgi", "CENPF"), markers=("CENPF",), intensity_stats=stats)


def fraction(crops, channel):
    products = bleed_through.pattern_products(crops)
    return bleed_through.leaked_fraction(products, MARKER, channel, crops.group_id, RESAMPLING)


@pytest.mark.parametrize("leak", [0.08, 0.2])
def test_of_what_leaks_more_than_half_is_found_for_certain_and_no_more_than_leaks(leak):
    found = fraction(marked(leak), GOLGI)
    assert 0.5 * leak < found.value < 1.1 * leak and found.low > 0.25 * leak


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_a_pattern_that_a_marker_truly_follows_is_no_leak(shared):
    """A marker that is all DNA's pattern has 250 to 1,000 counts for 400 of DNA: as a leak it would be 0.4 or more."""
    crops = marked(shared=shared)
    assert fraction(crops, DNA).value < 0.02 and abs(fraction(crops, GOLGI).value) < 0.02


def test_too_few_cells_that_show_the_marker_say_nothing():
    crops = marked(0.08, low=0)
    dark = np.flatnonzero(crops.label == 0)
    rows = np.concatenate([dark, np.flatnonzero(crops.label == 1)[: bleed_through.LEAST_CLEAR // 2]])
    assert np.isnan(fraction(crop_arrays.take(crops, rows), GOLGI).value)


def test_what_leaked_is_taken_off():
    clean, leaking = marked(), marked(0.08)
    restored = bleed_through.without_leaks(leaking, {(MARKER, GOLGI): 0.08}).image
    np.testing.assert_allclose(restored[..., GOLGI], clean.image[..., GOLGI], atol=3)  # noise of the marker, counts
    np.testing.assert_array_equal(restored[..., [DNA, MARKER]], leaking.image[..., [DNA, MARKER]])


def judged(crops, monkeypatch, channel=GOLGI):
    monkeypatch.setattr(crop_arrays, "load_crops", lambda folder, split, final, pixels: crops)
    run = make_run(NUCLEUS, channel=channel)
    return bleed_through.judge(bleed_through.ask(Evidence(types.SimpleNamespace(run=run))), ABOUT)


def test_a_network_that_reads_the_leak_is_an_alarm_and_one_that_reads_dna_is_not(monkeypatch):
    caught = judged(marked(0.08), monkeypatch)
    assert caught.answer == "failed" and caught.alarm and "CENPF" in caught.sentence and "Golgi" in caught.sentence
    for shared in (0.0, 1.0):
        clean = judged(marked(shared=shared, n=960), monkeypatch, DNA)
        assert clean.answer == "passed" and not clean.alarm, clean.sentence


def test_without_a_marker_in_the_data_nothing_leaks(monkeypatch):
    crops = dataclasses.replace(marked(0.08), markers=())
    assert judged(crops, monkeypatch).answer == "impossible"


def results(least, most, value=0.08, low=0.06):
    row = {"marker": "CENPF", "channel": "Golgi", **Interval(value, low, 0.1).as_json()}
    more = {"class": 1, "unmoved": False}
    shares = {"least": least.as_json() | more, "most": most.as_json() | more}
    return {"markers": ["CENPF"], "fractions": [row], **shares}


@pytest.mark.parametrize(
    ("least", "most", "answer"),
    [
        (Interval(0.0, -0.01, 0.01), Interval(0.05, 0.02, 0.09), "passed"),
        (Interval(0.0, -0.01, 0.01), Interval(0.3, 0.2, 0.4), "unknown"),  # as much as may leak would matter
        (Interval(0.05, 0.02, 0.08), Interval(0.3, 0.2, 0.4), "unknown"),
        (Interval(0.1, 0.01, 0.2), Interval(0.3, 0.2, 0.4), "failed"),
        (Interval(0.5), Interval(0.6), "unknown"),
    ],
)
def test_it_passes_by_the_most_that_may_leak_and_fails_by_the_least(least, most, answer):
    judgement = bleed_through.judge(results(least, most), ABOUT)
    assert judgement.answer == answer and judgement.alarm == (answer == "failed")


def test_a_fraction_that_is_not_known_is_no_pass():
    nothing = Interval(0.0, -0.01, 0.01)
    judgement = bleed_through.judge(results(nothing, nothing, value=np.nan, low=np.nan), ABOUT)
    assert judgement.answer == "unknown" and "too few labelled cells" in judgement.sentence
