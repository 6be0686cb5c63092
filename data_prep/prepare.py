"""Folder of fields -> data set on disk: the seam that `launch.py prepare` calls.

The fields are processed; what needs the whole set (labels, splits) comes after. provenance.json is written last and
marks a data set as complete.
"""

import itertools
import pathlib
import sys

import numpy as np
import pandas as pd

from cellcycle_jax import files, locks, openings, schema
from cellcycle_jax.errors import EXIT_QUARANTINED, InputRefused, UsageError
from cellcycle_jax.schema import Working
from data_prep import listing_checks
from data_prep.dataset import field_counts, same_cells, split, write
from data_prep.dataset.nuclear_pictures import NuclearPictures
from data_prep.fields_to_cells import all_fields
from data_prep.labelling import external_table, left_out, manual_corrections, methods
from data_prep.measurement.columns import refuse_unknown
from data_prep.pictures import quality_control
from data_prep.sources import source_of

MOST_SHOWN = 8  # values of a column in a message
LEAST_CELLS = 10  # of a class in a split, below which it is in doubt whether they stand for their class


def prepare(config, fields_dir, out_dir, labels_csv=None, overwrite=False, strict=False, keep=False) -> int:
    """Find, cut, measure, label and split the cells of a folder of fields; write the data set `out_dir`.

    Args:
        config: `configs.base.preparation()`, changed at will.
        fields_dir: folder with the fields of config.source.
        out_dir: receives cells.parquet, tfds/, qc/ and provenance.json.
        labels_csv: qc/labels.csv of an earlier run with a human's corrections, or None.
        overwrite: replace a finished data set.
        strict: refuse everything when one file is refused, instead of excluding it.
        keep: keep what was found, measured and cut in each field, so that another call with other labels, another split
            or other quality bounds need not do it again.

    Returns:
        0, or 4 when files were excluded (listed in provenance.json under "quarantined").

    Raises:
        UsageError: a config value out of range; `out_dir` holds a data set, or a human's corrections, already, or
            another process works in it.
        InputRefused: nothing usable in the fields.
    """
    all_fields.check(config)
    manual_corrections.refuse_class_names(config.labels.classes)
    out = pathlib.Path(out_dir)
    with locks.lock(out / ".lock"):
        _refuse_to_replace(out, labels_csv, overwrite)
        return _prepare(config, fields_dir, out, labels_csv, strict, keep)


def _refuse_to_replace(out, labels_csv, overwrite):
    """Nothing that is finished, and no correction by a human, is lost unasked."""
    if (out / "predict.json").exists():
        raise UsageError(f"--out={out} holds predictions; name another folder")
    if (out / "provenance.json").exists() and not overwrite:
        raise UsageError(f"--out={out} holds a finished data set; name another folder or give --overwrite")
    if not labels_csv:
        manual_corrections.refuse_to_erase(out / "qc" / "labels.csv")


def _prepare(config, fields_dir, out, labels_csv, strict, keep):
    corrections = {}
    if labels_csv:
        corrections = manual_corrections.read_corrections(labels_csv, config.labels.classes)
    processed = all_fields.process_fields(
        config,
        fields_dir,
        out,
        strict=strict,
        before_reading=listing_checks.refuse_before_reading,
    )
    preprocessing = processed.preprocessing
    table, labelled = label(processed.table, preprocessing)
    if not corrections and _no_marker_shows_humps(table, labelled):
        quality_control.draw_labelling(table, labelled, preprocessing.config.labels, out / "qc")
        raise _no_humps(labelled, out)
    table, decisions = decide(table, labelled, preprocessing, corrections)
    counts = field_counts.count(table, processed.found, processed.quarantined)
    field_notes = [*processed.notes, *field_counts.notes(counts)]
    decisions |= {
        "quarantined": processed.quarantined,
        "n_fields": len(processed.found),
        "light_not_estimated": processed.light_not_estimated,
        "sizes": processed.notes,
        "notes": [*field_notes, *decisions["notes"]],
    }

    (out / "provenance.json").unlink(missing_ok=True)
    write.write_dataset(table, preprocessing, out)
    quality_control.draw(table, processed.found, preprocessing, labelled, out / "qc")
    field_counts.write(counts, out / "qc")
    write.write_table(table, out)
    provenance = write.provenance(table, preprocessing, labelled, out)
    opened_before = openings.carried_on(out, provenance["splits_of_pictures"])
    decisions["notes"] += opened_before
    files.write_sealed_json(out / "provenance.json", provenance | decisions)
    processed.discard(keep)
    _say_counts(table, processed, [*field_notes, *labelled.notes, *opened_before])
    field_counts.say_without_cells(counts, out / "qc")
    return EXIT_QUARANTINED if processed.quarantined else 0


def _say_counts(table, processed, notes):
    """Say on the terminal how many objects there are, how many are used, and why the others are not."""
    for note in notes:
        print(f"prepare: note: {note}", file=sys.stderr)
    is_used = table[schema.REJECT_REASON] == ""
    labels = table.loc[is_used, schema.LABEL].replace("", "no label").value_counts()
    reasons = table.loc[~is_used, schema.REJECT_REASON].value_counts()
    n_fields = len(processed.fields())
    sentence = f"{len(table)} objects in {n_fields} fields, {is_used.sum()} used ({_listed(labels)})"
    if len(reasons):
        sentence += f"; excluded: {_listed(reasons)}"
    print(sentence)
    if processed.quarantined:
        first_reason = next(iter(processed.quarantined.values()))
        print(
            f"{len(processed.quarantined)} of {len(processed.found)} fields excluded; the first: {first_reason}",
            file=sys.stderr,
        )


def _listed(counts) -> str:
    """A Series of counts as text: the name of each with its number."""
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def label(table, preprocessing):
    """What the objects are.

    Args:
        table: all objects of all fields.
        preprocessing: what the fields were treated with.

    Returns:
        The table with the columns of labels.table and of the labelling, and the record of the labelling. Its doubts are
        said on the terminal.

    Raises:
        UsageError, InputRefused: of the labels and the table of labels.
    """
    config = preprocessing.config
    if config.labels.table:
        table = external_table.join(table, config.labels.table, preprocessing.folder)
    table, labelled = add_labels(table, config)
    _warn(labelled.doubts)
    return table, labelled


def _warn(sentences):
    for sentence in sentences:
        print(f"prepare: warning: {sentence}", file=sys.stderr)


def _no_marker_shows_humps(table, labelled) -> bool:
    """Whether no cell has a label since the marker of each plate was cut nowhere."""
    is_by_marker = any("separation" in cut for cut in labelled.cuts.values())
    return is_by_marker and bool(labelled.notes) and not (table[schema.LABEL] != "").any()


def _no_humps(labelled, out) -> InputRefused:
    """The error where the marker of no plate shows two humps."""
    return InputRefused(
        f"{labelled.notes[0]} Look at {out / 'qc' / 'marker_cuts.png'}; name another marker (config.channels.markers), "
        "add fields, or set config.labels.one_hump='label' if you know that there are two classes"
    )


def decide(table, labelled, preprocessing, corrections):
    """Which cells belong together and where they go: all that needs the whole set.

    Args:
        table: all objects with their labels.
        labelled: record of the labelling.
        preprocessing: what the fields were treated with.
        corrections: {cell_id: the label that a human gave}.

    Returns:
        The table with group, split and truth columns, and what provenance.json says of these decisions.

    Raises:
        UsageError, InputRefused: of the corrections, the tables and the split; also where a class has no cell in a
            split.
    """
    config = preprocessing.config
    source = source_of(config.source)
    corrected = manual_corrections.apply_corrections(table, corrections)
    if config.labels.method != "none":
        split.refuse_same_place(table.drop_duplicates(schema.FIELD), config.split.by)
    table[schema.GROUP] = split.groups(table, config.split.by)
    given = given_splits(table, config.split)
    table[schema.SPLIT] = split.assign(table, config.split.by, config.split.fractions, config.split.seed, given)
    split.refuse_twins(table)
    nucleus = config.channels.nucleus
    pictures = NuclearPictures(preprocessing.crops, preprocessing.channels.index(nucleus))
    same_cells.refuse_shared(table, nucleus, pictures)
    if hasattr(source, "truth"):
        table = join_truth(table, source.truth(preprocessing.folder))
    doubts = []
    if config.labels.method != "none":
        refuse_missing_class(table, config.labels, labelled.words)
        doubts += few_cells(table, config.labels.classes)
    by_class = left_out.classes_of_excluded(table, config.channels, config.labels)
    doubts += left_out.doubts(by_class, config.labels.classes)
    _warn(doubts)
    notes = [*getattr(source, "NOTES", ()), *labelled.notes, *split.notes(config.split.by)]
    if config.reference.nucleus == "median":
        notes.append(
            f"{config.channels.nucleus}, in which cells were found, shows no DNA: the baseline integrated_dna is its "
            "summed intensity, no more."
        )
    return table, {
        "labels_corrected_by_hand": corrected,
        "cells_by_class": left_out.counts(by_class, config.labels.classes),
        "label_doubts": [*labelled.doubts, *doubts],
        "notes": notes,
    }


def few_cells(table, classes) -> list[str]:
    """A sentence for each split in which a class has fewer than LEAST_CELLS labelled cells."""
    used = table[table[schema.REJECT_REASON] == ""]
    sentences = []
    for split_name, row in _counts_by_split(used, classes).iterrows():
        few = row[row < LEAST_CELLS]
        if len(few):
            sentences.append(
                f"The {split_name} split has few cells of a class ({_listed(few)}): what holds for so few may hold for "
                "no others."
            )
    return sentences


def _counts_by_split(used, classes):
    """How many used cells each class (column) has in each split (row)."""
    counts = pd.crosstab(used[schema.SPLIT], used[schema.LABEL])
    return counts.reindex(index=schema.SPLITS, columns=list(classes), fill_value=0)


def add_labels(table, config):
    """The table with Metadata_Label, Metadata_LabelScore and what was read, and the record of the labelling."""
    usable = table.index[table[schema.REJECT_REASON] == ""]
    cells = table.loc[usable].reset_index(drop=True)
    labelled = methods.label_cells(cells, config.channels, config.labels)
    names = np.array([*config.labels.classes, ""])
    table[schema.LABEL] = ""
    table[schema.LABEL_SCORE] = np.nan
    table.loc[usable, schema.LABEL] = names[labelled.label]
    table.loc[usable, schema.LABEL_SCORE] = labelled.value
    if labelled.words is not None:
        table.loc[usable, Working.LABEL_TEXT] = labelled.words
    if labelled.pair is not None:
        table.loc[usable, [Working.FIRST_MARKER, Working.SECOND_MARKER]] = labelled.pair
    return table, labelled


def given_splits(table, chosen):
    """What the column split.column says of each row, None where no column is named."""
    if not chosen.column:
        return None
    refuse_unknown("split.column", chosen.column, table.columns)
    return table[f"Metadata_{chosen.column}"].fillna("").astype(str)


def join_truth(table, truth):
    """The table with Truth_ columns and Metadata_TruePhase, "" where an object is no known cell."""
    of_cell = truth.set_index(["field_id", "cell_label"]).add_prefix("Truth_")
    joined = table.join(of_cell, on=[schema.FIELD, "Truth_cell_label"])
    joined[schema.TRUE_PHASE] = joined.pop("Truth_class_name").fillna("")
    return joined


def _values_found(words):
    """What can be done where no cell has one of the classes that labels were read from."""
    values = sorted(set(filter(None, words)))
    listed = ", ".join(map(repr, values[:MOST_SHOWN])) or "none"
    if len(values) > MOST_SHOWN:
        listed += ", ..."
    return (
        f"values found: {listed}; name them in config.labels.classes, or say with config.labels.mapping which class "
        "each is (VALUE=CLASS)"
    )


def refuse_missing_class(table, labelling, words=None):
    """Refuse a data set in which a class has no cell, or none in one of the splits.

    Args:
        table: all objects, with labels and splits.
        labelling: section labels of the config.
        words: text [N] of each object that its label was read from, None where labels come from intensities.

    Raises:
        InputRefused: names the class, and how many cells each class has.
    """
    used = table[table[schema.REJECT_REASON] == ""]
    classes = list(labelling.classes)
    total = used[schema.LABEL].value_counts().reindex(classes, fill_value=0)
    if total.min() == 0:
        advice = "check the marker, the ranges, or the fields" if words is None else _values_found(words)
        raise InputRefused(
            f"config.labels.method={labelling.method!r} labels no cell of one class ({_listed(total)} of {len(used)} "
            f"usable cells); {advice}"
        )
    counts = _counts_by_split(used, classes)
    for name, label in itertools.product(schema.SPLITS, classes):
        if counts.loc[name, label] == 0:
            by_split = "; ".join(f"{split_name}: {_listed(row)}" for split_name, row in counts.iterrows())
            raise InputRefused(
                f"no cell of class {label!r} in the {name} split ({by_split}); add fields, split by a smaller unit, or "
                "change config.split.seed"
            )
