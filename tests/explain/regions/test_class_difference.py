import numpy as np
import pytest

from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.regions import class_difference, localisation
from cellcycle_jax.models.network import Network
from cellcycle_jax.schema import Compartment as C
from cellcycle_jax.scoring.intervals import Resampling
from tests.networks import Weighed

PLACES, SIDE = localisation.COMPARTMENTS, 16
KNOWN = int(C.NUCLEUS | C.OTHER_NUCLEI | C.BODY)
RESAMPLING = Resampling(0.95, 0)
AREAS = np.array([0.2, 0.1, 0.05, 0.05, 0.3, 0.0, 0.3])  # no other nuclei


def place(name):
    return PLACES.index(name)


def compartments():
    """A nucleus of 8 x 8 px in a body of 16 x 12 px, and a neighbour of 2 x 4 px in a corner."""
    bits = np.zeros((SIDE, SIDE), np.uint8)
    bits[:, :12] |= int(C.BODY)
    bits[4:12, 2:10] = int(C.NUCLEUS)
    bits[:2, 12:] = int(C.OTHER_NUCLEI)
    return bits


def made(of_class, **evidence):
    """Sums f64 [N, 2, 7]: common evidence everywhere, and on top that of cells of the class, as c<channel>_<place>."""
    sums = np.random.default_rng(0).normal(0, 5, (1, 2, len(PLACES))).repeat(len(of_class), 0)
    for name, value in evidence.items():
        channel, where = name[1:].split("_", 1)
        sums[of_class, int(channel), place(where.replace("_", " "))] += value
    return sums, np.tile(AREAS, (len(of_class), 1))


def told(of_class, groups=None, resampling=RESAMPLING, **evidence):
    groups = np.arange(len(of_class)) % 6 if groups is None else groups
    return class_difference.difference(*made(of_class, **evidence), of_class, groups, resampling)


def shares(table):
    return table.set_index(["channel", "compartment"])["share"]


def test_contributions_are_sums_over_drawn_places():
    maps = np.random.default_rng(0).integers(-9, 9, (1, SIDE, SIDE, 2)).astype(np.float32)
    sums, areas = class_difference.contributions(maps, compartments()[None], np.array([KNOWN]))
    inner, one = np.s_[6:10, 4:8], maps[0]
    expected = {"nucleus": one[inner].sum((0, 1)), "other nuclei": one[:2, 12:].sum((0, 1)),
                "background": one[2:, 12:].sum((0, 1))}  # the rim ends where the body does
    for name, value in expected.items():
        np.testing.assert_array_equal(sums[0, :, place(name)], value, err_msg=name)
    np.testing.assert_array_equal(sums[0].sum(-1), one.sum((0, 1)))
    assert areas[0, place("nucleus")] == 16 / 256 and areas[0, place("other nuclei")] == 8 / 256
    assert areas[0].sum() == pytest.approx(1)
    assert (sums[0, :, place("organelle")] == 0).all() and areas[0, place("organelle")] == 0


def test_a_cell_of_which_no_place_is_known_counts_nowhere():
    maps = np.ones((3, SIDE, SIDE, 1), np.float32)
    maps[1] = 100
    given = class_difference.contributions(maps, np.stack([compartments()] * 3), np.array([KNOWN, int(C.BODY), KNOWN]))
    assert np.isnan(given[0][1]).all() and np.isnan(given[1][1]).all() and np.isfinite(given[0][[0, 2]]).all()
    given[0][0, 0, place("nucleus")] += 2
    found = class_difference.difference(*given, np.array([True, True, False]), ["a", "b", "b"], RESAMPLING)
    assert shares(found)[0, "nucleus"] == 1 and set(found["n_cells"]) == {2} and set(found["n_groups"]) == {2}


@pytest.mark.parametrize(("a", "b"), [(3.0, 1.0), (1.0, 1.0), (3.0, -1.0)])
def test_shares_are_those_of_the_difference_between_classes(a, b):
    of_class = np.arange(24) % 3 == 0
    found = told(of_class, c0_nucleus=a, c1_background=b)
    expected = {(0, "nucleus"): a / (a + b), (1, "background"): b / (a + b)}
    for key, share in shares(found).items():
        assert share == pytest.approx(expected.get(key, 0), abs=1e-9), key
    assert found["low"].isna().all()  # no group differs from another
    assert found["share"].sum() == pytest.approx(1)
    names = [name for name in PLACES if name != "other nuclei"]  # which no cell has
    assert list(found["compartment"]) == names * 2 and list(found["channel"]) == [0] * 6 + [1] * 6
    assert tuple(found.columns) == class_difference.COLUMNS[2:]


def test_evidence_that_all_cells_share_tells_nothing_apart():
    of_class = np.arange(24) % 2 == 0
    sums, areas = made(of_class, c0_nucleus=1.0)
    groups = np.arange(24) % 6
    loud = class_difference.difference(sums + 1000, areas, of_class, groups, RESAMPLING)
    np.testing.assert_allclose(
        loud["share"], class_difference.difference(sums, areas, of_class, groups, RESAMPLING)["share"], atol=1e-9
    )
    assert shares(loud)[0, "nucleus"] == pytest.approx(1)


def test_the_ratio_is_the_share_over_the_share_of_the_area():
    found = told(np.arange(24) % 2 == 0, c0_nucleus=1.0, c1_cell_body=3.0)
    np.testing.assert_allclose(found["area_share"], np.tile(AREAS[AREAS > 0] / 2, 2))
    for of, by in (("share", "ratio"), ("low", "ratio_low"), ("high", "ratio_high")):
        np.testing.assert_allclose(found[by], found[of] / found["area_share"])
    assert found.set_index(["channel", "compartment"]).loc[(1, "cell body"), "ratio"] == pytest.approx(0.75 / 0.15)


def test_what_corrects_another_place_is_read_and_does_not_distinguish():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(10), 40)
    of_class = np.arange(400) % 2 == 0
    sums, areas = made(of_class, c0_nucleus=6.0)
    light = rng.normal(0, 1, 400)  # of each cell: it is in the nucleus, and read from the background to take it off
    sums[:, 0, place("nucleus")] += light
    sums[:, 0, place("background")] -= light
    sums[:, 1, place("cell body")] += rng.normal(0, 0.5, 400)
    found = class_difference.difference(sums, areas, of_class, groups, RESAMPLING).set_index(["channel", "compartment"])
    read = found["read"]
    assert read.sum() == pytest.approx(1)
    # Mean distances from the mean go with the standard deviations 1, 1 and 0.5.
    assert read[0, "nucleus"] == pytest.approx(0.4, abs=0.02)
    assert read[0, "background"] == pytest.approx(0.4, abs=0.02)
    assert read[1, "cell body"] == pytest.approx(0.2, abs=0.02)
    background = found.loc[(0, "background")]
    assert background["low"] < 0 < background["high"] < 0.1 < background["read_low"] < 0.4 < background["read_high"]


def test_intervals_resample_groups_not_cells():
    rng, groups = np.random.default_rng(0), np.repeat(np.arange(10), 40)
    of_class = np.arange(400) % 2 == 0
    sums, areas = made(of_class, c0_nucleus=4.0, c1_nucleus=4.0)
    # What a field adds to the evidence of its cells of the class: 40 cells of a field say it once.
    sums[:, 0, place("nucleus")] += of_class * rng.normal(0, 1, 10)[groups] + rng.normal(0, 0.2, 400)
    by_field = class_difference.difference(sums, areas, of_class, groups, RESAMPLING)
    by_cell = class_difference.difference(sums, areas, of_class, np.arange(400), RESAMPLING)
    np.testing.assert_allclose(by_field["share"], by_cell["share"])
    width = [(one["high"] - one["low"]).iloc[0] for one in (by_field, by_cell)]
    assert width[0] > 3 * width[1] > 0
    assert by_field["low"].iloc[0] < 0.5 < by_field["high"].iloc[0]
    assert set(by_field["n_groups"]) == {10}


def test_one_group_has_no_interval():
    found = told(np.arange(8) % 2 == 0, groups=np.zeros(8, int), c0_nucleus=1.0)
    assert found["low"].isna().all() and shares(found)[0, "nucleus"] == pytest.approx(1)


@pytest.mark.parametrize("of_class", [[True] * 4, [False] * 4])
def test_without_cells_of_both_classes_there_is_no_difference(of_class):
    found = told(np.array(of_class))
    assert found.empty and tuple(found.columns) == class_difference.COLUMNS[2:]


def test_classes_that_are_answered_alike_share_nothing_out():
    found = told(np.arange(8) % 2 == 0)
    assert found.empty and tuple(found.columns) == class_difference.COLUMNS[2:]


@pytest.mark.parametrize(("a", "b"), [(-2.0, -6.0), (1.0, -3.0)])
def test_a_network_that_has_the_class_backwards_has_no_difference_to_share_out(a, b):
    assert told(np.arange(24) % 3 == 0, c0_nucleus=a, c1_background=b).empty


def test_a_difference_that_may_be_none_has_no_intervals():
    """Six groups, of which one has a class backwards: with another draw of groups nothing might be told apart."""
    of_class, groups = np.arange(24) % 2 == 0, np.arange(24) // 4
    sums = np.zeros((24, 2, len(PLACES)))
    sums[of_class & (groups < 5), 0, place("nucleus")] = 3
    sums[of_class & (groups == 5), 1, place("background")] = -12
    found = class_difference.difference(sums, np.tile(AREAS, (24, 1)), of_class, groups, RESAMPLING)
    rows = found.set_index(["channel", "compartment"])
    assert (rows.loc[(0, "nucleus"), "share"], rows.loc[(1, "background"), "share"]) == pytest.approx((5, -4))
    assert found["low"].isna().all() and found["high"].isna().all()


def test_a_class_of_one_group_has_no_intervals():
    found = told(np.arange(6) == 0, groups=np.arange(6), c0_nucleus=2.0, c1_background=2.0)
    assert found.loc[0, "share"] == pytest.approx(0.5) and found["low"].isna().all()


def test_shares_by_channel_and_by_place():
    found = told(np.arange(24) % 2 == 0, c0_nucleus=1.0, c0_nuclear_rim=2.0, c1_organelle_outline=4.0,
                 c1_organelle=1.0, c1_nucleus=2.0)
    np.testing.assert_allclose(class_difference.by_channel(found), [0.3, 0.7], atol=1e-9)
    coarse = class_difference.by_place(found)
    assert set(coarse.index) == {"nucleus", "organelle", "cell body", "background"}
    assert (coarse["nucleus"], coarse["organelle"], coarse["background"]) == pytest.approx((0.5, 0.5, 0), abs=1e-9)
    first = found.loc[found["share"].idxmax()]
    assert (first["channel"], first["compartment"]) == (1, "organelle outline")


def test_integrated_gradients_of_a_linear_network_share_out_its_difference():
    """A weight for each pixel: a place's share is what its pixels bring to the difference between the mean margins."""
    rng, n = np.random.default_rng(0), 24
    label = np.arange(n) % 3
    images = rng.normal(0, 0.1, (n, SIDE, SIDE, 2)).astype(np.float32)
    images[label == 1, 6:10, 4:8, 0] += 1
    images[label == 1, :2, 12:, 1] += 2
    kernel = rng.normal(size=(SIDE, SIDE, 2, 3)).astype(np.float32)
    head = {"kernel": kernel.reshape(-1, 3), "bias": np.float32([0.3, -1, 2])}
    variables = {"params": {"head": head}}
    network = Network(Weighed(), variables)
    maps = methods.attribute("integrated_gradients", network, images, 1, steps=4, against_others=True,
                             baseline=images.mean(0))
    bits = np.stack([compartments()] * n)
    given = class_difference.contributions(np.asarray(maps), bits, np.full(n, KNOWN))
    found = shares(class_difference.difference(*given, label == 1, np.arange(n) % 6, RESAMPLING))
    weight = kernel[..., 1] - kernel[..., [0, 2]].mean(-1)
    gap = (images[label == 1].mean(0) - images[label != 1].mean(0)) * weight
    masks = localisation.compartment_masks(compartments(), KNOWN)
    for (channel, name), share in found.items():
        assert share == pytest.approx(gap[masks[name]][:, channel].sum() / gap.sum(), abs=1e-4), (channel, name)
    logits = images.reshape(n, -1) @ head["kernel"] + head["bias"]
    margin = logits[:, 1] - logits[:, [0, 2]].mean(1)
    np.testing.assert_allclose(gap.sum(), margin[label == 1].mean() - margin[label != 1].mean(), rtol=1e-3)
