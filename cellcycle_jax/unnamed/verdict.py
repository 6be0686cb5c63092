"""Whether a part of what the networks use has no name, in one word and one sentence."""

import enum

from cellcycle_jax.scoring.intervals import Interval
from cellcycle_jax.unnamed import parts


class Verdict(enum.StrEnum):
    """What is said of a class."""

    UNNAMED = "has no name"  # a part certainly has none
    NAMED = "measurements say it all"
    TOO_FEW = "too few cells to tell"
    CHANCE = "chance"  # the networks do not tell the class, so there is nothing to divide


def judge(shares: dict[str, Interval], limit: float) -> Verdict:
    """The verdict of what `hint.how_much` returned.

    Args:
        shares: of the parts, `named_with_half` and `repeated`.
        limit: share of the difference between the classes below which nothing is said to lack a name.

    Returns:
        UNNAMED where the share without a name is certainly above the limit, the two networks certainly agree in it from
        cell to cell, and it would stay above the limit if more cells explained as much more as twice as many did here.
    """
    unnamed = shares[parts.UNNAMED]
    if not unnamed.is_known:
        return Verdict.CHANCE
    if unnamed.high < limit:
        return Verdict.NAMED
    is_repeated = shares["repeated"].low > 0
    if unnamed.low > limit and is_repeated and unnamed.value - still_rises(shares) > limit:
        return Verdict.UNNAMED
    return Verdict.TOO_FEW


def sentence(verdict: Verdict, shares: dict[str, Interval], class_name: str) -> str:
    """The verdict in plain words."""
    unnamed = shares[parts.UNNAMED]
    told = f"tells {class_name} from the rest"
    if verdict is Verdict.CHANCE:
        return f"Nothing that certainly {told} was learnt from half of the cells, so there is nothing to divide."
    if verdict is Verdict.NAMED:
        return f"Your measurements say it all: {unnamed.percent()} of what {told} has no name."
    if verdict is Verdict.UNNAMED:
        return f"{unnamed.percent()} of what reproducibly {told} has no name among your measurements."
    words = f"Too few cells to tell: {unnamed.percent()} of what {told} has no name"
    if not shares["repeated"].low > 0:
        return f"{words}, but a second network, trained on other cells, does not certainly repeat it."
    if still_rises(shares) > 0:
        return f"{words}; measurements explain more the more cells there are, so that more cells may explain it."
    return f"{words}."


def still_rises(shares: dict[str, Interval]) -> float:
    """By how much more measurements explain than where half of the groups fit them, 0 or more."""
    return max(shares[parts.NAMED].value - shares["named_with_half"].value, 0.0)


def said_of_other(verdict: Verdict, repeated: Interval, architecture: str) -> str:
    """Whether a network of another architecture repeats what has no name, a sentence after a space; "" of none."""
    if verdict is not Verdict.UNNAMED:
        return ""
    if repeated.low > 0:
        return f" Another architecture, {architecture}, repeats it from cell to cell."
    return f" Another architecture, {architecture}, does not certainly repeat it."
