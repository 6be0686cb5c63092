"""Which pictures a data set leaves in OUT/qc: outlines per plate, a contact sheet per class, cuts, light."""

import pathlib

import numpy as np

from cellcycle_jax import crop_file, files, schema
from cellcycle_jax.schema import Working
from data_prep.labelling import manual_corrections
from data_prep.pictures import drawing

TILES = 60  # cells on a contact sheet
MAX_PLATES = 6  # plates whose outlines and light are drawn


def draw(table, found, recipe, labelled, folder) -> None:
    """Write all pictures and labels.csv of a data set.

    Args:
        table: all objects, labels and working columns included.
        found: the field files; recipe: what they were treated with; labelled: record of the labelling.
        folder: where the pictures go.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    used = table[table[schema.REJECT] == ""]
    if recipe.config.phase.method != "none":
        name = "marker_cuts" if labelled.words is None else "label_values"
        drawing.labelling(used, labelled, recipe.config.phase.classes, folder / f"{name}.png")
    plates = list(dict.fromkeys(f.plate for f in found))[:MAX_PLATES]
    for plate, name in zip(plates, files.distinct([_slug(plate or "fields") for plate in plates]), strict=True):
        _outlines(table, [f for f in found if f.plate == plate], recipe, folder / f"outlines_{name}.png")
        lights = {size: light for (owner, size), light in recipe.light.items() if owner == plate}
        for size, light in lights.items():
            ending = f"_{size[0]}x{size[1]}" if len(lights) > 1 else ""
            drawing.light_fields(light.light, recipe.channels, f"Light of {plate or 'all fields'}",
                                 folder / f"illumination_{name}{ending}.png")
    tiles = {}
    labels = (*recipe.config.phase.classes, "")
    sheets = files.distinct([_slug(label or manual_corrections.UNLABELLED) for label in labels])
    for label, sheet in zip(labels, sheets, strict=True):
        cells = used[used[schema.LABEL] == label]
        tiles |= _contact_sheet(cells, label or manual_corrections.UNLABELLED, f"contact_{sheet}", recipe, folder)
    listed = (table[schema.REJECT] == "") | (table[Working.CORRECTION] != "")
    manual_corrections.write_labels(table[listed], tiles, folder / "labels.csv")


def _outlines(table, members, recipe, path):
    """The field of median crowding of a plate, segmented again for the picture."""
    counts = table[schema.FIELD].value_counts()
    members = sorted((f for f in members if counts.get(f.field_id, 0)), key=lambda f: counts[f.field_id])
    if not members:
        return
    file = members[len(members) // 2]
    field = recipe.read(file)
    image = recipe.corrected(field)
    labels = recipe.labels(file, field, image)
    nucleus = recipe.config.channels.nucleus
    rows = table[table[schema.FIELD] == file.field_id]
    drawing.outlines(image[..., recipe.channels.index(nucleus)], labels, rows,
                     f"{file.field_id}: {nucleus} and what was found in it", field.pixel_um, path)


def _contact_sheet(cells, label, sheet, recipe, folder):
    """Up to TILES cells of one label, spread evenly over what labelling looked at, the lowest first; SHEET.png."""
    if cells.empty:
        return {}
    channels = recipe.channels
    order = cells.sort_values(schema.MARKER)
    order = order.iloc[np.unique(np.linspace(0, len(order) - 1, min(TILES, len(order))).astype(int))]
    shown = [i for i, c in enumerate(channels) if c not in recipe.config.channels.markers][:4] or [0]
    crops, size = [], np.nan
    for _, row in order.iterrows():
        stored = crop_file.index(recipe.crops, row[schema.FIELD])
        image, _ = stored.read([stored.places()[row[schema.CELL_ID]]])
        reference = np.array([row[schema.reference_column(c)] for c in channels], np.float32)
        pixels = image[0] * stored.shared.image_scale
        crops.append(((pixels - stored.shared.field_norm[0]) / reference)[..., shown])
        size = stored.shared.um_per_px
    rising = order[schema.MARKER].nunique() > 2
    order_by = "; lowest value of what labelling looked at first" if rising else ""
    title = f"{label}: {len(crops)} of {len(cells)} cells{order_by}"
    drawing.contact_sheet(np.stack(crops), range(1, len(crops) + 1), [channels[i] for i in shown], title, size,
                          folder / f"{sheet}.png")
    return {c: (sheet, i) for i, c in enumerate(order[schema.CELL_ID], start=1)}


def _slug(text):
    return "".join(c if c.isalnum() or c in "-." else "_" for c in text)
