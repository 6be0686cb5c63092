"""Do fields of different splits show the same cells?

Copies that were turned, mirrored, shifted, re-encoded or brightened do, and neighbouring sites that overlap.

A cell that is in two fields looks alike in both: its nucleus has the same area, shape and relative contrast. One such
pair is chance; several that the same turn and shift carry onto each other are not, unless all cells look alike. Of two
that agree the pictures decide.
"""

import dataclasses
import itertools

import numpy as np
import pandas as pd
from scipy import spatial, special, stats

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused
from cellcycle_jax.schema import Working
from data_prep.dataset.nuclear_pictures import NuclearPictures

NEAREST = 8  # cells of another split that a cell is compared with
TOLERANCE = {"area": 0.04, "eccentricity": 0.06, "form": 0.04, "contrast": 0.08}  # by which the same nucleus may differ
NEAR_PX = 3.0  # between the places of a cell, after turning and shifting
LEAST = 2  # cells that two fields share, below which nothing is asked
PAIRS = 20_000  # of cells that are drawn at random
ALIKE = 0.5  # share of the cells that come to lie on each other which look alike
SAME = 0.95  # likeness of the pictures of one nucleus; of two that look alike it was 0.92 at most in simulated fields
OTHERS = 1000  # pairs of cells that only look alike, whose pictures are compared as well
CHANCE_OF_PLACES = 1e-6  # how many pairs of fields may be found by places and shapes in a whole data set by chance
CHANCE = 1e-3  # the same by pictures
MOST_NAMED = 3  # pairs of fields in a message
TURNS = [np.array(turn) for turn in (
    [[1, 0], [0, 1]], [[0, 1], [-1, 0]], [[-1, 0], [0, -1]], [[0, -1], [1, 0]],
    [[-1, 0], [0, 1]], [[0, 1], [1, 0]], [[1, 0], [0, -1]], [[0, -1], [-1, 0]],
)]  # quarter turns, and these of the mirror image


@dataclasses.dataclass(frozen=True)
class Shared:
    """Two fields of different splits that show the same cells.

    Attributes:
        fields, splits: names, two each.
        cells: how many of them.
    """

    fields: tuple[str, str]
    splits: tuple[str, str]
    cells: int


@dataclasses.dataclass(frozen=True)
class Motion:
    """A turn, of `TURNS`, and a shift, f64 [2] px, that carries cells of one field onto cells of another."""

    turn: np.ndarray
    shift: np.ndarray
    cells: int  # that it carries onto cells that look like them


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Cells of two fields that look alike and that one motion carries onto each other.

    Attributes:
        fields: names of the two.
        motion: which carries most cells.
        candidates: how many pairs of cells of the two fields look alike.
        first, second: i64 [m], rows of the cells that it carries onto each other.
    """

    fields: tuple[str, str]
    motion: Motion
    candidates: int
    first: np.ndarray
    second: np.ndarray


def refuse_shared(table: pd.DataFrame, nucleus: str, pictures: NuclearPictures | None) -> None:
    """Refuse fields of two splits that show the same cells.

    Args:
        table: all objects; see `shared`.
        nucleus: name of the nuclear channel.
        pictures: of the cells.

    Raises:
        InputRefused: names the fields, their splits and how many cells they share.
    """
    found = shared(table, nucleus, pictures)
    if not found:
        return
    named = []
    for pair in found[:MOST_NAMED]:
        first, second = (f"{field} ({split})" for field, split in zip(pair.fields, pair.splits, strict=True))
        named.append(f"{first} and {second} share {pair.cells}")
    more = f" and {len(found) - MOST_NAMED} more pairs" if len(found) > MOST_NAMED else ""
    raise InputRefused(
        f"the same cells are in two splits: {'; '.join(named)}{more}; remove the copy, or where sites of a well "
        "overlap split by well (--config.split.by=well)"
    )


def shared(table: pd.DataFrame, nucleus: str, pictures: NuclearPictures | None) -> list[Shared]:
    """Pairs of fields of different splits that show the same cells, most cells first.

    Args:
        table: all objects, with field, split, centre (px) and measurements of the nucleus.
        nucleus: name of the nuclear channel.
        pictures: of the cells; None: places and shapes alone decide.
    """
    cells = table[~table[Working.TOUCHES_BORDER].to_numpy(bool)]
    looks = look(cells, nucleus)
    known = np.isfinite(looks).all(1)
    looks = looks[known]
    cells = cells[known]
    fields = cells[schema.FIELD].to_numpy(str)
    splits = cells[schema.SPLIT].to_numpy(str)
    places = cells[[schema.CENTRE_Y, schema.CENTRE_X]].to_numpy(float)
    candidates = _alike(looks, splits)
    candidates = candidates[fields[candidates[:, 0]] != fields[candidates[:, 1]]]  # not of one field that is divided
    agreements, n_pairs = _agreements(candidates, fields, places)
    area = np.prod(np.ptp(places, axis=0)) if len(places) else 0.0
    places_of = {field: places[rows] for field, rows in cells.groupby(schema.FIELD).indices.items()}
    are_same = np.zeros(len(agreements), bool)
    if pictures is not None and agreements:
        are_same = _same_by_pictures(agreements, candidates, cells, fields, pictures)
    often = often_alike(looks, fields)
    found = []
    for agreement, is_same in zip(agreements, are_same, strict=True):
        meeting = _meeting(agreement.motion, *(places_of[name] for name in agreement.fields))
        if is_same or _same_by_places(agreement, meeting, n_pairs, area, often):
            of_splits = splits[agreement.first[0]], splits[agreement.second[0]]
            found.append(Shared(agreement.fields, of_splits, agreement.motion.cells))
    return sorted(found, key=lambda pair: pair.cells, reverse=True)


def _agreements(candidates, fields, places) -> tuple[list[Agreement], int]:
    """Pairs of fields of which at least LEAST cells agree in a motion, and how many pairs hold cells that look alike.

    Args:
        candidates: i64 [M, 2], rows of cells that look alike.
        fields: text [N].
        places: f64 [N, 2], px.
    """
    by_fields = pd.Series(range(len(candidates))).groupby([fields[candidates[:, 0]], fields[candidates[:, 1]]]).indices
    agreements = []
    for names, rows in by_fields.items():
        if len(rows) < LEAST:
            continue
        first, second = candidates[rows].T
        motion = _best_motion(places[first], places[second], first, second)
        if motion.cells < LEAST:
            continue
        apart = places[second] - places[first] @ motion.turn.T - motion.shift
        agree = np.hypot(*apart.T) <= NEAR_PX
        agreements.append(Agreement(names, motion, len(rows), first[agree], second[agree]))
    return agreements, len(by_fields)


def _same_by_places(agreement: Agreement, meeting: int, n_pairs: int, area: float, often: float) -> bool:
    """Whether so many cells agree in their places and shapes that it is no chance.

    Args:
        agreement: of two fields.
        meeting: cells that the motion carries onto any cell.
        n_pairs: pairs of fields.
        area: of the fields, px^2.
        often: as of `often_alike`.
    """
    cells = agreement.motion.cells
    if cells < ALIKE * meeting:
        return False
    by_places = by_chance(cells, agreement.candidates, area) * n_pairs
    by_looks = stats.binom.sf(cells - 1, meeting, often) * n_pairs
    return max(by_places, by_looks) < CHANCE_OF_PLACES


def _same_by_pictures(agreements, candidates, cells, fields, pictures: NuclearPictures) -> np.ndarray:
    """Whether the cells of each agreement have the same pictures, more often than others that look alike: bool [A].

    Args:
        agreements: A of them.
        candidates: i64 [M, 2], rows of cells that look alike.
        cells: table of N objects.
        fields: text [N].
        pictures: of the cells.
    """
    names = cells[schema.CELL_ID].to_numpy(str)
    agreeing = set()
    for agreement in agreements:
        agreeing |= set(zip(agreement.first.tolist(), agreement.second.tolist(), strict=True))
    others = np.array([pair for pair in candidates.tolist() if tuple(pair) not in agreeing]).reshape(-1, 2)
    rng = np.random.default_rng(0)
    drawn = others[rng.permutation(len(others))[:OTHERS]]
    of_others = np.zeros(len(drawn))
    for row, (first, second) in enumerate(drawn[np.argsort(fields[drawn[:, 0]])]):
        turn = TURNS[rng.integers(len(TURNS))]
        [of_others[row]] = pictures.likeness(fields[first], names[[first]], fields[second], names[[second]], turn)
    often = (np.count_nonzero(of_others >= SAME) + 1) / (np.count_nonzero(np.isfinite(of_others)) + 1)
    are_same = []
    for agreement in agreements:
        first, second = agreement.fields
        alike = pictures.likeness(
            first, names[agreement.first], second, names[agreement.second], agreement.motion.turn
        )
        number = np.count_nonzero(alike >= SAME)
        known = np.count_nonzero(np.isfinite(alike))
        chances = stats.binom.sf(number - 1, known, often) * len(agreements)
        are_same.append(number >= LEAST and number >= ALIKE * known and chances < CHANCE)
    return np.array(are_same)


def look(cells: pd.DataFrame, nucleus: str) -> np.ndarray:
    """What is the same of a nucleus however its field is turned, moved or brightened, f64 [N, 4], in `TOLERANCE`."""
    mean = cells[f"Nuclei_Intensity_MeanIntensity_{nucleus}"].to_numpy(float)
    spread = cells[f"Nuclei_Intensity_StdIntensity_{nucleus}"].to_numpy(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = {
            "area": np.log(cells[schema.NUCLEAR_AREA].to_numpy(float)),
            "eccentricity": cells["Nuclei_AreaShape_Eccentricity"].to_numpy(float) ** 2,
            "form": cells["Nuclei_AreaShape_FormFactor"].to_numpy(float),
            "contrast": np.log(spread / mean),
        }
    return np.column_stack([values[name] / tolerance for name, tolerance in TOLERANCE.items()])


def often_alike(looks, fields) -> float:
    """How often two cells of different fields look alike: seldom, but of beads or cells of one mould always.

    Args:
        looks: as of `look`.
        fields: text [N].

    Returns:
        The share of PAIRS pairs drawn at random, one added to both.
    """
    if len(np.unique(fields)) < 2:
        return 1.0
    first, second = np.random.default_rng(0).integers(0, len(fields), (2, PAIRS))
    of_two = fields[first] != fields[second]
    difference = np.abs(looks[first[of_two]] - looks[second[of_two]]).max(1)
    return float(((difference <= 1).sum() + 1) / (of_two.sum() + 1))


def _alike(looks, splits) -> np.ndarray:
    """Pairs of cells of different splits that look alike, i64 [M, 2]."""
    pairs = [np.empty((0, 2), np.int64)]
    for first, second in itertools.combinations(np.unique(splits), 2):
        of_first = np.flatnonzero(splits == first)
        of_second = np.flatnonzero(splits == second)
        nearest = min(NEAREST, len(of_second))
        tree = spatial.cKDTree(looks[of_second])
        distance, found = tree.query(looks[of_first], range(1, nearest + 1), p=np.inf, distance_upper_bound=1.0)
        near = np.isfinite(distance)
        pairs.append(np.column_stack([np.repeat(of_first, near.sum(1)), of_second[found[near]]]))
    return np.concatenate(pairs)


def _best_motion(places, others, cells, other_cells) -> Motion:
    """The turn and shift that carries most cells onto cells that look like them.

    Args:
        places, others: f64 [M, 2] of pairs of cells that look alike, px.
        cells, other_cells: i64 [M], which cells they are.
    """
    best = Motion(TURNS[0], np.zeros(2), 0)
    for turn in TURNS:
        shifts = others - places @ turn.T
        tree = spatial.cKDTree(shifts)
        for near in tree.query_ball_point(shifts, NEAR_PX):
            if len(near) <= best.cells:
                continue
            number = min(len(set(cells[near])), len(set(other_cells[near])))
            if number > best.cells:
                best = Motion(turn, np.median(shifts[near], axis=0), number)
    return best


def _meeting(motion: Motion, places, others) -> int:
    """How many cells of a field at places f64 [n, 2] come to lie on any cell of the other at f64 [m, 2].

    Where cells stand in a grid, many meet at many shifts, and hardly any of them look alike.
    """
    distance, _ = spatial.cKDTree(others).query(places @ motion.turn.T + motion.shift)
    return int((distance <= NEAR_PX).sum())


def by_chance(number: int, pairs: int, area: float) -> float:
    """How often pairs of cells at random places would agree in a shift: an upper bound of the expected number.

    Args:
        number: pairs that agree.
        pairs: pairs of cells that look alike.
        area: of the fields, px^2; shifts fill four times as much.
    """
    agree = min(1.0, np.pi * NEAR_PX**2 / max(4 * area, 1.0))
    return len(TURNS) * special.comb(pairs, number) * number * agree ** (number - 1)
