"""Whether the prediction of the network depends on what a map calls important: pixels are taken away, or put back.

The pixels of a crop are ordered by the map, most relevant first. Deletion takes them out of the crop in this order,
insertion puts them into a crop that has lost everything (Petsiuk et al. 2018, arXiv:1806.07421). What counts is the
area between the curve of the class's probability and that of a control: the same map, moved to a random place. The
control takes away pieces of the same shape and coarseness, so a map is not praised for being smooth or ragged.

What stands where a pixel was taken away decides much, so there are four choices:

- zero: the background. Its holes look like nothing that the network was trained on.
- mean: the mean of these cells at that pixel, the average cell. The mean of the crop itself would not do: it keeps the
  total intensity, the DNA content, which alone distinguishes G1 from G2.
- blur: the crop, blurred. Total intensity stays, so only fine structure is tested.
- road: the neighbours, interpolated (Rong et al. 2022, arXiv:2202.00449). The outline of a hole, which would show the
  network what was taken away, is hardly seen.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage, special

from cellcycle_jax.devices import mesh
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.checks.check import Answer, Check, Evidence, Judgement, Question
from cellcycle_jax.explain.regions.explained_cells import COARSE_METHOD, DEFAULT_METHOD
from cellcycle_jax.models.network import Network
from cellcycle_jax.scoring.intervals import Interval, Resampling

FILLS = ("zero", "mean", "blur", "road")
MEASURES = ("deletion", "insertion")
FRACTIONS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
TIE = 1e-6  # of a map's largest value: values nearer than that are equal, the rest is rounding
ROAD_NOISE = 0.01  # of a channel's standard deviation in the crop
ROAD_TOLERANCE = 1e-4  # of the residual, relative; the error it leaves is below the noise


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Cells, and the class of each whose probability is followed while pixels are taken away.

    Attributes:
        network: of P classes.
        images: f32 [N, S, S, K], what the model sees.
        class_index: i32 [N], the class explained, as a rule the one that the model gives.
    """

    network: Network
    images: np.ndarray
    class_index: np.ndarray

    def probability(self, images) -> np.ndarray:
        """Softmax probability of the class of each cell, without temperature, seen in T ways.

        A margin over its value in the intact crop would be of no size where a network is undecided.

        Args:
            images: f32 [T, N, S, S, K].

        Returns:
            f64 [T, N].
        """
        logits = methods.logits_of(self.network, images.reshape(-1, *images.shape[2:]))
        prob = special.softmax(logits.astype(np.float64), axis=-1)
        index = np.tile(self.class_index, len(images))[:, None]
        return np.take_along_axis(prob, index, axis=1).reshape(images.shape[:2])

    @functools.cached_property
    def intact(self) -> np.ndarray:
        """The probability of each cell as it is, f64 [N]."""
        return self.probability(self.images[None])[0]


@dataclasses.dataclass(frozen=True)
class Removal:
    """One way to take pixels away; what all curves have in common is computed once.

    Attributes:
        predictions: of N cells.
        fill: of FILLS, what stands where a pixel is missing.
        seed: of the noise of "road".
    """

    predictions: Predictions
    fill: str
    seed: int

    @functools.cached_property
    def _replacement(self) -> np.ndarray:
        """What stands in each place once its pixel is gone; of "road" the noise that is added there."""
        images = self.predictions.images
        return road_noise(images, self.seed) if self.fill == "road" else filled(images, self.fill)

    @functools.cached_property
    def emptied(self) -> np.ndarray:
        """The probability of each cell that has lost every pixel, f64 [N]."""
        everything = np.ones(self.predictions.images.shape, bool)
        return self.predictions.probability(self.without(everything)[None])[0]

    def without(self, removed) -> np.ndarray:
        """The cells without their pixels `removed`, bool [N, S, S, C]: f32 [N, S, S, K]."""
        images = self.predictions.images
        removed = np.broadcast_to(removed, images.shape)
        if self.fill == "road":
            return imputed(images, removed, self._replacement)
        return np.where(removed, self._replacement, images)

    def curves(self, rank, measure: str, fractions=FRACTIONS) -> np.ndarray:
        """Probability of a class while the crop loses its most relevant pixels, or gets them back.

        Args:
            rank: i32 [N, S, S, C], place of each pixel in the order, 0 first; see `ranked`.
            measure: of MEASURES.
            fractions: shares of the crop that are deleted, or inserted.

        Returns:
            f64 [N, F].
        """
        probabilities = np.empty((len(fractions), len(rank)))
        partial_steps = []
        partial_images = []
        for step, fraction in enumerate(fractions):
            removed = rank < round(fraction * rank[0].size)
            if measure == "insertion":
                removed = ~removed
            if removed.all():
                probabilities[step] = self.emptied
            elif not removed.any():
                probabilities[step] = self.predictions.intact
            else:
                partial_steps.append(step)
                partial_images.append(self.without(removed))
        if partial_steps:
            probabilities[partial_steps] = self.predictions.probability(np.stack(partial_images))
        return probabilities.T


def faithfulness(predictions: Predictions, maps, groups, resampling: Resampling, *, fills=FILLS,
                 fractions=FRACTIONS) -> tuple[list[dict], list[dict]]:
    """Area between the curves of a map and of its control, for every fill, by deletion and by insertion.

    Args:
        predictions: of N cells.
        maps: f32 [N, h, w, C], any size; C is K, or 1 for maps of all channels together. Signed: what speaks
            against the class comes last.
        groups: [N], the unit of the intervals.
        resampling: how intervals are made; its seed is also that of ties, controls and noise.
        fills: of FILLS.
        fractions: increasing shares of the crop, from 0 to 1.

    Returns:
        One dict a fill and measure: fill, measure, value (mean over cells of the area between the curves, -1 to 1,
        above 0 if the map is more faithful than its control), low, high, area (of the map's curve), control (area of
        the control's), n_cells. And the mean curves: fill, measure, order ("map" or "control"), fraction (deleted, or
        inserted), probability.
    """
    rng = np.random.default_rng(resampling.seed)
    side = predictions.images.shape[1]
    large = np.asarray(methods.resized(maps, side))
    ranks = {
        "map": ranked(large, coarse_noise(maps.shape, side, rng)),
        "control": ranked(shifted_control(large, rng), coarse_noise(maps.shape, side, rng)),
    }
    rows = []
    points = []
    for fill in fills:
        removal = Removal(predictions, fill, resampling.seed)
        for measure in MEASURES:
            test = {"fill": fill, "measure": measure}
            areas = {}
            for order, rank in ranks.items():
                of_cells = removal.curves(rank, measure, fractions)
                areas[order] = np.trapezoid(of_cells, fractions, axis=1)
                for fraction, probability in zip(fractions, of_cells.mean(0).tolist(), strict=True):
                    points.append({**test, "order": order, "fraction": fraction, "probability": probability})
            area = areas["map"]
            control = areas["control"]
            gain = control - area if measure == "deletion" else area - control
            means = {"area": float(area.mean()), "control": float(control.mean())}
            rows.append({**test, **resampling.mean(gain, groups).as_json(), **means})
    return rows, points


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


def shifted_control(maps, rng) -> np.ndarray:
    """Each map f32 [N, S, S, C] shifted round the crop, turned, mirrored, and its channels exchanged, at random.

    Every pixel of every channel is equally likely to come anywhere in the order, and what is clumped stays clumped.
    """
    side = maps.shape[1]
    moved_maps = []
    for saliency in maps:
        saliency = np.roll(saliency, rng.integers(0, side, 2), axis=(0, 1))
        saliency = np.rot90(saliency, rng.integers(4))
        if rng.integers(2):
            saliency = saliency[::-1]
        moved_maps.append(saliency[..., rng.permutation(saliency.shape[-1])])
    return np.stack(moved_maps)


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


def road_noise(images, seed: int) -> np.ndarray:
    """The noise on interpolated pixels: ROAD_NOISE of each channel's standard deviation in the crop, f64 [N, S, S, K].

    Args:
        images: f32 [N, S, S, K].
        seed: of the noise.
    """
    spread = ROAD_NOISE * images.std((1, 2), keepdims=True)
    return np.random.default_rng(seed).normal(size=images.shape) * spread


def imputed(images, removed, noise) -> np.ndarray:
    """Crops whose removed pixels are interpolated from their neighbours, with a little noise (Rong et al. 2022, 3.3).

    Each removed pixel is the weighted mean of its neighbours in the crop, 1/6 for the four direct ones and 1/12 for the
    diagonal ones, and all of them hold at once: a linear system for each cell and channel. Simplified: it is solved by
    conjugate gradients to a relative residual of ROAD_TOLERANCE. With nothing left to interpolate from, what is removed
    is 0, the background.

    Args:
        images: f32 [N, S, S, K].
        removed: bool [N, S, S, K].
        noise: f64 [N, S, S, K], as `road_noise` draws it.

    Returns:
        f32 [N, S, S, K].
    """
    def take(rows):
        return images[rows], removed[rows]

    n = len(images)
    interpolated = mesh.batchwise(_interpolated, take, n, methods.batch_size(n))
    return np.where(removed, interpolated + noise, images).astype(np.float32)


@jax.jit
def _interpolated(batch):
    """Solve the systems of images f32 [B, S, S, K] where removed bool [B, S, S, K] says so; 0 elsewhere."""
    return mesh.on_each_device(_solved)(*batch)


def _solved(images, removed):
    """`_interpolated` one system after the other: each takes as few rounds as it needs, and stays in the cache."""
    size, side, _, channels = images.shape
    weights = _neighbours(jnp.ones((side, side), images.dtype))  # less than 1 at the edge of the crop

    def one_by_one(x):
        """[B, S, S, K] as [B K, S, S]."""
        return jnp.moveaxis(x, -1, 1).reshape(-1, side, side)

    def solve(system):
        image, gone = system

        def left(x):  # each equation times the sum of its weights, which makes the matrix symmetric and positive
            return jnp.where(gone, weights * x - _neighbours(x), 0)

        right = jnp.where(gone, _neighbours(jnp.where(gone, 0, image)), 0)
        return jax.scipy.sparse.linalg.cg(left, right, tol=ROAD_TOLERANCE, maxiter=4 * image.size)[0]

    solved = jax.lax.map(solve, (one_by_one(images), one_by_one(removed)))
    return jnp.moveaxis(solved.reshape(size, channels, side, side), 1, -1)


def _neighbours(x):
    """Weighted sum of the eight neighbours of each pixel of x [S, S]; beyond the edge there is nothing."""
    padded = jnp.pad(x, 1)
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    square = rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]  # (1, 2, 1) along both axes: 12 times the weights, and 4 x
    return (square - 4 * x) / 12


def ask(evidence: Evidence) -> dict:
    """Areas and curves of deletion and insertion, of the default and the coarse method, on a few cells."""
    cells = evidence.cells.few
    predicted = cells.logits.argmax(1)
    predictions = Predictions(cells.run.network, cells.images, predicted)
    results = {}
    for name in (DEFAULT_METHOD, COARSE_METHOD):
        maps = cells.maps_of_predicted(name)
        rows, points = faithfulness(predictions, maps, cells.groups, cells.resampling)
        results[name] = {"rows": rows, "points": points}
    return results


def judge(results: dict, about: dict) -> Judgement:
    """Passed where the map is certainly better than the same map moved elsewhere in more than half of the tests."""
    rows = results[about["method"]]["rows"]
    better = 0
    any_known = False
    areas = []
    for row in rows:
        better += row["low"] > 0
        any_known |= Interval.of(row).is_known
        areas.append(f"{row['fill']} {row['measure']} {row['value']:.3f}")
    passed = None
    if any_known:
        passed = better > len(rows) / 2
    sentence = (
        "Removing what the map marks changes the prediction more than removing the same map moved elsewhere in "
        f"{better} of {len(rows)} tests ({rows[0]['n_cells']} cells; area between the curves: {', '.join(areas)})."
    )
    if about["mask"] != "none":
        sentence += (" Moved elsewhere it lies partly where the mask shows nothing, so this says that the map is on "
                     "what is shown, not where on it.")
    return Judgement(Answer.of(passed), sentence)


QUESTION = Question("faithfulness", ask)
CHECK = Check("removing what the map marks changes the prediction", QUESTION, judge)
