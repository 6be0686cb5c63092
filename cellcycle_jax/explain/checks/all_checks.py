"""What is asked of a trained network beyond its maps: where its answer comes from, and whether what is said is true.

Every function takes the explained cells and returns plain values, as they go to RUN/explain/*.json.
"""

import dataclasses
import functools
import math

import numpy as np
import pandas as pd

from cellcycle_jax import schema
from cellcycle_jax.dataset import cell_table, crop_arrays
from cellcycle_jax.errors import InputRefused, StoredStateRefused, UsageError
from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.checks import channel_importance, faithfulness, randomisation
from cellcycle_jax.explain.edits import dose_response, edits
from cellcycle_jax.explain.measurements import shortlist, surrogate
from cellcycle_jax.explain.regions import class_difference
from cellcycle_jax.features import families, feature_axes
from cellcycle_jax.runs import trained_run

DEFAULT, COARSE = "integrated_gradients", "grad_cam"  # experiments/README.md says why
STEPS = 64  # of integrated gradients, from the mean of the explained cells
TESTED = 40  # cells of the slow tests
REPEATS = 4  # shuffles of the channels
CHANCE = 0.5  # area under the ROC curve
LEFT = 0.5  # share of the score above chance that may be left without any channel of the cell's own
MOST_NAMED = 3000  # validation cells whose answers are explained by measurements


@dataclasses.dataclass(frozen=True)
class Explained:
    """Labelled validation cells of a run, as its network sees them."""

    run: trained_run.Run
    crops: crop_arrays.Crops  # N cells
    images: np.ndarray  # f32 [N, S, S, K]
    logits: np.ndarray  # f32 [N, P]

    @property
    def resampling(self) -> dict:
        """How intervals are made."""
        return resampling_of(self.run)

    @property
    def groups(self) -> np.ndarray:
        """The group of each cell."""
        return self.crops.group_id

    @functools.cached_property
    def few(self) -> "Explained":
        """Up to TESTED of the cells, as many of each class as there are."""
        if len(self.crops) <= TESTED:
            return self
        rng, label = np.random.default_rng(self.run.config.seed), self.crops.label
        order = rng.permutation(len(label))
        place = np.empty(len(label))  # of each cell among those of its class
        for p in np.unique(label):
            of = order[label[order] == p]
            place[of] = np.arange(len(of))
        rows = np.sort(np.lexsort((label, place))[:TESTED])
        return Explained(self.run, crop_arrays.take(self.crops, rows), self.images[rows], self.logits[rows])

    @functools.cached_property
    def sums(self) -> dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Sums of the maps of each class: the two of `class_difference.contributions`, and of channels f32 [N, K]."""
        found, crops = {}, self.crops
        for p in explained_classes(crops.classes):
            maps = np.asarray(methods.resized(self.maps(DEFAULT, p), self.images.shape[1]))
            places = class_difference.contributions(maps, crops.compartments, crops.compartments_present)
            found[p] = *places, channel_importance.integrated_gradients_by_channel(maps)
        return found

    def maps(self, name: str, class_index, variables=None) -> np.ndarray:
        """Maps f32 [N, h, w, C] of a method for the margin of a class; `variables` of another network of this model."""
        options = {"baseline": self.images.mean(0), "steps": STEPS} if name == DEFAULT else {}
        tap = {} if methods.METHODS[name].by_channel else {"tap": self.run.config.explain.tap}
        return methods.attribute(name, self.run.model, variables or self.run.variables, self.images, class_index,
                                 against_others=True, **options, **tap)


def explained_classes(classes) -> list[int]:
    """The classes whose margin is explained: of two the last alone, since the other's is the same with another sign."""
    return [1] if len(classes) == 2 else list(range(len(classes)))


def where(cells: Explained) -> pd.DataFrame:
    """Which part of the difference between the classes is read in which channel and place; see `contrast`."""
    parts, crops = [], cells.crops
    for p, (sums, areas, _) in cells.sums.items():
        told = class_difference.difference(sums, areas, crops.label == p, cells.groups, cells.resampling)
        told["channel"] = np.array(cells.run.channels, object)[told["channel"].to_numpy(int)]
        parts.append(told.assign(**{"class": crops.classes[p], "method": DEFAULT})[list(class_difference.COLUMNS)])
    return pd.concat(parts, ignore_index=True)


def of_channels(cells: Explained) -> dict:
    """What each channel gives to the score and to the margin. Channels are shuffled within fields.

    Returns:
        channels; alone, how many cells are the only one of their field and get a channel of another field; shapley,
        exact values, None of too many channels and where fields hold one class each; occlusion, what is lost without a
        channel: by its mean, and by shuffle, None of one cell; why there is a None; integrated_gradients, for each
        class the mean over its cells of what each channel adds to the margin of the last class, NaN of a class without
        cells.
    """
    model, crops = (cells.run.model, cells.run.variables, cells.images), cells.crops
    label, seed = crops.label, cells.run.config.seed
    found, why = or_why(_shapley, cells)
    shuffled, none = or_why(channel_importance.occlusion_by_shuffle, *model, crops.field_id, label, REPEATS, seed)
    lost = {"mean": channel_importance.occlusion_by_mean(*model, label), "shuffle": shuffled}
    added = cells.sums[len(crops.classes) - 1][2]
    return {"channels": list(cells.run.channels), "alone": channel_importance.alone(crops.field_id), "shapley": found,
            "why": "; ".join(dict.fromkeys(filter(None, (why, none)))),
            "occlusion": {by: one and {"margin": one["margin"].mean(0).tolist(), "auroc": one["auroc"].tolist()}
                          for by, one in lost.items()},
            "integrated_gradients": [added[label == p].mean(0).tolist() if (label == p).any() else
                                     [math.nan] * added.shape[1] for p in range(len(crops.classes))]}  # fmt: skip


def _shapley(cells):
    logits = channel_importance.subset_logits(
        cells.run.model, cells.run.variables, cells.images, cells.crops.field_id, REPEATS, cells.run.config.seed
    )
    found = channel_importance.channel_shapley(logits, cells.crops.label, cells.groups, **cells.resampling)
    none, whole = found["auroc"]["none"], found["auroc"]["all"]
    if none - CHANCE > LEFT * (whole - CHANCE) > 0:
        raise InputRefused("channels of other cells of a field tell the class too, as where fields hold one class: "
                           f"area under the ROC curve {none:.2f} without any channel of the cell's own, {whole:.2f} "
                           "with all")
    return {name: {key: np.asarray(value).tolist() for key, value in one.items()} for name, one in found.items()}


def faithful(cells: Explained) -> dict:
    """Curves of deletion and insertion of both methods, on a few cells; see `faithfulness`."""
    few, found = cells.few, {}
    called = few.logits.argmax(1)
    for name in (DEFAULT, COARSE):
        rows, points = faithfulness.faithfulness(few.run.model, few.run.variables, few.images, few.maps(name, called),
                                                 called, few.groups, **few.resampling)
        found[name] = {"rows": rows, "points": points}
    return found


def sane(cells: Explained, others=()) -> dict:
    """Whether maps depend on what was learnt: other weights, labels and seeds, and what needs no network.

    Args:
        cells: explained cells.
        others: runs that differ in this only: trained on permuted labels (`data.labels`), or with another seed.
    """
    few, found = cells.few, {}
    called, shape = few.logits.argmax(1), few.images.shape[1:]
    permuted, seeds = (
        [run for run in others if (run.config.data.labels == "permuted") == p]
        for p in (True, False)
    )
    for name in (DEFAULT, COARSE):
        def maps_of(variables, name=name):
            return few.maps(name, called, variables)

        maps = maps_of(None)
        weights = randomisation.weight_randomisation(
            maps_of, few.run.model, few.run.variables, shape, few.groups, **few.resampling
        )
        trivial = {what: randomisation.similarity(maps, one(few.images), few.groups, **few.resampling)
                   for what, one in randomisation.TRIVIAL.items()}
        labels = [randomisation.label_randomisation(maps, maps_of(run.variables), few.groups, **few.resampling)
                  for run in permuted]
        each = [maps, *(maps_of(run.variables) for run in seeds)]
        found[name] = {"weights": weights, "trivial": trivial, "labels": labels or None,
                       "seeds": randomisation.repeatability(each, few.groups, **few.resampling) if seeds else None}
    return found


def edited(cells: Explained, shares: dict[str, float]) -> dict:
    """How the margin follows edits of single properties, and whether that agrees with `shares` of the channels."""
    few, crops = cells.few, cells.few.crops
    names = [name for name, edit in edits.EDITS.items() if _can_show(cells, edit, name)]
    rows = dose_response.dose_response(
        few.run.model, few.run.variables, few.images, crops.compartments, crops.compartments_present, few.groups,
        len(crops.classes) - 1, names, few.run.channels, crops.nucleus, crops.stains[0] if crops.stains else "",
        **few.resampling)  # fmt: skip
    return {"class": crops.classes[-1], "rows": rows, "agreement": dose_response.agreement(rows, shares)}


def _can_show(cells, edit, name) -> bool:
    """Whether the network can see what an edit changes: relative to its own brightest pixel no cell is brighter."""
    crops, seen = cells.crops, cells.run.channels
    if edit.channel != "nucleus":
        return bool(crops.stains) and crops.stains[0] in seen
    return name == "nuclear_area" or (crops.nucleus in seen and cells.run.config.data.scale != "own_max")


def pick(label: np.ndarray, classes: int, most: int, rng) -> np.ndarray:
    """Rows of up to `most` labelled cells of each class, drawn with a NumPy generator, increasing: i64 [M]."""
    drawn = [rng.permutation(np.flatnonzero(label == p))[:most] for p in range(classes)]
    return np.sort(np.concatenate(drawn))


def in_words(network: trained_run.Run) -> tuple[dict, pd.DataFrame]:
    """How much of the network's answer named measurements explain, on validation cells; see `surrogate.explained`.

    Raises:
        InputRefused: there are too few groups or measurements.
    """
    cells, of, _ = _measured(network)
    rows = cells[cells[schema.SPLIT] == "validation"]
    rows = rows.sample(min(len(rows), MOST_NAMED), random_state=network.config.seed)
    rows, margin = _with_margin(network, rows, "validation")
    return surrogate.explained(cells[cells[schema.SPLIT] == "train"], rows, margin, of, resampling_of(network))


def shortlisted(cells: Explained) -> tuple:
    """The measurements that the map points at, best first, and the cells on which they are compared with others.

    A place weighs as much as its share of what sets the explained cells of the higher margin apart from those of the
    lower, so the weights hold no label.

    Returns:
        listed: as `shortlist.shortlist`; of: measurement -> its family, of all that may enter; train, validation:
        labelled `feature_axes.Cells`; others: those of cell lines that training did not hold, None without a class;
        margin: f64 [N] of the network for the N cells of `train`.

    Raises:
        InputRefused: a class has no labelled cell.
        StoredStateRefused: the table of cells is missing or damaged.
    """
    network = cells.run
    rows, of, away = _measured(network)
    classes, split = list(network.classes), rows[schema.SPLIT]
    learnt, margin = _with_margin(network, rows[(split == "train") & rows[schema.LABEL].isin(classes)], "train")
    axes = feature_axes.learn_axes(learnt, list(of), {})
    train = feature_axes.place(learnt, axes, classes, "train")
    validation = feature_axes.place(rows[split == "validation"], axes, classes, "validation")
    others, _ = or_why(feature_axes.place, away, axes, classes, "validation")
    return shortlist.shortlist(_weights(cells), of, train.linear, margin), of, train, validation, others, margin


def _weights(cells) -> dict:
    """(channel, place) -> share, 0 or more, of what sets cells of the higher margin apart from those of the lower."""
    sums, areas, _ = cells.sums[len(cells.crops.classes) - 1]
    margin = methods.margins(cells.logits)[:, -1]
    told = class_difference.difference(
        sums, areas, margin > np.median(margin), cells.groups, cells.resampling | {"bootstraps": 0}
    )
    return {(cells.run.channels[row["channel"]], row["compartment"]): max(row["share"], 0.0)
            for row in told.to_dict("records")}  # fmt: skip


def hinted(cells: Explained) -> dict:
    """Whether the measurements that the map points at are worth more than others; see `shortlist.compare`.

    Intensities of which the labels were made (`circular`, their channel) are no part of that comparison.

    Raises:
        InputRefused, StoredStateRefused: as of `shortlisted`.
    """
    listed, of, train, validation, others, margin = shortlisted(cells)
    circular = cell_table.label_intensity(cells.run.data_dir)
    fair = {c: one for c, one in of.items() if not cell_table.is_intensity_of(c, circular)}
    weights = _weights(cells)
    alike = dict.fromkeys(weights, 1.0)  # the control: the same choice, with nothing of the map in it
    compared = shortlist.shortlist(weights, fair, train.linear, margin) if circular else listed
    without_map = shortlist.shortlist(alike, fair, train.linear, margin)
    found = shortlist.compare(compared, without_map, fair, train, validation, cells.resampling, others)
    return {"shortlist": [{"measurement": c, "family": of[c].name} for c in listed], "circular": circular, **found}


def or_why(function, *arguments):
    """What a check says, and ''; where it cannot be made None, and the reason, so that the other checks go on."""
    try:
        return function(*arguments), ""
    except (InputRefused, StoredStateRefused, UsageError) as reason:
        return None, str(reason)


def _measured(network):
    """Accepted cells of the lines, the family of each measurement that could be seen, validation cells of others."""
    cells = cell_table.unlocked(cell_table.load_cells(network.data_dir))
    lines, stains = (
        network.config.data.cell_lines,
        crop_arrays.load_crops(network.data_dir, "validation", pixels=False).stains,
    )
    names = cell_table.measurements(cells, network.channels, network.markers)
    of = families.families(names, cell_table.measured_channels(cells.columns), stains)
    if not lines:
        return cells, of, cells.iloc[:0]
    own = cells[schema.CELL_LINE].isin(list(lines))
    return cells[own], of, cells[~own & (cells[schema.SPLIT] == "validation")]


def _with_margin(network, rows, split):
    """Rows of the table that have a crop, and the margin of the last class of each, f64 [N]."""
    crops = crop_arrays.load_crops(network.data_dir, split, pixels=False)
    rows = rows[rows[schema.CELL_ID].isin(crops.cell_id)].reset_index(drop=True)
    logits = network.predict_logits(crop_arrays.take(crops, crop_arrays.rows_of_cells(crops, rows[schema.CELL_ID])))
    return rows, methods.margins(logits)[:, -1]


def resampling_of(network: trained_run.Run) -> dict:
    """How a run's config has intervals made: bootstraps, confidence and seed."""
    chosen = network.config.evaluate
    return {"bootstraps": chosen.bootstraps, "confidence": chosen.confidence, "seed": network.config.seed}
