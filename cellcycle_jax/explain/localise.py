"""Which part of the cell a saliency map lies on: share of the relevance in each compartment over its share of the area.

A ratio of 1 is what a map that does not look at the image would give; 2 is twice as much as by chance. The ratio says
where the evidence was read, not that the decision would change without it.
"""

import numpy as np
import pandas as pd
from scipy import ndimage

from cellcycle_jax import schema, statistics

RIM = "nuclear rim"
# The first five of a cell divide the crop between them; the rim overlaps the nucleus and what lies around it.
COMPARTMENTS = ("nucleus", "second stain", "cell body", "other nuclei", "background", RIM)
# Places that hold nothing but zeros for the model, by `data.mask`.
BLANK = {"none": (), "cell": ("other nuclei", "background"),
         "nucleus": ("second stain", "cell body", "other nuclei", "background"),
         "ring": ("nucleus", "second stain", "cell body")}
_PLACES = {
    "nucleus": "in the nucleus",
    "second stain": "at the second stain",
    "cell body": "in the rest of the cell body",
    "other nuclei": "at neighbouring nuclei",
    "background": "in the background",
    RIM: "at the rim of the nucleus",
}


def compartment_masks(compartments: np.ndarray, present: int, rim_px: float = 2.0) -> dict[str, np.ndarray]:
    """Divide a crop into named places.

    A pixel that could be counted twice belongs to the first of: own nucleus, other nuclei, second stain, cell body,
    background (which is everything left, debris included). A projection cannot tell a stain above the nucleus from one
    inside it, so "second stain" is what lies outside the nuclei.

    Args:
        compartments: u8 [S, S], bits of `schema.Compartment`.
        present: which of the bits are known for this cell; a place whose bit is unknown is left out.
        rim_px: half the width of the nuclear rim, px of the crop.

    Returns:
        Name (of COMPARTMENTS) -> bool [S, S]; empty where not even the nucleus is known.
    """
    bit = schema.Compartment
    known = {b: bool(present & b) for b in bit}
    if not known[bit.NUCLEUS]:
        return {}
    nucleus = (compartments & bit.NUCLEUS) > 0
    masks, free = {"nucleus": nucleus}, ~nucleus
    ordered = (("other nuclei", bit.OTHER_NUCLEI), ("second stain", bit.SECOND_STAIN), ("cell body", bit.BODY))
    for name, flag in ordered:
        if known[flag]:
            masks[name] = free & ((compartments & flag) > 0)
            free = free & ~masks[name]
    masks["background"] = free
    # Each distance is 1 along the outline and 0 on the other side of it, so their sum counts from both sides.
    inside, outside = ndimage.distance_transform_edt(nucleus), ndimage.distance_transform_edt(~nucleus)
    if nucleus.any() and not nucleus.all():
        masks[RIM] = (inside + outside) <= rim_px
    return masks


def localise(saliency: np.ndarray, masks: dict[str, np.ndarray]) -> list[dict]:
    """Share of a map's positive relevance in each place, and the share of the area that this place has.

    Args:
        saliency: f32 [S, S], at the size of the crop; only what is above zero counts.
        masks: name -> bool [S, S].

    Returns:
        One dict a place: compartment, relevance_share, area_share, ratio (NaN where the place is empty). A map without
        any positive relevance points nowhere: its shares are NaN.
    """
    relevance = np.maximum(np.asarray(saliency, np.float64), 0)
    total = relevance.sum()
    rows = []
    for name, mask in masks.items():
        share = relevance[mask].sum() / total if total > 0 else np.nan
        area = float(mask.mean())
        ratio = share / area if area > 0 else np.nan
        rows.append({"compartment": name, "relevance_share": share, "area_share": area, "ratio": ratio})
    return rows


def summarise(table: pd.DataFrame, bootstraps: int, confidence: float, seed: int) -> pd.DataFrame:
    """Ratio of each class and place over all cells that the model gives this class, with an interval.

    The ratio is the sum of relevance shares over the sum of area shares, so that a cell in which a place covers three
    pixels does not rule the answer. Groups, not cells, are resampled: cells of a field share stain and focus.

    Args:
        table: rows as in attribution.parquet: group, predicted, class, compartment, relevance_share, area_share.
        bootstraps: number of resamples of the groups.
        confidence: of the interval, 0..1.
        seed: of the resamples.

    Returns:
        One row per class and compartment: class, compartment, ratio, low, high, n_cells, n_groups.
    """
    own = table[(table["predicted"] == table["class"]) & table["relevance_share"].notna()]
    rows = []
    for (name, place), part in own.groupby(["class", "compartment"], sort=False):
        relevance, area = (part[c].to_numpy(np.float64) for c in ("relevance_share", "area_share"))
        if area.sum() <= 0:
            continue
        score = _ratio(relevance, area)
        found = statistics.bootstrap_intervals(score, part["group"], bootstraps, confidence, seed)["ratio"]
        place_of = {"class": name, "compartment": place, "ratio": found["value"]}
        size = {"n_cells": len(part), "n_groups": part["group"].nunique()}
        rows.append({**place_of, "low": found["low"], "high": found["high"], **size})
    return pd.DataFrame(rows, columns=["class", "compartment", "ratio", "low", "high", "n_cells", "n_groups"])


def _ratio(relevance: np.ndarray, area: np.ndarray):
    """A function of weights [B, N]: the ratio of the weighted sums, NaN where a resample has none of the place."""

    def score(weights):
        below = weights @ area
        return {"ratio": np.where(below > 0, weights @ relevance / np.maximum(below, 1e-300), np.nan)}

    return score


def sentence(class_name: str, summary: pd.DataFrame, confidence: float, stain: str = "", mask: str = "none") -> str:
    """One plain sentence: where the model looks more than by chance when it says `class_name`.

    Args:
        class_name: the class that the model gave.
        summary: as `summarise` returns it.
        confidence: of its intervals, e.g. 0.95.
        stain: name of the second stain, where it has one.
        mask: what the model sees, `data.mask` of the run's config.

    Returns:
        The place with the highest ratio whose interval lies above 1, or that there is none. A place that the mask has
        blanked is said to be blank.
    """
    rows = summary[summary["class"] == class_name]
    if rows.empty:
        return f"No explained cell was given {class_name}, so nothing can be said about where the model looks for it."
    lower = rows["low"].fillna(rows["ratio"])  # cells of one group have no interval
    above = rows[lower > 1]
    if above.empty:
        return f"For {class_name} the model looks nowhere more than by chance."
    best = above.loc[above["ratio"].idxmax()]
    name = best["compartment"]
    place = f"at the {stain}" if name == "second stain" and stain else _PLACES[name]
    spread = f"{100 * confidence:g} % interval {best['low']:.1f} to {best['high']:.1f}"
    if not np.isfinite(best["low"]):
        spread = "one group of cells, so no interval"
    blank = " The mask has blanked that place: a constant of the network stands there, nothing of the cell."
    return (f"For {class_name} the model looks {best['ratio']:.1f} times as much as by chance {place} ({spread})."
            + (blank if name in BLANK[mask] else ""))
