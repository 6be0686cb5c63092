"""Who lives in a field: the age of each cell, its phase, and the size of every cue at that age. No pixels."""

import numpy as np
import pandas as pd
from scipy.special import expit

from data_prep.simulation.lines import Line

CHANNELS = ("DNA", "Golgi", "EB1", "CENPF")
# Cue, and the field that says its growth and its spread in the config.
CUES = {
    "dna_content": "dna_content",
    "nuclear_area_um2": "nuclear_area",
    "golgi_area_um2": "golgi_area",
    "golgi_scatter_um": "golgi_scatter",
    "plus_end_density_per_um2": "plus_end_density",
    "marker": "marker",
}

CLASS_OF_PHASE = {"G1": "G1/S", "S": "G1/S", "G2": "G2", "M": "mitotic"}

# Ages over which a logistic rises from 27 % to 73 %, fraction of the cycle.
ORGANELLE_WIDTH = 0.040
MARKER_WIDTH = 0.015

# A mitotic cell, whatever the effects: DNA content, then fractions of the newborn cell's cue.
MITOTIC = {
    "dna_content": 2.0,
    "nuclear_area_um2": 0.38,
    "golgi_area_um2": 1.2,
    "golgi_scatter_um": 2.2,
    "plus_end_density_per_um2": 1.3,
    "marker": 16.0,
}


def draw_ages(rng: np.random.Generator, n: int) -> np.ndarray:
    """Ages of `n` cells, f64 [n] in 0..1, of an exponentially growing population.

    The density is 2 ln2 2^-a (Powell 1956): each division makes two newborn cells, so newborn cells are twice as
    frequent as cells about to divide.
    """
    return -np.log2(1 - rng.random(n) / 2)


def phase_names(ages: np.ndarray, line: Line) -> np.ndarray:
    """G1, S or G2 for each age, text [n]."""
    return np.select([ages < line.s_start, ages < line.g2_start], ["G1", "S"], "G2")


def mean_cues(ages: np.ndarray, line: Line, effects) -> dict[str, np.ndarray]:
    """Each cue of the typical cell at each age, f64 [n]; an effect of 0 makes a cue the same at all ages."""
    through_s = np.clip((ages - line.s_start) / (line.g2_start - line.s_start), 0, 1)
    replicated = through_s**2 * (3 - 2 * through_s)  # replication starts and ends slowly
    matured = expit((ages - line.g2_start) / ORGANELLE_WIDTH)
    return {
        "dna_content": 1 + effects.dna_content * replicated,
        "nuclear_area_um2": line.nuclear_area_um2 * (1 + effects.nuclear_area * ages),
        "golgi_area_um2": line.golgi_area_um2 * (1 + effects.golgi_area * matured),
        "golgi_scatter_um": line.golgi_scatter_um * (1 + effects.golgi_scatter * matured),
        "plus_end_density_per_um2": line.plus_end_density_per_um2 * (1 + effects.plus_end_density * matured),
        # In the log, so that half of the fold rise is reached at the border and not before it.
        "marker": (1 + effects.marker) ** expit((ages - line.g2_start) / MARKER_WIDTH),
    }


def draw_cues(
    rng: np.random.Generator,
    ages: np.ndarray,
    mitotic: np.ndarray,
    line: Line,
    effects,
    spread,
) -> pd.DataFrame:
    """The cues of single cells: the mean at their age times a lognormal spread.

    Args:
        rng: NumPy generator; the same state gives the same spread at any age.
        ages: f64 [n], fraction of the cycle.
        mitotic: bool [n]; these cells have fixed cues.
        line: the cell line.
        effects: section of the config: growth of each cue.
        spread: section of the config: sd of the log of each cue.

    Returns:
        Table of n rows, columns `CUES`: DNA content (1 before S), um^2, um, 1/um^2, fold of the typical G1 marker.
    """
    noise = rng.standard_normal((len(ages), len(CUES)))
    means = mean_cues(ages, line, effects)
    table = pd.DataFrame()
    for i, cue in enumerate(CUES):
        newborn = getattr(line, cue, 1.0)
        typical = np.where(mitotic, MITOTIC[cue] * newborn, means[cue])
        table[cue] = typical * np.exp(spread[CUES[cue]] * noise[:, i])
    return table


def draw_population(
    rng: np.random.Generator,
    n: int,
    line: Line,
    effects,
    spread,
    stain_cell: float,
    mitotic: float,
) -> pd.DataFrame:
    """Draw `n` cells of a line.

    Args:
        rng: NumPy generator.
        n: number of cells.
        line: the cell line.
        effects: section of the config: growth of each cue from G1 to G2, fraction.
        spread: section of the config: sd of the log of each cue.
        stain_cell: sd of the log of each cell's staining strength, per channel.
        mitotic: share of cells in mitosis.

    Returns:
        Table of n rows: age, phase, class_name, the `CUES`, stain_<channel> (staining strength, median 1) and
        dna_stain (DNA content times the cell's DNA staining strength: what an image can show).
    """
    ages = draw_ages(rng, n)
    dividing = rng.random(n) < mitotic
    table = draw_cues(rng, ages, dividing, line, effects, spread)
    phases = np.where(dividing, "M", phase_names(ages, line))
    table.insert(0, "age", np.where(dividing, 1.0, ages))
    table.insert(1, "phase", phases)
    table.insert(2, "class_name", table["phase"].map(CLASS_OF_PHASE))
    stain = np.exp(stain_cell * rng.standard_normal((n, len(CHANNELS))))
    for i, channel in enumerate(CHANNELS):
        table[f"stain_{channel}"] = stain[:, i]
    table["dna_stain"] = table["dna_content"] * table["stain_DNA"]
    return table
