"""Names that version 0.1 gave to columns, config fields, sources and JSON keys, and the names of today.

Version 0.2 follows them: what 0.1 stored is read under the names of today, and configs and command lines that use an
old name are followed, with a note. Nothing is written under an old name. The next version drops this file.
"""

import functools
import re
import sys

# Config field of 0.1 -> of today.
CONFIG_FIELDS = {
    "channels.marker": "channels.markers",
    "crop.body_um": "crop.cell_margin_um",
    "phase.method": "labels.method",
    "phase.classes": "labels.classes",
    "phase.abstain": "labels.abstain",
    "phase.low": "labels.low_range",
    "phase.high": "labels.high_range",
    "phase.min_cells": "labels.min_cells",
    "phase.table": "labels.table",
    "phase.column": "labels.column",
    "phase.mapping": "labels.mapping",
    "train.balance": "train.balance_classes",
    "evaluate.confidence": "evaluate.interval_level",
    "explain.cells": "explain.cells_per_class",
    "explain.limits.shortcut_confidence": "explain.limits.shortcut_interval_level",
    "discover.candidates": "discover.n_candidates",
}

# Config fields that say nothing any more: intervals leave out one group at a time, and draw no resamples.
RETIRED_FIELDS = ("evaluate.bootstraps",)

# Config field of today -> {its value in 0.1: the same today}.
CONFIG_VALUES = {
    "data.scale": {"own_max": "nucleus_max"},
    "data.labels": {"own": "original"},
}

# Sources of before that only read names, as `folder` does today: {name: {config field: its value where it is empty}}.
SOURCES = {
    "bbbc039": {"name_pattern": r"IXMtest_(?P<well>[A-P]\d\d)_s(?P<site>\d+)_"},
    "ht29_ph3": {
        "name_pattern": r"(?P<plate>[^/]+)_(?P<well>[A-P]\d\d)f(?P<site>\d\d)d(?P<channel>\d)",
        "channel_codes": ("0=DNA", "1=PH3", "2=cell"),
    },
    "jump": {
        "name_pattern": (
            r"(?:(?P<plate>[^/]+)/)?[^/]*(?P<well>r\d\dc\d\d)f(?P<site>\d\d)p(?P<z>\d\d)-ch(?P<channel>\d+)"
        ),
        "channel_codes": ("5=DNA", "4=ER", "3=RNA", "2=AGP", "1=Mito"),
        "pixel_um": 0.598,
    },
    "nf1": {
        "name_pattern": r"(?P<well>[A-H]\d+)_01_\d_(?P<site>\d+)_(?P<channel>DAPI|GFP|RFP)_\d+\.",
        "channel_codes": ("DAPI=DNA", "GFP=GFP", "RFP=RFP"),
    },
}

_COLUMNS = {
    "Metadata_Marker": "Metadata_LabelScore",
    "Metadata_Reject": "Metadata_RejectReason",
}

# Columns of a stain's objects began with the stain.
_STAIN_COLUMNS = (
    (re.compile(r"(.+)_AreaShape_Area"), r"Cells_AreaShape_ObjectArea_\1"),
    (re.compile(r"(.+)_Number_Pieces"), r"Cells_Number_Objects_\1"),
    (re.compile(r"(.+)_Number_Dots"), r"Cells_Number_Spots_\1"),
    (re.compile(r"(.+)_Number_DotDensity"), r"Cells_Number_SpotDensity_\1"),
    (re.compile(r"(.+)_Distance_Spread"), r"Cells_Distance_Spread_\1"),
    (re.compile(r"(.+)_Distance_FromNucleus"), r"Cells_Distance_FromNucleus_\1"),
    (re.compile(r"(.+)_Intensity_IntegratedIntensity_\1"), r"Cells_Intensity_ObjectIntensity_\1"),
)
_NOT_OF_STAINS = ("Nuclei_", "Cells_", "Metadata_", "Truth_")

# The TFDS data set: its version, and features.
DATA_SET_VERSION = "1.0.0"
EXAMPLE_FEATURES = {"norm": "intensity_stats"}

# Columns of predictions.parquet beside those of cells.parquet.
PREDICTION_COLUMNS = {"calibrated": "confidence"}

# Files in RUN/explain, and figures in RUN/figures.
EXPLAIN_FILES = ("where.csv",)
EXPLAIN_FIGURES = {"region_shares": "where"}  # name today -> before

# Compartments in tables and passports.
COMPARTMENTS = {"second stain": "organelle", "second stain outline": "organelle outline"}

# Keys of JSON files. `confidence` was the level of intervals in all of them.
INTERVAL_LEVEL = {"confidence": "interval_level"}
PASSPORT_KEYS = {**INTERVAL_LEVEL, "where": "region_shares", "places": "regions"}


def column_of_today(name: str) -> str:
    """The name that a column of cells.parquet has today."""
    if name in _COLUMNS:
        return _COLUMNS[name]
    if name.startswith(_NOT_OF_STAINS):
        return name
    for pattern, today in _STAIN_COLUMNS:
        match = pattern.fullmatch(name)
        if match:
            return match.expand(today)
    return name


def config_of_today(fields: dict) -> dict:
    """Config fields {path.to.field: value} under the names that they and their values have today."""
    renamed = {}
    for name, value in fields.items():
        if name in RETIRED_FIELDS:
            continue
        if name == "channels.marker" and isinstance(value, str):
            value = [value] if value else []  # it was one text, "" for none
        name = CONFIG_FIELDS.get(name, name)
        renamed[name] = value_of_today(name, value)
    return source_of_today(renamed)


def source_of_today(fields: dict) -> dict:
    """Config fields {path.to.field: value} with the source of today, and what one of before set by itself."""
    today = dict(fields)
    source = fields.get("source")
    if isinstance(source, str) and source in SOURCES:
        today["source"] = "folder"
        for name, value in SOURCES[source].items():
            today[name] = fields.get(name) or value
    return today


def value_of_today(field: str, value):
    """The value of a config field under the name that it has today."""
    if isinstance(value, str):
        return CONFIG_VALUES.get(field, {}).get(value, value)
    return value


def keys_of_today(content: dict, renamed: dict) -> dict:
    """`content` with those of its keys that are in `renamed` under their names of today."""
    return {renamed.get(key, key): value for key, value in content.items()}


@functools.cache
def note_retired(name: str) -> None:
    """Say once on the terminal that a field in a config or on the command line does nothing any more."""
    print(f"note: config field {name} is not used any more, and changes nothing; leave it out", file=sys.stderr)


@functools.cache
def note(old: str, today: str) -> None:
    """Say once on the terminal that a name in a config or on the command line is an old one."""
    print(f"note: config field {old} is called {today} now; the old name works in this version only", file=sys.stderr)
