"""Measurements of outline and of the skeleton of what is bright beside the nucleus."""

import numpy as np
from skimage import measure, morphology

from cellcycle_jax.bank.cells import Cells
from cellcycle_jax.bank.measurement import Measurement, column

HARMONICS = (2, 3, 4, 5, 6)
ANGLES = 36  # directions in which the outline of a nucleus is measured
NUCLEAR_OUTLINE = "outline of the nucleus"


def nuclear_outline(cells: Cells) -> list[Measurement]:
    """Strength of the waves of the nucleus' outline around it: 2 is an ellipse, 3 a triangle, 4 a square."""
    rows, columns = cells.offsets
    sector = ((np.arctan2(rows, columns) + np.pi) / (2 * np.pi) * ANGLES).astype(int) % ANGLES
    distance = np.hypot(rows, columns)
    radius = np.zeros((len(cells), ANGLES))
    for number in range(ANGLES):
        inside = np.where(cells.nucleus & (sector == number), distance, 0)
        radius[:, number] = inside.max((1, 2))
    spectrum = np.abs(np.fft.rfft(radius, axis=1)) / np.maximum(radius.sum(1), 1e-9)[:, None]
    measured = []
    for harmonic in HARMONICS:
        measured.append(Measurement(
            name=f"Nuclei_AreaShape_Wave{harmonic}",
            words=f"outline of the nucleus: strength of {harmonic} waves around it",
            family=NUCLEAR_OUTLINE,
            channels=(),
            region="nucleus",
            unit="",
            formula=f"|Fourier coefficient {harmonic} of the radius by angle| / coefficient 0",
            values=spectrum[:, harmonic],
        ))
    return measured


def skeletons(cells: Cells) -> list[Measurement]:
    """Skeleton of what is bright in the cytoplasm: its length, its branches, and the direction that it has."""
    measured = []
    unit = cells.length_unit
    for channel in cells.channels:
        masks = cells.bright(channel) > 0
        values = np.full((len(cells), 4), np.nan)
        for n, mask in enumerate(masks):
            if mask.any():
                values[n] = _skeleton(mask, cells.um_per_px)
        named = (
            ("SkeletonLength", unit, "length of the skeleton"),
            ("SkeletonBranches", "", "branching points of the skeleton"),
            ("Objects", "", "number of objects"),
            ("Thickness", unit, "area over length of the skeleton"),
        )
        for (what, of_unit, words), of_cells in zip(named, values.T, strict=True):
            measured.append(Measurement(
                name=column("cytoplasm", "Skeleton", what, channel),
                words=f"bright {channel}: {words}",
                family="skeleton",
                channels=(channel,),
                region="cytoplasm",
                unit=of_unit,
                formula=f"{words} of the pixels of {channel} above its 80 % quantile in the cytoplasm",
                values=of_cells,
            ))
    return measured


def _skeleton(mask, um_per_px: float):
    """Length, branching points, objects and thickness of a mask bool [S, S]."""
    skeleton = morphology.skeletonize(mask)
    padded = np.pad(skeleton, 1)
    neighbours = sum(np.roll(padded, shift, (0, 1)).astype(int) for shift in _STEPS)
    branches = int(((neighbours > 2) & padded).sum())
    length = max(int(skeleton.sum()), 1)
    objects = int(measure.label(mask, return_num=True)[1])
    return length * um_per_px, branches, objects, mask.sum() / length * um_per_px


_STEPS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0)]
