"""Does the network read a marker that leaks into a channel it is shown?

A leak puts a fixed fraction of the marker's picture into the channel. So it shows twice: the channel grows with the
marker from cell to cell of one class and field, and it holds the marker's fine pattern. Biology can do the first, as
where a cyclin and DNA both grow, and two channels may share a pattern; a leak is certain only where both show it. It is
out of the question where the channel does not grow with the marker. What may leak is taken off the channel, as spectral
unmixing does (Zimmermann 2005, doi 10.1007/b102216), and the network asked again.

By amounts the fraction is the slope of the channel's mean over the nucleus on the marker's, within classes and fields.
By the fine pattern: of one cell, let m be the root mean square of the marker's, s that of the channel's, and u their
mean product. A pattern that both truly have gives u = r m s, with the correlation r; a leak adds fraction m^2. So u / m
is fitted as fraction m + r s over all cells, and the first coefficient counts. Since s holds the leak too, less is
found than leaks: of 8 % about 6, and hardly anything where the two channels have the same pattern.
"""

import dataclasses
import functools

import numpy as np
import pandas as pd
from scipy import ndimage

from cellcycle_jax import schema
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.attribution.methods import margins
from cellcycle_jax.explain.checks import camera_pixels, class_shares
from cellcycle_jax.explain.checks.check import Answer, Check, Evidence, Judgement, Question
from cellcycle_jax.explain.checks.compared_cells import labelled_cells
from cellcycle_jax.explain.regions.explained_cells import resampling_of, shortcut_resampling
from cellcycle_jax.scoring import intervals, metrics
from cellcycle_jax.scoring.intervals import Interval

FINE_PX = 1.0  # sd of the Gaussian that takes the noise of single pixels off
COARSE_PX = 3.0  # sd of the Gaussian whose result is not fine pattern
NOISE_QUANTILE = 0.05  # of the marker's mean squares, which is taken for that of noise alone
CLEAR = 3  # times that noise: cells with less of the marker say nothing of it
LEAST_CLEAR = 20  # cells with more, to say anything


def ask(evidence: Evidence) -> dict:
    """What leaks from each marker into each shown channel, and what of the difference between classes goes with it.

    Returns:
        markers; fractions: rows {marker, channel, by_amount, by_pattern} of what leaks, intervals; and shares of the
        difference between the classes that are gone without the leaks, see `_gone`: at their lower bounds by pattern
        (surely_by_pattern) and by amount (surely_by_amount), and at their upper bounds by amount (at_most). None where
        no marker is in the data.
    """
    run = evidence.cells.run
    crops = evidence.compared.crops
    shares = dict.fromkeys(("surely_by_pattern", "surely_by_amount", "at_most"))
    result = {"markers": list(crops.markers), "fractions": [], **shares}
    if not crops.markers:
        return result
    strict = shortcut_resampling(run)
    parts = (crops, labelled_cells(run, "train"))
    amounts, areas, patterns = (np.concatenate(of_parts) for of_parts in zip(*map(_measure, parts), strict=True))
    groups = np.concatenate([part.group_id for part in parts])
    of_class_and_field = np.concatenate([np.char.add(part.field_id, part.label.astype(str)) for part in parts])
    leaks = {name: {} for name in shares}
    for marker in crops.markers:
        for channel in run.channels:
            pair = (crops.channels.index(marker), crops.channels.index(channel))
            grown = functools.partial(fraction_by_amount, amounts, *pair, areas, of_class_and_field, groups)
            by_amount = grown(strict)
            by_pattern = fraction_by_pattern(patterns, *pair, groups, strict)
            row = {"marker": marker, "channel": channel, "by_amount": by_amount, "by_pattern": by_pattern}
            result["fractions"].append(row)
            leaks["surely_by_pattern"][pair] = by_pattern.low
            leaks["surely_by_amount"][pair] = by_amount.low
            leaks["at_most"][pair] = grown(resampling_of(run)).high  # for an alarm it takes more than for a pass
    for name, without in _margins_without(run, crops, leaks).items():
        result[name] = _gone(evidence.compared.margins, evidence.compared.held(without), crops, strict)
    return result


def _measure(crops: crop_arrays.Crops) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `nuclear_means` and `pattern_products` return, of crops on disk."""
    amounts = []
    areas = []
    patterns = []
    for block in camera_pixels.blocks(crops):
        of_block, areas_of_block = nuclear_means(block)
        amounts.append(of_block)
        areas.append(areas_of_block)
        patterns.append(pattern_products(block))
    return np.concatenate(amounts), np.concatenate(areas), np.concatenate(patterns)


def nuclear_means(crops: crop_arrays.Crops) -> tuple[np.ndarray, np.ndarray]:
    """Mean signal of each channel over the nucleus, f64 [N, C], camera units, and its area, i64 [N], px.

    Of the whole crop where no nucleus is known.
    """
    nucleus = crops.compartments & int(schema.Compartment.NUCLEUS) > 0
    nucleus |= ~nucleus.any(axis=(1, 2), keepdims=True)
    total = np.einsum("nijc,nij->nc", camera_pixels.camera_units(crops), nucleus, dtype=np.float64)
    areas = nucleus.sum((1, 2))
    return total / areas[:, None], areas


def pattern_products(crops: crop_arrays.Crops) -> np.ndarray:
    """Mean product of the fine patterns of each two channels over the crop, f64 [N, C, C], camera units squared."""
    patterns = fine_patterns(camera_pixels.camera_units(crops), camera_pixels.own_pixels(crops)).astype(np.float64)
    return np.einsum("nijk,nijl->nkl", patterns, patterns) / patterns[0, ..., 0].size


def _margins_without(run, crops, leaks: dict[str, dict]) -> dict[str, np.ndarray]:
    """Margins f64 [N, P] of crops without what leaked, by name; of fractions below 0, or NaN, nothing leaks."""
    of_blocks = {name: [] for name in leaks}
    for block in camera_pixels.blocks(crops):
        for name, fractions in leaks.items():
            known = {pair: max(0.0, np.nan_to_num(fraction)) for pair, fraction in fractions.items()}
            of_blocks[name].append(margins(run.predict_logits(without_leaks(block, known))))
    return {name: np.concatenate(blocks).astype(np.float64) for name, blocks in of_blocks.items()}


def fine_patterns(images, own) -> np.ndarray:
    """Fine pattern within the own cell, f32 [N, S, S, C], 0 elsewhere: a difference of two Gaussians.

    Args:
        images: f32 [N, S, S, C].
        own: bool [N, S, S].
    """
    fine = ndimage.gaussian_filter(images, (0, FINE_PX, FINE_PX, 0))
    coarse = ndimage.gaussian_filter(images, (0, COARSE_PX, COARSE_PX, 0))
    return np.where(own[..., None], fine - coarse, 0)


def fraction_by_amount(amounts, marker: int, channel: int, areas, strata, groups, resampling) -> Interval:
    """Which fraction of a marker is in a channel, by how the channel grows with it within strata.

    Among cells whose nuclei are as large: a large nucleus is paler in what it holds a fixed amount of.

    Args:
        amounts: f64 [N, C], as of `nuclear_means`.
        marker, channel: positions of the two.
        areas: i [N], as of `nuclear_means`.
        strata: [N], the class and field of each cell.
        groups: text [N], what intervals leave out.
        resampling: how intervals are made.

    Returns:
        The slope and its interval; NaN where too few cells differ from others of their stratum.
    """
    table = pd.DataFrame({"marker": amounts[:, marker], "channel": amounts[:, channel], "size": np.log(areas)})
    differing = table - table.groupby(strata).transform("mean")
    of_marker, of_channel, of_size = differing.to_numpy().T
    if np.count_nonzero(of_marker) < LEAST_CLEAR:
        return Interval(np.nan)

    def slope(weights):
        if not np.ptp(areas):
            return {"slope": metrics.divide(weights @ (of_marker * of_channel), weights @ of_marker**2)}
        return {"slope": _first_coefficient(of_channel, of_marker, of_size, weights)}

    return resampling.intervals(slope, groups)["slope"]


def fraction_by_pattern(products, marker: int, channel: int, groups, resampling) -> Interval:
    """Which fraction of a marker's picture is in a channel, by its fine pattern.

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
    signal = camera_pixels.camera_units(crops)
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

    Failed, with an alarm, where much is gone without what leaks for certain, by amounts and by pattern. Not known where
    the channel grows with the marker and the pattern does not say why.
    """
    if not results["markers"]:
        return Judgement(Answer.IMPOSSIBLE, "No channel of the data is a marker of the labels that could leak.")
    by_amount = [Interval.of(row["by_amount"]) for row in results["fractions"]]
    if not all(fraction.is_known for fraction in by_amount):
        return Judgement(
            Answer.UNKNOWN,
            f"Whether {' or '.join(results['markers'])} leaks cannot be said from so few labelled cells.",
            remedy=f"Several cells of each class in fields of at least {intervals.LEAST_GROUPS} groups would tell.",
        )
    limit = about["limits"]["surroundings"]
    worst = max(results["fractions"], key=lambda row: Interval.of(row["by_amount"]).value)
    fraction = Interval.of(worst["by_amount"]).percent(digits=1)
    sentence = f"Within classes and fields {worst['channel']} grows with {worst['marker']} by {fraction} of it."
    shows_in_amounts = class_shares.is_certain(Interval.of(results["surely_by_amount"]), limit)
    if shows_in_amounts:
        gone = class_shares.in_words(results["surely_by_amount"], about)
        sentence += f" {gone} is gone without the least of it."
    if shows_in_amounts and class_shares.is_certain(Interval.of(results["surely_by_pattern"]), limit):
        return Judgement(Answer.FAILED, f"{sentence} The fine pattern of the marker is there too: it leaks.", True)
    if shows_in_amounts:
        return Judgement(
            Answer.UNKNOWN,
            f"{sentence} The fine pattern does not say whether it leaks or truly grows.",
            remedy="Cells with one stain alone would tell.",
        )
    gone = class_shares.in_words(results["at_most"], about)
    sentence += f" {gone} is gone without the most that may leak."
    at_most = Interval.of(results["at_most"])
    if results["at_most"]["unmoved"] or class_shares.answer_of(at_most, limit, about["n_groups"]) is Answer.PASSED:
        return Judgement(Answer.PASSED, sentence)
    return Judgement(Answer.UNKNOWN, sentence, remedy=class_shares.remedy_of(at_most, limit, about))


QUESTION = Question("bleed_through", ask)
CHECK = Check("does not read the marker through another channel", QUESTION, judge, needed=True)
