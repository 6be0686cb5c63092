"""What a network reads in the outline of the mask, on networks and cells where the answer is known."""

import dataclasses

import numpy as np
import pytest

from cellcycle_jax.explain.attribution.methods import logits_of
from cellcycle_jax.explain.checks import outlines, shortcut_check
from cellcycle_jax.schema import Compartment as C
from cellcycle_jax.scoring.intervals import Interval
from configs.base import training
from tests.explain.checks.test_shortcuts import COLUMNS, NUCLEUS, RESAMPLING, ROWS, mixed, reading

DISTANCE = np.hypot(ROWS, COLUMNS)
BAND = (DISTANCE >= 4) & (DISTANCE < 5)  # within the large bodies, without the small ones
ABOUT = {"classes": ["a", "b"], "mask": "cell", "n_groups": 16, "group_by": "field",
         "limits": training().explain.limits.to_dict()}


def cells_of_two_sizes(tells: float, nucleus: float = 0.0):
    """Masked cells: bodies of the second class are large where `tells` is 1, and as often large as small where 0.5."""
    cells = mixed(480, nucleus=nucleus)
    rng = np.random.default_rng(1)
    large = np.where(rng.random(480) < tells, cells.label, 1 - cells.label) == 1
    radius = np.where(large, 5, 4)[:, None, None]
    body = radius > DISTANCE
    bits = body * int(C.BODY) | NUCLEUS * int(C.NUCLEUS)
    cytoplasm = rng.normal(0.5, 0.1, cells.images.shape)
    images = np.where(NUCLEUS[..., None], cells.images, cytoplasm) * body[..., None]
    return dataclasses.replace(cells, images=images.astype(np.float32), compartments=bits.astype(np.uint8)), large


def found(network, cells, mask="cell"):
    return outlines.outline(network, cells, mask, logits_of(network, cells.images), RESAMPLING)


def test_a_network_that_reads_the_outline_alone():
    cells, _ = cells_of_two_sizes(1.0)
    result = found(reading(BAND), cells)
    share = result["transferred_share"]
    assert share["value"] == pytest.approx(1, abs=0.03) and 0.9 < share["low"] < share["high"] < 1.1
    assert result["silhouette"].value == 1 and result["silhouette"].low > 0.8


def test_a_network_that_reads_the_nucleus_does_not_read_the_outline_that_tells_the_class():
    cells, _ = cells_of_two_sizes(1.0, nucleus=0.5)
    result = found(reading(NUCLEUS), cells)
    share = result["transferred_share"]
    assert share["value"] == pytest.approx(0, abs=1e-5) and share["unmoved"]
    assert result["silhouette"].value == 0.5


def test_half_and_half():
    """The mean of the band is 0.5 in large cells, so the outline brings half of what the nucleus brings by 0.5."""
    cells, _ = cells_of_two_sizes(1.0, nucleus=0.5)
    share = found(reading(BAND, NUCLEUS), cells)["transferred_share"]
    assert share["value"] == pytest.approx(0.5, abs=0.03)


def test_a_network_that_reads_an_outline_that_tells_nothing_has_nothing_to_share():
    cells, large = cells_of_two_sizes(0.5)
    result = found(reading(BAND), cells)
    assert np.isnan(result["transferred_share"]["low"])
    assert result["silhouette"].low < 0.5 < result["silhouette"].high and 0.4 < large.mean() < 0.6


@pytest.mark.parametrize(("mask", "bits"), [("cell", C.BODY), ("nucleus", C.NUCLEUS)])
def test_a_cell_within_the_outline_of_another_shows_nothing_but_its_own_pixels(mask, bits):
    cells, large = cells_of_two_sizes(1.0)
    grown = cells.compartments.copy()
    grown[large] |= np.where(DISTANCE < 3.6, int(C.NUCLEUS), 0).astype(np.uint8)
    shown = (grown & int(bits)) > 0
    number = np.arange(1, 481, dtype=np.float32)[:, None, None, None]
    images = np.where(shown[..., None], number + (DISTANCE < 3)[..., None] * 1000, 0) * np.ones(2, np.float32)
    cells = dataclasses.replace(cells, images=images, compartments=grown)
    rows, donors = np.arange(480), np.roll(np.arange(480), 7)
    made = outlines.with_outlines(cells, mask, rows, donors, np.random.default_rng(0))
    assert ((made != 0).all(-1) == shown[donors]).all()
    assert set(np.unique(np.where(made > 0, made % 1000 - number, 0))) == {0}
    both = shown & shown[donors]
    np.testing.assert_array_equal(made[both], images[both])
    if mask == "cell":  # what is filled is no nucleus
        assert (made[shown[donors] & ~shown] < 1000).all()


def judged(share, of_same_size=None, one_class_fields=False, mask="cell", **of_share):
    outline = {"transferred_share": {**share.as_json(), "class": 1, **of_share}, "silhouette": Interval(0.7, 0.6, 0.8),
               "of_same_size": of_same_size and {**of_same_size.as_json(), "class": 1}}
    results = {"outline": outline, "one_class_fields": one_class_fields}
    return shortcut_check.judge_outline(results, ABOUT | {"mask": mask})


@pytest.mark.parametrize(
    ("share", "answer"),
    [(Interval(0.02, 0.01, 0.04), "passed"), (Interval(0.3, 0.2, 0.4), "failed"),
     (Interval(0.05, -0.1, 0.2), "unknown"), (Interval(0.02), "unknown"), (Interval(-0.3, -0.4, -0.2), "failed")],
)
def test_it_is_passed_by_evidence_only(share, answer):
    judgement = judged(share)
    assert judgement.answer == answer and judgement.alarm is False
    assert ("which may be biology" in judgement.sentence) == (share.low > 0.1)
    assert bool(judgement.remedy) == (answer == "unknown")
    assert "area under the ROC curve of 0.70 (0.60 to 0.80)" in judgement.sentence


def test_no_answer_that_changes_is_evidence_and_no_outline_cannot_be_read():
    moved = judged(Interval(0.0), unmoved=True)
    assert moved.answer == "passed" and moved.sentence.startswith("No answer of the network changes with the outline")
    unmasked = shortcut_check.judge_outline({"outline": None, "one_class_fields": False}, ABOUT)
    assert unmasked.answer == "impossible"


READ = Interval(0.5, 0.4, 0.6)  # of the difference goes with the outline


def test_it_is_an_alarm_where_the_outline_of_a_cell_of_the_same_size_is_read_too():
    neighbours = judged(READ, Interval(0.4, 0.3, 0.5))
    assert neighbours.alarm and neighbours.answer == "failed" and "how near the neighbours are" in neighbours.sentence
    of_class = judged(READ, Interval(0.4, 0.3, 0.5), one_class_fields=True)
    assert of_class.answer == "failed" and not of_class.alarm and "neighbours are of its class" in of_class.sentence
    assert not judged(Interval(0.05, 0.0, 0.09), Interval(0.4, 0.3, 0.5)).alarm  # of a share that is small


@pytest.mark.parametrize(
    ("among_same_size", "answer"),
    [(Interval(0.02, -0.01, 0.05), "passed"), (Interval(0.3, -0.1, 0.7), "unknown"), (Interval(0.3), "unknown"),
     (Interval(0.05, -0.02, 0.12), "unknown")],
)
def test_where_it_is_certainly_the_size_of_the_nucleus_that_is_read_it_passes(among_same_size, answer):
    judgement = judged(READ, among_same_size)
    assert judgement.answer == answer and not judgement.alarm
    assert "it reads is the size of the nucleus, which the mask shows and which may be biology" in judgement.sentence
    assert bool(judgement.remedy) == (answer == "unknown")


def test_the_shape_of_a_nucleus_is_no_alarm_since_no_neighbour_cuts_its_outline():
    shape = judged(READ, Interval(0.4, 0.3, 0.5), mask="nucleus")
    assert shape.answer == "failed" and not shape.alarm and "shape of the nucleus" in shape.sentence


def test_donors_of_the_same_size_are_near_in_size_and_of_another_group():
    rng = np.random.default_rng(0)
    area = rng.permutation(np.repeat(np.arange(100), 2))
    groups = np.array([f"field{i % 7}" for i in range(200)])
    nearest = outlines.nearest_in_size(area, groups, rng)
    donors = np.array([outlines.draw_of_same_size(nearest, groups, rng) for _ in range(200)])
    assert (groups[donors] != groups).all()
    assert np.abs(area[donors] - area).max() < outlines.NEAREST  # of the 16 nearest of other groups
    assert all(len(set(of_cell)) > 4 for of_cell in donors.T)  # and not always the same
    alone = outlines.draw_of_same_size(outlines.nearest_in_size(area, ["one"] * 200, rng), ["one"] * 200, rng)
    assert (alone != np.arange(200)).all()
