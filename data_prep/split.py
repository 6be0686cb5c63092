"""Train, validation and test by group (field, well, plate or line), never by cell."""

import numpy as np

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused, UsageError

UNITS = {"field": schema.FIELD, "well": schema.WELL, "plate": schema.PLATE, "cell_line": schema.CELL_LINE}


def groups(table, by: str):
    """The group of each row, text: wells and plates are named with the plate and line they belong to."""
    if by not in UNITS:
        raise UsageError(f"config.split.by={by!r}; allowed: {', '.join(UNITS)}")
    if by == "well":
        return table[schema.PLATE] + "/" + table[schema.WELL]
    return table[UNITS[by]]


def assign(table, by: str, fractions, seed: int):
    """The split of each row, "train", "validation" or "test".

    Groups are shuffled and dealt out within each cell line, so that every line is in every split (unless lines are the
    groups). Every split gets at least one group.

    Args:
        table: rows with Metadata_Group and Metadata_CellLine.
        by: the unit of the groups.
        fractions: shares of train, validation and test; they add up to 1.
        seed: of the shuffle.

    Raises:
        UsageError: fractions that are not shares of one.
        InputRefused: fewer than three groups in a line.
    """
    if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise UsageError(f"config.split.fractions={tuple(fractions)}; allowed: three positive numbers that add up to 1")
    rng = np.random.default_rng(seed)
    where = {}
    strata = table[schema.CELL_LINE] if by != "cell_line" else table[schema.CELL_LINE] * 0 + ""
    for line, rows in table.groupby(strata.to_numpy(), sort=True):
        names = np.array(sorted(rows[schema.GROUP].unique()))
        if len(names) < 3:
            raise InputRefused(f"cell line {line!r} has {len(names)} group(s) by config.split.by={by!r}; at least 3 "
                               "are needed for train, validation and test; add fields or split by a smaller unit")
        counts = _counts(len(names), fractions)
        dealt = np.repeat(schema.SPLITS, counts)
        where |= dict(zip(rng.permutation(names), dealt, strict=True))
    return table[schema.GROUP].map(where)


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
