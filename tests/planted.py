"""A table of cells in which it is known which two measurements tell the phase, and how well."""

import numpy as np
import pandas as pd

from cellcycle_jax import schema

CLASSES = ("G1/S", "G2")
DNA, GOLGI = schema.integrated("DNA"), "Cells_AreaShape_ObjectArea_Golgi"
UNITS = {GOLGI: "um^2", schema.NUCLEAR_AREA: "um^2", "Nuclei_AreaShape_Perimeter": "um"}


def make_cells(n=900, seed=0, lines=("HeLa",)):
    """Cells of which DNA and Golgi area tell the phase together; nuclear area a little, all else not at all."""
    rng = np.random.default_rng(seed)
    g2, field, line = rng.integers(0, 2, n), rng.integers(0, 30, n), rng.integers(0, len(lines), n)
    scale = np.array([1.0, 3.0, 0.4])[line]
    stain = np.exp(rng.normal(scale=0.5, size=30))[field]
    area = 120 * scale * np.exp(0.15 * g2 + rng.normal(scale=0.15, size=n))
    marker = np.exp(5.0 * g2)
    return pd.DataFrame({
        schema.CELL_ID: [f"c{i}" for i in range(n)], schema.FIELD: [f"f{k}" for k in field],
        schema.GROUP: [f"f{k}" for k in field], schema.CELL_LINE: np.array(lines)[line],
        schema.SPLIT: np.array(["train"] * 15 + ["validation"] * 9 + ["test"] * 6)[field],
        schema.LABEL: np.array(CLASSES)[g2], schema.REJECT_REASON: "", schema.CENTRE_Y: 10.0, schema.CENTRE_X: 20.0,
        "Metadata_Reference_DNA": stain, "Metadata_Reference_CENPF": 1.0, "Metadata_Reference_Golgi": 1.0,
        DNA: 250 * scale * stain * np.exp(0.6 * g2 + rng.normal(scale=0.3, size=n)),
        GOLGI: 30 * scale * np.exp(0.5 * g2 + rng.normal(scale=0.28, size=n)),
        schema.NUCLEAR_AREA: area,
        "Nuclei_AreaShape_Perimeter": 3.5 * np.sqrt(area),
        "Nuclei_AreaShape_Orientation": rng.normal(size=n),
        "Cells_Number_Objects_Golgi": rng.poisson(3, n),
        "Nuclei_AreaShape_EulerNumber": 1.0,
        "Cells_AreaShape_ObjectArea_EB1": marker, "Metadata_Reference_EB1": 1.0,
        "Nuclei_Intensity_MeanIntensity_CENPF": marker, "Truth_age": g2, "Metadata_LabelScore": g2,
    })


def split(cells, name):
    return cells[cells[schema.SPLIT] == name]


def _log_odds(cells):
    """Of the second class, as far as DNA and Golgi area tell."""
    u = np.log(cells[DNA] / cells["Metadata_Reference_DNA"] / 250) - 0.3
    v = np.log(cells[GOLGI] / 30) - 0.25
    return 0.6 / 0.09 * u + 0.5 / 0.0784 * v


def sureness(cells):
    """Confidence that rises with the distance from the middle of the two classes in the plane of DNA and Golgi."""
    return pd.Series((1 / (1 + np.exp(-_log_odds(cells).abs()))).to_numpy(), index=cells[schema.CELL_ID])


def called(cells):
    """The class that DNA and Golgi area make the likelier one, by the name of the cell."""
    names = np.array(CLASSES)[(_log_odds(cells) > 0).to_numpy().astype(int)]
    return pd.Series(names, index=cells[schema.CELL_ID])
