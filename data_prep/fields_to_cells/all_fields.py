"""Folder of fields -> table of all objects, their crops in a work folder: the part of the way that all fields share.

Fields are treated in parallel and one by one; what needs a whole plate (illumination, quality limits, references)
comes before or after. Finished fields are kept in the work folder, so that an interrupted run resumes.
"""

import collections
import dataclasses
import pathlib
import sys

import numpy as np
import pandas as pd
from tqdm import tqdm

from cellcycle_jax import schema
from cellcycle_jax.errors import InputRefused
from cellcycle_jax.schema import Working
from data_prep.cells import quality, sizes
from data_prep.fields_to_cells import config_checks, work_folder
from data_prep.fields_to_cells.one_field import extract_field
from data_prep.fields_to_cells.preprocessing import Preprocessing, add_illumination, find_channels
from data_prep.intensity import illumination, scaling
from data_prep.reading.field import FieldFile
from data_prep.sources import source_of
from data_prep.workers import memory, parallel


@dataclasses.dataclass(frozen=True)
class ProcessedFields:
    """All objects of all fields and what they were treated with."""

    table: pd.DataFrame  # one row per object, with Metadata_RejectReason and Metadata_Reference_<channel>
    preprocessing: Preprocessing
    found: list[FieldFile]
    quarantined: dict[str, str]  # field_id -> why the field was excluded, its file first
    light_not_estimated: list[str]  # plates whose uneven light was to be removed and was not
    notes: list[str]  # sizes in the config that do not fit what was found

    def fields(self) -> list[str]:
        """Names of the fields that were read, those without any object too."""
        return [file.field_id for file in _not_in(self.quarantined, self.found)]

    def discard(self, keep: bool = False) -> None:
        """Remove all work folders beside this one, of earlier configs too, and this one unless `keep`."""
        work_folder.discard(self.preprocessing.crops.parent, self.preprocessing.crops if keep else None)


def check(config) -> None:
    """Refuse config values out of range, before any file is read."""
    source_of(config.source)
    config_checks.refuse_values(config)
    config_checks.require_own_parts(config)


def process_fields(
    config,
    fields_dir,
    out,
    needed=(),
    strict: bool = False,
    only_needed: bool = False,
    before_reading=None,
) -> ProcessedFields:
    """Find, segment, measure and cut the cells of a folder of fields.

    Args:
        config: `configs.base.preparation()`, changed at will. The preprocessing of the result has it with all that was
            measured or found filled in.
        fields_dir: folder with the fields of config.source.
        out: folder in which the work folder `.work-<hash>` is made; the caller removes it. Both folders are made
            absolute, since a worker may run in another one.
        needed: channels that the fields must have, beside those that the config names.
        strict: refuse everything when one file is refused, instead of excluding it.
        only_needed: take the nuclear channel, those `needed`, and of the config's stains those that are there; leave
            out all others. Fields without any usable nucleus are then no error but a table that says so.
        before_reading: function of (config, list of fields, their folder) that refuses what it must before any field
            is read; None: nothing more is asked.

    Raises:
        UsageError: a config value out of range, or one that does not fit the list of fields.
        InputRefused: nothing usable in the fields, or only some of them say how large a pixel is.
        ResourceMissing: no scheduler answers at config.scheduler, or memory does not suffice for one field.
    """
    check(config)
    fields_dir = pathlib.Path(fields_dir).absolute()
    out = pathlib.Path(out).absolute()
    config = config.copy_and_resolve_references()
    field_files = source_of(config.source).find_fields(fields_dir, config)
    field_files = spread(field_files, config.max_fields)
    if before_reading:
        before_reading(config, field_files, fields_dir)
    preprocessing = _preprocessing_of(config, field_files, fields_dir, needed, only_needed)
    preprocessing, unreadable = add_illumination(field_files, preprocessing)
    preprocessing = _in_work_folder(preprocessing, field_files, out)
    refused = _extract_all(_not_in(unreadable, field_files), preprocessing)
    quarantined = unreadable | refused
    finished = _not_in(quarantined, field_files)
    if quarantined and (strict or not finished):
        first_reason = next(iter(quarantined.values()))
        raise InputRefused(first_reason)
    table = work_folder.read(preprocessing.crops, finished)
    if table.empty and not only_needed:
        raise _no_nucleus(config, fields_dir, len(field_files))
    _refuse_mixed_units(table)
    usable = _reject(table, config)
    if usable.empty and not only_needed:
        raise _no_usable_nucleus(config, table)
    table = _add_references(table, usable, preprocessing.channels, config)
    notes = sizes.notes(table, preprocessing.config)
    not_estimated = _plates_without_light(table, config.illumination)
    return ProcessedFields(table, preprocessing, field_files, quarantined, not_estimated, notes)


def _reject(table, config) -> pd.DataFrame:
    """Write into the table why objects are not used; gives those that are."""
    table[schema.REJECT_REASON] = ""
    if len(table):
        table[schema.REJECT_REASON] = quality.rejections(table, config.channels.nucleus, config.quality)
    is_usable = table[schema.REJECT_REASON] == ""
    return table[is_usable]


def _not_in(excluded, files) -> list[FieldFile]:
    """The files whose fields are not among the names of those excluded."""
    return [file for file in files if file.field_id not in excluded]


def _no_nucleus(config, fields_dir, n_fields) -> InputRefused:
    """The error where nothing was found in any field."""
    if config.labels_folder:
        suspect = "the label images (config.labels_folder)"
    else:
        suspect = (
            "config.channels.nucleus, config.segmentation.nucleus_diameter and the size of a pixel (config.pixel_um)"
        )
    return InputRefused(f"--fields={fields_dir}: no nucleus in {n_fields} fields; check {suspect}")


def _no_usable_nucleus(config, table) -> InputRefused:
    """The error where objects were found and all of them rejected."""
    counts = table[schema.REJECT_REASON].value_counts()
    reasons = ", ".join(f"{reason} {count}" for reason, count in counts.items())
    sections = "the quality section of the config"
    if config.labels_folder:
        sections += ", and whether label images are masks or number their nuclei"
    return InputRefused(f"no usable nucleus: all {len(table)} objects were excluded ({reasons}); see {sections}")


def spread(field_files: list[FieldFile], most: int) -> list[FieldFile]:
    """At most so many fields (0: all), evenly from all cell lines and plates, in their order."""
    if not most or len(field_files) <= most:
        return field_files
    fields_so_far = collections.Counter()
    turns = []
    for file in field_files:
        group = (file.cell_line, file.plate)
        turns.append(fields_so_far[group])
        fields_so_far[group] += 1
    first = np.argsort(turns, kind="stable")[:most]
    return [field_files[index] for index in sorted(first)]


def _preprocessing_of(config, field_files, fields_dir, needed, only_needed) -> Preprocessing:
    """What all fields are treated with but their illumination; the folder for crops is not known yet."""
    first_fields = find_channels(field_files, config, needed, only_needed)
    channels = first_fields.channels
    with config.unlocked():
        config.channels.stains = _those_in(channels, config.channels.stains)
    if only_needed:
        channels = _those_in((config.channels.nucleus, *config.channels.stains, *needed), channels)
    return Preprocessing(
        config,
        folder=fields_dir,
        crops=fields_dir,
        channels=channels,
        illuminations={},
        others_left_out=only_needed,
        pixels=first_fields.pixels,
        own_channels=first_fields.own_channels,
    )


def _those_in(allowed, names) -> tuple[str, ...]:
    """The names that are allowed, in their order."""
    return tuple(name for name in names if name in allowed)


def _in_work_folder(preprocessing, field_files, out) -> Preprocessing:
    """The preprocessing with the scale of its crops measured where nothing says it, and the folder for its crops."""
    config = preprocessing.config
    if config.crop.assumed_um_per_px == 0 and not any(file.pixel_um for file in field_files):
        field = _first_readable(field_files, preprocessing)
        if field is not None and field.pixel_um is None:
            with config.unlocked():
                config.crop.assumed_um_per_px = sizes.measured_um_per_px(field_files, preprocessing)
    work = out / work_folder.name_of(config, field_files, preprocessing.channels, preprocessing.others_left_out)
    work.mkdir(parents=True, exist_ok=True)
    return dataclasses.replace(preprocessing, crops=work)


def _first_readable(field_files, preprocessing):
    for file in field_files:
        try:
            return preprocessing.read(file)
        except InputRefused:
            continue
    return None


def _refuse_mixed_units(table):
    """Lengths in um and in px must not stand in one column."""
    is_known = table[Working.PIXEL_SIZE_KNOWN].astype(bool)
    unknown = table[~is_known][schema.FIELD].unique()
    n_fields = table[schema.FIELD].nunique()
    if 0 < len(unknown) < n_fields:
        raise InputRefused(
            f"{len(unknown)} of {n_fields} fields do not say how large a pixel is (first: {unknown[0]}) and the others "
            "do; give config.pixel_um or a sidecar with pixel_um, or prepare them apart"
        )


def _plates_without_light(table, method):
    """Plates with fields whose uneven light was to be removed and was not; said on the terminal too."""
    if method == "none":
        return []
    is_known = table[Working.LIGHT_KNOWN].astype(bool)
    plates = sorted(table.loc[~is_known, schema.PLATE].unique())
    if plates:
        in_words = [f"plate {plate}" if plate else "the fields without a plate" for plate in plates]
        print(
            f"warning: uneven light is not removed from {', '.join(in_words)}: fewer than {illumination.MIN_FIELDS} "
            "fields of one size",
            file=sys.stderr,
        )
    return plates


def _extract_all(field_files, preprocessing) -> dict[str, str]:
    """Treat all fields that are not finished; {field_id: reason} of those that were excluded."""
    quarantined = {}
    config = preprocessing.config
    unfinished = [file for file in field_files if not work_folder.is_kept(preprocessing.crops, file.field_id)]
    n_finished = len(field_files) - len(unfinished)
    workers = parallel.count(config.workers, len(unfinished))
    if unfinished and not config.scheduler:
        memory.refuse_lack(preprocessing.pixels, preprocessing.folder)
        workers = memory.workers_that_fit(workers, preprocessing.pixels)
    with tqdm(total=len(field_files), initial=n_finished, desc="fields to cells", unit="field") as bar:
        for file, reason in parallel.each(_extract, unfinished, preprocessing, workers, config.scheduler):
            bar.update()
            if reason:
                quarantined[file.field_id] = reason
    return quarantined


def _extract(file, preprocessing) -> str:
    """Treat one field and keep its rows; why it was excluded, "" where it was not."""
    try:
        rows = extract_field(file, preprocessing)
    except InputRefused as error:
        return str(error)
    work_folder.keep(preprocessing.crops, file.field_id, rows)
    return ""


def _add_references(table, usable, channels, config):
    """The table with Metadata_Reference_<channel>; a field without usable cells takes its plate's median.

    Args:
        table: all objects; usable: those that are not excluded. Without any there are no references.
        channels: of all fields; config: of preparation.
    """
    if usable.empty:
        for name in channels:
            table[schema.reference_column(name)] = np.nan
        return table
    has_peak = config.reference.nucleus == "g1_peak"
    references = scaling.references(usable, channels, config.channels.nucleus, config.reference.by, has_peak)
    of_field = pd.DataFrame.from_dict(references, orient="index")
    for name in channels:
        column = table[schema.FIELD].map(of_field[name]).astype(float)
        plate_median = column.groupby(table[schema.PLATE]).transform("median").fillna(column.median())
        table[schema.reference_column(name)] = column.fillna(plate_median)
    return table
