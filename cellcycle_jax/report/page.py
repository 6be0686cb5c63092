"""One self-contained HTML page of everything that a run folder and its data set hold.

What is not there yet is named with the command that makes it. Figures of the test split are made from
evaluation_test.json alone, which exists only after `evaluate --final`. Fixed words stand in template.html.
"""

import base64
import json
import pathlib
import shlex
import sys

import jinja2
import pandas as pd

from cellcycle_jax import files, schema
from cellcycle_jax.dataset import cell_table
from cellcycle_jax.errors import StoredStateRefused
from cellcycle_jax.figures import style
from cellcycle_jax.report import sentences
from cellcycle_jax.runs import metric_log, run_record
from cellcycle_jax.runs.passport_file import read_passport

# What DATA/qc/*.png start with, in the order shown.
QUALITY = ("outlines", "contact", "marker", "label", "illumination")
MOST_PICTURES = 6  # of one kind of quality control; a data set can have hundreds
MOST_FEATURES, MOST_PAIRS = 15, 10
PASSPORT_PICTURES = ("where", "edits", "faithfulness", "residuals")
# What the name of a file begins with -> the command that wrote it.
WRITER = {"evaluation": "evaluate", "summary": "explain", "pair": "discover", "env": "train"}
CALIBRATION = {"before": "model", "after": "model_calibrated"}  # which scores are without, which with the temperature


def write_report(workdir) -> pathlib.Path:
    """Write RUN/report.html, and its figures to RUN/figures/.

    Args:
        workdir: the run folder.

    Returns:
        The path of the page.

    Raises:
        StoredStateRefused: the folder is no run folder, or a file in it is damaged.
    """
    run = pathlib.Path(workdir)
    if not (run / "config.json").is_file():
        raise StoredStateRefused(f"{run}: no config.json there; give the folder that `launch.py train` wrote")
    loader = jinja2.FileSystemLoader(pathlib.Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters["number"] = sentences.number
    page = environment.get_template("template.html").render(gather(run))
    files.write_text(run / "report.html", page)
    return run / "report.html"


def gather(run: pathlib.Path) -> dict:
    """Everything that the template shows; what is absent is None or empty."""
    record, events = run_record.read(run), metric_log.read(run)
    folder = pathlib.Path(record["data_dir"])
    tell_where = f"launch.py report --workdir={shlex.quote(str(run))} --data=DIR"
    if not (folder / "cells.parquet").is_file():
        print(f"warning: {folder}: the data set is not there; if it was moved, say where: `{tell_where}`",
              file=sys.stderr)
    cells, made = _cells(folder), _json(folder / "provenance.json") or {}
    found = [e for e in (_json(run / f"evaluation_{split}.json") for split in ("test", "validation")) if e]
    explain, pair = _json(run / "explain" / "summary.json"), _json(run / "features" / "pair.json")
    hashes = (pair or {}).get("sha256", {})
    ranking, pairs = (_csv(run / "features" / name, hashes.get(name)) for name in ("ranking.csv", "pairs.csv"))
    return {
        "workdir": str(run), "data_folder": str(folder), "tell_where": tell_where,
        "metrics": style.METRICS, "names": style.NAMES,
        "classes": record["classes"], "channels": record["channels"], "run": run.name,
        "warnings": sentences.warnings(made, record),
        "answer": sentences.answer(found[0] if found else None, read_passport(run), pairs),
        "data": cells is not None and sentences.cell_tables(cells, len(made.get("quarantined") or [])),
        "simulated": cells is not None and _simulated(cells),
        "quality": _quality(folder / "qc"), "learning": _learning(run, events, cells),
        "evaluations": [_evaluation(run, e) for e in found],
        "outdated": _outdated({"scores": found, "where": [explain], "features": [pair]}, events, record.get("run_id")),
        "explain": explain and _explain(run, explain), "passport": _passport(run),
        "mean_map": _embed(run / "figures" / "gradcam_mean.png"), "galleries": _galleries(run),
        "ranking": _rows(ranking, sentences.feature_row, MOST_FEATURES),
        "pairs": _rows(pairs, sentences.pair_row, MOST_PAIRS),
        "scatter": _embed(run / "features" / "pair.png"),
        "notes": list(dict.fromkeys(note for e in found for note in e.get("notes", []))),
        **_provenance(run, record, events, made),
    }  # fmt: skip


def _rows(found: pd.DataFrame | None, words_of, most: int) -> list[dict] | None:
    return None if found is None else [words_of(row) for row in found.head(most).to_dict("records")]


def _simulated(cells: pd.DataFrame) -> bool:
    return schema.TRUE_PHASE in cells and bool((cells[schema.TRUE_PHASE].fillna("") != "").any())


def _evaluation(run: pathlib.Path, e: dict) -> dict:
    """What the template shows of one evaluation, with its figures made from it."""
    split, classes = e["split"], e["classes"]
    head = f"{split.capitalize()} split: {sentences.counts(e)}"
    curve = style.reliability(e.get("reliability") or {}, e.get("temperature"), len(classes), head)
    columns = {name: [schema.readable(c) for c in found] for name, found in (e.get("baseline_features") or {}).items()}
    return {
        **_scored(run, e, e, f"scores_{split}", head), "split": split, "head": head, "group_by": e["group_by"],
        "percent": f"{100 * e['confidence']:g} %", "baseline_features": columns,
        "errors": {name: (e.get(part) or {}).get("ece") for name, part in CALIBRATION.items()},
        "confusion": _draw(run, f"confusion_{split}", style.confusion(e["confusion"], classes, head)),
        "reliability": _draw(run, f"reliability_{split}", curve),
        "truth": e.get("truth") and _truth(run, e, e["truth"]),
    }  # fmt: skip


def _truth(run: pathlib.Path, e: dict, truth: dict) -> dict:
    """The same against the true phase of simulated cells."""
    head = f"True phase, {e['split']} split: {truth['n_cells']:,} cells from {truth['n_fields']} fields"
    shown = _scored(run, e, truth, f"scores_{e['split']}_truth", head)
    if truth.get("confusion"):
        figure = style.confusion(truth["confusion"], e["classes"], head)
        shown["confusion"] = _draw(run, f"confusion_{e['split']}_truth", figure)
    labels = {"agreement": truth.get("label_agreement"), "abstained": truth.get("label_abstained")}
    return {"confusion": None, **labels, **shown}


def _scored(run: pathlib.Path, e: dict, part: dict, name: str, head: str) -> dict:
    """Scores of `part` (the evaluation itself, or its truth) for a table, and drawn."""
    oracle = {"oracle": part["oracle"]} if part.get("oracle") else {}
    known = {"model": part["model"], **part.get("baselines", {}), **oracle}
    order = list(style.NAMES)  # the keys of a JSON file are sorted by the alphabet
    entries = dict(sorted(known.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order)))
    figure = style.scores(entries, len(e["classes"]), head, e["confidence"])
    return {"entries": entries, "differences": part.get("differences") or {}, "scores": _draw(run, name, figure)}


def _explain(run: pathlib.Path, explain: dict) -> dict:
    shown = {"sentences": list(explain["sentences"].values()), "notes": explain.get("notes", []), "localisation": None}
    if explain.get("rows"):
        head = f"Validation split: {explain['n_cells']:,} cells, {explain['n_groups']} groups ({explain['group_by']})"
        looks = explain["rows"], explain["classes"], explain["confidence"], explain["stain"]
        shown["localisation"] = _draw(run, "localisation", style.localisation(*looks, head))
    return shown


def _passport(run: pathlib.Path) -> dict | None:
    """Verdict, checks and pictures of the saliency passport."""
    found = read_passport(run)
    if found is None:
        return None
    rows = [(check["name"], sentences.PASSED[check["passed"]], check["sentence"]) for check in found["checks"]]
    pictures = {name: _embed(run / "figures" / f"{name}.png") for name in PASSPORT_PICTURES}
    return {"verdict": found["verdict"], "rows": rows, **pictures}


def _galleries(run: pathlib.Path) -> list[str]:
    paths = sorted((run / "figures").glob("gradcam_*.png"))
    return [_embed(path) for path in paths if path.stem != "gradcam_mean"]


def _quality(folder: pathlib.Path) -> dict:
    """Kind -> {"pictures": [{"src", "caption"}], "more": int}, kinds without a picture left out."""
    found = {kind: sorted(folder.glob(f"{kind}*.png")) for kind in QUALITY}
    pictures = {
        kind: [{"src": _embed(p), "caption": p.stem.removeprefix(kind).strip("_").replace("_", " ")} for p in paths]
        for kind, paths in found.items()
    }
    return {k: {"pictures": v[:MOST_PICTURES], "more": len(v[MOST_PICTURES:])} for k, v in pictures.items() if v}


def curve_rows(events: list[dict]) -> list[dict]:
    """Rows of metrics.jsonl as `style.learning_curves` wants them: one row an event, "train" or "validation".

    Training writes both scores of a step into one row, as train_loss, validation_loss and so on.
    """
    rows = []
    for row in events:
        for event in ("train", "validation"):
            found = {k.removeprefix(f"{event}_"): v for k, v in row.items() if k.startswith(f"{event}_")}
            if found and "step" in row:
                rows.append({"event": event, "step": row["step"], **found})
    return rows


def _outdated(sections: dict, events: list[dict], run_id: str | None) -> dict:
    """Section -> sentences about those of its results that are not of the run's best weights."""
    best = style.best_step([row for row in curve_rows(events) if row["event"] == "validation"])
    return {section: [said for made in results if (said := sentences.outdated(made, best, run_id))]
            for section, results in sections.items()}


def _learning(run: pathlib.Path, events: list[dict], cells: pd.DataFrame | None) -> str | None:
    rows = curve_rows(events)
    if not rows:
        return None
    title = "Training" if cells is None else sentences.training_title(cells)
    return _draw(run, "learning_curves", style.learning_curves(rows, title))


def _provenance(run: pathlib.Path, record: dict, events: list[dict], made: dict) -> dict:
    env = _json(run / "env.json") or {}
    opened = [str(row.get("time", "at an unknown time")) for row in events if row.get("event") == "final_opened"]
    rows = {"Run folder": str(run), "Run id": record.get("run_id"), "Data": record.get("data_dir"),
            "Test split": "opened " + ", ".join(opened) if opened else "never opened",
            "Python": env.get("python"), **(env.get("packages") or {})}  # fmt: skip
    blocks = {"Configuration of the run": record, "Environment": env, "How the data set was made": made}
    text = {name: json.dumps(v, indent=1, sort_keys=True, ensure_ascii=False) for name, v in blocks.items() if v}
    return {"provenance": {name: str(v) for name, v in rows.items() if v}, "blocks": text, "opened": opened}


def _draw(run: pathlib.Path, name: str, figure) -> str:
    """Save a figure to RUN/figures/ and return it as a data address."""
    path = run / "figures" / f"{name}.png"
    style.save(figure, path)
    return _embed(path)


def _embed(path: pathlib.Path) -> str | None:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode() if path.is_file() else None


def _json(path: pathlib.Path) -> dict | None:
    """The object in a JSON file, None where there is no such file."""
    if not path.is_file():
        return None
    try:
        return files.read_json(path)
    except ValueError as error:
        command = next((name for start, name in WRITER.items() if path.name.startswith(start)), "prepare")
        raise StoredStateRefused(f"{path}: damaged ({error}); run `launch.py {command}` again") from error


def _csv(path: pathlib.Path, recorded: str | None) -> pd.DataFrame | None:
    """The table in a CSV file, None where there is none; `recorded` is the hash of what was written, if it is known."""
    if not path.is_file():
        return None
    if recorded and files.sha256(path) != recorded:
        raise StoredStateRefused(f"{path}: not what `launch.py discover` wrote; run it again")
    return pd.read_csv(path)


def _cells(folder: pathlib.Path) -> pd.DataFrame | None:
    """The table of cells, None where there is none."""
    return cell_table.load_cells(folder) if (folder / "cells.parquet").is_file() else None
