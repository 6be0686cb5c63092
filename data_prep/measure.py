"""Labels -> one row of measurements per nucleus, named as CellProfiler names them, in um where the pixel size is known.

A measured feature is one function (image, labels, ...) -> {column: f64 [n]} and one line in `measure`.
"""

import numpy as np
from scipy import ndimage
from skimage import feature, filters, measure, segmentation

_SHAPE = {"area": ("Area", 2), "perimeter": ("Perimeter", 1), "eccentricity": ("Eccentricity", 0),
          "solidity": ("Solidity", 0), "extent": ("Extent", 0), "axis_major_length": ("MajorAxisLength", 1),
          "axis_minor_length": ("MinorAxisLength", 1), "equivalent_diameter_area": ("EquivalentDiameter", 1)}
_GREY_LEVELS = 16
_TEXTURES = ("contrast", "homogeneity", "energy", "correlation")


def typical_diameter(labels: np.ndarray) -> float:
    """Diameter, px, of a disc as large as the field's median nucleus; 24 where there is none."""
    areas = np.bincount(labels.ravel())[1:]
    return float(2 * np.sqrt(np.median(areas) / np.pi)) if len(areas) else 24.0


def cell_bodies(labels: np.ndarray, reach_px: float) -> np.ndarray:
    """The body of each cell: its nucleus and what lies within `reach_px` of it and nearer to it than to any other."""
    return segmentation.expand_labels(labels, reach_px).astype(np.int32)


def stain_mask(channel: np.ndarray, bodies: np.ndarray, diameter_px: float) -> np.ndarray:
    """Where a stain forms pieces (Golgi, comets): brighter than its surroundings, bool [H, W].

    Surroundings are a Gaussian of a quarter of the nuclear diameter; the cut is Otsu's over the cell bodies of the
    field.
    """
    fine = ndimage.gaussian_filter(channel, 0.03 * diameter_px)
    contrast = fine - ndimage.gaussian_filter(channel, 0.25 * diameter_px)
    inside = contrast[bodies > 0]
    if inside.size == 0 or np.ptp(inside) == 0:
        return np.zeros(channel.shape, bool)
    return (contrast > max(filters.threshold_otsu(inside), 0)) & (bodies > 0)


def stain_peaks(channel: np.ndarray, bodies: np.ndarray, diameter_px: float) -> np.ndarray:
    """Where a stain has single bright dots (comets, vesicles), one True pixel per dot, bool [H, W].

    Local maxima of a difference of Gaussians of 2 % and 5 % of the nuclear diameter (about 0.3 and 0.7 um) that stand
    2.5 robust standard deviations out of the cell bodies of the field. Dots that a blurred mask would merge are counted
    apart.
    """
    dots = ndimage.gaussian_filter(channel, 0.022 * diameter_px) - ndimage.gaussian_filter(channel, 0.047 * diameter_px)
    inside = dots[bodies > 0]
    if inside.size == 0:
        return np.zeros(channel.shape, bool)
    noise = 1.4826 * np.median(np.abs(inside - np.median(inside)))
    return (ndimage.maximum_filter(dots, 3) == dots) & (dots > 2.5 * noise) & (bodies > 0)


def measure_cells(image, labels, bodies, channels, nucleus, masks, pixel_um) -> dict[str, np.ndarray]:
    """All measurements of one field.

    Args:
        image: background-subtracted f32 [H, W, C].
        labels, bodies: i32 [H, W] with the same values 1..n, n at least 1.
        channels: names of the C channels; `nucleus` is the one that shows DNA.
        masks: {channel: bool [H, W]}, the pieces of each stain around the nucleus.
        pixel_um: um per px or None: then lengths are in px.

    Returns:
        {column: f64 [n]} in the order of the labels.
    """
    scale = pixel_um or 1.0
    columns = shape(labels, scale)
    inside = {"Nuclei": pixels_by_label(labels), "Cells": pixels_by_label(bodies)}
    for c, name in enumerate(channels):
        for place, members in inside.items():
            columns |= intensity(image[..., c], members, place, name)
        columns |= texture(image[..., c], labels, name)
    columns |= edge(image[..., channels.index(nucleus)], labels, nucleus)
    diameter_px = typical_diameter(labels)
    for name, mask in masks.items():
        columns |= pieces(image[..., channels.index(name)], mask, labels, bodies, name, scale)
        columns |= dots(image[..., channels.index(name)], bodies, diameter_px, name, scale)
    return columns


def shape(labels, scale) -> dict[str, np.ndarray]:
    """Shape of each nucleus; FormFactor is 4 pi area / perimeter^2, 1 for a disc."""
    table = measure.regionprops_table(labels, properties=tuple(_SHAPE))
    columns = {f"Nuclei_AreaShape_{n}": table[p] * scale**power for p, (n, power) in _SHAPE.items()}
    columns["Nuclei_AreaShape_FormFactor"] = 4 * np.pi * table["area"] / np.maximum(table["perimeter"], 1) ** 2
    return columns


def intensity(channel, members, place, name) -> dict[str, np.ndarray]:
    """Sum, mean, standard deviation and brightest pixel of a channel over each label.

    Args:
        channel: f32 [H, W]; members: of the labels, from `pixels_by_label`.
        place: the compartment's name in the columns; name: the channel's.
    """
    order, starts, count = members
    values = channel.ravel()[order].astype(np.float64)
    total = np.add.reduceat(values, starts) if len(starts) else np.zeros(0)
    squares = np.add.reduceat(values**2, starts) if len(starts) else np.zeros(0)
    top = np.maximum.reduceat(values, starts) if len(starts) else np.zeros(0)
    mean = total / count
    head = f"{place}_Intensity_"
    return {f"{head}IntegratedIntensity_{name}": total, f"{head}MeanIntensity_{name}": mean,
            f"{head}StdIntensity_{name}": np.sqrt(np.maximum(squares / count - mean**2, 0)),
            f"{head}MaxIntensity_{name}": top}


def pixels_by_label(labels):
    """Flat indices of all labelled pixels sorted by label, where each label 1..n starts, and its number of pixels."""
    flat = labels.ravel()
    inside = np.flatnonzero(flat)
    order = inside[np.argsort(flat[inside], kind="stable")]
    count = np.bincount(flat[inside], minlength=labels.max() + 1)[1:]
    return order, np.concatenate([[0], np.cumsum(count)[:-1]]).astype(int) if len(count) else count, count


def edge(channel, labels, name) -> dict[str, np.ndarray]:
    """Sharpness of the outline: mean gradient there over the nucleus' own mean; falls when out of focus."""
    gradient = ndimage.gaussian_gradient_magnitude(channel, 1.0)
    outline = np.where(segmentation.find_boundaries(labels, mode="inner"), labels, 0)
    index = np.arange(1, labels.max() + 1)
    steep = np.asarray(ndimage.mean(gradient, outline, index))
    level = np.asarray(ndimage.mean(channel, labels, index))
    return {f"Nuclei_Texture_EdgeSharpness_{name}": steep / np.maximum(level, 1e-6)}


def texture(channel, labels, name) -> dict[str, np.ndarray]:
    """Grey-level co-occurrence (Haralick 1973) at 1 px in four directions.

    Grey levels span the range between the nucleus' 1 % and 99 %.
    """
    matrices = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        inside = labels[box] == number
        patch = channel[box]
        low, high = np.percentile(patch[inside], (1, 99))
        grey = 1 + np.clip((patch - low) / max(high - low, 1e-6) * _GREY_LEVELS, 0, _GREY_LEVELS - 1).astype(np.uint8)
        counts = feature.graycomatrix(np.where(inside, grey, 0), [1], [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4],
                                      levels=_GREY_LEVELS + 1, symmetric=True)
        matrices.append(counts[1:, 1:].sum(axis=(2, 3)))
    empty = np.zeros((_GREY_LEVELS, _GREY_LEVELS, 0))
    # The nuclei stand where the library expects distances, so that one call serves all.
    stacked = (np.stack(matrices, axis=-1) if matrices else empty)[..., np.newaxis]
    return {f"Nuclei_Texture_{p.capitalize()}_{name}": feature.graycoprops(stacked, p)[:, 0] for p in _TEXTURES}


def dots(channel, bodies, diameter_px, name, scale) -> dict[str, np.ndarray]:
    """Number of dots of a stain in each cell's body, and their number per area of the body."""
    n = bodies.max() + 1
    number = np.bincount(bodies[stain_peaks(channel, bodies, diameter_px)], minlength=n)[1:].astype(np.float64)
    body = np.maximum(np.bincount(bodies.ravel(), minlength=n)[1:], 1) * scale**2
    return {f"{name}_Number_Dots": number, f"{name}_Number_DotDensity": number / body}


def pieces(channel, mask, labels, bodies, name, scale) -> dict[str, np.ndarray]:
    """The pieces of a stain that belong to each cell.

    Area; number of connected pieces; spread: root mean square distance of the pieces' pixels from their centre,
    weighted by brightness; distance of that centre from the nucleus' centre; summed brightness. A cell without pieces
    has area 0 and no spread or distance (NaN).
    """
    n = labels.max()
    index = np.arange(1, n + 1)
    owner = np.where(mask, bodies, 0)
    area = np.bincount(owner.ravel(), minlength=n + 1)[1:].astype(np.float64)
    weight = np.where(mask, np.maximum(channel, 0), 0)
    total = np.bincount(owner.ravel(), weight.ravel(), minlength=n + 1)[1:]
    y, x = np.indices(labels.shape)
    safe = np.where(total > 0, total, np.nan)
    cy, cx = (np.bincount(owner.ravel(), (weight * v).ravel(), minlength=n + 1)[1:] / safe for v in (y, x))
    squares = np.bincount(owner.ravel(), (weight * (y * y + x * x)).ravel(), minlength=n + 1)[1:] / safe
    centre = np.array(ndimage.center_of_mass(labels > 0, labels, index)).reshape(-1, 2)
    parts = np.unique(np.stack([owner[mask], measure.label(mask)[mask]]), axis=1)[0]
    number = np.bincount(parts, minlength=n + 1)[1:].astype(np.float64)
    return {f"{name}_AreaShape_Area": area * scale**2, f"{name}_Number_Pieces": number,
            f"{name}_Distance_Spread": np.sqrt(np.maximum(squares - cy**2 - cx**2, 0)) * scale,
            f"{name}_Distance_FromNucleus": np.hypot(cy - centre[:, 0], cx - centre[:, 1]) * scale,
            f"{name}_Intensity_IntegratedIntensity_{name}": total}
