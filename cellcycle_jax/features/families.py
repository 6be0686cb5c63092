"""Families of measurements by type, such as "size of the nucleus", and the regions in which each can be seen.

A family follows from the name of a column alone, so that a new measurement has one without new code. What measurements
share by chance of the data, a rank correlation near 1, is in `ranking`.
"""

import dataclasses
import re

from cellcycle_jax import schema

_RIM = "nuclear rim"
_NUCLEUS = "nucleus"
_ORGANELLE = "organelle"
_ORGANELLE_OUTLINE = "organelle outline"
_BODY = "cell body"
# The regions have the names of `explain.regions.localisation.COMPARTMENTS`.
_OWNERS = {"Nuclei": "the nucleus", "Cells": "the cell"}
_SIZES = re.compile(r"Area|Perimeter|Length|Diameter|Radius|Volume")
_WORDS = {
    "Intensity": "brightness of",
    "Texture": "texture of",
    "Distance": "distances in",
    "Number": "counts in",
    # Of the bank of measurements.
    "Side": "brighter side of",
    "Line": "line through",
    "Pattern": "direction of the pattern in",
    "Radial": "radial profile of",
    "Values": "distribution of brightness in",
    "Detail": "grain of",
    "Spacing": "spacing in",
    "Together": "two stains together in",
    "Spots": "spots in",
    "Holes": "holes in",
    "Skeleton": "skeleton in",
}
_STAIN_OBJECTS = {  # of `schema.STAIN_OBJECTS` -> family
    "AreaShape_ObjectArea": "amount of {}",
    "Intensity_ObjectIntensity": "amount of {}",
    "Distance_Spread": "spread of {}",
    "Distance_FromNucleus": "spread of {}",
    "Number_Objects": "number of {} objects",
    "Number_Spots": "frequency of {} spots",
    "Number_SpotDensity": "frequency of {} spots",
}


@dataclasses.dataclass(frozen=True)
class Family:
    """Measurements of one kind.

    Attributes:
        name: in plain words, such as "size of the nucleus".
        channel: the channel that it is measured in; None: none, as the outline of a nucleus is visible in every
            channel, if only as a gap in the stain.
        regions: of `localisation.COMPARTMENTS` in which it can be seen; empty where the column's name says none.
    """

    name: str
    channel: str | None
    regions: tuple[str, ...]

    def is_read_at(self, channel: str | None, region: str) -> bool:
        """Whether it can be seen in `region` of `channel`; None or "" is a map with one value for all channels."""
        return region in self.regions and (not channel or self.channel in (None, channel))


def family(column: str, channels, stains=()) -> Family:
    """The family of a measurement column.

    Args:
        column: named OWNER_KIND_WHAT or OWNER_KIND_WHAT_CHANNEL, with OWNER Nuclei or Cells, and KIND AreaShape,
            Intensity, Texture, Distance or Number.
        channels: all channels that the table has measurements of.
        stains: channels whose objects were looked for. The first is the "organelle" of the compartments; objects of
            the others may lie in the cell body, the organelle or its outline.

    Returns:
        Its family. A column named otherwise is a family of its own, which says so and has no region.
    """
    channel = schema.feature_channel(column, channels)
    owner, kind, what = _split(column)
    if not owner:
        return Family(f"{schema.readable(column)} (unknown kind, see docs/extending.md)", channel, ())
    feature = schema.stain_object_feature(column, channel)
    if feature:
        is_organelle = tuple(stains[:1]) == (channel,)
        return Family(_STAIN_OBJECTS[feature].format(channel), channel, _regions_of_objects(feature, is_organelle))
    if owner == "Nuclei" and kind == "AreaShape":
        if _SIZES.search(what):
            return Family("size of the nucleus", channel, (_RIM, _NUCLEUS))
        return Family("shape of the nucleus", channel, (_RIM,))
    if owner == "Nuclei" and what.startswith("EdgeSharpness"):
        return Family(f"sharpness of the nuclear outline in {channel}", channel, (_RIM,))
    name = f"{_words(kind, what)} {_OWNERS[owner]}"
    if channel is not None:
        name += f" in {channel}"
    regions = (_NUCLEUS,) if owner == "Nuclei" else (_BODY, _ORGANELLE, _ORGANELLE_OUTLINE, _RIM, _NUCLEUS)
    return Family(name, channel, regions)


def families(columns, channels, stains=()) -> dict[str, Family]:
    """The family of each of `columns`; see `family`."""
    return {column: family(column, channels, stains) for column in columns}


def _split(column: str) -> tuple[str, str, str]:
    """Owner, kind and the rest of a column's name; three empty texts where the name does not follow the scheme."""
    owner, _, rest = column.partition("_")
    kind, _, what = rest.partition("_")
    if owner in _OWNERS and kind in ("AreaShape", *_WORDS) and what:
        return owner, kind, what
    return "", "", ""


def _words(kind: str, what: str) -> str:
    """What is measured, in words that the owner follows."""
    if kind == "AreaShape":
        return "size of" if _SIZES.search(what) else "shape of"
    return _WORDS[kind]


def _regions_of_objects(feature: str, is_organelle: bool) -> tuple[str, ...]:
    """Where the objects of a stain are read; those of the organelle have compartments of their own."""
    if not is_organelle:
        return (_BODY, _ORGANELLE, _ORGANELLE_OUTLINE)
    if "Spot" in feature:  # spots lie all over the cell
        return (_ORGANELLE, _ORGANELLE_OUTLINE, _BODY)
    return (_ORGANELLE, _ORGANELLE_OUTLINE)
