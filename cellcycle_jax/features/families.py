"""Families: which measurements say the same kind of thing of a cell, in plain words, and where in a crop it is read.

A family follows from the name of a column alone, so that a new measurement has one without new code. What measurements
share by chance of the data, a rank correlation near 1, is in `ranking`.
"""

import dataclasses
import re

from cellcycle_jax import schema

_RIM = "nuclear rim"
_NUCLEUS = "nucleus"
_STAIN = "second stain"
_STAIN_OUTLINE = "second stain outline"
_BODY = "cell body"
_OWNERS = {"Nuclei": "the nucleus", "Cells": "the cell"}
_SIZES = re.compile(r"Area|Perimeter|Length|Diameter|Radius|Volume")
_WORDS = {"Intensity": "brightness of", "Texture": "texture of", "Distance": "spread of", "Number": "counts in"}


@dataclasses.dataclass(frozen=True)
class Family:
    """Measurements of one kind.

    Attributes:
        name: in plain words, such as "size of the nucleus".
        channel: the channel that it is read in; None: every channel, as an outline shows in each, be it as a hole.
        places: compartments of `explain.localise` on which it is read; empty where the column's name says none.
    """

    name: str
    channel: str | None
    places: tuple[str, ...]

    def is_read_at(self, channel: str | None, place: str) -> bool:
        """Whether it is read in `channel` (None or "": of a map that does not tell channels apart) at `place`."""
        return place in self.places and (not channel or self.channel in (None, channel))


def family(column: str, channels, stains=()) -> Family:
    """The family of a measurement column.

    Args:
        column: named OWNER_KIND_WHAT or OWNER_KIND_WHAT_CHANNEL, with OWNER Nuclei, Cells or a stain, and KIND
            AreaShape, Intensity, Texture, Distance or Number.
        channels: all channels that the table has measurements of.
        stains: channels whose pieces were looked for. The first is the "second stain" of the compartments; without any,
            pieces are read in the cell body.

    Returns:
        Its family. A column named otherwise is a family of its own, which says so and has no place.
    """
    owner, kind, what = _split(column, channels)
    channel = schema.feature_channel(column, channels)
    if not owner:
        return Family(f"{schema.readable(column)} (unknown kind, see docs/extending.md)", channel, ())
    if owner == "Nuclei" and kind == "AreaShape":
        if _SIZES.search(what):
            return Family("size of the nucleus", channel, (_RIM, _NUCLEUS))
        return Family("shape of the nucleus", channel, (_RIM,))
    if owner == "Nuclei" and what.startswith("EdgeSharpness"):
        return Family(f"sharpness of the nuclear outline in {channel}", channel, (_RIM,))
    name = f"{_words(owner, kind, what, channel)} {_OWNERS.get(owner, owner)}"
    if channel not in (None, owner):
        name += f" in {channel}"
    return Family(name, channel, _places(owner, what, stains))


def families(columns, channels, stains=()) -> dict[str, Family]:
    """The family of each of `columns`; see `family`."""
    return {column: family(column, channels, stains) for column in columns}


def _split(column: str, channels) -> tuple[str, str, str]:
    """Owner, kind and the rest of a column's name; three empty texts where the name does not follow the scheme."""
    longest_first = sorted(channels, key=len, reverse=True)  # a channel's name may begin with another's
    for owner in (*_OWNERS, *longest_first):
        kind, _, what = column.removeprefix(f"{owner}_").partition("_")
        if column.startswith(f"{owner}_") and what and kind in ("AreaShape", *_WORDS):
            return owner, kind, what
    return "", "", ""


def _words(owner: str, kind: str, what: str, channel: str | None) -> str:
    """What is measured, in words that the owner follows."""
    if kind == "AreaShape":
        if not _SIZES.search(what):
            return "shape of"
        return "size of" if owner in _OWNERS else "amount of"
    if owner not in _OWNERS:
        if kind == "Number":
            return "dots of" if what.startswith("Dot") else "pieces of"
        if what.startswith("Integrated") and channel == owner:
            return "amount of"
    return _WORDS[kind]


def _places(owner: str, what: str, stains) -> tuple[str, ...]:
    if owner == "Nuclei":
        return (_NUCLEUS,)
    if owner == "Cells":
        return (_BODY, _STAIN, _STAIN_OUTLINE, _RIM, _NUCLEUS)
    is_second_stain = tuple(stains[:1]) == (owner,)
    if not is_second_stain:
        return (_BODY, _STAIN, _STAIN_OUTLINE)
    if what.startswith("Dot"):  # dots lie all over the cell
        return (_STAIN, _STAIN_OUTLINE, _BODY)
    return (_STAIN, _STAIN_OUTLINE)
