"""What a data set consists of on disk: crops packed by TFDS, the table of all objects, and where it all came from."""

import json
import platform
from importlib import metadata

import numpy as np
import pandas as pd
from tqdm import tqdm

from cellcycle_jax import crop_file, files, schema
from cellcycle_jax.schema import Working
from data_prep.dataset import tfds_builder
from data_prep.intensity import scaling

# Text of an example -> the column of the table that it comes from.
TEXTS = {"cell_id": schema.CELL_ID, "group_id": schema.GROUP, "field_id": schema.FIELD, "well": schema.WELL,
         "plate": schema.PLATE, "cell_line": schema.CELL_LINE}


def write_dataset(table, recipe, out):
    """OUT/tfds from the crops in the work folder: every usable cell, those without a label too."""
    config = recipe.config
    used = table[table[schema.REJECT] == ""]
    vocabulary = {
        "channels": list(recipe.channels),
        "classes": list(config.phase.classes),
        "markers": list(config.channels.markers),
        "nucleus": config.channels.nucleus,
        "stains": list(config.channels.stains),
        "group_by": config.split.by,
    }
    stored = {}
    for field in tqdm(used[schema.FIELD].unique(), desc="find crops", unit="field", leave=False):
        stored[field] = crop_file.index(recipe.crops, field)
    splits = {}
    for split in schema.SPLITS:
        rows = used[used[schema.SPLIT] == split]
        if len(rows):
            splits[split] = _cells(rows, stored, recipe.channels, config.phase.classes)
    size = config.crop.size_px
    tfds_builder.write(out / "tfds", (size, size, len(recipe.channels)), vocabulary, splits)


def _cells(rows, stored, channels, classes) -> tfds_builder.Cells:
    """The cells of a split, each read from its field's crops when it is asked for.

    Args:
        rows: of the table of objects.
        stored: field -> its `crop_file.FieldCrops`.
        channels, classes: names, in order.
    """
    label = {name: number for number, name in enumerate(classes)} | {"": schema.NO_LABEL}
    columns = {name: rows[column].to_numpy(object) for name, column in TEXTS.items()}
    labels = rows[schema.LABEL].map(label).to_numpy(np.int64)
    reference = rows[[schema.reference_column(name) for name in channels]].to_numpy(np.float32)
    places = _places(columns["cell_id"], columns["field_id"], stored)

    def example(position):
        crops = stored[columns["field_id"][position]]
        image, compartments = crops.read([places[position]])
        shared = crops.shared
        return {
            "image": image[0],
            "compartments": compartments[0],
            "image_scale": shared.image_scale,
            "compartments_present": np.uint8(shared.present),
            "label": labels[position],
            "norm": np.vstack([shared.field_norm, reference[position]]).T.astype(np.float32),
            "um_per_px": np.float32(shared.um_per_px),
            **{name: values[position] for name, values in columns.items()},
        }

    return tfds_builder.Cells(columns["cell_id"].tolist(), example)


def _places(cell_ids, field_ids, stored):
    """The number of each cell in the file of its field, i64 [N]."""
    of_field = {field: crops.places() for field, crops in stored.items()}
    return np.array([of_field[field][cell] for cell, field in zip(cell_ids, field_ids, strict=True)], np.int64)


def write_table(table, out):
    """OUT/cells.parquet: one row per object found, working columns dropped, units in the file's metadata."""
    known = bool(table[Working.PIXEL_SIZE_KNOWN].all())
    table = table[[c for c in table.columns if not c.startswith("_")]]
    ordered = [c for c in table.columns if c.startswith("Metadata_")]
    ordered += [c for c in table.columns if not c.startswith(("Metadata_", "Truth_"))]
    ordered += [c for c in table.columns if c.startswith("Truth_")]
    units = {c: schema.unit(c, known) for c in schema.feature_columns(ordered)}
    files.write_table(table[ordered], out / "cells.parquet", units)


def provenance(table, recipe, labelled, out) -> dict:
    """What the data set is made of: vocabulary, counts, cuts, config, versions, hash of the table."""
    config = recipe.config
    used = table[table[schema.REJECT] == ""]
    by_split = pd.crosstab(used[schema.SPLIT], used[schema.LABEL].replace("", "no label"))
    few = used.groupby(schema.FIELD).size()
    own_peak = config.reference.by == "field" and config.reference.nucleus == "g1_peak"
    packages = ("numpy", "scipy", "scikit-image", "pandas", "tifffile", "tensorflow-datasets")
    return {
        "channels": recipe.channels, "classes": config.phase.classes, "markers": config.channels.markers,
        "nucleus": config.channels.nucleus, "stains": config.channels.stains, "group_by": config.split.by,
        # Measured intensities of this channel are the label itself, so rankings leave them out.
        "labels_are_intensity_of": config.channels.nucleus if config.phase.method == "dna_content" else "",
        "um_per_px": (config.crop.um_per_px or None) if bool(table[Working.PIXEL_SIZE_KNOWN].all()) else None,
        "n_objects": len(table), "n_used": len(used),
        "rejected": table[schema.REJECT][table[schema.REJECT] != ""].value_counts().to_dict(),
        "by_split": {s: by_split.loc[s].to_dict() for s in by_split.index},
        "groups": {s: sorted(g.unique()) for s, g in used.groupby(schema.SPLIT)[schema.GROUP]},
        "abstained": float((used[schema.LABEL] == "").mean()), "cuts": labelled.cuts, "labelled_by": labelled.axis,
        "fields_without_g1_peak": sorted(few[few < scaling.MIN_CELLS_FOR_PEAK].index) if own_peak else [],
        "config": json.loads(config.to_json()), "sha256": {"cells.parquet": files.sha256(out / "cells.parquet")},
        "versions": {"python": platform.python_version(), **{p: metadata.version(p) for p in packages}},
    }
