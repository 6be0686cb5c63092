"""How a network's margin moves when one property of the cells is changed by a known dose.

The margin is the logit of a class less the mean of the other logits. Doses are those that were reached, as measured on
the edited image, not those that were asked for. Doses to both sides are wanted: what an edit does in either direction
alike, such as a softer image, then drops out of the slope.
"""

import collections
import dataclasses
import functools

import numpy as np
from scipy.special import softmax

from cellcycle_jax.explain.attribution import methods
from cellcycle_jax.explain.edits.edits import EDITS, NUCLEUS, Cell

DOSES = (-0.2, -0.1, 0.0, 0.1, 0.2)
UNIT = 0.1  # slopes are per so much relative change
UNMOVED = "nothing can be moved at some dose"
UNREACHED = "the dose is not reached at all"
LEAST = 0.1  # share of the wanted doses that a cell has to reach
_AGREEMENT = {
    True: "Both name the same channel.",
    False: "They name different channels.",
    None: "Whether they agree cannot be said.",
}


@dataclasses.dataclass(frozen=True)
class EditedCells:
    """The N cells that are edited, as the network sees them before.

    Attributes:
        images: f32 [N, S, S, K].
        compartments: u8 [N, S, S], bits of `schema.Compartment`.
        present: u8 [N], which of the bits are known.
        groups: text [N], the unit of the intervals.
        channels: names of the K channels.
        nucleus, stain: names of the nuclear channel and of the stain whose objects the compartments hold; they need not
            be among `channels`.
    """

    images: np.ndarray
    compartments: np.ndarray
    present: np.ndarray
    groups: np.ndarray
    channels: tuple[str, ...]
    nucleus: str
    stain: str

    @functools.cached_property
    def single(self) -> list[Cell]:
        """Each of the N cells by itself."""
        nucleus = self._position(self.nucleus)
        stain = self._position(self.stain)
        cells = zip(self.images, self.compartments, self.present, strict=True)
        return [Cell(*cell, nucleus, stain) for cell in cells]

    def _position(self, channel) -> int | None:
        return self.channels.index(channel) if channel in self.channels else None


@dataclasses.dataclass(frozen=True)
class _Response:
    """What an edit does to the n cells that it can be made of, at D doses.

    Attributes:
        rows: i64 [n], which of all cells they are.
        realised: f64 [D, n], the doses that were reached.
        change: of the margin and of the probability, f64 [D, n] each.
        left_out: reason -> cells of which the edit cannot be made.
    """

    rows: np.ndarray
    realised: np.ndarray
    change: dict[str, np.ndarray]
    left_out: dict[str, int]


def dose_response(network, cells: EditedCells, class_index: int, names, resampling, doses=DOSES) -> list[dict]:
    """How the margin and the probability of a class follow the dose of each edit.

    Args:
        network: of P classes.
        cells: that are edited.
        class_index: the class whose margin it is.
        names: of `edits.EDITS`.
        resampling: a `Resampling`, how intervals are made.
        doses: relative changes, each above -1, not all 0.

    Returns:
        A row for each edit: "edit", "words", "channel" (that it belongs to, "" if the model does not see it),
        "n_cells", "n_groups", "left_out" {reason: cells}; "doses", each with "dose", "realised" (mean), "margin" and
        "probability" (mean change from the unedited image); "slope", mean over cells of the change of the margin per
        +10 % realised dose (least squares through zero in each cell), and "certain", whether its interval leaves out
        zero. Values are intervals. Without any cell "doses" is empty and "slope" None.
    """
    unedited = _outputs(network, cells.images, class_index)
    rows = []
    for name in names:
        edit = EDITS[name]
        response = _respond(network, edit, cells, unedited, doses, class_index)
        channel = cells.nucleus if edit.channel == NUCLEUS else cells.stain
        groups = np.asarray(cells.groups)[response.rows]
        rows.append({
            "edit": name,
            "words": edit.words.format(nucleus=cells.nucleus, stain=cells.stain),
            "channel": channel if channel in cells.channels else "",
            "n_cells": len(groups),
            "n_groups": len(np.unique(groups)),
            "left_out": response.left_out,
            **_summary(doses, response, groups, resampling),
        })
    return rows


def _outputs(network, images, class_index) -> dict[str, np.ndarray]:
    """Margin and probability of a class, f64 [N] each."""
    logits = methods.logits_of(network, images)
    margin = methods.margins(logits)
    prob = softmax(np.asarray(logits, np.float64), axis=1)
    return {"margin": margin[:, class_index], "probability": prob[:, class_index]}


def _respond(network, edit, cells, unedited, doses, class_index) -> _Response:
    """Edit all cells that lack nothing, at every dose; those that the edit hardly moves are left out after all."""
    lacking = np.array([edit.lacking(cell) for cell in cells.single], str)
    rows = np.flatnonzero(lacking == "")
    before = []
    for row in rows:
        cell = cells.single[row]
        before.append(edit.measure(cell, cell.image, cell.compartments))
    realised = np.full((len(doses), len(rows)), np.nan)
    images = np.tile(cells.images[rows], (len(doses), 1, 1, 1))  # dose by dose
    for d, dose in enumerate(doses):
        for i, row in enumerate(rows):
            cell = cells.single[row]
            edited = edit.apply(cell, dose)
            if edited is not None:
                images[d * len(rows) + i] = edited[0]
            if edited is not None and before[i] > 0:
                realised[d, i] = edit.measure(cell, *edited) / before[i] - 1
    change = {name: np.zeros(realised.shape) for name in unedited}
    if len(rows):
        for name, output in _outputs(network, images, class_index).items():
            change[name] = output.reshape(realised.shape) - unedited[name][rows]
    unmoved = _why_unmoved(realised, np.asarray(doses))
    moved = unmoved == ""
    for name in change:
        change[name] = change[name][:, moved]
    reasons = [*lacking[lacking != ""].tolist(), *unmoved[~moved].tolist()]
    return _Response(rows[moved], realised[:, moved], change, dict(collections.Counter(reasons)))


def _why_unmoved(realised, doses) -> np.ndarray:
    """Why each cell is left out after all, text [n], "" where it is not."""
    wanted = np.sqrt((doses**2).sum())
    reached = np.sqrt((np.nan_to_num(realised) ** 2).sum(0))
    why = np.where(reached >= LEAST * wanted, "", UNREACHED)
    return np.where(np.isnan(realised).any(0), UNMOVED, why)


def _summary(doses, response, groups, resampling) -> dict:
    """Means over cells, with intervals."""
    realised = response.realised
    if not realised.size:
        return {"doses": [], "slope": None, "certain": False}
    slope = UNIT * (realised * response.change["margin"]).sum(0) / (realised**2).sum(0)
    of_cells = {"slope": slope}
    for name, changes in response.change.items():
        for d in range(len(doses)):
            of_cells[name, d] = changes[d]

    def means(weights):
        total = weights.sum(1)
        return {name: weights @ values / total for name, values in of_cells.items()}

    mean = resampling.intervals(means, groups)
    steps = []
    for d, dose in enumerate(doses):
        steps.append({
            "dose": float(dose),
            "realised": float(realised[d].mean()),
            "margin": mean["margin", d],
            "probability": mean["probability", d],
        })
    slope = mean["slope"]
    return {"doses": steps, "slope": slope, "certain": bool(slope.low > 0 or slope.high < 0)}


def agreement(rows: list[dict], channel_shares: dict[str, float]) -> dict:
    """Whether the channel whose edits move the margin most is the one that an attribution gives most to.

    Edits of different properties are compared at +10 % each, which is a convention: no two of them are equally likely
    in cells.

    Args:
        rows: of `dose_response`.
        channel_shares: {channel: share of the attribution}.

    Returns:
        "effects" {channel: largest absolute slope of its edits per +10 %}, "edits" {channel: which}, "by_edits",
        "by_attribution" (channels or None), "agree" and "sentence". "agree" is None where this cannot be said: fewer
        than two channels have edits, no edit of the leading one moves the margin for certain, or the attribution
        points at a channel that has no edit.
    """
    strongest = {}
    for row in rows:
        channel = row["channel"]
        if row["slope"] is None or channel not in channel_shares:
            continue
        best = strongest.get(channel, row)
        if abs(row["slope"].value) >= abs(best["slope"].value):
            strongest[channel] = row
    effects = {channel: abs(row["slope"].value) for channel, row in strongest.items()}
    by_edits = max(effects, key=effects.get, default=None)
    by_attribution = max(channel_shares, key=channel_shares.get, default=None)
    agree = None
    if len(strongest) > 1 and strongest[by_edits]["certain"] and by_attribution in strongest:
        agree = by_edits == by_attribution
    return {
        "effects": effects,
        "edits": {channel: row["edit"] for channel, row in strongest.items()},
        "by_edits": by_edits,
        "by_attribution": by_attribution,
        "agree": agree,
        "sentence": _sentence(strongest, channel_shares, agree),
    }


def _sentence(strongest, shares, agree) -> str:
    if not strongest:
        return "No edit of a channel could be made."
    slopes = []
    for channel, row in strongest.items():
        slopes.append(f"{row['words']} {row['slope'].value:+.3f} logits per +10 % ({channel})")
    given = [f"{channel} {100 * share:.0f} %" for channel, share in shares.items()]
    return (f"Strongest edit of each channel: {', '.join(slopes)}. Attribution: {', '.join(given)}. "
            f"{_AGREEMENT[agree]}")
