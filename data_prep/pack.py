"""What a data set consists of on disk: crops packed by TFDS, the table of all objects, and where it all came from."""

import json
import platform
from importlib import metadata

import numpy as np
import pandas as pd
from tqdm import tqdm

from cellcycle_jax import files, schema
from data_prep import builder, intensity


def write_dataset(table, recipe, out):
    """OUT/tfds from the crops in the work folder: every usable cell, those without a label too."""
    config, channels = recipe.config, recipe.channels
    used = table[table[schema.REJECT] == ""]
    label = {name: i for i, name in enumerate(config.phase.classes)} | {"": schema.NO_LABEL}
    size = config.crop.size_px

    def examples(split_name):
        for field, rows in used[used[schema.SPLIT] == split_name].groupby(schema.FIELD, sort=True):
            bar.update(len(rows))
            stored = np.load(recipe.crops / f"{field}.npz")
            place = {cell: i for i, cell in enumerate(stored["cell_id"])}
            pixels, bits = stored["image"], stored["compartments"]
            for _, row in rows.iterrows():
                i = place[row[schema.CELL_ID]]
                reference = [row[schema.reference_column(c)] for c in channels]
                texts = (row[schema.CELL_ID], row[schema.GROUP], field, row[schema.WELL], row[schema.PLATE],
                         row[schema.CELL_LINE])
                yield row[schema.CELL_ID], {
                    "image": pixels[i], "compartments": bits[i], "image_scale": stored["image_scale"],
                    "compartments_present": stored["present"], "label": np.int64(label[row[schema.LABEL]]),
                    "norm": np.vstack([stored["field_norm"], reference]).T.astype(np.float32),
                    "um_per_px": stored["um_per_px"], **dict(zip(schema.EXAMPLE_TEXTS, texts, strict=True))}

    vocabulary = {"channels": list(channels), "classes": list(config.phase.classes),
                  "markers": list(config.channels.markers), "nucleus": config.channels.nucleus,
                  "stains": list(config.channels.stains), "group_by": config.split.by}
    by_split = {s: lambda s=s: examples(s) for s in schema.SPLITS if (used[schema.SPLIT] == s).any()}
    with tqdm(total=len(used), desc="cells to data set", unit="cell") as bar:
        builder.write(out / "tfds", (size, size, len(channels)), vocabulary, by_split)


def write_table(table, out):
    """OUT/cells.parquet: one row per object found, working columns dropped, units in the file's metadata."""
    known = bool(table["_pixel_size_known"].all())
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
        "um_per_px": (config.crop.um_per_px or None) if bool(table["_pixel_size_known"].all()) else None,
        "n_objects": len(table), "n_used": len(used),
        "rejected": table[schema.REJECT][table[schema.REJECT] != ""].value_counts().to_dict(),
        "by_split": {s: by_split.loc[s].to_dict() for s in by_split.index},
        "groups": {s: sorted(g.unique()) for s, g in used.groupby(schema.SPLIT)[schema.GROUP]},
        "abstained": float((used[schema.LABEL] == "").mean()), "cuts": labelled.cuts, "labelled_by": labelled.axis,
        "fields_without_g1_peak": sorted(few[few < intensity.MIN_CELLS_FOR_PEAK].index) if own_peak else [],
        "config": json.loads(config.to_json()), "sha256": {"cells.parquet": files.sha256(out / "cells.parquet")},
        "versions": {"python": platform.python_version(), **{p: metadata.version(p) for p in packages}},
    }
