"""Where a marker divides the cells of a plate, and whether it divides them at all.

Two Gaussians can be fitted to anything: to a slope, to one hump with a long tail. That they lie far apart says nothing
then. So a plate is asked for the valley between its two humps. What has none is not cut, and where the valley is
shallow, or the cells are too few to be sure of it, the labels are in doubt.
"""

import enum

import numpy as np
from scipy import stats
from sklearn.mixture import GaussianMixture

FLOOR = 0.01  # values below this share of the plate's median positive value are taken for noise around zero
FLAT = 1e-6  # log2 values that differ by less are the same: no camera tells them apart
# Percentiles at which the fit begins; a rare class is found from the second, classes of like size from the third.
STARTS = ((10, 95), (10, 99), (25, 75))
FENCE = 1.5  # interquartile ranges below the lower quartile
WINDOW = 1 / 3  # width of the windows in which cells are counted, of the distance between the humps
POSITIONS = 21  # of the window that looks for the valley
CLEAR = 0.7  # share of the cells of the smaller hump that a clear valley holds at most
FLAT_VALLEY = 0.85  # and from which there is none
BY_CHANCE = 0.02  # probability of so empty a valley, were there none, from which it may be there by chance


def generalised_log2(raw: np.ndarray) -> np.ndarray:
    """Log2 for bright cells, straight through zero for cells without marker, whose values are background noise.

    log2((x + sqrt(x^2 + s^2)) / 2) of Huber et al. 2002 (doi 10.1093/bioinformatics/18.suppl_1.S96). Values below zero
    can only be noise, so s is twice their typical size (1.4826 times the median); without such values s is FLOOR of the
    median cell, and this is log2.

    Args:
        raw: f [N], above background, camera units.

    Returns:
        f [N].
    """
    below_zero = raw[raw < 0]
    above_zero = raw[raw > 0]
    noise = 2 * 1.4826 * np.median(-below_zero) if len(below_zero) else 0.0
    lowest = FLOOR * np.median(above_zero) if len(above_zero) else 1.0
    noise = max(noise, lowest)
    return np.log2((raw + np.hypot(raw, noise)) / 2)


def two_gaussian_cuts(value: np.ndarray, abstain: float) -> dict[str, float]:
    """Cut and abstaining band between two Gaussians fitted to `value` [N].

    Where the fit ends depends on where it begins. Of the ends the first is taken that has two humps, and where none has
    them the one with the least likely valley. Cells without any marker, far below all others, count as dark as the
    lower fence of Tukey (1977), so that they are no hump of their own.

    Returns:
        cut, low and high (labels are given below `low` and above `high`), the two means, `separation`, their distance
        over their common standard deviation, and `valley` and `valley_by_chance` of `valley_between`. Values that are
        all the same, as of a dead marker, have separation 0, no valley and a band without end.
    """
    if np.ptp(value) < FLAT:
        same = float(value[0])
        return {
            "low": -np.inf,
            "cut": same,
            "high": np.inf,
            "mean_low": same,
            "mean_high": same,
            "separation": 0.0,
            "valley": 1.0,
            "valley_by_chance": 1.0,
        }
    quarter, three_quarters = np.percentile(value, (25, 75))
    darkest = quarter - FENCE * (three_quarters - quarter)
    value = np.maximum(value, darkest)
    ends = []
    for start in STARTS:
        cut = _cut_from(value, np.percentile(value, start), abstain)
        if humps(cut) is Humps.TWO:
            return cut
        ends.append(cut)
    return min(ends, key=lambda cut: cut["valley_by_chance"])


def _cut_from(value, start, abstain: float) -> dict[str, float]:
    """What `two_gaussian_cuts` returns, of a fit that begins with the means `start` [2]."""
    means_init = np.array([[start[0]], [start[1] + FLAT]])
    # One width for both: with a hundred cells, two free widths let one Gaussian swallow the cells in between.
    mixture = GaussianMixture(2, covariance_type="tied", means_init=means_init, random_state=0, reg_covar=1e-4)
    mixture.fit(value[:, None])
    means = mixture.means_.ravel()
    lower, upper = np.argsort(means)
    width = np.sqrt(mixture.covariances_.ravel()[0])
    between = np.linspace(means[lower], means[upper], 2001)
    posterior = mixture.predict_proba(between[:, None])[:, upper]
    posterior = np.maximum.accumulate(posterior)
    levels = (abstain, 0.5, 1 - abstain)
    low, cut, high = between[np.searchsorted(posterior, levels).clip(0, 2000)]
    separation = (means[upper] - means[lower]) / max(width, 1e-9)
    return {
        "low": float(low),
        "cut": float(cut),
        "high": float(high),
        "mean_low": float(means[lower]),
        "mean_high": float(means[upper]),
        "separation": float(separation),
        **valley_between(value, means[lower], means[upper]),
    }


def valley_between(value, mean_low: float, mean_high: float) -> dict[str, float]:
    """How empty it is between two humps.

    Cells are counted in windows of one width: at each mean, and at the emptiest place between these two windows. Were
    there no valley, a cell of the smaller hump or of the valley would be as likely in either.

    Args:
        value: f64 [N].
        mean_low, mean_high: of the two Gaussians fitted to it.

    Returns:
        valley: cells in the valley over those in the smaller hump, inf where that is empty; valley_by_chance:
        binomial probability of a valley as empty as that or emptier.
    """
    rising = np.sort(value)
    half = WINDOW / 2 * (mean_high - mean_low)

    def count_at(centres):
        return np.searchsorted(rising, centres + half, "right") - np.searchsorted(rising, centres - half, "left")

    in_hump = min(count_at(mean_low), count_at(mean_high))
    in_valley = count_at(np.linspace(mean_low + 2 * half, mean_high - 2 * half, POSITIONS)).min()
    return {
        "valley": float(in_valley / in_hump) if in_hump else np.inf,
        "valley_by_chance": float(stats.binom.cdf(in_valley, in_valley + in_hump, 0.5)),
    }


class Humps(enum.StrEnum):
    """What the values of a marker show, as a part of a sentence about a plate."""

    TWO = "shows two humps"
    PERHAPS_TWO = "is not certain to show two humps"
    ONE = "shows no two humps"


def humps(cut: dict[str, float]) -> Humps:
    """Whether what `two_gaussian_cuts` returned has a clear valley, one that is shallow or by chance, or none."""
    if cut["valley"] >= FLAT_VALLEY:
        return Humps.ONE
    is_certain = cut["valley"] < CLEAR and cut["valley_by_chance"] < BY_CHANCE
    return Humps.TWO if is_certain else Humps.PERHAPS_TWO


def humps_in_words(marker: str, plate: str, cut: dict[str, float]) -> str:
    """What a plate's marker shows, and by which numbers, as the beginning of a sentence."""
    if cut["separation"] == 0:
        return f"{marker} of plate {plate!r} is the same in all cells"
    found = humps(cut)
    why = f"at the emptiest place between them are {cut['valley']:.0%} as many cells as in the smaller one"
    if found is Humps.PERHAPS_TWO:
        why += f", which comes by chance with a probability of {cut['valley_by_chance']:.2f}"
    return f"{marker} of plate {plate!r} {found} ({why})"
