"""One field -> a row per nucleus and a file of crops. Runs in parallel processes, one call per field."""

import numpy as np
import pandas as pd
from skimage import measure as skimage_measure

from cellcycle_jax import files, schema
from data_prep import crop, intensity, measure, quality
from data_prep.fields import Field, FieldFile
from data_prep.recipe import Recipe
from data_prep.sources import source_of


def extract_field(file: FieldFile, recipe: Recipe) -> pd.DataFrame:
    """Segment and measure one field; write `recipe.crops`/<field_id>.npz.

    Returns:
        One row per object, with Metadata_ and measurement columns, Truth_cell_label where the source knows it, and
        working columns with a leading underscore that `build` uses and drops.

    Raises:
        InputRefused: the file cannot be read or has other channels than most.
    """
    config, source = recipe.config, source_of(recipe.config.source)
    field = recipe.read(file)
    image = recipe.corrected(field)
    labels = recipe.labels(file, field, image)
    unit = 1 / field.pixel_um if field.pixel_um else 2.0  # px per um; without a pixel size, half a um is assumed
    bodies = measure.cell_bodies(labels, config.crop.body_um * unit)
    background = intensity.field_background(image, labels, config.crop.body_um * unit)
    signal = image - background
    diameter = measure.typical_diameter(labels)
    masks = {c: measure.stain_mask(signal[..., field.channels.index(c)], bodies, diameter)
             for c in config.channels.stains}
    rows = _rows(field, file, labels, background)
    if hasattr(source, "objects") and len(rows):
        rows = _with_objects(rows, source.objects(file, labels, config))
    rows["_light_known"] = recipe.light_of(field) is not None
    if len(rows):
        columns = measure.measure_cells(signal, labels, bodies, field.channels, config.channels.nucleus, masks,
                                        field.pixel_um)
        rows = pd.concat([rows, pd.DataFrame(columns)], axis=1)
        if hasattr(source, "truth_labels"):
            rows["Truth_cell_label"] = _majority(source.truth_labels(recipe.folder, file), labels)
    _write_crops(recipe, field, image, labels, bodies, background, masks, rows)
    return rows


def _rows(field: Field, file: FieldFile, labels, background):
    table = skimage_measure.regionprops_table(labels, properties=("label", "centroid", "bbox", "area"))
    height, width = labels.shape
    edge = (table["bbox-0"] == 0) | (table["bbox-1"] == 0) | (table["bbox-2"] == height) | (table["bbox-3"] == width)
    counts = np.bincount(labels.ravel(), quality.saturated(field.image).ravel(), minlength=labels.max() + 1)[1:]
    n = len(table["label"])
    rows = {schema.CELL_ID: [f"{field.field_id}:{i}" for i in table["label"]],
            schema.FIELD: [field.field_id] * n, schema.WELL: [field.well] * n, schema.PLATE: [field.plate] * n,
            schema.CELL_LINE: [field.cell_line] * n, schema.SITE: [field.site] * n,
            schema.FIELD_LABEL: [file.label] * n, schema.PIXEL_SIZE: [field.pixel_um or np.nan] * n,
            schema.CENTRE_Y: table["centroid-0"], schema.CENTRE_X: table["centroid-1"],
            "_label": table["label"], "_border": edge, "_area_px": table["area"],
            "_pixel_size_known": [field.pixel_um is not None] * n,
            "_saturated": counts / np.maximum(table["area"], 1), "_sha256": [field.sha256] * n,
            "_height": [height] * n, "_width": [width] * n, "_listed": [True] * n,
            "_crop_y": table["centroid-0"], "_crop_x": table["centroid-1"]}
    rows |= {f"Metadata_{name}": [value] * n for name, value in file.extra}
    rows |= {f"Metadata_Background_{c}": [float(b)] * n for c, b in zip(field.channels, background, strict=True)}
    return pd.DataFrame(rows)


def _with_objects(rows, known):
    """The rows with what the source knows of each object; an object that it does not list is not used.

    Args:
        rows: one per label.
        known: indexed by label: Metadata_ columns, and crop_y, crop_x where a crop is centred elsewhere.
    """
    joined = rows.join(known.rename(columns={"crop_y": "_known_y", "crop_x": "_known_x"}), on="_label")
    joined["_listed"] = joined["_label"].isin(known.index)
    for axis in "yx":
        if f"_known_{axis}" in joined:
            joined[f"_crop_{axis}"] = joined.pop(f"_known_{axis}").fillna(joined[f"_crop_{axis}"])
    return joined


def _majority(truth, labels):
    """For each label the truth's label that covers most of it, 0 where none covers at least half."""
    n = labels.max()
    overlap = np.zeros((n + 1, truth.max() + 1), np.int64)
    np.add.at(overlap, (labels.ravel(), truth.ravel()), 1)
    best = overlap[1:, 1:].argmax(axis=1) + 1
    return np.where(overlap[1:, 1:].max(axis=1) * 2 >= overlap[1:].sum(axis=1), best, 0)


def _write_crops(recipe, field, image, labels, bodies, background, masks, rows):
    config = recipe.config
    resampled = field.pixel_um is not None and config.crop.um_per_px > 0
    scale = field.pixel_um / config.crop.um_per_px if resampled else 1.0
    stain = masks[config.channels.stains[0]] if config.channels.stains else None
    whole = rows[rows["_listed"] & ~rows["_border"]] if len(rows) else rows
    small = np.array([False])
    if len(whole):
        small = np.bincount(labels.ravel()) < config.quality.min_area * np.median(whole["_area_px"])
    debris = small[labels] & (labels > 0)
    cut = [crop.cut(image, labels, bodies, row["_label"], (row["_crop_y"], row["_crop_x"]),
                    config.crop.size_px, scale, background, stain, debris) for _, row in whole.iterrows()]
    stored = 1.0 if field.image.dtype == np.uint16 else float(max(image.max(), 1e-6) / 65535)
    size = config.crop.size_px
    crops = np.stack([c for c, _ in cut]) if cut else np.zeros((0, size, size, image.shape[-1]), np.float32)
    spread = np.median(np.abs(image - np.median(image, axis=(0, 1))), axis=(0, 1)) * 1.4826
    present = schema.Compartment.NUCLEUS | schema.Compartment.OTHER_NUCLEI | schema.Compartment.BODY
    present |= schema.Compartment.DEBRIS | (schema.Compartment.SECOND_STAIN if stain is not None else 0)
    with files.replacing(recipe.crops / f"{field.field_id}.npz") as temporary:
        np.savez(temporary, cell_id=np.array(whole[schema.CELL_ID], dtype=str) if len(whole) else np.zeros(0, "U1"),
                 image=np.clip(np.round(crops / stored), 0, 65535).astype(np.uint16),
                 compartments=np.stack([b for _, b in cut]) if cut else np.zeros((0, size, size), np.uint8),
                 image_scale=np.float32(stored), present=np.uint8(present),
                 field_norm=np.stack([background, np.median(image, axis=(0, 1)), spread]).astype(np.float32),
                 um_per_px=np.float32(config.crop.um_per_px if resampled else (field.pixel_um or np.nan)))
