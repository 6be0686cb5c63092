"""How a network's answer moves when one property of the cells is changed by a known dose.

The answer is the margin, the logit of a class less the mean of the other logits. Doses are those that were reached, as
measured on the edited picture, not those that were asked for. Doses to both sides are wanted: what an edit does in
either direction alike, such as a softer picture, then drops out of the slope.
"""

import collections
import math

import numpy as np
from scipy.special import softmax

from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.edits.edits import EDITS, NUCLEUS, Cell
from cellcycle_jax.scoring.intervals import Resampling

DOSES = (-0.2, -0.1, 0.0, 0.1, 0.2)
UNIT = 0.1  # slopes are per so much relative change
UNMOVED = "nothing can be moved at some dose"
UNREACHED = "the dose is not reached at all"
LEAST = 0.1  # share of the wanted doses that a cell has to reach


def dose_response(
    network, images, compartments, present, groups, class_index: int, names, channels, nucleus: str,
    stain: str, resampling: Resampling, doses=DOSES,
) -> list[dict]:
    """How the margin and the probability of a class follow the dose of each edit.

    Args:
        network: of P classes.
        images: f32 [N, S, S, K], as the model sees them.
        compartments: u8 [N, S, S], bits of `schema.Compartment`.
        present: u8 [N], which of the bits are known.
        groups: text [N], the unit of the intervals.
        class_index: the class whose margin it is.
        names: of `edits.EDITS`.
        channels: names of the K channels.
        nucleus, stain: names of the nuclear channel and of the stain whose pieces the compartments hold; they need not
            be among `channels`.
        resampling: how intervals are made.
        doses: relative changes, each above -1, not all 0.

    Returns:
        A row for each edit: "edit", "words", "channel" (that it belongs to, "" if the model does not see it),
        "n_cells", "n_groups", "left_out" {reason: cells}; "doses", each with "dose", "realised" (mean), "margin" and
        "probability" (mean change from the unedited picture); "slope", mean over cells of the change of the margin per
        +10 % realised dose (least squares through zero in each cell), and "certain", whether its interval leaves out
        zero. Values are intervals. Without any cell "doses" is empty and "slope" None.
    """
    at = [channels.index(name) if name in channels else None for name in (nucleus, stain)]
    cells = [Cell(*cell, *at) for cell in zip(images, compartments, present, strict=True)]
    start = _answers(methods.logits_of(network, images), class_index)
    rows = []
    for name in names:
        kept, realised, change, left_out = _edited(network, EDITS[name], cells, start, doses, class_index)
        own = nucleus if EDITS[name].channel == NUCLEUS else stain
        of = np.asarray(groups)[kept]
        rows.append({"edit": name, "words": EDITS[name].words.format(nucleus=nucleus, stain=stain),
                     "channel": own if own in channels else "", "n_cells": len(kept), "n_groups": len(np.unique(of)),
                     "left_out": left_out, **_summary(doses, realised, change, of, resampling)})
    return rows


def _edited(network, edit, cells, start, doses, class_index):
    """The n cells that can be edited, i64 [n], realised doses and changes of each answer f64 [D, n], those left out."""
    reasons = [edit.lacking(cell) for cell in cells]
    kept = np.array([i for i, reason in enumerate(reasons) if not reason], int)
    found = [_at_dose(network, edit, [cells[i] for i in kept], dose, class_index) for dose in doses]
    realised = np.stack([one[0] for one in found])
    why = _why_not(realised, np.asarray(doses))
    fine = np.array([not reason for reason in why], bool)
    change = {key: np.stack([one[1][key] - start[key][kept] for one in found])[:, fine] for key in start}
    left_out = collections.Counter(reason for reason in [*reasons, *why] if reason)
    return kept[fine], realised[:, fine], change, dict(left_out)


def _answers(logits, class_index):
    """Margin and probability of a class, f64 [N] each."""
    prob = softmax(np.asarray(logits, np.float64), axis=1)
    return {"margin": methods.margins(logits)[:, class_index], "probability": prob[:, class_index]}


def _at_dose(network, edit, cells, dose, class_index):
    """Realised dose f64 [n], NaN where nothing could be moved, and the answers to the edited pictures."""
    edited = [edit.apply(cell, dose) for cell in cells]
    realised = np.array([math.nan if one is None else _realised(edit, cell, one)
                         for cell, one in zip(cells, edited, strict=True)])
    if not cells:
        return realised, {"margin": np.zeros(0), "probability": np.zeros(0)}
    pictures = np.stack([cell.image if one is None else one[0] for cell, one in zip(cells, edited, strict=True)])
    return realised, _answers(methods.logits_of(network, pictures), class_index)


def _realised(edit, cell, edited):
    before = edit.measure(cell, cell.image, cell.compartments)
    return edit.measure(cell, *edited) / before - 1 if before > 0 else math.nan


def _why_not(realised, doses):
    """Why each cell is left out after all, "" where it is not."""
    reached = np.sqrt((np.nan_to_num(realised) ** 2).sum(0)) >= LEAST * np.sqrt((doses**2).sum())
    return np.where(np.isnan(realised).any(0), UNMOVED, np.where(reached, "", UNREACHED)).tolist()


def _summary(doses, realised, change, groups, resampling):
    """Means over cells with intervals; realised and each change f64 [D, n]."""
    if not realised.size:
        return {"doses": [], "slope": None, "certain": False}
    slope = UNIT * (realised * change["margin"]).sum(0) / (realised**2).sum(0)

    def score(weights):
        def mean(values):
            return weights @ values / weights.sum(1)

        return {"slope": mean(slope)} | {(key, d): mean(value[d]) for key, value in change.items()
                                         for d in range(len(doses))}

    found = resampling.intervals(score, groups)
    steps = [{"dose": float(dose), "realised": float(realised[d].mean()), "margin": found["margin", d],
              "probability": found["probability", d]} for d, dose in enumerate(doses)]
    one = found["slope"]
    return {"doses": steps, "slope": one, "certain": bool(one.low > 0 or one.high < 0)}


def agreement(rows: list[dict], channel_shares: dict[str, float]) -> dict:
    """Whether the channel whose edits move the answer most is the one that an attribution gives most to.

    Edits of different properties are compared at +10 % each, which is a convention: no two of them are equally likely
    in cells.

    Args:
        rows: of `dose_response`.
        channel_shares: {channel: share of the attribution}.

    Returns:
        "effects" {channel: largest absolute slope of its edits per +10 %}, "edits" {channel: which}, "by_edits",
        "by_attribution" (channels or None), "agree" and "sentence". "agree" is None where this cannot be said: fewer
        than two channels have edits, no edit of the leading one moves the answer for certain, or the attribution
        points at a channel that has no edit.
    """
    found = {}
    for row in rows:
        known = row["slope"] is not None and row["channel"] in channel_shares
        if known and abs(row["slope"].value) >= abs(found.get(row["channel"], row)["slope"].value):
            found[row["channel"]] = row
    effects = {channel: abs(row["slope"].value) for channel, row in found.items()}
    by_edits = max(effects, key=effects.get, default=None)
    by_attribution = max(channel_shares, key=channel_shares.get, default=None)
    sure = len(found) > 1 and found[by_edits]["certain"] and by_attribution in found
    agree = by_edits == by_attribution if sure else None
    return {"effects": effects, "edits": {channel: row["edit"] for channel, row in found.items()},
            "by_edits": by_edits, "by_attribution": by_attribution, "agree": agree,
            "sentence": _sentence(found, channel_shares, agree)}


def _sentence(found, shares, agree):
    if not found:
        return "No edit of a channel could be made."
    moved = ", ".join(f"{row['words']} {row['slope'].value:+.3f} logits per +10 % ({channel})"
                      for channel, row in found.items())
    given = ", ".join(f"{channel} {100 * share:.0f} %" for channel, share in shares.items())
    verdict = {True: "Both name the same channel.", False: "They name different channels.",
               None: "Whether they agree cannot be said."}[agree]
    return f"Strongest edit of each channel: {moved}. Attribution: {given}. {verdict}"
