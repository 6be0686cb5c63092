"""Does the network read a marker that leaks into a channel it is shown?

What leaks is a fixed fraction of the marker's picture, down to its fine pattern, and grows with the marker from cell to
cell. What truly goes with a marker, such as DNA with a cyclin, may share its pattern or its amount, but not as a fixed
fraction. So the fraction is estimated from the fine pattern within cells, taken off the channel, as spectral unmixing
does (Zimmermann 2005, doi 10.1007/b102216), and the network asked again.

Of the fine pattern of one cell, let m be the root mean square of the marker, s that of the shown channel, and u their
mean product. A pattern that both truly have gives u = r m s, with the correlation r; a leak adds fraction m^2. So u / m
is fitted as fraction m + r s over all cells, and the first coefficient counts. Since s holds the leak too, somewhat
less is found than leaks: of 8 % about 6.
"""

import dataclasses

import numpy as np
from scipy import ndimage

from cellcycle_jax import schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.attribution.methods import margins
from cellcycle_jax.explain.checks import class_shares
from cellcycle_jax.explain.checks.check import Answer, Check, Evidence, Judgement, Question
from cellcycle_jax.explain.checks.compared_cells import labelled_cells
from cellcycle_jax.explain.regions.explained_cells import shortcut_resampling
from cellcycle_jax.scoring import intervals, metrics
from cellcycle_jax.scoring.intervals import Interval

FINE_PX = 1.0  # sd of the Gaussian that takes the noise of single pixels off
COARSE_PX = 3.0  # sd of the Gaussian whose result is not fine pattern
NOISE_QUANTILE = 0.05  # of the marker's mean squares, which is taken for that of noise alone
CLEAR = 3  # times that noise: cells with less of the marker say nothing of it
LEAST_CLEAR = 20  # cells with more, to say anything
BLOCK = 256  # cells in memory at a time
BACKGROUND = schema.INTENSITY_STATS.index("background")
OWN = schema.Compartment.BODY | schema.Compartment.NUCLEUS


def ask(evidence: Evidence) -> dict:
    """What leaks from each marker into each shown channel, and what of the difference between classes goes with it.

    Returns:
        markers; fractions: rows {marker, channel, value, low, high} of what leaks; least, most: share of the difference
        between the classes that is gone without the leaks at their lower and upper bounds, see
        `class_shares.largest_share`, and unmoved, whether no answer changes; None where no marker is in the data.
    """
    run = evidence.cells.run
    crops = evidence.compared.crops
    result = {"markers": list(crops.markers), "fractions": [], "least": None, "most": None}
    if not crops.markers:
        return result
    resampling = shortcut_resampling(run)
    training = labelled_cells(run, "train")
    patterns = np.concatenate([pattern_products(crops), pattern_products(training)])
    groups = np.concatenate([crops.group_id, training.group_id])
    fractions = {}
    for marker in crops.markers:
        for channel in run.channels:
            pair = (crops.channels.index(marker), crops.channels.index(channel))
            fractions[pair] = leaked_fraction(patterns, *pair, groups, resampling)
            result["fractions"].append({"marker": marker, "channel": channel, **fractions[pair].as_json()})
    for name, bound in (("least", "low"), ("most", "high")):
        leaks = {pair: max(0.0, np.nan_to_num(getattr(one, bound))) for pair, one in fractions.items()}
        result[name] = _gone(evidence.compared.margins, _margins_without(run, crops, leaks), crops, resampling)
    return result


def _blocks(crops: crop_arrays.Crops):
    """The crops some at a time, with pixels in memory."""
    for start in range(0, len(crops), BLOCK):
        yield crop_arrays.in_memory(crop_arrays.take(crops, slice(start, start + BLOCK)))


def pattern_products(crops: crop_arrays.Crops) -> np.ndarray:
    """Mean product of the fine patterns of each two channels over the crop, f64 [N, C, C], camera units squared."""
    products = []
    for block in _blocks(crops):
        patterns = fine_patterns(camera_units(block), own_pixels(block)).astype(np.float64)
        products.append(np.einsum("nijk,nijl->nkl", patterns, patterns) / patterns[0, ..., 0].size)
    return np.concatenate(products)


def _margins_without(run, crops, leaks) -> np.ndarray:
    """Margins f64 [N, P] of crops without what leaked."""
    of_blocks = [margins(run.predict_logits(without_leaks(block, leaks))) for block in _blocks(crops)]
    return np.concatenate(of_blocks).astype(np.float64)


def camera_units(crops: crop_arrays.Crops) -> np.ndarray:
    """Signal above the background of the field, f32 [N, S, S, C], camera units."""
    background = crops.intensity_stats[:, None, None, :, BACKGROUND]
    return (crops.image * crops.image_scale[:, None, None] - background).astype(np.float32)


def own_pixels(crops: crop_arrays.Crops) -> np.ndarray:
    """Where the own cell is, bool [N, S, S]: its body and nucleus; everywhere in crops that know neither."""
    own = crops.compartments & int(OWN) > 0
    return own | ~own.any(axis=(1, 2), keepdims=True)


def fine_patterns(images, own) -> np.ndarray:
    """Fine pattern within the own cell, f32 [N, S, S, C], 0 elsewhere: a difference of two Gaussians.

    Args:
        images: f32 [N, S, S, C].
        own: bool [N, S, S].
    """
    fine = ndimage.gaussian_filter(images, (0, FINE_PX, FINE_PX, 0))
    coarse = ndimage.gaussian_filter(images, (0, COARSE_PX, COARSE_PX, 0))
    return np.where(own[..., None], fine - coarse, 0)


def leaked_fraction(products, marker: int, channel: int, groups, resampling) -> Interval:
    """Which fraction of a marker's picture is in a channel.

    Args:
        products: f64 [N, C, C], as of `pattern_products`.
        marker, channel: positions of the two.
        groups: text [N], what intervals leave out.
        resampling: how intervals are made.

    Returns:
        The fraction and its interval; NaN where too few cells show the marker clearly.
    """
    square = products[:, marker, marker]
    product = products[:, marker, channel]
    own_square = products[:, channel, channel]
    noise = np.quantile(square, NOISE_QUANTILE)
    clear = (square > CLEAR * noise) & (own_square > 0)
    if clear.sum() < LEAST_CLEAR:
        return Interval(np.nan)
    root = np.sqrt(square[clear] - noise)
    ratio = product[clear] / root

    own = np.sqrt(own_square[clear])

    def fraction(weights):
        return {"fraction": _first_coefficient(ratio, root, own, weights[:, clear])}

    return resampling.intervals(fraction, groups)["fraction"]


def _first_coefficient(y, first, second, weights) -> np.ndarray:
    """Coefficient f64 [B] of `first` in the least squares of y on first and second.

    Args:
        y, first, second: f64 [N].
        weights: f64 [B, N].
    """
    first_first = weights @ first**2
    second_second = weights @ second**2
    both = weights @ (first * second)
    numerator = (weights @ (y * first)) * second_second - (weights @ (y * second)) * both
    return metrics.divide(numerator, first_first * second_second - both**2)


def without_leaks(crops: crop_arrays.Crops, leaks: dict) -> crop_arrays.Crops:
    """Crops without what leaked.

    Args:
        crops: with pixels in memory.
        leaks: {(position of the marker, position of the channel): fraction}.

    Returns:
        The crops, whose image is f32 [N, S, S, C], stored values.
    """
    image = crops.image.astype(np.float32)
    signal = camera_units(crops)
    for (source, channel), fraction in leaks.items():
        scale = crops.image_scale[:, None, None, channel]
        image[..., channel] -= fraction * metrics.divide(signal[..., source], scale)
    return dataclasses.replace(crops, image=image)


def _gone(intact, unmixed, crops, resampling) -> dict:
    """Share of the difference between the classes that is in the intact margins f [N, P] and not in the others."""
    is_class = np.eye(intact.shape[1])[crops.label]

    def parts_of(weights):
        whole = class_shares.differences(intact, is_class, weights)
        return whole - class_shares.differences(unmixed, is_class, weights), whole

    share = class_shares.largest_share(parts_of, crops.group_id, crops.label, intact.shape[1], resampling)
    return {**share, "unmoved": bool(np.array_equal(intact, unmixed))}


def judge(results: dict, about: dict) -> Judgement:
    """Passed where hardly anything of the difference is gone without as much as may leak, for certain.

    Failed, with an alarm, where much is gone without what leaks for certain.
    """
    if results["most"] is None:
        return Judgement(Answer.IMPOSSIBLE, "No channel of the data is a marker of the labels that could leak.")
    fractions = [Interval.of(row) for row in results["fractions"]]
    if not all(fraction.is_known for fraction in fractions):
        return Judgement(
            Answer.UNKNOWN,
            f"Whether {' or '.join(results['markers'])} leaks cannot be said: too few labelled cells of training and "
            "validation show it clearly.",
            remedy=f"At least {LEAST_CLEAR} cells that do, of {intervals.LEAST_GROUPS} groups or more, would tell.",
        )
    limit = about["limits"]["surroundings"]
    least = Interval.of(results["least"])
    most = Interval.of(results["most"])
    worst = max(results["fractions"], key=lambda row: np.nan_to_num(row["value"], nan=-np.inf))
    fraction = Interval.of(worst).percent(digits=1)
    sentence = f"Of {worst['marker']} {fraction} is found in {worst['channel']}, by the fine pattern within cells."
    if class_shares.is_certain(least, limit):
        gone = class_shares.in_words(results["least"], about)
        return Judgement(Answer.FAILED, f"{sentence} {gone} is gone without the least that leaks for certain.", True)
    gone = class_shares.in_words(results["most"], about)
    sentence += f" {gone} is gone without the most that may leak."
    if results["most"]["unmoved"] or class_shares.answer_of(most, limit, about["n_groups"]) is Answer.PASSED:
        return Judgement(Answer.PASSED, sentence)
    return Judgement(Answer.UNKNOWN, sentence, remedy=class_shares.remedy_of(most, limit, about))


QUESTION = Question("bleed_through", ask)
CHECK = Check("does not read the marker through another channel", QUESTION, judge, needed=True)
