"""Folder of fields -> table of all objects, their crops in a work folder: the part of the way that all fields share.

Fields are treated in parallel and one by one; what needs a whole plate (light, quality limits, references) comes before
or after. Finished fields are kept in the work folder, so that an interrupted run goes on where it was.
"""

import dataclasses
import hashlib
import json
import pathlib
import shutil
import sys

import pandas as pd
from tqdm import tqdm

from cellcycle_jax import files, schema
from cellcycle_jax.errors import InputRefused
from data_prep import allowed, illumination, intensity, processes, quality
from data_prep.extract import extract_field
from data_prep.fields import FieldFile, quantity_error
from data_prep.recipe import Recipe, add_light, find_channels
from data_prep.sources import SOURCES, source_of

CODE = pathlib.Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Gathered:
    """All objects of all fields and what they were treated with."""

    table: pd.DataFrame  # one row per object, with Metadata_Reject and Metadata_Reference_<channel>
    recipe: Recipe
    found: list[FieldFile]
    quarantined: dict[str, str]  # field_id -> why the field was set aside, its file first
    light_not_estimated: list[str]  # plates whose uneven light was to be removed and was not

    def fields(self) -> list[str]:
        """Names of the fields that were read, those without any object too."""
        return [file.field_id for file in self.found if file.field_id not in self.quarantined]

    def discard(self) -> None:
        """Remove all work folders beside this one, of earlier configs too: nothing will go on from them."""
        for unfinished in self.recipe.crops.parent.glob(".work-*"):
            shutil.rmtree(unfinished)


def check(config) -> None:
    """Refuse config values out of range, before any file is read."""
    if config.source not in SOURCES:
        raise quantity_error("source", config.source, ", ".join(SOURCES))
    allowed.refuse_values(config)


def gather(config, fields_dir, out, needed=(), strict: bool = False, only_needed: bool = False) -> Gathered:
    """Find, segment, measure and cut the cells of a folder of fields.

    Args:
        config: `configs.base.preparation()`, changed at will.
        fields_dir: folder with the fields of config.source.
        out: folder in which the work folder `.work-<hash>` is made; the caller removes it. Both folders are made
            absolute, since a worker may run in another one.
        needed: channels that the fields must have, beside those that the config names.
        strict: refuse everything when one file is refused, instead of setting it aside.
        only_needed: take the nuclear channel, those `needed`, and of the config's stains those that are there; leave
            out all others.

    Raises:
        UsageError: a config value out of range.
        InputRefused: nothing usable in the fields, or only some of them say how large a pixel is.
        ResourceMissing: no scheduler answers at config.scheduler.
    """
    check(config)
    fields_dir, out = pathlib.Path(fields_dir).absolute(), pathlib.Path(out).absolute()
    found = source_of(config.source).find_fields(fields_dir, config)
    found = found[: config.max_fields or None]
    channels = find_channels(found, config, needed, only_needed)
    with config.unlocked():
        config.channels.stains = tuple(name for name in config.channels.stains if name in channels)
    if only_needed:
        channels = tuple(c for c in channels if c in (config.channels.nucleus, *config.channels.stains, *needed))
    work = out / f".work-{_fingerprint(config, found)}"
    work.mkdir(parents=True, exist_ok=True)
    recipe = Recipe(config, fields_dir, work, channels, {}, others_left_out=only_needed)
    recipe, unreadable = add_light(found, recipe)
    table, quarantined = _extract_all([f for f in found if f.field_id not in unreadable], recipe)
    quarantined = unreadable | quarantined
    if quarantined and (strict or len(quarantined) == len(found)):
        raise InputRefused(next(iter(quarantined.values())))
    if table.empty:
        raise InputRefused(f"--fields={fields_dir}: no nucleus in {len(found)} fields; "
                           "check config.channels.nucleus and config.segmentation.nucleus_diameter")
    _refuse_mixed_units(table)
    table[schema.REJECT] = quality.rejections(table, config.channels.nucleus, config.quality)
    dark = _plates_without_light(table, config.illumination)
    return Gathered(_add_references(table, recipe.channels, config), recipe, found, quarantined, dark)


def _refuse_mixed_units(table):
    """Lengths in um and in px must not stand in one column."""
    unknown = table[~table["_pixel_size_known"].astype(bool)][schema.FIELD].unique()
    if 0 < len(unknown) < table[schema.FIELD].nunique():
        raise InputRefused(f"{len(unknown)} of {table[schema.FIELD].nunique()} fields do not say how large a pixel is "
                           f"(first: {unknown[0]}) and the others do; give config.pixel_um or a sidecar with pixel_um, "
                           "or prepare them apart")


def _plates_without_light(table, method):
    """Plates with fields whose uneven light was to be removed and was not; said on the terminal too."""
    plates = [] if method == "none" else sorted(table.loc[~table["_light_known"].astype(bool), schema.PLATE].unique())
    if plates:
        print(f"warning: uneven light is not removed from plate {', '.join(map(repr, plates))}: fewer than "
              f"{illumination.MIN_FIELDS} fields of one size", file=sys.stderr)
    return plates


def _extract_all(found, recipe):
    """All rows of all fields, in the order of `found`; and {field_id: reason} of those that were set aside."""
    done, quarantined = {}, {}
    config = recipe.config
    with tqdm(total=len(found), desc="fields to cells", unit="field") as bar:
        for file, (rows, reason) in processes.each(_extract, found, recipe, config.workers, config.scheduler):
            bar.update()
            if reason:
                quarantined[file.field_id] = reason
            else:
                done[file.field_id] = rows
    tables = [done[f.field_id] for f in found if len(done.get(f.field_id, ()))]
    return (pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()), quarantined


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


def _add_references(table, channels, config):
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


def _fingerprint(config, found):
    """Names the work folder: the same config and code on the same files goes on, anything else starts anew."""
    listed = []
    for file in found:
        states = [path.stat() for path in (*file.paths, file.labels_path) if path]
        states += [path.stat() for path in file.beside if path.exists()]
        described = {k: str(v) for k, v in dataclasses.asdict(file).items()}
        listed.append((described, [(s.st_size, s.st_mtime_ns) for s in states]))
    digest = hashlib.sha256(json.dumps([config.to_json(sort_keys=True), listed]).encode())
    for source in (*sorted(CODE.rglob("*.py")), pathlib.Path(schema.__file__)):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]
