"""The tables of the study of what has no name: `python -m experiments.unnamed_tables` reads unnamed.jsonl."""


import numpy as np
import pandas as pd
from scipy import stats

from cellcycle_jax.scoring.intervals import Interval
from cellcycle_jax.unnamed import parts
from cellcycle_jax.unnamed.verdict import Verdict, judge
from configs import base
from experiments import long_pass, unnamed, unnamed_cues, unnamed_data
from experiments.explanation_tables import markdown
from experiments.unnamed_data import Case

LEARNT = 0.6  # area under the ROC curve that both networks must certainly exceed
GAIN = 0.8  # share of what has no name that the new measurement must explain
ARMS = ("by place", "uniform", "permuted", "labels", "labels by place", "networks and labels")


def row_of(found: dict, limit: float) -> dict:
    """What is counted of a data set."""
    case = Case(**found["case"])
    shares = {name: Interval.of(share) for name, share in found["shares"].items()}
    scores = [Interval.of(score) for score in found["auroc"]]
    cue = unnamed_cues.CUES.get(case.cue)
    families = [proposal["family"] for proposal in found["proposals"]]
    unnamed_share = shares[parts.UNNAMED]
    least = LEARNT
    if cue is not None:  # of a cue without a name, beside what the table tells
        least = max(LEARNT, found["auroc_of_table"])
    row = {
        "cue": case.cue,
        "strength": case.strength,
        "beside DNA": case.beside_dna,
        "cells": case.cells,
        "seed": case.seed,
        "sort": sort_of(case),
        "learnt": all(score.is_known and score.low > least for score in scores),
        "auroc": np.mean([score.value for score in scores]),
        "table": found["auroc_of_table"],
        "verdict": str(judge(shares, limit)),
        "share": unnamed_share.value,
        "table only": str(_of_table_only(found, limit)),
    }
    if cue is not None:
        gain = Interval.of(found["gain"]).value
        row |= {
            "channel": found["channels"][0] in cue.channels,
            "region": found["regions"][0] in cue.regions,
            "first": families[0] in cue.families,
            "among three": bool(set(families) & set(cue.families)),
            "gain": gain / unnamed_share.value if unnamed_share.value > 0 else np.nan,
        }
        for arm in ARMS:
            proposed = found["without"].get(arm)  # the first data sets were not asked all of them
            row[arm] = None if proposed is None else proposed[0][1] in cue.families
    return row


def sort_of(case: Case) -> str:
    """Whether a cue has a name, has none, or there is none."""
    if case.cue in unnamed_cues.CUES:
        return "no name"
    if case.cue == unnamed_data.NULL and not case.beside_dna:
        return "nothing"
    return "named"


def _of_table_only(found, limit: float) -> Verdict:
    """The verdict of classifiers that see the table only; they agree in all that they do, and fit as they are."""
    shares = {name: Interval.of(share) for name, share in found["table_only"].items()}
    shares["repeated"] = Interval(1.0, 1.0, 1.0)
    shares["named_with_half"] = shares[parts.NAMED]
    return judge(shares, limit)


def table_of(rows) -> pd.DataFrame:
    """A row for each data set that could be made."""
    limit = base.training().explain.limits.unnamed_share
    return pd.DataFrame([row_of(found, limit) for found in rows if "refused" not in found])


def share(hits) -> str:
    """How many of them, with Wilson's interval of 95 %."""
    hits = np.asarray(hits, bool)
    if not len(hits):
        return "none"
    bounds = stats.binomtest(int(hits.sum()), len(hits)).proportion_ci(method="wilson")
    return f"{hits.sum()} of {len(hits)} ({100 * bounds.low:.0f} to {100 * bounds.high:.0f} %)"


def verdicts(table: pd.DataFrame) -> str:
    """Verdicts by sort of data set, those whose networks learnt the cue and those whose did not."""
    rows = []
    says_no_name = table["verdict"] == str(Verdict.UNNAMED)
    for (sort, cells, beside), of_sort in table.groupby(["sort", "cells", "beside DNA"]):
        learnt = of_sort["learnt"]
        said = says_no_name[of_sort.index]
        rows.append({
            "data": f"{sort}{', beside DNA' if beside else ''}, {cells} cells",
            "networks learnt": share(learnt),
            "has no name, of learnt": share(said[learnt]),
            "has no name, of others": share(said[~learnt]),
            "too few cells to tell": int((of_sort["verdict"] == str(Verdict.TOO_FEW)).sum()),
        })
    only_table = table["table only"] == str(Verdict.UNNAMED)
    rows.append({
        "data": "classifiers of the table alone",
        "networks learnt": "",
        "has no name, of learnt": share(only_table),
        "has no name, of others": "",
        "too few cells to tell": int((table["table only"] == str(Verdict.TOO_FEW)).sum()),
    })
    return _markdown(rows)


def names(table: pd.DataFrame) -> str:
    """Of networks that learnt a cue without a name: whether place and measurement are right, by cue."""
    planted = table[(table["sort"] == "no name") & table["learnt"]]
    rows = []
    groups = [*planted.groupby("cue"), ("all", planted)]
    for cue, of_cue in groups:
        rows.append({
            "cue": cue,
            "channel": share(of_cue["channel"].astype(bool)),
            "region": share(of_cue["region"].astype(bool)),
            "family first": share(of_cue["first"].astype(bool)),
            "among three": share(of_cue["among three"].astype(bool)),
            f"gains {GAIN} of it": share(of_cue["gain"] >= GAIN),
        })
    return _markdown(rows)


def worth(table: pd.DataFrame) -> str:
    """How often each way to search finds the family first, on all data sets with a cue without a name."""
    planted = table[table["sort"] == "no name"]
    rows = []
    for arm in ARMS:
        asked = planted[planted[arm].notna()]
        hits = asked[arm].astype(bool)
        by_place = asked["by place"].astype(bool)
        better = (by_place & ~hits).sum()
        worse = (hits & ~by_place).sum()
        rows.append({
            "search": arm,
            "right family first": share(hits),
            "only the network's search by place is right": int(better),
            "only this one is right": int(worse),
            "by place less this one": "" if arm == "by place" else paired_difference(better, worse, len(asked)),
        })
    return _markdown(rows)


def paired_difference(better: int, worse: int, pairs: int) -> str:
    """Difference of two shares on the same data sets, in points, with an interval of 95 %.

    Wald's interval with half a pair added to each of the four counts (Agresti and Min, Statistics in Medicine 24, 2005,
    doi 10.1002/sim.1781).

    Args:
        better: data sets in which the first is right alone.
        worse: in which the second is.
        pairs: data sets in all.
    """
    n = pairs + 2
    up = (better + 0.5) / n
    down = (worse + 0.5) / n
    half = stats.norm.ppf(0.975) * np.sqrt((up + down - (up - down) ** 2) / n)
    middle = up - down
    points = 100 * (better - worse) / pairs
    return f"{points:+.0f} points ({100 * (middle - half):+.0f} to {100 * (middle + half):+.0f})"


def _markdown(rows: list[dict]) -> str:
    return markdown(list(rows[0]), [list(row.values()) for row in rows])


def main() -> None:
    """Print the tables."""
    rows = long_pass.stored(unnamed.RAW)
    table = table_of(rows)
    refused = len(rows) - len(table)
    print(f"{len(table)} data sets, {refused} could not be made\n")
    for text in (verdicts(table), names(table), worth(table)):
        print(text, end="\n\n")


if __name__ == "__main__":
    main()
