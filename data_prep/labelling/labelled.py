"""What a labelling method made of the cells."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Labelled:
    """What a method made of N cells, and what it looked at.

    Attributes:
        label: i64 [N], index of the class, NO_LABEL where the method abstained.
        value: f64 [N], rises from the first class to the last; NaN where nothing is known of the cell.
        axis: what `value` is.
        cuts: {plate: {name: number}}.
        words: text [N] that was read, where classes come from names.
        pair: f64 [N, 2], log2 of the two markers, where there are two.
        doubts: sentences, why labels that were given may be wrong; they cost an explanation its trust.
        notes: sentences, which cells were given no label and why; no label is in doubt for it.
    """

    label: np.ndarray
    value: np.ndarray
    axis: str
    cuts: dict
    words: np.ndarray | None = None
    pair: np.ndarray | None = None
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
