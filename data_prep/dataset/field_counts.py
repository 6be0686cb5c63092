"""What became of each field: how many objects were found in it and used, or why it was excluded."""

import sys

import pandas as pd

from cellcycle_jax import files, schema
from cellcycle_jax.schema import Working

NAME = "fields.csv"


def count(table: pd.DataFrame, field_files, quarantined: dict[str, str]) -> pd.DataFrame:
    """One row per field, in the order of `field_files`, those without an object and those that were excluded too.

    Args:
        table: all objects, with Metadata_Field, Metadata_RejectReason and _bit_depth.
        field_files: of all fields.
        quarantined: {field_id: why it was excluded}.

    Returns:
        Metadata_Field, Metadata_Plate, Metadata_Well, Metadata_CellLine; n_objects and n_used, missing where the field
        was excluded; bit_depth, missing where no object was found; most_rejected, the most frequent reason why objects
        are not used, and excluded_because, both "" where there is none.
    """
    is_used = table[schema.REJECT_REASON] == ""
    objects = table.groupby(schema.FIELD).size()
    used = table[is_used].groupby(schema.FIELD).size()
    reasons = table[~is_used].groupby(schema.FIELD)[schema.REJECT_REASON]
    most_rejected = reasons.agg(lambda of_field: of_field.value_counts().index[0])
    bit_depth = table.groupby(schema.FIELD)[Working.BIT_DEPTH].first()
    rows = []
    for file in field_files:
        name = file.field_id
        was_read = name not in quarantined
        rows.append({
            schema.FIELD: name,
            schema.PLATE: file.plate,
            schema.WELL: file.well,
            schema.CELL_LINE: file.cell_line,
            "n_objects": objects.get(name, 0) if was_read else None,
            "n_used": used.get(name, 0) if was_read else None,
            "bit_depth": bit_depth.get(name),
            "most_rejected": most_rejected.get(name, ""),
            "excluded_because": quarantined.get(name, ""),
        })
    counts = pd.DataFrame(rows)
    return counts.astype({"n_objects": "Int64", "n_used": "Int64", "bit_depth": "Int64"})


def notes(counts: pd.DataFrame) -> list[str]:
    """What the fields of a plate must share and do not: their bit depth, a sentence per plate."""
    sentences = []
    for plate, fields in counts.groupby(schema.PLATE):
        depths = fields["bit_depth"].value_counts().sort_index()
        if len(depths) > 1:
            listed = ", ".join(f"{depth} bit in {n}" for depth, n in depths.items())
            owner = f"of plate {plate} " if plate else ""
            sentences.append(
                f"the fields {owner}differ in bit depth ({listed}; {NAME} says which): if some were exported with "
                "another contrast, their brightness cannot be compared; export all alike, or prepare them apart."
            )
    return sentences


def write(counts: pd.DataFrame, folder) -> None:
    """Write fields.csv into a folder; an empty cell is a missing number."""
    files.write_csv(counts.astype(object).where(counts.notna(), ""), folder / NAME)


def say_without_cells(counts: pd.DataFrame, folder) -> None:
    """Say on the terminal that fields which could be read give no cell, and where to look."""
    without = counts[counts["n_used"] == 0]
    if without.empty:
        return
    first = without[schema.FIELD].iloc[0]
    print(
        f"note: {len(without)} of {len(counts)} fields have no cell that is used (first: {first}); "
        f"{folder / NAME} says of each what was found in it",
        file=sys.stderr,
    )
