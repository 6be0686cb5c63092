"""The class of each cell, and when to abstain. A method is one function and one line in METHODS.

Every method takes the table of usable cells and gives, per cell, an index of the class or NO_LABEL, what it looked at,
and a record of the cuts for the figure in qc/ and for provenance.json.
"""

import dataclasses

import numpy as np
import pandas as pd

from cellcycle_jax import extensions, schema
from cellcycle_jax.errors import InputRefused, UsageError
from data_prep.labelling.dna_content import by_dna_content
from data_prep.labelling.labelled import Labelled
from data_prep.labelling.marker_cut import (
    Humps,
    generalised_log2,
    humps,
    humps_in_words,
    two_gaussian_cuts,
)
from data_prep.measurement.columns import refuse_unknown
from data_prep.reading import tables

MIN_CELLS_PER_PLATE = 30


def by_marker(table, channels, labelling) -> Labelled:
    """Two classes by the nuclear mean of a marker, a cut per plate.

    Two Gaussians of one width are fitted to log2 of the marker; the cut is where both are equally likely, and cells are
    not labelled where the likelier class has a posterior below 1 - labels.abstain. Between the two means the posterior
    is monotone, so the band is one interval. A plate whose marker shows no two humps is not labelled, or with
    labels.one_hump='label' labelled with a doubt; one with too few cells to be sure of them is labelled with a doubt.

    Raises:
        InputRefused: a plate with too few cells to fit.
    """
    sides = _sides(table, channels.markers[0], labelling)
    label = np.select([sides.side < 0, sides.side > 0], [0, 1], schema.NO_LABEL)
    axis = f"log2 nuclear {channels.markers[0]}, mean above background (camera units)"
    return Labelled(
        label.astype(np.int64),
        sides.value,
        axis,
        sides.cuts,
        doubts=sides.doubts,
        notes=sides.notes,
    )


def by_two_markers(table, channels, labelling) -> Labelled:
    """Classes by two markers that take turns, as in FUCCI (Sakaue-Sawano et al. 2008, doi 10.1016/j.cell.2007.12.033).

    Each marker is cut per plate as in `by_marker`. A cell with the first marker alone is of the first class, with the
    second alone of the last; with both it is of the middle one of three classes, and has no label where there are two.
    A cell with neither, or within the abstaining band of either, has no label.
    """
    first_name, second_name = channels.markers
    first = _sides(table, first_name, labelling)
    second = _sides(table, second_name, labelling)
    only_first = (first.side > 0) & (second.side < 0)
    only_second = (first.side < 0) & (second.side > 0)
    both = (first.side > 0) & (second.side > 0)
    last_class = len(labelling.classes) - 1
    class_of_both = 1 if last_class == 2 else schema.NO_LABEL
    label = np.select([only_first, both, only_second], [0, class_of_both, last_class], schema.NO_LABEL)
    cuts = {}
    for plate, first_cut in first.cuts.items():
        second_cut = second.cuts[plate]
        cuts[plate] = {
            **_with_prefix(first_name, first_cut),
            **_with_prefix(second_name, second_cut),
            "separation": min(first_cut["separation"], second_cut["separation"]),
        }
    axis = f"log2 nuclear {first_name} and log2 nuclear {second_name}: second minus first"
    return Labelled(
        label.astype(np.int64),
        second.value - first.value,
        axis,
        cuts,
        pair=np.stack([first.value, second.value], axis=1),
        doubts=first.doubts + second.doubts,
        notes=first.notes + second.notes,
    )


def _with_prefix(marker, cut) -> dict[str, float]:
    return {f"{marker}_{name}": number for name, number in cut.items()}


@dataclasses.dataclass(frozen=True)
class _Sides:
    """Where N cells lie relative to the abstaining bands of a marker.

    Attributes:
        side: int [N], -1 below the band of the cell's plate, 0 within it, 1 above.
        value: f64 [N], log2 of the marker.
        cuts: {plate: cuts}.
        doubts, notes: as of `Labelled`.
    """

    side: np.ndarray
    value: np.ndarray
    cuts: dict
    doubts: tuple[str, ...]
    notes: tuple[str, ...]


def _sides(table, marker, labelling) -> _Sides:
    """All cells of a plate are within the band where its marker shows no two humps and labels.one_hump says so."""
    raw = table[f"Nuclei_Intensity_MeanIntensity_{marker}"].to_numpy(np.float64)
    value = np.zeros(len(table))
    side = np.zeros(len(table), int)
    cuts = {}
    doubts = []
    notes = []
    for plate, rows in table.groupby(schema.PLATE, sort=True).indices.items():
        if len(rows) < MIN_CELLS_PER_PLATE:
            raise InputRefused(f"plate {plate!r}: {len(rows)} usable cells; at least {MIN_CELLS_PER_PLATE} are needed "
                               "to place a marker cut; add fields or label by another labels.method")
        of_plate = generalised_log2(raw[rows])
        cut = two_gaussian_cuts(of_plate, labelling.abstain)
        value[rows] = of_plate
        cuts[plate] = cut
        found = humps(cut)
        in_words = humps_in_words(marker, plate, cut)
        is_dead = cut["separation"] == 0
        if is_dead or (found is Humps.ONE and labelling.one_hump == "abstain"):
            notes.append(f"{in_words}: none of its {len(rows)} cells has a label.")
            continue
        if found is not Humps.TWO:
            doubts.append(f"{in_words}: its {len(rows)} cells are labelled all the same.")
        side[rows] = np.select([of_plate < cut["low"], of_plate > cut["high"]], [-1, 1], 0)
    return _Sides(side, value, cuts, tuple(doubts), tuple(notes))


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
