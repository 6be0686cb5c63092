"""A human's word on the labels.

qc/labels.csv goes out with the contact sheets and is read back by `prepare --labels`. What was corrected goes out
again in the next labels.csv, so that rounds of correction add up.
"""

import pathlib

import pandas as pd

from cellcycle_jax import files, schema
from cellcycle_jax.errors import InputRefused, UsageError
from cellcycle_jax.schema import Working
from data_prep.reading import tables

CORRECTED = "Corrected_Label"
NO_LABEL = "none"
REJECT = "reject"
UNLABELLED = "no label"  # what cells without one are called in images
LONGEST_CLASS = 60  # letters


def write_labels(table, tiles, path) -> None:
    """Write one row per cell: the sheet and tile it is shown on, its label, and the correction so far, to be edited.

    Args:
        table: usable cells and corrected ones, those rejected by hand too; with the column Working.CORRECTION.
        tiles: {cell_id: (sheet, tile)} of the cells on a contact sheet; these come first.
        path: CSV to write.
    """
    rows = table[[schema.CELL_ID, schema.CELL_LINE, schema.LABEL_SCORE, schema.LABEL]].copy()
    rows[CORRECTED] = table[Working.CORRECTION]
    places = [tiles.get(cell, ("", 0)) for cell in rows[schema.CELL_ID]]
    places = pd.DataFrame(places, rows.index, ["sheet", "tile"])
    rows = pd.concat([places, rows], axis=1)
    is_on_sheet = rows["sheet"] != ""
    on_sheets = rows[is_on_sheet].sort_values(["sheet", "tile"])
    files.write_csv(pd.concat([on_sheets, rows[~is_on_sheet]]), path)


def refuse_class_names(classes) -> None:
    """Refuse names that would not fit a picture, or that mean something else in labels.csv.

    Raises:
        UsageError: names the classes and what is allowed.
    """
    reserved = (NO_LABEL, REJECT, UNLABELLED)
    for name in classes:
        fits = 0 < len(name.strip()) <= LONGEST_CLASS
        if not fits or name.strip() in reserved:
            raise UsageError(f"config.labels.classes={tuple(classes)!r}; allowed: names of 1 to {LONGEST_CLASS} "
                             f"letters, and none of {', '.join(reserved)}")


def read_corrections(path, classes) -> dict[str, str]:
    """What the column Corrected_Label of a CSV says.

    Args:
        path: the edited labels.csv, as `reading.tables.read` takes it. "none" takes a label away, "reject" excludes
            the cell.
        classes: allowed names.

    Returns:
        {cell_id: class, "none" or "reject"} of the cells with an entry.

    Raises:
        InputRefused: an unreadable file, a name that is no class, or two names for a cell.
    """
    entries = _entries(path)
    allowed = (*classes, NO_LABEL, REJECT)
    for number, name in entries[CORRECTED].items():
        if name not in allowed:
            raise InputRefused(f"--labels={path}, line {number}: {CORRECTED}={name!r}; allowed: {', '.join(allowed)}")
    corrections = {}
    for number, cell, name in entries.itertuples():
        earlier = corrections.setdefault(cell, name)
        if name != earlier:
            raise InputRefused(f"--labels={path}, line {number}: cell {cell!r} is {name!r} here and "
                               f"{earlier!r} above; delete one of the rows")
    return corrections


def apply_corrections(table, corrections) -> int:
    """Change the labels of `table` to what a human said, and note it in the column Working.CORRECTION.

    Args:
        table: all cells; changed in place.
        corrections: as `read_corrections` gives them.

    Returns:
        The number of cells whose label or use changed.

    Raises:
        InputRefused: an unknown cell.
    """
    table[Working.CORRECTION] = ""
    row_of = dict(zip(table[schema.CELL_ID], table.index, strict=True))
    changed = 0
    for cell, name in corrections.items():
        if cell not in row_of:
            raise InputRefused(f"--labels: no cell {cell!r} in this data set; "
                               "use the labels.csv of the same fields and config")
        row = row_of[cell]
        if name == REJECT:
            column = schema.REJECT_REASON
            value = schema.REJECTED_BY_HAND
        else:
            column = schema.LABEL
            value = "" if name == NO_LABEL else name
        changed += table.at[row, column] != value
        table.at[row, column] = value
        table.at[row, Working.CORRECTION] = name
    return int(changed)


def refuse_to_erase(path) -> None:
    """Refuse to replace a labels.csv into which a human has written.

    Raises:
        UsageError: `path` holds corrections.
    """
    if not pathlib.Path(path).exists():
        return
    n = len(_entries(path))
    if n > 0:
        raise UsageError(f"{path} holds {n} corrections that would be lost; give it with --labels, or move it away")


def _entries(path):
    """The rows of a labels.csv with an entry in Corrected_Label, indexed by where they stand in it."""
    table = tables.read(pathlib.Path(path), "--labels")
    needed = [schema.CELL_ID, CORRECTED]
    missing = set(needed) - set(table.columns)
    if missing:
        raise InputRefused(f"{path}: no column {sorted(missing)[0]}; give --labels an edited labels.csv")
    entries = table.loc[:, table.columns.isin(needed)]
    tables.refuse_same_columns(entries.columns, path)
    entries = entries[needed]
    # `write_csv` puts a quote before what a spreadsheet would take for a formula.
    cell_ids = entries[schema.CELL_ID].str.replace(r"^'(?=[=+@-])", "", regex=True)
    entries = entries.assign(**{schema.CELL_ID: cell_ids})
    return entries[entries[CORRECTED] != ""]
