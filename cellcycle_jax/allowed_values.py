"""What the fields of a config may hold: a table of fields, and one function that refuses all other values."""

import math
import numbers
import operator
from collections.abc import Callable
from typing import NamedTuple

from cellcycle_jax.errors import UsageError
from cellcycle_jax.extensions import OWN, is_own


class Allowed(NamedTuple):
    """What a field may hold: in words, for the error, and a test of the value and the whole config."""

    words: str
    test: Callable[[object, object], bool]


def within(low: float, high: float) -> Allowed:
    """A number from `low` to `high`, both allowed."""

    def test(value, config):
        return _is_number(value) and low <= value <= high

    return Allowed(f"{low:,} to {high:,}", test)


def from_to_below(low: float, high: float) -> Allowed:
    """A number from `low`, which is allowed, to `high`, which is not."""

    def test(value, config):
        return _is_number(value) and low <= value < high

    return Allowed(f"at least {low:,} and {_below(high)}", test)


def between(low: float, high: float) -> Allowed:
    """A number between `low` and `high`, neither allowed."""

    def test(value, config):
        return _is_number(value) and low < value < high

    return Allowed(f"above {low:,} and {_below(high)}", test)


def pair_within(low: float, high: float) -> Allowed:
    """Two numbers from `low` to `high`, the lower first; they may be the same."""

    def test(pair, config):
        return len(pair) == 2 and all(map(_is_number, pair)) and low <= pair[0] <= pair[1] <= high

    return Allowed(f"two numbers from {low:,} to {high:,}, the lower first", test)


def one_of(names) -> Allowed:
    """One of some values."""

    def test(value, config):
        return value in names

    return Allowed(f"one of {', '.join(names)}", test)


def one_of_or_own(registered) -> Allowed:
    """A registered name, or the path of something outside the repository."""

    def test(value, config):
        return value in registered or is_own(value)

    return Allowed(f"one of {', '.join(registered)}, {OWN}", test)


def _is_number(value) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _below(high) -> str:
    return "finite" if high == math.inf else f"below {high:,}"


def refuse_values(config, table) -> None:
    """Refuse the first value that is out of range or of the wrong kind.

    Args:
        config: any config.
        table: (path.to.field, `Allowed`) of the fields that are tested, in order.

    Raises:
        UsageError: names the field, its value and what is allowed.
    """
    for name, allowed in table:
        value = operator.attrgetter(name)(config)
        try:
            fits = allowed.test(value, config)
        except TypeError:  # text where a number belongs
            fits = False
        if not fits:
            raise UsageError(f"config.{name}={value!r}; allowed: {allowed.words}")
