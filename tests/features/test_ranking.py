import numpy as np
import pandas as pd
import pytest

from cellcycle_jax import schema
from cellcycle_jax.dataset import cell_table
from cellcycle_jax.features import feature_axes, ranking
from cellcycle_jax.scoring.intervals import Resampling
from tests.planted import CLASSES, DNA, GOLGI, UNITS, make_cells, split


def rank(cells):
    """The tables of features and of pairs of planted cells."""
    train, validation = split(cells, "train"), split(cells, "validation")
    axes = feature_axes.learn_axes(train, cell_table.measurements(train, ("DNA", "Golgi"), "CENPF"), UNITS)
    placed = (feature_axes.place(rows, axes, CLASSES, rows[schema.SPLIT].iloc[0]) for rows in (train, validation))
    return ranking.rank(*placed, axes, CLASSES, 4, Resampling(0.95, 0))


@pytest.fixture(scope="module")
def ranked():
    return rank(make_cells())


def test_the_planted_measurement_ranks_first(ranked):
    features = ranked[0]
    assert features["feature"][0] == DNA
    assert features["name"][0] == "Nuclear DNA integrated intensity"
    # 0.6 / 0.3 sd apart: AUROC Phi(2 / sqrt 2) = 0.921, best balanced accuracy Phi(1) = 0.841 at a cut of 250 e^0.3.
    assert features["train_auroc"][0] == pytest.approx(0.921, abs=0.03)
    assert features["low"][0] < 0.921 < features["high"][0]
    assert features["balanced_accuracy_low"][0] < 0.841 < features["balanced_accuracy_high"][0]
    assert features["cut"][0] == pytest.approx(250 * np.exp(0.3), rel=0.15)
    assert features["higher_in"][0] == "G2"


def test_the_planted_pair_ranks_first(ranked):
    pairs = ranked[1]
    assert {pairs["feature_x"][0], pairs["feature_y"][0]} == {DNA, GOLGI}
    # d^2 = 2^2 + (0.5 / 0.28)^2, so the best rule is right for Phi(2.68 / 2) = 0.910.
    assert pairs["train_held_out_balanced_accuracy"][0] == pytest.approx(0.910, abs=0.03)
    assert not pairs["near_duplicate"][0]


def test_repeats_of_a_measurement_do_not_take_a_candidates_place():
    alike = pd.DataFrame(np.eye(4), list("abcd"), list("abcd"))
    alike.loc["a", "b"] = alike.loc["b", "a"] = 0.95
    assert ranking.pick_candidates(list("abcd"), alike, 3) == ["a", "c", "d"]
    assert ranking.pick_candidates(list("abcd"), alike, 4) == ["a", "c", "d", "b"]


def test_near_duplicates_are_marked_and_come_last(ranked):
    alike = ranking.rank_correlations(make_cells()[[schema.NUCLEAR_AREA, "Nuclei_AreaShape_Perimeter", GOLGI]])
    assert alike.iloc[0, 1] == pytest.approx(1)
    assert alike.iloc[0, 2] < 0.5
    assert ranked[1]["near_duplicate"].is_monotonic_increasing


def test_a_measurement_that_falls_is_cut_the_other_way():
    cells = make_cells()
    cells["Golgi_AreaShape_Falling"] = -cells[GOLGI]
    features = rank(cells)[0].set_index("feature")
    rising, falling = features.loc[GOLGI], features.loc["Golgi_AreaShape_Falling"]
    assert falling["higher_in"] == "G1/S"
    assert falling["cut"] == pytest.approx(-rising["cut"])
    assert falling["validation_auroc"] == pytest.approx(rising["validation_auroc"])


def test_what_repeats_a_better_measurement_counts_to_its_family():
    alike = pd.DataFrame(np.eye(4), list("abcd"), list("abcd"))
    for one, other, value in (("a", "b", 0.95), ("b", "c", 0.95), ("a", "c", 0.85)):
        alike.loc[one, other] = alike.loc[other, one] = value
    names = {"a": "size", "b": "shape", "c": "shape", "d": "size"}
    # c repeats b, but b only repeats a: no chain joins c to a.
    assert ranking.assign_families(list("abcd"), alike, names) == {"a": "size", "b": "size", "c": "shape", "d": "size"}
    assert ranking.one_each(list("abcd"), alike, names, 5) == ["a", "c"]
    assert ranking.one_each(list("dcba"), alike, names, 1) == ["d"]


def test_families_are_ranked_by_their_best_member():
    cells = make_cells()
    cells["Nuclei_Texture_Copy_DNA"] = (cells[DNA] / cells["Metadata_Reference_DNA"]) ** 0.9
    features = rank(cells)[0].set_index("feature")
    # The copy means something else, but in these data it is the integrated DNA.
    assert set(features.loc[[DNA, "Nuclei_Texture_Copy_DNA"], "family"]) == {"brightness of the nucleus in DNA"}
    assert set(features.loc[[DNA, "Nuclei_Texture_Copy_DNA"], "family_rank"]) == {1}
    assert features.loc[GOLGI, "family"] == "amount of Golgi" and features.loc[GOLGI, "family_rank"] == 2
    assert features.loc[schema.NUCLEAR_AREA, "family"] == features.loc["Nuclei_AreaShape_Perimeter", "family"]
    assert sorted(features["family_rank"].unique()) == list(range(1, features["family"].nunique() + 1))
    assert features["family_rank"].cummax().diff().max() == 1  # a new family is always the next one
