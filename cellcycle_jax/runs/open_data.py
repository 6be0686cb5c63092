"""A data set that is open: each split and table of it is read once, however many runs and commands ask for it."""

import functools
import pathlib

import pandas as pd

from cellcycle_jax.dataset import cell_table, crop_arrays
from cellcycle_jax.devices import memory


class OpenData:
    """The cells of a data set, as far as they were asked for. Their groups are what intervals leave out at a time.

    A study opens its data set once and hands it to `train`, `evaluate`, `explain` and `load_run` in the place of its
    folder. The folder may not be prepared anew meanwhile.
    """

    def __init__(self, folder, keeps_pixels: bool = True):
        """Nothing is read yet.

        Args:
            folder: DATA, which `prepare` wrote.
            keeps_pixels: whether pixels that were read stay in memory where all of their split have room there; of no
                use where each cell is asked for once.
        """
        self.folder = pathlib.Path(folder)
        self._keeps_pixels = keeps_pixels
        self._crops = {}
        self._made = {}

    def crops(self, split: str, final: bool = False) -> crop_arrays.Crops:
        """All crops of a split. Their pixels stay on disk until they are asked for.

        Args:
            split, final: as of `crop_arrays.load_crops`, which says what is raised.
        """
        if (split, final) not in self._crops:
            crops = crop_arrays.load_crops(self.folder, split, final, pixels=False)
            crops = crop_arrays.regrouped(crops, self.interval_unit)
            if self._keeps_pixels and memory.place("auto", crops.pixel_bytes) != "disk":
                crops = crop_arrays.keeping_pixels(crops)
            self._crops[split, final] = crops
        return self._crops[split, final]

    @functools.cached_property
    def all_cells(self) -> pd.DataFrame:
        """The table of all objects, those of the locked test split too: `cell_table.load_cells`.

        Groups are what intervals leave out at a time, here as in the crops.
        """
        return cell_table.regrouped(cell_table.load_cells(self.folder), self.interval_unit)

    @functools.cached_property
    def interval_unit(self) -> str:
        """What intervals leave out at a time, see `crop_arrays.interval_unit`."""
        return crop_arrays.interval_unit(self.folder)

    @functools.cached_property
    def cells(self) -> pd.DataFrame:
        """Accepted cells, but for those of the locked test split: rows of cells.parquet.

        Raises:
            StoredStateRefused: the table is missing or damaged.
        """
        return cell_table.unlocked(self.all_cells)

    def made_once(self, key, make):
        """What `make()` makes of this data set alone, made when it is first asked for under this key."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def opened(data) -> OpenData:
    """A data set that may be open already, or a folder that is opened now, to be gone through once."""
    return data if isinstance(data, OpenData) else OpenData(data, keeps_pixels=False)
