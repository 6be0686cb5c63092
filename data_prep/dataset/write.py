"""What a data set consists of on disk: crops packed by TFDS, the table of all objects, and where it all came from."""

import json
import platform
from importlib import metadata

import numpy as np
import pandas as pd
from tqdm import tqdm

from cellcycle_jax import crop_file, files, schema
from cellcycle_jax.schema import Working
from data_prep.dataset import split, tfds_builder
from data_prep.intensity import scaling

# Text of an example -> the column of the table that it comes from.
TEXTS = {
    "cell_id": schema.CELL_ID,
    "group_id": schema.GROUP,
    "field_id": schema.FIELD,
    "well": schema.WELL,
    "plate": schema.PLATE,
    "cell_line": schema.CELL_LINE,
}
# Their versions are stored with a data set.
PACKAGES = ("numpy", "scipy", "scikit-image", "pandas", "tifffile", "tensorflow-datasets")


def write_dataset(table, preprocessing, out):
    """OUT/tfds from the crops in the work folder: every usable cell, those without a label too."""
    config = preprocessing.config
    used = table[table[schema.REJECT_REASON] == ""]
    crops_of_field = {}
    for field in tqdm(used[schema.FIELD].unique(), desc="find crops", unit="field", leave=False):
        crops_of_field[field] = crop_file.index(preprocessing.crops, field)
    splits = {}
    for name in schema.SPLITS:
        rows = used[used[schema.SPLIT] == name]
        if len(rows):
            splits[name] = _cells(rows, crops_of_field, preprocessing.channels, config.labels.classes)
    size = config.crop.size_px
    crop_shape = (size, size, len(preprocessing.channels))
    tfds_builder.write(out / "tfds", crop_shape, _vocabulary(preprocessing), splits)


def _vocabulary(preprocessing) -> dict:
    """What a reader has to know of channels, classes and groups."""
    config = preprocessing.config
    return {
        "channels": list(preprocessing.channels),
        "classes": list(config.labels.classes),
        "markers": list(config.channels.markers),
        "nucleus": config.channels.nucleus,
        "stains": list(config.channels.stains),
        "group_by": config.split.by,
    }


def _cells(rows, crops_of_field, channels, classes) -> tfds_builder.Cells:
    """The cells of a split, each read from its field's crops when it is asked for.

    Args:
        rows: of the table of objects.
        crops_of_field: field -> its `crop_file.FieldCrops`.
        channels, classes: names, in order.
    """
    number_of_class = {name: number for number, name in enumerate(classes)}
    number_of_class[""] = schema.NO_LABEL
    labels = rows[schema.LABEL].map(number_of_class).to_numpy(np.int64)
    reference = rows[[schema.reference_column(name) for name in channels]].to_numpy(np.float32)
    texts = {}
    for name, column in TEXTS.items():
        texts[name] = rows[column].tolist()
    numbers = _numbers_in_file(texts["cell_id"], texts["field_id"], crops_of_field)

    def example(position):
        crops = crops_of_field[texts["field_id"][position]]
        image, compartments = crops.read([numbers[position]])
        shared = crops.shared
        stats = np.vstack([shared.field_stats, reference[position]])
        stored = {
            "image": image[0],
            "compartments": compartments[0],
            "image_scale": shared.image_scale,
            "compartments_present": np.uint8(shared.present),
            "label": labels[position],
            "intensity_stats": stats.T.astype(np.float32),
            "um_per_px": np.float32(shared.um_per_px),
        }
        for name, values in texts.items():
            stored[name] = values[position]
        return stored

    return tfds_builder.Cells(texts["cell_id"], example)


def _numbers_in_file(cell_ids, field_ids, crops_of_field):
    """The number of each cell in the file of its field, i64 [N]."""
    places = {}
    numbers = np.empty(len(cell_ids), np.int64)
    for row, (cell, field) in enumerate(zip(cell_ids, field_ids, strict=True)):
        if field not in places:
            places[field] = crops_of_field[field].places()
        numbers[row] = places[field][cell]
    return numbers


def write_table(table, out):
    """OUT/cells.parquet: one row per object found, working columns dropped, units in the file's metadata."""
    pixel_size_known = bool(table[Working.PIXEL_SIZE_KNOWN].all())
    columns = [column for column in table.columns if not column.startswith("_")]
    columns.sort(key=_part_of_table)
    units = {column: schema.unit(column, pixel_size_known) for column in schema.feature_columns(columns)}
    files.write_table(table[columns], out / "cells.parquet", units)


def _part_of_table(column) -> int:
    """Metadata stand first, then measurements, then what a simulation knows."""
    if column.startswith("Metadata_"):
        return 0
    return 2 if column.startswith("Truth_") else 1


def splits_of_pictures(table) -> dict[str, list[str]]:
    """SHA-256 of the pixels of each field with objects -> the splits that it is in: several of a divided field."""
    splits = table[table[schema.SPLIT] != ""].groupby(Working.PIXELS_SHA256)[schema.SPLIT].unique()
    return splits.map(sorted).to_dict()


def provenance(table, preprocessing, labelled, out) -> dict:
    """What the data set is made of: vocabulary, counts, cuts, config, versions, hash of the table."""
    config = preprocessing.config
    is_used = table[schema.REJECT_REASON] == ""
    used = table[is_used]
    labelled_cells = used[used[schema.LABEL] != ""]
    pixel_size_known = bool(table[Working.PIXEL_SIZE_KNOWN].all())
    cells_by_split = pd.crosstab(used[schema.SPLIT], used[schema.LABEL].replace("", "no label"))
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        versions[package] = metadata.version(package)
    fields_without_peak = []
    if config.reference.by == "field" and config.reference.nucleus == "g1_peak":
        cells_of_field = used.groupby(schema.FIELD).size()
        fields_without_peak = sorted(cells_of_field[cells_of_field < scaling.MIN_CELLS_FOR_PEAK].index)
    return {
        **_vocabulary(preprocessing),
        # Measured intensities of this channel are the label itself, so rankings leave them out.
        "labels_are_intensity_of": config.channels.nucleus if config.labels.method == "dna_content" else "",
        "um_per_px": (config.crop.um_per_px or None) if pixel_size_known else None,
        "n_objects": len(table),
        "n_used": len(used),
        "rejected": table.loc[~is_used, schema.REJECT_REASON].value_counts().to_dict(),
        "by_split": cells_by_split.to_dict("index"),
        "intervals_by": split.interval_unit(labelled_cells if len(labelled_cells) else used, config.split.by),
        "groups": used.groupby(schema.SPLIT)[schema.GROUP].unique().map(sorted).to_dict(),
        "splits_of_pictures": splits_of_pictures(table),
        "abstained": float((used[schema.LABEL] == "").mean()),
        "cuts": labelled.cuts,
        "labelled_by": labelled.axis,
        "fields_without_g1_peak": fields_without_peak,
        "config": json.loads(config.to_json()),
        "sha256": {"cells.parquet": files.sha256(out / "cells.parquet")},
        "versions": versions,
    }
