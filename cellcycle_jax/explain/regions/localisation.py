"""Which part of the cell a saliency map lies on: share of the relevance in each region over its share of the area.

A ratio of 1 is what a map that does not look at the image would give; 2 is twice as much as by chance. The ratio says
where the evidence was read, not that the decision would change without it. Beside it stands the pointing game (Zhang et
al. 2018, doi 10.1007/s11263-017-1059-x): how often the highest pixel of the map lies in the region.
"""

import numpy as np
import pandas as pd
from scipy import ndimage

from cellcycle_jax import schema
from cellcycle_jax.scoring import metrics
from cellcycle_jax.scoring.intervals import Resampling

RIM = "nuclear rim"
ORGANELLE = "organelle"
OUTLINE = "organelle outline"
COMPARTMENTS = ("nucleus", RIM, ORGANELLE, OUTLINE, "cell body", "other nuclei", "background")  # they divide a crop
# Regions that hold nothing but zeros for the model, by `data.mask`.
BLANK = {
    "none": (),
    "cell": ("other nuclei", "background"),
    "nucleus": (ORGANELLE, OUTLINE, "cell body", "other nuclei", "background"),
    "ring": ("nucleus", RIM, ORGANELLE, OUTLINE, "cell body"),
}
RIM_PX = 2.0  # half the width of the nuclear rim, px of the crop
OUTLINE_PX = 1.0  # the same of the outline of the organelle
MEASURES = ("relevance_share", "area_share", "ratio", "hit")
_OF_MAP = ("class", "method", "channel", "compartment")
COLUMNS = (schema.CELL_ID, "group", "label", "predicted", *_OF_MAP, *MEASURES)
_BOUNDS = ("ratio", "low", "high", "hit_ratio", "hit_low", "hit_high")
SUMMARY = (*_OF_MAP, *_BOUNDS, "n_cells", "n_groups")
_REGIONS_IN_WORDS = {
    "nucleus": "in the nucleus",
    RIM: "at the rim of the nucleus",
    ORGANELLE: "at the {stain}",
    OUTLINE: "at the outline of the {stain}",
    "cell body": "in the rest of the cell body",
    "other nuclei": "at neighbouring nuclei",
    "background": "in the background",
}


def region_in_words(region: str, stain: str = "") -> str:
    """A region in words: "at the outline of the Golgi"."""
    return _REGIONS_IN_WORDS[region].format(stain=stain or ORGANELLE)


def coarse(region: str) -> str:
    """The region of which `region` is a part: a rim belongs to its nucleus, an outline to its stain."""
    return {RIM: "nucleus", OUTLINE: ORGANELLE}.get(region, region)


def compartment_masks(compartments: np.ndarray, present: int) -> dict[str, np.ndarray]:
    """Divide a crop into named regions; every pixel belongs to one.

    A pixel that could be counted twice belongs to the first of: other nuclei, outline of the organelle, the stain
    within, nuclear rim, nucleus, cell body, background (which is everything left, debris included). A projection
    cannot tell a stain above the nucleus from one inside it, so both regions of the stain lie outside the nuclei, and
    where the stain runs on over the nucleus it has no outline.

    Args:
        compartments: u8 [S, S], bits of `schema.Compartment`.
        present: which of the bits are known for this cell; a region whose bit is unknown is left out, and its pixels
            belong to the next.

    Returns:
        Name -> bool [S, S], in the order of COMPARTMENTS; empty where not even the nucleus is known.
    """
    bit = schema.Compartment
    if not present & bit.NUCLEUS:
        return {}
    nucleus = compartments & bit.NUCLEUS > 0
    claims = {}  # in the order in which regions take pixels
    if present & bit.OTHER_NUCLEI:
        claims["other nuclei"] = compartments & bit.OTHER_NUCLEI > 0
    if present & bit.ORGANELLE:
        stain = compartments & bit.ORGANELLE > 0
        outside = stain & ~nucleus
        from_outline = np.where(outside, _depth(stain), _depth(~outside))
        claims[OUTLINE] = ~nucleus & (from_outline <= OUTLINE_PX)
        claims[ORGANELLE] = outside
    from_outline = np.where(nucleus, _depth(nucleus), _depth(~nucleus))
    claims[RIM] = from_outline <= RIM_PX
    claims["nucleus"] = nucleus
    if present & bit.BODY:
        claims["cell body"] = compartments & bit.BODY > 0
    masks = {}
    free = np.ones(nucleus.shape, bool)
    for name, claimed in claims.items():
        masks[name] = claimed & free
        free = free & ~claimed
    masks["background"] = free
    return {name: masks[name] for name in COMPARTMENTS if name in masks}


def _depth(mask: np.ndarray) -> np.ndarray:
    """Distance of each pixel of `mask` to the nearest that is not in it, px; 1 along its edge, 0 outside."""
    if mask.all():
        return np.full(mask.shape, np.inf)
    return ndimage.distance_transform_edt(mask)


def localise(maps: np.ndarray, compartments: np.ndarray, present: np.ndarray) -> dict[str, np.ndarray]:
    """Share of a map's relevance, what is above zero, in each region, and the share of the area that this region has.

    The maps of a method that tells channels apart are compared within the cell: shares and hits are of all channels
    together, and by chance each of C channels has a region's share of the area over C.

    Args:
        maps: f32 [N, S, S, C], at the size of the crop.
        compartments: u8 [N, S, S], bits of `schema.Compartment`.
        present: u8 [N], which bits are known.

    Returns:
        Each of MEASURES -> f64 [N, C, Q] with the regions in the order of COMPARTMENTS; NaN where one is not known.
        area_share is of all pixels of all C channels; ratio is NaN where the region is empty; hit is whether the
        highest pixel lies there, which pixels that are equally high share. A map without any relevance points nowhere:
        its shares and hits are NaN.
    """
    shape = len(maps), maps.shape[-1], len(COMPARTMENTS)
    result = {measure: np.full(shape, np.nan) for measure in MEASURES}
    for n in range(len(maps)):
        masks = compartment_masks(compartments[n], int(present[n]))
        if not masks:
            continue
        relevance = np.maximum(maps[n].astype(np.float64), 0)
        measured = _measure(relevance, masks)
        regions = [COMPARTMENTS.index(name) for name in masks]
        for measure in MEASURES:
            result[measure][n][:, regions] = measured[measure]
    return result


def _measure(relevance: np.ndarray, masks: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """MEASURES of relevance f64 [S, S, C] in Q masks bool [S, S], each f64 [C, Q]."""
    channels = relevance.shape[-1]
    flat = relevance.reshape(-1, channels)
    inside = np.stack(list(masks.values())).reshape(len(masks), -1).astype(np.float64)
    highest = (flat == flat.max()).astype(np.float64)
    total = flat.sum()
    n_highest = highest.sum()
    if not total > 0:
        total = np.nan
        n_highest = np.nan
    share = (inside @ flat / total).T
    hit = (inside @ highest / n_highest).T
    area = np.broadcast_to(inside.mean(1) / channels, share.shape)
    return {"relevance_share": share, "area_share": area, "ratio": metrics.divide(share, area), "hit": hit}


def tabulate(measured: dict, cells: pd.DataFrame, class_name: str, method: str, channels=("",)) -> pd.DataFrame:
    """One row per cell, channel and known region: the columns of attribution.parquet.

    Args:
        measured: of the N cells, as `localise` returns it.
        cells: N rows with schema.CELL_ID, group, label, predicted.
        class_name: the class that the maps explain.
        method: which made them.
        channels: C names; one "" for a method that does not tell channels apart.

    Returns:
        Columns COLUMNS.
    """
    cell, channel, region = np.nonzero(np.isfinite(measured["area_share"]))
    table = cells.iloc[cell].reset_index(drop=True)
    table["class"] = class_name
    table["method"] = method
    table["channel"] = np.array(channels, object)[channel]
    table["compartment"] = np.array(COMPARTMENTS, object)[region]
    for measure in MEASURES:
        table[measure] = measured[measure][cell, channel, region]
    return table[list(COLUMNS)]


def summarise(table: pd.DataFrame, resampling: Resampling) -> pd.DataFrame:
    """Ratio of each class, method, channel and region over all cells that the model gives this class, with an interval.

    The ratio is the sum of relevance shares over the sum of area shares, so that a cell in which a region covers three
    pixels does not rule the result; that of the hits likewise. Groups, not cells, are resampled: cells of a field share
    stain and focus.

    Args:
        table: rows as `tabulate` makes them.
        resampling: how intervals are made.

    Returns:
        One row per class, method, channel and compartment, columns SUMMARY: hit_ratio is how often the highest pixel
        lies in the region, over how often it would by chance.
    """
    own = table[(table["predicted"] == table["class"]) & table["relevance_share"].notna()]
    rows = []
    for names, cells in own.groupby(list(_OF_MAP), sort=False):
        if cells["area_share"].sum() <= 0:
            continue
        ratios = resampling.ratios(_ratios(cells), cells["group"])
        ratio = ratios["ratio"]
        hits = ratios["hit_ratio"]
        bounds = (ratio.value, ratio.low, ratio.high, hits.value, hits.low, hits.high)
        rows.append((*names, *bounds, len(cells), cells["group"].nunique()))
    return pd.DataFrame(rows, columns=list(SUMMARY))


def _ratios(cells: pd.DataFrame):
    """A function of weights [B, N]: numerators and denominators of both ratios."""
    relevance = cells["relevance_share"].to_numpy(np.float64)
    hit = cells["hit"].to_numpy(np.float64)
    area = cells["area_share"].to_numpy(np.float64)

    def score(weights):
        cells = weights.sum(1)
        mean_area = weights @ area / cells
        return {
            "ratio": (weights @ relevance / cells, mean_area),
            "hit_ratio": (weights @ hit / cells, mean_area),
        }

    return score


def sentence(class_name: str, summary: pd.DataFrame, interval_level: float, stain: str, mask: str) -> str:
    """One plain sentence: the region with the most relevance, over its area, for `class_name`.

    Args:
        class_name: the class that the model gave.
        summary: as `summarise` returns it, of a method that does not tell channels apart.
        interval_level: of its intervals, e.g. 0.95.
        stain: name of the organelle, "" where it has none.
        mask: what the model sees, `data.mask` of the run's config.

    Returns:
        The region with the highest ratio whose interval lies above 1, or that there is none. A region that the mask
        has blanked is said to be blank.
    """
    rows = summary[summary["class"] == class_name]
    if rows.empty:
        return f"No explained cell was given {class_name}, so no region can be named for it."
    if rows["low"].isna().all():
        return f"For {class_name} there are too few groups of cells to say in which region a map has more relevance."
    above = rows[rows["low"] > 1]
    if above.empty:
        return f"For {class_name} no region of the map has more relevance than an uninformative map."
    best = above.loc[above["ratio"].idxmax()]
    region = region_in_words(best["compartment"], stain)
    interval = f"{100 * interval_level:g} % interval {best['low']:.1f} to {best['high']:.1f}"
    words = f"For {class_name} the relevance {region} is {best['ratio']:.1f} times that of an uninformative map"
    words += f" ({interval})."
    if best["compartment"] in BLANK[mask]:
        words += " The mask has blanked that region: a constant of the network stands there, nothing of the cell."
    return words
