"""One field -> a row per nucleus and a file of crops. Runs in parallel processes, one call per field."""

import dataclasses

import numpy as np
import pandas as pd

from cellcycle_jax import crop_file, schema
from cellcycle_jax.schema import Compartment, Working
from data_prep.cells import crop, quality, sizes
from data_prep.fields_to_cells import label_store, work_folder
from data_prep.fields_to_cells.preprocessing import Preprocessing
from data_prep.intensity import scaling
from data_prep.measurement import measure
from data_prep.measurement.columns import Columns, beside, refuse_twice
from data_prep.measurement.measure import LabelledField
from data_prep.measurement.regions import Regions
from data_prep.measurement.shape import boxes, centres
from data_prep.plane.threshold import median
from data_prep.reading.field import Field, FieldFile
from data_prep.sources import source_of

DEBRIS_AREA = 0.4  # what is smaller, relative to the field's median nucleus, is debris to the crops beside it


@dataclasses.dataclass(frozen=True)
class _Segmented:
    """A field and what was found in it.

    image: f32 [H, W, C], its illumination even; labels, bodies: i32 [H, W], of the nuclei and of the cells around them.
    background: f32 [C]; stain_masks: {channel: bool [H, W]}.
    """

    field: Field
    image: np.ndarray
    labels: np.ndarray
    bodies: np.ndarray
    background: np.ndarray
    stain_masks: dict[str, np.ndarray]


def extract_field(file: FieldFile, preprocessing: Preprocessing) -> pd.DataFrame:
    """Segment and measure one field; write its crops and labels to `preprocessing.crops`.

    Returns:
        One row per object, with Metadata_ and measurement columns, Truth_cell_label where the source knows it, and
        working columns with a leading underscore, which the data set does not hold.

    Raises:
        InputRefused: the file cannot be read or has other channels than most.
    """
    config = preprocessing.config
    source = source_of(config.source)
    field = preprocessing.read(file)
    image = preprocessing.corrected(field)
    labels, numbers = preprocessing.numbered(file, field, image)
    label_store.write(preprocessing.crops, field.field_id, labels, numbers)
    regions = Regions.of(labels)
    scale = sizes.scale_of(field.pixel_um, config.crop)
    bodies = measure.cell_bodies(labels, scale.reach_px)
    background = scaling.field_background(image, bodies)
    signal = image - background
    diameter = measure.typical_diameter(labels)
    stain_masks = {}
    for name in config.channels.stains:
        plane = signal[..., field.channels.index(name)]
        stain_masks[name] = measure.stain_mask(plane, bodies, diameter)
    rows = _rows(field, regions, numbers[regions.numbers], background, scale.crop_px)
    if hasattr(source, "objects") and len(rows):
        rows = _with_objects(rows, source.objects(file, numbers[labels], config))
    rows[Working.LIGHT_KNOWN] = preprocessing.illumination_of(field) is not None
    rows[Working.BIT_DEPTH] = field.bit_depth
    if len(rows):
        nucleus = config.channels.nucleus
        labelled = LabelledField(signal, labels, bodies, field.channels, nucleus, stain_masks, field.pixel_um)
        columns = measure.measure_cells(labelled, config.measurements)
        rows = beside(rows, pd.DataFrame(columns))
        if hasattr(source, "truth_labels"):
            truth = _majority(source.truth_labels(preprocessing.folder, file), labels)
            rows["Truth_cell_label"] = truth[regions.numbers]
    segmented = _Segmented(field, image, labels, bodies, background, stain_masks)
    _write_crops(preprocessing, segmented, rows, scale.crop_px)
    return rows


def _rows(field: Field, regions: Regions, numbers, background, crop_px):
    """What is known of each object before it is measured; what a field's name says is added by `work_folder.read`.

    `numbers` [n] are those of ids.
    """
    n = len(regions.count)
    height, width = regions.shape
    top, left, bottom, right = boxes(regions.runs, n)
    centre_y, centre_x = centres(regions)
    saturated = regions.sum(quality.saturated(field.image).ravel()[regions.pixels])
    rows = {
        schema.CELL_ID: [f"{field.field_id}:{number}" for number in numbers],
        schema.FIELD: [field.field_id] * n,
        **dict.fromkeys(work_folder.SAID.values(), [""] * n),
        schema.PIXEL_SIZE: [field.pixel_um or np.nan] * n,
        schema.CENTRE_Y: centre_y,
        schema.CENTRE_X: centre_x,
        Working.LABEL_NUMBER: regions.numbers,
        Working.OWN_NUMBER: numbers,
        Working.AREA_PX: regions.count.astype(np.float64),
        Working.EXTENT_PX: np.maximum(bottom - top, right - left) * crop_px,
        Working.TOUCHES_BORDER: (top == 0) | (left == 0) | (bottom == height) | (right == width),
        Working.PIXEL_SIZE_KNOWN: [field.pixel_um is not None] * n,
        Working.SATURATED: saturated / regions.count,
        Working.PIXELS_SHA256: [field.sha256] * n,
        Working.FIELD_HEIGHT: [height] * n,
        Working.FIELD_WIDTH: [width] * n,
        Working.IS_LISTED: [True] * n,
        Working.CROP_Y: centre_y,
        Working.CROP_X: centre_x,
    }
    rows = Columns(rows)
    for name, level in zip(field.channels, background, strict=True):
        rows |= {f"Metadata_Background_{name}": [float(level)] * n}
    return pd.DataFrame(rows)


def _with_objects(rows, objects):
    """The rows with what the source knows of each object; an object that it does not list is not used.

    Args:
        rows: one per label.
        objects: indexed by number: Metadata_ columns, and crop_y, crop_x where a crop is centred elsewhere.
    """
    objects = objects.rename(columns={"crop_y": "_known_y", "crop_x": "_known_x"})
    refuse_twice([*rows.columns, *objects.columns])
    joined = rows.join(objects, on=Working.OWN_NUMBER)
    joined[Working.IS_LISTED] = joined[Working.OWN_NUMBER].isin(objects.index)
    for axis in "yx":
        if f"_known_{axis}" in joined:
            centre = joined.pop(f"_known_{axis}")
            joined[f"_crop_{axis}"] = centre.fillna(joined[f"_crop_{axis}"])
    return joined


def _majority(truth, labels):
    """For each label, from 0, the truth's label that covers most of it, 0 where none covers at least half."""
    overlap = np.zeros((labels.max() + 1, max(truth.max(), 1) + 1), np.int64)
    np.add.at(overlap, (labels.ravel(), truth.ravel()), 1)
    area = overlap.sum(axis=1)
    with_cells = overlap[:, 1:]
    covers_half = with_cells.max(axis=1) * 2 >= area
    return np.where(covers_half, with_cells.argmax(axis=1) + 1, 0)


def _write_crops(preprocessing, segmented, rows, crop_px):
    """Cut the crops of all objects that are listed and whole, and write them to the file of the field."""
    field = segmented.field
    image = segmented.image
    size_px = preprocessing.config.crop.size_px
    stains = preprocessing.config.channels.stains
    stain_mask = segmented.stain_masks[stains[0]] if stains else None
    whole = rows[rows[Working.IS_LISTED] & ~rows[Working.TOUCHES_BORDER]]
    pixels, bits = crop.cut_all(
        image,
        segmented.labels,
        segmented.bodies,
        whole[Working.LABEL_NUMBER].to_numpy(),
        whole[[Working.CROP_Y, Working.CROP_X]].to_numpy(np.float64),
        size_px,
        crop_px,
        segmented.background,
        stain_mask,
        _debris(segmented.labels, whole),
    )
    image_scale, lowest = _storage(field.image.dtype, image)
    grey = np.clip(np.round((pixels - lowest) / image_scale), 0, 65535).astype(np.uint16)
    middle, spread = _median_and_spread(image)
    # Moved with the pixels: only differences between them count.
    stats = np.stack([segmented.background - lowest, middle - lowest, spread]).astype(np.float32)
    um_per_px = field.pixel_um or np.nan
    if field.pixel_um is not None and preprocessing.config.crop.um_per_px > 0:
        um_per_px = preprocessing.config.crop.um_per_px
    shared = crop_file.Shared(image_scale, _known_compartments(stain_mask), stats, um_per_px)
    crop_file.write(preprocessing.crops, field.field_id, whole[schema.CELL_ID].tolist(), grey, bits, shared)


def _debris(labels, whole):
    """Where objects lie that are too small to be nuclei, bool [H, W]."""
    typical = np.median(whole[Working.AREA_PX]) if len(whole) else 0.0
    small = np.bincount(labels.ravel()) < DEBRIS_AREA * typical
    return small[labels] & (labels > 0)


def _median_and_spread(image):
    """Median and robust standard deviation of each channel, f64 [C] each."""
    medians = []
    spreads = []
    for plane in np.moveaxis(image, -1, 0):
        values = np.ascontiguousarray(plane).ravel()
        plane_median = median(values)
        medians.append(plane_median)
        spreads.append(median(np.abs(values - plane_median)))
    return np.array(medians), np.array(spreads) * 1.4826


def _known_compartments(stain_mask) -> int:
    """Which bits of the compartment image are known of all cells."""
    bits = Compartment.NUCLEUS | Compartment.OTHER_NUCLEI | Compartment.BODY | Compartment.DEBRIS
    if stain_mask is not None:
        bits |= Compartment.ORGANELLE
    return int(bits)


def _storage(dtype, image):
    """Camera units per stored value, and what is stored as 0, of each channel of a field of `dtype`: f32 [C], f32 [C].

    Integers are stored as they are. Each channel of a float field fills the 16 bits on its own, or a dim one beside a
    bright one would be lost. Values below zero, of a background that was taken off before, are kept.
    """
    if dtype == np.uint16:
        channels = image.shape[-1]
        return np.ones(channels, np.float32), np.zeros(channels, np.float32)
    lowest = np.minimum(image.min(axis=(0, 1)), 0).astype(np.float32)
    span = np.maximum(image.max(axis=(0, 1)) - lowest, 1e-6)
    return (span / 65535).astype(np.float32), lowest
