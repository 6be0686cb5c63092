"""Folder of fields -> data set on disk: the seam that `launch.py prepare` calls.

The fields are gathered; what needs the whole set (labels, splits) comes after. provenance.json is written last and
marks a data set as complete.
"""

import pathlib
import sys

import numpy as np
import pandas as pd

from cellcycle_jax import files, locks, schema
from cellcycle_jax.errors import EXIT_QUARANTINED, InputRefused, UsageError
from cellcycle_jax.schema import Working
from data_prep import listing_checks
from data_prep.dataset import field_counts, split, write
from data_prep.fields_to_cells import all_fields
from data_prep.labelling import external_table, manual_corrections, methods
from data_prep.pictures import quality_control
from data_prep.sources import source_of

MOST_SHOWN = 8  # values of a column in a message


def prepare(config, fields_dir, out_dir, labels_csv=None, overwrite=False, strict=False, keep=False) -> int:
    """Find, cut, measure, label and split the cells of a folder of fields; write the data set `out_dir`.

    Args:
        config: `configs.base.preparation()`, changed at will.
        fields_dir: folder with the fields of config.source.
        out_dir: receives cells.parquet, tfds/, qc/ and provenance.json.
        labels_csv: qc/labels.csv of an earlier run with a human's corrections, or None.
        overwrite: replace a finished data set.
        strict: refuse everything when one file is refused, instead of setting it aside.
        keep: keep what was found, measured and cut in each field, so that another call with other labels, another split
            or other quality bounds need not do it again.

    Returns:
        0, or 4 when files were set aside (listed in provenance.json under "quarantined").

    Raises:
        UsageError: a config value out of range; `out_dir` holds a data set, or a human's corrections, already, or
            another process works in it.
        InputRefused: nothing usable in the fields.
    """
    all_fields.check(config)
    manual_corrections.refuse_class_names(config.phase.classes)
    out = pathlib.Path(out_dir)
    with locks.holding(out / ".lock"):
        return _prepare(config, fields_dir, out, labels_csv, overwrite, strict, keep)


def _prepare(config, fields_dir, out, labels_csv, overwrite, strict, keep):
    if (out / "predict.json").exists():
        raise UsageError(f"--out={out} holds predictions; name another folder")
    if (out / "provenance.json").exists() and not overwrite:
        raise UsageError(f"--out={out} holds a finished data set; name another folder or give --overwrite")
    if not labels_csv:
        manual_corrections.refuse_to_erase(out / "qc" / "labels.csv")
    corrections = manual_corrections.read_corrections(labels_csv, config.phase.classes) if labels_csv else {}
    gathered = all_fields.gather(
        config, fields_dir, out, strict=strict, before_reading=listing_checks.refuse_before_reading
    )
    table, recipe, found, quarantined = gathered.table, gathered.recipe, gathered.found, gathered.quarantined
    table, labelled, made = decide(table, recipe, corrections)
    made |= {"quarantined": quarantined, "n_fields": len(found), "light_not_estimated": gathered.light_not_estimated}
    counts = field_counts.count(table, found, quarantined)
    found_notes = [*gathered.notes, *field_counts.notes(counts)]
    made |= {"sizes": gathered.notes, "notes": [*found_notes, *made["notes"]]}

    (out / "provenance.json").unlink(missing_ok=True)
    write.write_dataset(table, recipe, out)
    quality_control.draw(table, found, recipe, labelled, out / "qc")
    field_counts.write(counts, out / "qc")
    write.write_table(table, out)
    files.write_sealed_json(out / "provenance.json", write.provenance(table, recipe, labelled, out) | made)
    gathered.discard(keep)
    _say_what_was_found(table, gathered, found_notes)
    field_counts.say_without_cells(counts, out / "qc")
    return EXIT_QUARANTINED if quarantined else 0


def _say_what_was_found(table, gathered, notes):
    used = table[table[schema.REJECT] == ""]
    aside = table[schema.REJECT][table[schema.REJECT] != ""].value_counts()
    reasons = ", ".join(f"{name} {n}" for name, n in aside.items())
    labels = ", ".join(f"{name or 'no label'} {n}" for name, n in used[schema.LABEL].value_counts().items())
    for note in notes:
        print(f"prepare: note: {note}", file=sys.stderr)
    print(f"{len(table)} objects in {len(gathered.fields())} fields, {len(used)} used ({labels})"
          + (f"; set aside: {reasons}" if reasons else ""))
    if gathered.quarantined:
        print(f"{len(gathered.quarantined)} of {len(gathered.found)} fields set aside; the first: "
              f"{next(iter(gathered.quarantined.values()))}", file=sys.stderr)


def decide(table, recipe, corrections):
    """Which objects are used, what they are and where they go: all that needs a whole plate or the whole set.

    Args:
        table: all objects of all fields.
        recipe: what the fields were treated with.
        corrections: {cell_id: what a human said}.

    Returns:
        The table with label, group, split and truth columns; the record of the labelling; and what provenance.json says
        of these decisions.
    """
    config, source = recipe.config, source_of(recipe.config.source)
    if config.phase.table:
        table = external_table.join(table, config.phase.table, recipe.folder)
    table, labelled = add_labels(table, config)
    warn_of_one_hump(labelled.cuts)
    made = {"labels_corrected_by_hand": manual_corrections.apply_corrections(table, corrections)}
    if config.phase.method != "none":
        split.refuse_same_place(table.drop_duplicates(schema.FIELD), config.split.by)
    table[schema.GROUP] = split.groups(table, config.split.by)
    chosen = config.split
    table[schema.SPLIT] = split.assign(table, chosen.by, chosen.fractions, chosen.seed, given_splits(table, chosen))
    split.refuse_twins(table)
    if hasattr(source, "truth"):
        table = join_truth(table, source.truth(recipe.folder))
    if config.phase.method != "none":
        refuse_missing_class(table, config.phase, labelled.words)
    made["notes"] = [*getattr(source, "NOTES", ()), *split.notes(config.split.by)]
    if config.reference.nucleus == "median":
        made["notes"].append(f"{config.channels.nucleus}, in which cells were found, shows no DNA: the baseline "
                             "integrated_dna is its summed intensity, no more.")
    return table, labelled, made


def add_labels(table, config):
    """The table with Metadata_Label, Metadata_Marker and what was read, and the record of the labelling."""
    usable = table.index[table[schema.REJECT] == ""]
    cells = table.loc[usable].reset_index(drop=True)
    labelled = methods.label_cells(cells, config.channels, config.phase)
    names = np.array([*config.phase.classes, ""])
    table[schema.LABEL], table[schema.MARKER] = "", np.nan
    table.loc[usable, schema.LABEL] = names[labelled.label]
    table.loc[usable, schema.MARKER] = labelled.value
    if labelled.words is not None:
        table.loc[usable, Working.LABEL_TEXT] = labelled.words
    if labelled.pair is not None:
        table.loc[usable, [Working.FIRST_MARKER, Working.SECOND_MARKER]] = labelled.pair
    return table, labelled


def given_splits(table, chosen):
    """What the column split.column says of each row, None where no column is named."""
    if not chosen.column:
        return None
    column = f"Metadata_{chosen.column}"
    if column not in table:
        raise UsageError(f"config.split.column={chosen.column!r}: no such column of the source, sidecar or phase.table")
    return table[column].fillna("").astype(str)


def warn_of_one_hump(cuts):
    """Say so on the terminal where a plate's marker does not fall into two groups, so that its labels mean little."""
    for plate, cut in cuts.items():
        if cut.get("separation", np.inf) < methods.MIN_SEPARATION:
            print(f"prepare: warning: the marker of plate {plate!r} shows no two humps ({cut['separation']:.1f} sd "
                  "apart); look at qc/marker_cuts.png before trusting its labels", file=sys.stderr)


def join_truth(table, truth):
    """The table with Truth_ columns and Metadata_TruePhase, "" where an object is no known cell."""
    truth = truth.rename(columns={c: f"Truth_{c}" for c in truth.columns if c not in ("field_id", "cell_label")})
    keys = {"left_on": [schema.FIELD, "Truth_cell_label"], "right_on": ["field_id", "cell_label"]}
    joined = table.merge(truth, how="left", **keys).drop(columns=["field_id", "cell_label"])
    joined[schema.TRUE_PHASE] = joined.pop("Truth_class_name").fillna("")
    return joined


def _values_found(words):
    found = sorted({word for word in words if word})
    shown = ", ".join(map(repr, found[:MOST_SHOWN])) + (", ..." if len(found) > MOST_SHOWN else "")
    return (f"values found: {shown or 'none'}; name them in config.phase.classes, or say with config.phase.mapping "
            "which class each is (VALUE=CLASS)")


def refuse_missing_class(table, phase, words=None):
    """Refuse a data set in which a class has no cell, or none in one of the splits.

    Args:
        table: all objects, with labels and splits.
        phase: section of the config.
        words: text [N] of each object that its label was read from, None where labels come from intensities.
    """
    used, classes = table[table[schema.REJECT] == ""], list(phase.classes)
    total = used[schema.LABEL].value_counts().reindex(classes, fill_value=0)
    if total.min() == 0:
        said = ", ".join(f"{name} {n}" for name, n in total.items())
        check = "check the marker, the ranges, or the fields" if words is None else _values_found(words)
        raise InputRefused(f"config.phase.method={phase.method!r} labels no cell of one class ({said} of {len(used)} "
                           f"usable cells); {check}")
    counts = pd.crosstab(used[schema.SPLIT], used[schema.LABEL])
    counts = counts.reindex(index=schema.SPLITS, columns=classes, fill_value=0)
    for name in schema.SPLITS:
        for label in classes:
            if counts.loc[name, label] == 0:
                listed = {s: ", ".join(f"{c} {counts.loc[s, c]}" for c in classes) for s in schema.SPLITS}
                said = "; ".join(f"{s}: {numbers}" for s, numbers in listed.items())
                raise InputRefused(f"no cell of class {label!r} in the {name} split ({said}); "
                                   "add fields, split by a smaller unit, or change config.split.seed")
