"""Shares of what tells the classes, of outputs whose parts are known."""

import numpy as np
import pytest

from cellcycle_jax.scoring.intervals import Interval, Resampling
from cellcycle_jax.unnamed import parts
from cellcycle_jax.unnamed.verdict import Verdict, judge, sentence

RESAMPLING = Resampling(0.95)
N = 1200


def outputs(named=1.0, nuisance=0.0, unnamed=1.0, seed=0, of_field=0.0):
    rng = np.random.default_rng(seed)
    of_class = rng.random(N) < 0.5
    fields = np.char.add("f", (np.arange(N) // 60).astype(str))
    shared = of_field * rng.normal(size=N // 60)[np.arange(N) // 60]
    parts_of = {
        "named": named * of_class + rng.normal(size=N),
        "nuisance": nuisance * of_class + 0.2 * rng.normal(size=N),
        "unnamed": unnamed * of_class + 0.3 * rng.normal(size=N) + shared,
    }
    named_part = np.stack([parts_of["named"]] * 2)
    explained = named_part + parts_of["nuisance"]
    noise = rng.normal(size=(2, N))
    whole = explained + parts_of["unnamed"] + noise
    return parts.Outputs(whole, named_part, explained), of_class, fields


def test_shares_add_up_to_one_and_are_those_of_the_class_differences():
    made, of_class, fields = outputs(named=2.0, nuisance=1.0, unnamed=1.0)
    shares = parts.shares(made, of_class, fields, fields, RESAMPLING)
    assert sum(shares[part].value for part in parts.PARTS) == pytest.approx(1)
    assert shares[parts.NAMED].value == pytest.approx(0.5, abs=0.05)
    assert shares[parts.NUISANCE].value == pytest.approx(0.25, abs=0.05)
    assert shares[parts.UNNAMED].low < 0.25 < shares[parts.UNNAMED].high


def test_what_cells_of_a_field_share_does_not_count():
    made, of_class, fields = outputs(unnamed=0.0, of_field=3.0)
    share = parts.shares(made, of_class, fields, fields, RESAMPLING)[parts.UNNAMED]
    assert share.low < 0 < share.high


def test_outputs_that_do_not_tell_the_class_have_no_shares():
    made, of_class, fields = outputs(named=0.0, unnamed=0.0)
    assert not parts.shares(made, of_class, fields, fields, RESAMPLING)[parts.UNNAMED].is_known


def test_fields_of_one_class_are_compared_with_each_other():
    made, _, fields = outputs()
    of_class = (np.arange(N) // 60) % 2 == 0
    contrast = parts.class_contrast(of_class, fields)
    np.testing.assert_allclose(contrast, of_class - 0.5)


def test_what_one_network_alone_does_is_not_repeated():
    rng = np.random.default_rng(0)
    fields = np.char.add("f", (np.arange(N) // 60).astype(str))
    left = rng.normal(size=(2, N))
    alone = parts.Outputs(left, np.zeros((2, N)), np.zeros((2, N)))
    both = parts.Outputs(left + 2 * rng.normal(size=N), np.zeros((2, N)), np.zeros((2, N)))
    assert parts.repeated(alone, fields, fields, RESAMPLING).low < 0
    assert parts.repeated(both, fields, fields, RESAMPLING).low > 0.5


REPEATED = Interval(0.3, 0.2, 0.4)


def shares_of(unnamed, named_with_half=0.5, repeated=REPEATED):
    named = Interval(1 - unnamed.value, 1 - unnamed.high, 1 - unnamed.low)
    return {
        parts.NAMED: named,
        parts.NUISANCE: Interval(0.0),
        parts.UNNAMED: unnamed,
        "named_with_half": Interval(named_with_half),
        "repeated": repeated,
    }


@pytest.mark.parametrize("shares, verdict", [
    (shares_of(Interval(0.5, 0.4, 0.6)), Verdict.UNNAMED),
    (shares_of(Interval(0.02, 0.0, 0.05)), Verdict.NAMED),
    (shares_of(Interval(0.15, 0.05, 0.25)), Verdict.TOO_FEW),
    (shares_of(Interval(0.5, 0.4, 0.6), repeated=Interval(0.1, -0.1, 0.3)), Verdict.TOO_FEW),
    (shares_of(Interval(0.3, 0.2, 0.4), named_with_half=0.45), Verdict.TOO_FEW),
    (shares_of(Interval(0.5)), Verdict.CHANCE),
])
def test_verdicts(shares, verdict):
    assert judge(shares, 0.1) is verdict
    assert "G2" in sentence(verdict, shares, "G2")
