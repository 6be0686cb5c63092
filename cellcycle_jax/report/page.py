"""One self-contained HTML page of everything that a run folder and its data set hold.

What is not there yet is named with the command that makes it. Figures of the test split are made from
evaluation_test.json alone, which exists only after `evaluate --final`. Fixed words stand in template.html.
"""

import json
import pathlib
import shlex
import sys

import jinja2
import pandas as pd

from cellcycle_jax import files, old_names, schema
from cellcycle_jax.dataset import cell_table
from cellcycle_jax.errors import StoredStateRefused
from cellcycle_jax.figures import style
from cellcycle_jax.report import explanations, pictures, sentences
from cellcycle_jax.runs import metric_log, run_record
from cellcycle_jax.runs.passport_file import read_passport

# What DATA/qc/*.png start with, in the order shown.
QUALITY = ("outlines", "contact", "marker", "label", "illumination")
MOST_PICTURES = 6  # of one kind of quality control; a data set can have hundreds
MOST_FEATURES = 15
MOST_PAIRS = 10
FEATURE_COLUMNS = ("feature", "feature_x", "feature_y")  # of ranking.csv and pairs.csv: names of measurements
# What the name of a file begins with, up to "_" -> the command that wrote it.
WRITER = {
    "evaluation": "evaluate",
    "summary": "explain",
    "pair": "discover",
    "rule": "discover",
    "unnamed": "unnamed",
    "counterfactual": "counterfactual",
    "env": "train",
}


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
    record = run_record.read(run)
    events = metric_log.read(run)
    data = pathlib.Path(record["data_dir"])
    tell_where = f"launch.py report --workdir={shlex.quote(str(run))} --data=DIR"
    log = pd.DataFrame(events)
    cells = _cells(data, tell_where)
    provenance = _json(data / "provenance.json") or {}
    tables = None
    if cells is not None:
        tables = sentences.cell_tables(cells, len(provenance.get("quarantined", [])))
    evaluations = []
    notes = []
    for split in ("test", "validation"):
        evaluation = _json(run / f"evaluation_{split}.json")
        if evaluation:
            evaluations.append(evaluation)
            notes += evaluation.get("notes", [])
    explain = _json(run / "explain" / "summary.json")
    pair = _json(run / "features" / "pair.json")
    hashes = (pair or {}).get("sha256", {})
    ranking = _csv(run / "features" / "ranking.csv", hashes.get("ranking.csv"))
    pairs = _csv(run / "features" / "pairs.csv", hashes.get("pairs.csv"))
    passport = read_passport(run)
    kept_weights = record["training"]["train"]["kept_weights"]
    unnamed = _json(run / "unnamed" / "unnamed.json")
    counterfactual = _json(run / "counterfactual" / "counterfactual.json")
    results = {
        "scores": evaluations,
        "where": [explain],
        "features": [pair],
        "unnamed": [unnamed],
        "counterfactual": [counterfactual],
    }
    return {
        "workdir": str(run),
        "data_folder": str(data),
        "tell_where": tell_where,
        "metrics": style.METRICS,
        "names": style.NAMES,
        "classes": record["classes"],
        "channels": record["channels"],
        "run": run.name,
        "warnings": sentences.warnings(provenance, record),
        "summary": sentences.summary(evaluations[0] if evaluations else None, passport, pairs),
        "data": tables,
        "simulated": _simulated(cells),
        "quality": _quality(data / "qc"),
        "kept_weights": kept_weights,
        "learning": _learning(run, log, kept_weights, cells),
        "evaluations": [_evaluation(run, evaluation) for evaluation in evaluations],
        "outdated": _outdated(results, style.kept_step(log, kept_weights), record.get("run_id")),
        "explain": explanations.explain(run, explain),
        "passport": explanations.passport(run, passport),
        "unnamed": explanations.unnamed(run, unnamed),
        "counterfactual": explanations.counterfactual(run, counterfactual),
        "mean_map": pictures.embed(run / "figures" / "gradcam_mean.png"),
        "galleries": explanations.galleries(run),
        "ranking": _rows(ranking, sentences.feature_row, MOST_FEATURES),
        "pairs": _rows(pairs, sentences.pair_row, MOST_PAIRS),
        "scatter": pictures.embed(run / "features" / "pair.png"),
        "rule": explanations.rule(_json(run / "features" / "rule.json")),
        "notes": list(dict.fromkeys(notes)),
        **_provenance(run, record, events, provenance),
    }


def _cells(data: pathlib.Path, tell_where: str) -> pd.DataFrame | None:
    """The table of cells, None and a warning where there is none."""
    if (data / "cells.parquet").is_file():
        return cell_table.load_cells(data)
    print(f"warning: {data}: the data set is not there; if it was moved, say where: `{tell_where}`", file=sys.stderr)
    return None


def _rows(table: pd.DataFrame | None, words_of, most: int) -> list[dict] | None:
    """The first rows of a table, each as `words_of` puts it."""
    if table is None:
        return None
    return [words_of(row) for row in table.head(most).to_dict("records")]


def _simulated(cells: pd.DataFrame | None) -> bool:
    """Whether the true phase of some cell is known."""
    if cells is None or schema.TRUE_PHASE not in cells:
        return False
    return bool((cells[schema.TRUE_PHASE].fillna("") != "").any())


def _evaluation(run: pathlib.Path, evaluation: dict) -> dict:
    """What the template shows of one evaluation, with its figures made from it."""
    split = evaluation["split"]
    classes = evaluation["classes"]
    head = f"{split.capitalize()} split: {sentences.counts(evaluation)}"
    reliability = evaluation.get("reliability") or {}
    confusion = style.confusion(evaluation["confusion"], classes, head)
    curve = style.reliability(reliability, evaluation.get("temperature"), len(classes), head)
    error_before = (evaluation.get("model") or {}).get("ece")
    error_after = (evaluation.get("model_calibrated") or {}).get("ece")
    features = {}
    for baseline, columns in (evaluation.get("baseline_features") or {}).items():
        features[baseline] = [schema.readable(old_names.column_of_today(column)) for column in columns]
    return {
        **_scored(run, evaluation, evaluation, f"scores_{split}", head),
        "split": split,
        "head": head,
        "group_by": evaluation["group_by"],
        "percent": f"{100 * evaluation['interval_level']:g} %",
        "baseline_features": features,
        "errors": {
            "before": error_before,
            "after": error_after,
            "by_chance": evaluation.get("calibration_error_by_chance"),
            "by_class": evaluation.get("calibration_by_class") or {},
        },
        "confusion": pictures.draw(run, f"confusion_{split}", confusion),
        "reliability": pictures.draw(run, f"reliability_{split}", curve),
        "truth": _truth(run, evaluation),
    }


def _truth(run: pathlib.Path, evaluation: dict) -> dict | None:
    """The same against the true phase of simulated cells; None where it is not known."""
    truth = evaluation.get("truth")
    if not truth:
        return None
    name = f"{evaluation['split']}_truth"
    head = f"True phase, {evaluation['split']} split: {truth['n_cells']:,} cells from {truth['n_fields']} fields"
    confusion = None
    if truth.get("confusion"):
        figure = style.confusion(truth["confusion"], evaluation["classes"], head)
        confusion = pictures.draw(run, f"confusion_{name}", figure)
    return {
        **_scored(run, evaluation, truth, f"scores_{name}", head),
        "confusion": confusion,
        "agreement": truth.get("label_agreement"),
        "abstained": truth.get("label_abstained"),
    }


def _scored(run: pathlib.Path, evaluation: dict, part: dict, figure_name: str, head: str) -> dict:
    """Scores of `part` (the evaluation itself, or its truth) for a table, and drawn."""
    scores = {"model": part["model"], **part.get("baselines", {})}
    if part.get("oracle"):
        scores["oracle"] = part["oracle"]
    # The keys of a JSON file are sorted by the alphabet.
    entries = {name: scores[name] for name in style.NAMES if name in scores}
    entries |= scores
    figure = style.scores(entries, len(evaluation["classes"]), head, evaluation["interval_level"])
    differences = part.get("differences") or {}
    return {"entries": entries, "differences": differences, "scores": pictures.draw(run, figure_name, figure)}


def _quality(folder: pathlib.Path) -> dict:
    """Kind -> {"pictures": [{"src", "caption"}], "more": int}, kinds without a picture left out."""
    quality = {}
    for kind in QUALITY:
        paths = sorted(folder.glob(f"{kind}*.png"))
        shown = []
        for path in paths[:MOST_PICTURES]:
            caption = path.stem.removeprefix(kind).strip("_").replace("_", " ")
            shown.append({"src": pictures.embed(path), "caption": caption})
        if shown:
            quality[kind] = {"pictures": shown, "more": len(paths) - len(shown)}
    return quality


def _outdated(sections: dict, kept_step: int | None, run_id: str | None) -> dict:
    """Section -> sentences about those of its results that are not of the run's kept weights."""
    outdated = {}
    for section, results in sections.items():
        outdated[section] = []
        for result in results:
            sentence = sentences.outdated(result, kept_step, run_id)
            if sentence:
                outdated[section].append(sentence)
    return outdated


def _learning(run: pathlib.Path, log: pd.DataFrame, kept_weights: str, cells: pd.DataFrame | None) -> str | None:
    if style.kept_step(log, kept_weights) is None:
        return None
    title = "Training" if cells is None else sentences.training_title(cells)
    return pictures.draw(run, "learning_curves", style.learning_curves(log, kept_weights, title))


def _provenance(run: pathlib.Path, record: dict, events: list[dict], provenance: dict) -> dict:
    """What the run was made with: facts as texts, whole records as JSON, and when the test split was opened."""
    env = _json(run / "env.json") or {}
    opened = []
    for row in events:
        if row.get("event") == "final_opened":
            opened.append(str(row.get("time", "at an unknown time")))
    facts = {
        "Run folder": run,
        "Run id": record.get("run_id"),
        "Data": record.get("data_dir"),
        "Test split": f"opened {', '.join(opened)}" if opened else "never opened",
        "Python": env.get("python"),
        **(env.get("packages") or {}),
    }
    blocks = {"Configuration of the run": record, "Environment": env, "How the data set was made": provenance}
    texts = {}
    for name, block in blocks.items():
        if block:
            texts[name] = json.dumps(block, indent=1, sort_keys=True, ensure_ascii=False)
    fact_texts = {name: str(fact) for name, fact in facts.items() if fact}
    return {"provenance": fact_texts, "blocks": texts, "opened": opened}


def _json(path: pathlib.Path) -> dict | None:
    """The object in a JSON file, None where there is no such file."""
    if not path.is_file():
        return None
    try:
        return old_names.keys_of_today(files.read_json(path), old_names.INTERVAL_LEVEL)
    except ValueError as error:
        command = WRITER.get(path.stem.partition("_")[0], "prepare")
        raise StoredStateRefused(f"{path}: damaged ({error}); run `launch.py {command}` again") from error


def _csv(path: pathlib.Path, recorded: str | None) -> pd.DataFrame | None:
    """The table in a CSV file, None where there is none; `recorded` is the hash of what was written, if it is known."""
    if not path.is_file():
        return None
    if recorded and files.sha256(path) != recorded:
        raise StoredStateRefused(f"{path}: not what `launch.py discover` wrote; run it again")
    table = pd.read_csv(path)
    for column in table.columns.intersection(FEATURE_COLUMNS):
        table[column] = table[column].map(old_names.column_of_today)
    return table
