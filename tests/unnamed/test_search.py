"""The search for a measurement that follows what has no name."""

import numpy as np
import pandas as pd
import pytest

from cellcycle_jax.bank.measurement import Measurement
from cellcycle_jax.scoring.intervals import Resampling
from cellcycle_jax.unnamed import pairs, search, where

N = 900


@pytest.fixture
def searched():
    """A bank of 60 measurements of which the seventh follows a target, and another follows what the table holds."""
    rng = np.random.default_rng(0)
    target = rng.normal(size=N)
    table = rng.normal(size=(N, 3))
    bank = pd.DataFrame(rng.normal(size=(N, 60))).add_prefix("m")
    bank["m7"] = target + rng.normal(size=N)
    bank["m8"] = table[:, 0] + 0.1 * rng.normal(size=N)
    training = np.arange(N) < 500
    return search.beyond_table(bank, table, training), target, table


def test_the_measurement_that_follows_the_target_is_proposed_first(searched):
    bank, target, _ = searched
    strength = search.strengths(bank, np.where(bank.training, target, np.nan))
    names = search.propose(bank, strength, lambda name: name)
    assert names[0] == "m7" and len(names) == 3


def test_what_the_table_holds_is_taken_off_the_bank(searched):
    bank, _, table = searched
    left = bank.values[:, bank.names.index("m8")]
    assert abs(np.corrcoef(left, table[:, 0])[0, 1]) < 0.05


def test_validation_cells_decide_nothing_of_the_order(searched):
    bank, target, _ = searched
    with_validation = search.strengths(bank, target)
    without = search.strengths(bank, np.where(bank.training, target, np.nan))
    np.testing.assert_array_equal(with_validation, without)


def test_of_a_family_one_measurement_is_proposed(searched):
    bank, target, _ = searched
    strength = search.strengths(bank, target)
    assert len(search.propose(bank, strength, lambda name: "all alike")) == 1


def test_a_measurement_of_noise_is_not_certain_and_that_of_the_target_is(searched):
    bank, target, _ = searched
    fields = np.char.add("f", (np.arange(N) // 25).astype(str))
    left = np.where(bank.training, np.nan, target)
    tested = search.tested(bank, ["m7", "m1", "m2"], left, fields, fields, Resampling(0.95))
    assert tested["m7"].certain_sign(0.95) == 1
    assert tested["m7"].value == pytest.approx(np.sqrt(0.5), abs=0.08)
    assert tested["m1"].certain_sign(0.95) == tested["m2"].certain_sign(0.95) == 0


def test_a_weight_is_the_share_of_the_place_and_of_other_channels_anywhere():
    table = pd.DataFrame({
        "channel": ["DNA", "Golgi", "DNA"],
        "region": ["nucleus", "organelle", "cell body"],
        "share": [0.6, 0.3, 0.1],
    })
    nothing = np.zeros(0)
    side = Measurement("a", "", "", ("DNA", "Golgi"), "nucleus", "", "", nothing)
    other = Measurement("b", "", "", ("EB1",), "cytoplasm", "", "", nothing)
    assert where.weight_of(table, side) == pytest.approx(0.9)
    assert where.weight_of(table, other) == 0


def test_shares_of_places_add_up_and_follow_the_class():
    rng = np.random.default_rng(1)
    of_class = rng.random(N) < 0.5
    groups = np.char.add("f", (np.arange(N) // 60).astype(str))
    sums = 0.2 * rng.normal(size=(N, 2, 7))
    sums[:, 1, 0] += of_class
    explained = rng.normal(size=N)
    sums[:, 0, 0] += 3 * explained  # what measurements explain is in another channel
    table = where.shares([sums] * 2, [explained] * 2, of_class, groups, groups, ("a", "b"), Resampling(0.95))
    assert table["share"].sum() == pytest.approx(1)
    assert where.top(table, "channel")[0] == "b"
    assert table["share"].iloc[0] == pytest.approx(1, abs=0.15)


def test_pairs_differ_in_what_has_no_name_and_agree_in_the_rest():
    rng = np.random.default_rng(2)
    table = rng.normal(size=(400, 5))
    amount = rng.normal(size=400)
    lines = np.where(rng.random(400) < 0.5, "x", "y")
    more, less, apart = pairs.matched(table, table[:, 0], amount, lines)
    assert len(more) == pairs.PAIRS == len(set(more) | set(less)) / 2
    assert (amount[more] - amount[less] > 2).all()
    assert (lines[more] == lines[less]).all()
    assert apart < 0.7
