"""The class of each cell, and when to abstain. A method is one function and one line in METHODS.

Every method takes the table of usable cells and gives, per cell, an index of the class or NO_LABEL, what it looked at,
and a record of the cuts for the figure in qc/ and for provenance.json.
"""

import dataclasses

import numpy as np
import pandas as pd
from sklearn.mixture import GaussianMixture

from cellcycle_jax import extensions, schema
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
    """What a method made of N cells, and what it looked at.

    Attributes:
        label: i64 [N], index of the class, NO_LABEL where the method abstained.
        value: f64 [N], rises from the first class to the last; NaN where nothing is known of the cell.
        axis: what `value` is.
        cuts: {plate: {name: number}}.
        words: text [N] that was read, where classes come from names.
        pair: f64 [N, 2], log2 of the two markers, where there are two.
    """

    label: np.ndarray
    value: np.ndarray
    axis: str
    cuts: dict
    words: np.ndarray | None = None
    pair: np.ndarray | None = None


def by_marker(table, channels, labelling) -> Labelled:
    """Two classes by the nuclear mean of a marker, a cut per plate.

    Two Gaussians of one width are fitted to log2 of the marker; the cut is where both are equally likely, and cells are
    not labelled where the likelier class has a posterior below 1 - labels.abstain. Between the two means the posterior
    is monotone, so the band is one interval.

    Raises:
        InputRefused: a plate with too few cells to fit.
    """
    marker = channels.markers[0]
    side, value, cuts = _sides(table, marker, labelling.abstain)
    label = np.select([side < 0, side > 0], [0, 1], schema.NO_LABEL)
    axis = f"log2 nuclear {marker}, mean above background (camera units)"
    return Labelled(label.astype(np.int64), value, axis, cuts)


def by_two_markers(table, channels, labelling) -> Labelled:
    """Classes by two markers that take turns, as in FUCCI (Sakaue-Sawano et al. 2008, doi 10.1016/j.cell.2007.12.033).

    Each marker is cut per plate as in `by_marker`. A cell with the first marker alone is of the first class, with the
    second alone of the last; with both it is of the middle one of three classes, and has no label where there are two.
    A cell with neither, or within the abstaining band of either, has no label.
    """
    first, second = channels.markers
    first_side, first_value, first_cuts = _sides(table, first, labelling.abstain)
    second_side, second_value, second_cuts = _sides(table, second, labelling.abstain)
    only_first = (first_side > 0) & (second_side < 0)
    only_second = (first_side < 0) & (second_side > 0)
    both = (first_side > 0) & (second_side > 0)
    last_class = len(labelling.classes) - 1
    class_of_both = 1 if last_class == 2 else schema.NO_LABEL
    label = np.select([only_first, both, only_second], [0, class_of_both, last_class], schema.NO_LABEL)
    cuts = {}
    for plate, first_cut in first_cuts.items():
        second_cut = second_cuts[plate]
        cuts[plate] = {
            **_with_prefix(first, first_cut),
            **_with_prefix(second, second_cut),
            "separation": min(first_cut["separation"], second_cut["separation"]),
        }
    axis = f"log2 nuclear {first} and log2 nuclear {second}: second minus first"
    pair = np.stack([first_value, second_value], axis=1)
    return Labelled(label.astype(np.int64), second_value - first_value, axis, cuts, pair=pair)


def _with_prefix(marker, cut) -> dict[str, float]:
    return {f"{marker}_{name}": number for name, number in cut.items()}


def _sides(table, marker, abstain):
    """Where cells lie relative to the abstaining band of a marker.

    Returns:
        int [N], -1 below the band, 0 within it, 1 above; f64 [N], log2 of the marker; {plate: cuts}.
    """
    raw = table[f"Nuclei_Intensity_MeanIntensity_{marker}"].to_numpy(np.float64)
    value = np.zeros(len(table))
    side = np.zeros(len(table), int)
    cuts = {}
    for plate, rows in table.groupby(schema.PLATE, sort=True).indices.items():
        if len(rows) < MIN_CELLS_PER_PLATE:
            raise InputRefused(f"plate {plate!r}: {len(rows)} usable cells; at least {MIN_CELLS_PER_PLATE} are needed "
                               "to place a marker cut; add fields or label by another labels.method")
        of_plate = generalised_log2(raw[rows])
        cut = two_gaussian_cuts(of_plate, abstain)
        value[rows] = of_plate
        side[rows] = np.select([of_plate < cut["low"], of_plate > cut["high"]], [-1, 1], 0)
        cuts[plate] = cut
    return side, value, cuts


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

    Returns:
        cut, low and high (labels are given below `low` and above `high`), the two means, and `separation`: their
        distance over their common standard deviation. Below MIN_SEPARATION a histogram has no two humps. Values that
        are all the same, as of a dead marker, have separation 0 and a band without end, so that none gets a label.
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
        }
    lowest, highest = np.percentile(value, (10, 95))
    start = np.array([[lowest], [highest + 1e-6]])
    # One width for both: with a hundred cells, two free widths let one Gaussian swallow the cells in between.
    mixture = GaussianMixture(2, covariance_type="tied", means_init=start, random_state=0, reg_covar=1e-4)
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
    }


def by_dna_content(table, channels, labelling) -> Labelled:
    """Two classes by integrated DNA over the field's own G1 peak; between and outside the two ranges no label.

    These are pseudo-labels: they are computed from the nuclear channel itself. Fields with fewer than labels.min_cells
    usable nuclei have no trustworthy peak and are not labelled.
    """
    if not labelling.low_range[1] < labelling.high_range[0]:
        low, high = tuple(labelling.low_range), tuple(labelling.high_range)
        raise UsageError(f"config.labels.low_range={low} and labels.high_range={high} overlap; "
                         "low must end where high has not begun")
    reference = table[schema.reference_column(channels.nucleus)].to_numpy()
    area = table.groupby(schema.PLATE)[Working.AREA_PX].transform("median").to_numpy()
    value = table[schema.integrated(channels.nucleus)].to_numpy() / (reference * area)
    cells_of_field = table.groupby(schema.FIELD)[schema.FIELD].transform("size").to_numpy()
    has_peak = cells_of_field >= labelling.min_cells
    is_low = has_peak & (value >= labelling.low_range[0]) & (value <= labelling.low_range[1])
    is_high = has_peak & (value >= labelling.high_range[0]) & (value <= labelling.high_range[1])
    label = np.select([is_low, is_high], [0, 1], schema.NO_LABEL)
    cuts = {}
    for plate in sorted(set(table[schema.PLATE])):
        cuts[plate] = {
            "low_from": labelling.low_range[0],
            "low": labelling.low_range[1],
            "high": labelling.high_range[0],
            "high_to": labelling.high_range[1],
        }
    axis = f"integrated {channels.nucleus} (G1 peak = 1)"
    return Labelled(label.astype(np.int64), value, axis, cuts)


def by_column(table, channels, labelling) -> Labelled:
    """Classes by the values of labels.column, a column of the sidecar or of the table in labels.table.

    A value is a class name, or labels.mapping says its class; any other value, and none, is no label.

    Raises:
        UsageError: no such column.
    """
    column = labelling.column
    if column not in table.columns:
        refuse_unknown("labels.column", labelling.column, table.columns)
        column = f"Metadata_{labelling.column}"
    return _by_words(table[column], labelling, labelling.column)


def by_folder(table, channels, labelling) -> Labelled:
    """Classes by what the name of each field says (group `label` of name_pattern), for all cells of the field alike."""
    return _by_words(table[schema.FIELD_LABEL], labelling, "label of the field")


def unlabelled(table, channels, labelling) -> Labelled:
    """No labels: crops and measurements only, to be predicted by a model or looked at."""
    n = len(table)
    label = np.full(n, schema.NO_LABEL, np.int64)
    return Labelled(label, np.full(n, np.nan), "no labels", {})


def _by_words(words, labelling, axis):
    class_index = {name: i for i, name in enumerate(labelling.classes)}
    index_of_word = dict(class_index)
    for entry in labelling.mapping:
        word, equals, name = entry.rpartition("=")
        if not equals or name not in class_index:
            raise UsageError(f"config.labels.mapping: {entry!r}; "
                             f"allowed: 'value=class' with a class of {', '.join(labelling.classes)}")
        index_of_word[word] = class_index[name]
    words = _texts(words, index_of_word).to_numpy()
    label = np.array([index_of_word.get(word, schema.NO_LABEL) for word in words], np.int64)
    value = np.where(label == schema.NO_LABEL, np.nan, label)
    return Labelled(label, value, axis, {}, words=words)


def _texts(words, spellings) -> pd.Series:
    """A column as texts, "" where it is missing; a number is written as in `spellings` if it is there (0.5 as 0.50)."""
    is_numeric = pd.api.types.is_numeric_dtype(words) and not pd.api.types.is_bool_dtype(words)
    if is_numeric:
        spelling_of = {}
        for text in spellings:
            spelling_of.setdefault(tables.number(text), text)

        def written(number):
            return spelling_of.get(number, str(number).removesuffix(".0"))

        words = words.map(written, na_action="ignore")
    return words.astype(object).where(words.notna(), "").astype(str)


# labels.method -> how many markers it needs, in numbers and in words.
MARKERS = {
    "marker": (1, "one marker channel"),
    "two_markers": (2, "two marker channels, that of the first class first"),
}


def refuse_markers(channels, labelling) -> None:
    """Refuse a number of markers that labels.method cannot use.

    Raises:
        UsageError: names both, and what to do.
    """
    if labelling.method not in MARKERS:
        return
    count, in_words = MARKERS[labelling.method]
    if len(channels.markers) != count:
        raise UsageError(f"config.channels.markers={tuple(channels.markers)}; labels.method={labelling.method!r} needs "
                         f"{in_words}; name it, or label by another labels.method ('none' for no labels)")


METHODS = {
    "marker": by_marker,
    "two_markers": by_two_markers,
    "dna_content": by_dna_content,
    "column": by_column,
    "folder": by_folder,
    "none": unlabelled,
}


def label_cells(table, channels, labelling) -> Labelled:
    """Label the usable cells of `table` by labels.method, a name in METHODS or `package.module:function`.

    Raises:
        UsageError: there is no such method, the markers do not fit it, or it does not return what METHODS return.
    """
    refuse_markers(channels, labelling)
    labelled = extensions.call(labelling.method, METHODS, "labels.method", table, channels, labelling)
    if not isinstance(labelled, Labelled) or len(labelled.label) != len(table):
        raise UsageError(
            f"config.labels.method={labelling.method!r} must return data_prep.labelling.methods.Labelled with a label "
            f"for each of the {len(table)} rows"
        )
    return labelled
