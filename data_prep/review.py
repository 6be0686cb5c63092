"""A human's word on the labels.

qc/labels.csv goes out with the contact sheets and is read back by `prepare --labels`.
"""

import pandas as pd

from cellcycle_jax import files, schema
from cellcycle_jax.errors import InputRefused

CORRECTED = "Corrected_Label"
NO_LABEL, REJECT = "none", "reject"


def write_labels(table, tiles, path) -> None:
    """Write one row per usable cell: the sheet and tile it is shown on, its label, and an empty column to fill in.

    Args:
        table: usable cells.
        tiles: {cell_id: (sheet, tile)} of the cells on a contact sheet; these come first.
        path: CSV to write.
    """
    rows = table[[schema.CELL_ID, schema.CELL_LINE, schema.MARKER, schema.LABEL]].copy()
    rows.insert(0, "sheet", [tiles.get(c, ("", 0))[0] for c in rows[schema.CELL_ID]])
    rows.insert(1, "tile", [tiles.get(c, ("", 0))[1] for c in rows[schema.CELL_ID]])
    rows[CORRECTED] = ""
    shown = rows["sheet"] != ""
    files.write_csv(pd.concat([rows[shown].sort_values(["sheet", "tile"]), rows[~shown]]), path)


def apply_corrections(table, path, classes) -> int:
    """Change the labels of `table` to what the column Corrected_Label of a CSV says.

    Args:
        table: all cells; changed in place.
        path: the edited labels.csv. An empty cell leaves a label as it is, "none" takes it away, "reject" sets the cell
            aside.
        classes: allowed names.

    Returns:
        The number of cells whose label or use changed.

    Raises:
        InputRefused: an unreadable file, an unknown cell, or a name that is no class.
    """
    try:
        said = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputRefused(f"--labels={path}: cannot be read as CSV ({error}); give an edited qc/labels.csv") from error
    if missing := {schema.CELL_ID, CORRECTED} - set(said.columns):
        raise InputRefused(f"--labels={path}: no column {sorted(missing)[0]}; give an edited qc/labels.csv")
    said[CORRECTED] = said[CORRECTED].str.strip()
    said = said[said[CORRECTED] != ""]
    said[schema.CELL_ID] = said[schema.CELL_ID].str.replace(r"^'(?=[=+@-])", "", regex=True)  # put there by write_csv
    place = dict(zip(table[schema.CELL_ID], table.index, strict=True))
    allowed = (*classes, NO_LABEL, REJECT)
    changed = 0
    for number, cell, name in zip(said.index + 2, said[schema.CELL_ID], said[CORRECTED], strict=True):
        if cell not in place:
            raise InputRefused(f"--labels={path}, line {number}: no cell {cell!r} in this data set; "
                               "use the labels.csv of the same fields and config")
        if name not in allowed:
            raise InputRefused(f"--labels={path}, line {number}: {CORRECTED}={name!r}; allowed: {', '.join(allowed)}")
        label = "" if name == NO_LABEL else name
        column, value = (schema.REJECT, schema.REJECTED_BY_HAND) if name == REJECT else (schema.LABEL, label)
        changed += table.at[place[cell], column] != value
        table.at[place[cell], column] = value
    return int(changed)
