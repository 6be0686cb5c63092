"""The class of each cell, and when to abstain. A method is one function and one line in METHODS.

Every method takes the table of usable cells and gives, per cell, an index of the class or NO_LABEL, what it looked at,
and a record of the cuts for the picture in qc/ and for provenance.json.
"""

import dataclasses

import numpy as np
import pandas as pd
from sklearn.mixture import GaussianMixture

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused, UsageError
from cellcycle_jax.schema import Working
from data_prep.measurement.columns import refuse_unknown
from data_prep.reading import tables

MIN_CELLS_PER_PLATE = 30
FLOOR = 0.01  # values below this share of the plate's median positive value are taken for noise around zero
FLAT = 1e-6  # log2 values that differ by less are the same: no camera tells them apart
MIN_SEPARATION = 2.0  # humps nearer than this many standard deviations are one hump


@dataclasses.dataclass(frozen=True)
class Labelled:
    """What a method made of N cells, and what it looked at."""

    label: np.ndarray  # i64 [N], index of the class, NO_LABEL: abstained
    value: np.ndarray  # f64 [N], rises from the first class to the last; NaN: nothing was said of the cell
    axis: str  # what `value` is
    cuts: dict  # {plate: {name: number}}
    words: np.ndarray | None = None  # text [N] that was read, where classes come from names
    pair: np.ndarray | None = None  # f64 [N, 2], log2 of the two markers, where there are two


def by_marker(table, channels, phase) -> Labelled:
    """Two classes by the nuclear mean of a marker, a cut per plate.

    Two Gaussians of one width are fitted to log2 of the marker; the cut is where both are equally likely, and cells are
    not labelled where the likelier class has a posterior below 1 - phase.abstain. Between the two means the posterior
    is monotone, so the band is one interval.

    Raises:
        UsageError: not one marker channel in the config.
        InputRefused: a plate with too few cells to fit.
    """
    refuse_markers(channels, phase)
    side, value, cuts = _sides(table, channels.markers[0], phase.abstain)
    label = np.select([side < 0, side > 0], [0, 1], schema.NO_LABEL)
    axis = f"log2 nuclear {channels.markers[0]}, mean above background (camera units)"
    return Labelled(label.astype(np.int64), value, axis, cuts)


def by_two_markers(table, channels, phase) -> Labelled:
    """Classes by two markers that take turns, as in FUCCI (Sakaue-Sawano et al. 2008, doi 10.1016/j.cell.2007.12.033).

    Each marker is cut per plate as in `by_marker`. A cell with the first marker alone is of the first class, with the
    second alone of the last; with both it is of the middle one of three classes, and has no label where there are two.
    A cell with neither, or within the abstaining band of either, has no label.
    """
    refuse_markers(channels, phase)
    sides, values, cuts = zip(*(_sides(table, name, phase.abstain) for name in channels.markers), strict=True)
    last = len(phase.classes) - 1
    both = 1 if last == 2 else schema.NO_LABEL
    first, second = sides
    label = np.select([(first > 0) & (second < 0), (first > 0) & (second > 0), (first < 0) & (second > 0)],
                      [0, both, last], schema.NO_LABEL)
    joined = {plate: {f"{name}_{k}": v for name, cut in zip(channels.markers, cuts, strict=True)
                      for k, v in cut[plate].items()} for plate in cuts[0]}
    for plate, cut in joined.items():
        cut["separation"] = min(c[plate]["separation"] for c in cuts)
    axis = " and ".join(f"log2 nuclear {name}" for name in channels.markers)
    pair = np.stack(values, axis=1)
    return Labelled(label.astype(np.int64), pair[:, 1] - pair[:, 0], f"{axis}: second minus first", joined, pair=pair)


def _sides(table, marker, abstain):
    """-1, 0 or 1 for cells below, within and above the band of a marker; its log2; the cuts of each plate."""
    raw = table[f"Nuclei_Intensity_MeanIntensity_{marker}"].to_numpy(np.float64)
    value, side, cuts = np.zeros(len(table)), np.zeros(len(table), int), {}
    for plate, rows in table.groupby(schema.PLATE, sort=True).indices.items():
        if len(rows) < MIN_CELLS_PER_PLATE:
            raise InputRefused(f"plate {plate!r}: {len(rows)} usable cells; at least {MIN_CELLS_PER_PLATE} are needed "
                               "to place a marker cut; add fields or label by another phase.method")
        value[rows] = generalised_log2(raw[rows])
        cuts[plate] = two_gaussian_cuts(value[rows], abstain)
        side[rows] = np.where(value[rows] < cuts[plate]["low"], -1, np.where(value[rows] > cuts[plate]["high"], 1, 0))
    return side, value, cuts


def generalised_log2(raw: np.ndarray) -> np.ndarray:
    """Log2 for bright cells, straight through zero for cells without marker, whose values are background noise.

    log2((x + sqrt(x^2 + s^2)) / 2) of Huber et al. 2002 (doi 10.1093/bioinformatics/18.suppl_1.S96). Values below zero
    can only be noise, so s is twice their typical size (1.4826 times the median); without such values s is FLOOR of the
    median cell, and this is log2.

    Args:
        raw: f [N], above background, camera units.
    """
    below, above = raw[raw < 0], raw[raw > 0]
    noise = 2 * 1.4826 * np.median(-below) if len(below) else 0.0
    noise = max(noise, FLOOR * np.median(above) if len(above) else 1.0)
    return np.log2((raw + np.hypot(raw, noise)) / 2)


def two_gaussian_cuts(value: np.ndarray, abstain: float) -> dict[str, float]:
    """Cut and abstaining band between two Gaussians fitted to `value` [N].

    Returns:
        cut, low and high (labels are given below `low` and above `high`), the two means, and `separation`: their
        distance over their common standard deviation. Below MIN_SEPARATION a histogram has no two humps. Values that
        are all the same, as of a dead marker, have separation 0 and a band without end, so that none gets a label.
    """
    if np.ptp(value) < FLAT:
        same = float(value[0])
        return {"low": -np.inf, "cut": same, "high": np.inf, "mean_low": same, "mean_high": same, "separation": 0.0}
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
    area = table.groupby(schema.PLATE)[Working.AREA_PX].transform("median").to_numpy()
    value = table[schema.integrated(channels.nucleus)].to_numpy() / (reference * area)
    enough = table.groupby(schema.FIELD)[schema.FIELD].transform("size").to_numpy() >= phase.min_cells
    inside = [enough & (value >= low) & (value <= high) for low, high in (phase.low, phase.high)]
    label = np.where(inside[0], 0, np.where(inside[1], 1, schema.NO_LABEL))
    cuts = {p: {"low_from": phase.low[0], "low": phase.low[1], "high": phase.high[0], "high_to": phase.high[1]}
            for p in sorted(set(table[schema.PLATE]))}
    return Labelled(label.astype(np.int64), value, f"integrated {channels.nucleus} (G1 peak = 1)", cuts)


def by_column(table, channels, phase) -> Labelled:
    """Classes by the values of phase.column, a column of the sidecar or of the table in phase.table.

    A value is a class name, or phase.mapping says its class; any other value, and none, is no label.

    Raises:
        UsageError: no such column.
    """
    found = [c for c in (phase.column, f"Metadata_{phase.column}") if c in table.columns]
    if not found:
        refuse_unknown("phase.column", phase.column, [c for c in table.columns if c.startswith("Metadata_")])
    return _by_words(table[found[0]], phase, phase.column)


def by_folder(table, channels, phase) -> Labelled:
    """Classes by what the name of each field says (group `label` of name_pattern), for all cells of the field alike."""
    return _by_words(table[schema.FIELD_LABEL], phase, "label of the field")


def nothing(table, channels, phase) -> Labelled:
    """No labels: crops and measurements only, to be predicted by a model or looked at."""
    n = len(table)
    return Labelled(np.full(n, schema.NO_LABEL, np.int64), np.full(n, np.nan), "no labels", {})


def _by_words(words, phase, axis):
    classes = {name: i for i, name in enumerate(phase.classes)}
    pairs = [entry.rsplit("=", 1) for entry in phase.mapping]
    if wrong := [e for e, pair in zip(phase.mapping, pairs, strict=True) if len(pair) != 2 or pair[1] not in classes]:
        raise UsageError(f"config.phase.mapping: {wrong[0]!r}; allowed: 'value=class' with a class of "
                         f"{', '.join(phase.classes)}")
    place = classes | {value: classes[name] for value, name in pairs}
    words = _texts(words, place).to_numpy()
    label = np.array([place.get(word, schema.NO_LABEL) for word in words], np.int64)
    return Labelled(label, np.where(label == schema.NO_LABEL, np.nan, label), axis, {}, words=words)


def _texts(words, known) -> pd.Series:
    """A column as texts, "" where it is missing; a number is written as in `known` if it is there, 0.5 also as 0.50."""
    if pd.api.types.is_numeric_dtype(words) and not pd.api.types.is_bool_dtype(words):
        as_known = {}
        for text in known:
            as_known.setdefault(tables.number(text), text)
        words = words.map(lambda number: as_known.get(number, str(number).removesuffix(".0")), na_action="ignore")
    return words.astype(object).where(words.notna(), "").astype(str)


MARKERS = {"marker": (1, "one marker channel"),
           "two_markers": (2, "two marker channels, that of the first class first")}


def refuse_markers(channels, phase) -> None:
    """Refuse a number of markers that phase.method cannot use.

    Raises:
        UsageError: names both, and what to do.
    """
    count, needed = MARKERS.get(phase.method, (len(channels.markers), ""))
    if len(channels.markers) != count:
        raise UsageError(f"config.channels.markers={tuple(channels.markers)}; phase.method={phase.method!r} needs "
                         f"{needed}; name it, or label by another phase.method ('none' for no labels)")


METHODS = {"marker": by_marker, "two_markers": by_two_markers, "dna_content": by_dna_content, "column": by_column,
           "folder": by_folder, "none": nothing}


def label_cells(table, channels, phase) -> Labelled:
    """Label the usable cells of `table` by phase.method; an unknown method is refused."""
    if phase.method not in METHODS:
        raise UsageError(f"config.phase.method={phase.method!r}; allowed: {', '.join(METHODS)}")
    return METHODS[phase.method](table, channels, phase)
