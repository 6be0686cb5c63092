"""Labels -> their pixels, grouped: what every measurement sums over, found once per field."""

import dataclasses
import functools

import numpy as np


@dataclasses.dataclass(frozen=True)
class Runs:
    """Stretches of one label in one row, sorted by label, then row, then column; each i64 [R]."""

    index: np.ndarray  # of the label, 0..n-1
    row: np.ndarray
    first: np.ndarray  # column of the first pixel
    last: np.ndarray  # column of the last pixel


@dataclasses.dataclass(frozen=True)
class Regions:
    """The pixels of the n labels that have any, in rising order of their numbers, which may have gaps."""

    shape: tuple[int, int]  # of the field
    numbers: np.ndarray  # i32 [n], the labels
    runs: Runs
    count: np.ndarray  # i64 [n], pixels of each label
    pixels: np.ndarray  # i64 [P], flat indices of all labelled pixels, sorted by label, then row by row

    @classmethod
    def of(cls, labels: np.ndarray) -> "Regions":
        """Group the pixels of `labels`, i32 [H, W], 0 is background."""
        flat, width = np.ravel(labels), max(labels.shape[1], 1)
        change = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        begin = np.sort(np.concatenate([change, np.arange(0, flat.size, width)]), kind="stable")  # a row's end ends it
        length = np.diff(begin, append=flat.size)  # 0 where a row's start is a change too
        inside = np.flatnonzero((flat[begin] > 0) & (length > 0))
        inside = inside[np.argsort(flat[begin[inside]], kind="stable")]
        begin, length = begin[inside], length[inside]
        numbers, index = np.unique(flat[begin], return_inverse=True)
        count = np.bincount(index, length, len(numbers)).astype(np.int64)
        row, first = np.divmod(begin, width)
        pixels = np.repeat(begin - np.cumsum(length) + length, length) + np.arange(length.sum())
        return cls(labels.shape, numbers, Runs(index, row, first, first + length - 1), count, pixels)

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
        place, at = self._framed
        first, end = self._bounds
        there = at.take(place[which] + (down * (self.shape[1] + 2) + right))
        return np.where((there > first[which]) & (there <= end[which]), there, 0) - 1

    @functools.cached_property
    def forward(self) -> tuple[np.ndarray, ...]:
        """`neighbour` to the right, below right, below, below left: each pair of touching pixels once; i64 [P] each."""
        return tuple(self.neighbour(*step).astype(np.int64) for step in ((0, 1), (1, 1), (1, 0), (1, -1)))

    @functools.cached_property
    def _framed(self):
        """Flat place of each of `pixels` in the field with a frame of 1 px; one more than the entry at each place."""
        width, runs = self.shape[1], self.runs
        place = self.pixels + np.repeat(2 * runs.row + width + 3, runs.last - runs.first + 1)
        at = np.zeros((self.shape[0] + 2) * (width + 2), np.int32)  # zeros take no memory until they are written
        at[place] = np.arange(1, len(place) + 1, dtype=np.int32)
        return place, at

    @functools.cached_property
    def _bounds(self):
        """For each of `pixels` the first entry of its label and the one after the last, two i32 [P]."""
        end = np.cumsum(self.count, dtype=np.int32)
        return self.spread(end - self.count.astype(np.int32)), self.spread(end)


def _reduced(ufunc, values, starts):
    return ufunc.reduceat(values, starts) if len(starts) else np.zeros(0, values.dtype)
