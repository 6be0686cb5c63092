"""Tables of `explanation_truth`: how often explanations were right, and shortcuts were caught."""

import numpy as np
import pandas as pd
from scipy import stats

from cellcycle_jax.explain.checks import class_shares
from cellcycle_jax.explain.regions.explained_cells import DEFAULT_METHOD
from cellcycle_jax.scoring.intervals import Interval
from configs import base
from experiments import planted

RANKED = 4  # data sets of each cue in which all methods explain the first network
WHERE = ("channel", "region", "region over its area")
SHARES = ("surroundings", "brightness")  # of the difference between classes, that give an alarm


def raised(row, names=SHARES) -> bool:
    """Whether any of these shares gives an alarm; one that is not known does not."""
    limits = base.training().explain.limits
    for name in names:
        share = Interval.of(row["alarms"][name])
        if class_shares.is_certain(share, limits[name]):
            return True
    return False


def known(row) -> bool:
    """Whether there was a difference between the classes of which a share could be given."""
    return all(row["alarms"][name]["value"] is not None for name in SHARES)


def wilson(right: int, of: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927, doi 10.1080/01621459.1927.10502953)."""
    return tuple(stats.binomtest(right, of).proportion_ci(0.95, method="wilson"))


def share(values) -> str:
    """A share in words, with its Wilson interval."""
    values = np.array(list(values), bool)
    n_right = int(values.sum())
    low, high = wilson(n_right, len(values))
    return f"{n_right} of {len(values)}: {np.mean(values):.1%} ({low:.1%} to {high:.1%})"


def markdown(head, rows) -> str:
    """A Markdown table."""
    lines = []
    for row in (head, ["---"] * len(head), *rows):
        cells = " | ".join(map(str, row))
        lines.append(f"| {cells} |")
    return "\n".join(lines)


def truth_table(found: dict) -> str:
    """Mean AUROC of networks that see one channel, lowest to highest.

    Args:
        found: cue -> for each data set, what `single_channels` returned.
    """
    rows = []
    for cue, data_sets in found.items():
        row = {"cue": cue}
        aurocs = pd.DataFrame(data_sets)
        for channel in planted.CHANNELS:
            scores = aurocs[channel].to_list()
            row[f"{channel} alone"] = f"{np.mean(scores):.2f} ({min(scores):.2f} to {max(scores):.2f})"
        row["right channels"] = ", ".join(planted.CUES[cue].channels) or "none"
        rows.append(row)
    table = pd.DataFrame(rows)
    return markdown(table.columns, table.to_numpy())


def results(rows: list[dict]) -> str:
    """All tables of the second command, from what `one_set` returned of all data sets."""
    networks = pd.DataFrame([_judged(row) for row in rows])
    has_shortcut = networks["shortcut"] != ""
    has_cue = networks["cue"] != "none"
    clean = networks[has_cue & ~has_shortcut]
    without_cue = networks[~has_cue]
    with_shortcut = networks[has_shortcut]
    return "\n\n".join([
        markdown(("", "networks"), _overall(clean, without_cue, with_shortcut)),
        _by_cue(clean),
        _by_shortcut(with_shortcut),
        _by_method(rows),
    ])


def _is_clean(row) -> bool:
    """Whether cells carry the phase in a cue, and no shortcut beside it."""
    return row["cue"] != "none" and not row["shortcut"]


def _judged(row) -> dict:
    """Whether a network gives alarms; of one with a cue and without a shortcut, also what is explained right."""
    judged = {"cue": row["cue"], "network": row["network"], "shortcut": row["shortcut"]}
    judged["known"] = known(row)
    judged["caught"] = raised(row)
    judged["by surroundings"] = raised(row, ["surroundings"])
    judged["by brightness"] = raised(row, ["brightness"])
    if not _is_clean(row):
        return judged
    cue = planted.CUES[row["cue"]]
    return judged | {
        "AUROC": row["auroc_validation"],
        "has one channel": len(cue.channels) == 1,
        "right channel": _right(row, DEFAULT_METHOD, "channel"),
        "right channel by Shapley": _right(row, "shapley", "channel"),
        "right region": _right(row, DEFAULT_METHOD, "region"),
        "right family in discover": row["discover"] in cue.families,
        "right family in the shortlist": row["shortlist"] in cue.families,
    }


def _overall(clean, without_cue, with_shortcut) -> list:
    """What is counted over all networks of a kind."""
    of_one_channel = clean[clean["has one channel"].astype(bool)]
    first_networks = clean[clean["network"] == "seed0"]
    return [
        ("right channel first", share(clean["right channel"])),
        ("right channel first, cues of one channel", share(of_one_channel["right channel"])),
        ("right channel first, by Shapley values", share(clean["right channel by Shapley"])),
        ("right region first", share(clean["right region"])),
        ("planted family first in discover (data sets)", share(first_networks["right family in discover"])),
        ("planted family first in the map's shortlist", share(clean["right family in the shortlist"])),
        ("shortcut caught", share(with_shortcut["caught"])),
        ("false alarms, networks with a cue", share(clean["caught"][clean["known"]])),
        ("false alarms, networks without any cue", share(without_cue["caught"][without_cue["known"]])),
        ("without any cue, and without a difference to divide", share(~without_cue["known"])),
    ]


def _by_cue(clean) -> str:
    columns = ["right channel", "right region", "right family in the shortlist"]
    rows = []
    for cue in planted.CUES:
        networks = clean[clean["cue"] == cue]
        if len(networks):
            mean_auroc = np.mean(networks["AUROC"].to_list())
            rows.append((cue, f"{mean_auroc:.2f}", *networks[columns].apply(share)))
    return markdown(("cue", "AUROC", *columns), rows)


def _by_shortcut(with_shortcut) -> str:
    columns = ["caught", "by surroundings", "by brightness"]
    rows = []
    for shortcut in planted.SHORTCUTS:
        networks = with_shortcut[with_shortcut["shortcut"] == shortcut]
        if len(networks):
            rows.append((shortcut, *networks[columns].apply(share)))
    return markdown(("shortcut", *columns), rows)


def _right(row, method, what) -> bool:
    truth = planted.CUES[row["cue"]]
    right = truth.channels if what == "channel" else truth.regions
    return row["explained"][method][what] in right


def _by_method(rows) -> str:
    """The methods, the most often right first, over the networks that all methods explained."""
    clean = filter(_is_clean, rows)
    compared = [row for row in clean if row["network"] == "seed0" and row["set"] < RANKED]
    table = []
    for method, first in compared[0]["explained"].items():
        cells = {"method": method}
        shares_right = []
        for what in WHERE:
            if what in first:
                is_right = [_right(row, method, what) for row in compared]
                cells[what] = share(is_right)
                shares_right.append(np.mean(is_right))
        table.append(cells | {"mean": np.mean(shares_right)})
    table = pd.DataFrame(table).fillna("")
    ranked = table.sort_values("mean", ascending=False, kind="stable")
    columns = ["method", *WHERE]
    return markdown(columns, ranked[columns].to_numpy())
