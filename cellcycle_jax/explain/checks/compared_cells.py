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
    """N labelled cells of a run's validation split.

    Attributes:
        crops: N cells, pixels on disk.
        all_margins: f64 [N, P], logit of each class less the mean of the others'.
    """

    crops: crop_arrays.Crops
    all_margins: np.ndarray

    @property
    def margins(self) -> np.ndarray:
        """The margins, f64 [N, P], held within their fences."""
        return self.held(self.all_margins)

    def held(self, margins) -> np.ndarray:
        """Margins f [N, P] of the same cells, changed or not, held within the fences of these, f64 [N, P]."""
        low, high = fences(self.all_margins, self.crops.label)
        return np.clip(np.asarray(margins, np.float64), low, high)


def fences(margins, label) -> tuple[np.ndarray, np.ndarray]:
    """Bounds beyond which margins are odd: of a field in which something is wrong they may be a hundred times as large.

    Tukey's fences: one and a half interquartile ranges beyond the quartiles of a class, of the class where they lie
    farthest out.

    Args:
        margins: f64 [N, P].
        label: i32 [N].

    Returns:
        Lowest and highest, f64 [P] each.
    """
    bounds = []
    for class_index in np.unique(label):
        lower, upper = np.quantile(margins[label == class_index], (0.25, 0.75), axis=0)
        reach = 1.5 * (upper - lower)
        bounds.append((lower - reach, upper + reach))
    low, high = np.array(bounds).transpose(1, 0, 2)
    return low.min(0), high.max(0)


def labelled_cells(run: trained_run.Run, split: str) -> crop_arrays.Crops:
    """Labelled cells of a split, up to `MOST_PER_CLASS` of each class."""
    crops = run.crops_of_lines(split)
    rng = np.random.default_rng(run.config.seed)
    return crop_arrays.take(crops, sample_per_class(crops.label, len(crops.classes), MOST_PER_CLASS, rng))


def compare(run: trained_run.Run) -> ComparedCells:
    """The cells, which the network is asked about once."""
    crops = labelled_cells(run, "validation")
    return ComparedCells(crops, np.asarray(margins(run.predict_logits(crops)), np.float64))
