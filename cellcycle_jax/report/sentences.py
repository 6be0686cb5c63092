"""What the page says about numbers: scores as words, the three sentences of the answer, the rows of its tables."""

import pandas as pd

from cellcycle_jax import schema
from cellcycle_jax.figures import style

ABSTAINED = "no label (abstained)"
PASSED = {True: "yes", False: "no", None: "not tested"}  # a check of the passport


def number(value) -> str:
    """A score with three decimals; a dash where it is not known."""
    return "–" if value is None or pd.isna(value) else f"{value:.3f}".replace("-", "\N{MINUS SIGN}")


def interval_words(score: dict, confidence: float | None = None) -> str:
    """A score with its interval in brackets; `confidence` is named where it is given."""
    if score.get("low") is None or pd.isna(score["low"]):
        return f"{number(score['value'])} (too few groups for an interval)"
    what = f"{100 * confidence:g} % interval " if confidence else ""
    return f"{number(score['value'])} ({what}{number(score['low'])} to {number(score['high'])})"


def warnings(provenance: dict, record: dict) -> list[str]:
    """Sentences that have to be read before any score: sizes that do not fit, labels that the network can see.

    Args:
        provenance: provenance.json of the data set, {} where it is not there.
        record: config.json of the run.
    """
    said = list(provenance.get("sizes", []))
    source = provenance.get("labels_are_intensity_of")
    if source in record["channels"] and record["training"]["data"]["scale"] != "own_max":
        said.append(f"The labels were made from the brightness of {source}, which the network sees: a high score says "
                    "that it reads this brightness, no more.")
    return said


def answer(evaluation: dict | None, passport: dict | None, pairs: pd.DataFrame | None) -> list[str]:
    """Sentences: how good beside the best baseline, what the passport says of where it looks, which two features."""
    two = "Which two features separate the classes is not known yet."
    if pairs is not None and len(pairs):
        best = pair_row(pairs.iloc[0].to_dict())
        two = (f"The two measurements that separate the classes best are {best['x']} and {best['y']}: "
               f"a line between them reaches a balanced accuracy of {interval_words(best['accuracy'])}.")  # fmt: skip
    return [
        _answer_score(evaluation) if evaluation else "How good the network is has not been measured yet.",
        " ".join(passport["verdict"][:3]) if passport else "Where the network looks has not been mapped yet.",
        two,
    ]


def _answer_score(e: dict) -> str:
    key = "balanced_accuracy"
    own = interval_words(e["model"][key], e["confidence"])
    words = f"On {counts(e)} of the {e['split']} split, the network's balanced accuracy is {own}"
    if e["model"][key].get("low") is None:
        return f"Too few groups to say how good the network is. {words}."
    scored = {name: b[key] for name, b in e.get("baselines", {}).items() if (b.get(key) or {}).get("value") is not None}
    circular = set(e.get("circular", ()))
    scored = {name: score for name, score in scored.items() if name not in circular}
    if circular:
        words += " (baselines that read the brightness of which the labels are made are not counted here)"
    if not scored:
        return f"{words}."
    best = max(scored, key=lambda name: scored[name]["value"])
    words += f"; the best baseline ({style.NAMES.get(best, best)}) reaches {interval_words(scored[best])}"
    gap = (e.get("differences") or {}).get(best, {}).get(key) or {}
    if gap.get("low") is None:
        return f"{words}."
    verdict = "the network is better" if gap["low"] > 0 else "the network is worse" if gap["high"] < 0 else ""
    return (
        f"{words}, and the difference of {interval_words(gap)} says that {verdict or 'the two cannot be told apart'}."
    )


def outdated(made: dict | None, best_step: int | None, run_id: str | None) -> str | None:
    """That a result is of other weights than the best of the run; None where it is of these, or nothing is known.

    Args:
        made: an evaluation, explain/summary.json or features/pair.json; None where there is none.
        best_step: of the run, None where no score was logged.
        run_id: of the run.
    """
    if made is None:
        return None
    split = f", {made['split']} split" if "split" in made else ""
    if made.get("run_id", run_id) != run_id:
        return f"Caution{split}: this was made in another run ({made['run_id']})."
    if None in (best_step, made.get("step")) or made["step"] == best_step:
        return None
    return (f"Caution{split}: this is of the weights after step {made['step']}, but the best weights of the run are "
            f"those after step {best_step}.")  # fmt: skip


def counts(e: dict) -> str:
    """How many cells and fields an evaluation stands on, and groups where those are not the fields."""
    words = f"{e['n_cells']:,} cells from {e['n_fields']} fields"
    return words if e["group_by"] == "field" else f"{words} ({e['n_groups']} groups: {e['group_by']})"


def cell_tables(cells: pd.DataFrame, quarantined: int) -> dict:
    """Counts of what was found and used.

    Args:
        cells: one row per object, the rejected ones too; a missing text is "".
        quarantined: number of files set aside.
    """
    rejected = cells[schema.REJECT]
    used = cells[rejected == ""]
    label = used[schema.LABEL].replace("", ABSTAINED)
    lines = used[schema.CELL_LINE].replace("", "not named")
    reasons = rejected[rejected != ""].value_counts()
    return {
        "objects": len(cells), "fields": cells[schema.FIELD].nunique(), "used": len(used),
        "labelled": int((label != ABSTAINED).sum()), "aside": quarantined,
        "classes": _cross(label, used[schema.SPLIT], "Class"), "lines": _cross(lines, used[schema.SPLIT], "Cell line"),
        "rejected": [(name.replace("_", " "), n, f"{100 * n / len(cells):.1f} %") for name, n in reasons.items()],
    }  # fmt: skip


def _cross(rows: pd.Series, splits: pd.Series, head: str) -> dict:
    """Counts of `rows` by split as {"columns": [text], "rows": [(text, int, ...)]}."""
    crossed = pd.crosstab(rows, splits)
    crossed = crossed[[s for s in schema.SPLITS if s in crossed]]
    crossed["all"] = crossed.sum(axis=1)
    return {"columns": [head, *crossed.columns], "rows": list(crossed.itertuples(name=None))}


def training_title(cells: pd.DataFrame) -> str:
    """How many labelled cells and groups were trained on and validated with."""
    used = cells[(cells[schema.REJECT] == "") & (cells[schema.LABEL] != "")]
    sizes = used.groupby(schema.SPLIT)[schema.GROUP].agg(["size", "nunique"])
    parts = [f"{s}: {sizes.loc[s, 'size']:,} labelled cells in {sizes.loc[s, 'nunique']} groups"
             for s in ("train", "validation") if s in sizes.index]  # fmt: skip
    return "; ".join(parts).capitalize()


def feature_row(row: dict) -> dict:
    """One row of ranking.csv for the table."""
    auroc, accuracy = (_score(row, m, p) for m, p in (("auroc", ""), ("balanced_accuracy", "balanced_accuracy_")))
    unit = row.get("unit") if isinstance(row.get("unit"), str) else ""
    unit = unit.replace("um", "µm").replace("^2", "²")
    cut = f"{row['cut']:.4g} {unit}".strip() if pd.notna(row.get("cut")) else "–"
    return {"name": schema.readable(row["feature"]), "auroc": auroc, "accuracy": accuracy, "cut": cut,
            "higher_in": row.get("higher_in", "–"), "n": row.get("n_validation", "–")}  # fmt: skip


def pair_row(row: dict) -> dict:
    """One row of pairs.csv for the table."""
    return {"x": schema.readable(row["feature_x"]), "y": schema.readable(row["feature_y"]),
            "auroc": _score(row, "auroc", "auroc_"), "n": row.get("n_validation", "–"),
            "accuracy": _score(row, "balanced_accuracy", "balanced_accuracy_"),
            "spearman": row.get("abs_spearman")}  # fmt: skip


def _score(row: dict, metric: str, prefix: str) -> dict:
    bounds = {bound: row.get(f"{prefix}{bound}") for bound in ("low", "high")}
    return {"value": row.get(f"validation_{metric}"), **{k: v if pd.notna(v) else None for k, v in bounds.items()}}
