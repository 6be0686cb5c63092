"""Leaks of a known fraction, and patterns that two channels truly share."""

import dataclasses
import types

import numpy as np
import pytest
from scipy import ndimage

from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.checks import bleed_through, camera_pixels
from cellcycle_jax.explain.checks.check import Evidence
from cellcycle_jax.scoring.intervals import Interval, Resampling
from configs.base import training
from tests.weighed_network import NUCLEUS, SIDE, make_crops, make_run

RESAMPLING = Resampling(level=0.99, seed=0)
ABOUT = {"n_groups": 16, "group_by": "field", "classes": ["a", "b"], "limits": training().explain.limits.to_dict()}
DNA, GOLGI, MARKER = range(3)


def textures(rng, n):
    """Smooth random patterns f64 [n, S, S], none below 0, of mean 1 over the nucleus."""
    fields = ndimage.gaussian_filter(rng.normal(size=(n, SIDE, SIDE)), (0, 1.2, 1.2))
    patterns = np.maximum(1 + 0.5 * fields / fields.std(axis=(1, 2), keepdims=True), 0)
    return patterns / patterns[:, NUCLEUS].mean(1)[:, None, None]


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
    dna *= np.where(label, 2.0, 1.0)[:, None, None]  # DNA grows with the class too
    marker = amount * (shared * dna + (1 - shared) * own) * NUCLEUS
    pictures = [400 * dna * NUCLEUS, 300 * golgi + leak * marker, marker]
    image = np.stack(pictures, -1) + 500 + rng.normal(0, 8, (n, SIDE, SIDE, 3))
    crops = make_crops(label, image.clip(0).round().astype(np.uint16), fields=16)
    stats = crops.intensity_stats.copy()
    stats[..., camera_pixels.BACKGROUND] = 500
    return dataclasses.replace(crops, channels=("DNA", "Golgi", "CENPF"), markers=("CENPF",), intensity_stats=stats)


def by_pattern(crops, channel):
    products = bleed_through.pattern_products(crops)
    return bleed_through.fraction_by_pattern(products, MARKER, channel, crops.group_id, RESAMPLING)


def by_amount(crops, channel):
    amounts, areas = bleed_through.nuclear_means(crops)
    return bleed_through.fraction_by_amount(amounts, MARKER, channel, areas, crops.label, crops.group_id, RESAMPLING)


@pytest.mark.parametrize("leak", [0.08, 0.2])
def test_what_leaks_is_found_in_amounts_and_more_than_half_of_it_in_the_pattern(leak):
    crops = marked(leak)
    amount = by_amount(crops, GOLGI)
    assert amount.low < leak < amount.high and amount.low > 0.4 * leak
    pattern = by_pattern(crops, GOLGI)
    assert 0.5 * leak < pattern.value < 1.2 * leak and pattern.low > 0.25 * leak


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_a_pattern_that_a_marker_truly_follows_is_no_leak(shared):
    """A marker that is all DNA's pattern has some 1,000 counts for 800 of DNA: as a leak it would be 0.4 or more."""
    crops = marked(shared=shared)
    assert by_pattern(crops, DNA).value < 0.02 and abs(by_pattern(crops, GOLGI).value) < 0.02


def test_a_channel_that_grows_with_the_class_alone_does_not_grow_within_it():
    crops = marked(shared=0.0, n=3000)
    grows = np.polyfit(*bleed_through.nuclear_means(crops)[0][:, [MARKER, DNA]].T, 1)[0]
    within = by_amount(crops, DNA)
    assert grows > 0.1 and within.low < 0 < within.high and within.high < 0.05


def test_too_few_cells_that_show_the_marker_say_nothing():
    crops = marked(0.08, low=0)
    dark = np.flatnonzero(crops.label == 0)
    rows = np.concatenate([dark, np.flatnonzero(crops.label == 1)[: bleed_through.LEAST_CLEAR // 2]])
    assert np.isnan(by_pattern(crop_arrays.take(crops, rows), GOLGI).value)
    alone = crop_arrays.take(crops, np.arange(30))
    strata = np.arange(30)  # each cell is the only one of its class and field
    amounts, areas = bleed_through.nuclear_means(alone)
    found = bleed_through.fraction_by_amount(amounts, MARKER, GOLGI, areas, strata, alone.group_id, RESAMPLING)
    assert np.isnan(found.value)


def test_a_large_nucleus_that_is_paler_in_all_is_no_leak():
    rng = np.random.default_rng(0)
    areas = rng.integers(80, 160, 4000)
    amounts = 1e5 / areas[:, None] * rng.lognormal(0, 0.1, (4000, 3))
    groups = np.repeat(np.arange(20), 200).astype(str)
    found = bleed_through.fraction_by_amount(amounts, MARKER, DNA, areas, groups, groups, RESAMPLING)
    assert abs(found.value) < 0.1  # on area alone both fall by half, which would be a slope of 0.7


def test_what_leaked_is_taken_off():
    clean, leaking = marked(), marked(0.08)
    restored = bleed_through.without_leaks(leaking, {(MARKER, GOLGI): 0.08}).image
    np.testing.assert_allclose(restored[..., GOLGI], clean.image[..., GOLGI], atol=4)  # noise of the marker, counts
    np.testing.assert_array_equal(restored[..., [DNA, MARKER]], leaking.image[..., [DNA, MARKER]])


def judged(crops, monkeypatch, channel=GOLGI):
    monkeypatch.setattr(crop_arrays, "load_crops", lambda folder, split, final, pixels: crops)
    run = make_run(NUCLEUS, channel=channel)
    return bleed_through.judge(bleed_through.ask(Evidence(types.SimpleNamespace(run=run))), ABOUT)


def test_a_network_that_reads_the_leak_is_an_alarm_and_one_that_reads_dna_is_not(monkeypatch):
    caught = judged(marked(0.08), monkeypatch)
    assert caught.answer == "failed" and caught.alarm and "CENPF" in caught.sentence and "Golgi" in caught.sentence
    clean = judged(marked(n=3000), monkeypatch, DNA)
    assert clean.answer == "passed" and not clean.alarm, clean.sentence
    follows = judged(marked(shared=1.0, n=3000), monkeypatch, DNA)  # where a cell has more DNA it has more marker
    assert follows.answer in ("passed", "unknown") and not follows.alarm, follows.sentence


def test_without_a_marker_in_the_data_nothing_leaks(monkeypatch):
    crops = dataclasses.replace(marked(0.08), markers=())
    assert judged(crops, monkeypatch).answer == "impossible"


SMALL = Interval(0.0, -0.01, 0.01)
LARGE = Interval(0.3, 0.2, 0.4)


def results(by_pattern, by_amount, at_most, fraction=LARGE):
    row = {"marker": "CENPF", "channel": "Golgi", "by_amount": fraction, "by_pattern": Interval(np.nan)}
    shares = {"surely_by_pattern": by_pattern, "surely_by_amount": by_amount, "at_most": at_most}
    shares = {name: share.as_json() | {"class": 1, "unmoved": False} for name, share in shares.items()}
    return {"markers": ["CENPF"], "fractions": [row], **shares}


@pytest.mark.parametrize(
    ("by_pattern", "by_amount", "at_most", "answer"),
    [
        (SMALL, SMALL, Interval(0.05, 0.02, 0.09), "passed"),
        (LARGE, SMALL, Interval(0.05, 0.02, 0.09), "passed"),  # a shared pattern without growth is no leak
        (SMALL, SMALL, LARGE, "unknown"),  # as much as may leak would matter
        (SMALL, LARGE, LARGE, "unknown"),  # it grows, and the pattern does not say why
        (Interval(0.1, 0.01, 0.2), Interval(0.1, 0.01, 0.2), LARGE, "failed"),
        (LARGE, Interval(0.1, -0.01, 0.2), LARGE, "unknown"),
        (SMALL, SMALL, Interval(0.05), "unknown"),
    ],
)
def test_a_leak_is_certain_where_amounts_and_pattern_show_it(by_pattern, by_amount, at_most, answer):
    judgement = bleed_through.judge(results(by_pattern, by_amount, at_most), ABOUT)
    assert judgement.answer == answer and judgement.alarm == (answer == "failed")
    assert bool(judgement.remedy) == (answer == "unknown")


def test_a_channel_that_truly_grows_with_the_marker_calls_for_single_stains():
    judgement = bleed_through.judge(results(SMALL, LARGE, LARGE), ABOUT)
    assert judgement.remedy == "Cells with one stain alone would tell."


def test_a_fraction_that_is_not_known_is_no_pass():
    judgement = bleed_through.judge(results(SMALL, SMALL, SMALL, Interval(np.nan)), ABOUT)
    assert judgement.answer == "unknown" and "so few labelled cells" in judgement.sentence


def test_answers_that_do_not_change_without_the_most_that_may_leak_pass_without_an_interval():
    nothing = {name: Interval(0.0) for name in ("by_pattern", "by_amount", "at_most")}
    found = results(**nothing)
    assert bleed_through.judge(found, ABOUT).answer == "unknown"
    found["at_most"]["unmoved"] = True
    assert bleed_through.judge(found, ABOUT).answer == "passed"
