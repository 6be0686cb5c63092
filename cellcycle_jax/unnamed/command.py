"""`launch.py unnamed`: what a network reproducibly uses that no measurement of the table holds."""

import dataclasses
import pathlib

import numpy as np
import pandas as pd
from tqdm import tqdm

from cellcycle_jax import files, schema
from cellcycle_jax.bank.cells import cells_of
from cellcycle_jax.dataset import crop_arrays
from cellcycle_jax.explain.galleries import slug
from cellcycle_jax.explain.regions.explained_cells import explained_classes, resampling_of
from cellcycle_jax.figures import style, unnamed_figures
from cellcycle_jax.runs import trained_run
from cellcycle_jax.runs.config_checks import check_config
from cellcycle_jax.runs.open_data import OpenData
from cellcycle_jax.runs.trained_run import load_run
from cellcycle_jax.training import loop
from cellcycle_jax.unnamed import aligned, concepts, halves, hint, pairs, studied_cells, where
from cellcycle_jax.unnamed.verdict import Verdict, judge, said_of_other, sentence

NETWORKS = "networks"  # folder in RUN/unnamed of the networks trained on halves
LONG_AXIS = "long axis"
ALIGNED = 600  # most cells of the mean difference
STEPS_OF_CLASS = ("how much", "where", "measurements", "concepts", "pictures")


def run_unnamed(workdir, changes=None, data: OpenData | None = None, make_bar=loop.terminal_bar) -> list[str]:
    """Ask what two networks, each trained on half of a run's groups, use alike that no measurement holds.

    A third network, of another architecture, says whether it repeats that.

    Writes RUN/unnamed/unnamed.json, cells.csv and places.csv, the networks below RUN/unnamed/networks, and figures
    RUN/figures/unnamed_*.png.

    Args:
        workdir: the run folder.
        changes: {field: value} of the section `explain` of the run's config, for this call.
        data: as of `trained_run.load_run`.
        make_bar: as of `loop.train`.

    Returns:
        A sentence for each explained class.

    Raises:
        StoredStateRefused: the run or its data set is missing or damaged.
        InputRefused: the groups of training cannot be halved, or no measurement varies.
        UsageError: a change is not allowed.
    """
    run = load_run(workdir, data=data)
    config = run.config.copy_and_resolve_references()
    config.update_from_flattened_dict(changes or {})
    check_config(config)
    run = dataclasses.replace(run, config=config)
    folder = pathlib.Path(workdir) / "unnamed"
    networks = halves.train_halves(run, folder / NETWORKS, make_bar)
    other = halves.train_other(run, folder / NETWORKS, make_bar)
    tables = studied_cells.tables_of(run)
    results = []
    cells = []
    places = []
    classes = explained_classes(run.classes)
    names = files.distinct([slug(run.classes[class_index]) for class_index in classes])
    with tqdm(total=len(classes) * len(STEPS_OF_CLASS), desc="unnamed", unit="part") as bar:
        for class_index, name in zip(classes, names, strict=True):
            figures = Figures(pathlib.Path(workdir) / "figures", name)
            result, of_cells, of_places = _of_class(run, networks, other, tables, class_index, figures, bar)
            results.append(result)
            cells.append(of_cells)
            places.append(of_places)
    files.write_csv(pd.concat(cells, ignore_index=True), folder / "cells.csv")
    files.write_csv(pd.concat(places, ignore_index=True), folder / "places.csv")
    about = {
        "run_id": run.run_id,
        "step": run.step,
        "classes": list(run.classes),
        "channels": list(run.channels),
        "interval_level": resampling_of(run).level,
        "limit": config.explain.limits.unnamed_share,
        "results": results,
    }
    files.write_sealed_json(folder / "unnamed.json", files.to_json(about))
    return [result["sentence"] for result in results]


def _of_class(run, networks, other, tables, class_index: int, figures, bar):
    """What is said of a class, its cells and its places, and its figures drawn."""
    resampling = resampling_of(run)
    class_name = run.classes[class_index]
    bar.set_postfix_str(f"{class_name}: how much")
    cells = hint.validation_cells(networks, tables, class_index)
    shares = hint.how_much(cells, resampling)
    by_other = hint.repeated_by_other(other, cells, tables, class_index, resampling)
    verdict = judge(shares, run.config.explain.limits.unnamed_share)
    bar.update()
    bar.set_postfix_str(f"{class_name}: where")
    places = hint.where_it_lies(networks, cells, class_index, resampling)
    bar.update()
    result = {
        "class": class_name,
        "verdict": str(verdict),
        "sentence": f"{sentence(verdict, shares, class_name)}{said_of_other(verdict, by_other, _name(other))}",
        "repeated_by_other": {"architecture": _name(other), "covariance": by_other},
        "shares": shares,
        "cell_lines": hint.by_line(cells, resampling),
        "n_cells": len(cells.crops),
        "n_groups": len(np.unique(cells.crops.group_id)),
        "figures": figures.name,
        "proposals": [],
        "concepts": [],
    }
    bar.set_postfix_str(f"{class_name}: measurements")
    figures.clear()
    figures.save(unnamed_figures.parts(shares, result["sentence"]), "parts")
    drawing = Drawing(run, cells, class_name)
    if verdict is Verdict.UNNAMED:
        searched = hint.measured_by_bank(networks, cells, tables)
        proposals = hint.propose(searched, cells, places, resampling)
        certain = [one for one in proposals if one.follows.certain_sign(resampling.level)]
        for number, proposal in enumerate(certain):
            values = searched.values[proposal.measurement.name]
            if number == 0:
                gain = hint.gain(networks, cells, tables, values, class_index, resampling)
                proposal = dataclasses.replace(proposal, gain=gain)
                figures.save(drawing.proposal(proposal, values), "proposal")
            result["proposals"].append(_said(proposal))
        bar.update()
        bar.set_postfix_str(f"{class_name}: concepts")
        for number, concept in enumerate(hint.concepts_of(networks, cells, tables, searched, resampling), start=1):
            result["concepts"].append(_of_concept(concept))
            figures.save(drawing.concept(tables, concept, number), f"concept_{number}")
        bar.update()
        bar.set_postfix_str(f"{class_name}: pictures")
        figures.save(drawing.places(places), "places")
        figures.save(drawing.pairs(tables), "pairs")
        figures.save(drawing.aligned(_frames(places, cells.crops.stains)), "aligned")
    bar.update(0 if verdict is Verdict.UNNAMED else 2)
    bar.update()
    places.insert(0, "class", class_name)
    return result, _rows(cells, class_name), places


def _name(network: halves.HalfNetwork) -> str:
    return network.run.config.model.name


def _said(proposal) -> dict:
    measurement = proposal.measurement
    return {
        "name": measurement.name,
        "words": measurement.words,
        "family": measurement.family,
        "channels": list(measurement.channels),
        "region": measurement.region,
        "unit": measurement.unit,
        "formula": measurement.formula,
        "follows": proposal.follows,
        "gain": proposal.gain,
        "config": f'c.measurements = ("cellcycle_jax.bank.columns:{measurement.name}",)',
    }


def _of_concept(concept) -> dict:
    place = concept.places.iloc[0]
    return {
        "network": concept.network + 1,
        "share": concept.said.share,
        "removal": concept.said.removal,
        "stability": concept.said.stability,
        "channel": place["channel"],
        "region": place["region"],
        "place_share": where.interval(place),
        "nearest": concept.nearest.words,
        "nearest_name": concept.nearest.name,
        "follows": concept.follows,
    }


def _rows(cells, class_name: str) -> pd.DataFrame:
    crops = cells.crops
    return pd.DataFrame({
        schema.CELL_ID: crops.cell_id,
        "class": class_name,
        "label": np.array(crops.classes)[crops.label],
        "output": cells.outputs.output.mean(0),
        "explained": cells.outputs.explained.mean(0),
        "unnamed": cells.left,
    })


def _frames(places: pd.DataFrame, stains) -> list[str]:
    """The directions into which cells are turned: to the stain in which most of it lies, and the long axis."""
    of_stains = [channel for channel in where.top(places, "channel") if channel in stains]
    return [*of_stains[:1], LONG_AXIS]


class Figures:
    """Files RUN/figures/unnamed_NAME_WHAT.png of a class."""

    WHAT = ("parts", "places", "pairs", "aligned", "proposal", *(f"concept_{k + 1}" for k in range(2 * concepts.SHOWN)))

    def __init__(self, folder: pathlib.Path, name: str):
        """Nothing is written yet; `name` is that of the class in file names."""
        self._folder = folder
        self.name = name

    def _path(self, what: str) -> pathlib.Path:
        return self._folder / f"unnamed_{self.name}_{what}.png"

    def clear(self) -> None:
        """Remove what an earlier call drew."""
        for what in self.WHAT:
            self._path(what).unlink(missing_ok=True)

    def save(self, figure, what: str) -> None:
        """Write a figure; `what` is one of WHAT."""
        style.save(figure, self._path(what))


@dataclasses.dataclass(frozen=True)
class Drawing:
    """Figures of what has no name in a class.

    Attributes:
        run: the run.
        cells: labelled validation cells.
        class_name: the class.
    """

    run: trained_run.Run
    cells: hint.ValidationCells
    class_name: str

    def places(self, places: pd.DataFrame):
        """Where what has no name lies."""
        title = f"Where what has no name lies ({self.class_name} from the rest)"
        return unnamed_figures.places(places.to_dict("records"), self.run.channels, title)

    def proposal(self, proposal: hint.Proposal, values: pd.Series):
        """What has no name against a measurement, values f64 by the name of the cell."""
        cells = self.cells
        measurement = proposal.measurement
        label = f"{measurement.words} ({measurement.unit})" if measurement.unit else measurement.words
        names = ("the rest", self.class_name)
        if len(self.run.classes) == 2:
            names = self.run.classes
        title = f"{measurement.words}, as a column of the table, explains {proposal.gain.percent()} more"
        return unnamed_figures.proposal(
            values.loc[cells.crops.cell_id].to_numpy(float),
            cells.left,
            cells.of_class,
            names,
            label,
            proposal.follows,
            title,
        )

    def pairs(self, tables):
        """Pairs of cells that agree in the measurements and differ in what has no name."""
        return self._pairs(tables, self.cells.left, "one with more and one with less of what has no name")

    def concept(self, tables, concept: hint.Concept, number: int):
        """Pairs of cells that agree in the measurements and differ in a concept."""
        place = concept.places.iloc[0]
        name = f"concept {number} ({place['channel']}, {place['region']})"
        return self._pairs(tables, concept.amounts, f"one with more and one with less of {name}")

    def _pairs(self, tables, amount, differ: str):
        cells = self.cells
        crops = cells.crops
        named = tables.named.loc[crops.cell_id].to_numpy(float)
        more, less, apart = pairs.matched(named, cells.outputs.explained.mean(0), amount, crops.cell_line)
        both = crop_arrays.in_memory(crop_arrays.take(crops, np.append(more, less)))
        images = cells_of(both, self.run.channels).images
        captions = [f"{amount[a]:+.1f} and {amount[b]:+.1f}" for a, b in zip(more, less, strict=True)]
        title = (
            f"Pairs of cells that are alike in the measurements (as far apart as {100 * apart:.0f} % of the usual "
            f"distance),\n{differ}"
        )
        n = len(more)
        return unnamed_figures.pairs(
            images[:n], images[n:], self.run.channels, captions, crops.known_um_per_px, title
        )

    def aligned(self, directions):
        """Mean difference of cells with most and least of it, in frames turned into directions."""
        cells = self.cells
        rows = np.random.default_rng(0).permutation(len(cells.crops))[:ALIGNED]
        crops = crop_arrays.in_memory(crop_arrays.take(cells.crops, rows))
        measured = cells_of(crops, self.run.channels)
        differences = {}
        for name in directions:
            vector = measured.axis if name == LONG_AXIS else measured.directions[name]
            images = aligned.frames(measured, vector)
            differences[f"{name} →"] = aligned.mean_difference(images, cells.left[rows], crops.group_id)
        title = "Mean difference of cells with more and with less of it, each cell turned and scaled to its nucleus"
        return unnamed_figures.aligned(differences, self.run.channels, aligned.REACH, title)
