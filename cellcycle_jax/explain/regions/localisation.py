"""Which part of the cell a saliency map lies on: share of the relevance in each place over its share of the area.

A ratio of 1 is what a map that does not look at the image would give; 2 is twice as much as by chance. The ratio says
where the evidence was read, not that the decision would change without it. Beside it stands the pointing game (Zhang et
al. 2018, doi 10.1007/s11263-017-1059-x): how often the highest pixel of the map lies in the place.
"""

import numpy as np
import pandas as pd
from scipy import ndimage

from cellcycle_jax import schema
from cellcycle_jax.scoring.intervals import Resampling

RIM, STAIN, OUTLINE = "nuclear rim", "second stain", "second stain outline"
COMPARTMENTS = ("nucleus", RIM, STAIN, OUTLINE, "cell body", "other nuclei", "background")  # they divide a crop
# Places that hold nothing but zeros for the model, by `data.mask`.
BLANK = {"none": (), "cell": ("other nuclei", "background"),
         "nucleus": (STAIN, OUTLINE, "cell body", "other nuclei", "background"),
         "ring": ("nucleus", RIM, STAIN, OUTLINE, "cell body")}
PARTS = ("positive", "absolute")
MEASURES = ("relevance_share", "area_share", "ratio", "hit")
COLUMNS = (schema.CELL_ID, "group", "label", "predicted", "class", "method", "channel", "compartment", *MEASURES)
SUMMARY = ("class", "method", "channel", "compartment", "ratio", "low", "high", "hit_ratio", "hit_low", "hit_high",
           "n_cells", "n_groups")  # fmt: skip
_PLACES = {
    "nucleus": "in the nucleus",
    RIM: "at the rim of the nucleus",
    STAIN: "at the {stain}",
    OUTLINE: "at the outline of the {stain}",
    "cell body": "in the rest of the cell body",
    "other nuclei": "at neighbouring nuclei",
    "background": "in the background",
}


def named_place(place: str, stain: str = "") -> str:
    """A place in words: "at the outline of the Golgi"."""
    return _PLACES[place].format(stain=stain or STAIN)


def coarse(place: str) -> str:
    """The place of which `place` is a part: a rim belongs to its nucleus, an outline to its stain."""
    return {RIM: "nucleus", OUTLINE: STAIN}.get(place, place)


def compartment_masks(
    compartments: np.ndarray, present: int, rim_px: float = 2.0, outline_px: float = 1.0
) -> dict[str, np.ndarray]:
    """Divide a crop into named places; every pixel belongs to one.

    A pixel that could be counted twice belongs to the first of: other nuclei, outline of the second stain, the stain
    within, nuclear rim, nucleus, cell body, background (which is everything left, debris included). A projection
    cannot tell a stain above the nucleus from one inside it, so both places of the stain lie outside the nuclei, and
    where a piece runs on over the nucleus it has no outline.

    Args:
        compartments: u8 [S, S], bits of `schema.Compartment`.
        present: which of the bits are known for this cell; a place whose bit is unknown is left out, and its pixels
            belong to the next.
        rim_px: half the width of the nuclear rim, px of the crop.
        outline_px: half the width of the stain's outline, px of the crop.

    Returns:
        Name -> bool [S, S], in the order of COMPARTMENTS; empty where not even the nucleus is known.
    """
    bit = schema.Compartment
    there = {b: (compartments & b) > 0 for b in bit if present & b}
    if bit.NUCLEUS not in there:
        return {}
    nucleus, takes = there[bit.NUCLEUS], {}  # by who takes a pixel first
    if bit.OTHER_NUCLEI in there:
        takes["other nuclei"] = there[bit.OTHER_NUCLEI]
    if bit.SECOND_STAIN in there:
        stain = there[bit.SECOND_STAIN]
        pieces = stain & ~nucleus
        takes[OUTLINE] = ~nucleus & (np.where(pieces, _depth(stain), _depth(~pieces)) <= outline_px)
        takes[STAIN] = pieces
    takes[RIM] = np.where(nucleus, _depth(nucleus), _depth(~nucleus)) <= rim_px
    takes["nucleus"] = nucleus
    if bit.BODY in there:
        takes["cell body"] = there[bit.BODY]
    free, masks = np.ones(nucleus.shape, bool), {}
    for name, mask in takes.items():
        masks[name], free = mask & free, free & ~mask
    masks["background"] = free
    return {name: masks[name] for name in COMPARTMENTS if name in masks}


def _depth(mask: np.ndarray) -> np.ndarray:
    """Distance of each pixel of `mask` to the nearest that is not in it, px; 1 along its edge, 0 outside."""
    return np.full(mask.shape, np.inf) if mask.all() else ndimage.distance_transform_edt(mask)


def localise(saliency: np.ndarray, masks: dict[str, np.ndarray], part: str = "positive") -> list[dict]:
    """Share of a map's relevance in each place, and the share of the area that this place has.

    Args:
        saliency: f32 [S, S], at the size of the crop.
        masks: name -> bool [S, S].
        part: 'positive', only what is above zero counts, or 'absolute'.

    Returns:
        One dict a place: compartment, relevance_share, area_share, ratio (NaN where the place is empty), hit (whether
        the highest pixel lies there; pixels that are equally high share the hit). A map without any relevance points
        nowhere: its shares and hits are NaN.
    """
    if not masks:
        return []
    found = _measure(_relevance(saliency, part)[..., None], np.stack(list(masks.values())))
    each = zip(*(found[m][0].tolist() for m in MEASURES), strict=True)
    return [{"compartment": name, **dict(zip(MEASURES, values, strict=True))}
            for name, values in zip(masks, each, strict=True)]


def localise_all(maps: np.ndarray, compartments: np.ndarray, present: np.ndarray, part: str = "positive") -> dict:
    """Where the maps of many cells lie, as `localise`.

    The maps of a method that tells channels apart are compared within the cell: shares and hits are of all channels
    together, and by chance each of C channels has a place's share of the area over C.

    Args:
        maps: f32 [N, S, S, C], at the size of the crop.
        compartments: u8 [N, S, S], bits of `schema.Compartment`.
        present: u8 [N], which bits are known.
        part: 'positive' or 'absolute'.

    Returns:
        Each of MEASURES -> f64 [N, C, Q] with the places in the order of COMPARTMENTS; NaN where a place is not known.
        area_share is of all pixels of all C channels.
    """
    shape = len(maps), maps.shape[-1], len(COMPARTMENTS)
    result = {measure: np.full(shape, np.nan) for measure in MEASURES}
    for n in range(len(maps)):
        masks = compartment_masks(compartments[n], int(present[n]))
        if masks:
            found = _measure(_relevance(maps[n], part), np.stack(list(masks.values())))
            places = [COMPARTMENTS.index(name) for name in masks]
            for measure in MEASURES:
                result[measure][n][:, places] = found[measure]
    return result


def _relevance(saliency, part: str) -> np.ndarray:
    if part not in PARTS:
        raise ValueError(f"part={part!r}; allowed: {', '.join(PARTS)}")
    saliency = np.asarray(saliency, np.float64)
    return np.maximum(saliency, 0) if part == "positive" else np.abs(saliency)


def _measure(relevance: np.ndarray, masks: np.ndarray) -> dict[str, np.ndarray]:
    """MEASURES of relevance [S, S, C] in masks bool [Q, S, S], each f64 [C, Q]."""
    channels = relevance.shape[-1]
    flat, inside = relevance.reshape(-1, channels), masks.reshape(len(masks), -1).astype(np.float64)
    total, top = flat.sum(), (flat == flat.max()).astype(np.float64)
    some = total > 0
    share, hit = ((inside @ part / (whole if some else np.nan)).T for part, whole in ((flat, total), (top, top.sum())))
    area = np.broadcast_to(inside.mean(1) / channels, share.shape)
    ratio = np.divide(share, area, out=np.full(share.shape, np.nan), where=area > 0)
    return {"relevance_share": share, "area_share": area, "ratio": ratio, "hit": hit}


def tabulate(found: dict, cells: pd.DataFrame, class_name: str, method: str, channels=("",)) -> pd.DataFrame:
    """One row per cell, channel and known place: the columns of attribution.parquet.

    Args:
        found: of the N cells, as `localise_all` returns it.
        cells: N rows with schema.CELL_ID, group, label, predicted.
        class_name: the class that the maps explain.
        method: which made them.
        channels: C names; one "" for a method that does not tell channels apart.

    Returns:
        Columns COLUMNS.
    """
    cell, channel, place = np.nonzero(np.isfinite(found["area_share"]))
    table = cells.iloc[cell].reset_index(drop=True)
    table = table.assign(**{"class": class_name, "method": method, "channel": np.array(channels, object)[channel],
                            "compartment": np.array(COMPARTMENTS, object)[place]})  # fmt: skip
    return table.assign(**{m: found[m][cell, channel, place] for m in MEASURES})[list(COLUMNS)]


def summarise(table: pd.DataFrame, resampling: Resampling) -> pd.DataFrame:
    """Ratio of each class, method, channel and place over all cells that the model gives this class, with an interval.

    The ratio is the sum of relevance shares over the sum of area shares, so that a cell in which a place covers three
    pixels does not rule the answer; that of the hits likewise. Groups, not cells, are resampled: cells of a field share
    stain and focus.

    Args:
        table: rows as `tabulate` makes them.
        resampling: how intervals are made.

    Returns:
        One row per class, method, channel and compartment, columns SUMMARY: hit_ratio is how often the highest pixel
        lies in the place, over how often it would by chance.
    """
    own = table[(table["predicted"] == table["class"]) & table["relevance_share"].notna()]
    rows = []
    for of, part in own.groupby(list(SUMMARY[:4]), sort=False):
        if part["area_share"].sum() <= 0:
            continue
        found = resampling.intervals(_ratios(part), part["group"])
        ratio, hits = found["ratio"], found["hit_ratio"]
        bounds = (ratio.value, ratio.low, ratio.high, hits.value, hits.low, hits.high)
        rows.append((*of, *bounds, len(part), part["group"].nunique()))
    return pd.DataFrame(rows, columns=list(SUMMARY))


def _ratios(part: pd.DataFrame):
    """A function of weights [B, N]: ratios of the weighted sums, NaN where a resample has none of the place."""
    relevance, hit, area = (part[c].to_numpy(np.float64) for c in ("relevance_share", "hit", "area_share"))

    def score(weights):
        below = weights @ area
        over = np.where(below > 0, below, np.nan)
        return {"ratio": weights @ relevance / over, "hit_ratio": weights @ hit / over}

    return score


def sentence(
    class_name: str, summary: pd.DataFrame, confidence: float, method: str, stain: str = "", mask: str = "none"
) -> str:
    """One plain sentence: where the model looks more than by chance when it says `class_name`.

    Args:
        class_name: the class that the model gave.
        summary: as `summarise` returns it.
        confidence: of its intervals, e.g. 0.95.
        method: whose maps are told of.
        stain: name of the second stain, where it has one.
        mask: what the model sees, `data.mask` of the run's config.

    Returns:
        The place (and channel, where the method tells channels apart) with the highest ratio whose interval lies above
        1, or that there is none. A place that the mask has blanked is said to be blank.
    """
    rows = summary[(summary["class"] == class_name) & (summary["method"] == method)]
    if rows.empty:
        return f"No explained cell was given {class_name}, so nothing can be said about where the model looks for it."
    lower = rows["low"].fillna(rows["ratio"])  # cells of few groups have no interval
    above = rows[lower > 1]
    if above.empty:
        return f"For {class_name} the model looks nowhere more than by chance."
    best = above.loc[above["ratio"].idxmax()]
    place = named_place(best["compartment"], stain)
    spread = f"{100 * confidence:g} % interval {best['low']:.1f} to {best['high']:.1f}"
    if not np.isfinite(best["low"]):
        spread = "too few groups for an interval"
    channel = f", channel {best['channel']}" if best["channel"] else ""
    blank = " The mask has blanked that place: a constant of the network stands there, nothing of the cell."
    return (f"For {class_name} the model looks {best['ratio']:.1f} times as much as by chance {place} ({spread})"
            f"{channel}." + (blank if best["compartment"] in BLANK[mask] else ""))
