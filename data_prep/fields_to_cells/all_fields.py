"""Folder of fields -> table of all objects, their crops in a work folder: the part of the way that all fields share.

Fields are treated in parallel and one by one; what needs a whole plate (light, quality limits, references) comes before
or after. Finished fields are kept in the work folder, so that an interrupted run goes on where it was.
"""

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
from data_prep.fields_to_cells.preprocessing import Recipe, add_light, find_channels
from data_prep.intensity import illumination, scaling
from data_prep.reading.field import FieldFile, quantity_error
from data_prep.sources import SOURCES, source_of
from data_prep.workers import memory, parallel


@dataclasses.dataclass(frozen=True)
class Gathered:
    """All objects of all fields and what they were treated with."""

    table: pd.DataFrame  # one row per object, with Metadata_Reject and Metadata_Reference_<channel>
    recipe: Recipe
    found: list[FieldFile]
    quarantined: dict[str, str]  # field_id -> why the field was set aside, its file first
    light_not_estimated: list[str]  # plates whose uneven light was to be removed and was not
    notes: list[str]  # sizes in the config that do not fit what was found

    def fields(self) -> list[str]:
        """Names of the fields that were read, those without any object too."""
        return [file.field_id for file in self.found if file.field_id not in self.quarantined]

    def discard(self, keep: bool = False) -> None:
        """Remove all work folders beside this one, of earlier configs too, and this one unless `keep`."""
        work_folder.discard(self.recipe.crops.parent, self.recipe.crops if keep else None)


def check(config) -> None:
    """Refuse config values out of range, before any file is read."""
    if config.source not in SOURCES:
        raise quantity_error("source", config.source, ", ".join(SOURCES))
    config_checks.refuse_values(config)


def gather(
    config, fields_dir, out, needed=(), strict: bool = False, only_needed: bool = False, before_reading=None
) -> Gathered:
    """Find, segment, measure and cut the cells of a folder of fields.

    Args:
        config: `configs.base.preparation()`, changed at will. The recipe of the result has it with all that was
            measured or found filled in.
        fields_dir: folder with the fields of config.source.
        out: folder in which the work folder `.work-<hash>` is made; the caller removes it. Both folders are made
            absolute, since a worker may run in another one.
        needed: channels that the fields must have, beside those that the config names.
        strict: refuse everything when one file is refused, instead of setting it aside.
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
    fields_dir, out = pathlib.Path(fields_dir).absolute(), pathlib.Path(out).absolute()
    config = config.copy_and_resolve_references()
    found = source_of(config.source).find_fields(fields_dir, config)
    found = spread(found, config.max_fields)
    if before_reading:
        before_reading(config, found, fields_dir)
    recipe = _recipe(config, found, fields_dir, needed, only_needed)
    recipe, unreadable = add_light(found, recipe)
    recipe = _in_work_folder(recipe, found, out)
    left = [file for file in found if file.field_id not in unreadable]
    quarantined = unreadable | _extract_all(left, recipe)
    if quarantined and (strict or len(quarantined) == len(found)):
        raise InputRefused(next(iter(quarantined.values())))
    table = work_folder.read(recipe.crops, [file for file in found if file.field_id not in quarantined])
    if table.empty and not only_needed:
        suspect = "the label images (config.labels_folder)" if config.labels_folder else \
            "config.channels.nucleus, config.segmentation.nucleus_diameter and the size of a pixel (config.pixel_um)"
        raise InputRefused(f"--fields={fields_dir}: no nucleus in {len(found)} fields; check {suspect}")
    _refuse_mixed_units(table)
    table[schema.REJECT] = quality.rejections(table, config.channels.nucleus, config.quality) if len(table) else ""
    usable = table[table[schema.REJECT] == ""]
    if usable.empty and not only_needed:
        why = ", ".join(f"{reason} {count}" for reason, count in table[schema.REJECT].value_counts().items())
        other = ", and whether label images are masks or number their nuclei" if config.labels_folder else ""
        raise InputRefused(f"no usable nucleus: all {len(table)} objects were set aside ({why}); see the quality "
                           f"section of the config{other}")
    table = _add_references(table, usable, recipe.channels, config)
    notes = sizes.notes(table, recipe.config)
    dark = _plates_without_light(table, config.illumination)
    return Gathered(table, recipe, found, quarantined, dark, notes)


def spread(found: list[FieldFile], most: int) -> list[FieldFile]:
    """At most so many fields (0: all), evenly from all cell lines and plates, in their order."""
    if not most or len(found) <= most:
        return found
    number_of = {}  # (line, plate) -> fields so far
    turns = []
    for place, file in enumerate(found):
        key = (file.cell_line, file.plate)
        turns.append((number_of.setdefault(key, 0), place))
        number_of[key] += 1
    chosen = sorted(place for _, place in sorted(turns)[:most])
    return [found[place] for place in chosen]


def _recipe(config, found, fields_dir, needed, only_needed) -> Recipe:
    """What all fields are treated with but their light, crops to be written nowhere yet."""
    seen = find_channels(found, config, needed, only_needed)
    channels = seen.channels
    with config.unlocked():
        config.channels.stains = tuple(name for name in config.channels.stains if name in channels)
    if only_needed:
        wanted = (config.channels.nucleus, *config.channels.stains, *needed)
        channels = tuple(name for name in channels if name in wanted)
    return Recipe(config, fields_dir, fields_dir, channels, {}, others_left_out=only_needed, pixels=seen.pixels,
                  own_channels=seen.own_channels)


def _in_work_folder(recipe, found, out) -> Recipe:
    """The recipe with the scale of its crops measured where nothing says it, and the folder for its crops."""
    config = recipe.config
    if config.crop.assumed_um_per_px == 0 and not any(file.pixel_um for file in found):
        field = _first_readable(found, recipe)
        if field is not None and field.pixel_um is None:
            with config.unlocked():
                config.crop.assumed_um_per_px = sizes.measured_um_per_px(found, recipe)
    work = out / work_folder.name_of(config, found, recipe.channels, recipe.others_left_out)
    work.mkdir(parents=True, exist_ok=True)
    return dataclasses.replace(recipe, crops=work)


def _first_readable(found, recipe):
    for file in found:
        try:
            return recipe.read(file)
        except InputRefused:
            continue
    return None


def _refuse_mixed_units(table):
    """Lengths in um and in px must not stand in one column."""
    unknown = table[~table[Working.PIXEL_SIZE_KNOWN].astype(bool)][schema.FIELD].unique()
    if 0 < len(unknown) < table[schema.FIELD].nunique():
        raise InputRefused(f"{len(unknown)} of {table[schema.FIELD].nunique()} fields do not say how large a pixel is "
                           f"(first: {unknown[0]}) and the others do; give config.pixel_um or a sidecar with pixel_um, "
                           "or prepare them apart")


def _plates_without_light(table, method):
    """Plates with fields whose uneven light was to be removed and was not; said on the terminal too."""
    if method == "none":
        return []
    unknown = ~table[Working.LIGHT_KNOWN].astype(bool)
    plates = sorted(table.loc[unknown, schema.PLATE].unique())
    if plates:
        named = ", ".join(f"plate {plate}" if plate else "the fields without a plate" for plate in plates)
        print(f"warning: uneven light is not removed from {named}: fewer than {illumination.MIN_FIELDS} fields of one "
              "size", file=sys.stderr)
    return plates


def _extract_all(found, recipe) -> dict[str, str]:
    """Treat all fields that are not finished; {field_id: reason} of those that were set aside."""
    quarantined = {}
    config = recipe.config
    left = [file for file in found if not work_folder.is_kept(recipe.crops, file.field_id)]
    workers = parallel.count(config.workers, len(left))
    if left and not config.scheduler:
        memory.refuse_lack(recipe.pixels, recipe.folder)
        workers = memory.workers_that_fit(workers, recipe.pixels)
    with tqdm(total=len(found), initial=len(found) - len(left), desc="fields to cells", unit="field") as bar:
        for file, reason in parallel.each(_extract, left, recipe, workers, config.scheduler):
            bar.update()
            if reason:
                quarantined[file.field_id] = reason
    return quarantined


def _extract(file, recipe) -> str:
    """Treat one field and keep its rows; why it was set aside, "" where it was not."""
    try:
        rows = extract_field(file, recipe)
    except InputRefused as error:
        return str(error)
    work_folder.keep(recipe.crops, file.field_id, rows)
    return ""


def _add_references(table, usable, channels, config):
    """The table with Metadata_Reference_<channel>; a field without usable cells takes its plate's median.

    Args:
        table: all objects; usable: those that are not set aside. Without any there are no references.
        channels: of all fields; config: of preparation.
    """
    if usable.empty:
        return table.assign(**{schema.reference_column(name): np.nan for name in channels})
    chosen = config.reference
    found = scaling.references(usable, channels, config.channels.nucleus, chosen.by, chosen.nucleus == "g1_peak")
    for name in channels:
        column = table[schema.FIELD].map({f: r[name] for f, r in found.items()}).astype(float)
        middle = column.groupby(table[schema.PLATE]).transform("median").fillna(column.median())
        table[schema.reference_column(name)] = column.fillna(middle)
    return table
