"""The concepts of what has no name, with where each lies and the measurement that is nearest to it."""

import dataclasses

import numpy as np
import pandas as pd

from cellcycle_jax.bank.measurement import Measurement
from cellcycle_jax.scoring.intervals import Interval
from cellcycle_jax.unnamed import concepts, hint, search, where


@dataclasses.dataclass(frozen=True)
class Concept:
    """A part of what has no name.

    Attributes:
        network: whose concept it is, 0 or 1.
        said: its share, its stability, and what removing it does.
        amounts: f64 [N], of validation cells.
        places: in which channels and regions it lies, `where.COLUMNS`.
        nearest: the measurement of the bank that follows it most closely, without values.
        follows: correlation of the two on validation cells.
    """

    network: int
    said: concepts.Said
    amounts: np.ndarray
    places: pd.DataFrame
    nearest: Measurement
    follows: Interval


def concepts_of(networks, cells: hint.ValidationCells, tables, searched: hint.Searched, resampling) -> list[Concept]:
    """What has no name, divided into the concepts of both networks; see `concepts`.

    A concept of the second network to which the same measurement is nearest as to one of the first is not told again.

    Args:
        networks: both.
        cells, tables, searched, resampling: as elsewhere.
    """
    learnt = []
    for network, fitted in zip(networks, cells.fits, strict=True):
        learnt.append(_named_together(concepts.learn(network, fitted, tables), searched))
    found = []
    for number, own in enumerate(learnt):
        for said in concepts.describe(own, learnt[1 - number], number, cells, resampling):
            nearest = searched.described[_follows(own, said.number, searched)]
            if nearest.family not in [other.nearest.family for other in found if other.network != number]:
                found.append(_concept(networks[number], number, own, said, nearest, cells, searched, resampling))
    return found


def _concept(network, number: int, own, said, nearest: Measurement, cells, searched, resampling) -> Concept:
    """A concept of a network with where it lies, and how closely its nearest measurement follows it."""
    run = network.run
    rows, crops = hint.mapped(cells, run)
    places = where.shares(
        [hint.sums_of_maps(concepts.reading(network, own, said.number), run.images(crops), 1, crops)],
        np.zeros((1, len(rows))),
        cells.of_class[rows],
        crops.field_id,
        crops.group_id,
        run.channels,
        resampling,
    )
    amounts = own.of(cells.crops.cell_id)[:, said.number]
    of_searched = own.of(searched.values.index)[:, said.number]
    follows = hint.tested(searched, cells, [nearest.name], of_searched, resampling)[nearest.name]
    return Concept(number, said, amounts, places, nearest, follows)


def _named_together(learnt: concepts.Concepts, searched: hint.Searched) -> concepts.Concepts:
    """Components that the same family of measurements follows most are one concept."""
    names = []
    for number in range(learnt.amounts.shape[1]):
        nearest = searched.described[_follows(learnt, number, searched)]
        names.append(" ".join([nearest.family, nearest.region, *nearest.channels]))
    return learnt.together(names)


def _follows(learnt: concepts.Concepts, number: int, searched: hint.Searched) -> str:
    """The measurement of the bank that follows a concept most closely on training cells.

    What the table explains of a concept is taken off already, as it is of the bank.
    """
    target = learnt.of(searched.values.index)[:, number]
    target = np.where(searched.beyond.training, target, np.nan)
    strength = search.strengths(searched.beyond, target)
    return searched.beyond.names[int(strength.argmax())]
