"""Whether the answer of the network depends on what a map calls important: pixels are taken away, or put back.

The pixels of a crop are ordered by the map, most relevant first. Deletion takes them out of the crop in this order,
insertion puts them into a crop that has lost everything (Petsiuk et al. 2018, arXiv:1806.07421). What counts is the
area between the curve of the class's probability and that of a control: the same map, moved to a random place. The
control takes away pieces of the same shape and coarseness, so a map is not praised for being smooth or ragged.

What stands where a pixel was taken away decides much, so there are four choices:

- zero: the background. Its holes look like nothing that the network was trained on.
- mean: the mean of these cells at that pixel, the average cell. The mean of the crop itself would not do: it keeps the
  total intensity, the DNA content, which alone tells G1 from G2.
- blur: the crop, blurred. Total intensity stays, so only fine structure is asked for.
- road: the neighbours, interpolated (Rong et al. 2022, arXiv:2202.00449). The outline of a hole, which would tell the
  network what was taken away, is hardly seen.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from cellcycle_jax.devices import mesh
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.checks.check import Check, Evidence, Judgement, Question
from cellcycle_jax.explain.regions.explained_cells import COARSE_METHOD, DEFAULT_METHOD
from cellcycle_jax.scoring.intervals import Interval, Resampling

FILLS = ("zero", "mean", "blur", "road")
MEASURES = ("deletion", "insertion")
FRACTIONS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
BATCH = 64  # crops on the device at a time
TIE = 1e-6  # of a map's largest value: values nearer than that are equal, the rest is rounding
ROAD_NOISE = 0.01  # of a channel's standard deviation in the crop
ROAD_TOLERANCE = 1e-4  # of the residual, relative; the error it leaves is below the noise


def faithfulness(network, images, maps, class_index, groups, resampling: Resampling, *,
                 fills=FILLS, fractions=FRACTIONS) -> tuple[list[dict], list[dict]]:
    """Area between the curves of a map and of its control, for every fill, by deletion and by insertion.

    The curve is the softmax probability of `class_index`, without temperature; a margin over its value in the intact
    crop would be of no size where a network is undecided.

    Args:
        network: of P classes.
        images: f32 [N, S, S, K], what the model sees.
        maps: f32 [N, h, w, C], any size; C is K, or 1 for maps that do not tell channels apart. Signed: what speaks
            against the class comes last.
        class_index: i32 [N], the class explained, as a rule the one that the model gives.
        groups: [N], the unit of the intervals.
        fills: of FILLS.
        fractions: increasing shares of the crop, from 0 to 1.
        resampling: how intervals are made; its seed is also that of ties, controls and noise.

    Returns:
        One dict a fill and measure: fill, measure, value (mean over cells of the area between the curves, -1 to 1,
        above 0 if the map is more faithful than its control), low, high, area (of the map's curve), control (area of
        the control's), n_cells. And the mean curves: fill, measure, order ("map" or "control"), fraction (deleted, or
        inserted), probability.
    """
    rng = np.random.default_rng(resampling.seed)
    large = np.asarray(methods.resized(maps, images.shape[1]))
    ranks = {"map": ranked(large, coarse_noise(maps.shape, images.shape[1], rng)),
             "control": ranked(moved(large, rng), coarse_noise(maps.shape, images.shape[1], rng))}
    rows, points = [], []
    for fill in fills:
        for measure in MEASURES:
            found = {order: curves(network, images, rank, class_index, fill, measure, fractions,
                                   resampling.seed)
                     for order, rank in ranks.items()}
            area = {order: np.trapezoid(curve, fractions, axis=1) for order, curve in found.items()}
            gain = area["control"] - area["map"] if measure == "deletion" else area["map"] - area["control"]
            means = {"area": float(area["map"].mean()), "control": float(area["control"].mean())}
            own = resampling.mean(gain, groups)
            rows.append({"fill": fill, "measure": measure, **own.as_json(), **means})
            points += [{"fill": fill, "measure": measure, "order": order, "fraction": f, "probability": float(p)}
                       for order, curve in found.items() for f, p in zip(fractions, curve.mean(0), strict=True)]
    return rows, points


def curves(network, images, rank, class_index, fill: str, measure: str, fractions=FRACTIONS, seed: int = 0):
    """Probability of a class while the crop loses its most relevant pixels, or gets them back.

    Args:
        network: of P classes.
        images: f32 [N, S, S, K].
        rank: i32 [N, S, S, C], place of each pixel in the order, 0 first; see `ranked`.
        class_index: i32 [N].
        fill: of FILLS, what stands where a pixel is missing.
        measure: of MEASURES.
        fractions: shares of the crop that are deleted, or inserted.
        seed: of the noise of "road".

    Returns:
        f64 [N, F].
    """
    ground = filled(images, fill) if fill != "road" else None
    found = []
    for fraction in fractions:
        among_first = rank < round(fraction * rank[0].size)
        removed = np.broadcast_to(among_first if measure == "deletion" else ~among_first, images.shape)
        seen = np.where(removed, ground, images) if fill != "road" else imputed(images, removed, seed)
        logits = methods.logits_of(network, seen.astype(np.float32), BATCH)
        prob = np.asarray(jax.nn.softmax(logits), np.float64)
        found.append(np.take_along_axis(prob, np.asarray(class_index)[:, None], axis=1)[:, 0])
    return np.stack(found, axis=1)


def ranked(maps, ties) -> np.ndarray:
    """Place of each pixel in the order that a map gives, the highest value first.

    Args:
        maps: f32 [N, S, S, C]; with C = 1 a pixel goes with all its channels, else each channel by itself.
        ties: f [N, S, S, C], what orders pixels of equal value.

    Returns:
        i32 [N, S, S, C], of each cell 0 .. S * S * C - 1.
    """
    flat = without_rounding(maps).reshape(len(maps), -1)
    order = np.lexsort((np.asarray(ties).reshape(flat.shape), -flat), axis=1)
    rank = np.empty(flat.shape, np.int32)
    np.put_along_axis(rank, order, np.arange(flat.shape[1], dtype=np.int32)[None], axis=1)
    return rank.reshape(maps.shape)


def without_rounding(maps) -> np.ndarray:
    """Each map [N, ...] in units of TIE of its largest absolute value, whole numbers: what was equal is equal again."""
    maps = np.asarray(maps, np.float64)
    largest = np.abs(maps).max(tuple(range(1, maps.ndim)), keepdims=True)
    return np.round(maps / np.where(largest > 0, largest, 1) / TIE)


def coarse_noise(shape, side: int, rng) -> np.ndarray:
    """Noise as coarse as maps of this shape [N, h, w, C], at the size of the crop: f32 [N, side, side, C].

    Where a map is flat, pixels fall in patches of the map's own size and not like dust.
    """
    return np.asarray(methods.resized(rng.normal(size=shape).astype(np.float32), side))


def moved(maps, rng) -> np.ndarray:
    """Each map f32 [N, S, S, C] shifted round the crop, turned, mirrored, and its channels exchanged, at random.

    Every pixel of every channel is equally likely to come anywhere in the order, and what is clumped stays clumped.
    """
    side, found = maps.shape[1], []
    for one in maps:
        one = np.rot90(np.roll(one, rng.integers(0, side, 2), axis=(0, 1)), rng.integers(4))
        one = one[::-1] if rng.integers(2) else one
        found.append(one[..., rng.permutation(one.shape[-1])])
    return np.stack(found)


def filled(images, fill: str) -> np.ndarray:
    """What stands in each place once its pixel is gone, f32 [N, S, S, K]; see the head of this file.

    Args:
        images: f32 [N, S, S, K].
        fill: "zero", "mean" or "blur" (sigma S / 8, the edge continued).
    """
    if fill == "zero":
        return np.zeros_like(images)
    if fill == "mean":
        return np.broadcast_to(images.mean(0, keepdims=True), images.shape)
    sigma = images.shape[1] / 8
    return ndimage.gaussian_filter(images, (0, sigma, sigma, 0), mode="nearest")


def imputed(images, removed, seed: int) -> np.ndarray:
    """Crops whose removed pixels are interpolated from their neighbours, with a little noise (Rong et al. 2022, 3.3).

    Each removed pixel is the weighted mean of its neighbours in the crop, 1/6 for the four direct ones and 1/12 for the
    diagonal ones, and all of them hold at once: a linear system for each cell and channel. Simplified: it is solved by
    conjugate gradients to a relative residual of ROAD_TOLERANCE, and the noise is ROAD_NOISE of the channel's standard
    deviation in the crop. With nothing left to interpolate from, what is removed is 0, the background.

    Args:
        images: f32 [N, S, S, K].
        removed: bool [N, S, S, K].
        seed: of the noise.

    Returns:
        f32 [N, S, S, K].
    """
    found = mesh.batchwise(_interpolated, lambda rows: (images[rows], removed[rows]), len(images), BATCH)
    spread = ROAD_NOISE * images.std((1, 2), keepdims=True)
    noise = np.random.default_rng(seed).normal(size=images.shape) * spread
    return np.where(removed, found + noise, images).astype(np.float32)


@jax.jit
def _interpolated(batch):
    """Solve the systems of images f32 [B, S, S, K] where removed bool [B, S, S, K] says so; 0 elsewhere."""
    shape = batch[0].shape
    images, removed = (jnp.moveaxis(part, -1, 1).reshape(-1, *shape[1:3]) for part in batch)
    weights = _neighbours(jnp.ones(shape[1:3], images.dtype))  # less than 1 at the edge of the crop

    def solve(image, gone):
        def left(x):  # each equation times the sum of its weights, which makes the matrix symmetric and positive
            return jnp.where(gone, weights * x - _neighbours(x), 0)

        right = jnp.where(gone, _neighbours(jnp.where(gone, 0, image)), 0)
        return jax.scipy.sparse.linalg.cg(left, right, tol=ROAD_TOLERANCE, maxiter=4 * image.size)[0]

    return jnp.moveaxis(jax.vmap(solve)(images, removed).reshape(shape[0], shape[3], *shape[1:3]), 1, -1)


def _neighbours(x):
    """Weighted sum of the eight neighbours of each pixel of x [S, S]; beyond the edge there is nothing."""
    padded = jnp.pad(x, 1)
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    square = rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]  # (1, 2, 1) along both axes: 12 times the weights, and 4 x
    return (square - 4 * x) / 12


def ask(evidence: Evidence) -> dict:
    """Areas and curves of deletion and insertion, of the default and the coarse method, on a few cells."""
    cells = evidence.cells.few
    run, called = cells.run, cells.logits.argmax(1)
    answer = {}
    for name in (DEFAULT_METHOD, COARSE_METHOD):
        maps = cells.maps(name, called)
        rows, points = faithfulness(run.network, cells.images, maps, called, cells.groups,
                                    cells.resampling)
        answer[name] = {"rows": rows, "points": points}
    return answer


def judge(answer: dict, about: dict) -> Judgement:
    """Passed where the map is certainly better than the same map moved elsewhere in more than half of the tests."""
    rows = answer[about["method"]]["rows"]
    better = [row for row in rows if row["low"] > 0]
    passed = None
    if any(Interval.of(row).is_known for row in rows):
        passed = len(better) > len(rows) / 2
    areas = ", ".join(f"{row['fill']} {row['measure']} {row['value']:.3f}" for row in rows)
    sentence = (
        "Taking away what the map calls important moves the answer more than the same map moved elsewhere in "
        f"{len(better)} of {len(rows)} tests ({rows[0]['n_cells']} cells; area between the curves: {areas})."
    )
    if about["mask"] != "none":
        sentence += (" Moved elsewhere it lies partly where the mask shows nothing, so this says that the map is on "
                     "what is shown, not where on it.")
    return Judgement(passed, sentence)


QUESTION = Question("faithful", ask)
CHECK = Check("the answer falls where the map says", QUESTION, judge)
