"""Which channels the predictions of a network rest on.

A channel is taken away by showing that channel of another cell of the same field: stain, focus and density stay, what
the channel says of this cell goes. Shapley values (Shapley 1953, doi 10.1515/9781400881970-018; Lundberg and Lee 2017,
arXiv 1705.07874) share out what all channels together add, over every order in which they could be added; shared out
of a score rather than of one prediction they say what the network's skill rests on (SAGE, Covert et al. 2020, arXiv
2004.00668). They are exact here: all 2^K subsets of channels are shown. Bit k of a subset is channel k.

The other cell of a field is never the cell itself, so where a field holds few cells of both classes, a score without
any channel lies a little below chance.
"""

import math

import numpy as np
from scipy.special import softmax

from cellcycle_jax.errors import InputRefused, UsageError, result_or_reason
from cellcycle_jax.explain.attribution.methods import BATCH, logits_of_made, margins
from cellcycle_jax.explain.checks.check import Evidence, Question
from cellcycle_jax.explain.checks.score import CHANCE
from cellcycle_jax.scoring import metrics
from cellcycle_jax.scoring.intervals import Resampling

MOST = 8  # channels: 256 subsets
SCORES = ("balanced_accuracy", "auroc")
REPEATS = 4  # shuffles of the channels
MOST_LEFT = 0.5  # share of the score above chance that may be left without any channel of the cell's own


def shapley(value: np.ndarray) -> np.ndarray:
    """Exact Shapley values of a game.

    Args:
        value: f [2^K, ...], value of each subset of K players; bit k of the index says that player k is in it.

    Returns:
        f64 [K, ...]; over the players they sum to the value of all less the value of none.

    Raises:
        ValueError: the number of values is no power of 2.
    """
    value = np.asarray(value, np.float64)
    players = len(value).bit_length() - 1
    if len(value) != 2**players:
        raise ValueError(f"{len(value)} values; a game of K players has 2^K")
    member = _members(players)
    size = member.sum(axis=1, keepdims=True)
    # A subset of s players with player k comes up in (s - 1)! (K - s)! of K! orders, just after k joined.
    orders = np.array([math.factorial(s) * math.factorial(players - 1 - s) for s in range(players)], np.float64)
    orders /= math.factorial(players)
    with_player = orders[np.maximum(size - 1, 0)]
    without_player = orders[np.minimum(size, players - 1)]
    weight = np.where(member, with_player, -without_player)
    return np.tensordot(weight.T, value, 1)


def shuffled_within(fields, rng: np.random.Generator) -> np.ndarray:
    """For each cell another cell of its field, each cell of a field of two or more once.

    Args:
        fields: [N], field of each cell.
        rng: of the draw.

    Returns:
        i64 [N], never the cell itself; cells that are alone in their field (see `alone`) get any other cell.

    Raises:
        InputRefused: there is only one cell.
    """
    _, member, counts = np.unique(np.asarray(fields, dtype=str), return_inverse=True, return_counts=True)
    cells = len(member)
    if cells == 1:
        raise InputRefused("a channel of one cell alone cannot be taken from another cell; explain more cells")
    order = np.lexsort((rng.random(cells), member))  # field by field, at random within
    first = np.cumsum(counts) - counts
    following = np.arange(1, cells + 1)
    following[first + counts - 1] = first  # the last of a field is followed by its first
    other = np.empty(cells, np.int64)
    other[order] = order[following]
    single = np.flatnonzero(counts[member] == 1)
    other[single] = (single + rng.integers(1, max(cells, 2), len(single))) % max(cells, 1)
    return other


def alone(fields) -> int:
    """How many cells are the only one of their field, of the field [N] of each cell."""
    _, cells = np.unique(np.asarray(fields, dtype=str), return_counts=True)
    return int((cells == 1).sum())


def subset_logits(network, images, fields, plain, repeats: int, seed: int, batch: int = BATCH) -> np.ndarray:
    """Logits with each subset of the channels shown, the others taken from another cell of the same field.

    Within a repeat every subset takes its missing channels from the same other cell.

    Args:
        network: of P classes.
        images: f32 [N, S, S, K].
        fields: [N], field of each cell.
        plain: f32 [N, P], the logits of the images.
        repeats: number R of independent shuffles.
        seed: of the shuffles.
        batch: cells at a time.

    Returns:
        f32 [2^K, R, N, P]; the last subset, all channels, holds the plain logits.

    Raises:
        UsageError: more than MOST channels.
        InputRefused: there is only one cell.
    """
    channels = images.shape[-1]
    if channels > MOST:
        raise UsageError(f"{channels} channels have {2**channels:,} subsets; Shapley values are computed for at most "
                         f"{MOST} channels. Show the network fewer (data.channels), or train a cohort over "
                         "combinations of channels (launch.py sweep)")
    shown = _members(channels)[:-1]
    incomplete = _logits_of_mixed(network, images, shown, images, _shuffles(fields, repeats, seed), batch)
    return np.concatenate([incomplete, np.broadcast_to(plain, (1, *incomplete.shape[1:]))])


def channel_shapley(logits, label, groups, resampling: Resampling) -> dict[str, dict]:
    """How much of the network's scores each channel brings, with intervals; cells are resampled by group.

    Args:
        logits: f32 [2^K, R, N, P], as `subset_logits` returns them, of labelled cells.
        label: i [N], index of the true class.
        groups: [N], group of each cell.
        resampling: how intervals are made.

    Returns:
        Score of SCORES -> {"value", "low", "high", "share": f64 [K], "dropped": i64 [K], "all", "none": float}: the
        Shapley values, their intervals, their shares of the sum of those above zero (NaN where none is), the groups
        without which a class is absent, and the score with all channels and without any, each the mean over the
        repeats.
    """
    prob = softmax(np.asarray(logits, np.float64), axis=-1)
    channels = len(prob).bit_length() - 1

    def score(weights):
        values = {}
        for name in SCORES:
            for k, value in enumerate(shapley(_subset_scores(name, label, prob, weights))):
                values[name, k] = value
        return values

    intervals = resampling.intervals(score, groups, label=label)
    result = {}
    for name in SCORES:
        of_channels = [intervals[name, k] for k in range(channels)]
        columns = {}
        for column in ("value", "low", "high", "dropped"):
            columns[column] = np.array([getattr(interval, column) for interval in of_channels])
        columns["share"] = _shares(columns["value"])
        ends = _subset_scores(name, label, prob[[0, -1]], None)[:, 0]
        columns["none"] = float(ends[0])
        columns["all"] = float(ends[1])
        result[name] = columns
    return result


def _margins_of(logits, class_index) -> np.ndarray:
    """Margin of a class i [N] for each cell, f64 [..., N], of logits f32 [..., N, P]."""
    index = np.broadcast_to(class_index[:, None], (*logits.shape[:-1], 1))
    return np.take_along_axis(margins(logits), index, -1)[..., 0]


def occlusion_by_mean(network, images, plain, label) -> dict[str, np.ndarray]:
    """What is lost when one channel is replaced by its mean image over the cells.

    Args:
        network: of P classes.
        images: f32 [N, S, S, K].
        plain: f32 [N, P], the logits of the images.
        label: i [N], index of the true class.

    Returns:
        "margin" f64 [N, K], fall of the margin of the class that is predicted with all channels, in logits, and
        "auroc" f64 [K], fall of the AUROC.
    """
    mean = np.asarray(images).mean(0, dtype=np.float64).astype(np.float32)
    means = np.broadcast_to(mean, images.shape)
    without = _logits_of_mixed(network, images, _all_but_one(images), means, np.arange(len(images))[None], BATCH)
    return _lost(plain, without, label)


def occlusion_by_shuffle(network, images, fields, plain, label, repeats: int, seed: int) -> dict[str, np.ndarray]:
    """What is lost when one channel is another cell's of the same field; mean over repeats.

    Args:
        network, images, plain, label: as of `occlusion_by_mean`.
        fields: [N], field of each cell.
        repeats: number of independent shuffles.
        seed: of the shuffles.

    Returns:
        As of `occlusion_by_mean`.

    Raises:
        InputRefused: there is only one cell.
    """
    without = _logits_of_mixed(network, images, _all_but_one(images), images, _shuffles(fields, repeats, seed), BATCH)
    return _lost(plain, without, label)


def occlusion_in_subsets(logits, label) -> dict[str, np.ndarray]:
    """What `occlusion_by_shuffle` finds with the same repeats and seed, in logits that `subset_logits` returned."""
    complete = len(logits) - 1
    channels = complete.bit_length()
    without = np.stack([logits[complete - 2**k] for k in range(channels)])
    return _lost(logits[-1, 0], without, label)


def ask(evidence: Evidence) -> dict:
    """What each channel gives to the score and to the margin. Channels are shuffled within fields.

    Returns:
        channels; alone, how many cells are the only one of their field and get a channel of another field; shapley,
        exact values, None of too many channels and where fields hold one class each; occlusion, what is lost without a
        channel: by its mean, and by shuffle, None of one cell; why there is a None; integrated_gradients, for each
        class the mean over its cells of what each channel adds to the margin of the last class, NaN of a class without
        cells.
    """
    cells = evidence.cells
    crops = cells.crops
    run = cells.run
    shuffled = (run.network, cells.images, crops.field_id, cells.logits)
    seed = run.config.seed
    logits, why_no_shapley = result_or_reason(subset_logits, *shuffled, REPEATS, seed)
    shapley_values = None
    why_no_shuffle = ""
    if logits is None:  # of too many channels; that of each alone can still be shown
        by_shuffle, why_no_shuffle = result_or_reason(occlusion_by_shuffle, *shuffled, crops.label, REPEATS, seed)
    else:
        shapley_values, why_no_shapley = result_or_reason(_shapley_of, cells, logits)
        by_shuffle = occlusion_in_subsets(logits, crops.label)
    by_mean = occlusion_by_mean(run.network, cells.images, cells.logits, crops.label)
    reasons = dict.fromkeys((why_no_shapley, why_no_shuffle))  # both may have the same one
    return {
        "channels": list(run.channels),
        "alone": alone(crops.field_id),
        "shapley": shapley_values,
        "why": "; ".join(filter(None, reasons)),
        "occlusion": {"mean": _mean_loss(by_mean), "shuffle": _mean_loss(by_shuffle)},
        "integrated_gradients": _mean_by_class(cells),
    }


def _shapley_of(cells, logits) -> dict:
    scores = channel_shapley(logits, cells.crops.label, cells.groups, cells.resampling)
    without = scores["auroc"]["none"]
    complete = scores["auroc"]["all"]
    if without - CHANCE > MOST_LEFT * (complete - CHANCE) > 0:
        raise InputRefused("channels of other cells of a field give the class away, as where fields hold one class: "
                           f"area under the ROC curve {without:.2f} without any channel of the cell's own, "
                           f"{complete:.2f} with all")
    return scores


def _mean_loss(lost) -> dict | None:
    """What is lost with each channel, the margin on average over the cells, as plain values."""
    if lost is None:
        return None
    return {"margin": lost["margin"].mean(0).tolist(), "auroc": lost["auroc"].tolist()}


def _mean_by_class(cells) -> list[list[float]]:
    """What each channel adds to the margin of the last class, on average over the cells of each class."""
    last = len(cells.crops.classes) - 1
    added = cells.sums[last].channels
    means = []
    for class_index in range(last + 1):
        of_class = cells.crops.label == class_index
        mean = added[of_class].mean(0).tolist() if of_class.any() else [math.nan] * added.shape[1]
        means.append(mean)
    return means


def _members(players: int) -> np.ndarray:
    """Which players each subset holds, bool [2^K, K]."""
    return (np.arange(2**players)[:, None] >> np.arange(players)) & 1 > 0


def _shuffles(fields, repeats, seed) -> np.ndarray:
    """Another cell for each cell, i64 [R, N]."""
    rng = np.random.default_rng(seed)
    return np.stack([shuffled_within(fields, rng) for _ in range(repeats)])


def _logits_of_mixed(network, images, shown, stand_ins, other, batch) -> np.ndarray:
    """Logits of images in which what is not shown stands in from another cell.

    No more images than two batches are held at a time.

    Args:
        network: of P classes.
        images: f32 [N, S, S, K].
        shown: bool [M, K], M subsets of the channels.
        stand_ins: f32 [N, S, S, K], from which missing channels are taken.
        other: i64 [R, N], the row of `stand_ins` for each cell, R times.
        batch: cells at a time.

    Returns:
        f32 [M, R, N, P].
    """
    shape = (len(shown), *other.shape)
    subsets, repeats, cells = np.indices(shape).reshape(len(shape), -1)

    def mixed(part):
        cell = cells[part]
        stand_in = stand_ins[other[repeats[part], cell]]
        return np.where(shown[subsets[part]][:, None, None], images[cell], stand_in)

    return logits_of_made(network, mixed, len(cells), batch).reshape(*shape, -1)


def _subset_scores(name, label, prob, weights) -> np.ndarray:
    """Score of prob [M, R, N, P] for weights [B, N], f64 [M, B]: mean over the repeats."""
    metric = metrics.METRICS[name]
    means = []
    for of_subset in prob:
        scores = [metric(label, of_repeat, weights) for of_repeat in of_subset]
        means.append(np.mean(scores, axis=0))
    return np.stack(means)


def _shares(value) -> np.ndarray:
    """Share of the sum of those above zero, f64 [K]; NaN where that sum is no more than rounding."""
    total = value[value > 0].sum()
    return value / total if total > 1e-9 else np.full(len(value), np.nan)


def _all_but_one(images) -> np.ndarray:
    """The subsets of the channels that lack one, in the order of the channels, bool [K, K]."""
    return ~np.eye(images.shape[-1], dtype=bool)


def _lost(plain, without, label) -> dict[str, np.ndarray]:
    """What is lost with each channel; of logits f32 [N, P] with all, and [K, R, N, P] without each."""
    predicted = plain.argmax(-1)
    margin = _margins_of(plain, predicted) - _margins_of(without, predicted).mean(1)
    return {"margin": margin.T, "auroc": _auroc(plain[None, None], label) - _auroc(without, label)}


def _auroc(logits, label) -> np.ndarray:
    """Area under the ROC curve of logits [M, R, N, P], f64 [M]: mean over the repeats."""
    prob = softmax(logits.astype(np.float64), axis=-1)
    return _subset_scores("auroc", label, prob, None)[:, 0]


QUESTION = Question("channel_importance", ask)
