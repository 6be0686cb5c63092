import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import schema
from cellcycle_jax.explain.regions import localisation
from cellcycle_jax.scoring.intervals import Resampling

C = schema.Compartment
EVERY = int(C.NUCLEUS | C.OTHER_NUCLEI | C.ORGANELLE | C.BODY | C.DEBRIS)
SIDE = 64
Y, X = np.mgrid[:SIDE, :SIDE]
MIDDLE, NEIGHBOUR, GOLGI = (np.hypot(Y - y, X - x) for y, x in ((31.5, 31.5), (8, 8), (31.5, 48)))


def _crop():
    """Discs: a nucleus in the middle, a neighbour, a Golgi beside the nucleus, a body around both."""
    crop = np.zeros((SIDE, SIDE), np.uint8)
    crop[MIDDLE < 12] |= int(C.NUCLEUS)
    crop[NEIGHBOUR < 6] |= int(C.OTHER_NUCLEI)
    crop[GOLGI < 4] |= int(C.ORGANELLE)
    crop[MIDDLE < 24] |= int(C.BODY)
    return crop


def _squares(**rows):
    """Crop of 24 px with a square [first row, last row) x the same columns for each flag."""
    crop = np.zeros((24, 24), np.uint8)
    for flag, (low, high) in rows.items():
        crop[low:high, low:high] |= int(C[flag])
    return crop


def _near(mask, reach):
    """Pixels of `mask` within `reach` of a pixel outside it, and the other way round, by measuring every distance."""
    inside, outside = np.argwhere(mask), np.argwhere(~mask)
    distance = np.hypot(*(inside[:, None] - outside[None]).transpose(2, 0, 1))
    near = np.zeros(mask.shape, bool)
    near[tuple(inside[distance.min(1) <= reach].T)] = True
    near[tuple(outside[distance.min(0) <= reach].T)] = True
    return near


def _areas(crop, present=EVERY):
    return {name: int(mask.sum()) for name, mask in localisation.compartment_masks(crop, present).items()}


def _shares(saliency, crop=None, present=EVERY):
    """Region -> measure -> number of one map, in the regions that are known; of the cell of `_crop` by default."""
    crop = _crop() if crop is None else crop
    found = localisation.localise(saliency[None, ..., None], crop[None], np.array([present]))
    return {name: {measure: found[measure][0, 0, localisation.COMPARTMENTS.index(name)] for measure in found}
            for name in localisation.compartment_masks(crop, present)}


def test_every_pixel_belongs_to_one_place():
    crops = [_crop(), np.random.default_rng(0).integers(0, 32, (SIDE, SIDE)).astype(np.uint8)]
    for crop in crops:
        for present in range(1, 32, 2):
            masks = localisation.compartment_masks(crop, present)
            assert (sum(mask.astype(int) for mask in masks.values()) == 1).all()
    assert tuple(masks) == localisation.COMPARTMENTS


def test_discs_are_divided_as_drawn():
    masks = localisation.compartment_masks(_crop(), EVERY)
    nucleus, golgi, other = MIDDLE < 12, GOLGI < 4, NEIGHBOUR < 6
    rim, outline = _near(nucleus, 2), _near(golgi, 1)
    expected = {
        "nucleus": nucleus & ~rim,
        "nuclear rim": rim & ~(golgi | outline),
        "organelle": golgi & ~outline,
        "organelle outline": outline,
        "cell body": (MIDDLE < 24) & ~(nucleus | rim | golgi | outline),
        "other nuclei": other,
        "background": ~((MIDDLE < 24) | other),
    }
    assert not (outline & nucleus).any() and (rim & outline).any()  # the stain wins on the rim
    for name, mask in expected.items():
        np.testing.assert_array_equal(masks[name], mask, err_msg=name)


def test_areas_counted_by_hand():
    # The rim of 8 x 8 px: 64 - 4 x 4 inside, 4 x (8 x 2) + 4 corners outside.
    assert _areas(_squares(NUCLEUS=(2, 10)), int(C.NUCLEUS)) == {"nucleus": 16, "nuclear rim": 48 + 68,
                                                                 "background": 576 - 16 - 116}
    # A piece of 6 x 6 px: 4 x 4 inside, an outline of 20 px of it and 24 around it.
    areas = _areas(_squares(NUCLEUS=(2, 10), ORGANELLE=(14, 20)))
    assert (areas["organelle"], areas["organelle outline"]) == (16, 44)


def test_a_stain_that_runs_on_over_the_nucleus_has_no_outline_there():
    crop = _squares(NUCLEUS=(2, 10))
    crop[4:8, 6:16] |= int(C.ORGANELLE)
    masks = localisation.compartment_masks(crop, EVERY)
    assert masks["organelle"][5, 10:15].all() and masks["organelle outline"][5, 15:17].all()
    assert not (masks["organelle"] | masks["organelle outline"])[:, :10].any()
    assert masks["organelle outline"][[3, 4, 7, 8], 12].all()
    within = _squares(NUCLEUS=(2, 10), ORGANELLE=(4, 10))
    areas = _areas(within)
    assert areas["organelle"] == areas["organelle outline"] == 0


def test_neighbours_come_before_the_stain_and_the_rim():
    crop = _squares(NUCLEUS=(2, 10), OTHER_NUCLEI=(10, 16))
    crop[9:13, 10:14] |= int(C.ORGANELLE)
    masks = localisation.compartment_masks(crop, EVERY)
    assert masks["other nuclei"].sum() == 36 and masks["other nuclei"][10:16, 10:16].all()


def test_unknown_places_are_left_out_and_belong_to_the_next():
    crop = _crop()
    masks = localisation.compartment_masks(crop, int(C.NUCLEUS | C.ORGANELLE))
    assert list(masks) == ["nucleus", "nuclear rim", "organelle", "organelle outline", "background"]
    whole = localisation.compartment_masks(crop, EVERY)
    rest = whole["background"] | whole["cell body"] | whole["other nuclei"]
    np.testing.assert_array_equal(masks["background"], rest)
    assert localisation.compartment_masks(crop, int(C.BODY)) == {}
    unknown = localisation.localise(np.ones((1, SIDE, SIDE, 1)), crop[None], np.array([int(C.BODY)]))
    assert np.isnan(unknown["area_share"]).all()


def test_a_crop_that_is_all_nucleus_has_no_rim():
    full = np.full((8, 8), int(C.NUCLEUS), np.uint8)
    assert _areas(full, int(C.NUCLEUS)) == {"nucleus": 64, "nuclear rim": 0, "background": 0}
    assert _areas(0 * full, int(C.NUCLEUS)) == {"nucleus": 0, "nuclear rim": 0, "background": 64}


def test_rim_is_as_wide_on_both_sides_of_a_straight_outline():
    half = np.zeros((8, 8), np.uint8)
    half[:, :4] = int(C.NUCLEUS)
    rim = localisation.compartment_masks(half, int(C.NUCLEUS))[localisation.RIM]
    assert rim[0].tolist() == [False, False, True, True, True, True, False, False]


def test_parts_belong_to_coarse_places():
    coarse = ["nucleus", "nucleus", "organelle", "organelle", "cell body", "other nuclei", "background"]
    assert [localisation.coarse(place) for place in localisation.COMPARTMENTS] == coarse


def test_map_on_one_place_has_all_its_relevance_there():
    masks = localisation.compartment_masks(_crop(), EVERY)
    for name, mask in masks.items():
        found = _shares(mask.astype(np.float32))
        assert found[name]["relevance_share"] == found[name]["hit"] == 1
        assert found[name]["ratio"] == pytest.approx(1 / mask.mean())
        assert sum(row["relevance_share"] for row in found.values()) == 1


def test_uniform_map_has_ratio_one_everywhere():
    found = _shares(np.full((SIDE, SIDE), 0.3))
    assert [row["ratio"] for row in found.values()] == pytest.approx([1.0] * 7)
    assert [row["hit"] / row["area_share"] for row in found.values()] == pytest.approx([1.0] * 7)


def test_negative_relevance_counts_for_nothing():
    masks = localisation.compartment_masks(_crop(), EVERY)
    saliency = np.where(masks["organelle"], 1.0, 0.0) - 3.0 * masks["nucleus"]
    assert _shares(saliency)["organelle"]["relevance_share"] == 1


def test_pixels_that_are_equally_high_share_the_hit():
    saliency = np.zeros((SIDE, SIDE))
    saliency[8, 8] = saliency[31, 31] = saliency[31, 32] = saliency[32, 32] = 7
    saliency[48:] = 6  # more relevance, but nowhere higher
    found = _shares(saliency)
    assert (found["other nuclei"]["hit"], found["nucleus"]["hit"], found["background"]["hit"]) == (0.25, 0.75, 0)


def test_empty_map_points_nowhere():
    found = _shares(-np.ones((SIDE, SIDE)))
    assert all(np.isnan(region["relevance_share"]) and np.isnan(region["hit"]) for region in found.values())


def test_many_cells_are_localised_as_one_by_one():
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(3, SIDE, SIDE, 1)).astype(np.float32)
    crops, present = np.stack([_crop(), _crop()[::-1], _crop()]), [EVERY, EVERY, int(C.NUCLEUS | C.BODY)]
    found = localisation.localise(maps, crops, np.array(present, np.uint8))
    assert found["ratio"].shape == (3, 1, 7)
    for n in range(3):
        each = _shares(maps[n, ..., 0], crops[n], present[n])
        for q, name in enumerate(localisation.COMPARTMENTS):
            for measure in localisation.MEASURES:
                one = each[name][measure] if name in each else np.nan
                np.testing.assert_allclose(found[measure][n, 0, q], one, err_msg=f"{name} {measure}")


def test_channels_are_compared_within_the_cell():
    masks = localisation.compartment_masks(_crop(), EVERY)
    maps = np.zeros((1, SIDE, SIDE, 2), np.float32)
    maps[0, masks["nucleus"], 0] = 1
    maps[0, masks["organelle"], 1] = 3
    maps[0, masks["cell body"], 1] = -9  # counts for nothing
    found = localisation.localise(maps, _crop()[None], np.array([EVERY]))
    share, area = found["relevance_share"][0], found["area_share"][0]
    nucleus, stain = masks["nucleus"].sum(), masks["organelle"].sum()
    whole = nucleus + 3 * stain
    np.testing.assert_allclose(share[:, [0, 2]], [[nucleus / whole, 0], [0, 3 * stain / whole]])
    assert share.sum() == pytest.approx(1) and area.sum() == pytest.approx(1)
    assert found["ratio"][0, 1, 2] == pytest.approx(3 * stain / whole / (stain / SIDE**2 / 2))
    assert found["hit"][0].tolist() == [[0] * 7, [0, 0, 1, 0, 0, 0, 0]]
    even = localisation.localise(np.ones((1, SIDE, SIDE, 3)), _crop()[None], np.array([EVERY]))
    np.testing.assert_allclose(even["ratio"], 1)


def _cells(groups, predicted="G2"):
    ids = [f"cell{n}" for n in range(len(groups))]
    return pd.DataFrame({schema.CELL_ID: ids, "group": groups, "label": "G2", "predicted": predicted})


def test_table_has_a_row_per_cell_channel_and_known_place():
    maps, crops = np.ones((2, SIDE, SIDE, 2)), np.stack([_crop()] * 2)
    maps[1, ..., 1] = 3
    found = localisation.localise(maps, crops, np.array([EVERY, int(C.NUCLEUS)]))
    table = localisation.tabulate(found, _cells(["f1", "f2"]), "G1/S", "integrated_gradients", ("DNA", "Golgi"))
    assert tuple(table) == localisation.COLUMNS and len(table) == 2 * 7 + 2 * 3
    assert set(table["class"]) == {"G1/S"} and set(table["method"]) == {"integrated_gradients"}
    of = (table[schema.CELL_ID] == "cell1") & (table["channel"] == "Golgi") & (table["compartment"] == "background")
    row = table[of].iloc[0]
    assert row["group"] == "f2" and row["ratio"] == pytest.approx(1.5)
    assert row["relevance_share"] == pytest.approx(0.75 * 2 * row["area_share"])


def _table(relevance, area, groups, name="G2", place="nucleus", hit=0.0):
    return pd.DataFrame({"group": groups, "predicted": "G2", "class": name, "method": "grad_cam", "channel": "",
                         "compartment": place, "relevance_share": relevance, "area_share": area,
                         "hit": hit})


def _summary(table):
    return localisation.summarise(table, Resampling(0.95, 0))


def test_ratio_is_of_sums_and_a_constant_one_has_no_interval():
    row = _summary(_table([0.2, 0.6, 0.4] * 2, [0.1, 0.3, 0.2] * 2, list("abcdef"))).iloc[0]
    assert row["ratio"] == pytest.approx(2) and np.isnan(row["low"]) and np.isnan(row["high"])
    assert (row["n_cells"], row["n_groups"]) == (6, 6)


def test_hits_are_compared_with_chance():
    row = _summary(_table(0.2, 0.25, list("abcdefgh") * 5, hit=[1, 0, 0, 1] * 10)).iloc[0]
    assert row["hit_ratio"] == pytest.approx(0.5 / 0.25)
    assert 0 <= row["hit_low"] < 2 < row["hit_high"] <= 4
    assert row["ratio"] == pytest.approx(0.8) and np.isnan(row["low"])


def test_equal_cells_of_a_group_count_as_one():
    rng = np.random.default_rng(0)
    relevance, names = 0.3 + 0.1 * rng.normal(size=8), list("abcdefgh")
    single = _summary(_table(relevance, 0.15, names)).iloc[0]
    copies = _summary(_table(np.repeat(relevance, 50), 0.15, np.repeat(names, 50))).iloc[0]
    as_if_apart = _summary(_table(np.repeat(relevance, 50), 0.15, np.arange(400))).iloc[0]
    assert (copies["low"], copies["high"]) == pytest.approx((single["low"], single["high"]))
    assert copies["high"] - copies["low"] > 3 * (as_if_apart["high"] - as_if_apart["low"])


def test_only_maps_of_the_class_given_count():
    table = pd.concat([_table([0.2], [0.1], ["a"]), _table([0.9], [0.1], ["a"], name="G1/S")])
    assert _summary(table)["class"].tolist() == ["G2"]


def test_methods_and_channels_are_summarised_apart():
    groups = ["a", "b", "c"]
    parts = [_table(share, 0.1, groups).assign(method=method, channel=channel) for share, method, channel in
             ((0.2, "grad_cam", ""), (0.3, "occlusion", "DNA"), (0.1, "occlusion", "Golgi"))]
    found = _summary(pd.concat(parts))
    assert found[["method", "channel"]].values.tolist() == [["grad_cam", ""], ["occlusion", "DNA"],
                                                            ["occlusion", "Golgi"]]
    np.testing.assert_allclose(found["ratio"], [2, 3, 1])


def test_map_on_the_edge_of_the_golgi_names_its_outline():
    groups = np.repeat(["f1", "f2", "f3", "f4", "f5", "f6"], 2)
    maps = np.tile(_near(GOLGI < 4, 1).astype(np.float32)[..., None], (12, 1, 1, 1))
    maps += np.repeat(np.arange(6) / 1e5, 2).reshape(-1, 1, 1, 1).astype(np.float32)  # fields differ a little
    found = localisation.localise(maps, np.stack([_crop()] * 12), np.full(12, EVERY))
    summary = _summary(localisation.tabulate(found, _cells(groups), "G2", "grad_cam"))
    best = summary.loc[summary["ratio"].idxmax()]
    assert best["compartment"] == "organelle outline"
    assert best["ratio"] == pytest.approx(SIDE**2 / _near(GOLGI < 4, 1).sum(), rel=0.02)
    words = (f"For G2 the relevance at the outline of the Golgi is {best['ratio']:.1f} times that of an uninformative "
             f"map (95 % interval {best['low']:.1f} to {best['high']:.1f}).")
    assert localisation.sentence("G2", summary, 0.95, "Golgi", "none") == words
    assert "at the outline of the organelle" in localisation.sentence("G2", summary, 0.95, "", "none")


def _rows(*rows):
    """Summary rows of G2: place, ratio, low, high."""
    return pd.DataFrame(rows, columns=["compartment", "ratio", "low", "high"]).assign(**{"class": "G2"})


def test_sentence_names_stain_and_interval():
    summary = _rows(("nucleus", 1.5, 1.2, 1.8), ("organelle", 2.34, 2.0, 2.62), ("nuclear rim", 9.0, 0.9, 20.0))
    words = "For G2 the relevance at the Golgi is 2.3 times that of an uninformative map (95 % interval 2.0 to 2.6)."
    assert localisation.sentence("G2", summary, 0.95, "Golgi", "none") == words


def test_sentence_without_a_place_above_chance():
    summary = _rows(("nucleus", 1.5, 0.9, 1.8))
    words = "For G2 no region of the map has more relevance than an uninformative map."
    assert localisation.sentence("G2", summary, 0.95, "", "none") == words
    assert "no region can be named" in localisation.sentence("G1/S", summary, 0.95, "", "none")


def test_without_intervals_no_region_is_named():
    summary = _summary(_table([0.2, 0.4, 0.3], 0.1, ["a", "b", "c"]))
    assert "too few groups of cells to say in which region" in localisation.sentence("G2", summary, 0.95, "", "none")


@pytest.mark.parametrize(
    "mask, blank",
    [("none", ""), ("cell", "nb"), ("nucleus", "soCnb"), ("ring", "NrsoC")],
)
def test_a_place_that_the_mask_blanks_is_said_to_be_blank(mask, blank):
    for letter, place in zip("NrsoCnb", localisation.COMPARTMENTS, strict=True):
        words = localisation.sentence("G2", _rows((place, 2.0, 1.8, 2.2)), 0.95, "", mask)
        assert ("blanked" in words) == (letter in blank), place
