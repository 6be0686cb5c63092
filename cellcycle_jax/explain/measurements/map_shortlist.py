"""The measurements that a run's maps point at, and whether they are worth more than others."""

import dataclasses

import numpy as np

from cellcycle_jax import schema
from cellcycle_jax.dataset import cell_table
from cellcycle_jax.errors import result_or_reason
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.measurements import measured_cells, shortlist, shortlist_comparison
from cellcycle_jax.explain.regions import class_difference
from cellcycle_jax.explain.regions.explained_cells import ExplainedCells
from cellcycle_jax.features import families, feature_axes


@dataclasses.dataclass(frozen=True)
class MapShortlist:
    """The shortlist of a map, and the cells on which it is compared with others.

    Attributes:
        measurements: best first, see `shortlist.shortlist`.
        families: measurement -> its family, of all that may enter.
        train, validation: labelled cells.
        other_lines: those of cell lines that training did not hold, None without a class.
        margin: f64 [N] of the network for the N cells of `train`.
        weights: of the regions, see `region_weights`.
    """

    measurements: list[str]
    families: dict[str, families.Family]
    train: feature_axes.ProjectedCells
    validation: feature_axes.ProjectedCells
    other_lines: feature_axes.ProjectedCells | None
    margin: np.ndarray
    weights: dict


def map_shortlist(cells: ExplainedCells) -> MapShortlist:
    """The measurements that the map points at.

    Each region is weighted by its share of the attribution difference between the explained cells above and below the
    median margin, so the weights hold no label.

    Raises:
        InputRefused: a class has no labelled cell.
        StoredStateRefused: the table of cells is missing or damaged.
    """
    run = cells.run
    classes = list(run.classes)
    measured = measured_cells.load_measured_cells(run)
    train = measured.of_split("train")
    train, margin = measured_cells.with_margin(run, train[train[schema.LABEL].isin(classes)], "train")
    axes = feature_axes.learn_axes(train, list(measured.families), {})
    train = feature_axes.place(train, axes, classes, "train")
    validation = feature_axes.place(measured.of_split("validation"), axes, classes, "validation")
    other_lines, _ = result_or_reason(feature_axes.place, measured.other_lines, axes, classes, "validation")
    weights = region_weights(cells)
    listed = shortlist.shortlist(weights, measured.families, train.linear, margin)
    return MapShortlist(listed, measured.families, train, validation, other_lines, margin, weights)


def region_weights(cells: ExplainedCells) -> dict:
    """(channel, region) -> share, 0 or more, of what sets cells of the higher margin apart from those of the lower."""
    sums = cells.sums[len(cells.crops.classes) - 1]
    margin = methods.margins(cells.logits)[:, -1]
    is_high = margin > np.median(margin)
    table = class_difference.difference(sums.regions, sums.areas, is_high, cells.groups, cells.resampling)
    weights = {}
    for row in table.to_dict("records"):
        channel = cells.run.channels[row["channel"]]
        weights[channel, row["compartment"]] = max(row["share"], 0.0)
    return weights


def compare_with_others(cells: ExplainedCells) -> dict:
    """Whether the measurements that the map points at are worth more than others; see `shortlist_comparison.compare`.

    Intensities of which the labels were made (`circular`, their channel) are no part of that comparison.

    Raises:
        InputRefused, StoredStateRefused: as of `map_shortlist`.
    """
    chosen = map_shortlist(cells)
    circular = cell_table.label_intensity(cells.run.data_dir)
    fair = {}
    for name, family in chosen.families.items():
        if not cell_table.is_intensity_of(name, circular):
            fair[name] = family
    train = chosen.train
    lists = shortlist.Shortlists.choose(
        chosen.weights, fair, train.linear, chosen.margin, train.positive, cells.resampling.seed
    )
    compared = shortlist_comparison.compare(
        lists,
        fair,
        train,
        chosen.validation,
        cells.resampling,
        chosen.other_lines,
    )
    listed = [{"measurement": name, "family": chosen.families[name].name} for name in chosen.measurements]
    return {"shortlist": listed, "circular": circular, **compared}
