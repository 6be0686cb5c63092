"""Marks at one place of the pictures, and structures that lie elsewhere in each cell or all around its centre."""

import dataclasses
import types

import numpy as np
import pytest

from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.checks import drawn_mark
from cellcycle_jax.explain.checks.check import Evidence
from cellcycle_jax.scoring.intervals import Interval
from configs.base import training
from tests.weighed_network import SIDE, make_crops, make_run

ABOUT = {"n_groups": 16, "group_by": "field", "classes": ["a", "b"], "limits": training().explain.limits.to_dict()}
N = 480
EVERYWHERE = np.ones((SIDE, SIDE), bool)


def mark_at(place):
    def draw(image, rng):
        image[(slice(None), *place, 1)] += 150

    return draw


def spot_elsewhere_in_each(image, rng):
    for cell in image:
        cell[(*rng.integers(1, SIDE - 1, 2), 1)] += 150


def ring_about_the_centre(image, rng):
    from_middle = np.hypot(*np.mgrid[:SIDE, :SIDE] - SIDE // 2)
    image[..., 1] += 60 * (np.abs(from_middle - 6.5) < 1)


def brighter(image, rng):
    image[:] = 400 + 1.5 * (image - 400)


def crops_of(draw, seed=0):
    """Cells of noisy pictures about 400; into those of class 1 something is drawn."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, N)
    image = rng.normal(400, 20, (N, SIDE, SIDE, 2))
    of_class = image[label == 1]
    draw(of_class, rng)
    image[label == 1] = of_class
    return make_crops(label, image.round().clip(0).astype(np.uint16), fields=16)


def asked(parts, monkeypatch, **of_run):
    """What is found in a validation split, after choosing in another of training."""
    monkeypatch.setattr(crop_arrays, "load_crops", lambda folder, split, final, pixels: parts[split])
    run = make_run(EVERYWHERE, **{"channel": 1, **of_run})
    return drawn_mark.ask(Evidence(types.SimpleNamespace(run=run)))


def both(draw):
    return {"train": crops_of(draw), "validation": crops_of(draw, seed=1)}


@pytest.mark.parametrize("place", [(3, 10), (12, 4), (8, 8), (7, 7)])  # the last two in the very middle
def test_a_mark_is_found_where_it_was_drawn(place, monkeypatch):
    found = asked(both(mark_at(place)), monkeypatch)
    assert found["places"] == [
        {"class": "class1", "channel": "Golgi", "down_px": place[0], "across_px": place[1]}
    ]
    judgement = drawn_mark.judge(found, ABOUT)
    assert found["class_auroc"].low > 0.9
    assert (judgement.answer, judgement.alarm) == ("unknown", False)
    assert f"channel Golgi, px {place[0]} down and {place[1]} across of {SIDE}" in judgement.sentence
    assert judgement.remedy


@pytest.mark.parametrize("draw", [spot_elsewhere_in_each, ring_about_the_centre, brighter])
def test_structures_and_light_are_no_marks(draw, monkeypatch):
    found = asked(both(draw), monkeypatch)
    assert found["class_auroc"].high < drawn_mark.MOST, found["places"]


def test_a_ring_would_be_taken_for_a_mark_without_the_places_a_turn_further(monkeypatch):
    monkeypatch.setattr(drawn_mark, "MIDDLE_PX", SIDE)  # all places count as the middle
    assert asked(both(ring_about_the_centre), monkeypatch)["class_auroc"].low > 0.8


def test_what_the_mask_hides_is_not_read(monkeypatch):
    parts = both(mark_at((12, 4)))  # below the body, which is the upper half
    assert asked(parts, monkeypatch)["class_auroc"].low > 0.9
    assert asked(parts, monkeypatch, mask="cell")["class_auroc"].high < 0.65


def test_of_three_classes_each_has_a_place_of_its_own():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, N)
    image = rng.normal(400, 20, (N, SIDE, SIDE, 2))
    image[label == 1, 3, 10, 1] += 150
    image[label == 2, 12, 4, 0] += 150
    crops = make_crops(label, image.round().clip(0).astype(np.uint16), fields=16, classes=3)
    places = drawn_mark.telling_places(crops, [0, 1, 2], (0, 1), "none")
    assert places[1:] == [(3, 10, 1), (12, 4, 0)]
    assert places[0] in places[1:]  # neither mark is in class 0


def test_hidden_pixels_change_no_detail_and_have_none_themselves():
    crops = crop_arrays.take(crops_of(mark_at((6, 5))), slice(0, 20))
    hidden = crops.image.copy()
    hidden[:, SIDE // 2 :] = 9000
    other = dataclasses.replace(crops, image=hidden)
    details = drawn_mark.details(crops, (0, 1), "cell")
    np.testing.assert_array_equal(drawn_mark.details(other, (0, 1), "cell"), details)
    assert (drawn_mark.details(other, (0, 1), "none") != drawn_mark.details(crops, (0, 1), "none")).any()
    # About the pixel (8, 8): of (12, 8), which is hidden, only (4, 8) of the three places a turn further is shown, and
    # of that (8, 4) and (8, 12) are hidden as well.
    np.testing.assert_allclose(details[:, 12, 8], -details[:, 4, 8] / 3, rtol=1e-5)


def test_a_channel_that_is_not_shown_is_not_asked(monkeypatch):
    found = asked(both(mark_at((3, 10))), monkeypatch, channel=0, channels=1)
    assert found["places"][0]["channel"] == "DNA" and found["class_auroc"].high < 0.65


def test_the_place_is_chosen_on_cells_of_training(monkeypatch):
    parts = {"train": crops_of(mark_at((3, 10))), "validation": crops_of(mark_at((12, 4)))}
    found = asked(parts, monkeypatch)
    assert (found["places"][0]["down_px"], found["places"][0]["across_px"]) == (3, 10)
    assert found["class_auroc"].high < 0.65  # there is no mark there in the others


def test_cells_of_one_class_are_not_asked(monkeypatch):
    crops = crops_of(mark_at((3, 10)))
    one_class = crop_arrays.take(crops, crops.label == 1)
    found = asked({"train": one_class, "validation": one_class}, monkeypatch)
    judgement = drawn_mark.judge(found, ABOUT)
    assert judgement.answer == "unknown" and "of one class" in judgement.sentence and judgement.remedy


NOT_READ = Interval(0.0, -0.02, 0.02).as_json() | {"class": 1}
UNSURE = Interval(0.0, -0.3, 0.3).as_json() | {"class": 1}


@pytest.mark.parametrize(
    ("score", "network", "share", "answer"),
    [
        (Interval(0.65, 0.6, 0.699), 0.99, UNSURE, "passed"),
        (Interval(0.65, 0.6, 0.7), 0.99, NOT_READ, "unknown"),
        (Interval(0.65, 0.6, 0.699), 0.75, NOT_READ, "unknown"),  # the network tells little more
        (Interval(0.58, 0.5, 0.71), 0.99, NOT_READ, "passed"),
        (Interval(0.65, 0.59, 0.71), 0.99, NOT_READ, "passed"),
        (Interval(0.58, 0.5, 0.71), 0.99, UNSURE, "unknown"),
        (Interval(0.65), 0.99, UNSURE, "unknown"),
    ],
)
def test_what_tells_less_than_allowed_is_passed(score, network, share, answer):
    places = [{"class": "b", "channel": "DNA", "down_px": 3, "across_px": 10}]
    results = {"why": "", "places": places, "crop_px": SIDE, "class_auroc": score,
               "network_auroc": Interval(network, network, network), "share": share,
               "within_class": Interval(0.0, -0.1, 0.1)}
    judgement = drawn_mark.judge(results, ABOUT)
    assert (judgement.answer, judgement.alarm) == (answer, False), judgement.sentence
    assert bool(judgement.remedy) == (answer == "unknown")
