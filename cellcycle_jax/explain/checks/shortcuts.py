"""Does a network read the class from what is not the cell: its surroundings, the brightness of its field, its batch?

A cell is given a property of another cell, the donor, and the network is asked again. Donors are drawn at random, so
what the network then says goes with the donor's class only through the property that was handed over: the expected
difference between donors of one class and of another is zero unless the property gives the class away and the network
reads it. That holds for any network and any cells, also for those that it was trained on.
"""

import dataclasses
import functools

import numpy as np
from scipy import ndimage, stats

from cellcycle_jax import schema
from cellcycle_jax.explain.attribution.methods import logits_of, margins
from cellcycle_jax.explain.checks.score import auroc_with_interval
from cellcycle_jax.scoring.intervals import Interval, Resampling

DONORS = 8  # donors of each cell
LEAST_CELLS = 3  # other cells of a field from which its brightness is known
CUT = 0.25  # of a field's cells, the darkest and the brightest that do not count
PURE = 0.9  # share of cells in fields of one class from which fields count as holding one class each
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
    validation: np.ndarray  # bool [N], cells whose difference between classes is taken

    def take(self, rows) -> "Cells":
        """The cells `rows` (indices or a mask), in that order."""
        return Cells(*(getattr(self, field.name)[rows] for field in dataclasses.fields(self)))

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


def crop_levels(cells: Cells) -> np.ndarray:
    """Mean brightness of each crop's empty places and of its body by channel, f64 [N, 2, K]; NaN where it has none."""
    places = cells.empty, cells.having(BIT.BODY | BIT.NUCLEUS)
    return np.stack([_means(cells.images, where) for where in places], axis=1)


def field_levels(own, cell_ids, fields, asked_ids, asked_fields) -> np.ndarray:
    """Brightness of the field of each asked cell by channel, as the other cells of the field tell it.

    A cell's own brightness is its biology too, so it has no part in what counts as its field's.

    Args:
        own: f64 [N, 2, K], as `crop_levels` returns it, of any cells of these fields, labelled or not.
        cell_ids, fields: text [N], of these cells.
        asked_ids, asked_fields: text [M], of the asked cells, which may be among the N.

    Returns:
        f64 [M, 2, K]: the field's empty places, and its bodies above these; 0 where there is no other cell. Both are
        means over cells without the darkest and the brightest quarter: odd cells do not rule them, and where the cells
        of a field are of two kinds they do not jump from one to the other with a single cell, as medians do.
    """
    levels = np.zeros((len(asked_ids), *own.shape[1:]))
    for field in np.unique(asked_fields):
        rows = fields == field
        ids, empty, body = cell_ids[rows], own[rows, 0], own[rows, 1]
        for i in np.flatnonzero(asked_fields == field):
            others = ids != asked_ids[i]
            dark = np.nan_to_num(_middle(empty[others]))
            levels[i] = dark, np.nan_to_num(_middle(body[others]) - dark)
    return levels


def one_class_fields(label, fields) -> bool | None:
    """Whether (nearly) every field holds one class: what is bright may then be the field's light or the cells.

    Args:
        label: i32 [N], of labelled cells.
        fields: text [N], their fields. Those with a single labelled cell do not count; None where all are such.
    """
    names, member, count = np.unique(fields, return_inverse=True, return_counts=True)
    pure = np.array([len(np.unique(label[member == i])) == 1 for i in range(len(names))], bool)
    several = count[count > 1].sum()
    return bool(count[pure & (count > 1)].sum() >= PURE * several) if several else None


def _means(images, where):
    """Mean of each channel over bool [N, S, S], f64 [N, K]; NaN where it is nowhere."""
    count = where.sum((1, 2))[:, None]
    total = np.einsum("nijk,nij->nk", images, where, dtype=np.float64)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _middle(values):
    known = values[np.isfinite(values).all(1)]
    return stats.trim_mean(known, CUT, axis=0) if len(known) else np.full(values.shape[1], np.nan)


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


def donor_logits(network, cells: Cells, change, seed: int):
    """Logits of cells that were given something of donors.

    Args:
        network: the network.
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
        found.append(logits_of(network, change(rows, donors, rng)))
        drawn.append(donors)
    return np.concatenate(found), np.tile(rows, DONORS), np.concatenate(drawn)


def carried(given, own, donors, intact, cells: Cells, resampling: Resampling) -> dict:
    """Share of the difference between classes that goes with a property to another cell.

    The difference of a class is its margin (logit less the mean of the others') in cells of the class less that in
    other cells. That of what was handed over is taken by the donors' labels, and the cell's mean over its other donors
    is taken off before; it is divided by that of intact validation cells by their own labels, since a network may know
    its training cells by heart.

    Args:
        given, own, donors: as `donor_logits` returns them.
        intact: logits f32 [N, P] of the cells as they are.

    Returns:
        {value, low, high, dropped, class}. Of two classes there is one share, that of the last. Of more each has its
        own, with an interval of confidence 1 - (1 - confidence) / P, and the largest is returned with the index of its
        class; if any lies above zero, the largest of those. A cell whose donors can be of one class only, since its
        group alone holds the other, tells nothing and is left out. NaN where that is every cell, or where validation
        cells of the class have no larger margin than others.
    """
    handed, whole = margins(given), margins(intact)
    handed -= handed.reshape(DONORS, -1, handed.shape[1]).mean(0)[own]
    handed *= DONORS / (DONORS - 1)  # less the mean over the others: that over all holds what it is compared with
    one = np.eye(handed.shape[1])[cells.label]
    groups = np.concatenate([cells.groups[donors], cells.groups])
    asked, classes = _has_choice(cells.label, cells.groups)[own], one.shape[1]

    def score(weights):
        of_donors, of_cells = weights[:, : len(donors)] * asked, weights[:, len(donors) :] * cells.validation
        moved, all_of_it = _difference(handed, one[donors], of_donors), _difference(whole, one, of_cells)
        share = np.divide(moved, all_of_it, out=np.full(moved.shape, np.nan), where=all_of_it > 0)
        return {p: share[:, p] for p in (range(classes) if classes > 2 else [classes - 1])}

    if classes > 2:
        confidence = 1 - (1 - resampling.confidence) / classes
        resampling = dataclasses.replace(resampling, confidence=confidence)
    shares = {}
    for class_index, share in resampling.intervals(score, groups).items():
        known = np.isfinite(share.value)
        shares[class_index] = share if known else Interval(share.value, dropped=share.dropped)
    largest = max(shares, key=lambda p: (shares[p].low > 0, np.nan_to_num(shares[p].value, nan=-np.inf)))
    return {**shares[largest].as_json(), "class": largest}


def _has_choice(label, groups) -> np.ndarray:
    """Whether the donors of each cell can be of more than one class, bool [N]; see `draw_donors`."""
    if len(np.unique(groups)) < 2:
        return np.full(len(label), len(np.unique(label)) > 1)
    choice = {group: len(np.unique(label[groups != group])) > 1 for group in np.unique(groups)}
    return np.array([choice[group] for group in groups])


def _difference(margin, one, weights):
    """Mean margin of each class inside less outside the class, f64 [B, P]; `one` f64 [N, P] says the class."""
    def mean(of, at):
        total = weights @ at
        return np.where(total > 0, weights @ (of * at) / np.maximum(total, 1e-300), np.nan)

    return mean(margin, one) - mean(margin, 1 - one)


def surroundings(network, cells: Cells, intact, resampling: Resampling) -> dict:
    """What the network reads in the surroundings, and what is left of its score on others' surroundings.

    Args:
        network: the network.
        cells: N of them, some of them of validation.
        intact: logits f32 [N, P] of the cells as they are.
        resampling: how intervals are made.

    Returns:
        intact: the score as it is; cell: the score of cells on others' surroundings, by their own labels; around: by
        the labels of those whose surroundings they have (areas under the ROC curve); changed: share of calls that
        others' surroundings change; all these of validation cells (around: of validation donors). carried: see
        `carried`. All but carried are intervals.
    """
    def change(rows, donors, rng):
        return with_surroundings(cells, rows, donors, rng)

    given, own, donors = donor_logits(network, cells, change, resampling.seed)
    changed = (given.argmax(1) != intact[own].argmax(1)).astype(float)
    as_own, as_donor = cells.validation[own], cells.validation[donors]

    def told_by(logits, of, kept):
        return auroc_with_interval(logits[kept], cells.label[of[kept]], cells.groups[of[kept]], resampling)

    return {
        "intact": told_by(intact, np.arange(len(intact)), cells.validation),
        "cell": told_by(given, own, as_own),
        "around": told_by(given, donors, as_donor),
        "carried": carried(given, own, donors, intact, cells, resampling),
        "changed": resampling.mean(changed[as_own], cells.groups[own[as_own]]),
    }


def brightness(network, cells: Cells, levels, intact, resampling: Resampling) -> dict:
    """What the network reads in the brightness of the field: see `carried`; `levels` as of `field_levels`."""
    def change(rows, donors, _):
        return with_brightness(cells, rows, donors, levels)

    given, own, donors = donor_logits(network, cells, change, resampling.seed)
    return carried(given, own, donors, intact, cells, resampling)


def batch(label, batches, groups, resampling: Resampling) -> dict | None:
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
    return resampling.scores(label, prob, groups, ("auroc",))["auroc"]


def is_shortcut(share: Interval, limit: float) -> bool:
    """Whether the share of the difference that goes with a property is an alarm: at the limit and certainly above 0."""
    return share.value >= limit and share.low > 0
