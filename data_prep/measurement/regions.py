"""Labels -> their pixels, grouped: what every measurement sums over, found once per field."""

import dataclasses
import functools

import numpy as np


@dataclasses.dataclass(frozen=True)
class Runs:
    """Stretches of one label in one row, sorted by label, then row, then column; each i64 [R].

    Attributes:
        index: of the label, 0..n-1.
        row: of the stretch.
        first: column of the first pixel.
        last: column of the last pixel.
    """

    index: np.ndarray
    row: np.ndarray
    first: np.ndarray
    last: np.ndarray


@dataclasses.dataclass(frozen=True)
class Regions:
    """The pixels of the n labels that have any, in rising order of their numbers, which may have gaps.

    Attributes:
        shape: (height, width) of the field.
        numbers: i32 [n], the labels.
        runs: their stretches of pixels.
        count: i64 [n], pixels of each label.
        pixels: i64 [P], flat indices of all labelled pixels, sorted by label, then row by row.
    """

    shape: tuple[int, int]
    numbers: np.ndarray
    runs: Runs
    count: np.ndarray
    pixels: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray) -> "Regions":
        """Group the pixels of `labels`, i32 [H, W], 0 is background."""
        flat = np.ravel(labels)
        width = max(labels.shape[1], 1)
        changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        row_starts = np.arange(0, flat.size, width)  # a run ends with its row
        begin = np.sort(np.concatenate([changes, row_starts]), kind="stable")
        length = np.diff(begin, append=flat.size)  # 0 where a row's start is a change too
        labelled = np.flatnonzero((flat[begin] > 0) & (length > 0))
        by_label = np.argsort(flat[begin[labelled]], kind="stable")
        begin = begin[labelled[by_label]]
        length = length[labelled[by_label]]
        numbers, index = np.unique(flat[begin], return_inverse=True)
        count = np.bincount(index, length, len(numbers)).astype(np.int64)
        row, first = np.divmod(begin, width)
        last = first + length - 1
        earlier_pixels = np.cumsum(length) - length
        pixels = np.repeat(begin - earlier_pixels, length) + np.arange(length.sum())
        runs = Runs(index, row, first, last)
        return cls(labels.shape, numbers, runs, count, pixels)

    @property
    def starts(self) -> np.ndarray:
        """Where in `pixels` each label starts, i64 [n]."""
        return np.cumsum(self.count) - self.count

    @functools.cached_property
    def owner(self) -> np.ndarray:
        """Index of the label, 0..n-1, of each entry of `pixels`, i64 [P]."""
        return np.repeat(np.arange(len(self.count)), self.count)

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Sum over each label of `values` [P], one for each of `pixels`; f64 [n]."""
        return _reduced(np.add, values.astype(np.float64, copy=False), self.starts)

    def max(self, values: np.ndarray) -> np.ndarray:
        """Highest of `values` [P] in each label, [n]."""
        return _reduced(np.maximum, values, self.starts)

    def spread(self, per_label: np.ndarray) -> np.ndarray:
        """A value per label [n] -> the same for each of `pixels` [P]."""
        return np.repeat(per_label, self.count)

    def neighbour(self, down: int, right: int, which=slice(None)) -> np.ndarray:
        """Where in `pixels` the pixel of the same label lies that is so many rows and columns (-1..1) away.

        Args:
            down, right: the step; of several steps [K, 1].
            which: the entries of `pixels` to step from.

        Returns:
            i32 [P] or one for each of `which`, of several steps [K, P]; -1 where that pixel is of no or another label.
        """
        framed_index, entry_at = self._framed
        first, end = self._bounds
        step = down * (self.shape[1] + 2) + right
        entry = entry_at.take(framed_index[which] + step)  # counted from 1
        is_same_label = (entry > first[which]) & (entry <= end[which])
        return np.where(is_same_label, entry, 0) - 1

    @functools.cached_property
    def forward(self) -> tuple[np.ndarray, ...]:
        """`neighbour` to the right, below right, below, below left: each pair of touching pixels once; i64 [P] each."""
        steps = ((0, 1), (1, 1), (1, 0), (1, -1))
        return tuple(self.neighbour(down, right).astype(np.int64) for down, right in steps)

    @functools.cached_property
    def _framed(self):
        """The field with a frame of 1 px around it.

        Returns:
            Flat index of each of `pixels` in it, i64 [P]; for each of its pixels, one more than the entry in `pixels`,
            i32 [(H + 2) (W + 2)], 0 for those of no label.
        """
        height, width = self.shape
        runs = self.runs
        shift = np.repeat(2 * runs.row + width + 3, runs.last - runs.first + 1)
        framed_index = self.pixels + shift
        # Zeros take no memory until they are written.
        entry_at = np.zeros((height + 2) * (width + 2), np.int32)
        entry_at[framed_index] = np.arange(1, len(framed_index) + 1, dtype=np.int32)
        return framed_index, entry_at

    @functools.cached_property
    def _bounds(self):
        """For each of `pixels` the first entry of its label and the one after the last, two i32 [P]."""
        end = np.cumsum(self.count, dtype=np.int32)
        first = end - self.count.astype(np.int32)
        return self.spread(first), self.spread(end)


def _reduced(ufunc, values, starts):
    """`values` [P] reduced over each stretch that begins at one of `starts` [n]; [n]."""
    if len(starts) == 0:
        return np.zeros(0, values.dtype)
    return ufunc.reduceat(values, starts)
