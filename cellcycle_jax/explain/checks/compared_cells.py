"""Labelled validation cells and what the network says of each: what is compared between fields, places and channels."""

import dataclasses

import numpy as np

from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.attribution.methods import margins
from cellcycle_jax.explain.regions.explained_cells import sample_per_class
from cellcycle_jax.runs import trained_run

MOST_PER_CLASS = 2000  # cells of each class and split


@dataclasses.dataclass(frozen=True)
class ComparedCells:
    """N labelled cells of a run's validation split."""

    crops: crop_arrays.Crops  # N cells, pixels on disk
    margins: np.ndarray  # f64 [N, P], logit of each class less the mean of the others'


def labelled_cells(run: trained_run.Run, split: str) -> crop_arrays.Crops:
    """Labelled cells of a split, up to `MOST_PER_CLASS` of each class."""
    crops = run.crops_of_lines(split)
    rng = np.random.default_rng(run.config.seed)
    return crop_arrays.take(crops, sample_per_class(crops.label, len(crops.classes), MOST_PER_CLASS, rng))


def compare(run: trained_run.Run) -> ComparedCells:
    """The cells, which the network is asked about once."""
    crops = labelled_cells(run, "validation")
    return ComparedCells(crops, np.asarray(margins(run.predict_logits(crops)), np.float64))
