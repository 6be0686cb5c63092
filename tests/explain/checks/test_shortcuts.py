import dataclasses

import flax.linen as nn
import numpy as np
import pytest

from cellcycle_jax.explain.attribution.methods import logits_of
from cellcycle_jax.explain.checks import class_shares, shortcuts
from cellcycle_jax.explain.checks.shortcuts import DONORS, Cells
from cellcycle_jax.models.network import Network
from cellcycle_jax.schema import Compartment as C
from cellcycle_jax.scoring import jackknife
from cellcycle_jax.scoring.intervals import Interval, Resampling
from configs.base import training

SIDE, CHANNELS = 16, 2
LIMITS = training().explain.limits
RESAMPLING = Resampling(0.99, 0)
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
NUCLEUS = np.hypot(ROWS, COLUMNS) < 3
CORNER = (ROWS < -6) & (COLUMNS < -6)  # 2 x 2 px that no cell reaches
LIGHT = (0.2, 1.0, 0.5)  # of surroundings, nucleus and the rest of the cell


class Linear(nn.Module):
    """A weight for every pixel, channel and class."""

    classes: int = 2

    @nn.compact
    def __call__(self, image, train):
        return nn.Dense(self.classes, name="head")(image.reshape(len(image), -1)), {}


def reading(*masks, classes=2, cut=0.0):
    """A network whose logit of class p is p times what the means over some places of channel 0 sum to above `cut`."""
    weights = np.zeros((SIDE, SIDE, CHANNELS, classes), np.float32)
    for mask in masks:
        weights[mask, 0] += np.arange(classes) / mask.sum()
    return Network(Linear(classes), variables_of(weights, -cut * np.arange(classes)))


def variables_of(weights, bias=(0, 0)):
    kernel = weights.reshape(-1, weights.shape[-1]).astype(np.float32)
    return {"params": {"head": {"kernel": kernel, "bias": np.asarray(bias, np.float32)}}}


def drawn(label, groups, around=0.0, nucleus=0.0, noise=0.1, field=0.0, seed=0):
    """Cells whose surroundings and nuclei are brighter by `around` and `nucleus` with each class.

    A third of them have a neighbour in the lower right; bodies differ in size. `field`: sd of what fields differ by.
    """
    rng, n = np.random.default_rng(seed), len(label)
    label, groups = np.asarray(label), np.asarray(groups, str)
    body = np.hypot(ROWS, COLUMNS) < rng.uniform(3.5, 5.5, n)[:, None, None]
    neighbour = (rng.random(n) < 1 / 3)[:, None, None] & (np.hypot(ROWS - 5, COLUMNS - 5) < 3) & ~NUCLEUS
    body &= ~neighbour
    bits = body * int(C.BODY) | NUCLEUS * int(C.NUCLEUS) | neighbour * int(C.OTHER_NUCLEI)
    names, member = np.unique(groups, return_inverse=True)
    light = [np.asarray(one, float)[:, None, None] for one in (
        LIGHT[0] + around * label + rng.normal(0, field, len(names))[member],
        LIGHT[1] + nucleus * label + rng.normal(0, field, len(names))[member], np.full(n, LIGHT[2]))]
    image = np.where(NUCLEUS | neighbour, light[1], np.where(body, light[2], light[0]))
    image = image[..., None] + rng.normal(0, noise, (n, SIDE, SIDE, CHANNELS))
    return Cells(image.astype(np.float32), label.astype(np.int32), bits.astype(np.uint8), groups, groups,
                 np.ones(n, bool))


def mixed(n=160, groups=16, classes=2, **options):
    """Cells of fields that hold all classes alike."""
    return drawn(np.arange(n) // groups % classes, np.arange(n) % groups, **options)


def found_around(network, cells):
    return shortcuts.surroundings(network, cells, logits_of(network, cells.images), RESAMPLING)


def found_light(network, cells):
    """What is read in the brightness of fields, of which the cells themselves are all that is known."""
    ids = np.arange(len(cells.label)).astype(str)
    levels = shortcuts.field_levels(shortcuts.crop_levels(cells), ids, cells.fields, ids, cells.fields)
    return shortcuts.brightness(network, cells, levels, logits_of(network, cells.images), RESAMPLING)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_network_that_reads_surroundings_alone(classes):
    cells = mixed(192, classes=classes, around=1.0)
    found = found_around(reading(CORNER, classes=classes, cut=LIGHT[0] + 0.5), cells)
    assert found["transferred_share"]["value"] == pytest.approx(1, abs=0.05)
    assert 0.85 < found["transferred_share"]["low"] < 1 < found["transferred_share"]["high"] < 1.15
    if classes == 2:
        assert found["intact"].value > 0.99 and found["around"].value > 0.99
        assert found["changed"].value == pytest.approx(0.5, abs=0.05)
    assert found["cell"].value == pytest.approx(0.5, abs=0.05)
    assert class_shares.is_certain(Interval.of(found["transferred_share"]), LIMITS["surroundings"])


@pytest.mark.parametrize("classes", [2, 3])
def test_a_network_that_reads_the_nucleus_alone(classes):
    cells = mixed(192, classes=classes, around=1.0, nucleus=0.2)
    found = found_around(reading(NUCLEUS, classes=classes, cut=LIGHT[1] + 0.1), cells)
    share = found["transferred_share"]
    assert share["value"] == 0 and share["unmoved"] and np.isnan(share["low"])
    assert found["cell"].value == pytest.approx(found["intact"].value, abs=1e-12)
    assert found["changed"].value == 0
    assert found["around"].value == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("around", "share"), [(1.0, 0.5), (1 / 3, 0.25), (-0.5, -1.0)])
def test_the_share_is_that_of_the_difference_between_classes(around, share):
    """Both places are read alike, so each counts by how far it differs, below 0 where it speaks against the class."""
    found = found_around(reading(CORNER, NUCLEUS), mixed(320, around=around, nucleus=1.0, noise=0.05))
    assert found["transferred_share"]["value"] == pytest.approx(share, abs=0.05)


def test_a_pure_field_tells_nothing_by_itself():
    """Donors of one class are more often of the other where fields are pure; the nucleus goes with none of them."""
    label = np.repeat(np.arange(12) % 2, 12)
    found = found_around(reading(NUCLEUS), drawn(label, np.repeat(np.arange(12), 12), nucleus=1.0))
    assert found["around"].value < 0.5 and found["transferred_share"]["value"] == 0


@pytest.mark.parametrize("classes_of_groups", [(0, 0, 1), (0, 0, 0, 0, 1)])
def test_cells_that_have_donors_of_one_class_only_tell_nothing(classes_of_groups):
    """The one group of a class gets its donors from the other class alone, whatever its surroundings tell."""
    groups = np.repeat(np.arange(len(classes_of_groups)), 60)
    found = found_around(reading(CORNER), drawn(np.array(classes_of_groups)[groups], groups, around=1.0))
    assert found["transferred_share"]["value"] == pytest.approx(1, abs=0.05)


def test_two_groups_of_a_class_each_cannot_be_asked():
    groups = np.repeat([0, 1], 40)
    found = found_around(reading(CORNER), drawn(groups, groups, around=1.0))
    assert np.isnan([found["transferred_share"][name] for name in ("value", "low", "high")]).all()
    one_group = found_around(reading(CORNER), drawn(np.arange(160) % 2, np.zeros(160, int), around=1.0))
    assert one_group["transferred_share"]["value"] == pytest.approx(1, abs=0.05)


def test_the_interval_of_the_share_resamples_groups():
    """Where light differs by field, few fields make a wide interval, however many cells they hold."""
    fields = np.arange(320) % 8
    clustered = drawn(fields % 2, fields, around=1.0, nucleus=1.0, field=0.5)
    single = dataclasses.replace(clustered, groups=np.arange(320).astype(str))
    wide, narrow = (found_around(reading(CORNER, NUCLEUS), cells)["transferred_share"] for cells in (clustered, single))
    assert wide["high"] - wide["low"] > 2 * (narrow["high"] - narrow["low"])


def handed_over(cells, seed=0):
    """The cell and the donor of every image, i64 [DONORS N]."""
    rng, n = np.random.default_rng(seed), len(cells.label)
    return np.tile(np.arange(n), DONORS), np.concatenate([shortcuts.draw_donors(cells.groups, rng)
                                                          for _ in range(DONORS)])


@pytest.mark.parametrize("of", [0, 1, 2])
def test_a_shortcut_of_one_class_is_not_made_small_by_the_others(of):
    """Of three classes one alone goes with the donor.

    Its margin is 3 higher in its donors, that of each other class 0.75, against 4.5 each in the cells themselves.
    """
    cells = mixed(480, classes=3)
    own, donors = handed_over(cells)
    intact = 3 * np.eye(3)[cells.label]
    given = np.where(np.arange(3) == of, intact[donors], intact[own])
    found = shortcuts.transferred_share(given, own, donors, intact, cells, RESAMPLING)
    assert found["value"] == pytest.approx(2 / 3, abs=0.02) and found["class"] == of


@pytest.mark.parametrize(("classes", "confidence"), [(2, 0.99), (3, 1 - 0.01 / 3), (5, 0.998)])
def test_the_more_classes_are_asked_the_surer_each_must_be(classes, confidence, monkeypatch):
    made, interval = [], jackknife.ratio_interval
    monkeypatch.setattr(jackknife, "ratio_interval", lambda *of: made.append(of[3]) or interval(*of))
    cells = mixed(240, classes=classes)
    own, donors = handed_over(cells)
    intact = np.eye(classes)[cells.label]
    found = shortcuts.transferred_share(intact[donors], own, donors, intact, cells, RESAMPLING)
    assert made == pytest.approx([confidence] * (1 if classes == 2 else classes))
    assert found["value"] == pytest.approx(1, abs=0.05) and (found["class"] == 1 or classes > 2)


def test_a_large_share_that_may_be_nothing_does_not_hide_a_certain_one():
    """Class 1 goes with its donor; class 0 more so on average, but with another sign in half of the fields."""
    cells = mixed(960, groups=8, classes=3)
    own, donors = handed_over(cells)
    intact = 3 * np.eye(3)[cells.label]
    turned = np.where(cells.groups.astype(int) % 2 == 0, 4.5, -1.5)[:, None] * intact
    given = np.stack([turned[donors, 0], intact[donors, 1], intact[own, 2]], axis=1)
    found = shortcuts.transferred_share(
        given, own, donors, intact, cells, RESAMPLING
    )
    assert found["class"] == 1 and found["low"] > 0
    always = np.stack([1.5 * intact[donors, 0], intact[donors, 1], intact[own, 2]], axis=1)
    assert shortcuts.transferred_share(always, own, donors, intact, cells, RESAMPLING)["class"] == 0


def test_the_whole_is_the_difference_of_validation_cells():
    """Training cells, known by heart, differ by 12, validation cells by 2, of which 0.5 goes with the surroundings."""
    cells = mixed(480)
    cells = dataclasses.replace(cells, validation=cells.groups.astype(int) % 2 == 1)
    own, donors = handed_over(cells)
    sign, reach = 2.0 * cells.label - 1, np.where(cells.validation, 2, 12) - 0.5
    by_cell, by_light = ((size * sign / 4)[:, None] * [-1, 1] for size in (reach, 0.5))  # margins, of both logits
    found = shortcuts.transferred_share(
        by_cell[own] + by_light[donors], own, donors, by_cell + by_light, cells, RESAMPLING
    )
    assert found["value"] == pytest.approx(0.25, abs=0.01) and 0.2 < found["low"] < found["high"] < 0.3


def test_nothing_is_shared_out_where_validation_cells_do_not_differ_the_right_way():
    cells = mixed(480)
    cells = dataclasses.replace(cells, validation=cells.groups.astype(int) % 2 == 1)
    own, donors = handed_over(cells)
    for size in (0, -1):
        whole = np.where(cells.validation, size, 5)[:, None] * np.eye(2)[cells.label]
        found = shortcuts.transferred_share(np.eye(2)[cells.label[donors]], own, donors, whole, cells, RESAMPLING)
        assert np.isnan([found[name] for name in ("value", "low", "high")]).all()
        assert not class_shares.is_certain(Interval.of(found), LIMITS["surroundings"])


def test_a_share_that_is_not_known_has_no_interval_either():
    """On the whole validation cells of the class are answered lower; without one of the groups they are not."""
    cells = mixed(480)
    cells = dataclasses.replace(cells, validation=cells.groups.astype(int) % 2 == 1)
    own, donors = handed_over(cells)
    height = np.where(cells.groups.astype(int) % 4 == 1, 1.0, -1.1)
    found = shortcuts.transferred_share(
        np.eye(2)[cells.label[donors]], own, donors, height[:, None] * np.eye(2)[cells.label], cells, RESAMPLING
    )
    assert 0 < found["dropped"] <= 16
    assert np.isnan([found[name] for name in ("value", "low", "high")]).all()


def test_scores_and_changed_calls_are_those_of_validation_cells():
    """Surroundings tell the class in validation cells alone; the nucleus, which stays, in training cells alone."""
    around, nucleus = mixed(192, around=1.0), mixed(192, nucleus=1.0)
    validation = np.arange(192) % 16 % 4 == 1
    images = np.where(validation[:, None, None, None], around.images, nucleus.images)
    cells = dataclasses.replace(around, images=images, validation=validation)
    found = found_around(reading(CORNER, NUCLEUS, cut=LIGHT[0] + LIGHT[1] + 0.5), cells)
    assert found["intact"].value > 0.99 and found["around"].value > 0.8
    assert found["cell"].value < 0.65 and found["changed"].n_cells == validation.sum() * DONORS
    turned = found_around(reading(CORNER, NUCLEUS, cut=LIGHT[0] + LIGHT[1] + 0.5),
                          dataclasses.replace(cells, validation=~validation))
    assert turned["cell"].value > 0.8 and turned["around"].value < 0.6


def test_fields_of_donors_are_resampled():
    """In half of the fields the class is handed over one and a half times, in half of them half: sd 0.5 over 8 fields.

    0.5 / sqrt(7) times 2 * 3.5, by Student's t of 7 degrees of freedom, is 1.32; the fields of the cells, which say
    nothing, would give next to no interval.
    """
    cells = mixed(480, groups=8)
    own, donors = handed_over(cells)
    intact = np.eye(2)[cells.label]
    times = np.where(cells.groups.astype(int) % 2 == 0, 1.5, 0.5)[:, None]
    found = shortcuts.transferred_share((times * intact)[donors], own, donors, intact, cells, RESAMPLING)
    assert found["value"] == pytest.approx(1, abs=0.05) and 1.1 < found["high"] - found["low"] < 1.6


def test_donors_are_other_cells_of_other_groups():
    rng = np.random.default_rng(0)
    groups = np.array(["a"] * 3 + ["b"] * 5 + ["c"] * 2)
    donors = np.array([shortcuts.draw_donors(groups, rng) for _ in range(3000)])
    assert not (groups[donors] == groups).any()
    np.testing.assert_allclose(np.bincount(donors[:, 0], minlength=10) / 3000, [0] * 3 + [1 / 7] * 7, atol=0.03)
    alone = np.array([shortcuts.draw_donors(["a"] * 4, rng) for _ in range(2000)])
    assert not (alone == np.arange(4)).any()
    np.testing.assert_allclose(np.bincount(alone[:, 1], minlength=4) / 2000, [1 / 3, 0, 1 / 3, 1 / 3], atol=0.05)


def coded(n=12):
    """Cells in which every pixel of every cell has a number of its own."""
    cells = mixed(n, groups=4)
    images = np.arange(n * SIDE * SIDE, dtype=np.float32).reshape(n, SIDE, SIDE, 1)
    compartments = cells.compartments.copy()
    compartments[::3] = np.roll(compartments[::3], -4, axis=2)  # their neighbours lie where others have their nucleus
    return dataclasses.replace(cells, images=np.concatenate([images, -images], -1), compartments=compartments)


def test_every_pixel_is_of_the_cell_or_of_the_donors_surroundings():
    cells, rng = coded(), np.random.default_rng(0)
    rows, donors = np.arange(12), shortcuts.draw_donors(cells.groups, rng)
    given = shortcuts.with_surroundings(cells, rows, donors, rng)
    np.testing.assert_array_equal(given[..., 1], -given[..., 0])  # channels go together
    own, their = cells.images[rows], cells.images[donors]
    neighbours, others = cells.having(C.OTHER_NUCLEI), cells.having(C.OTHER_NUCLEI)[donors]
    body, nucleus, seen = cells.having(C.BODY), cells.having(C.NUCLEUS), 0
    assert (nucleus & others).any()
    for i, (row, donor) in enumerate(zip(rows, donors, strict=True)):
        pixels, places = np.divmod(given[i, ..., 0].astype(int), SIDE * SIDE)
        np.testing.assert_array_equal(given[i][nucleus[row]], own[i][nucleus[row]])
        np.testing.assert_array_equal(given[i][body[row] & ~others[i]], own[i][body[row] & ~others[i]])
        covered = others[i] & ~nucleus[row]
        np.testing.assert_array_equal(given[i][covered], their[i][covered])
        assert (pixels[neighbours[row]] == donor).all()  # none of the own neighbours is left
        away = ~cells.reach[row] & ~cells.reach[donor]
        np.testing.assert_array_equal(given[i][away], their[i][away])
        taken = pixels == donor
        assert np.isin(places[taken], np.flatnonzero(cells.empty[donor] | neighbours[donor])).all()  # not its body
        hole = taken & cells.reach[donor]
        assert np.isin(places[hole], np.flatnonzero(cells.empty[donor])).all()
        seen += hole.sum() > 3 and len(set(places[hole])) > 3  # drawn one by one
        assert (taken | (pixels == row)).all()
    assert seen > 6


def test_a_cell_reaches_a_tenth_of_the_crop_beyond_its_body_and_into_no_nucleus():
    compartments = np.zeros((1, 20, 20), np.uint8)
    compartments[0, 8:12, 8:12], compartments[0, 10, 13] = int(C.BODY), int(C.OTHER_NUCLEI)
    compartments[0, 0, 0], compartments[0, 9, 9] = int(C.DEBRIS), int(C.NUCLEUS)
    cells = Cells(np.zeros((1, 20, 20, 1), np.float32), np.zeros(1, int), compartments, *[np.array(["a"])] * 2,
                  np.ones(1, bool))
    assert cells.reach[0, 9, 13] and not cells.reach[0, 9, 14] and not cells.reach[0, 10, 13]
    assert not cells.reach[0, 6, 6] and cells.reach[0, 6, 8]  # a round fringe
    np.testing.assert_array_equal(cells.empty[0], ~cells.reach[0] & (compartments[0] & 18 == 0))


def test_a_donor_without_an_empty_place_gives_zero():
    cells = coded(4)
    cells.compartments[1] = np.where(NUCLEUS, int(C.NUCLEUS), int(C.BODY))
    given = shortcuts.with_surroundings(cells, np.array([0]), np.array([1]), np.random.default_rng(0))
    kept = cells.reach[0]
    np.testing.assert_array_equal(given[0][kept], cells.images[0][kept])
    assert (~kept).sum() > 50 and (given[0][~kept] == 0).all()


def lit(gain, dark, label, groups):
    """Cells whose fields have that gain and that darkness, by group; no noise."""
    cells = drawn(label, groups, noise=0)
    at = np.asarray(groups, int)
    images = (cells.images - LIGHT[0]) * np.take(gain, at, 0)[:, None, None] + np.take(dark, at, 0)[:, None, None]
    return dataclasses.replace(cells, images=images.astype(np.float32))


def test_brightness_is_given_as_offset_and_gain_of_each_channel():
    gain, dark = np.array([[1.0, 2.0], [3.0, 0.5]]), np.array([[0.1, 0.0], [0.4, -0.2]])
    cells = lit(gain, dark, [0] * 4 + [1] * 4, [0] * 4 + [1] * 4)
    levels = np.zeros((8, 2, CHANNELS))
    levels[:4], levels[4:] = (dark[0], gain[0]), (dark[1], gain[1])
    given = shortcuts.with_brightness(cells, np.arange(4), np.arange(4, 8), levels)
    np.testing.assert_allclose(given, (cells.images[:4] - dark[0]) * [3, 0.25] + dark[1], atol=1e-6)
    levels[4:, 1, 1] = 0  # no signal in the second channel
    given = shortcuts.with_brightness(cells, np.arange(4), np.arange(4, 8), levels)
    np.testing.assert_allclose(given[..., 1], cells.images[:4, ..., 1] - 0.0 - 0.2, atol=1e-6)
    np.testing.assert_allclose(given[..., 0], (cells.images[:4, ..., 0] - 0.1) * 3 + 0.4, atol=1e-6)


def test_levels_of_a_field_are_those_of_its_middle_cells():
    cells = lit(np.array([[1.0, 2.0], [3.0, 0.5]]), np.array([[0.1, 0.0], [0.4, 0.2]]), [0] * 5 + [1] * 5,
                [0] * 5 + [1] * 5)
    body = cells.having(C.BODY | C.NUCLEUS)
    share = np.array([NUCLEUS.sum() / one.sum() for one in body])
    signal = np.sort((share * LIGHT[1] + (1 - share) * LIGHT[2] - LIGHT[0])[5:])[1:4].mean()
    cells.images[2] += 50  # one odd cell
    cells.compartments[7, ~body[7]] = int(C.OTHER_NUCLEI)  # a crop without an empty place
    ids = np.arange(10).astype(str)
    levels = shortcuts.field_levels(shortcuts.crop_levels(cells), ids, cells.fields, np.array(["new"]), np.array(["1"]))
    np.testing.assert_allclose(levels[0], [[0.4, 0.2], signal * np.array([3, 0.5])], atol=1e-5)
    levels = shortcuts.field_levels(shortcuts.crop_levels(cells), ids, cells.fields, ids, cells.fields)
    assert levels[0, 0, 0] == pytest.approx(0.1, abs=1e-5)  # not that of the odd cell
    blind = dataclasses.replace(cells, images=cells.images - 9, compartments=np.zeros_like(cells.compartments))
    levels = shortcuts.field_levels(shortcuts.crop_levels(blind), ids, cells.fields, ids, cells.fields)
    assert (levels[:, 1] == 0).all()


def test_a_cell_has_no_part_in_the_brightness_of_its_field():
    own = np.array([[1, 11], [2, 22], [3, 33], [7, 70], [9, 90]], float)[..., None]
    ids, fields = np.array(list("abcde")), np.array(["f", "f", "f", "g", "g"])
    asked, at = np.array(["c", "a", "d", "x", "y"]), np.array(["f", "f", "g", "g", "h"])
    levels = shortcuts.field_levels(own, ids, fields, asked, at)
    assert levels[..., 0].tolist() == [[1.5, 15], [2.5, 25], [9, 81], [8, 72], [0, 0]]


def test_few_asked_cells_of_a_field_do_not_hand_over_their_own_stain():
    """Two asked cells of each field of 14, all fields of one brightness: the level of a field that is made of the
    asked cells alone is half their own stain, and of one cell all of it.
    """
    label = np.random.default_rng(0).integers(0, 2, 840)
    pool = drawn(label, np.repeat(np.arange(60), 14), nucleus=1.0)
    cells, ids = pool.take(np.arange(840) % 14 < 2), np.arange(840).astype(str)
    asked, network = ids[np.arange(840) % 14 < 2], reading(NUCLEUS)
    intact = logits_of(network, cells.images)
    levels = shortcuts.field_levels(shortcuts.crop_levels(pool), ids, pool.fields, asked, cells.fields)
    found = shortcuts.brightness(network, cells, levels, intact, RESAMPLING)
    assert abs(found["value"]) < 0.1 and found["low"] < 0 < found["high"]
    own = shortcuts.crop_levels(cells)
    own[:, 1] -= own[:, 0]
    assert shortcuts.brightness(network, cells, own, intact, RESAMPLING)["low"] > 0.5


@pytest.mark.parametrize(("label", "fields", "pure"), [
    ([0, 0, 1, 1], "aabb", True), ([0, 1, 0, 1], "aabb", False), ([0, 1], "ab", None),
    ([0, 0, 1, 1, 0], "aabbb", False), ([0] * 9 + [1] * 9 + [0, 1], "a" * 9 + "b" * 9 + "cc", True),
    ([0] * 8 + [1] * 9 + [0, 1], "a" * 8 + "b" * 9 + "cc", False), ([0, 1, 2, 2, 0, 1], "abccdd", False),
])
def test_fields_that_hold_one_class_each(label, fields, pure):
    assert shortcuts.one_class_fields(np.array(label), np.array(list(fields))) is pure


@pytest.mark.parametrize(("gain", "dark"), [((1.0, 1.5), (0.1, 0.1)), ((1.0, 1.0), (0.1, 0.6))])
def test_a_network_that_reads_how_bright_a_field_is(gain, dark):
    label = np.repeat(np.arange(16) % 2, 10)
    cells = lit(np.take(gain, np.arange(16) % 2)[:, None], np.take(dark, np.arange(16) % 2)[:, None], label,
                np.repeat(np.arange(16), 10))
    whole = np.ones((SIDE, SIDE), bool)
    found = found_light(reading(NUCLEUS if gain[1] > 1 else whole), cells)
    assert found["value"] == pytest.approx(1, abs=0.1) and found["low"] > 0.7
    assert class_shares.is_certain(Interval.of(found), LIMITS["brightness"])


def test_a_network_that_reads_nuclei_in_fields_of_one_brightness():
    cells = mixed(320, nucleus=0.5, field=0.1)
    found = found_light(reading(NUCLEUS), cells)
    assert abs(found["value"]) < 0.1 and found["low"] < 0


@pytest.mark.parametrize(("name", "value", "low", "expected"), [
    ("surroundings", 0.1, 0.01, True), ("surroundings", 0.099, 0.05, False), ("surroundings", 0.5, 0.0, False),
    ("brightness", 0.3, 0.01, True), ("brightness", 0.29, 0.2, False), ("brightness", 0.9, -0.01, False),
    ("surroundings", np.nan, np.nan, False), ("surroundings", 0.2, np.nan, False),
])
def test_a_share_counts_from_its_threshold_and_only_above_zero(name, value, low, expected):
    assert class_shares.is_certain(Interval(value, low), LIMITS[name]) is expected


def test_networks_without_a_shortcut_are_seldom_caught():
    """60 random networks and sets of cells whose surroundings know no class: of each of two shares, one in 200 lies
    above zero by a one-sided 99.5 % bound, somewhat more with 16 groups, so one or two of 60; at 6 the bound is wrong.
    """
    caught = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        cells = drawn(rng.integers(0, 2, 96), np.arange(96) % 16, nucleus=0.2, field=0.1, noise=0.3, seed=seed)
        network = Network(Linear(), variables_of(rng.normal(size=(SIDE, SIDE, CHANNELS, 2))))
        around, light = found_around(network, cells)["transferred_share"], found_light(network, cells)
        by_surroundings = class_shares.is_certain(Interval.of(around), LIMITS["surroundings"])
        caught.append(by_surroundings or class_shares.is_certain(Interval.of(light), LIMITS["brightness"]))
    assert sum(caught) <= 5


def test_logits_of_donors_name_cell_and_donor():
    cells = mixed(24)
    shown = []

    def change(rows, donors, rng):
        shown.append((rows, donors))
        return cells.images[donors]

    logits, own, donors = shortcuts.donor_logits(reading(CORNER), cells, change, seed=3)
    assert len(shown) == DONORS and len(logits) == len(own) == len(donors) == 24 * DONORS
    np.testing.assert_array_equal(own, np.concatenate([rows for rows, _ in shown]))
    np.testing.assert_allclose(logits[:, 1], cells.images[donors][:, CORNER, 0].mean(1), atol=1e-5)
    again = shortcuts.donor_logits(reading(CORNER), cells, change, seed=3)
    np.testing.assert_array_equal(again[2], donors)
    assert (shortcuts.donor_logits(reading(CORNER), cells, change, seed=4)[2] != donors).any()


def batch(label, batches, groups):
    return shortcuts.batch(np.asarray(label), batches, groups, RESAMPLING)


def test_plates_of_one_class_each_tell_it():
    groups = np.repeat(np.arange(12), 10)
    found = batch(np.repeat([0, 1], 60), groups // 3, groups)
    assert found.value == found.high == 1 and 0.6 < found.low < 0.9
    three = np.repeat([0, 1, 2], 40)
    assert batch(three, groups // 2, groups).value == 1


def test_plates_that_hold_three_quarters_of_a_class():
    """One of each class: both in their own plate 9/16, in the same one, a tie, 6/16; 9/16 + 3/16 are 3/4."""
    label = np.tile([0, 0, 0, 1], 20).reshape(2, 40)
    label = np.concatenate([label[0], 1 - label[1]])
    found = batch(label, np.repeat(["P1", "P2"], 40), np.repeat(np.arange(20), 4))
    assert found.value == pytest.approx(0.75, abs=1e-9)


def test_plates_that_have_nothing_to_do_with_the_class():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(24), 10)
    found = [batch(rng.integers(0, 2, 240), groups // 4, groups) for _ in range(20)]
    assert sum(score.low > 0.5 for score in found) <= 1


def test_one_plate_tells_nothing():
    assert batch([0, 1, 0, 1], ["P1"] * 4, ["a", "a", "b", "b"]) is None


def test_plates_of_one_group_each_cannot_be_told_from_their_group():
    groups = np.repeat(np.arange(6), 10)
    assert batch(np.repeat([0, 1], 30), groups, groups).value == 0.5
    assert batch(np.arange(60) % 2, np.repeat(["P1", "P2"], 30), ["a"] * 60).value == 0.5
