"""The page's numbers in words: scores, the three paragraphs of the summary, the rows of its tables."""

import math

import pandas as pd

from cellcycle_jax import schema
from cellcycle_jax.figures import style
from cellcycle_jax.scoring.intervals import Interval

MINUS = "\N{MINUS SIGN}"
ABSTAINED = "no label (abstained)"
MAIN_SCORE = "balanced_accuracy"  # the score by which the network and the baselines are compared
# Answers of the passport's checks.
ANSWERS = {"passed": "passed", "failed": "failed", "unknown": "not known", "impossible": "cannot arise"}


def number(value) -> str:
    """A score with three decimals; a dash where it is not known."""
    if value is None or pd.isna(value):
        return "–"
    return f"{value:.3f}".replace("-", MINUS)


def interval_words(score: dict | Interval, interval_level: float | None = None) -> str:
    """A score with its interval in brackets; `interval_level` is named where it is given."""
    interval = Interval.of(score)
    if not interval.is_known:
        return f"{number(interval.value)} (too few groups for an interval)"
    words = interval.text(3, sign="-").replace("-", MINUS)
    if interval_level:
        words = words.replace("(", f"({100 * interval_level:g} % interval ")
    return words


def warnings(provenance: dict, record: dict) -> list[str]:
    """Sentences to read before any score: sizes of nuclei, pixels or crops that do not fit, labels that are
    in doubt or leak.

    Args:
        provenance: provenance.json of the data set, {} where it is not there.
        record: config.json of the run.
    """
    cautions = list(provenance.get("sizes", []))
    cautions += [f"The labels are in doubt: {doubt}" for doubt in provenance.get("label_doubts", [])]
    source = provenance.get("labels_are_intensity_of")
    if source in record["channels"] and record["training"]["data"]["scale"] != "nucleus_max":
        cautions.append(f"The labels were made from the brightness of {source}, which the network sees: a high score "
                        "says that it reads this brightness, no more.")
    return cautions


def summary(evaluation: dict | None, passport: dict | None, pairs: pd.DataFrame | None) -> list[str]:
    """Three paragraphs: the score beside the best baseline, the passport in short, the best pair of measurements."""
    score = "How good the network is has not been measured yet."
    if evaluation:
        score = _score_paragraph(evaluation)
    explanation = "Which regions drive the prediction has not been worked out yet."
    if passport:
        explanation = " ".join(passport["verdict"][:3])  # trust, regions, measurements
    features = "Which two features separate the classes is not known yet."
    if pairs is not None and len(pairs):
        best = pair_row(pairs.iloc[0].to_dict())
        features = (f"The two measurements that separate the classes best are {best['x']} and {best['y']}: "
                    f"a line between them reaches a balanced accuracy of {interval_words(best['accuracy'])}.")
    return [score, explanation, features]


def _score_paragraph(evaluation: dict) -> str:
    """How good the network is, and whether it is better than the best baseline."""
    own = Interval.of(evaluation["model"][MAIN_SCORE])
    words = (f"On {counts(evaluation)} of the {evaluation['split']} split, the network's balanced accuracy is "
             f"{interval_words(own, evaluation['interval_level'])}")
    if not own.is_known:
        return f"Too few groups to say how good the network is. {words}."
    circular = evaluation.get("circular", ())
    if circular:
        words += " (baselines that use the brightness of which the labels are made are not counted here)"
    baselines = {}
    for name, scores in evaluation.get("baselines", {}).items():
        score = Interval.of(scores.get(MAIN_SCORE))
        if name not in circular and not math.isnan(score.value):
            baselines[name] = score
    if not baselines:
        return f"{words}."
    best = max(baselines, key=lambda name: baselines[name].value)
    words += f"; the best baseline ({style.NAMES.get(best, best)}) reaches {interval_words(baselines[best])}"
    differences = evaluation.get("differences") or {}
    difference = Interval.of(differences.get(best, {}).get(MAIN_SCORE))
    if not difference.is_known:
        return f"{words}."
    comparison = _comparison(difference, evaluation["interval_level"])
    return f"{words}, and the difference of {interval_words(difference)} says that {comparison}."


def _comparison(difference: Interval, level: float) -> str:
    """Whether the network is better than a baseline, by the interval of the difference and all that were compared."""
    sign = difference.certain_sign(level)
    if sign:
        return "the network is better" if sign > 0 else "the network is worse"
    if difference.low > 0 or difference.high < 0:
        return f"the two cannot be distinguished once all comparisons with baselines count (p = {difference.p:.2f})"
    seen = number(difference.smallest_detectable)
    return f"the two cannot be distinguished (a difference of {seen} would be seen in four of five such experiments)"


def outdated(result: dict | None, kept_step: int | None, run_id: str | None) -> str | None:
    """A warning that a result is of another run or of other weights than it kept; None where it is not, or unknown.

    Args:
        result: an evaluation, explain/summary.json or features/pair.json; None where there is none.
        kept_step: of the run, None where no score was logged.
        run_id: of the run.
    """
    if result is None:
        return None
    caution = f"Caution, {result['split']} split" if "split" in result else "Caution"
    if result.get("run_id", run_id) != run_id:
        return f"{caution}: this was made in another run ({result['run_id']})."
    step = result.get("step")
    if step is None or kept_step is None or step == kept_step:
        return None
    return (f"{caution}: this is of the weights after step {step}, but the weights that the run kept "
            f"are those after step {kept_step}.")


def counts(evaluation: dict) -> str:
    """How many cells and fields an evaluation stands on, and groups where those are not the fields."""
    words = f"{evaluation['n_cells']:,} cells from {evaluation['n_fields']} fields"
    if evaluation["group_by"] == "field":
        return words
    return f"{words} ({evaluation['n_groups']} groups: {evaluation['group_by']})"


def cell_tables(cells: pd.DataFrame, quarantined: int) -> dict:
    """Counts of what was found and used.

    Args:
        cells: one row per object, the rejected ones too; a missing text is "".
        quarantined: number of files that were excluded.
    """
    reject = cells[schema.REJECT_REASON]
    used = cells[reject == ""]
    label = used[schema.LABEL].replace("", ABSTAINED)
    lines = used[schema.CELL_LINE].replace("", "not named")
    rejected = []
    for reason, n in reject[reject != ""].value_counts().items():
        rejected.append((reason.replace("_", " "), n, f"{100 * n / len(cells):.1f} %"))
    return {
        "objects": len(cells),
        "fields": cells[schema.FIELD].nunique(),
        "used": len(used),
        "labelled": int((label != ABSTAINED).sum()),
        "excluded": quarantined,
        "classes": _crosstab(label, used[schema.SPLIT], "Class"),
        "lines": _crosstab(lines, used[schema.SPLIT], "Cell line"),
        "rejected": rejected,
    }


def _crosstab(rows: pd.Series, splits: pd.Series, head: str) -> dict:
    """Counts of `rows` by split as {"columns": [text], "rows": [(text, int, ...)]}."""
    crossed = pd.crosstab(rows, splits)
    crossed = crossed[[split for split in schema.SPLITS if split in crossed]]
    crossed["all"] = crossed.sum(axis=1)
    return {"columns": [head, *crossed.columns], "rows": list(crossed.itertuples(name=None))}


def training_title(cells: pd.DataFrame) -> str:
    """How many labelled cells and groups were trained on and validated with."""
    used = cells[(cells[schema.REJECT_REASON] == "") & (cells[schema.LABEL] != "")]
    sizes = used.groupby(schema.SPLIT)[schema.GROUP].agg(["size", "nunique"])
    parts = []
    for split in ("train", "validation"):
        if split in sizes.index:
            size, groups = sizes.loc[split]
            parts.append(f"{split}: {size:,} labelled cells in {groups} groups")
    return "; ".join(parts).capitalize()


def feature_row(row: dict) -> dict:
    """One row of ranking.csv for the table."""
    unit = row.get("unit")
    unit = unit.replace("um", "µm").replace("^2", "²") if isinstance(unit, str) else ""
    cut = f"{row['cut']:.4g} {unit}".strip() if pd.notna(row.get("cut")) else "–"
    return {
        "name": schema.readable(row["feature"]),
        "auroc": _score(row, "auroc", ""),
        "accuracy": _score(row, "balanced_accuracy", "balanced_accuracy_"),
        "cut": cut,
        "higher_in": row.get("higher_in", "–"),
        "n": row.get("n_validation", "–"),
    }


def pair_row(row: dict) -> dict:
    """One row of pairs.csv for the table."""
    return {
        "x": schema.readable(row["feature_x"]),
        "y": schema.readable(row["feature_y"]),
        "auroc": _score(row, "auroc", "auroc_"),
        "n": row.get("n_validation", "–"),
        "accuracy": _score(row, "balanced_accuracy", "balanced_accuracy_"),
        "spearman": row.get("abs_spearman"),
    }


def _score(row: dict, metric: str, prefix: str) -> dict:
    """A score of the row, {"value", "low", "high"}; a bound that is not known is None."""
    score = {"value": row.get(f"validation_{metric}")}
    for bound in ("low", "high"):
        value = row.get(f"{prefix}{bound}")
        score[bound] = value if pd.notna(value) else None
    return score
