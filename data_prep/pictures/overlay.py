"""What was said of each cell, drawn into its field."""

import pathlib

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from tqdm import tqdm  # noqa: E402

from cellcycle_jax import schema  # noqa: E402
from data_prep.pictures import drawing
from data_prep.reading import label_numbers
from data_prep.workers import parallel  # noqa: E402

UNSURE, SET_ASIDE = "#FFFFFF", "#F0E442"
WIDTH_IN, DPI = 9.0, 120


def draw_all(cells, gathered, classes, alarms, folder) -> None:
    """OUT/overlays/<field>.png of every field, in parallel processes.

    Args:
        cells: all objects with Metadata_CellID, _Field, _Reject, _CentreY, _CentreX and decision, "" where abstained.
        gathered: `data_prep.fields_to_cells.all_fields.Gathered` of the same fields.
        classes: names, in order.
        alarms: what is unlike training about a field: field_id, sentence, note (True: no alarm, only not known).
        folder: receives the pictures; it is made.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    warnings = {}
    for alarm in alarms:
        if not alarm.note:
            warnings.setdefault(alarm.field_id, []).append(alarm.sentence)
    warnings = {field: "Unlike training: " + "; ".join(sentences) for field, sentences in warnings.items()}
    rows = dict(list(cells.groupby(schema.FIELD)))
    jobs = [(file, rows.get(file.field_id, cells.iloc[:0]), warnings.get(file.field_id, ""))
            for file in gathered.found if file.field_id not in gathered.quarantined]
    with tqdm(total=len(jobs), desc="overlays", unit="field") as bar:
        for _ in parallel.each(_draw, jobs, (gathered.recipe, classes, folder), gathered.recipe.config.workers):
            bar.update()


def _draw(job, shared):
    (file, rows, warning), (recipe, classes, folder) = job, shared
    field = recipe.read(file)
    image = recipe.corrected(field)
    labels, numbers = recipe.numbered(file, field, image)
    nucleus = recipe.config.channels.nucleus
    shown, title = image[..., recipe.channels.index(nucleus)], f"{file.field_id}: {nucleus}"
    overlay(shown, numbers[labels], rows, classes, title, warning, field.pixel_um, folder / f"{file.field_id}.png")


def overlay(image, labels, rows, classes, title, warning, um_per_px, path) -> None:
    """The nuclear channel in grey, each object outlined in the colour of its class.

    Args:
        image: f32 [H, W]; labels: whole numbers [H, W], 0 is background.
        rows: the field's objects; the number of an object stands after the last ':' of Metadata_CellID.
        classes: names, in order; title: of the picture; warning: a line below it, "" for none.
        um_per_px: of the field or None; path: PNG to write.
    """
    number = rows[schema.CELL_ID].astype(str).str.rsplit(":", n=1).str[1].astype(labels.dtype).to_numpy()
    place = {name: i for i, name in enumerate(classes)}
    labels, numbers = label_numbers.small(labels)
    kind = np.zeros(len(numbers), int)  # 0 nothing, then the classes, then unsure, then set aside
    said = rows["decision"].map(place).fillna(len(classes)).astype(int).to_numpy()
    kind[np.searchsorted(numbers, number)] = 1 + np.where(rows[schema.REJECT] != "", len(classes) + 1, said)
    colours = [*(drawing.CLASS_COLOURS[i % len(drawing.CLASS_COLOURS)] for i in range(len(classes))), UNSURE, SET_ASIDE]
    picture = drawing.outlined(image, labels, kind, colours, max(1, round(min(labels.shape) / 500)))
    height = WIDTH_IN * labels.shape[0] / labels.shape[1] + (1.4 if warning else 0.9)
    figure, axes = plt.subplots(figsize=(WIDTH_IN, height), layout="constrained")
    axes.imshow(picture, interpolation="nearest")
    axes.axis("off")
    drawing.scale_bar(axes, labels.shape[1], um_per_px)
    counts = np.bincount(kind[1:], minlength=len(colours) + 1)[1:]
    words = [*classes, "no decision", "set aside"]
    figure.legend([plt.Line2D([], [], color=c, lw=4) for c in colours],
                  [f"{w} ({n})" for w, n in zip(words, counts, strict=True)], ncols=len(words), fontsize=10,
                  loc="outside lower center", facecolor="#404040", labelcolor="white")
    axes.set_title(title, fontsize=11, loc="left")
    if warning:
        figure.suptitle(warning, fontsize=10, color="#B03A00", wrap=True)
    figure.savefig(path, dpi=DPI)
    plt.close(figure)
