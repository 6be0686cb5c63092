"""The cells that are explained: as the network sees them, with their maps."""

import dataclasses
import functools

import numpy as np
import pandas as pd

from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.regions import class_difference
from cellcycle_jax.models.network import Network
from cellcycle_jax.runs import trained_run
from cellcycle_jax.scoring.intervals import Resampling

# experiments/README.md says why.
DEFAULT_METHOD = "integrated_gradients"
COARSE_METHOD = "grad_cam"
# Of integrated gradients, from the mean image of the explained cells; see experiments/map_steps.py.
STEPS = 32
MOST_TESTED = 40  # cells of the slow checks


@dataclasses.dataclass(frozen=True)
class MapSums:
    """Sums of the maps of one class, of N cells, K channels and Q regions.

    Attributes:
        regions: f64 [N, K, Q], over each region.
        areas: f64 [N, Q], share of the crop that each region has.
        channels: f32 [N, K], over the whole crop.
    """

    regions: np.ndarray
    areas: np.ndarray
    channels: np.ndarray


@dataclasses.dataclass(frozen=True)
class ExplainedCells:
    """Labelled validation cells of a run, as its network sees them."""

    run: trained_run.Run
    crops: crop_arrays.Crops  # N cells
    images: np.ndarray  # f32 [N, S, S, K]
    logits: np.ndarray  # f32 [N, P]

    @property
    def resampling(self) -> Resampling:
        """How intervals are made."""
        return resampling_of(self.run)

    @property
    def groups(self) -> np.ndarray:
        """The group of each cell, text [N]: the unit of resampling."""
        return self.crops.group_id

    @functools.cached_property
    def few(self) -> "ExplainedCells":
        """A random subset of at most MOST_TESTED cells for the slow checks, balanced over classes if it can be."""
        label = self.crops.label
        if len(label) <= MOST_TESTED:
            return self
        rng = np.random.default_rng(self.run.config.seed)
        order = rng.permutation(len(label))
        rank = np.empty(len(label))  # of each cell among those of its class
        for class_index in np.unique(label):
            of_class = order[label[order] == class_index]
            rank[of_class] = np.arange(len(of_class))
        rows = np.sort(np.lexsort((label, rank))[:MOST_TESTED])
        return ExplainedCells(self.run, crop_arrays.take(self.crops, rows), self.images[rows], self.logits[rows])

    @functools.cached_property
    def sums(self) -> dict[int, MapSums]:
        """Sums of the maps of each explained class."""
        crops = self.crops
        sums = {}
        for class_index in explained_classes(crops.classes):
            maps = self.maps(DEFAULT_METHOD, class_index)
            maps = np.asarray(methods.resized(maps, self.images.shape[1]))
            regions, areas = class_difference.contributions(maps, crops.compartments, crops.compartments_present)
            channels = maps.sum((1, 2), dtype=np.float64).astype(np.float32)
            sums[class_index] = MapSums(regions, areas, channels)
        return sums

    @functools.cached_property
    def class_differences(self) -> pd.DataFrame:
        """Share of the difference between the classes, in mean margin, of each channel and region, with intervals.

        The columns are those of `class_difference.COLUMNS`.
        """
        tables = []
        channels = np.array(self.run.channels, object)
        for class_index, sums in self.sums.items():
            of_class = self.crops.label == class_index
            table = class_difference.difference(sums.regions, sums.areas, of_class, self.groups, self.resampling)
            table["channel"] = channels[table["channel"].to_numpy(int)]
            table["class"] = self.crops.classes[class_index]
            table["method"] = DEFAULT_METHOD
            tables.append(table[list(class_difference.COLUMNS)])
        return pd.concat(tables, ignore_index=True)

    @functools.cached_property
    def _of_predicted(self) -> dict[str, np.ndarray]:
        return {}  # what `maps_of_predicted` returned, by method

    def maps_of_predicted(self, name: str) -> np.ndarray:
        """The `maps` of a method for the class that the network gives each cell; made once, for all checks."""
        if name not in self._of_predicted:
            self._of_predicted[name] = self.maps(name, self.logits.argmax(1))
        return self._of_predicted[name]

    def maps(self, name: str, class_index, network: Network | None = None) -> np.ndarray:
        """Attribution f32 [N, h, w, C] of the margin of a class: its logit minus the mean of the others.

        Args:
            name: of the method.
            class_index: of the class.
            network: used instead of the run's if given.
        """
        options = {}
        if name == DEFAULT_METHOD:
            options |= {"baseline": self.images.mean(0), "steps": STEPS}
        if not methods.METHODS[name].by_channel:
            options["tap"] = self.run.config.explain.tap
        network = network or self.run.network
        return methods.attribute(name, network, self.images, class_index, against_others=True, **options)


def explained_classes(classes) -> list[int]:
    """The classes whose margin is explained: of two only the last, since the margin of the first is its negative."""
    if len(classes) == 2:
        return [1]
    return list(range(len(classes)))


def sample_per_class(label: np.ndarray, classes: int, most: int, rng) -> np.ndarray:
    """Rows of up to `most` labelled cells of each class, drawn with a NumPy generator, increasing: i64 [M]."""
    drawn = [rng.permutation(np.flatnonzero(label == class_index))[:most] for class_index in range(classes)]
    return np.sort(np.concatenate(drawn))


def resampling_of(run: trained_run.Run) -> Resampling:
    """How intervals are resampled according to the config of a run."""
    return Resampling.of_config(run.config.evaluate, run.config.seed)


def heading(run: trained_run.Run) -> dict:
    """What stands above results about the classes of a run: of which weights they are, and what was seen."""
    return {
        "run_id": run.run_id,
        "step": run.step,
        "classes": list(run.classes),
        "channels": list(run.channels),
        "interval_level": resampling_of(run).level,
    }


def shortcut_resampling(run: trained_run.Run) -> Resampling:
    """The same at the level of the checks for shortcuts, which is higher since several of them can raise an alarm."""
    level = run.config.explain.limits.shortcut_interval_level
    return dataclasses.replace(resampling_of(run), level=level)
