"""How alike the pictures of two nuclei are, one of them turned: nearly equal if it is the same nucleus."""

import functools
import pathlib

import numpy as np
from scipy import ndimage

from cellcycle_jax import crop_file

SMOOTH_PX = 1.0  # sd of the Gaussian that takes off noise, px of the crop
REACH_PX = 1  # by which the centres of two crops of a nucleus may differ
FIELDS_AT_HAND = 64  # whose files are not opened anew


class NuclearPictures:
    """The nuclear channel of the crops that preparation cut."""

    def __init__(self, folder: pathlib.Path, channel: int):
        """Nothing is read yet.

        Args:
            folder: the work folder of preparation, see `crop_file`.
            channel: position of the nuclear channel.
        """
        self._channel = channel
        self._stored = functools.lru_cache(FIELDS_AT_HAND)(lambda field: _numbered(crop_file.index(folder, field)))

    def likeness(self, field, cells, other_field, other_cells, turn) -> np.ndarray:
        """How alike the pictures of n cells of one field are to those of n cells of another: f64 [n].

        Args:
            field, other_field: names.
            cells, other_cells: text [n], names of the cells.
            turn: i [2, 2], of rows and columns, that carries the first field onto the other.

        Returns:
            See `correlation`; NaN where one has no crop, as at the border.

        Raises:
            StoredStateRefused: the crops of a field are missing or damaged.
        """
        found = np.full(len(cells), np.nan)
        for row, (cell, other) in enumerate(zip(cells, other_cells, strict=True)):
            picture = self._picture(field, cell)
            other_picture = self._picture(other_field, other)
            if picture is not None and other_picture is not None:
                found[row] = correlation(turned(picture, turn), other_picture)
        return found

    def _picture(self, field, cell) -> np.ndarray | None:
        stored, numbers = self._stored(field)
        if cell not in numbers:
            return None
        image, _ = stored.read([numbers[cell]])
        return image[0, :, :, self._channel]


def _numbered(stored: crop_file.FieldCrops):
    return stored, stored.places()


def turned(picture, turn) -> np.ndarray:
    """A picture [S, S] after a quarter turn, or one of its mirror image, of its middle: `turn` i [2, 2] of (y, x)."""
    swaps = turn[0][0] == 0
    moved = picture.T if swaps else picture
    along_y, along_x = (turn[0][1], turn[1][0]) if swaps else (turn[0][0], turn[1][1])
    return moved[:: int(along_y), :: int(along_x)]


def correlation(picture, other) -> float:
    """Largest correlation of two pictures [S, S], smoothed, over shifts by up to REACH_PX; NaN if one is flat."""
    smooth = ndimage.gaussian_filter(np.asarray(picture, np.float64), SMOOTH_PX)
    other = ndimage.gaussian_filter(np.asarray(other, np.float64), SMOOTH_PX)
    side = smooth.shape[0] - 2 * REACH_PX
    inner = _standardised(smooth[REACH_PX : REACH_PX + side, REACH_PX : REACH_PX + side])
    shifts = range(2 * REACH_PX + 1)
    found = [
        np.mean(inner * _standardised(other[down : down + side, across : across + side]))
        for down in shifts
        for across in shifts
    ]
    return float(np.max(found))


def _standardised(picture):
    spread = picture.std()
    return (picture - picture.mean()) / (spread if spread > 0 else np.nan)
