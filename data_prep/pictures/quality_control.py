"""The images in OUT/qc of a data set: outlines and illumination per plate, a contact sheet per class, cuts."""

import collections
import pathlib
import re

import numpy as np

from cellcycle_jax import crop_file, files, schema
from cellcycle_jax.schema import Working
from data_prep.fields_to_cells import label_store
from data_prep.labelling import manual_corrections
from data_prep.pictures import drawing

TILES = 60  # cells on a contact sheet
MAX_PLATES = 6  # plates whose outlines and illumination are drawn
SHEET_CHANNELS = 4  # at most, on a contact sheet


def draw(table, field_files, preprocessing, labelled, folder) -> None:
    """Write all images and labels.csv of a data set.

    Args:
        table: all objects, labels and working columns included.
        field_files: of all fields; preprocessing: what they were treated with; labelled: record of the labelling.
        folder: receives the images; those of earlier runs are removed.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    used = table[table[schema.REJECT_REASON] == ""]
    classes = preprocessing.config.labels.classes
    draw_labelling(table, labelled, preprocessing.config.labels, folder)
    files_of_plate = collections.defaultdict(list)
    for file in field_files:
        files_of_plate[file.plate].append(file)
    plates = list(files_of_plate)[:MAX_PLATES]
    for plate, name in zip(plates, _file_names(plates, "fields"), strict=True):
        _outlines(table, files_of_plate[plate], preprocessing, folder / f"outlines_{name}.png")
        _illumination(plate, preprocessing, folder, f"illumination_{name}")
    sheet_and_tile = {}
    labels = (*classes, "")
    for label, name in zip(labels, _file_names(labels, manual_corrections.UNLABELLED), strict=True):
        cells = used[used[schema.LABEL] == label]
        if len(cells):
            title = label or manual_corrections.UNLABELLED
            sheet_and_tile |= _contact_sheet(cells, title, f"contact_{name}", preprocessing, folder)
    listed = (table[schema.REJECT_REASON] == "") | (table[Working.CORRECTION] != "")
    manual_corrections.write_labels(table[listed], sheet_and_tile, folder / "labels.csv")


def draw_labelling(table, labelled, labelling, folder) -> None:
    """Write what labels were made from, marker_cuts.png or label_values.png, unless there are no labels.

    Args:
        table: all objects, labels and working columns included; labelled: record of the labelling.
        labelling: section labels of the config.
        folder: receives the image; it need not exist.
    """
    if labelling.method == "none":
        return
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    used = table[table[schema.REJECT_REASON] == ""]
    name = "marker_cuts" if labelled.words is None else "label_values"
    drawing.labelling(used, labelled, labelling.classes, folder / f"{name}.png")


def _file_names(names, unnamed):
    """A part of a file name for each of `names`, all different; `unnamed` stands for an empty one."""
    safe = [re.sub(r"[^\w.-]", "_", name or unnamed) for name in names]
    return files.distinct(safe)


def _outlines(table, plate_files, preprocessing, path):
    """The field of median crowding of a plate, and what was found in it."""
    counts = table[schema.FIELD].value_counts()

    def object_count(file):
        return counts.get(file.field_id, 0)

    crowded = sorted(filter(object_count, plate_files), key=object_count)
    if not crowded:
        return
    file = crowded[len(crowded) // 2]
    field = preprocessing.read(file)
    image = preprocessing.corrected(field)
    labels, _ = label_store.read(preprocessing.crops, file.field_id)
    nucleus = preprocessing.config.channels.nucleus
    plane = image[..., preprocessing.channels.index(nucleus)]
    rows = table[table[schema.FIELD] == file.field_id]
    title = f"{file.field_id}: {nucleus} and what was found in it"
    segmented = drawing.SegmentedField(plane, labels, field.pixel_um)
    drawing.outlines(segmented, rows, title, path)


def _illumination(plate, preprocessing, folder, name):
    """The illumination of a plate, a figure for each size of its fields."""
    sizes = [size for owner, size in preprocessing.illuminations if owner == plate]
    for height, width in sizes:
        ending = f"_{height}x{width}" if len(sizes) > 1 else ""
        light = preprocessing.illuminations[plate, (height, width)].light
        title = f"Light of {plate or 'all fields'}"
        drawing.light_fields(light, preprocessing.channels, title, folder / f"{name}{ending}.png")


def _contact_sheet(cells, label, sheet, preprocessing, folder):
    """SHEET.png with up to TILES cells of one label, spread evenly over what labels were made from, the lowest first.

    Returns:
        {cell_id: (sheet, tile)}, tiles from 1.
    """
    channels = preprocessing.channels
    rising = cells.sort_values(schema.LABEL_SCORE)
    evenly = np.linspace(0, len(cells) - 1, min(TILES, len(cells)))
    rows = rising.iloc[np.unique(evenly.astype(int))]
    markers = preprocessing.config.channels.markers
    drawn = [i for i, name in enumerate(channels) if name not in markers][:SHEET_CHANNELS] or [0]
    columns = [schema.reference_column(name) for name in channels]
    references = rows[columns].to_numpy(np.float32)
    crops = []
    tiles = {}
    for cell_id, field, reference in zip(rows[schema.CELL_ID], rows[schema.FIELD], references, strict=True):
        stored = crop_file.index(preprocessing.crops, field)
        image, _ = stored.read([stored.places()[cell_id]])
        pixels = image[0] * stored.shared.image_scale
        relative = (pixels - stored.shared.field_stats[0]) / reference
        crops.append(relative[..., drawn])
        tiles[cell_id] = (sheet, len(crops))
    title = f"{label}: {len(crops)} of {len(cells)} cells"
    if rows[schema.LABEL_SCORE].nunique() > 2:
        title += "; lowest value of what labelling looked at first"
    drawing.contact_sheet(
        np.stack(crops),
        range(1, len(crops) + 1),
        np.array(channels)[drawn],
        title,
        stored.shared.um_per_px,
        folder / f"{sheet}.png",
    )
    return tiles
