"""Fields that no model has seen, treated exactly as those that a model was trained on."""

import sys

import pandas as pd

from cellcycle_jax import files, schema, stored_config
from cellcycle_jax.errors import UsageError
from cellcycle_jax.schema import Working
from data_prep.fields_to_cells import all_fields

# Fields of the config that say where and how new fields are stored; all else is what the model was trained with.
READING = (
    "source",
    "name_pattern",
    "channel_names",
    "channel_codes",
    "rgb",
    "pixel_um",
    "cell_line",
    "sidecar",
    "labels_folder",
    "projection",
    "workers",
    "scheduler",
    "max_fields",
)


def reading_config(trained: dict, asked, changed):
    """What new fields are prepared with: how they are read as asked, everything else as in training.

    Args:
        trained: the preparation config that the model's data set was made with.
        asked: a preparation config.
        changed: names of the fields that the user changed in `asked`; only those of READING may be.

    Raises:
        UsageError: a field is changed that the model was trained with.
    """
    for name in changed:
        if name.split(".")[0] not in READING:
            raise UsageError(
                f"--config.{name}: new fields are treated as those of training were; allowed here: "
                f"{', '.join(READING)}"
            )
    config = asked.copy_and_resolve_references()
    as_asked = set(READING)
    if "projection" not in changed:  # it changes brightness, so it is the trained one
        as_asked.remove("projection")
    with config.unlocked():
        _take_over(config, {name: value for name, value in trained.items() if name not in as_asked})
        config.channels.markers = ()  # new fields need none, and one that is there labels nothing
    return config


def say_what_is_not_read(trained: dict, asked, usual) -> None:
    """Say on the terminal which fields a config file sets in vain.

    Args:
        trained: as in `reading_config`; asked: the file's config; usual: a preparation config with the defaults.
    """
    read = set(READING) - {"projection"}
    defaults = stored_config.flat(files.to_json(usual.to_dict()))
    of_training = stored_config.flat(trained)
    ignored = []
    for name, value in stored_config.flat(files.to_json(asked.to_dict())).items():
        if name not in read and value not in (defaults[name], of_training.get(name)):
            ignored.append(name)
    if ignored:
        print(
            f"predict: note: {', '.join(ignored)} in the config is ignored: predict uses the value from training",
            file=sys.stderr,
        )


def _take_over(config, values):
    """Set the fields of `config` to `values`, a tree read from JSON; fields unknown to this version are left out."""
    for name, value in values.items():
        if isinstance(value, dict) and name in config:
            _take_over(config[name], value)
        elif name in config:
            config[name] = tuple(value) if isinstance(value, list) else value


def extract(config, fields_dir, out, channels) -> all_fields.ProcessedFields:
    """Cells of new fields: table, work folder with crops, files excluded.

    Args:
        config: from `reading_config`.
        fields_dir: folder with the fields; out: receives the work folder.
        channels: those that the model sees; others may be missing, and a stain that is missing is not measured.

    Raises:
        as `all_fields.process_fields`; also where one of `channels` is missing.
    """
    return all_fields.process_fields(config, fields_dir, out, channels, only_needed=True)


def pictures_of(processed) -> dict[str, str]:
    """Name of each field with objects -> SHA-256 of its pixels."""
    if processed.table.empty:
        return {}
    return processed.table.groupby(schema.FIELD)[Working.PIXELS_SHA256].first().to_dict()


def table_of(processed) -> pd.DataFrame:
    """One row per object, as in cells.parquet, without what only preparation works with."""
    columns = [name for name in processed.table.columns if not name.startswith(("_", "Truth_"))]
    return processed.table[columns]
