"""One self-contained HTML page of everything that a run folder and its data set hold.

What is not there yet is named with the command that makes it. Figures of the test split are made from
evaluation_test.json alone, which exists only after `evaluate --final`. Fixed words stand in template.html.
"""

import base64
import json
import pathlib

import jinja2
import pandas as pd

from cellcycle_jax import files, schema
from cellcycle_jax.errors import StoredStateRefused
from cellcycle_jax.report import figures

QUALITY = ("outlines", "contact", "marker", "illumination")  # what DATA/qc/*.png start with, in the order shown
MOST_PICTURES = 6  # of one kind of quality control; a data set can have hundreds
MOST_FEATURES, MOST_PAIRS = 15, 10
ABSTAINED = "no label (abstained)"
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
    environment.filters["number"] = number
    page = environment.get_template("template.html").render(gather(run))
    files.write_text(run / "report.html", page)
    return run / "report.html"


def gather(run: pathlib.Path) -> dict:
    """Everything that the template shows; what is absent is None or empty."""
    record, log = _json(run / "config.json"), _lines(run / "metrics.jsonl")
    folder = pathlib.Path(record.get("data_dir") or "DATA")
    cells, made = _cells(folder), _json(folder / "provenance.json")
    found = [e for e in (_json(run / f"evaluation_{split}.json") for split in ("test", "validation")) if e]
    explain = _json(run / "explain" / "summary.json")
    ranking, pairs = (_csv(run / "features" / f"{name}.csv") for name in ("ranking", "pairs"))
    return {
        "workdir": str(run), "data_folder": str(folder), "metrics": figures.METRICS, "names": figures.NAMES,
        "classes": record.get("classes") or [], "channels": record.get("channels") or [], "run": run.name,
        "answer": answer(found[0] if found else None, explain, pairs),
        "data": cells is not None and _data(cells, made or {}), "simulated": cells is not None and _simulated(cells),
        "quality": _quality(folder / "qc"), "learning": _learning(run, log, cells),
        "evaluations": [_evaluation(run, e) for e in found], "explain": explain and _explain(run, explain),
        "mean_map": _embed(run / "figures" / "gradcam_mean.png"), "galleries": _galleries(run),
        "ranking": ranking is not None and [_feature(row) for row in ranking.head(MOST_FEATURES).to_dict("records")],
        "pairs": pairs is not None and [_pair(row) for row in pairs.head(MOST_PAIRS).to_dict("records")],
        "scatter": _embed(run / "features" / "pair.png"),
        "notes": list(dict.fromkeys(note for e in found for note in e.get("notes", []))),
        **_provenance(run, record, log, made),
    }  # fmt: skip


def number(value) -> str:
    """A score with three decimals; a dash where it is not known."""
    return "–" if value is None or pd.isna(value) else f"{value:.3f}".replace("-", "\N{MINUS SIGN}")


def interval_words(score: dict, confidence: float | None = None) -> str:
    """A score with its interval in brackets; `confidence` is named where it is given."""
    if score.get("low") is None or pd.isna(score["low"]):
        return f"{number(score['value'])} (one group, so no interval)"
    what = f"{100 * confidence:g} % interval " if confidence else ""
    return f"{number(score['value'])} ({what}{number(score['low'])} to {number(score['high'])})"


def answer(evaluation: dict | None, explain: dict | None, pairs: pd.DataFrame | None) -> list[str]:
    """Three sentences: how good beside the best baseline, where the network looks, which two features."""
    two = "Which two features separate the classes is not known yet."
    if pairs is not None and len(pairs):
        best = _pair(pairs.iloc[0].to_dict())
        two = (f"The two measurements that separate the classes best are {best['x']} and {best['y']}: "
               f"a line between them reaches a balanced accuracy of {interval_words(best['accuracy'])}.")  # fmt: skip
    return [
        _answer_score(evaluation) if evaluation else "How good the network is has not been measured yet.",
        " ".join(explain["sentences"].values()) if explain else "Where the network looks has not been mapped yet.",
        two,
    ]


def _answer_score(e: dict) -> str:
    key = "balanced_accuracy"
    own = interval_words(e["model"][key], e["confidence"])
    words = f"On {_counts(e)} of the {e['split']} split, the network's balanced accuracy is {own}"
    scored = {name: b[key] for name, b in e.get("baselines", {}).items() if (b.get(key) or {}).get("value") is not None}
    if not scored:
        return f"{words}."
    best = max(scored, key=lambda name: scored[name]["value"])
    words += f"; the best baseline ({figures.NAMES.get(best, best)}) reaches {interval_words(scored[best])}"
    gap = (e.get("differences") or {}).get(best, {}).get(key) or {}
    if gap.get("low") is None:
        return f"{words}."
    verdict = "the network is better" if gap["low"] > 0 else "the network is worse" if gap["high"] < 0 else ""
    return (
        f"{words}, and the difference of {interval_words(gap)} says that {verdict or 'the two cannot be told apart'}."
    )


def _counts(e: dict) -> str:
    words = f"{e['n_cells']:,} cells from {e['n_fields']} fields"
    return words if e["group_by"] == "field" else f"{words} ({e['n_groups']} groups: {e['group_by']})"


def _data(cells: pd.DataFrame, made: dict) -> dict:
    rejected = cells[schema.REJECT].fillna("")
    used = cells[rejected == ""]
    label = used[schema.LABEL].fillna("").replace("", ABSTAINED)
    lines = used[schema.CELL_LINE].fillna("").replace("", "not named")
    reasons = rejected[rejected != ""].value_counts()
    return {
        "objects": len(cells), "fields": cells[schema.FIELD].nunique(), "used": len(used),
        "labelled": int((label != ABSTAINED).sum()), "aside": len(made.get("quarantined") or []),
        "classes": _cross(label, used[schema.SPLIT], "Class"), "lines": _cross(lines, used[schema.SPLIT], "Cell line"),
        "rejected": [(name.replace("_", " "), n, f"{100 * n / len(cells):.1f} %") for name, n in reasons.items()],
    }  # fmt: skip


def _cross(rows: pd.Series, splits: pd.Series, head: str) -> dict:
    """Counts of `rows` by split as {"columns": [text], "rows": [(text, int, ...)]}."""
    counts = pd.crosstab(rows, splits)
    counts = counts[[s for s in schema.SPLITS if s in counts]]
    counts["all"] = counts.sum(axis=1)
    return {"columns": [head, *counts.columns], "rows": list(counts.itertuples(name=None))}


def _simulated(cells: pd.DataFrame) -> bool:
    return schema.TRUE_PHASE in cells and bool((cells[schema.TRUE_PHASE].fillna("") != "").any())


def _evaluation(run: pathlib.Path, e: dict) -> dict:
    """What the template shows of one evaluation, with its figures made from it."""
    split, classes = e["split"], e["classes"]
    head = f"{split.capitalize()} split: {_counts(e)}"
    curve = figures.reliability(e.get("reliability") or {}, e.get("temperature"), len(classes), head)
    columns = {name: [schema.readable(c) for c in found] for name, found in (e.get("baseline_features") or {}).items()}
    return {
        **_scored(run, e, e, f"scores_{split}", head), "split": split, "head": head, "group_by": e["group_by"],
        "percent": f"{100 * e['confidence']:g} %", "baseline_features": columns,
        "errors": {name: (e.get(part) or {}).get("ece") for name, part in CALIBRATION.items()},
        "confusion": _draw(run, f"confusion_{split}", figures.confusion(e["confusion"], classes, head)),
        "reliability": _draw(run, f"reliability_{split}", curve),
        "truth": e.get("truth") and _truth(run, e, e["truth"]),
    }  # fmt: skip


def _truth(run: pathlib.Path, e: dict, truth: dict) -> dict:
    """The same against the true phase of simulated cells."""
    head = f"True phase, {e['split']} split: {truth['n_cells']:,} cells from {truth['n_fields']} fields"
    shown = _scored(run, e, truth, f"scores_{e['split']}_truth", head)
    if truth.get("confusion"):
        figure = figures.confusion(truth["confusion"], e["classes"], head)
        shown["confusion"] = _draw(run, f"confusion_{e['split']}_truth", figure)
    labels = {"agreement": truth.get("label_agreement"), "abstained": truth.get("label_abstained")}
    return {"confusion": None, **labels, **shown}


def _scored(run: pathlib.Path, e: dict, part: dict, name: str, head: str) -> dict:
    """Scores of `part` (the evaluation itself, or its truth) for a table, and drawn."""
    oracle = {"oracle": part["oracle"]} if part.get("oracle") else {}
    known = {"model": part["model"], **part.get("baselines", {}), **oracle}
    order = list(figures.NAMES)  # the keys of a JSON file are sorted by the alphabet
    entries = dict(sorted(known.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order)))
    figure = figures.scores(entries, len(e["classes"]), head, e["confidence"])
    return {"entries": entries, "differences": part.get("differences") or {}, "scores": _draw(run, name, figure)}


def _explain(run: pathlib.Path, explain: dict) -> dict:
    shown = {"sentences": list(explain["sentences"].values()), "notes": explain.get("notes", []), "localisation": None}
    if explain.get("rows"):
        head = f"Validation split: {explain['n_cells']:,} cells, {explain['n_groups']} groups ({explain['group_by']})"
        looks = explain["rows"], explain["classes"], explain["confidence"], explain["stain"]
        shown["localisation"] = _draw(run, "localisation", figures.localisation(*looks, head))
    return shown


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


def curve_rows(log: list[dict]) -> list[dict]:
    """Rows of metrics.jsonl as `figures.learning_curves` wants them: one row an event, "train" or "validation".

    Training writes both scores of a step into one row, as train_loss, validation_loss and so on.
    """
    rows = [row for row in log if row.get("event") in ("train", "validation")]
    for row in log:
        for event in ("train", "validation"):
            found = {k.removeprefix(f"{event}_"): v for k, v in row.items() if k.startswith(f"{event}_")}
            if found and "step" in row:
                rows.append({"event": event, "step": row["step"], **found})
    return rows


def _learning(run: pathlib.Path, log: list[dict], cells: pd.DataFrame | None) -> str | None:
    rows = curve_rows(log)
    if not rows:
        return None
    title = "Training"
    if cells is not None:
        used = cells[(cells[schema.REJECT].fillna("") == "") & (cells[schema.LABEL].fillna("") != "")]
        sizes = used.groupby(schema.SPLIT)[schema.GROUP].agg(["size", "nunique"])
        parts = [f"{s}: {sizes.loc[s, 'size']:,} labelled cells in {sizes.loc[s, 'nunique']} groups"
                 for s in ("train", "validation") if s in sizes.index]  # fmt: skip
        title = "; ".join(parts).capitalize()
    return _draw(run, "learning_curves", figures.learning_curves(rows, title))


def _feature(row: dict) -> dict:
    """One row of ranking.csv for the table."""
    auroc, accuracy = (_score(row, m, p) for m, p in (("auroc", ""), ("balanced_accuracy", "balanced_accuracy_")))
    unit = row.get("unit") if isinstance(row.get("unit"), str) else ""
    unit = unit.replace("um", "µm").replace("^2", "²")
    cut = f"{row['cut']:.4g} {unit}".strip() if pd.notna(row.get("cut")) else "–"
    return {"name": schema.readable(row["feature"]), "auroc": auroc, "accuracy": accuracy, "cut": cut,
            "higher_in": row.get("higher_in", "–"), "n": row.get("n_validation", "–")}  # fmt: skip


def _pair(row: dict) -> dict:
    """One row of pairs.csv for the table."""
    return {"x": schema.readable(row["feature_x"]), "y": schema.readable(row["feature_y"]),
            "auroc": _score(row, "auroc", "auroc_"), "n": row.get("n_validation", "–"),
            "accuracy": _score(row, "balanced_accuracy", "balanced_accuracy_"),
            "spearman": row.get("abs_spearman")}  # fmt: skip


def _score(row: dict, metric: str, prefix: str) -> dict:
    bounds = {bound: row.get(f"{prefix}{bound}") for bound in ("low", "high")}
    return {"value": row.get(f"validation_{metric}"), **{k: v if pd.notna(v) else None for k, v in bounds.items()}}


def _provenance(run: pathlib.Path, record: dict, log: list[dict], made: dict | None) -> dict:
    env = _json(run / "env.json") or {}
    opened = [str(row.get("time", "at an unknown time")) for row in log if row.get("event") == "final_opened"]
    command = env.get("command") or env.get("argv")
    rows = {"Run folder": str(run), "Run id": record.get("run_id"), "Data": record.get("data_dir"),
            "Command line": " ".join(map(str, command)) if isinstance(command, list) else command,
            "Test split": "opened " + ", ".join(opened) if opened else "never opened",
            "Python": env.get("python"), **(env.get("packages") or {})}  # fmt: skip
    blocks = {"Configuration of the run": record, "Environment": env, "How the data set was made": made}
    text = {name: json.dumps(v, indent=1, sort_keys=True, ensure_ascii=False) for name, v in blocks.items() if v}
    return {"provenance": {name: str(v) for name, v in rows.items() if v}, "blocks": text, "opened": opened}


def _draw(run: pathlib.Path, name: str, figure) -> str:
    """Save a figure to RUN/figures/ and return it as a data address."""
    with files.replacing(run / "figures" / f"{name}.png") as temporary:
        temporary.write_bytes(figures.png(figure))
    return _embed(run / "figures" / f"{name}.png")


def _embed(path: pathlib.Path) -> str | None:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode() if path.is_file() else None


def _json(path: pathlib.Path):
    """The value in a JSON file, None where there is no such file."""
    try:
        return files.read_json(path) if path.is_file() else None
    except ValueError as error:
        raise StoredStateRefused(f"{path}: not valid JSON ({error}); run the command that wrote it again") from error


def _lines(path: pathlib.Path) -> list[dict]:
    """The rows of a log; a last line cut off by a crash is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def _csv(path: pathlib.Path) -> pd.DataFrame | None:
    return pd.read_csv(path) if path.is_file() else None


def _cells(folder: pathlib.Path) -> pd.DataFrame | None:
    """The columns of cells.parquet that are counted here."""
    if not (folder / "cells.parquet").is_file():
        return None
    table = pd.read_parquet(folder / "cells.parquet")
    wanted = (
        schema.FIELD,
        schema.CELL_LINE,
        schema.GROUP,
        schema.SPLIT,
        schema.LABEL,
        schema.REJECT,
        schema.TRUE_PHASE,
    )
    return table[[column for column in wanted if column in table]]
