"""Does a network read the class from what is not the cell: its surroundings, the brightness of its field, its batch?

A cell is given a property of another cell, the donor, and the network predicts its class again. Donors are drawn at
random, so the new prediction goes with the donor's class only through the property that was handed over: the expected
difference between donors of one class and of another is zero unless the property gives the class away and the network
reads it. That holds for any network and any cells, also for those that it was trained on.
"""

import dataclasses
import functools

import numpy as np
import pandas as pd
from scipy import ndimage

from cellcycle_jax import schema
from cellcycle_jax.explain.attribution.methods import logits_of_made, margins
from cellcycle_jax.explain.checks import class_shares
from cellcycle_jax.explain.checks.score import auroc_with_interval
from cellcycle_jax.scoring import metrics
from cellcycle_jax.scoring.intervals import Interval, Resampling
from cellcycle_jax.scoring.jackknife import SHARE

DONORS = 8  # donors of each cell
ROUNDING = 1e-5  # of the largest margin; what moves less is the same answer
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
        taken = {field.name: getattr(self, field.name)[rows] for field in dataclasses.fields(self)}
        return Cells(**taken)

    def having(self, bits, rows=slice(None)) -> np.ndarray:
        """Where any of some bits is set, bool [M, S, S] of the cells `rows` (indices, a mask or a slice)."""
        return (self.compartments[rows] & int(bits)) > 0

    @functools.cached_property
    def reach(self) -> np.ndarray:
        """As far as each cell may reach: its body and a fringe around it, without other nuclei; bool [N, S, S]."""
        body = self.having(BIT.BODY | BIT.NUCLEUS)
        fringe_px = max(1, round(FRINGE * body.shape[1]))
        reach = np.zeros(body.shape, bool)
        for n in np.flatnonzero(body.any(axis=(1, 2))):
            reach[n] = ndimage.distance_transform_edt(~body[n]) <= fringe_px
        return reach & ~self.having(BIT.OTHER_NUCLEI)

    @functools.cached_property
    def empty(self) -> np.ndarray:
        """What belongs to no nucleus and is out of the cell's reach, bool [N, S, S]."""
        return ~self.reach & ~self.having(BIT.OTHER_NUCLEI | BIT.DEBRIS)


def kept_apart(groups) -> np.ndarray:
    """What must differ between a cell and its donor, [N]: the group, or where there is one only the cell itself."""
    groups = np.asarray(groups)
    return groups if len(np.unique(groups)) > 1 else np.arange(len(groups))


def draw_donors(groups, rng) -> np.ndarray:
    """For each cell another one of another group, or any other where there is one group only.

    Args:
        groups: text [N], group of each cell.
        rng: NumPy generator of the draw.

    Returns:
        i64 [N], index of the donor of each cell.
    """
    must_differ = kept_apart(groups)
    n = len(must_differ)
    donors = rng.integers(0, n, n)
    for _ in range(1000):
        refused = must_differ[donors] == must_differ
        if not refused.any():
            break
        donors[refused] = rng.integers(0, n, refused.sum())
    return donors


def with_surroundings(cells: Cells, rows, donors, rng) -> np.ndarray:
    """Cells with the surroundings of their donors.

    Other nuclei of the donor cover the cell's body, but not its nucleus. Out of the cell's reach, where the donor was,
    pixels of the donor's empty places are drawn at random, so that the size of the donor leaves no hole; zero where the
    donor has none.

    Args:
        cells: of which `rows` and `donors` are.
        rows: i64 [M], the cells that are given other surroundings.
        donors: i64 [M], the donor of each.
        rng: NumPy generator of the draw of pixels.

    Returns:
        f32 [M, S, S, K], background 0.
    """
    donor_images = cells.images[donors]
    empty_pixels = random_pixels(donor_images, cells.empty[donors], rng)
    surroundings = np.where(cells.reach[donors][..., None], empty_pixels, donor_images)
    donor_neighbours = cells.having(BIT.OTHER_NUCLEI, donors)
    of_cell = cells.having(BIT.NUCLEUS, rows) | (cells.reach[rows] & ~donor_neighbours)
    return np.where(of_cell[..., None], cells.images[rows], surroundings).astype(np.float32)


def random_pixels(images, usable, rng) -> np.ndarray:
    """Each image f32 [M, S, S, K] made of its own usable pixels, bool [M, S, S], at random; zero where it has none."""
    shape = images.shape
    pixels = images.reshape(shape[0], -1, shape[-1])
    usable = usable.reshape(shape[0], -1)
    usable_first = np.argsort(~usable, axis=1, kind="stable")
    rank = (rng.random(usable.shape) * usable.sum(1)[:, None]).astype(np.int64)
    position = np.take_along_axis(usable_first, rank, axis=1)
    drawn = np.take_along_axis(pixels, position[..., None], axis=1).reshape(shape)
    return np.where(usable.any(1)[:, None, None, None], drawn, 0)


def crop_levels(cells: Cells) -> np.ndarray:
    """Mean brightness of each crop's empty places and of its body by channel, f64 [N, 2, K]; NaN where it has none."""
    empty = _means(cells.images, cells.empty)
    body = _means(cells.images, cells.having(BIT.BODY | BIT.NUCLEUS))
    return np.stack([empty, body], axis=1)


def field_levels(own, cell_ids, fields, wanted_ids, wanted_fields) -> np.ndarray:
    """Brightness of the field of each wanted cell by channel, measured on the other cells of the field.

    A cell's own brightness is its biology too, so it has no part in what counts as its field's.

    Args:
        own: f64 [N, 2, K], as `crop_levels` returns it, of any cells of these fields, labelled or not.
        cell_ids, fields: text [N], of these cells.
        wanted_ids, wanted_fields: text [M], of the wanted cells, which may be among the N.

    Returns:
        f64 [M, 2, K]: the field's empty places, and its bodies above these; 0 where there is no other cell. Both are
        means over cells without the darkest and the brightest quarter: odd cells do not rule them, and where the cells
        of a field are of two kinds they do not jump from one to the other with a single cell, as medians do.
    """
    levels = np.zeros((len(wanted_ids), *own.shape[1:]))
    for field in np.unique(wanted_fields):
        inside = fields == field
        ids = cell_ids[inside]
        empty = own[inside, 0]
        body = own[inside, 1]
        for i in np.flatnonzero(wanted_fields == field):
            others = ids != wanted_ids[i]
            background = np.nan_to_num(_trimmed_mean(empty[others]))
            levels[i, 0] = background
            levels[i, 1] = np.nan_to_num(_trimmed_mean(body[others]) - background)
    return levels


def one_class_fields(label, fields) -> bool | None:
    """Whether (nearly) every field holds one class: what is bright may then be the field's illumination or the cells.

    Args:
        label: i32 [N], of labelled cells.
        fields: text [N], their fields. Those with a single labelled cell do not count; None where all are such.
    """
    by_field = pd.Series(label).groupby(fields)
    cells = by_field.size()
    several = cells > 1
    if not several.any():
        return None
    pure = several & (by_field.nunique() == 1)
    return bool(cells[pure].sum() >= PURE * cells[several].sum())


def _means(images, where):
    """Mean of each channel over bool [N, S, S], f64 [N, K]; NaN where it is nowhere."""
    count = where.sum((1, 2))[:, None]
    total = np.einsum("nijk,nij->nk", images, where, dtype=np.float64)
    return metrics.divide(total, count)


def _trimmed_mean(values):
    """Mean f64 [K] of values f64 [n, K] without the lowest and highest; rows with NaN do not count, NaN of none."""
    known = values[np.isfinite(values).all(1)]
    n = len(known)
    if not n:
        return np.full(values.shape[1], np.nan)
    cut = int(CUT * n)
    return np.partition(known, (cut, n - cut - 1), axis=0)[cut : n - cut].mean(0)


def with_brightness(cells: Cells, rows, donors, levels) -> np.ndarray:
    """Cells as bright as the fields of their donors: offset and gain of each channel.

    Args:
        cells: N of them, of which `rows` and `donors` are.
        rows: i64 [M], the cells that are given another brightness.
        donors: i64 [M], the donor of each.
        levels: f64 [N, 2, K], as of `field_levels`. A channel in which a field has no signal keeps its gain.

    Returns:
        f32 [M, S, S, K].
    """
    background = levels[rows, 0]
    signal = levels[rows, 1]
    new_background = levels[donors, 0]
    new_signal = levels[donors, 1]
    usable = (signal > 0) & (new_signal > 0)
    gain = np.where(usable, new_signal / np.where(usable, signal, 1), 1)
    offset = new_background - gain * background
    images = cells.images[rows]
    images *= gain[:, None, None].astype(np.float32)
    images += offset[:, None, None].astype(np.float32)
    return images


def donor_logits(network, cells: Cells, change, seed: int, draw=draw_donors):
    """Logits of cells that were given something of donors.

    Args:
        network: the network.
        cells: N of them.
        change: `(rows, donors, rng) -> images` f32 [M, S, S, K] of some cells, the rows i64 [M].
        seed: of the draw of donors.
        draw: `(groups, rng) -> donors` i64 [N].

    Returns:
        logits f32 [DONORS N, P], and the recipient and the donor of each, i64 [DONORS N].
    """
    rng = np.random.default_rng(seed)
    rows = np.arange(len(cells.label))
    logits = []
    all_donors = []
    for _ in range(DONORS):
        donors = draw(cells.groups, rng)
        changed = functools.partial(_changed, change, rows, donors, rng)
        logits.append(logits_of_made(network, changed, len(rows)))
        all_donors.append(donors)
    return np.concatenate(logits), np.tile(rows, DONORS), np.concatenate(all_donors)


def _changed(change, rows, donors, rng, part):
    """What `change` gives for a part of the cells, a slice."""
    return change(rows[part], donors[part], rng)


def transferred_share(given, recipients, donors, intact, cells: Cells, resampling: Resampling) -> dict:
    """Share of the difference between classes that goes with a property to another cell.

    That of what was handed over is taken by the donors' labels, and the cell's mean over its other donors is taken off
    before; it is divided by that of intact validation cells by their own labels, since a network may know its training
    cells by heart.

    Args:
        given, recipients, donors: as `donor_logits` returns them.
        intact: logits f32 [N, P] of the cells as they are.
        cells: the N cells.
        resampling: how intervals are made.

    Returns:
        {value, low, high, dropped, class, unmoved}, the first five as of `class_shares.largest_share`. A cell whose
        donors can be of one class only, since its group alone holds the other, shows nothing and is left out. NaN where
        that is every cell, or where validation cells of the class have no larger margin than others. `unmoved`: whether
        no answer changes at all.
    """
    intact_margins = margins(intact)
    classes = intact_margins.shape[1]
    handed_over = margins(given)
    handed_over -= handed_over.reshape(DONORS, -1, classes).mean(0)[recipients]
    handed_over *= DONORS / (DONORS - 1)  # the mean held the donor itself; this makes it that over the other donors
    is_class = np.eye(classes)[cells.label]
    comparable = _has_choice(cells.label, cells.groups)[recipients]

    def parts_of(weights):
        donor_weights = weights[:, : len(donors)] * comparable
        cell_weights = weights[:, len(donors) :] * cells.validation
        moved = class_shares.differences(handed_over, is_class[donors], donor_weights)
        whole = class_shares.differences(intact_margins, is_class, cell_weights)
        return moved, whole

    groups = np.concatenate([cells.groups[donors], cells.groups])
    label = np.concatenate([cells.label[donors], cells.label])
    share = class_shares.largest_share(parts_of, groups, label, classes, resampling)
    unmoved = bool(np.abs(handed_over).max() <= ROUNDING * np.abs(intact_margins).max())
    return {**share, "unmoved": unmoved}


def _has_choice(label, groups) -> np.ndarray:
    """Whether the donors of each cell can be of more than one class, bool [N]; see `draw_donors`."""
    names, member = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        return np.full(len(label), len(np.unique(label)) > 1)
    has_choice = np.zeros(len(names), bool)
    for i in range(len(names)):
        has_choice[i] = len(np.unique(label[member != i])) > 1
    return has_choice[member]


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
        others' surroundings change; all these of validation cells (around: of validation donors). transferred_share:
        see the function. All but this are intervals.
    """
    change = functools.partial(with_surroundings, cells)
    given, recipients, donors = donor_logits(network, cells, change, resampling.seed)
    changed = (given.argmax(1) != intact[recipients].argmax(1)).astype(float)
    of_validation = cells.validation[recipients]
    donor_of_validation = cells.validation[donors]

    def auroc(logits, labelled):
        """The score of logits against the labels of the cells `labelled`, i64 [M]."""
        return auroc_with_interval(logits, cells.label[labelled], cells.groups[labelled], resampling)

    return {
        "intact": auroc(intact[cells.validation], np.flatnonzero(cells.validation)),
        "cell": auroc(given[of_validation], recipients[of_validation]),
        "around": auroc(given[donor_of_validation], donors[donor_of_validation]),
        "transferred_share": transferred_share(given, recipients, donors, intact, cells, resampling),
        "changed": resampling.mean(changed[of_validation], cells.groups[recipients[of_validation]], SHARE),
    }


def brightness(network, cells: Cells, levels, intact, resampling: Resampling) -> dict:
    """What the network reads in the brightness of the field: see `transferred_share`; `levels` as of `field_levels`."""
    def change(rows, donors, rng):
        return with_brightness(cells, rows, donors, levels)

    given, recipients, donors = donor_logits(network, cells, change, resampling.seed)
    return transferred_share(given, recipients, donors, intact, cells, resampling)


def batch(label, batches, groups, resampling: Resampling) -> Interval | None:
    """How well a cell's batch (plate, well, line) predicts its class, without any image.

    The predicted probability of each class is its share among the other groups of the batch, or among all cells where
    the batch is one group.

    Args:
        label: i32 [N].
        batches, groups: text [N], of each cell.
        resampling: how intervals are made.

    Returns:
        Area under the ROC curve with its interval; None where all cells are of one batch.
    """
    batches = np.asarray(batches, str)
    groups = np.asarray(groups, str)
    if len(np.unique(batches)) < 2:
        return None
    is_class = np.eye(int(label.max()) + 1)[label]
    prob = np.zeros(is_class.shape)
    for name in np.unique(batches):
        inside = batches == name
        for group in np.unique(groups[inside]):
            others = inside & (groups != group)
            known = is_class[others] if others.any() else is_class
            prob[inside & (groups == group)] = known.mean(0)
    return resampling.scores(label, prob, groups, ("auroc",))["auroc"]
