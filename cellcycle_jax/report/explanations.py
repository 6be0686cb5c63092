"""What the page shows of what explains a network: maps, passport, rule, what has no name, counterfactuals."""

import pathlib

from cellcycle_jax import old_names, schema
from cellcycle_jax.figures import style
from cellcycle_jax.report import pictures, sentences
from cellcycle_jax.runs.passport_file import PICTURES
from cellcycle_jax.scoring.intervals import Interval

UNNAMED_PARTS = ("named", "nuisance", "unnamed")
COUNTERFACTUAL_PICTURES = ("changes", "cells")
UNNAMED_PICTURES = ("parts", "pairs", "places", "aligned", "proposal")


def explain(run: pathlib.Path, found: dict | None) -> dict | None:
    """Sentences of the maps, and where they lie."""
    if not found:
        return None
    localisation = None
    if found.get("rows"):
        head = f"Validation split: {found['n_cells']:,} cells, {found['n_groups']} groups ({found['group_by']})"
        rows = [_row_of_today(row) for row in found["rows"]]
        level = found["interval_level"]
        figure = style.localisation(rows, found["classes"], level, found["stain"], head)
        localisation = pictures.draw(run, "localisation", figure)
    return {
        "sentences": list(found["sentences"].values()),
        "notes": found.get("notes", []),
        "localisation": localisation,
    }


def _row_of_today(row: dict) -> dict:
    """A row of explain/summary.json with the name that its compartment has today."""
    compartment = row["compartment"]
    return row | {"compartment": old_names.COMPARTMENTS.get(compartment, compartment)}


def passport(run: pathlib.Path, found: dict | None) -> dict | None:
    """Verdict, checks and pictures of the saliency passport."""
    if found is None:
        return None
    rows = []
    for check in found["checks"]:
        sentence = " ".join(filter(None, [check["sentence"], check["remedy"]]))
        rows.append((check["name"], sentences.ANSWERS[check["answer"]], sentence))
    section = {"verdict": found["verdict"], "rows": rows}
    for name in PICTURES:
        old_name = old_names.EXPLAIN_FIGURES.get(name, name)
        section[name] = _figure(run, name) or _figure(run, old_name)
    return section


def rule(found: dict | None) -> dict | None:
    """The rule to take away, and how the shorter and longer ones compare."""
    if not found:
        return None
    rows = []
    for one in found["lengths"]:
        measurements = ", ".join(schema.readable(name) for name in one["measurements"])
        shares = [Interval.of(one[name]).percent() for name in ("accuracy", "of_network", "kept")]
        rows.append((one["cuts"], measurements, *shares))
    on_test = None
    if found["test"]:
        kept = Interval.of(found["test"]["kept"]).percent()
        on_test = f"On {found['test']['n_cells']:,} cells of the opened test split it keeps {kept}."
    return {"sentence": found["sentence"], "ways": found["sentences"], "rows": rows, "test": on_test}


def unnamed(run: pathlib.Path, found: dict | None) -> list[dict]:
    """For each class what of it has no name: a sentence, pictures, and measurements that follow it."""
    sections = []
    for result in (found or {}).get("results", []):
        section = {"sentence": result["sentence"], "rows": [], "lines": [], "concepts": []}
        for number, concept in enumerate(result.get("concepts", []), start=1):
            section["concepts"].append(_concept(concept, _figure(run, f"unnamed_{result['figures']}_concept_{number}")))
        for line, shares in result["cell_lines"].items():
            section["lines"].append((line, *[Interval.of(shares[part]).percent() for part in UNNAMED_PARTS]))
        for proposal in result["proposals"]:
            gain = Interval.of(proposal["gain"])
            section["rows"].append({
                "words": proposal["words"],
                "formula": proposal["formula"],
                "follows": Interval.of(proposal["follows"]).text(),
                "gain": gain.percent() if proposal["gain"] else "",
                "config": proposal["config"],
            })
        for name in UNNAMED_PICTURES:
            section[name] = _figure(run, f"unnamed_{result['figures']}_{name}")
        sections.append(section)
    return sections


def _concept(found: dict, picture: str | None) -> dict:
    """A row about a concept, and its picture."""
    return {
        "network": found["network"],
        "place": f"{found['channel']}, {found['region']}",
        "share": Interval.of(found["share"]).percent(),
        "stability": Interval.of(found["stability"]).text(),
        "removal": Interval.of(found["removal"]).text(sign="+"),
        "nearest": found["nearest"],
        "follows": Interval.of(found["follows"]).text(),
        "picture": picture,
    }


def counterfactual(run: pathlib.Path, found: dict | None) -> list[dict]:
    """For each class what would have to change: a sentence and pictures."""
    sections = []
    for result in (found or {}).get("results", []):
        section = {"sentence": result["sentence"], "others": []}
        for share in result["crossing_of_others"]:
            section["others"].append(Interval.of(share).percent())
        for name in COUNTERFACTUAL_PICTURES:
            section[name] = _figure(run, f"counterfactual_{result['figures']}_{name}")
        sections.append(section)
    return sections


def galleries(run: pathlib.Path) -> list[str]:
    """The galleries of explained cells, as data addresses."""
    paths = sorted((run / "figures").glob("gradcam_*.png"))
    return [pictures.embed(path) for path in paths if path.stem != "gradcam_mean"]


def _figure(run: pathlib.Path, name: str) -> str | None:
    """RUN/figures/NAME.png as a data address, None where there is none."""
    return pictures.embed(run / "figures" / f"{name}.png")
