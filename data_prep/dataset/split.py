"""Train, validation and test by group (field, well, plate, line, track or block of a field), never by cell."""

import numpy as np
import pandas as pd

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused, UsageError
from cellcycle_jax.schema import Working

BLOCKS = 3  # a field is divided into this many blocks each way
# What holds several groups, the largest first.
LARGER_UNITS = ("plate", "well")
LEAST_UNITS = 4  # of which an interval can be made
UNITS = {
    "field": schema.FIELD,
    "well": schema.WELL,
    "plate": schema.PLATE,
    "cell_line": schema.CELL_LINE,
    "track": schema.TRACK,
    "block": schema.FIELD,
}


def groups(table, by: str):
    """The group of each row, text.

    Wells are named with their plate; a cell without a track is in its well's group; a block is one of BLOCKS x BLOCKS
    equal parts of a field, for data that are one field only.

    Args:
        table: all objects, with Metadata_ columns; for blocks with _height and _width of the field, px.
        by: a name in UNITS.

    Raises:
        InputRefused: the source knows no tracks.
    """
    if UNITS[by] not in table:
        raise _unknown_unit(by)
    if by == "well":
        return schema.well_group(table[schema.PLATE], table[schema.WELL])
    if by == "track":
        has_track = table[schema.TRACK].notna()
        track = table[schema.TRACK].where(has_track, table[schema.WELL])
        # Two movies may number their tracks alike.
        return table[schema.PLATE] + "/" + track.astype(str)
    if by == "block":
        row = _block_number(table[schema.CENTRE_Y], table[Working.FIELD_HEIGHT])
        column = _block_number(table[schema.CENTRE_X], table[Working.FIELD_WIDTH])
        return table[schema.FIELD] + "/" + row + column
    return table[UNITS[by]]


def interval_unit(table, by: str) -> str:
    """What is left out at a time for an interval: the groups, or the plates or wells that hold several of them.

    Cells of a plate share stain and day, so its fields say less than as many plates would. The largest unit is taken of
    which each cell line has LEAST_UNITS or more in every split; with fewer there would be no interval.

    Args:
        table: used cells that have a label, or all used ones where none has.
        by: the unit of the split, a name in UNITS.

    Returns:
        `by`, "plate" or "well".
    """
    for unit in LARGER_UNITS:
        if unit == by or by == "cell_line":
            return by
        counts = groups(table, unit).groupby([table[schema.CELL_LINE], table[schema.SPLIT]]).nunique()
        if len(counts) and counts.min() >= LEAST_UNITS:
            return unit
    return by


def _block_number(centre, size):
    """Which of the BLOCKS equal parts of a field each centre lies in, from 0, as text; both in px."""
    return (centre * BLOCKS // size).astype(int).astype(str)


def refuse_unknown_unit(by: str) -> None:
    """Refuse to split by tracks where nothing knows any; of a folder of fields nothing else is missing."""
    if by == "track":
        raise _unknown_unit(by)


def _unknown_unit(by):
    return InputRefused(
        f"config.split.by={by!r}: the source knows no {by} of a cell; split by another unit, or give the tracks in a "
        "table (config.labels.table)"
    )


def refuse_same_place(fields, by: str) -> None:
    """Refuse to split by field where several fields show one place at several times: they hold the same cells.

    Args:
        fields: rows with Metadata_Field, _Plate, _Well, _Site, _Time and _CellLine; one per field.
        by: the unit of the split.

    Raises:
        UsageError: names the first of these fields.
    """
    if by not in ("field", "block"):
        return
    location = [schema.CELL_LINE, schema.PLATE, schema.WELL, schema.SITE]
    repeated = fields[(fields[schema.TIME] != "") & fields.duplicated(location)]
    if len(repeated):
        first = repeated[schema.FIELD].iloc[0]
        raise UsageError(
            f"config.split.by={by!r}: {first} and {len(repeated) - 1} more fields show a place that another one shows "
            "at another time; use 'well', so that no cell is on both sides"
        )


def notes(by: str) -> list[str]:
    """What a split by this unit cannot show."""
    if by == "block":
        return [
            "Training and scoring share a field: its stain, illumination and focus are the same on both sides, and "
            "crops at the border of two blocks show some of the same pixels, so scores say nothing about other fields."
        ]
    if by == "track":
        return [
            "Cells of different tracks stand in the same fields, so stain and illumination are the same on both sides "
            "of the split."
        ]
    return []


def assign(table, by: str, fractions, seed: int, given=None):
    """The split of each row, "train", "validation" or "test".

    Groups are shuffled and dealt out within each cell line, so that every line is in every split (unless lines are the
    groups), and within each class where every group holds one class only. Every split gets at least one group.

    Args:
        table: rows with Metadata_Group, Metadata_CellLine and Metadata_Label.
        by: the unit of the groups.
        fractions: shares of train, validation and test; they add up to 1.
        seed: of the shuffle.
        given: text per row, the split of its group where that is known, else ""; a split that is given to some groups
            gets no others. None: all are drawn.

    Raises:
        InputRefused: fewer groups in a line (or of one class in it) than splits to fill, or a group in two splits.
    """
    rng = np.random.default_rng(seed)
    split_of_group = _given_splits(table, given)
    to_fill = [split for split in schema.SPLITS if split not in split_of_group.values()]
    shares = pd.Series(fractions, schema.SPLITS).loc[to_fill].to_numpy()
    line_of_row = table[schema.CELL_LINE].to_numpy() if by != "cell_line" else np.full(len(table), "")
    class_of_row = _class_of_group(table)
    labelled = (table[schema.LABEL] != "").any()
    for (line, label), rows in table.groupby([line_of_row, class_of_row], sort=True):
        names = sorted(set(rows[schema.GROUP]) - split_of_group.keys())
        if not names:
            continue
        if not to_fill:
            raise InputRefused(
                f"config.split.column says nothing of group {names[0]!r}, and all splits are given to others; say "
                "train, validation or test for every group"
            )
        if len(names) >= len(to_fill):
            splits = np.repeat(to_fill, _counts(len(names), shares / shares.sum()))
            split_of_group |= dict(zip(rng.permutation(names), splits, strict=True))
        elif not label and (class_of_row.any() or not labelled):  # without a label there is nothing to score
            split_of_group |= dict.fromkeys(names, to_fill[0])
        else:
            raise too_few_groups(line, len(names), label, by, to_fill)
    return table[schema.GROUP].map(split_of_group)


def too_few_groups(line: str, count: int, label: str, by: str, to_fill) -> InputRefused:
    """The error for a cell line that has fewer groups (of the class `label`, "" for any) than splits to fill."""
    of_class = f" of class {label!r}" if label else ""
    return InputRefused(
        f"cell line {line!r} has {count} group(s){of_class} by config.split.by={by!r}; at least {len(to_fill)} are "
        f"needed for {', '.join(to_fill)}; add fields or split by a smaller unit"
    )


def _given_splits(table, given) -> dict[str, str]:
    """{group: split} of the groups whose split is given."""
    if given is None:
        return {}
    unknown = sorted(set(given) - {"", *schema.SPLITS})
    if unknown:
        allowed = ", ".join(schema.SPLITS)
        raise InputRefused(f"config.split.column: {unknown[0]!r} is no split; allowed: {allowed}, or nothing")
    named = given.isin(schema.SPLITS)
    by_group = given[named].groupby(table.loc[named, schema.GROUP])
    splits = by_group.nunique()
    divided = splits[splits > 1]
    if len(divided):
        raise InputRefused(f"config.split.column: group {divided.index[0]!r} is in two splits; a group goes to one")
    return by_group.first().to_dict()


def _class_of_group(table):
    """The class of each row's group where every group holds cells of at most one class, else "" for all."""
    labels = table[table[schema.LABEL] != ""].groupby(schema.GROUP)[schema.LABEL]
    if labels.nunique().max() != 1:
        return np.full(len(table), "")
    return table[schema.GROUP].map(labels.first()).fillna("").to_numpy()


def refuse_twins(table) -> None:
    """Refuse the same image in two splits.

    Args:
        table: rows with Metadata_Field, Metadata_Split and the hash of the field's pixels, _sha256.

    Raises:
        InputRefused: names the fields and their splits.
    """
    pairs = table.drop_duplicates([schema.FIELD, schema.SPLIT])
    for _, same in pairs.groupby(Working.PIXELS_SHA256):
        if same[schema.FIELD].nunique() > 1 and same[schema.SPLIT].nunique() > 1:
            names = ", ".join(same[schema.FIELD] + " (" + same[schema.SPLIT] + ")")
            raise InputRefused(f"the same image is in two splits: {names}; remove the copy")


def _counts(n, fractions):
    """Whole numbers near n * fractions that add up to n, each at least 1."""
    exact = np.asarray(fractions) * n
    counts = np.maximum(np.floor(exact).astype(int), 1)
    while counts.sum() < n:
        counts[np.argmax(exact - counts)] += 1
    while counts.sum() > n:
        counts[np.argmax(counts)] -= 1
    return counts
