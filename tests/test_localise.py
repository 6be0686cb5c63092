import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import schema
from cellcycle_jax.explain import localise

C = schema.Compartment
EVERY = int(C.NUCLEUS | C.OTHER_NUCLEI | C.SECOND_STAIN | C.BODY | C.DEBRIS)
Y, X = np.mgrid[:64, :64]


def _crop():
    """A round nucleus in the middle, a neighbour, a stain that touches the nucleus, a body around it."""
    distance = np.hypot(Y - 31.5, X - 31.5)
    crop = np.zeros((64, 64), np.uint8)
    crop[distance < 12] |= int(C.NUCLEUS)
    crop[np.hypot(Y - 8, X - 8) < 6] |= int(C.OTHER_NUCLEI)
    crop[28:36, 40:52] |= int(C.SECOND_STAIN)
    crop[distance < 24] |= int(C.BODY)
    return crop


def _shares(saliency, masks):
    return {row["compartment"]: row for row in localise.localise(saliency, masks)}


def test_places_divide_the_crop():
    masks = localise.compartment_masks(_crop(), EVERY)
    assert sorted(masks) == sorted(localise.COMPARTMENTS)
    total = sum(mask.astype(int) for name, mask in masks.items() if name != localise.RIM)
    assert (total == 1).all()


def test_map_on_the_nucleus_has_all_its_relevance_there():
    masks = localise.compartment_masks(_crop(), EVERY)
    found = _shares(masks["nucleus"].astype(np.float32), masks)
    assert found["nucleus"]["relevance_share"] == 1
    assert found["nucleus"]["ratio"] == pytest.approx(1 / masks["nucleus"].mean())
    assert {found[name]["relevance_share"] for name in ("second stain", "cell body", "other nuclei", "background")} == {
        0
    }


def test_uniform_map_has_ratio_one_everywhere():
    found = _shares(np.full((64, 64), 0.3), localise.compartment_masks(_crop(), EVERY))
    assert [row["ratio"] for row in found.values()] == pytest.approx([1.0] * 6)


def test_negative_relevance_does_not_count():
    masks = localise.compartment_masks(_crop(), EVERY)
    found = _shares(np.where(masks["second stain"], 2.0, -5.0), masks)
    assert found["second stain"]["relevance_share"] == 1


def test_empty_map_points_nowhere():
    rows = localise.localise(np.zeros((64, 64)), localise.compartment_masks(_crop(), EVERY))
    assert all(np.isnan(row["relevance_share"]) for row in rows)


def test_unknown_places_are_left_out():
    masks = localise.compartment_masks(_crop(), int(C.NUCLEUS | C.OTHER_NUCLEI))
    assert set(masks) == {"nucleus", "other nuclei", "background", localise.RIM}
    assert localise.compartment_masks(_crop(), int(C.BODY)) == {}


def test_rim_is_as_wide_on_both_sides_of_a_straight_outline():
    half = np.zeros((8, 8), np.uint8)
    half[:, :4] = int(C.NUCLEUS)
    rim = localise.compartment_masks(half, int(C.NUCLEUS), rim_px=2)[localise.RIM]
    assert rim[0].tolist() == [False, False, True, True, True, True, False, False]


def _table(relevance, area, groups, name="G2", place="nucleus"):
    return pd.DataFrame({"group": groups, "predicted": "G2", "class": name, "compartment": place,
                         "relevance_share": relevance, "area_share": area})  # fmt: skip


def _summary(table):
    return localise.summarise(table, bootstraps=500, confidence=0.95, seed=0)


def test_ratio_is_of_sums_and_constant_ratios_have_no_width():
    row = _summary(_table([0.2, 0.6, 0.4], [0.1, 0.3, 0.2], ["a", "b", "c"])).iloc[0]
    assert (row["ratio"], row["low"], row["high"]) == pytest.approx((2, 2, 2))
    assert (row["n_cells"], row["n_groups"]) == (3, 3)


def test_interval_is_clustered_by_group():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(8), 50)
    relevance = 0.3 + 0.1 * rng.normal(size=8)[group]
    by_group = _summary(_table(relevance, 0.15, group)).iloc[0]
    by_cell = _summary(_table(relevance, 0.15, np.arange(400))).iloc[0]
    assert by_group["high"] - by_group["low"] > 3 * (by_cell["high"] - by_cell["low"])


def test_only_maps_of_the_class_given_count():
    table = pd.concat([_table([0.2], [0.1], ["a"]), _table([0.9], [0.1], ["a"], name="G1/S")])
    assert _summary(table)["class"].tolist() == ["G2"]


def test_sentence_names_the_stain_and_the_interval():
    summary = pd.DataFrame({"class": "G2", "compartment": ["nucleus", "second stain"], "ratio": [1.5, 2.34],
                            "low": [1.2, 2.0], "high": [1.8, 2.62]})  # fmt: skip
    words = "For G2 the model looks 2.3 times as much as by chance at the Golgi (95 % interval 2.0 to 2.6)."
    assert localise.sentence("G2", summary, 0.95, "Golgi") == words


def test_sentence_without_a_place_above_chance():
    summary = pd.DataFrame({"class": "G2", "compartment": ["nucleus"], "ratio": [1.5], "low": [0.9], "high": [1.8]})
    assert localise.sentence("G2", summary, 0.95) == "For G2 the model looks nowhere more than by chance."
    assert "nothing can be said" in localise.sentence("G1/S", summary, 0.95)


def test_sentence_of_one_group_has_no_interval():
    assert "no interval" in localise.sentence("G2", _summary(_table([0.2, 0.4], 0.1, ["a", "a"])), 0.95)


def test_a_place_that_the_mask_blanks_is_said_to_be_blank():
    rows = pd.DataFrame([{"class": "G2", "compartment": "background", "ratio": 2.0, "low": 1.8, "high": 2.2}])
    assert "blanked" in localise.sentence("G2", rows, 0.95, mask="cell")
    assert "blanked" not in localise.sentence("G2", rows, 0.95, mask="none")
    rows["compartment"] = "cell body"
    assert "blanked" not in localise.sentence("G2", rows, 0.95, mask="cell")
    assert "blanked" in localise.sentence("G2", rows, 0.95, mask="nucleus")
