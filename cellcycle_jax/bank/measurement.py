"""What a measurement of the bank is: a number of each cell, with a formula, a unit, channels and a region."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Measurement:
    """A measurement of N cells.

    Attributes:
        name: as a column of the table of cells has it: OWNER_KIND_WHAT_CHANNEL, OWNER being Nuclei or Cells.
        words: what it is, for the axis of a plot.
        family: name of its kind; measurements of a family differ in channel, region or scale only.
        channels: in which it is seen, the first is the one that is measured.
        region: "nucleus" or "cytoplasm".
        unit: "" of a number without one.
        formula: how it is computed.
        values: f64 [N], NaN of a cell that does not have it.
    """

    name: str
    words: str
    family: str
    channels: tuple[str, ...]
    region: str
    unit: str
    formula: str
    values: np.ndarray


OWNERS = {"nucleus": "Nuclei", "cytoplasm": "Cells"}


def column(region: str, kind: str, what: str, channel: str) -> str:
    """Name of the column of a measurement."""
    return f"{OWNERS[region]}_{kind}_{what}_{channel}"
