"""How many steps do integrated gradients need? Maps and shares of regions beside those of many more steps.

    python -m experiments.map_steps RUN

The labelled validation cells of a run, as `launch.py explain` takes them. README.md holds the result.
"""

import argparse
import time

import numpy as np
import pandas as pd
from tqdm import tqdm

from cellcycle_jax.devices import runtime
from cellcycle_jax.errors import InputRefused
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.command import cells_to_explain
from cellcycle_jax.explain.regions import class_difference
from cellcycle_jax.explain.regions.explained_cells import DEFAULT_METHOD, ExplainedCells
from cellcycle_jax.runs import trained_run
from experiments.explanation_tables import markdown

STEPS = (8, 16, 32, 64, 128)
REFERENCE_STEPS = 1024
CELLS_PER_CLASS = 50


def maps_of(cells: ExplainedCells, steps: int) -> np.ndarray:
    """Integrated gradients of the margin of the last class, f32 [N, S, S, K]."""
    last_class = len(cells.run.classes) - 1
    return methods.attribute(DEFAULT_METHOD, cells.run.network, cells.images, last_class,
                             baseline=cells.images.mean(0), steps=steps, against_others=True)


def shares_of(cells: ExplainedCells, maps: np.ndarray) -> np.ndarray:
    """Share of the difference between the last class and the others by channel and region, f64 [M].

    Raises:
        InputRefused: there is no difference to share out.
    """
    crops = cells.crops
    sums, areas = class_difference.contributions(maps, crops.compartments, crops.compartments_present)
    of_class = crops.label == len(crops.classes) - 1
    shares = class_difference.difference(sums, areas, of_class, cells.groups, cells.resampling)["share"].to_numpy()
    if not len(shares):
        raise InputRefused(f"{cells.run.workdir}: the network tells these cells no better than chance, so no region "
                           "has a share of what it tells; take another run")
    return shares


def relative_error(maps: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Size of the difference of two maps f32 [N, S, S, K] over that of the reference, cell by cell: f64 [N]."""
    def size(maps):
        return np.linalg.norm(maps.reshape(len(maps), -1).astype(np.float64), axis=1)

    return size(maps - reference) / size(reference)


def compared(cells: ExplainedCells) -> pd.DataFrame:
    """One row for each of STEPS: error of the maps, largest error of a share of a region, and seconds."""
    margin = methods.margins(cells.logits)[:, -1]
    at_baseline = methods.margins(methods.logits_of(cells.run.network, cells.images.mean(0, keepdims=True)))[0, -1]
    reference = maps_of(cells, REFERENCE_STEPS)
    reference_shares = shares_of(cells, reference)
    rows = []
    for steps in tqdm(STEPS, unit="number of steps"):
        maps_of(cells, steps)  # compiles
        start = time.perf_counter()
        maps = maps_of(cells, steps)
        seconds = time.perf_counter() - start
        errors = relative_error(maps, reference)
        share_errors = np.abs(shares_of(cells, maps) - reference_shares)
        missing = np.abs(maps.sum((1, 2, 3), dtype=np.float64) - (margin - at_baseline))
        rows.append({
            "steps": steps,
            "median error of a map, %": 100 * np.median(errors),
            "largest error of a map, %": 100 * errors.max(),
            "median gap to the margin, logits": np.median(missing),
            "largest error of a region's share, points": 100 * share_errors.max(),
            "seconds": seconds,
        })
    return pd.DataFrame(rows)


def main():
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="run folder")
    given = parser.parse_args()
    runtime.prepare()
    run = trained_run.load_run(given.run)
    run.config.explain.cells_per_class = CELLS_PER_CLASS
    table = compared(cells_to_explain(run))
    print(markdown(table.columns, [[f"{number:.3g}" for number in row] for row in table.to_numpy()]))


if __name__ == "__main__":
    main()
