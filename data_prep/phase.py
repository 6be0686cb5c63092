"""The class of each cell, and when to abstain. A method is one function and one line in METHODS.

Every method takes the table of usable cells and gives, per cell, an index of the class or NO_LABEL, the value it looked
at, and a record of the cuts for the histogram and for provenance.json.
"""

import dataclasses

import numpy as np
from sklearn.mixture import GaussianMixture

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused, UsageError

MIN_CELLS_PER_PLATE = 30
FLOOR = 0.01  # values below this share of the plate's median positive value are set to it: no log of background noise
MIN_SEPARATION = 2.0  # humps nearer than this many standard deviations are one hump


@dataclasses.dataclass(frozen=True)
class Labelled:
    """label i64 [N] (NO_LABEL: abstained), value f64 [N], axis label of the value, cuts {plate: {name: number}}."""

    label: np.ndarray
    value: np.ndarray
    axis: str
    cuts: dict


def by_marker(table, channels, phase) -> Labelled:
    """Two classes by the nuclear mean of a marker, a cut per plate.

    Two Gaussians of one width are fitted to log2 of the marker; the cut is where both are equally likely, and cells are
    not labelled where the likelier class has a posterior below 1 - phase.abstain. Between the two means the posterior
    is monotone, so the band is one interval.

    Raises:
        UsageError: no marker channel in the config.
        InputRefused: a plate with too few cells to fit.
    """
    if not channels.marker:
        raise UsageError("config.channels.marker=''; phase.method='marker' needs the name of the marker channel")
    raw = table[f"Nuclei_Intensity_MeanIntensity_{channels.marker}"]
    middle = raw.where(raw > 0).groupby(table[schema.PLATE]).transform("median").fillna(1.0)
    value = np.log2(np.maximum(raw, FLOOR * middle)).to_numpy()
    label = np.full(len(table), schema.NO_LABEL, np.int64)
    cuts = {}
    for plate, rows in table.groupby(schema.PLATE, sort=True).indices.items():
        if len(rows) < MIN_CELLS_PER_PLATE:
            raise InputRefused(f"plate {plate!r}: {len(rows)} usable cells; at least {MIN_CELLS_PER_PLATE} are needed "
                               "to place a marker cut; add fields or label by another phase.method")
        cuts[plate] = two_gaussian_cuts(value[rows], phase.abstain)
        low, high = cuts[plate]["low"], cuts[plate]["high"]
        label[rows] = np.where(value[rows] < low, 0, np.where(value[rows] > high, 1, schema.NO_LABEL))
    return Labelled(label, value, f"log2 nuclear {channels.marker}, mean above background (camera units)", cuts)


def two_gaussian_cuts(value: np.ndarray, abstain: float) -> dict[str, float]:
    """Cut and abstaining band between two Gaussians fitted to `value` [N].

    Returns:
        cut, low and high (labels are given below `low` and above `high`), the two means, and `separation`: their
        distance over their common standard deviation. Below MIN_SEPARATION a histogram has no two humps.
    """
    lowest, highest = np.percentile(value, (10, 95))
    start = np.array([[lowest], [highest + 1e-6]])
    # One width for both: with a hundred cells, two free widths let one Gaussian swallow the cells in between.
    mixture = GaussianMixture(2, covariance_type="tied", means_init=start, random_state=0, reg_covar=1e-4)
    fit = mixture.fit(value[:, None])
    order = np.argsort(fit.means_.ravel())
    means, spread = fit.means_.ravel()[order], np.sqrt(fit.covariances_.ravel()[0])
    between = np.linspace(means[0], means[1], 2001)
    upper = np.maximum.accumulate(fit.predict_proba(between[:, None])[:, order[1]])
    places = {name: float(between[np.searchsorted(upper, level).clip(0, 2000)])
              for name, level in (("low", abstain), ("cut", 0.5), ("high", 1 - abstain))}
    separation = (means[1] - means[0]) / max(spread, 1e-9)
    return {**places, "mean_low": float(means[0]), "mean_high": float(means[1]), "separation": float(separation)}


def by_dna_content(table, channels, phase) -> Labelled:
    """Two classes by integrated DNA over the field's own G1 peak; between and outside the two ranges no label.

    These are pseudo-labels: they are computed from the nuclear channel itself. Fields with fewer than phase.min_cells
    usable nuclei have no trustworthy peak and are not labelled.
    """
    if not phase.low[1] < phase.high[0]:
        raise UsageError(f"config.phase.low={tuple(phase.low)} and high={tuple(phase.high)} overlap; "
                         "low must end where high has not begun")
    reference = table[schema.reference_column(channels.nucleus)].to_numpy()
    area = table.groupby(schema.PLATE)["_area_px"].transform("median").to_numpy()
    value = table[schema.integrated(channels.nucleus)].to_numpy() / (reference * area)
    enough = table.groupby(schema.FIELD)[schema.FIELD].transform("size").to_numpy() >= phase.min_cells
    inside = [enough & (value >= low) & (value <= high) for low, high in (phase.low, phase.high)]
    label = np.where(inside[0], 0, np.where(inside[1], 1, schema.NO_LABEL))
    cuts = {p: {"low_from": phase.low[0], "low": phase.low[1], "high": phase.high[0], "high_to": phase.high[1]}
            for p in sorted(set(table[schema.PLATE]))}
    return Labelled(label.astype(np.int64), value, f"integrated {channels.nucleus} (the field's G1 peak = 1)", cuts)


METHODS = {"marker": by_marker, "dna_content": by_dna_content}


def label_cells(table, channels, phase) -> Labelled:
    """Label the usable cells of `table` by phase.method; an unknown method or a class without cells is refused."""
    if phase.method not in METHODS:
        raise UsageError(f"config.phase.method={phase.method!r}; allowed: {', '.join(METHODS)}")
    labelled = METHODS[phase.method](table, channels, phase)
    counts = {name: int((labelled.label == i).sum()) for i, name in enumerate(phase.classes)}
    if min(counts.values()) == 0:
        said = ", ".join(f"{name} {n}" for name, n in counts.items())
        raise InputRefused(f"config.phase.method={phase.method!r} labels no cell of one class ({said} of {len(table)} "
                           "usable cells); check the marker, the ranges, or the fields")
    return labelled
