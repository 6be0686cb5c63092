"""The vocabulary that both halves share: splits, compartments, table columns, units. Imports nothing of ours.

`data_prep` writes what is named here and `cellcycle_jax` reads it, so a name stands in one place only.
"""

import enum
import re

DATA_SET = "tfds/cells"  # folder of a data set that holds its versions
DATA_SET_VERSION = "2.0.0"  # of what `prepare` writes; 1.0.0 had other names, see `old_names`

SPLITS = ("train", "validation", "test")
NO_LABEL = -1  # label of a cell on which labelling abstained

# intensity_stats f32 [C, 4] of an example: what makes intensities of a field comparable with those of other fields.
INTENSITY_STATS = ("background", "median", "spread", "reference")


class Compartment(enum.IntFlag):
    """Bits of the u8 compartment image that travels with each crop."""

    NUCLEUS = 1
    OTHER_NUCLEI = 2
    ORGANELLE = 4  # objects of the first of `channels.stains`
    BODY = 8
    DEBRIS = 16


# Why an object found by the segmentation is not used; Metadata_RejectReason holds one of these or "".
REJECTIONS = ("unlisted", "border", "small", "large", "ragged", "out_of_focus", "saturated", "mitotic")

REJECTED_BY_HAND = "by_hand"  # a human said so in labels.csv

CELL_ID = "Metadata_CellID"
FIELD = "Metadata_Field"
WELL = "Metadata_Well"
PLATE = "Metadata_Plate"
CELL_LINE = "Metadata_CellLine"
SITE = "Metadata_Site"
TRACK = "Metadata_Track"  # cells that are one cell at several times, or its descendants; where a source knows it
PIXEL_SIZE = "Metadata_PixelSize"  # um per px of the field as read, NaN where unknown
TIME = "Metadata_Time"  # which picture of a time series, "" where the name says none
FIELD_LABEL = "Metadata_FieldLabel"  # what a field's name says of all its cells, "" where it says nothing
GROUP = "Metadata_Group"  # the unit of splitting and of clustering intervals: a field, well, plate, line or track
SPLIT = "Metadata_Split"
LABEL = "Metadata_Label"  # class name, "" where labelling abstained
REJECT_REASON = "Metadata_RejectReason"
LABEL_SCORE = "Metadata_LabelScore"  # what labelling looked at: log2 marker signal, or DNA content relative to G1
TRUE_PHASE = "Metadata_TruePhase"  # simulated fields only: class name by the known age, "mitotic" for mitosis
CENTRE_Y = "Metadata_CentreY"  # px in the field
CENTRE_X = "Metadata_CentreX"

# All column names above that start so; a column of a user's table must not have one.
METADATA = frozenset(name for name in list(vars().values()) if isinstance(name, str) and name.startswith("Metadata_"))


class Working:
    """Columns that the table has while it is made; the data set does not hold them."""

    LABEL_NUMBER = "_label"  # number of the object in the label image that is worked with
    OWN_NUMBER = "_number"  # number of the object in the label image as it was made
    AREA_PX = "_area_px"  # area in px
    EXTENT_PX = "_extent_px"  # longer side of its box, px of the crop
    TOUCHES_BORDER = "_border"  # whether it touches the border of the field
    SATURATED = "_saturated"  # share of its pixels that are saturated
    IS_LISTED = "_listed"  # whether the source lists it; all others are not used
    CROP_Y = "_crop_y"  # centre of its crop, px in the field
    CROP_X = "_crop_x"  # the same
    PIXEL_SIZE_KNOWN = "_pixel_size_known"  # of its field
    LIGHT_KNOWN = "_light_known"  # whether uneven illumination was removed from its field
    BIT_DEPTH = "_bit_depth"  # of its field
    PIXELS_SHA256 = "_sha256"  # of the pixels of its field
    FIELD_HEIGHT = "_height"  # of its field, px
    FIELD_WIDTH = "_width"  # of its field, px
    LABEL_TEXT = "_word"  # text that its label was read from
    FIRST_MARKER = "_first"  # signal of the first of two markers
    SECOND_MARKER = "_second"  # of the second
    CORRECTION = "_corrected"  # the word of a human that was followed, "" where there is none


# What is measured of a stain's objects in the body of a cell, columns Cells_<this>_<stain>, as words for an axis.
STAIN_OBJECTS = {
    "AreaShape_ObjectArea": "area",
    "Number_Objects": "object count",
    "Number_Spots": "spot count",
    "Number_SpotDensity": "spot density",
    "Distance_Spread": "spread",
    "Distance_FromNucleus": "distance from nucleus",
    "Intensity_ObjectIntensity": "object intensity",
}

# First words of our columns, and of those that CellProfiler writes; no channel may be called so, in any case.
FIRST_WORDS = ("Nuclei", "Cells", "Cytoplasm", "Image", "Metadata", "Truth")

NUCLEAR_AREA = "Nuclei_AreaShape_Area"
TRUE_MITOTIC = "mitotic"

# What an example of the TFDS data set holds, beside `image` u16 [S, S, C] and `compartments` u8 [S, S].
EXAMPLE_TEXTS = ("cell_id", "group_id", "field_id", "well", "plate", "cell_line")


def integrated(channel: str) -> str:
    """Name of the column with a channel's background-subtracted sum over the nucleus."""
    return f"Nuclei_Intensity_IntegratedIntensity_{channel}"


def is_reserved(channel: str) -> bool:
    """Whether columns of a channel of this name would be taken for those of a compartment, or stand in their place."""
    first = channel.partition("_")[0].casefold()
    return first in [word.casefold() for word in FIRST_WORDS]


def well_group(plate, well):
    """Names of the groups of wells, in an array or column: wells of two plates may be called the same."""
    return plate + "/" + well


def reference_column(channel: str) -> str:
    """Name of the column with the field's reference intensity of a channel (the G1 peak of DNA, a cell median else)."""
    return f"Metadata_Reference_{channel}"


def feature_columns(columns) -> list[str]:
    """The measurement columns among `columns`: all that do not start with Metadata_ (truth is Truth_)."""
    return [c for c in columns if not c.startswith(("Metadata_", "Truth_"))]


def feature_channel(column: str, channels) -> str | None:
    """The channel that a measurement column was made from, or None for the shape of the nucleus.

    Names may hold underscores and end in one another (DNA, w1_DNA), so the longest that fits counts.
    """
    longest_first = sorted(channels, key=len, reverse=True)
    for name in longest_first:
        if column.endswith(f"_{name}"):
            return name
    for name in longest_first:
        if column.startswith(f"{name}_"):
            return name
    return None


def stain_object_feature(column: str, channel: str | None) -> str | None:
    """Which of `STAIN_OBJECTS` a column of `channel` is; None where it is none of them."""
    feature = column.removeprefix("Cells_").removesuffix(f"_{channel}")
    if channel is not None and feature in STAIN_OBJECTS and column == f"Cells_{feature}_{channel}":
        return feature
    return None


_AREAS = re.compile(r"AreaShape_(Area|ObjectArea)(_|$)")
_DENSITIES = re.compile(r"Density(_|$)")
_LENGTHS = re.compile(r"AxisLength|Perimeter|Diameter|Distance_|Spread")
_INTENSITIES = re.compile(r"_Intensity_")
_KINDS = ("AreaShape", "Intensity", "Texture", "Distance", "Number")
_OF_STAIN_OBJECTS = re.compile(f"Cells_({'|'.join(STAIN_OBJECTS)})_(.+)")


def unit(column: str, pixel_size_known: bool) -> str:
    """Unit of a measurement column.

    Lengths are in um or px, areas in their squares, densities per area, raw intensities in 'a.u.'; all else has ''.
    """
    length = "um" if pixel_size_known else "px"
    if _DENSITIES.search(column):
        return f"1/{length}^2"
    if "_EdgeSharpness_" in column:
        return "1/px"
    if _AREAS.search(column):
        return f"{length}^2"
    if _LENGTHS.search(column):
        return length
    return "a.u." if _INTENSITIES.search(column) else ""


def readable(column: str) -> str:
    """A measurement column as words for an axis.

    >>> readable("Cells_AreaShape_ObjectArea_Golgi"), readable("Nuclei_Intensity_IntegratedIntensity_DNA")
    ('Golgi area', 'Nuclear DNA integrated intensity')
    """
    of_stain_objects = _OF_STAIN_OBJECTS.fullmatch(column)
    if of_stain_objects:
        feature, stain = of_stain_objects.groups()
        return f"{stain} {STAIN_OBJECTS[feature]}"
    owner, *parts = column.split("_")
    what = parts[1:] if parts and parts[0] in _KINDS else parts
    words = [{"Nuclei": "Nuclear", "Cells": "Cell"}.get(owner, owner)]
    if len(what) > 1:
        words.append(what.pop())
    for word in what:
        words.append(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", word).lower())
    return " ".join(words)
