"""Does a network read the class from what is not the cell: its surroundings, the brightness of its field, its batch?

A cell is given a property of another cell, the donor, and the network is asked again. Donors are drawn at random, so
what the network then says goes with the donor's class only through the property that was handed over: the expected
difference between donors of one class and of another is zero unless the property gives the class away and the network
reads it. That holds for any network and any cells, also for those that it was trained on.
"""

import dataclasses
import functools

import numpy as np
from scipy import ndimage, special

from cellcycle_jax import schema, statistics
from cellcycle_jax.explain.methods import logits_of, margins

DONORS = 8  # donors of each cell
CONFIDENCE = 0.99  # of the intervals: several properties are asked for, and an alarm should mean something
# Share of the difference between classes from which a property counts as a shortcut, if its interval lies above zero.
# Fields differ in their cells too, so what goes with the brightness of a field is less well known.
LEAST = {"surroundings": 0.1, "brightness": 0.3}
FRINGE = 0.1  # how far a cell may reach beyond what is taken for its body, share of the crop's size
BIT = schema.Compartment


@dataclasses.dataclass(frozen=True)
class Cells:
    """Labelled cells as the network sees them."""

    images: np.ndarray  # f32 [N, S, S, K], background 0
    label: np.ndarray  # i32 [N]
    compartments: np.ndarray  # u8 [N, S, S], bits of schema.Compartment
    groups: np.ndarray  # text [N], what intervals resample
    fields: np.ndarray  # text [N]

    def having(self, bits) -> np.ndarray:
        """Where any of some bits is set, bool [N, S, S]."""
        return (self.compartments & int(bits)) > 0

    @functools.cached_property
    def reach(self) -> np.ndarray:
        """As far as each cell may reach: its body and a fringe around it, without other nuclei; bool [N, S, S]."""
        body = self.having(BIT.BODY | BIT.NUCLEUS)
        far = max(1, round(FRINGE * body.shape[1]))
        wide = np.stack([ndimage.distance_transform_edt(~one) <= far if one.any() else one for one in body])
        return wide & ~self.having(BIT.OTHER_NUCLEI)

    @functools.cached_property
    def empty(self) -> np.ndarray:
        """What belongs to no nucleus and is out of the cell's reach, bool [N, S, S]."""
        return ~self.reach & ~self.having(BIT.OTHER_NUCLEI | BIT.DEBRIS)


def draw_donors(groups, rng) -> np.ndarray:
    """For each cell another one of another group, or any other where there is one group only; i64 [N]."""
    groups, n = np.asarray(groups), len(groups)
    several = len(np.unique(groups)) > 1
    donors = rng.integers(0, n, n)
    for _ in range(1000):
        own = groups[donors] == groups if several else donors == np.arange(n)
        if not own.any():
            break
        donors[own] = rng.integers(0, n, own.sum())
    return donors


def with_surroundings(cells: Cells, rows, donors, rng) -> np.ndarray:
    """The cells `rows` with what surrounds `donors`; f32 [M, S, S, K].

    Other nuclei of the donor cover the cell's body, but not its nucleus. Out of the cell's reach, where the donor was,
    pixels of the donor's empty places are drawn at random, so that the size of the donor leaves no hole; zero where the
    donor has none.
    """
    images = cells.images
    shape = images[rows].shape
    empty = cells.empty[donors].reshape(len(rows), -1)
    places = np.argsort(~empty, axis=1, kind="stable")  # the empty ones first
    drawn = (rng.random(places.shape) * empty.sum(1)[:, None]).astype(np.int64)
    drawn = np.take_along_axis(places, drawn, axis=1)[..., None]
    fill = np.take_along_axis(images[donors].reshape(len(rows), -1, shape[-1]), drawn, axis=1).reshape(shape)
    fill = np.where(empty.any(1)[:, None, None, None], fill, 0)
    around = np.where(cells.reach[donors][..., None], fill, images[donors])
    neighbours = cells.having(BIT.OTHER_NUCLEI)[donors]
    kept = cells.having(BIT.NUCLEUS)[rows] | (cells.reach[rows] & ~neighbours)
    return np.where(kept[..., None], images[rows], around).astype(np.float32)


def field_levels(cells: Cells) -> np.ndarray:
    """Brightness of each cell's field by channel: f64 [N, 2, K], its empty places, and its bodies above these.

    Both are medians over the field's cells of the mean within the cell, so that few cells of a class do not rule them.
    """
    levels = np.zeros((len(cells.label), 2, cells.images.shape[-1]))
    places = cells.empty, cells.having(BIT.BODY | BIT.NUCLEUS)
    empty, body = (_means(cells.images, where) for where in places)
    for field in np.unique(cells.fields):
        rows = cells.fields == field
        dark = np.nan_to_num(_median(empty[rows]))
        levels[rows] = dark, np.nan_to_num(_median(body[rows]) - dark)
    return levels


def _means(images, where):
    """Mean of each channel over bool [N, S, S], f64 [N, K]; NaN where it is nowhere."""
    count = where.sum((1, 2))[:, None]
    total = np.einsum("nijk,nij->nk", images, where, dtype=np.float64)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _median(values):
    known = values[np.isfinite(values).all(1)]
    return np.median(known, axis=0) if len(known) else np.full(values.shape[1], np.nan)


def with_brightness(cells: Cells, rows, donors, levels) -> np.ndarray:
    """The cells `rows` as bright as the fields of `donors`: offset and gain of each channel; f32 [M, S, S, K].

    Args:
        cells: of which `rows` and `donors` [M] are.
        levels: as of `field_levels`. A channel in which a field has no signal keeps its gain.
    """
    (dark, signal), (dark_new, signal_new) = (np.moveaxis(levels[of], 1, 0) for of in (rows, donors))
    usable = (signal > 0) & (signal_new > 0)
    gain = np.where(usable, signal_new / np.where(usable, signal, 1), 1)
    dark, gain, dark_new = (a[:, None, None, :] for a in (dark, gain, dark_new))
    return ((cells.images[rows] - dark) * gain + dark_new).astype(np.float32)


def donor_logits(model, variables, cells: Cells, change, seed: int):
    """Logits of cells that were given something of donors.

    Args:
        model, variables: the network.
        cells: N of them.
        change: `(rows, donors, rng) -> images` of the cells `rows`.
        seed: of the draw of donors.

    Returns:
        logits f32 [DONORS N, P], and the cell and the donor of each, i64 [DONORS N].
    """
    rng, rows = np.random.default_rng(seed), np.arange(len(cells.label))
    found, drawn = [], []
    for _ in range(DONORS):
        donors = draw_donors(cells.groups, rng)
        found.append(logits_of(model, variables, change(rows, donors, rng)))
        drawn.append(donors)
    return np.concatenate(found), np.tile(rows, DONORS), np.concatenate(drawn)


def carried(given, own, donors, intact, cells: Cells, resampling: dict) -> dict:
    """Share of the difference between classes that goes with a property to another cell, {value, low, high}.

    The difference of a class is its margin (logit less the mean of the others') in cells of the class less that in
    other cells, averaged over classes. That of what was handed over is taken by the donors' labels, and the cell's mean
    over its other donors is taken off before; it is divided by that of intact cells by their own labels.

    Args:
        given, own, donors: as `donor_logits` returns them.
        intact: logits f32 [N, P] of the cells as they are.

    A cell whose donors can be of one class only, since its group alone holds the other, tells nothing and is left out;
    all NaN where that is every cell.
    """
    handed, whole = margins(given), margins(intact)
    handed -= handed.reshape(DONORS, -1, handed.shape[1]).mean(0)[own]
    handed *= DONORS / (DONORS - 1)  # less the mean over the others: that over all holds what it is compared with
    one = np.eye(handed.shape[1])[cells.label]
    groups = np.concatenate([cells.groups[donors], cells.groups])
    asked = _has_choice(cells.label, cells.groups)[own]

    def score(weights):
        of_donors, of_cells = weights[:, : len(donors)] * asked, weights[:, len(donors) :]
        return {"share": _difference(handed, one[donors], of_donors) / _difference(whole, one, of_cells)}

    return statistics.bootstrap_intervals(score, groups, **resampling)["share"]


def _has_choice(label, groups) -> np.ndarray:
    """Whether the donors of each cell can be of more than one class, bool [N]; see `draw_donors`."""
    if len(np.unique(groups)) < 2:
        return np.full(len(label), len(np.unique(label)) > 1)
    choice = {group: len(np.unique(label[groups != group])) > 1 for group in np.unique(groups)}
    return np.array([choice[group] for group in groups])


def _difference(margin, one, weights):
    """Mean over classes of a margin inside less outside the class, f64 [B]; `one` f64 [N, P] says the class."""
    def mean(of, at):
        total = weights @ at
        return np.where(total > 0, weights @ (of * at) / np.maximum(total, 1e-300), np.nan)

    return (mean(margin, one) - mean(margin, 1 - one)).mean(1)


def surroundings(model, variables, cells: Cells, resampling: dict) -> dict:
    """What the network reads in the surroundings, and what is left of its score on others' surroundings.

    Returns:
        intact: the score as it is; cell: the score of cells on others' surroundings, by their own labels; around: by
        the labels of those whose surroundings they have (areas under the ROC curve); carried: see `carried`; changed:
        share of calls that others' surroundings change. Each {value, low, high}.
    """
    def change(rows, donors, rng):
        return with_surroundings(cells, rows, donors, rng)

    given, own, donors = donor_logits(model, variables, cells, change, resampling["seed"])
    intact = logits_of(model, variables, cells.images)
    changed = (given.argmax(1) != intact[own].argmax(1)).astype(float)
    return {
        "intact": told(intact, cells.label, cells.groups, resampling),
        "cell": told(given, cells.label[own], cells.groups[own], resampling),
        "around": told(given, cells.label[donors], cells.groups[donors], resampling),
        "carried": carried(given, own, donors, intact, cells, resampling),
        "changed": statistics.bootstrap_intervals(lambda w: {"x": w @ changed / w.sum(1)}, cells.groups[own],
                                                  **resampling)["x"],
    }  # fmt: skip


def told(logits, label, groups, resampling: dict) -> dict:
    """Area under the ROC curve of logits f32 [N, P] against labels, with an interval clustered by group."""
    prob = special.softmax(np.asarray(logits, np.float64), axis=1)
    return statistics.scores_with_intervals(label, prob, groups, names=("auroc",), **resampling)["auroc"]


def brightness(model, variables, cells: Cells, resampling: dict) -> dict:
    """What the network reads in the brightness of the field: see `carried`."""
    levels = field_levels(cells)

    def change(rows, donors, _):
        return with_brightness(cells, rows, donors, levels)

    given, own, donors = donor_logits(model, variables, cells, change, resampling["seed"])
    return carried(given, own, donors, logits_of(model, variables, cells.images), cells, resampling)


def batch(label, batches, groups, resampling: dict) -> dict | None:
    """How well a cell's batch (plate, well, line) tells its class, without any picture; None where all are of one.

    A cell is given the share of each class among the other groups of its batch, or among all cells where its batch is
    one group.
    """
    batches, groups = np.asarray(batches, str), np.asarray(groups, str)
    if len(np.unique(batches)) < 2:
        return None
    one = np.eye(int(label.max()) + 1)[label]
    prob = np.zeros(one.shape)
    for name in np.unique(batches):
        inside = batches == name
        for group in np.unique(groups[inside]):
            others = inside & (groups != group)
            prob[inside & (groups == group)] = one[others].mean(0) if others.any() else one.mean(0)
    return statistics.scores_with_intervals(label, prob, groups, names=("auroc",), **resampling)["auroc"]


def is_shortcut(name: str, share: dict) -> bool:
    """Whether the share of the difference that goes with 'surroundings' or 'brightness' is an alarm; see `LEAST`."""
    return share["value"] >= LEAST[name] and share["low"] > 0


def caught(around: dict, light: dict) -> bool:
    """Whether surroundings or brightness give an alarm."""
    return is_shortcut("surroundings", around) or is_shortcut("brightness", light)
