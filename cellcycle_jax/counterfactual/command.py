"""`launch.py counterfactual`: what would have to change for a cell to be called otherwise, and what real cells show."""

import pathlib

import numpy as np
import pandas as pd
from tqdm import tqdm

from cellcycle_jax import files
from cellcycle_jax.counterfactual import measured_again
from cellcycle_jax.counterfactual.question import Question
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.errors import InputRefused
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.galleries import slug
from cellcycle_jax.explain.regions.explained_cells import (
    ExplainedCells,
    explained_classes,
    heading,
    sample_per_class,
)
from cellcycle_jax.runs import trained_run
from cellcycle_jax.runs.open_data import OpenData
from cellcycle_jax.runs.trained_run import load_run

MEASURED = 300  # most cells of each class of training and of validation that are measured


def run_counterfactual(workdir, others=(), data: OpenData | None = None) -> list[str]:
    """Move rightly called validation cells across to another class by the shortest edit, and measure what changed.

    Writes RUN/counterfactual/counterfactual.json and cells.csv, and figures RUN/figures/counterfactual_*.png.

    Args:
        workdir: the run folder.
        others: run folders of networks with another seed; whether they call the edited cells otherwise too is said.
        data: as of `trained_run.load_run`.

    Returns:
        A sentence for each explained class.

    Raises:
        StoredStateRefused: a run or its data set is missing or damaged.
        InputRefused: another run sees other channels or classes, a class has hardly any labelled cell, or the network
            calls none rightly.
    """
    run = load_run(workdir, data=data)
    others = [_comparable(load_run(other, data=data), run, other) for other in others]
    training = _labelled(run, "train")
    validation = _labelled(run, "validation")
    folder = pathlib.Path(workdir) / "counterfactual"
    classes = explained_classes(run.classes)
    names = files.distinct([slug(run.classes[class_index]) for class_index in classes])
    results = []
    tables = []
    measured_training = _measured(training)
    # What no validation cell has is missing there, and not another table.
    measured_validation = _measured(validation).reindex(columns=measured_training.columns)
    with tqdm(total=len(classes), desc="counterfactual", unit="class") as bar:
        for class_index, name in zip(classes, names, strict=True):
            question = Question(run, class_index, validation, measured_validation, training, measured_training)
            result, cells = question.answer(others, pathlib.Path(workdir) / "figures", name)
            results.append(result)
            tables.append(cells)
            bar.update()
    files.write_csv(pd.concat(tables, ignore_index=True), folder / "cells.csv")
    about = {**heading(run), "results": results}
    files.write_sealed_json(folder / "counterfactual.json", files.to_json(about))
    return [result["sentence"] for result in results]


def _comparable(other: trained_run.Run, run: trained_run.Run, folder) -> trained_run.Run:
    if (other.channels, other.classes, other.crop_px) != (run.channels, run.classes, run.crop_px):
        raise InputRefused(
            f"{folder}: this run sees other channels, classes or crops; give runs that differ in the seed only"
        )
    return other


def _labelled(run: trained_run.Run, split: str) -> ExplainedCells:
    """Some labelled cells of each class of a split, as the network sees them."""
    crops = run.crops_of_lines(split)
    rng = np.random.default_rng(run.config.seed)
    rows = sample_per_class(crops.label, len(crops.classes), MEASURED, rng)
    crops = crop_arrays.in_memory(crop_arrays.take(crops, rows))
    counts = np.bincount(crops.label, minlength=len(crops.classes))
    if counts.min() < 2:
        absent = crops.classes[int(counts.argmin())]
        raise InputRefused(f"{split} split: fewer than two labelled cells of {absent!r}; label more cells")
    images = run.images(crops)
    return ExplainedCells(run, crops, images, methods.logits_of(run.network, images))


def _measured(cells: ExplainedCells) -> pd.DataFrame:
    crops = cells.crops
    return measured_again.table(cells.images, crops.compartments, cells.run.channels, crops.nucleus)
