"""The decision about each cell, drawn into its field."""

import collections
import pathlib

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from tqdm import tqdm

from cellcycle_jax import schema
from data_prep.fields_to_cells import label_store
from data_prep.pictures import drawing
from data_prep.reading import label_numbers
from data_prep.workers import parallel

UNSURE = "#FFFFFF"
EXCLUDED = "#F0E442"
WIDTH_IN = 9.0
DPI = 120


def draw_all(cells, processed, classes, alarms, folder) -> None:
    """OUT/overlays/<field>.png of every field, in parallel processes.

    Args:
        cells: all objects with Metadata_CellID, _Field, _Reject, _CentreY, _CentreX and decision, "" where abstained.
        processed: `data_prep.fields_to_cells.all_fields.ProcessedFields` of the same fields, its work folder still
            there.
        classes: names, in order.
        alarms: what is unlike training about a field: field_id, sentence, note (True: no alarm, only not known).
        folder: receives the images; it is made.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    sentences = collections.defaultdict(list)
    for alarm in alarms:
        if not alarm.note:
            sentences[alarm.field_id].append(alarm.sentence)
    rows_of_field = dict(list(cells.groupby(schema.FIELD)))
    jobs = []
    for file in processed.found:
        name = file.field_id
        if name in processed.quarantined:
            continue
        warning = f"Unlike training: {'; '.join(sentences[name])}" if name in sentences else ""
        jobs.append((file, rows_of_field.get(name, cells.iloc[:0]), warning))
    shared = (processed.preprocessing, classes, folder)
    with tqdm(total=len(jobs), desc="overlays", unit="field") as bar:
        for _ in parallel.each(_draw, jobs, shared, processed.preprocessing.config.workers):
            bar.update()


def _draw(job, shared):
    """Draw the overlay of one field; `job` and `shared` are those of `draw_all`."""
    file, rows, warning = job
    preprocessing, classes, folder = shared
    field = preprocessing.read(file)
    image = preprocessing.corrected(field)
    labels, numbers = label_store.read(preprocessing.crops, file.field_id)
    nucleus = preprocessing.config.channels.nucleus
    plane = image[..., preprocessing.channels.index(nucleus)]
    segmented = drawing.SegmentedField(plane, numbers[labels], field.pixel_um)
    title = f"{file.field_id}: {nucleus}"
    overlay(segmented, rows, classes, title, warning, folder / f"{file.field_id}.png")


def overlay(field: drawing.SegmentedField, rows, classes, title, warning, path) -> None:
    """The nuclear channel in grey, each object outlined in the colour of its class.

    Args:
        field: its nuclear channel, and labels of any size.
        rows: the field's objects; the number of an object stands after the last ':' of Metadata_CellID.
        classes: names, in order; title: of the figure; warning: a line below it, "" for none.
        path: PNG to write.
    """
    height, width = field.labels.shape
    colours = [*drawing.class_colours(len(classes)), UNSURE, EXCLUDED]
    kind_names = [*classes, "no decision", "excluded"]
    labels, numbers = label_numbers.small(field.labels)
    kind = np.zeros(len(numbers), int)  # 0 nothing, then as in `colours`
    number = rows[schema.CELL_ID].astype(str).str.rsplit(":", n=1).str[1].astype(field.labels.dtype)
    class_index = pd.Index(classes).get_indexer(rows["decision"])
    kind[np.searchsorted(numbers, number.to_numpy())] = np.select(
        [rows[schema.REJECT_REASON] != "", class_index < 0],
        [len(colours), len(colours) - 1],
        default=class_index + 1,
    )
    rgb = drawing.outlined(field.image, labels, kind, colours, max(1, round(min(height, width) / 500)))
    height_in = WIDTH_IN * height / width + (1.4 if warning else 0.9)
    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    axes = figure.subplots()
    axes.imshow(rgb, interpolation="nearest")
    axes.axis("off")
    drawing.scale_bar(axes, width, field.um_per_px)
    counts = np.bincount(kind[1:], minlength=len(colours) + 1)[1:]
    figure.legend(
        drawing.colour_key(colours, 4),
        [f"{name} ({count})" for name, count in zip(kind_names, counts, strict=True)],
        ncols=len(colours),
        fontsize=10,
        loc="outside lower center",
        facecolor="#404040",
        labelcolor="white",
    )
    axes.set_title(title, fontsize=11, loc="left")
    if warning:
        figure.suptitle(warning, fontsize=10, color="#B03A00", wrap=True)
    figure.savefig(path, dpi=DPI)
