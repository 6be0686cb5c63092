"""Folder of fields -> data set on disk: the seam that `launch.py prepare` calls.

Fields are treated in parallel and one by one; what needs a whole plate (quality limits, references, the marker cut) or
the whole set (splits) comes after. Finished fields are kept in a work folder inside OUT, so that an interrupted run
goes on where it was; provenance.json is written last and marks a data set as complete.
"""

import concurrent.futures
import dataclasses
import hashlib
import json
import multiprocessing
import os
import pathlib
import shutil
import sys

import numpy as np
import pandas as pd
from tqdm import tqdm

from cellcycle_jax import files, schema
from cellcycle_jax.errors import EXIT_QUARANTINED, InputRefused, UsageError
from data_prep import allowed, annotations, illumination, intensity, pack, phase, qc, quality, review, split
from data_prep.extract import extract_field
from data_prep.fields import quantity_error
from data_prep.recipe import Recipe, add_light, find_channels
from data_prep.sources import SOURCES, source_of

CODE = pathlib.Path(__file__).parent


def prepare(config, fields_dir, out_dir, labels_csv=None, overwrite=False, strict=False) -> int:
    """Find, cut, measure, label and split the cells of a folder of fields; write the data set `out_dir`.

    Args:
        config: `configs.base.preparation()`, changed at will.
        fields_dir: folder with the fields of config.source.
        out_dir: receives cells.parquet, tfds/, qc/ and provenance.json.
        labels_csv: qc/labels.csv of an earlier run with a human's corrections, or None.
        overwrite: replace a finished data set.
        strict: refuse everything when one file is refused, instead of setting it aside.

    Returns:
        0, or 4 when files were set aside (listed in provenance.json under "quarantined").

    Raises:
        UsageError: a config value out of range, or `out_dir` holds a data set, or a human's corrections, already.
        InputRefused: nothing usable in the fields.
    """
    check(config)
    out = pathlib.Path(out_dir)
    if (out / "provenance.json").exists() and not overwrite:
        raise UsageError(f"--out={out} holds a finished data set; name another folder or give --overwrite")
    if not labels_csv:
        review.refuse_to_erase(out / "qc" / "labels.csv")
    corrections = review.read_corrections(labels_csv, config.phase.classes) if labels_csv else {}
    source = source_of(config.source)
    found = source.find_fields(fields_dir, config)
    found = found[: config.max_fields or None]
    work = out / f".work-{_fingerprint(config, found)}"
    work.mkdir(parents=True, exist_ok=True)

    recipe = Recipe(config, pathlib.Path(fields_dir), work, find_channels(found, config), {})
    recipe, unreadable = add_light(found, recipe)
    table, quarantined = extract_all([f for f in found if str(f.path) not in unreadable], recipe)
    quarantined = unreadable | quarantined
    if quarantined and (strict or len(quarantined) == len(found)):
        raise InputRefused(next(iter(quarantined.values())))
    if table.empty:
        raise InputRefused(f"--fields={fields_dir}: no nucleus in {len(found)} fields; "
                           "check config.channels.nucleus and config.segmentation.nucleus_diameter")
    table, labelled, made = decide(table, recipe, corrections)
    made |= {"quarantined": quarantined, "n_fields": len(found)}

    (out / "provenance.json").unlink(missing_ok=True)
    pack.write_dataset(table, recipe, out)
    qc.draw(table, found, recipe, labelled, out / "qc")
    pack.write_table(table, out)
    files.write_json(out / "provenance.json", pack.provenance(table, recipe, labelled, out) | made)
    for unfinished in out.glob(".work-*"):  # of earlier configs too: nothing will go on from them
        shutil.rmtree(unfinished)
    return EXIT_QUARANTINED if quarantined else 0


def decide(table, recipe, corrections):
    """Which objects are used, what they are and where they go: all that needs a whole plate or the whole set.

    Args:
        table: all objects of all fields.
        recipe: what the fields were treated with.
        corrections: {cell_id: what a human said}.

    Returns:
        The table with reject, reference, label, group, split and truth columns; the record of the labelling; and what
        provenance.json says of these decisions.
    """
    config, source = recipe.config, source_of(recipe.config.source)
    table[schema.REJECT] = quality.rejections(table, config.channels.nucleus, config.quality)
    table = add_references(table, recipe.channels, config)
    if config.phase.table:
        table = annotations.join(table, config.phase.table)
    table, labelled = add_labels(table, config)
    warn_of_one_hump(labelled.cuts)
    made = {"light_not_estimated": plates_without_light(table, config.illumination)}
    made["labels_corrected_by_hand"] = review.apply_corrections(table, corrections)
    table[schema.GROUP] = split.groups(table, config.split.by)
    table[schema.SPLIT] = split.assign(table, config.split.by, config.split.fractions, config.split.seed)
    split.refuse_twins(table.drop_duplicates(schema.FIELD))
    if hasattr(source, "truth"):
        table = join_truth(table, source.truth(recipe.folder))
    refuse_missing_class(table, config.phase)
    return table, labelled, made


def check(config) -> None:
    """Refuse config values out of range, before any file is read."""
    if config.source not in SOURCES:
        raise quantity_error("source", config.source, ", ".join(SOURCES))
    allowed.refuse_values(config)


def extract_all(found, recipe):
    """All rows of all fields, in the order of `found`; and {path: reason} of the files that were set aside."""
    workers = recipe.config.workers or os.cpu_count() or 1
    done, quarantined = {}, {}
    with tqdm(total=len(found), desc="fields to cells", unit="field") as bar:
        if workers == 1:
            results = ((f, _extract(f, recipe)) for f in found)
            for file, (rows, reason) in results:
                _note(file, rows, reason, done, quarantined, bar)
        else:
            context = multiprocessing.get_context("spawn")  # forking a process with threads can hang
            with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
                jobs = {pool.submit(_extract, f, recipe): f for f in found}
                for job in concurrent.futures.as_completed(jobs):
                    _note(jobs[job], *job.result(), done, quarantined, bar)
    tables = [done[f.path] for f in found if f.path in done and len(done[f.path])]
    return (pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()), quarantined


def _note(file, rows, reason, done, quarantined, bar):
    bar.update()
    if reason:
        quarantined[str(file.path)] = reason
    else:
        done[file.path] = rows


def _extract(file, recipe):
    """(rows, "") or (None, reason); rows of a field that an earlier, interrupted run finished are read back."""
    kept = recipe.crops / f"{file.field_id}.parquet"
    if kept.exists():
        return pd.read_parquet(kept), ""
    try:
        rows = extract_field(file, recipe)
    except InputRefused as error:
        return None, str(error)
    files.write_table(rows, kept)
    return rows, ""


def add_references(table, channels, config):
    """The table with Metadata_Reference_<channel>; a field without usable cells takes its plate's median."""
    usable = table[table[schema.REJECT] == ""]
    if usable.empty:
        raise InputRefused("no usable nucleus: every object was set aside; see the quality section of the config")
    chosen = config.reference
    found = intensity.references(usable, channels, config.channels.nucleus, chosen.by, chosen.nucleus == "g1_peak")
    for name in channels:
        column = table[schema.FIELD].map({f: r[name] for f, r in found.items()}).astype(float)
        middle = column.groupby(table[schema.PLATE]).transform("median").fillna(column.median())
        table[schema.reference_column(name)] = column.fillna(middle)
    return table


def add_labels(table, config):
    """The table with Metadata_Label and Metadata_Marker, and the record of the labelling."""
    usable = table.index[table[schema.REJECT] == ""]
    cells = table.loc[usable].reset_index(drop=True)
    labelled = phase.label_cells(cells, config.channels, config.phase)
    names = np.array([*config.phase.classes, ""])
    table[schema.LABEL], table[schema.MARKER] = "", np.nan
    table.loc[usable, schema.LABEL] = names[labelled.label]
    table.loc[usable, schema.MARKER] = labelled.value
    if labelled.words is not None:
        table.loc[usable, "_word"] = labelled.words
    if labelled.pair is not None:
        table.loc[usable, ["_first", "_second"]] = labelled.pair
    return table, labelled


def warn_of_one_hump(cuts):
    """Say so on the terminal where a plate's marker does not fall into two groups, so that its labels mean little."""
    for plate, cut in cuts.items():
        if cut.get("separation", np.inf) < phase.MIN_SEPARATION:
            print(f"prepare: warning: the marker of plate {plate!r} shows no two humps ({cut['separation']:.1f} sd "
                  "apart); look at qc/marker_cuts.png before trusting its labels", file=sys.stderr)


def plates_without_light(table, method):
    """Plates with fields whose uneven light was to be removed and was not; said on the terminal too."""
    plates = [] if method == "none" else sorted(table.loc[~table["_light_known"].astype(bool), schema.PLATE].unique())
    if plates:
        print(f"prepare: warning: uneven light is not removed from plate {', '.join(map(repr, plates))}: fewer than "
              f"{illumination.MIN_FIELDS} fields of one size", file=sys.stderr)
    return plates


def join_truth(table, truth):
    """The table with Truth_ columns and Metadata_TruePhase, "" where an object is no known cell."""
    truth = truth.rename(columns={c: f"Truth_{c}" for c in truth.columns if c not in ("field_id", "cell_label")})
    keys = {"left_on": [schema.FIELD, "Truth_cell_label"], "right_on": ["field_id", "cell_label"]}
    joined = table.merge(truth, how="left", **keys).drop(columns=["field_id", "cell_label"])
    joined[schema.TRUE_PHASE] = joined.pop("Truth_class_name").fillna("")
    return joined


def refuse_missing_class(table, phase):
    """Every class must be in every split."""
    used, classes = table[table[schema.REJECT] == ""], list(phase.classes)
    total = used[schema.LABEL].value_counts().reindex(classes, fill_value=0)
    if total.min() == 0:
        said = ", ".join(f"{name} {n}" for name, n in total.items())
        raise InputRefused(f"config.phase.method={phase.method!r} labels no cell of one class ({said} of {len(used)} "
                           "usable cells); check the marker, the ranges, the names, or the fields")
    counts = pd.crosstab(used[schema.SPLIT], used[schema.LABEL])
    counts = counts.reindex(index=schema.SPLITS, columns=classes, fill_value=0)
    for name in schema.SPLITS:
        for label in classes:
            if counts.loc[name, label] == 0:
                listed = {s: ", ".join(f"{c} {counts.loc[s, c]}" for c in classes) for s in schema.SPLITS}
                said = "; ".join(f"{s}: {numbers}" for s, numbers in listed.items())
                raise InputRefused(f"no cell of class {label!r} in the {name} split ({said}); "
                                   "add fields, split by a smaller unit, or change config.split.seed")


def _fingerprint(config, found):
    """Names the work folder: the same config and code on the same files goes on, anything else starts anew."""
    listed = []
    for file in found:
        states = [path.stat() for path in (*file.paths, file.labels_path) if path]
        listed.append((dataclasses.asdict(file), [(state.st_size, state.st_mtime_ns) for state in states]))
    digest = hashlib.sha256(json.dumps([config.to_json(sort_keys=True), listed], default=str).encode())
    for source in sorted(CODE.rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]
