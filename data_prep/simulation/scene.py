"""One field before the camera: cells drawn, placed and painted, with their truth."""

import dataclasses

import numpy as np
import pandas as pd

from data_prep.simulation import layout
from data_prep.simulation.lines import Line
from data_prep.simulation.painter import REACH_UM, Painter
from data_prep.simulation.population import CHANNELS, draw_population

LABEL_IMAGES = ("nucleus", "golgi", "body")


@dataclasses.dataclass(frozen=True)
class Scene:
    """A field before the camera.

    Attributes:
        canvas: f32 [H, W, 4], brightness of `CHANNELS` without background, blur and noise.
        labels: i32 [3, H, W], `LABEL_IMAGES`, the cell's number as value, 0 is background.
        cells: one row per cell: cell_label, centre_y_px, centre_x_px, touching, border, then the population.
    """

    canvas: np.ndarray
    labels: np.ndarray
    cells: pd.DataFrame


def draw_scene(rng: np.random.Generator, line: Line, config) -> Scene:
    """Draw one field of a line.

    Args:
        rng: NumPy generator of the field.
        line: the cell line.
        config: of a simulation.

    Returns:
        The scene; its cells' cues are those realised in the labels and in the canvas.
    """
    nuisance = config.nuisance
    pixel_um = config.pixel_um
    low, high = config.cells_per_field
    n = int(rng.integers(low, high + 1))
    population = draw_population(
        rng,
        n,
        line,
        config.effects,
        config.spread,
        nuisance.stain_cell,
        nuisance.mitotic,
    )
    nuclei = []
    for area_um2, phase in zip(population["nuclear_area_um2"], population["phase"], strict=True):
        aspect, irregularity = _outline(rng, line, is_mitotic=phase == "M")
        nuclei.append(layout.draw_nucleus(rng, area_um2 / pixel_um**2, aspect, irregularity))
    # A frame around the field, so that cells at its border are drawn whole.
    margin = max(nucleus.half_px for nucleus in nuclei) + int(REACH_UM / pixel_um) + 1
    placement = layout.place_nuclei(rng, nuclei, config.field_size_px, margin, nuisance.touching)
    cells = population.iloc[placement.drawn].reset_index(drop=True)
    painter = Painter(rng, line, cells, placement, pixel_um)
    painter.paint()
    inside = np.s_[margin:-margin, margin:-margin]
    labels = np.stack([placement.labels[inside], painter.golgi[inside], painter.bodies[inside]])
    strength = np.exp(nuisance.stain_field * rng.standard_normal(len(CHANNELS))).astype(np.float32)
    truth = _truth(painter, labels[0], margin, strength)
    return Scene(painter.canvas[inside] * strength, labels, truth)


def _outline(rng, line, is_mitotic):
    """Aspect and irregularity of a nucleus."""
    if not is_mitotic:
        return rng.uniform(*line.aspect), line.irregularity
    # Chromosomes at metaphase: a plate from the side, or from the pole a rosette.
    if rng.random() < 0.7:
        return rng.uniform(2.4, 3.4), 0.03
    return 1.15, 0.06


def _truth(painter, labels, margin, strength):
    """The truth of a field, with cues as realised and the places of the cells.

    Args:
        painter: of the field.
        labels: i32 [H, W], the nuclei without the frame.
        margin: px, width of the frame.
        strength: f32 [4], strength of each stain in the field.
    """
    cells = painter.cells.assign(**painter.realised)
    numbers = np.arange(1, len(cells) + 1)
    cells.insert(0, "cell_label", numbers)
    cells.insert(1, "centre_y_px", painter.centres[:, 0] - margin)
    cells.insert(2, "centre_x_px", painter.centres[:, 1] - margin)
    cells.insert(3, "touching", np.isin(numbers, list(layout.touching_labels(labels))))
    # The area in the image of a cell at the border is smaller than the area of the cell.
    area_px = np.bincount(labels.ravel(), minlength=len(cells) + 1)[1:]
    cells.insert(4, "border", area_px * painter.pixel_um**2 < cells["nuclear_area_um2"] - 1e-9)
    for channel, value in zip(CHANNELS, strength, strict=True):
        cells[f"stain_field_{channel}"] = float(value)
    return cells
