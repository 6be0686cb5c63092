"""`launch.py unnamed`: what a network reproducibly uses that no measurement of the table holds."""

import dataclasses
import pathlib

import numpy as np
import pandas as pd
from tqdm import tqdm

from cellcycle_jax import files, schema
from cellcycle_jax.explain.galleries import slug
from cellcycle_jax.explain.regions.explained_cells import explained_classes, heading, resampling_of
from cellcycle_jax.figures import unnamed_figures
from cellcycle_jax.runs.config_checks import check_config
from cellcycle_jax.runs.open_data import OpenData
from cellcycle_jax.runs.trained_run import load_run
from cellcycle_jax.training import loop
from cellcycle_jax.unnamed import found_concepts, halves, hint, studied_cells, where
from cellcycle_jax.unnamed.drawing import Drawing, Figures, frames
from cellcycle_jax.unnamed.verdict import Verdict, judge, said_of_other, sentence

NETWORKS = "networks"  # folder in RUN/unnamed of the networks trained on halves
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
    about = {**heading(run), "limit": config.explain.limits.unnamed_share, "results": results}
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
        found = found_concepts.concepts_of(networks, cells, tables, searched, resampling)
        for number, concept in enumerate(found, start=1):
            result["concepts"].append(_of_concept(concept))
            figures.save(drawing.concept(tables, concept, number), f"concept_{number}")
        bar.update()
        bar.set_postfix_str(f"{class_name}: pictures")
        figures.save(drawing.places(places), "places")
        figures.save(drawing.pairs(tables), "pairs")
        figures.save(drawing.aligned(frames(places, cells.crops.stains)), "aligned")
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
