"""A table of what the fields of a config may hold."""

import math

import pytest
from ml_collections import ConfigDict

from cellcycle_jax.allowed_values import (
    Allowed,
    between,
    from_to_below,
    one_of,
    one_of_or_own,
    pair_within,
    refuse_values,
    within,
)
from cellcycle_jax.errors import UsageError

NUMBERS = (-1, 0, 0.5, 1, math.nan, math.inf, True, "a")


@pytest.mark.parametrize("allowed, fitting, words", [
    (within(0, 1), [0, 0.5, 1], "0 to 1"),
    (from_to_below(0, 1), [0, 0.5], "at least 0 and below 1"),
    (between(0, 1), [0.5], "above 0 and below 1"),
    (between(0, math.inf), [0.5, 1], "above 0 and finite"),
    (within(0, 10_000), [0, 0.5, 1], "0 to 10,000"),
])
def test_which_numbers_fit(allowed, fitting, words):
    found = []
    for value in NUMBERS:
        config = ConfigDict({"a": {"b": value}})
        try:
            refuse_values(config, [("a.b", allowed)])
            found.append(value)
        except UsageError as error:
            assert str(error) == f"config.a.b={value!r}; allowed: {words}"
    assert found == fitting and True not in [value for value in found if isinstance(value, bool)]


@pytest.mark.parametrize("allowed, value, fits", [
    (one_of(("max", "mean")), "mean", True), (one_of(("max", "mean")), "sum", False), (one_of({"a": 1}), [], False),
    (one_of_or_own({"known": 1}), "known", True), (one_of_or_own({"known": 1}), "mine.parts:cut", True),
    (one_of_or_own({"known": 1}), "cut", False), (one_of_or_own({"known": 1}), 3, False),
    (pair_within(1, 5), (1, 5), True), (pair_within(1, 5), (2, 2), True), (pair_within(1, 5), (3, 2), False),
    (pair_within(1, 5), (0, 2), False), (pair_within(1, 5), (1,), False), (pair_within(1, 5), ("a", "b"), False),
    (Allowed("more than b", lambda value, config: value > config.b), 3, True),
    (Allowed("more than b", lambda value, config: value > config.b), 2, False),
])
def test_names_pairs_and_tests_of_ones_own(allowed, value, fits):
    config = ConfigDict({"a": value, "b": 2})
    if fits:
        refuse_values(config, [("a", allowed)])
    else:
        with pytest.raises(UsageError, match="config.a=.*; allowed: "):
            refuse_values(config, [("a", allowed)])
