"""One field before the camera: cells drawn, placed and painted, with their truth."""

import dataclasses

import numpy as np
import pandas as pd

from data_prep.simulation import layout
from data_prep.simulation.lines import Line
from data_prep.simulation.painter import REACH_UM, Painter
from data_prep.simulation.population import CHANNELS, draw_population
from data_prep.simulation.settings import Settings

LABEL_IMAGES = ("nucleus", "golgi", "body")


@dataclasses.dataclass(frozen=True)
class Scene:
    """A field before the camera."""

    canvas: np.ndarray  # f32 [H, W, 4], brightness of `CHANNELS` without background, blur and noise
    labels: np.ndarray  # i32 [3, H, W]: `LABEL_IMAGES`, the cell's number as value, 0 is background
    cells: pd.DataFrame  # one row per cell: cell_label, centre_y_px, centre_x_px, touching, border, then the population


def draw_scene(rng: np.random.Generator, line: Line, settings: Settings) -> Scene:
    """Draw one field of a line.

    Args:
        rng: NumPy generator of the field.
        line: the cell line.
        settings: the checked config.

    Returns:
        The scene; its cells' cues are those realised in the labels and in the canvas.
    """
    nuisance, pixel_um = settings.nuisance, settings.pixel_um
    low, high = settings.cells_per_field
    cells = draw_population(
        rng, int(rng.integers(low, high + 1)), line, settings.effects, settings.spread, nuisance.stain_cell,
        nuisance.mitotic,
    )
    mitotic = cells["phase"].to_numpy() == "M"
    areas = cells["nuclear_area_um2"]
    nuclei = [_nucleus(rng, line, area, divides, pixel_um) for area, divides in zip(areas, mitotic, strict=True)]
    # A frame around the field, so that cells at its border are drawn whole.
    margin = max(nucleus.half_px for nucleus in nuclei) + int(REACH_UM / pixel_um) + 1
    labels, centres = layout.place_nuclei(rng, nuclei, settings.field_size_px, margin, nuisance.touching)
    placed = np.flatnonzero(centres[:, 0] >= 0)
    labels = np.concatenate([[0], np.cumsum(centres[:, 0] >= 0)]).astype(np.int32)[labels]
    cells = cells.iloc[placed].reset_index(drop=True)
    painter = Painter(rng, line, cells, [nuclei[k] for k in placed], centres[placed], labels, pixel_um)
    painter.paint()
    inside = (slice(margin, -margin),) * 2
    images = np.stack([image[inside] for image in (labels, painter.golgi, painter.bodies)])
    strength = np.exp(nuisance.stain_field * rng.standard_normal(len(CHANNELS))).astype(np.float32)
    return Scene(painter.canvas[inside] * strength, images, _finish(cells, painter, images[0], margin, strength))


def _nucleus(rng, line, area_um2, mitotic, pixel_um):
    # Chromosomes at metaphase: a plate from the side, or from the pole a rosette.
    if mitotic:
        aspect, irregularity = (rng.uniform(2.4, 3.4), 0.03) if rng.random() < 0.7 else (1.15, 0.06)
    else:
        aspect, irregularity = rng.uniform(*line.aspect), line.irregularity
    return layout.draw_nucleus(rng, area_um2 / pixel_um**2, aspect, irregularity)


def _finish(cells, painter, nuclei, margin, strength):
    """The truth of a field, with cues as realised and the places of the cells."""
    cells = cells.copy()
    numbers = np.arange(1, len(cells) + 1)
    touching = layout.touching_labels(nuclei)
    area_px = np.bincount(nuclei.ravel(), minlength=len(cells) + 1)[1:]
    cells["nuclear_area_um2"] = painter.realised["nuclear_area_um2"]
    cells["golgi_area_um2"] = painter.realised["golgi_area_um2"]
    cells["plus_end_density_per_um2"] = painter.realised["plus_end_density_per_um2"]
    cells.insert(0, "cell_label", numbers)
    cells.insert(1, "centre_y_px", painter.centres[:, 0] - margin)
    cells.insert(2, "centre_x_px", painter.centres[:, 1] - margin)
    cells.insert(3, "touching", [n in touching for n in numbers])
    # The area in the picture of a cell at the border is smaller than the area of the cell.
    cells.insert(4, "border", area_px * painter.pixel_um**2 < cells["nuclear_area_um2"] - 1e-9)
    for channel, value in zip(CHANNELS, strength, strict=True):
        cells[f"stain_field_{channel}"] = float(value)
    return cells
