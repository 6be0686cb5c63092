"""Does the network read the outline of the mask, which is a picture of the cell's size and of its neighbours?

A mask blanks what is not the cell, and its edge remains. The body of a cell ends where a neighbour is nearer, so the
edge shows how crowded the field is, in every channel, whatever stain is there. So the outline of another cell is laid
over a cell, and what lies within it is filled with the cell's own pixels.
"""

import functools

import numpy as np

from cellcycle_jax import schema
from cellcycle_jax.dataset.model_input import MASKS
from cellcycle_jax.explain.attribution.methods import logits_of
from cellcycle_jax.explain.checks import shortcuts
from cellcycle_jax.explain.checks.score import auroc_with_interval
from cellcycle_jax.scoring.intervals import Resampling

NEAREST = 16  # cells of which a donor of the same size is drawn


def outline(network, cells: shortcuts.Cells, mask: str, intact, resampling: Resampling) -> dict:
    """What the network reads in the outline of the mask.

    Args:
        network: the network.
        cells: N of them, some of them of validation.
        mask: what it was trained with, a key of `model_input.MASKS` that shows the cell's outline.
        intact: logits f32 [N, P] of the cells as they are.
        resampling: how intervals are made.

    Returns:
        transferred_share: of the difference between the classes, what goes with the outline to another cell, see
        `shortcuts.transferred_share`; of_same_size: the same between cells whose nuclei are as large; silhouette: area
        under the ROC curve of validation cells of which nothing but the outline is shown, filled with the mean of all
        cells, an interval.
    """
    change = functools.partial(with_outlines, cells, mask)
    given, recipients, donors = shortcuts.donor_logits(network, cells, change, resampling.seed)
    area = cells.having(schema.Compartment.NUCLEUS).sum((1, 2))
    nearest = nearest_in_size(area, cells.groups, np.random.default_rng(resampling.seed))
    draw = functools.partial(draw_of_same_size, nearest)
    same_size = shortcuts.donor_logits(network, cells, change, resampling.seed, draw)
    validation = cells.take(cells.validation)
    of_silhouettes = logits_of(network, silhouettes(validation, mask))
    return {
        "transferred_share": shortcuts.transferred_share(given, recipients, donors, intact, cells, resampling),
        "of_same_size": shortcuts.transferred_share(*same_size, intact, cells, resampling),
        "silhouette": auroc_with_interval(of_silhouettes, validation.label, validation.groups, resampling),
    }


def nearest_in_size(area, groups, rng) -> np.ndarray:
    """For each cell those of other groups whose nuclei are nearest to its own in area; see `shortcuts.kept_apart`.

    Args:
        area: [N], of the nucleus of each cell, px.
        groups: text [N], group of each cell.
        rng: NumPy generator, by which cells of the same area are in any order.

    Returns:
        i64 [N, up to NEAREST], indices of cells. Where fewer may be taken, the nearest stands for those that lack.
    """
    must_differ = shortcuts.kept_apart(groups)
    area = np.asarray(area, float)
    distance = np.abs(np.subtract.outer(area, area)) + 1e-6 * rng.random((len(area), len(area)))
    distance[must_differ[:, None] == must_differ] = np.inf
    nearest = np.argsort(distance, axis=1)[:, :NEAREST]
    allowed = np.isfinite(np.take_along_axis(distance, nearest, axis=1))
    return np.where(allowed, nearest, nearest[:, :1])


def draw_of_same_size(nearest, groups, rng) -> np.ndarray:
    """For each cell one of those that `nearest_in_size` returned, i64 [N]; the groups are in these already."""
    return nearest[np.arange(len(nearest)), rng.integers(0, nearest.shape[1], len(nearest))]


def with_outlines(cells: shortcuts.Cells, mask: str, rows, donors, rng) -> np.ndarray:
    """Cells with the outlines of their donors.

    What the donor's outline shows beyond the cell is filled with pixels drawn from the cell's own: of its cytoplasm
    where the mask shows the cell, of its nucleus where it shows that alone.

    Args:
        cells: of which `rows` and `donors` are, as the network sees them.
        mask: 'cell' or 'nucleus'.
        rows: i64 [M], the cells that are given another outline.
        donors: i64 [M], the donor of each.
        rng: NumPy generator of the draw of pixels.

    Returns:
        f32 [M, S, S, K], 0 outside of the donor's outline.
    """
    own = cells.having(MASKS[mask], rows)
    fill = own
    if mask == "cell":
        cytoplasm = own & ~cells.having(schema.Compartment.NUCLEUS, rows)
        fill = np.where(cytoplasm.any(axis=(1, 2), keepdims=True), cytoplasm, own)
    images = cells.images[rows]
    filled = np.where(own[..., None], images, shortcuts.random_pixels(images, fill, rng))
    return np.where(cells.having(MASKS[mask], donors)[..., None], filled, 0).astype(np.float32)


def silhouettes(cells: shortcuts.Cells, mask: str) -> np.ndarray:
    """Outlines of the cells, f32 [N, S, S, K], each filled with what all cells have on average within theirs."""
    shown = cells.having(MASKS[mask])[..., None]
    mean = (cells.images * shown).sum((0, 1, 2)) / max(shown.sum(), 1)
    return np.where(shown, mean, 0).astype(np.float32)
