"""The table of cells beside the network's margins: what measurements of a run's cells are compared with."""

import dataclasses

import pandas as pd

from cellcycle_jax import schema
from cellcycle_jax.dataset import cell_table, crop_arrays
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.features import families
from cellcycle_jax.runs import trained_run


@dataclasses.dataclass(frozen=True)
class MeasuredCells:
    """Accepted cells of a run's data set.

    Attributes:
        rows: of the cell lines that the run was trained on.
        families: measurement -> its family, of all measurements that the network could see.
        other_lines: validation cells of other cell lines.
    """

    rows: pd.DataFrame
    families: dict[str, families.Family]
    other_lines: pd.DataFrame

    def of_split(self, split: str) -> pd.DataFrame:
        """The rows of a split."""
        return self.rows[self.rows[schema.SPLIT] == split]


def load_measured_cells(run: trained_run.Run) -> MeasuredCells:
    """Read them.

    Raises:
        StoredStateRefused: the table of cells is missing or damaged.
    """
    cells = run.data.cells
    stains = run.data.crops("validation").stains
    names = cell_table.measurements(cells, run.channels, run.markers)
    of_measurement = families.families(names, cell_table.measured_channels(cells.columns), stains)
    lines = run.config.data.cell_lines
    if not lines:
        return MeasuredCells(cells, of_measurement, cells.iloc[:0])
    own = cells[schema.CELL_LINE].isin(list(lines))
    others = cells[~own & (cells[schema.SPLIT] == "validation")]
    return MeasuredCells(cells[own], of_measurement, others)


def with_margin(run: trained_run.Run, rows: pd.DataFrame, split: str):
    """Rows of the table that have a crop in a split, and the network's margin of the last class of each, f64 [N]."""
    crops = run.data.crops(split)
    rows = rows[rows[schema.CELL_ID].isin(crops.cell_id)].reset_index(drop=True)
    crops = crop_arrays.take(crops, crop_arrays.rows_of_cells(crops, rows[schema.CELL_ID]))
    margins = methods.margins(run.predict_logits(crops))
    return rows, margins[:, -1]
