"""Train, validation and test by group (field, well, plate, line or track), never by cell."""

import numpy as np

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused, UsageError

UNITS = {"field": schema.FIELD, "well": schema.WELL, "plate": schema.PLATE, "cell_line": schema.CELL_LINE,
         "track": schema.TRACK}


def groups(table, by: str):
    """The group of each row, text: wells are named with their plate, a cell without a track is in its field's group.

    Raises:
        UsageError: an unknown unit.
        InputRefused: the source knows no tracks.
    """
    if by not in UNITS:
        raise UsageError(f"config.split.by={by!r}; allowed: {', '.join(UNITS)}")
    if by == "well":
        return table[schema.PLATE] + "/" + table[schema.WELL]
    if UNITS[by] not in table:
        raise InputRefused(f"config.split.by={by!r}: the source knows no {by} of a cell; split by another unit")
    if by == "track":
        return table[schema.TRACK].fillna("").astype(str).where(table[schema.TRACK].notna(), table[schema.FIELD])
    return table[UNITS[by]]


def assign(table, by: str, fractions, seed: int):
    """The split of each row, "train", "validation" or "test".

    Groups are shuffled and dealt out within each cell line, so that every line is in every split (unless lines are the
    groups), and within each class where every group holds one class only. Every split gets at least one group.

    Args:
        table: rows with Metadata_Group, Metadata_CellLine and Metadata_Label.
        by: the unit of the groups.
        fractions: shares of train, validation and test; they add up to 1.
        seed: of the shuffle.

    Raises:
        UsageError: fractions that are not shares of one.
        InputRefused: fewer than three groups in a line (or of one class in it).
    """
    if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise UsageError(f"config.split.fractions={tuple(fractions)}; allowed: three positive numbers that add up to 1")
    rng = np.random.default_rng(seed)
    where = {}
    line_of = table[schema.CELL_LINE].to_numpy() if by != "cell_line" else np.full(len(table), "")
    class_of = _class_of_group(table)
    for (line, label), rows in table.groupby([line_of, class_of], sort=True):
        names = np.array(sorted(rows[schema.GROUP].unique()))
        if len(names) < 3 and not label and class_of.any():  # cells without a label beside classes that have groups
            where |= dict.fromkeys(names, schema.SPLITS[0])
            continue
        if len(names) < 3:
            of_class = f" of class {label!r}" if label else ""
            raise InputRefused(f"cell line {line!r} has {len(names)} group(s){of_class} by config.split.by={by!r}; at "
                               "least 3 are needed for train, validation and test; add fields or split by a smaller "
                               "unit")
        counts = _counts(len(names), fractions)
        dealt = np.repeat(schema.SPLITS, counts)
        where |= dict(zip(rng.permutation(names), dealt, strict=True))
    return table[schema.GROUP].map(where)


def _class_of_group(table):
    """The class of each row's group where every group holds cells of at most one class, else "" for all."""
    labels = table[table[schema.LABEL] != ""].groupby(schema.GROUP)[schema.LABEL]
    if labels.nunique().max() != 1:
        return np.full(len(table), "")
    return table[schema.GROUP].map(labels.first()).fillna("").to_numpy()


def refuse_twins(fields) -> None:
    """Refuse the same picture in two splits.

    Args:
        fields: rows with Metadata_Field, Metadata_Split and the hash of the field's pixels, _sha256; one per field.
    """
    for _, same in fields.groupby("_sha256"):
        if same[schema.SPLIT].nunique() > 1:
            names = ", ".join(f"{f} ({s})" for f, s in zip(same[schema.FIELD], same[schema.SPLIT], strict=True))
            raise InputRefused(f"the same picture is in two splits: {names}; remove the copy")


def _counts(n, fractions):
    """Whole numbers near n * fractions that add up to n, each at least 1."""
    exact = np.asarray(fractions) * n
    counts = np.maximum(np.floor(exact).astype(int), 1)
    while counts.sum() < n:
        counts[np.argmax(exact - counts)] += 1
    while counts.sum() > n:
        counts[np.argmax(counts)] -= 1
    return counts
